//! Which signals are taken at the door: what needs more checks than a bare signal can show, who may
//! send what, whether the parent is there and has room, and whether inputs fit the release.
//!
//! Room is what is committed when the signal comes: creations at the same instant may pass together.

use std::collections::BTreeMap;

use http::StatusCode;
use remit_loops::scenario::{Invalid, Scenario};
use remit_loops::values::Values;
use remit_loops::view::Detail;
use remit_loops::{Kind, ObjectId, Signal, app, install, org, runner};
use remit_seal::Digest;
use remit_seal::document::{Authority, Input, Release};
use remit_seal::verify;

use super::error::ApiError;
use super::request::Target;
use super::wire::Scope;
use crate::dispatch;
use crate::edge::Edge;
use crate::engine::Snapshot;

/// How many slips of the finger lie between two names that may be meant for one.
const NEAR: usize = 2;

/// Refuses what must not be taken; nothing is stored before.
pub(super) async fn check(edge: &Edge, target: &Target, signal: &Signal) -> Result<(), ApiError> {
    check_bare(signal)?;
    let id = &target.id;
    match signal {
        Signal::Org(org::Signal::SetQuotas { .. }) if target.caller.0.scope != Scope::Operator => {
            Err(ApiError::operator_only())
        }
        Signal::App(app::Signal::Create {}) => {
            check_parent(edge, id).await?;
            check_room(edge, id).await
        }
        Signal::Install(install::Signal::SetScenario { scenario: Some(scenario) }) => {
            check_scenario(edge, id, scenario).await
        }
        Signal::Install(install::Signal::Create { inputs, rehearsal, .. }) => {
            check_parent(edge, id).await?;
            if let Some(scenario) = rehearsal.as_ref().and_then(|r| r.scenario.as_ref()) {
                check_scenario(edge, id, scenario).await?;
            }
            check_room(edge, id).await?;
            check_inputs(edge, id, inputs).await
        }
        Signal::Install(install::Signal::Deploy { version: Some(version) }) => {
            check_version(edge, id, version).await
        }
        Signal::Install(install::Signal::SetInputs { inputs }) => check_inputs(edge, id, inputs).await,
        Signal::Org(_) | Signal::App(_) | Signal::Install(_) | Signal::Component(_) | Signal::Runner(_) => {
            Ok(())
        }
    }
}

/// Some signals are only what the broker itself sends, after it has checked more.
fn check_bare(signal: &Signal) -> Result<(), ApiError> {
    let (what, instead) = match signal {
        Signal::Org(org::Signal::Create {}) => ("`create` of an org", "POST /v1/orgs"),
        Signal::App(app::Signal::Publish { .. }) => ("`publish`", "POST /v1/orgs/{org}/releases"),
        Signal::Runner(runner::Signal::Expect { .. }) => {
            ("`expect`", "POST /v1/objects/{install}/runner-token")
        }
        Signal::Org(_) | Signal::App(_) | Signal::Install(_) | Signal::Component(_) | Signal::Runner(_) => {
            return Ok(());
        }
    };
    let message = format!("{what} cannot be sent as a bare signal");
    Err(ApiError::unprocessable("api.signal_reserved", message, format!("use {instead}")))
}

async fn check_parent(edge: &Edge, id: &ObjectId) -> Result<(), ApiError> {
    let Some(parent) = id.parent() else { return Ok(()) };
    if edge.engine.query(&parent).await?.is_some() {
        return Ok(());
    }
    let hint = match parent.kind() {
        Kind::App => "publish a release of it first: `remit release create`",
        Kind::Org | Kind::Install | Kind::Component | Kind::Runner => "make it first: `remit org create`",
    };
    let message = format!("there is no {} {parent} for {id}", parent.kind());
    Err(ApiError::new(StatusCode::NOT_FOUND, "api.parent_missing", message, hint))
}

