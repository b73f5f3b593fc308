//! What a customer's approval is of: the content of a job, or a program of the vendor's, never a name that the
//! broker chooses.
//!
//! Both are named by a digest: sha256 of a line that says which form it is, and of the compact JSON of the fields
//! below in their order. Whatever may make a difference to the customer is a field: another value is another digest.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;
use crate::document::{Class, Component, ComponentKind, Input, Job, Part, Release, Source, Value};

/// The first line of what is hashed for a job's content.
const CONTENT: &str = "remit approval content 1\n";
/// The first line of what is hashed for a program.
const PROGRAM: &str = "remit approval program 1\n";

/// What a job does, whatever its id, its attempt and its place among the install's envelopes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Content {
    /// The component.
    pub component: String,
    /// Its kind.
    pub kind: ComponentKind,
    /// The operation.
    pub operation: String,
    /// The job's class.
    pub class: Class,
    /// Whether it is only rehearsed.
    pub rehearsal: bool,
    /// Whether it passes the vendor's own rules.
    pub break_glass: bool,
    /// The digest of the release's payload, which fixes all that the release says.
    pub release: Digest,
    /// The inputs that the broker chose.
    pub inputs: BTreeMap<String, Value>,
    /// The plan that is carried out, where there is one.
    pub plan: Option<Digest>,
}

impl Content {
    /// Of a job on this component of its release.
    pub fn of(job: &Job, kind: ComponentKind, rehearsal: bool) -> Self {
        Self {
            component: job.component.clone(),
            kind,
            operation: job.operation.clone(),
            class: job.class,
            rehearsal,
            break_glass: job.break_glass.is_some(),
            release: job.release,
            inputs: job.inputs.clone(),
            plan: job.plan,
        }
    }

    /// The same with this plan.
    pub fn with_plan(&self, plan: Digest) -> Self {
        Self { plan: Some(plan), ..self.clone() }
    }

    /// Names this content and no other.
    pub fn digest(&self) -> Digest {
        digest(CONTENT, self)
    }
}

/// A program of the vendor's: what is run, and what the release gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// The component.
    pub component: String,
    /// Its kind.
    pub kind: ComponentKind,
    /// The operation that runs it.
    pub operation: String,
    /// The digest of the component's packaged source.
    pub source: Digest,
    /// The command, as a list of arguments.
    pub command: Vec<String>,
    /// Where the component's inputs come from.
    pub inputs: BTreeMap<String, Source>,
    /// The product's inputs that those refer to, as the release declares them; without their descriptions.
    pub declared: BTreeMap<String, Input>,
}

impl Program {
    /// The one that this operation runs; `None` where the component has no command for it.
    pub fn of(release: &Release, component: &Component, operation: &str) -> Option<Self> {
        let command = component.commands.get(operation)?.clone();
        let names = component.inputs.values().flat_map(product_inputs);
        let declared = names.filter_map(|name| {
            let input = release.inputs.get(name)?;
            Some((name.clone(), Input { description: String::new(), ..input.clone() }))
        });
        Some(Self {
            component: component.name.clone(),
            kind: component.kind,
            operation: operation.to_owned(),
            source: component.digest,
            command,
            inputs: component.inputs.clone(),
            declared: declared.collect(),
        })
    }

    /// Names this program and no other.
    pub fn digest(&self) -> Digest {
        digest(PROGRAM, self)
    }
}

fn product_inputs(source: &Source) -> Vec<&String> {
    fn of_part(part: &Part) -> Option<&String> {
        match part {
            Part::Input(name) => Some(name),
            Part::Literal(_) | Part::Output(_) => None,
        }
    }
    match source {
        Source::Input(name) => vec![name],
        Source::Text(parts) => parts.iter().filter_map(of_part).collect(),
        Source::Literal(_) | Source::Output(_) => Vec::new(),
    }
}

fn digest(form: &str, of: &impl Serialize) -> Digest {
    let json = serde_json::to_vec(of).expect("texts, truth values and whole numbers are always JSON");
    Digest::of(&[form.as_bytes(), &json].concat())
}
