//! The remit: what the customer lets the vendor do, as a Cedar policy that the runner keeps to.
//!
//! What nothing permits is refused, a forbidding rule wins, and a rule that cannot be evaluated refuses
//! too. A policy that does not parse or does not fit the schema stops the runner from starting.

pub mod approval;
pub mod consent;
pub mod decision_log;
mod question;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use cedar_policy::{Authorizer, Effect, PolicySet, Schema, ValidationMode, Validator};
use remit_seal::Digest;
use serde::Serialize;

use crate::error::Coded;
use crate::storage::data_dir::read_bounded;
use crate::storage::journal::Reference;

pub use decision_log::Past;
pub use question::{Clock, Program, Question, Release, class_word};

/// What a runner keeps to that was given no policy.
pub const DEFAULT: &str = include_str!("../policy/default.cedar");
/// For trying out: everything is permitted.
pub const DEMO: &str = include_str!("../policy/demo.cedar");
/// What a policy can ask about.
pub const SCHEMA: &str = include_str!("../policy/remit.cedarschema");

/// The longest policy, in bytes.
const LEN_MAX: u64 = 1 << 20;
const VERSION: &str = "// version: ";

/// Why a policy cannot be kept to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the policy {path}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no Cedar, or asks for what there is not.
    #[error("the policy {name} is not valid: {detail}")]
    Invalid {
        /// Which.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// It says no version in its first line.
    #[error("the policy {0} does not begin with `// version: NUMBER`")]
    Version(String),
    /// An earlier policy than the one that was kept to before, or a changed one of the same version.
    #[error("the policy is version {found}; version {kept} was kept to before, and it was another text")]
    Older {
        /// Its version.
        found: u64,
        /// The version before.
        kept: u64,
    },
    /// A file that holds no question.
    #[error("{path} is no question that a runner has kept: {detail}")]
    Question {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Unreadable { .. } => "policy.unreadable",
            Error::Invalid { .. } => "policy.invalid",
            Error::Version(_) => "policy.version_missing",
            Error::Older { .. } => "policy.version_old",
            Error::Question { .. } => "policy.question_invalid",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Unreadable { .. } => "check the file of --policy and who may read it".to_owned(),
            Error::Invalid { .. } => "`remit-runner policy show schema` says what rules can use; check the corrected file with `remit-runner policy check FILE`".to_owned(),
            Error::Version(_) => "write `// version: 1` into its first line, and raise the number with each change".to_owned(),
            Error::Older { kept, .. } => format!("raise the version in its first line to {} or more", kept + 1),
            Error::Question { .. } => "give files of the data directory's folder `questions`".to_owned(),
        }
    }
}

/// A policy that was parsed and checked against the schema.
pub struct Policy {
    set: PolicySet,
    authorizer: Authorizer,
    reference: Reference,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policy(version {}, {})", self.reference.version, self.reference.sha256)
    }
}

/// What forbids or permits, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Go on.
    Permitted,
    /// Wait until the rule no longer applies.
    Held,
    /// Wait until the customer approves.
    NeedsApproval,
    /// The source does what its release does not declare; no policy can permit that.
    Undeclared,
    /// A rule forbids it.
    Forbidden,
    /// No rule permits it.
    NotPermitted,
    /// A rule could not be evaluated.
    Unclear,
}

impl Answer {
    /// The stable code of it, where it does not let the job go on.
    pub fn code(self) -> &'static str {
        match self {
            Answer::Permitted => "policy.permitted",
            Answer::Held => "policy.held",
            Answer::NeedsApproval => "policy.approval_needed",
            Answer::Undeclared => "policy.undeclared",
            Answer::Forbidden => "policy.forbidden",
            Answer::NotPermitted => "policy.not_permitted",
            Answer::Unclear => "policy.unclear",
        }
    }
}

/// A rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its `@id`.
    pub id: String,
    /// Its `@says`.
    pub says: String,
    /// Whether it forbids.
    pub forbids: bool,
}

/// An answer with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What comes of it.
    pub answer: Answer,
    /// The rules that decided it.
    pub rules: Vec<Rule>,
    /// What could not be evaluated.
    pub errors: Vec<String>,
}

impl Decision {
    /// In words, for people.
    pub fn words(&self) -> String {
        let reasons: Vec<String> = self.rules.iter().map(|r| format!("{} [{}]", r.says, r.id)).collect();
        let reasons = reasons.join("; ");
        match self.answer {
            Answer::Permitted => format!("permitted: {reasons}"),
            Answer::Held => format!("held by the customer's policy: {reasons}"),
            Answer::NeedsApproval => format!("the customer must approve: {reasons}"),
            Answer::Undeclared => format!("refused: {reasons}"),
            Answer::Forbidden => format!("forbidden by the customer's policy: {reasons}"),
            Answer::NotPermitted => "nothing in the customer's policy permits it".to_owned(),
            Answer::Unclear => format!("the policy could not be evaluated: {}", self.errors.join("; ")),
        }
    }
}