/// Whether the org's quota has room for one more. What is there already is its loop's matter.
pub(super) async fn check_room(edge: &Edge, id: &ObjectId) -> Result<(), ApiError> {
    let org = ObjectId::new(Kind::Org, &[id.org_name()]);
    let org = org.map_err(|e| ApiError::internal("api.internal", &e))?;
    let Some(tenant) = edge.engine.query(&org).await? else { return Ok(()) };
    let Some(tenant) = tenant.object.as_org() else { return Ok(()) };
    let quotas = tenant.quotas();
    let (there, max, what) = match id.kind() {
        Kind::App => (room_taken(id, tenant.apps()), quotas.apps, "apps"),
        Kind::Install => {
            let Some(app) = app_of(edge, id).await? else { return Ok(()) };
            let installs = app.object.as_app().map(app::App::installs);
            let there = installs.and_then(|installs| room_taken(id, installs));
            (there, quotas.installs_per_app, "installs of one app")
        }
        Kind::Org | Kind::Component | Kind::Runner => return Ok(()),
    };
    let Some(there) = there.filter(|there| *there >= max as usize) else { return Ok(()) };
    let message = format!("{org} may hold {max} {what}, and holds {there}");
    let hint = format!("delete one, or ask the broker's operator: `remit signal {org} set_quotas …`");
    Err(ApiError::conflict("api.quota", message, hint))
}

/// How many there are already, if this one would be one more.
fn room_taken(id: &ObjectId, siblings: &remit_loops::Children) -> Option<usize> {
    (!siblings.contains(id)).then_some(siblings.len())
}

/// The app of an install, if it is there.
async fn app_of(edge: &Edge, install: &ObjectId) -> Result<Option<Snapshot>, ApiError> {
    match install.parent() {
        Some(app) => Ok(edge.engine.query(&app).await?),
        None => Ok(None),
    }
}

/// A scenario says something about components that there are.
async fn check_scenario(edge: &Edge, install: &ObjectId, scenario: &Scenario) -> Result<(), ApiError> {
    let hint = "`remit scenario check FILE` finds every such mistake";
    let wrong =
        |code, e: &Invalid| ApiError::unprocessable(code, format!("the scenario is wrong: {e}"), hint);
    scenario.check().map_err(|e| wrong("scenario.form", &e))?;
    let Some(app) = app_of(edge, install).await? else { return Ok(()) };
    let releases = app.object.as_app().map(app::App::releases).unwrap_or_default();
    let Some(newest) = releases.last() else { return Ok(()) };
    let names: Vec<&str> = newest.components.iter().map(|c| c.name.as_str()).collect();
    scenario.check_components(&names).map_err(|e| wrong("scenario.unknown_component", &e))
}

/// A deploy of a release that the app does not have would only be stopped later.
async fn check_version(edge: &Edge, install: &ObjectId, version: &str) -> Result<(), ApiError> {
    let Some(app) = app_of(edge, install).await? else { return Ok(()) };
    let releases = app.object.as_app().map(app::App::releases).unwrap_or_default();
    if releases.iter().any(|release| release.version == version) {
        return Ok(());
    }
    let newest: Vec<&str> = releases.iter().rev().take(5).map(|r| r.version.as_str()).collect();
    let hint = match newest.as_slice() {
        [] => "it has none yet: `remit release create`".to_owned(),
        newest => format!("its newest are {}; `remit release list` shows more", newest.join(", ")),
    };
    Err(ApiError::unprocessable("api.release_unknown", format!("{} has no release {version}", app.id), hint))
}

