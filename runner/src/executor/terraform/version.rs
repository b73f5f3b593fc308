//! Which program to run, and whether it is one that the release may be run with.

use std::path::{Path, PathBuf};

use remit_seal::document::ComponentKind;
use semver::{Version, VersionReq};
use serde::Deserialize;

use super::HOW_TO_GET;
use crate::executor::tool::not_run;
use crate::outcome::{Class, Failure, Undone};
use crate::process;

#[derive(Deserialize)]
struct Reported {
    terraform_version: String,
}

/// The program that was named, else terraform, else what takes its commands.
pub(super) fn find(named: Option<&Path>, kind: ComponentKind) -> Result<PathBuf, Undone> {
    let known = kind.traits().tool.into_iter().flat_map(|tool| tool.names().map(PathBuf::from));
    let names = named.map_or_else(|| known.collect(), |named| vec![named.to_owned()]);
    let found = names.iter().find_map(|name| process::find(name));
    found.ok_or_else(|| {
        let name = names.first().map(|name| name.display().to_string()).unwrap_or_default();
        not_run(&process::Error::Missing(name), HOW_TO_GET)
    })
}

/// Checks what `terraform version -json` printed against the release's requirement.
pub(super) fn check(json: &[u8], required: Option<&str>) -> Result<(), Failure> {
    let found = found(json).ok_or_else(|| {
        let words = "`terraform version -json` printed something else";
        let hint = "check which program --terraform or the PATH names";
        Failure::new(Class::Bug, "executor.tool_unreadable", words, hint)
    })?;
    let Some(required) = required else { return Ok(()) };
    let wanted = parse(required).map_err(|e| {
        let words = format!("the release requires terraform `{required}`, which is no requirement: {e}");
        Failure::new(
            Class::Bug,
            "executor.tool_requirement",
            words,
            "the vendor corrects [tools] in remit.toml, e.g. terraform = \">= 1.5\"",
        )
    })?;
    if wanted.matches(&found) {
        return Ok(());
    }
    let words = format!("the release requires terraform {required}; this one is {found}");
    let hint =
        "install a terraform that fits on the runner's machine, or start the runner with --terraform FILE";
    Err(Failure::new(Class::Bug, "executor.tool_version", words, hint))
}

fn found(json: &[u8]) -> Option<Version> {
    let reported: Reported = serde_json::from_slice(json).ok()?;
    Version::parse(&reported.terraform_version).ok()
}

/// Requirements as cargo writes them, and terraform's own `~>`.
fn parse(required: &str) -> Result<VersionReq, semver::Error> {
    let parts: Vec<String> = required.split(',').map(|part| translate(part.trim())).collect();
    VersionReq::parse(&parts.join(", "))
}

/// `~> 1.5` lets the last given number grow: 1.x from 1.5; `~> 1.5.2` is 1.5.x from 1.5.2.
fn translate(part: &str) -> String {
    match part.strip_prefix("~>").map(str::trim) {
        Some(version) if version.matches('.').count() >= 2 => format!("~{version}"),
        Some(version) => format!("^{version}"),
        None => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_code(found: &str, required: &str) -> Option<String> {
        let json = format!(r#"{{"terraform_version":"{found}","platform":"linux_amd64"}}"#);
        check(json.as_bytes(), Some(required)).err().map(|f| f.code)
    }

    #[test]
    fn requirements_are_kept() {
        for (found, required, fits) in [
            ("1.11.4", ">= 1.5", true),
            ("1.4.9", ">= 1.5", false),
            ("1.11.4", "~> 1.5", true),
            ("2.0.0", "~> 1.5", false),
            ("1.5.9", "~> 1.5.2", true),
            ("1.6.0", "~> 1.5.2", false),
            ("1.11.4", ">= 1.5, < 1.11", false),
        ] {
            let code = check_code(found, required);
            assert_eq!(code.is_none(), fits, "{found} {required}");
        }
        assert_eq!(check_code("1.11.4", "newest").as_deref(), Some("executor.tool_requirement"));
        assert_eq!(check_code("1.0.0", ">= 1.5").as_deref(), Some("executor.tool_version"));
    }
}
