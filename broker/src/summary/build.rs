//! What the result of a component depends on, read from the signed release.
//!
//! The loops compare it to leave out what has not changed. A description, an order of steps or
//! a time limit changes no result and is not part of it.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::release::{Recipe, Taken};
use remit_seal::digest::Digest;
use remit_seal::document::{
    Authority, Component, ComponentKind, HEALTH, Input, Output, Part, Release, Source, Tool, Value, ValueType,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// All that the release itself says of a component's result. Its JSON is hashed: fields keep their
/// names and order, or every component of every install counts as changed once.
#[derive(Serialize)]
struct Said<'a> {
    kind: ComponentKind,
    digest: &'a Digest,
    sandbox: bool,
    commands: BTreeMap<&'a String, &'a Vec<String>>,
    sources: &'a BTreeMap<String, Source>,
    outputs: &'a BTreeMap<String, Output>,
    tools: &'a BTreeMap<String, Tool>,
    inputs: BTreeMap<&'a str, SaidInput<'a>>,
}

/// An input of the product without what is only for people.
#[derive(Serialize)]
struct SaidInput<'a> {
    value_type: ValueType,
    authority: Authority,
    default: Option<&'a Value>,
    max: u64,
    choices: &'a [Value],
    sensitive: bool,
}

/// What the result of this component of the release depends on.
pub(super) fn of(release: &Release, component: &Component) -> Recipe {
    // Whole, so that nobody adds a field without saying whether the result depends on it.
    let Component {
        kind,
        sandbox,
        digest,
        inputs,
        outputs: gives,
        commands,
        name: _,
        size: _,
        needs: _,
        longest_run_ms: _,
        // A probe looks at the result and makes nothing of it.
        health: _,
        // What a source does is in its digest; that it may is the customer's to allow, not a result.
        escapes: _,
    } = component;
    let (mut names, mut outputs) = (BTreeSet::new(), BTreeSet::new());
    for source in inputs.values() {
        collect(source, &mut names, &mut outputs);
    }
    let taken = || names.iter().filter_map(|name| release.inputs.get_key_value(*name));
    let of_authority = |authority| taken().filter(move |(_, input)| input.authority == authority);
    let said = Said {
        kind: *kind,
        digest,
        sandbox: *sandbox,
        commands: commands.iter().filter(|(name, _)| *name != HEALTH).collect(),
        sources: inputs,
        outputs: gives,
        tools: &release.tools,
        inputs: taken().map(|(name, input)| (name.as_str(), said_input(input))).collect(),
    };
    let json = serde_json::to_vec(&said).expect("its maps have names as keys");
    Recipe {
        digest: hex::encode(Sha256::digest(json)),
        inputs: of_authority(Authority::Broker).map(|(name, _)| name.clone()).collect(),
        outputs: outputs.into_iter().collect(),
        customer: of_authority(Authority::Customer).next().is_some(),
    }
}

fn said_input(input: &Input) -> SaidInput<'_> {
    SaidInput {
        value_type: input.value_type,
        authority: input.authority,
        default: input.default.as_ref(),
        max: input.max,
        choices: &input.choices,
        sensitive: input.sensitive,
    }
}

