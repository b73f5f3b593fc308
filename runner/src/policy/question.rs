//! What a policy is asked: who wants to do what with which part, when, and with what effect. It holds no
//! value of an input, so that it can be kept and asked again.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use jiff::tz::TimeZone;
use remit_seal::document::{Class, ComponentKind};
use remit_seal::verify::Bound;
use serde::{Deserialize, Serialize};

use super::approval::judge::Asked;
use crate::outcome::{PlanFacts, SourceFacts};

/// One question; everything that a rule can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The vendor's bare name.
    pub vendor: String,
    /// The job.
    pub job: String,
    /// The component.
    pub component: String,
    /// Its kind.
    pub kind: String,
    /// The operation.
    pub operation: String,
    /// How dangerous the release says that it is.
    pub class: String,
    /// The release.
    pub release: Release,
    /// Only rehearsed.
    pub rehearsal: bool,
    /// The customer approved it.
    pub approved: bool,
    /// Somebody of the vendor broke the glass: the vendor's own rules did not hold it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// The runner's clock.
    pub now: Clock,
    /// How many resources the plans of the last 24 hours removed.
    pub removed_24h: u32,
    /// What the signed release says that the source does beyond what a plan shows.
    #[serde(default)]
    pub declares: BTreeSet<String>,
    /// The program of the vendor's that is run, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// What of the source runs programs or fetches code, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escapes: Option<BTreeSet<String>>,
    /// What else the source says, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceFacts>,
    /// What would be changed, once it is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanFacts>,
}

/// A program of the vendor's: its source, its command and what it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Names it and no other, hexadecimal.
    pub digest: String,
    /// The customer approved every run of it.
    pub approved: bool,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// Its counter.
    pub counter: u64,
    /// Its channel.
    pub channel: String,
}

/// A time of day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// 0 to 23.
    pub hour: i8,
    /// 0 to 59.
    pub minute: i8,
    /// Mon to Sun.
    pub weekday: String,
}

impl Clock {
    /// The time in a zone.
    pub fn at(now_ms: i64, zone: &TimeZone) -> Self {
        let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(zone.clone());
        let weekday = match now.weekday() {
            jiff::civil::Weekday::Monday => "Mon",
            jiff::civil::Weekday::Tuesday => "Tue",
            jiff::civil::Weekday::Wednesday => "Wed",
            jiff::civil::Weekday::Thursday => "Thu",
            jiff::civil::Weekday::Friday => "Fri",
            jiff::civil::Weekday::Saturday => "Sat",
            jiff::civil::Weekday::Sunday => "Sun",
        };
        Self { hour: now.hour(), minute: now.minute(), weekday: weekday.to_owned() }
    }
}

impl Question {
    /// Of a job that was verified and bound, before anything of it is done.
    pub fn of(bound: &Bound, asked: &Asked, now: Clock, removed_24h: u32) -> Self {
        let release = &bound.release;
        Self {
            vendor: release.vendor.clone(),
            job: bound.job.job.clone(),
            component: bound.component.name.clone(),
            kind: bound.component.kind.as_str().to_owned(),
            operation: bound.job.operation.clone(),
            class: class_word(bound.job.class).to_owned(),
            release: Release {
                version: release.version.clone(),
                counter: release.counter,
                channel: release.channel.clone(),
            },
            rehearsal: asked.content.rehearsal,
            approved: false,
            break_glass: bound.job.break_glass.is_some(),
            now,
            removed_24h,
            declares: bound.component.escapes.clone(),
            program: asked
                .program
                .as_ref()
                .map(|program| Program { digest: program.digest().hex(), approved: false }),
            escapes: None,
            source: None,
            plan: None,
        }
    }

    /// With what the source says.
    pub fn set_source(&mut self, facts: Option<SourceFacts>) {
        self.escapes = facts.as_ref().map(|facts| facts.escapes.clone());
        self.source = facts;
    }

    /// What the source does that its release does not declare: whatever a policy says, it is not what the
    /// vendor signed.
    pub fn undeclared(&self) -> Vec<&str> {
        let found = self.escapes.iter().flatten();
        found.filter(|escape| !self.declares.contains(*escape)).map(String::as_str).collect()
    }

    /// As Cedar wants it.
    pub(super) fn request(&self) -> Result<(Request, Entities), String> {
        let words = |e: &dyn std::fmt::Display| e.to_string();
        let vendor = uid("Vendor", &self.vendor)?;
        let action = uid("Action", &self.operation)?;
        let component = uid("Component", &self.component)?;
        let kind = RestrictedExpression::new_string(self.kind.clone());
        let planned =
            ComponentKind::ALL.into_iter().any(|k| k.as_str() == self.kind && k.traits().is_planned);
        let planned = RestrictedExpression::new_bool(planned);
        let attributes = HashMap::from([("kind".to_owned(), kind), ("planned".to_owned(), planned)]);
        let entity = Entity::new(component.clone(), attributes, HashSet::new()).map_err(|e| words(&e))?;
        let others = [vendor.clone(), action.clone()].map(|uid| Entity::new_no_attrs(uid, HashSet::new()));
        let all = others.into_iter().chain([entity]);
        let entities = Entities::from_entities(all, None).map_err(|e| words(&e))?;
        let context = Context::from_json_value(self.context(), None).map_err(|e| words(&e))?;
        let request = Request::new(vendor, action, component, context, None).map_err(|e| words(&e))?;
        Ok((request, entities))
    }

    fn context(&self) -> serde_json::Value {
        let mut context = serde_json::json!({
            "class": self.class,
            "release": self.release,
            "rehearsal": self.rehearsal,
            "approved": self.approved,
            "break_glass": self.break_glass,
            "now": self.now,
            "removed_24h": self.removed_24h,
            "declares": self.declares,
        });
        if let Some(program) = &self.program {
            context["program"] = serde_json::json!(program);
        }
        if let Some(escapes) = &self.escapes {
            context["escapes"] = serde_json::json!(escapes);
        }
        if let Some(SourceFacts { escapes: _, data, modules, providers, packages }) = &self.source {
            context["source"] = serde_json::json!({
                "data": data, "modules": modules, "providers": providers, "packages": packages,
            });
        }
        if let Some(plan) = &self.plan {
            context["plan"] = serde_json::json!(plan);
        }
        context
    }
}

/// The word of a class in rules.
pub fn class_word(class: Class) -> &'static str {
    match class {
        Class::Read => "read",
        Class::Plan => "plan",
        Class::Change => "change",
        Class::Destroy => "destroy",
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(|e: cedar_policy::ParseErrors| e.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
