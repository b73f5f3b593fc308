//! What a module gives: the outputs that its release declares.

use std::collections::BTreeMap;

use remit_seal::document::Value;

use super::document::unreadable;
use super::{OUTPUTS_LEN_MAX, Run};
use crate::executor::tool::check_outputs;
use crate::outcome::Undone;
use crate::storage::outputs::Outputs;

#[derive(serde::Deserialize)]
struct Given {
    sensitive: bool,
    value: serde_json::Value,
}

impl Run<'_> {
    pub(super) async fn outputs(&self) -> Result<Outputs, Undone> {
        let json = self.capture(&self.tool(&["output", "-json"], &[]), OUTPUTS_LEN_MAX).await?;
        let given: BTreeMap<String, Given> =
            serde_json::from_slice(&json).map_err(|e| unreadable("outputs", &e))?;
        let mut outputs = Outputs::default();
        for (name, declared) in &self.work.component.outputs {
            let Some(given) = given.get(name) else { continue };
            // One that fits no type of ours is found to be missing its type below.
            let value =
                serde_json::from_value(given.value.clone()).unwrap_or(Value::List(vec![Value::List(vec![])]));
            outputs.values.insert(name.clone(), value);
            if declared.sensitive || given.sensitive {
                outputs.sensitive.push(name.clone());
            }
        }
        check_outputs(&self.work.component, &outputs.values)?;
        Ok(outputs)
    }
}