impl Policy {
    /// The one in a file, or the default.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = file else { return Self::parse("default", DEFAULT) };
        let io = |source| Error::Unreadable { path: path.to_owned(), source };
        let missing = || io(std::io::Error::from(std::io::ErrorKind::NotFound));
        let bytes = read_bounded(path, LEN_MAX).map_err(io)?.ok_or_else(missing)?;
        Self::parse(&path.display().to_string(), &String::from_utf8_lossy(&bytes))
    }

    /// Parses a text and holds it against the schema.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let invalid = |detail: String| Error::Invalid { name: name.to_owned(), detail };
        let version = text.lines().next().and_then(|line| line.strip_prefix(VERSION)?.trim().parse().ok());
        let version = version.ok_or_else(|| Error::Version(name.to_owned()))?;
        let set = PolicySet::from_str(text).map_err(|e| invalid(place(text, &e)))?;
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| invalid(e.to_string()))?;
        let checked = Validator::new(schema).validate(&set, ValidationMode::Strict);
        if !checked.validation_passed() {
            let errors: Vec<String> = checked.validation_errors().map(ToString::to_string).collect();
            return Err(invalid(errors.join("; ")));
        }
        check_effects(&set).map_err(invalid)?;
        let sha256 = Digest::of(text.as_bytes()).hex();
        Ok(Self { set, authorizer: Authorizer::new(), reference: Reference { version, sha256 } })
    }

    /// Which one it is.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// How many rules it has.
    pub fn rules(&self) -> usize {
        self.set.policies().count()
    }

    /// Whether it may follow the one that was kept to before: newer, or the same.
    pub fn check_follows(&self, kept: Option<&Reference>) -> Result<(), Error> {
        match kept {
            Some(kept) if *kept != self.reference && self.reference.version <= kept.version => {
                Err(Error::Older { found: self.reference.version, kept: kept.version })
            }
            _ => Ok(()),
        }
    }

    /// What comes of this question: what it says, unless the source is not what the vendor signed. Then
    /// there are two reasons where a rule forbids it, too, and both are named.
    pub fn decide(&self, question: &Question) -> Decision {
        let mut decision = self.answer(question);
        let undeclared = question.undeclared();
        if !undeclared.is_empty() {
            decision.rules.retain(|rule| rule.forbids);
            decision.rules.insert(0, undeclared_rule(&undeclared));
            decision.answer = Answer::Undeclared;
        }
        decision
    }

    fn answer(&self, question: &Question) -> Decision {
        let (request, entities) = match question.request() {
            Ok(asked) => asked,
            Err(error) => {
                return Decision { answer: Answer::Unclear, rules: Vec::new(), errors: vec![error] };
            }
        };
        let response = self.authorizer.is_authorized(&request, &self.set, &entities);
        let errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
        let deciding: Vec<_> = response.diagnostics().reason().filter_map(|id| self.set.policy(id)).collect();
        let mut rules: Vec<Rule> = deciding.iter().map(|policy| rule(policy)).collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let answer = if !errors.is_empty() {
            // A forbidding rule that failed would be as if it were not there.
            Answer::Unclear
        } else if response.decision() == cedar_policy::Decision::Allow {
            Answer::Permitted
        } else if deciding.is_empty() {
            Answer::NotPermitted
        } else if deciding.iter().any(|policy| policy.annotation(EFFECT).is_none()) {
            Answer::Forbidden
        } else if deciding.iter().any(|policy| policy.annotation(EFFECT) == Some(HOLD)) {
            Answer::Held
        } else {
            Answer::NeedsApproval
        };
        Decision { answer, rules, errors }
    }
}

const EFFECT: &str = "effect";
const HOLD: &str = "hold";
const APPROVE: &str = "approve";

fn rule(policy: &cedar_policy::Policy) -> Rule {
    let id = policy.annotation("id").map_or_else(|| policy.id().to_string(), str::to_owned);
    let says = policy.annotation("says").map_or_else(|| format!("rule {id}"), str::to_owned);
    Rule { id, says, forbids: policy.effect() == Effect::Forbid }
}

/// The one rule that stands in no policy.
fn undeclared_rule(names: &[&str]) -> Rule {
    let says = format!("the signed release does not declare what its source does: {}", names.join(", "));
    Rule { id: "undeclared".to_owned(), says, forbids: true }
}

/// A misspelt effect would turn a hold into a refusal, or be believed to do what it does not.
fn check_effects(set: &PolicySet) -> Result<(), String> {
    for policy in set.policies() {
        match (policy.annotation(EFFECT), policy.effect()) {
            (None | Some(HOLD | APPROVE), Effect::Forbid) | (None, Effect::Permit) => {}
            (Some(other), _) => {
                let id = rule(policy).id;
                return Err(format!(
                    "rule {id} has the effect `{other}`: a forbidding rule may have `hold` or `approve`"
                ));
            }
        }
    }
    if set.templates().next().is_some() {
        return Err("templates are not used here: write whole rules".to_owned());
    }
    Ok(())
}

/// A parser's words with the line that they are about.
fn place(text: &str, errors: &cedar_policy::ParseErrors) -> String {
    use miette::Diagnostic;
    let lines = errors.iter().map(|error| {
        let at = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        let line =
            at.map(|at| text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1);
        line.map_or_else(|| error.to_string(), |line| format!("line {line}: {error}"))
    });
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
