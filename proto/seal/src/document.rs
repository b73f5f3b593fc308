//! The signed documents: what a release and a job say. Shapes only; `verify` decides.
//!
//! All times are milliseconds since the Unix epoch (`_ms`), sizes bytes. No floats, no
//! unknown fields, nothing optional that could be left out by mistake.

mod approving;
mod checkpoint;
mod command;
mod failure;
mod glass;
mod healing;
mod health;
mod permit;
mod rehearsal;
mod seen;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

pub use approving::Terms;
pub use checkpoint::Checkpoint;
pub use command::{COMMANDS, RESERVED, SWEEP};
pub use failure::FailureClass;
pub use glass::BreakGlass;
pub use healing::{DriftSchedule, DriftThen, Healing, Rule, RuleAction, RuleClass, RuleMatch, RuleOperation};
pub use health::{HEALTH, Health, UNHEALTHY};
pub use permit::{CHANNEL_DEFAULT, PermitScope, RollbackPermit};
pub use rehearsal::{
    PretendedChanges, PretendedFailure, REHEARSAL_TAKES_MAX_MS, REHEARSAL_TEXT_LEN_MAX, Rehearsal,
};
pub use seen::{AuditCheckpoint, AuditPlace, Seen};

pub use crate::kind::ComponentKind;

/// A typed value: what inputs and outputs are made of. Never a float.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A truth value.
    Boolean(bool),
    /// A whole number, at most 2^53-1 in size.
    Integer(i64),
    /// Text.
    String(String),
    /// A list of values of one type.
    List(Vec<Value>),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// A truth value.
    Boolean,
    /// A whole number.
    Integer,
    /// Text.
    String,
    /// A list of texts.
    StringList,
}

/// What an offline vendor key says may run: an immutable snapshot of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The org's bare name: `demo`, not `org_demo`.
    pub vendor: String,
    /// The app's bare name.
    pub app: String,
    /// The line of releases.
    pub channel: String,
    /// The version, for people.
    pub version: String,
    /// Greater by one with each release of the channel.
    pub counter: u64,
    /// When it was cut.
    pub created_ms: i64,
    /// After this no job may start by it.
    pub expires_ms: i64,
    /// The lowest counter that an install may go back to from this release without a rollback permit; its own
    /// counter where the vendor allowed no going back when it was signed.
    pub rollback_floor: u64,
    /// Tools that the components need, by name.
    pub tools: BTreeMap<String, Tool>,
    /// The components.
    pub components: Vec<Component>,
    /// The product's inputs, by name.
    pub inputs: BTreeMap<String, Input>,
    /// What may be done, by name: `deploy`, `destroy`, `drift`, `adopt`.
    pub operations: BTreeMap<String, Operation>,
    /// What the vendor says about it, for people; a release without notes is written as before there were any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// What is done by itself; a release without it is written as before there was any.
    #[serde(default, skip_serializing_if = "Healing::is_empty")]
    pub healing: Healing,
}

/// A tool that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// A version requirement, e.g. `>= 1.5`.
    pub version: String,
}

/// One part of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name, unique in the release.
    pub name: String,
    /// What runs it.
    pub kind: ComponentKind,
    /// True when only the rehearsal executor may run it.
    pub sandbox: bool,
    /// The digest of its packaged source (tar + zstd).
    pub digest: Digest,
    /// The size of its packaged source.
    pub size: u64,
    /// The components it comes after: those named and those referred to.
    pub needs: Vec<String>,
    /// Where its inputs come from, by name.
    pub inputs: BTreeMap<String, Source>,
    /// What it gives to others, by name.
    pub outputs: BTreeMap<String, Output>,
    /// For a script: the programs for each operation, as argument lists. Empty for other kinds.
    pub commands: BTreeMap<String, Vec<String>>,
    /// How long one job of it may run.
    pub longest_run_ms: i64,
    /// How one sees whether it does its work; a component without a probe is written as before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What its source does that no plan shows, as `verify::is_escape` names it; a source that does more is
    /// refused. A component without any is written as before there were some.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub escapes: BTreeSet<String>,
}

/// Where an input of a component comes from. Resolved by the runner, never by the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// Always this.
    Literal(Value),
    /// An input of the product, with its type kept.
    Input(String),
    /// An output of another component, with its type kept.
    Output(OutputRef),
    /// Text put together of parts.
    Text(Vec<Part>),
}

/// Names an output of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRef {
    /// The component.
    pub component: String,
    /// The output.
    pub output: String,
}

/// One part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Part {
    /// These characters.
    Literal(String),
    /// An input of the product, written out.
    Input(String),
    /// An output of another component, written out.
    Output(OutputRef),
}

/// What a component gives to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its type.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// A sensitive output never leaves the customer's account.
    pub sensitive: bool,
}

/// An input of the product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its type.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// Who may set it.
    pub authority: Authority,
    /// Its value where nobody sets it; an input without one must be set.
    pub default: Option<Value>,
    /// For a text: the most bytes; for a number: the greatest size; for a list: the most entries.
    pub max: u64,
    /// The only values allowed, or empty for any within `max`; of a list, the only entries.
    pub choices: Vec<Value>,
    /// A sensitive input is never logged; only the customer may set it.
    pub sensitive: bool,
    /// For people.
    pub description: String,
}

