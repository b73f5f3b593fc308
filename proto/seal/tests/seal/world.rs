//! A vendor, a broker and a runner with everything in order: what each case then spoils.

use std::collections::{BTreeMap, BTreeSet};

use remit_seal::document::{
    Approval, Audience, Authority, Class, Component, ComponentKind, Input, Job, Operation, Output, OutputRef,
    Part, Release, Root, Source, Tool, Value, ValueType,
};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::verify::{self, Bound, Context};
use remit_seal::{Digest, Refusal};

pub(crate) const NOW: i64 = 1_790_000_000_000;
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1_000;

/// A key that can be copied: made of its seed each time.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Ed(u8),
    P256(u8),
}

pub(crate) const ROOT: Key = Key::Ed(1);
pub(crate) const RELEASE: Key = Key::P256(2);
pub(crate) const DISPATCH: Key = Key::Ed(3);
pub(crate) const STRANGER: Key = Key::Ed(9);

impl Key {
    pub(crate) fn signing(self) -> SigningKey {
        match self {
            Key::Ed(seed) => SigningKey::ed25519_from_seed(&[seed; 32]),
            Key::P256(seed) => SigningKey::p256_from_seed(&[seed; 32]).unwrap(),
        }
    }

    pub(crate) fn id(self) -> String {
        self.signing().id()
    }
}

pub(crate) fn sign<T: serde::Serialize>(kind: PayloadType, document: &T, keys: &[Key]) -> Vec<u8> {
    let keys: Vec<SigningKey> = keys.iter().map(|key| key.signing()).collect();
    Envelope::sign(kind, document, &keys.iter().collect::<Vec<_>>()).unwrap().to_bytes()
}

/// Signs a payload that no honest signer would, since its text was changed before.
fn sign_text<T: serde::Serialize>(kind: PayloadType, document: &T, keys: &[Key], change: Rewrite) -> Vec<u8> {
    let payload = change(serde_json::to_string(document).unwrap()).into_bytes();
    let mut envelope = Envelope { payload_type: kind.as_str().to_owned(), payload, signatures: Vec::new() };
    for key in keys {
        envelope.countersign(&key.signing()).unwrap();
    }
    envelope.to_bytes()
}

/// Changes the text of a payload before it is signed.
pub(crate) type Rewrite = fn(String) -> String;
/// Changes the bytes of a container after it was signed.
pub(crate) type Mangle = fn(Vec<u8>) -> Vec<u8>;

/// Everything a verification depends on, to be spoilt.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) root: Root,
    pub(crate) root_signers: Vec<Key>,
    pub(crate) root_text: Rewrite,
    pub(crate) root_mangle: Mangle,
    /// The pinned digest; none stands for the root's own.
    pub(crate) pin: Option<Digest>,
    pub(crate) release: Release,
    pub(crate) release_signers: Vec<Key>,
    pub(crate) release_text: Rewrite,
    pub(crate) release_mangle: Mangle,
    pub(crate) job: Job,
    pub(crate) job_signers: Vec<Key>,
    pub(crate) job_text: Rewrite,
    pub(crate) job_mangle: Mangle,
    /// True to leave the job's release digest as it stands.
    pub(crate) keep_digest: bool,
    pub(crate) audience: Audience,
    pub(crate) now_ms: i64,
    pub(crate) seq_high: u64,
    pub(crate) fence_high: u64,
    pub(crate) counter_floor: u64,
    /// Another release than the job's is said to have made its component.
    pub(crate) made_by: Option<Digest>,
    pub(crate) is_fresh: bool,
}

/// The signed bytes and the pin: all that a vector keeps.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) root: Vec<u8>,
    pub(crate) pin: Digest,
    pub(crate) release: Vec<u8>,
    pub(crate) job: Vec<u8>,
}