/// Inputs must be what an envelope can say, and what a release knows and allows, where one is known.
async fn check_inputs(edge: &Edge, install: &ObjectId, inputs: &Values) -> Result<(), ApiError> {
    let values = dispatch::inputs(inputs).map_err(|message| {
        let hint = "give each input as a JSON text: 2, true, \"small\", [\"a\",\"b\"]";
        ApiError::unprocessable("api.input_invalid", message, hint)
    })?;
    if values.is_empty() {
        return Ok(());
    }
    let releases = releases(edge, install).await?;
    let Some(newest) = releases.first() else { return Ok(()) };
    for (name, value) in &values {
        let spec = releases.iter().find_map(|release| release.inputs.get(name));
        let spec = spec.ok_or_else(|| unknown(name, newest))?;
        if spec.authority != Authority::Broker {
            return Err(not_ours(name, spec.authority));
        }
        verify::broker_input_fits(name, spec, value).map_err(|refusal| {
            let hint = describe(name, spec);
            ApiError::unprocessable("api.input_invalid", format!("input `{name}`: {refusal}"), hint)
        })?;
    }
    Ok(())
}

/// The releases that say which inputs there are: the app's newest, then the one that the install is on.
async fn releases(edge: &Edge, install: &ObjectId) -> Result<Vec<Release>, ApiError> {
    let mut digests = vec![];
    if let Some(app) = app_of(edge, install).await? {
        let newest = app.object.as_app().and_then(|app| app.releases().last());
        digests.extend(newest.map(|newest| newest.digest.clone()));
    }
    if let Some(found) = edge.engine.query(install).await?
        && let Detail::Install { release: Some(release), .. } = found.object.view().detail
    {
        digests.push(release.digest);
    }
    digests.dedup();
    let org = install.org_name();
    let Some(root) = edge.trust.newest(org).await? else { return Ok(vec![]) };
    let mut releases = vec![];
    for digest in digests {
        let Ok(digest) = digest.parse::<Digest>() else { continue };
        let signed = edge.artifacts.release(org, &digest).await?;
        // One that proves nothing any more runs nothing either.
        if let Ok(verified) = verify::release(&root, &signed, edge.engine.now().0) {
            releases.push(verified.get().clone());
        }
    }
    Ok(releases)
}

fn unknown(name: &str, newest: &Release) -> ApiError {
    let ours: BTreeMap<&str, &Input> = newest
        .inputs
        .iter()
        .filter(|(_, spec)| spec.authority == Authority::Broker)
        .map(|(name, spec)| (name.as_str(), spec))
        .collect();
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let near = ours.keys().copied().min_by_key(distance).filter(|known| distance(known) <= NEAR);
    let all = ours.keys().copied().collect::<Vec<_>>().join(", ");
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if ours.is_empty() => "it has no inputs that the vendor may set for an install".to_owned(),
        None => format!("it has: {all}"),
    };
    let message = format!("release {} has no input `{name}`", newest.version);
    ApiError::unprocessable("api.input_unknown", message, hint)
}

fn not_ours(name: &str, authority: Authority) -> ApiError {
    let (who, hint) = match authority {
        Authority::Customer => {
            ("the customer sets it on the runner", "`remit-runner run --input NAME=VALUE`")
        }
        Authority::Fixed | Authority::Broker => {
            ("the release fixes it", "cut a release with another default")
        }
    };
    ApiError::unprocessable("api.input_authority", format!("input `{name}` is not yours to set: {who}"), hint)
}

fn describe(name: &str, spec: &Input) -> String {
    let allowed: Vec<String> =
        spec.choices.iter().map(|c| serde_json::to_string(c).unwrap_or_default()).collect();
    let kind = serde_json::to_value(spec.value_type).ok();
    let kind = kind.as_ref().and_then(|k| k.as_str()).unwrap_or("value");
    if allowed.is_empty() {
        format!("`{name}` is a {kind} of at most {}; {}", spec.max, spec.description)
    } else {
        format!("`{name}` is a {kind}, one of {}; {}", allowed.join(", "), spec.description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_more_checks_is_no_bare_signal() {
        let create = Signal::Org(org::Signal::Create {});
        assert_eq!(check_bare(&create).unwrap_err().code, "api.signal_reserved");
    }
}