/// Who may set an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Nobody: the default is the value.
    Fixed,
    /// The customer, on the runner.
    Customer,
    /// The broker, in a job.
    Broker,
}

/// What may be done with a component, and how it is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// How dangerous it is.
    pub class: Class,
    /// Whose approval it needs.
    pub approval: Approval,
    /// How many of the vendor's people must approve, and who; one of them where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

/// How dangerous an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Looks only.
    Read,
    /// Works out what would change.
    Plan,
    /// Makes and changes.
    Change,
    /// Removes.
    Destroy,
}

/// Whose approval an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody's.
    None,
    /// The vendor's.
    Vendor,
    /// The customer's.
    Customer,
    /// Both.
    Both,
}

impl Approval {
    /// The sides that must approve.
    pub fn sides(self) -> &'static [Side] {
        match self {
            Approval::None => &[],
            Approval::Vendor => &[Side::Vendor],
            Approval::Customer => &[Side::Customer],
            Approval::Both => &[Side::Vendor, Side::Customer],
        }
    }
}

/// What the broker asks of one runner: one attempt at one operation on one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// For whom it is; nobody else may run it.
    pub audience: Audience,
    /// Greater with each envelope of the install.
    pub seq: u64,
    /// The job's id.
    pub job: String,
    /// Which try, from 1.
    pub attempt: u32,
    /// Makes every older holder's words void.
    pub fence: u64,
    /// The component.
    pub component: String,
    /// What to do: a name in the release's operations.
    pub operation: String,
    /// Its class; must be the release's.
    pub class: Class,
    /// True when the rehearsal executor must run it.
    pub sandbox: bool,
    /// The digest of the release's payload.
    pub release: Digest,
    /// The release's counter.
    pub release_counter: u64,
    /// Inputs of broker authority, by name.
    pub inputs: BTreeMap<String, Value>,
    /// When it was signed.
    pub issued_ms: i64,
    /// Not to be started before this.
    pub not_before_ms: i64,
    /// Not to be started after this; at most 15 minutes after `not_before_ms`.
    pub not_after_ms: i64,
    /// To be ended after so long.
    pub longest_run_ms: i64,
    /// What to pretend; only ever in a job of sandbox mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
    /// The digest of the plan that was approved: this very plan is carried out, or nothing. Absent
    /// for a job that plans and carries out in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// Who approved that plan, by the broker's word. A runner believes it of the vendor's people
    /// only; what its customer approved it knows itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approved>,
    /// Somebody let it pass the vendor's own rules; by the broker's word, for the customer to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

/// One approval of the plan that a job names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// On whose side the approver stands.
    pub side: Side,
    /// Who, for people: the name of a token, or of a key.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// After this it counts no more.
    pub until_ms: i64,
}

/// On whose side somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The vendor's.
    Vendor,
    /// The customer's.
    Customer,
}

/// The one runner that a job is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// The org's bare name: `demo`, not `org_demo`.
    pub org: String,
    /// The app's bare name.
    pub app: String,
    /// The channel that the install's customer pinned: a release of no other is for it.
    pub channel: String,
    /// The install's bare name; `Audience::of_install` takes an id apart.
    pub install: String,
    /// How many installs have had this name.
    pub epoch: u64,
    /// The runner's generation.
    pub generation: u64,
    /// The cloud account that the runner has proven to be in, 12 digits; absent where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region of that account; absent where no account is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// The vendor's trust root: which keys may sign what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The org's bare name.
    pub vendor: String,
    /// Greater by one with each root.
    pub version: u64,
    /// When it was made.
    pub created_ms: i64,
    /// After this it proves nothing.
    pub expires_ms: i64,
    /// Every key, by its id (sha256 of the SubjectPublicKeyInfo, hexadecimal).
    pub keys: BTreeMap<String, KeySpec>,
    /// Who signs roots.
    pub root: Role,
    /// Who signs releases.
    pub release: Role,
    /// Who signs jobs.
    pub dispatch: Role,
    /// Where one release key suffices neither to destroy nor to go back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroy: Option<DestroyRule>,
}

/// A release allows what destroys only when so many release keys signed it, whatever its channel; and so
/// must a rollback permit be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestroyRule {
    /// How many different release keys must have signed.
    pub threshold: u32,
}

/// A public key and the one algorithm it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// The only algorithm that it verifies.
    pub algorithm: Algorithm,
    /// SubjectPublicKeyInfo, DER, base64.
    pub spki: String,
}

/// How signatures are made. A property of the key, never of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519, strictly verified.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
}

/// Keys and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Ids of keys.
    pub keys: Vec<String>,
    /// How many different ones must sign; at least 1.
    pub threshold: u32,
}

/// What a dispatch key says of now: the time, what may not be gone back to, what counts no more.
///
/// It can only take away: nothing that it says makes anything believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The org's bare name.
    pub vendor: String,
    /// The version of the vendor's newest root.
    pub root_version: u64,
    /// When it was signed.
    pub time_ms: i64,
    /// Until when it is fresh; at most 24 hours after `time_ms`.
    pub expires_ms: i64,
    /// The lowest release counters that may still run, by `app/channel`.
    pub floors: BTreeMap<String, u64>,
    /// Ids of release and dispatch keys that sign nothing any more.
    pub revoked: Vec<String>,
}
