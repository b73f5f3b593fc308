//! Renders the CloudFormation template of one install from three texts under `templates/`: the stack,
//! the machine's user data and the function that stores the token. Values arrive checked (`fact`), the
//! stack is JSON with every value escaped by the template engine.

use std::collections::BTreeSet;

use minijinja::{Environment, context};

use crate::Error;
use crate::fact::InstallFacts;

/// The most that CloudFormation takes in a direct call, in bytes.
pub const TEMPLATE_LEN_MAX: usize = 51_200;
/// The parameter that the customer types the one-time token into. It is never shown and has no default. A
/// template with a declared role has none.
pub const TOKEN_PARAMETER: &str = "EnrolmentToken";

const STACK: &str = include_str!("../templates/stack.json");
const USER_DATA: &str = include_str!("../templates/user-data.sh");
const TOKEN_FUNCTION: &str = include_str!("../templates/token.py");

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    body: String,
    parameters: Vec<String>,
}

impl Template {
    /// The template, JSON.
    pub fn as_str(&self) -> &str {
        &self.body
    }

    /// The names of its parameters.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }
}

/// The template for one install.
///
/// # Errors
/// Two inputs with one parameter name, or more inputs than a template has room for.
pub fn render(facts: &InstallFacts) -> Result<Template, Error> {
    let mut names = BTreeSet::new();
    if let Some(twice) = facts.inputs.iter().map(|i| i.parameter()).find(|name| !names.insert(name.clone())) {
        return Err(Error::SameParameter(twice));
    }
    let user_data = text("user-data.sh", USER_DATA, &values(facts, ""));
    let body = text("stack.json", STACK, &values(facts, &user_data));
    if body.len() > TEMPLATE_LEN_MAX {
        return Err(Error::TooLarge { len: body.len(), max: TEMPLATE_LEN_MAX });
    }
    let whole: serde_json::Value = serde_json::from_str(&body).expect("every value is escaped as JSON");
    let parameters = whole["Parameters"].as_object().map(|all| all.keys().cloned().collect());
    Ok(Template { body, parameters: parameters.unwrap_or_default() })
}

fn text(name: &'static str, source: &'static str, values: &minijinja::Value) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.add_template(name, source).expect("the templates are part of this program and parse");
    let template = environment.get_template(name).expect("it was just added");
    template.render(values).expect("the templates name only values that are given")
}

fn values(facts: &InstallFacts, user_data: &str) -> minijinja::Value {
    let inputs: Vec<_> = facts
        .inputs
        .iter()
        .map(|input| {
            context! {
                name => input.name(),
                parameter => input.parameter(),
                quoted => input.kind() == crate::InputKind::Text,
                pattern => input.kind().pattern(),
                description => input.description(),
                default => input.default(),
            }
        })
        .collect();
    context! {
        install => facts.install.to_string(),
        name => facts.install.stack_name(),
        token_name => format!("/remit/{}/enrolment-token", facts.install.path().replace('.', "/")),
        token_parameter => TOKEN_PARAMETER,
        token_function => TOKEN_FUNCTION,
        account => facts.place.as_ref().map(|place| place.account.to_string()).unwrap_or_default(),
        region => facts.place.as_ref().map(|place| place.region.to_string()).unwrap_or_default(),
        role => facts.place.as_ref().and_then(|place| place.role.as_ref()).map(ToString::to_string),
        broker => facts.broker.to_string(),
        ca => facts.ca.as_ref().map(ToString::to_string),
        root_sha256 => facts.root_sha256.hex(),
        channel => facts.channel.to_string(),
        runner_url => facts.runner.url.to_string(),
        runner_sha256 => facts.runner.digest.hex(),
        instance_type => facts.architecture.instance_type(),
        image_word => facts.architecture.image_word(),
        policies => facts.policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        inputs => inputs,
        user_data => user_data,
    }
}