impl World {
    pub(crate) fn signed(&self) -> Signed {
        let root = sign_text(PayloadType::Root, &self.root, &self.root_signers, self.root_text);
        let pin = self.pin.unwrap_or_else(|| payload_digest(&root, PayloadType::Root));
        let release =
            sign_text(PayloadType::Release, &self.release, &self.release_signers, self.release_text);
        let mut job = self.job.clone();
        if !self.keep_digest {
            job.release = payload_digest(&release, PayloadType::Release);
        }
        let job = sign_text(PayloadType::Job, &job, &self.job_signers, self.job_text);
        Signed {
            root: (self.root_mangle)(root),
            pin,
            release: (self.release_mangle)(release),
            job: (self.job_mangle)(job),
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        let Self { audience, now_ms, seq_high, fence_high, counter_floor, made_by, is_fresh, .. } = self;
        Context {
            audience,
            now_ms: *now_ms,
            seq_high: *seq_high,
            fence_high: *fence_high,
            counter_floor: *counter_floor,
            made_by: *made_by,
            is_fresh: *is_fresh,
        }
    }
}

pub(crate) fn payload_digest(envelope: &[u8], kind: PayloadType) -> Digest {
    Envelope::parse(envelope, kind).unwrap().payload_digest()
}

/// All that a runner does before it acts: root, release, job, binding.
pub(crate) fn run(signed: &Signed, context: &Context<'_>) -> Result<Bound, Refusal> {
    let root = verify::root(&signed.root, Some(&signed.pin), context.now_ms)?;
    let release = verify::kept_release(&root, &signed.release, context.now_ms)?;
    let job = verify::job(&root, &signed.job, context)?;
    verify::bind(&root, job, &release, context)
}

pub(crate) fn world() -> World {
    let audience = Audience::of_install("ins_demo.shop.acme", 1, 3).unwrap();
    let keys = [ROOT, RELEASE, DISPATCH].map(|key| key.signing().public());
    let root = Root::one_of_one("demo", keys.each_ref(), NOW - DAY, NOW + 365 * DAY).unwrap();
    let as_it_is: Mangle = |bytes| bytes;
    let as_it_reads: Rewrite = |text| text;
    World {
        root,
        root_signers: vec![ROOT],
        root_text: as_it_reads,
        root_mangle: as_it_is,
        pin: None,
        release: release(),
        release_signers: vec![RELEASE],
        release_text: as_it_reads,
        release_mangle: as_it_is,
        job: job(&audience),
        job_signers: vec![DISPATCH],
        job_text: as_it_reads,
        job_mangle: as_it_is,
        keep_digest: false,
        audience,
        now_ms: NOW,
        seq_high: 6,
        fence_high: 0,
        counter_floor: 4,
        made_by: None,
        is_fresh: false,
    }
}

fn job(audience: &Audience) -> Job {
    Job {
        audience: audience.clone(),
        seq: 7,
        job: "job_demo.shop.acme.network.e1.o7".to_owned(),
        attempt: 1,
        fence: 12,
        component: "network".to_owned(),
        operation: "deploy".to_owned(),
        class: Class::Change,
        sandbox: false,
        release: Digest::of(b"replaced when the release is signed"),
        release_counter: 5,
        inputs: map([
            ("debug", Value::Boolean(true)),
            ("size", Value::Integer(3)),
            ("tier", text("gold")),
            ("zones", Value::List(vec![text("a-1"), text("b_2.x")])),
        ]),
        issued_ms: NOW,
        not_before_ms: NOW,
        not_after_ms: NOW + verify::START_WINDOW_MAX_MS,
        longest_run_ms: 600_000,
        rehearsal: None,
        plan: None,
        approvals: Vec::new(),
        break_glass: None,
    }
}

fn release() -> Release {
    Release {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        version: "1.4.0".to_owned(),
        counter: 5,
        created_ms: NOW - DAY,
        expires_ms: NOW + 90 * DAY,
        rollback_floor: 4,
        notes: String::new(),
        healing: Default::default(),
        tools: map([("terraform", Tool { version: ">= 1.5".to_owned() })]),
        components: components(),
        inputs: inputs(),
        operations: map([
            ("deploy", Operation { class: Class::Change, approval: Approval::None, terms: None }),
            ("destroy", Operation { class: Class::Destroy, approval: Approval::None, terms: None }),
            ("drift", Operation { class: Class::Read, approval: Approval::None, terms: None }),
            ("wipe", Operation { class: Class::Destroy, approval: Approval::Customer, terms: None }),
        ]),
    }
}

fn components() -> Vec<Component> {
    let subnet = || OutputRef { component: "network".to_owned(), output: "subnet".to_owned() };
    let mut network = component("network", ComponentKind::Terraform, &[]);
    network.inputs =
        map([("cidr", Source::Literal(text("10.0.0.0/16"))), ("size", Source::Input("size".to_owned()))]);
    network.outputs = map([
        ("key", Output { value_type: ValueType::String, sensitive: true }),
        ("subnet", Output { value_type: ValueType::String, sensitive: false }),
    ]);
    let mut seed = component("seed", ComponentKind::Script, &["network"]);
    seed.commands = map([("deploy", vec!["sh".to_owned(), "deploy.sh".to_owned()])]);
    seed.inputs = map([
        ("subnet", Source::Output(subnet())),
        (
            "greeting",
            Source::Text(vec![
                Part::Literal("hello ".to_owned()),
                Part::Input("tier".to_owned()),
                Part::Output(subnet()),
            ]),
        ),
    ]);
    let mut web = component("web", ComponentKind::Helm, &["network", "seed"]);
    web.sandbox = true;
    vec![network, seed, web]
}

pub(crate) fn component(name: &str, kind: ComponentKind, needs: &[&str]) -> Component {
    Component {
        name: name.to_owned(),
        kind,
        sandbox: false,
        digest: Digest::of(name.as_bytes()),
        size: 1_000,
        needs: needs.iter().map(|name| (*name).to_owned()).collect(),
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        commands: BTreeMap::new(),
        longest_run_ms: 600_000,
        health: None,
        escapes: BTreeSet::new(),
    }
}

fn inputs() -> BTreeMap<String, Input> {
    let mut email = input(ValueType::String, Authority::Customer, 200);
    email.sensitive = true;
    let mut region = input(ValueType::String, Authority::Fixed, 20);
    region.default = Some(text("eu-west-1"));
    let mut size = input(ValueType::Integer, Authority::Broker, 10);
    size.default = Some(Value::Integer(2));
    let mut tier = input(ValueType::String, Authority::Broker, 20);
    tier.choices = vec![text("gold"), text("a; rm -rf /")];
    tier.default = Some(text("gold"));
    let mut zones = input(ValueType::StringList, Authority::Broker, 3);
    zones.default = Some(Value::List(vec![]));
    map([
        ("debug", input(ValueType::Boolean, Authority::Broker, 0)),
        ("email", email),
        ("region", region),
        ("size", size),
        ("tier", tier),
        ("zones", zones),
    ])
}

pub(crate) fn input(value_type: ValueType, authority: Authority, max: u64) -> Input {
    let description = "for a test".to_owned();
    Input { value_type, authority, default: None, max, choices: Vec::new(), sensitive: false, description }
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(crate) fn map<T, const N: usize>(entries: [(&str, T); N]) -> BTreeMap<String, T> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