fn collect<'a>(source: &'a Source, names: &mut BTreeSet<&'a str>, outputs: &mut BTreeSet<Taken>) {
    let mut output = |of: &remit_seal::document::OutputRef| {
        outputs.insert(Taken { component: of.component.clone(), output: of.output.clone() });
    };
    match source {
        Source::Literal(_) => {}
        Source::Input(name) => {
            names.insert(name);
        }
        Source::Output(of) => output(of),
        Source::Text(parts) => {
            for part in parts {
                match part {
                    Part::Literal(_) => {}
                    Part::Input(name) => {
                        names.insert(name);
                    }
                    Part::Output(of) => output(of),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use remit_seal::document::{Approval, Class, Operation, OutputRef};

    use super::*;

    fn input(authority: Authority) -> Input {
        Input {
            value_type: ValueType::Integer,
            authority,
            default: Some(Value::Integer(1)),
            max: 9,
            choices: vec![],
            sensitive: false,
            description: String::new(),
        }
    }

    fn release() -> Release {
        let output = OutputRef { component: "network".into(), output: "subnet".into() };
        let text = vec![Part::Literal("x".into()), Part::Input("region".into()), Part::Output(output)];
        let queue = Component {
            name: "queue".into(),
            kind: ComponentKind::Script,
            sandbox: false,
            digest: Digest::of(b"queue"),
            size: 1,
            needs: vec!["network".into()],
            inputs: BTreeMap::from([
                ("workers".into(), Source::Input("size".into())),
                ("url".into(), Source::Text(text)),
                ("fixed".into(), Source::Literal(Value::Boolean(true))),
            ]),
            outputs: BTreeMap::new(),
            commands: BTreeMap::from([("deploy".into(), vec!["sh".into()])]),
            longest_run_ms: 60_000,
            health: None,
            escapes: BTreeSet::new(),
        };
        let inputs =
            [("size", Authority::Broker), ("region", Authority::Customer), ("unused", Authority::Broker)];
        Release {
            vendor: "demo".into(),
            app: "shop".into(),
            channel: "stable".into(),
            version: "1".into(),
            counter: 1,
            created_ms: 0,
            expires_ms: 1,
            rollback_floor: 0,
            notes: String::new(),
            healing: Default::default(),
            tools: BTreeMap::new(),
            components: vec![queue],
            inputs: inputs.into_iter().map(|(name, by)| (name.to_owned(), input(by))).collect(),
            operations: BTreeMap::from([(
                "deploy".into(),
                Operation { class: Class::Change, approval: Approval::None, terms: None },
            )]),
        }
    }

    fn recipe(change: impl FnOnce(&mut Release)) -> Recipe {
        let mut release = release();
        change(&mut release);
        of(&release, &release.components[0])
    }

    #[test]
    fn a_recipe_names_what_it_takes_from_elsewhere() {
        let recipe = recipe(|_| {});
        assert_eq!(recipe.inputs, ["size"]);
        assert_eq!(recipe.outputs, [Taken { component: "network".into(), output: "subnet".into() }]);
        assert!(recipe.customer, "the region is the customer's");
        assert_eq!(recipe.digest.len(), 64);
    }

    #[test]
    fn what_changes_no_result_changes_no_digest() {
        let before = recipe(|_| {});
        let same = |change: fn(&mut Release)| assert_eq!(recipe(change), before);
        same(|r| r.version = "2".into());
        same(|r| r.counter = 7);
        same(|r| r.components[0].longest_run_ms = 1);
        same(|r| r.components[0].needs.clear());
        same(|r| drop(r.components[0].commands.insert("health".into(), vec!["sh".into()])));
        same(|r| r.inputs.get_mut("size").unwrap().description = "how many".into());
        same(|r| r.inputs.get_mut("unused").unwrap().default = None);
    }

    #[test]
    fn what_may_change_the_result_changes_the_digest() {
        let before = recipe(|_| {}).digest;
        let other = |change: fn(&mut Release)| assert_ne!(recipe(change).digest, before);
        other(|r| r.components[0].digest = Digest::of(b"other"));
        other(|r| r.components[0].sandbox = true);
        other(|r| r.components[0].kind = ComponentKind::Terraform);
        other(|r| r.components[0].commands.clear());
        other(|r| r.inputs.get_mut("size").unwrap().default = Some(Value::Integer(2)));
        other(|r| {
            r.components[0].inputs.insert("fixed".into(), Source::Literal(Value::Boolean(false)));
        });
        other(|r| {
            r.tools.insert("sh".into(), Tool { version: ">= 1".into() });
        });
    }
}
