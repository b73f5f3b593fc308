//! Releases, artefacts and jobs as a vendor and a broker would sign them.

use std::collections::{BTreeMap, BTreeSet};

use remit_seal::Digest;
use remit_seal::document::{
    Approval, Authority, Class, Component, ComponentKind, Input, Operation, Output, OutputRef, Part, Release,
    Role, RollbackPermit, Root, Source, Tool, Value, ValueType,
};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;

/// The vendor's and the broker's keys.
pub(crate) struct Vendor {
    root_key: SigningKey,
    release_key: SigningKey,
    /// The broker's.
    pub(crate) dispatch_key: SigningKey,
}

impl Vendor {
    pub(crate) fn new() -> Self {
        Self {
            root_key: SigningKey::ed25519_from_seed(&[1; 32]),
            release_key: SigningKey::p256_from_seed(&[2; 32]).unwrap(),
            dispatch_key: SigningKey::ed25519_from_seed(&[3; 32]),
        }
    }

    /// The signed root and the digest to pin.
    pub(crate) fn root(&self) -> (Vec<u8>, Digest) {
        let keys = [&self.root_key, &self.release_key, &self.dispatch_key];
        let role = |key: &SigningKey| Role { keys: vec![key.id()], threshold: 1 };
        let root = Root {
            vendor: "demo".to_owned(),
            version: 1,
            created_ms: now() - 1000,
            expires_ms: now() + 86_400_000,
            keys: keys.iter().map(|k| (k.id(), k.public())).collect(),
            root: role(&self.root_key),
            release: role(&self.release_key),
            dispatch: role(&self.dispatch_key),
            destroy: None,
        };
        let envelope = Envelope::sign(PayloadType::Root, &root, &[&self.root_key]).unwrap();
        (envelope.to_bytes(), envelope.payload_digest())
    }

    /// A root signed by the root key.
    pub(crate) fn sign_root(&self, root: &Root) -> Vec<u8> {
        Envelope::sign(PayloadType::Root, root, &[&self.root_key]).unwrap().to_bytes()
    }

    pub(crate) fn sign_permit(&self, permit: &RollbackPermit) -> Vec<u8> {
        Envelope::sign(PayloadType::Permit, permit, &[&self.release_key]).unwrap().to_bytes()
    }

    /// A signed release of these components.
    pub(crate) fn release(&self, release: &Release) -> (Vec<u8>, Digest) {
        let envelope = Envelope::sign(PayloadType::Release, release, &[&self.release_key]).unwrap();
        (envelope.to_bytes(), envelope.payload_digest())
    }
}

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Packs files as `remit release create` does: tar + zstd.
pub(crate) fn pack(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    zstd::encode_all(&tar.into_inner().unwrap()[..], 3).unwrap()
}

/// A component, with its packed source.
pub(crate) struct Made {
    pub(crate) component: Component,
    pub(crate) packed: Vec<u8>,
}

pub(crate) fn part(name: &str, kind: ComponentKind, packed: Vec<u8>) -> Made {
    let component = Component {
        name: name.to_owned(),
        kind,
        sandbox: false,
        digest: Digest::of(&packed),
        size: packed.len() as u64,
        needs: Vec::new(),
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        commands: BTreeMap::new(),
        longest_run_ms: 60_000,
        health: None,
        escapes: BTreeSet::new(),
    };
    Made { component, packed }
}

/// A script component whose deploy, destroy and drift are these shell texts.
pub(crate) fn script(name: &str, deploy: &str) -> Made {
    let packed = pack(&[("deploy.sh", deploy)]);
    let mut part = part(name, ComponentKind::Script, packed);
    part.command("deploy", &["sh", "deploy.sh"]);
    part
}

impl Made {
    pub(crate) fn command(&mut self, operation: &str, words: &[&str]) {
        let words = words.iter().map(|w| (*w).to_owned()).collect();
        self.component.commands.insert(operation.to_owned(), words);
    }

    pub(crate) fn output(mut self, name: &str, value_type: ValueType, sensitive: bool) -> Self {
        self.component.outputs.insert(name.to_owned(), Output { value_type, sensitive });
        self
    }

    pub(crate) fn input(mut self, name: &str, source: Source) -> Self {
        let outputs: Vec<&OutputRef> = match &source {
            Source::Output(of) => vec![of],
            Source::Text(parts) => parts.iter().filter_map(output_of).collect(),
            Source::Literal(_) | Source::Input(_) => Vec::new(),
        };
        for of in outputs {
            if !self.component.needs.contains(&of.component) {
                self.component.needs.push(of.component.clone());
            }
        }
        self.component.inputs.insert(name.to_owned(), source);
        self
    }

    pub(crate) fn declares(mut self, escape: &str) -> Self {
        self.component.escapes.insert(escape.to_owned());
        self
    }

    pub(crate) fn longest(mut self, ms: i64) -> Self {
        self.component.longest_run_ms = ms;
        self
    }
}

fn output_of(part: &Part) -> Option<&OutputRef> {
    match part {
        Part::Output(of) => Some(of),
        Part::Literal(_) | Part::Input(_) => None,
    }
}

pub(crate) fn literal(text: &str) -> Source {
    Source::Literal(Value::String(text.to_owned()))
}

pub(crate) fn output_ref(component: &str, output: &str) -> OutputRef {
    OutputRef { component: component.to_owned(), output: output.to_owned() }
}

/// A release of these components, with every operation and one input of each authority.
pub(crate) fn release(parts: &[&Made]) -> Release {
    let operation = |class| Operation { class, approval: Approval::None, terms: None };
    Release {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        version: "1.0.0".to_owned(),
        counter: 3,
        created_ms: now() - 1000,
        expires_ms: now() + 86_400_000,
        rollback_floor: 2,
        notes: String::new(),
        healing: Default::default(),
        tools: BTreeMap::from([("terraform".to_owned(), Tool { version: ">= 1.5".to_owned() })]),
        components: parts.iter().map(|p| p.component.clone()).collect(),
        inputs: BTreeMap::from([
            ("greeting".to_owned(), input(Authority::Fixed, false, Some("hello"))),
            ("size".to_owned(), input(Authority::Broker, false, Some("small"))),
            ("secret".to_owned(), input(Authority::Customer, true, None)),
        ]),
        operations: BTreeMap::from([
            ("deploy".to_owned(), operation(Class::Change)),
            ("destroy".to_owned(), operation(Class::Destroy)),
            ("drift".to_owned(), operation(Class::Read)),
        ]),
    }
}

fn input(authority: Authority, sensitive: bool, default: Option<&str>) -> Input {
    Input {
        value_type: ValueType::String,
        authority,
        default: default.map(|d| Value::String(d.to_owned())),
        max: 100,
        choices: Vec::new(),
        sensitive,
        description: String::new(),
    }
}
