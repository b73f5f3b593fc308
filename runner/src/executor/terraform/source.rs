//! What a component's source says, read from where it was unpacked, and what `init` fetched beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use remit_terraform::{Code, FILE_LEN_MAX, Inventory, Place, Reader, Refused};
use serde::Deserialize;

use crate::executor::tool::disk;
use crate::outcome::{Class, Failure, Undone};
use crate::storage::data_dir::read_left;

/// The longest list of modules, in bytes.
const MODULES_LEN_MAX: u64 = 4 << 20;
/// The longest lock file, in bytes.
const LOCK_LEN_MAX: u64 = 1 << 20;
/// How many refusals are told at once.
const TOLD_MAX: usize = 8;

/// Reads all of an unpacked source. What cannot be read with certainty, or may not be there, fails the attempt
/// before anything of it runs.
pub(super) fn read(dir: &Path) -> Result<Inventory, Undone> {
    let mut reader = Reader::of_package();
    walk(dir, "", &mut reader).map_err(|e| disk(&e))?;
    reader.finish().map_err(|refused| failed(&refused))
}

fn walk(dir: &Path, below: &str, reader: &mut Reader) -> io::Result<()> {
    for entry in fs::read_dir(dir.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{below}{}", name.to_string_lossy());
        let is_dir = entry.file_type()?.is_dir();
        if reader.wants(&path) && !is_dir {
            let bytes = read_left(&dir.join(&path), FILE_LEN_MAX as u64)?.unwrap_or_default();
            reader.file(&path, &bytes);
        }
        // What is too deep was refused by its path.
        if is_dir && path.split('/').count() <= remit_terraform::DEPTH_MAX {
            walk(dir, &format!("{path}/"), reader)?;
        }
    }
    Ok(())
}

/// Terraform's own list of the modules that it will load.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modules {
    #[serde(default)]
    modules: Vec<Module>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    source: String,
    dir: String,
}

/// Reads the modules that `init` fetched from elsewhere. One that terraform takes from a place that is neither in
/// the source nor among what it fetched is refused.
pub(super) fn read_fetched(source: &Path, data: &Path) -> Result<Inventory, Undone> {
    let list = data.join("modules").join("modules.json");
    let Some(json) = read_left(&list, MODULES_LEN_MAX).map_err(|e| disk(&e))? else {
        return Ok(Inventory::default());
    };
    let modules: Modules = serde_json::from_slice(&json).map_err(|e| super::unreadable("modules", &e))?;
    let real = |path: &Path| path.canonicalize().map_err(|e| disk(&e));
    let (own, fetched) = (real(source)?, data.join("modules").canonicalize().ok());
    let mut reader = Reader::of_fetched();
    for module in modules.modules {
        let dir = real(&source.join(&module.dir))?;
        if dir.starts_with(&own) {
            continue;
        }
        if !fetched.as_ref().is_some_and(|fetched| dir.starts_with(fetched)) {
            let words = format!("terraform takes the module `{}` from elsewhere", module.source);
            let place = Place { file: "modules.json".to_owned(), line: 0 };
            return Err(failed(&[Refused { code: Code::Outside, place, words }]));
        }
        read_module(&dir, &mut reader).map_err(|e| disk(&e))?;
    }
    reader.finish().map_err(|refused| failed(&refused))
}

/// The files of one module, as terraform loads them: none of the folders in it.
fn read_module(dir: &Path, reader: &mut Reader) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_dir() && reader.wants(&name) {
            let bytes = read_left(&entry.path(), FILE_LEN_MAX as u64)?.unwrap_or_default();
            reader.file(&name, &bytes);
        }
    }
    Ok(())
}

fn failed(refused: &[Refused]) -> Undone {
    let code = refused.first().map_or(Code::Syntax, |first| first.code);
    let told = refused.iter().take(TOLD_MAX).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let more = refused.len().saturating_sub(TOLD_MAX);
    let words = if more > 0 { format!("{told}; and {more} more") } else { told };
    Failure::new(Class::Bug, code.as_str(), words, code.hint()).into()
}

/// The providers that a lock file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Locked {
    /// Their addresses.
    pub(super) providers: BTreeSet<String>,
    /// `ADDRESS VERSION HASH`, one for each hash.
    pub(super) packages: BTreeSet<String>,
}

/// Reads a lock file; empty where there is none.
pub(super) fn locked(file: &Path) -> Result<Locked, Undone> {
    let bytes = read_left(file, LOCK_LEN_MAX).map_err(|e| disk(&e))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let providers = remit_terraform::locked(&text).map_err(|(line, words)| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        let place = Place { file: name.unwrap_or_default(), line };
        failed(&[Refused { code: Code::Syntax, place, words }])
    })?;
    let mut locked = Locked::default();
    for provider in providers {
        let each = provider.hashes.iter();
        locked.packages.extend(each.map(|hash| format!("{} {} {hash}", provider.address, provider.version)));
        locked.providers.insert(provider.address);
    }
    Ok(locked)
}

/// Where terraform noted after `init` that the state is, looked at and not assumed: the runner's own backend, of
/// which all is said by the environment.
pub(super) fn check_backend(data: &Path) -> Result<(), Undone> {
    let file = data.join("terraform.tfstate");
    let bytes = read_left(&file, LOCK_LEN_MAX).map_err(|e| disk(&e))?.unwrap_or_default();
    let noted: Noted = serde_json::from_slice(&bytes).unwrap_or_default();
    let is_ours =
        noted.backend.kind == "http" && noted.backend.config.values().all(serde_json::Value::is_null);
    if is_ours {
        return Ok(());
    }
    let words = format!(
        "after init, terraform would keep the state in a backend `{}` of the source's choice",
        noted.backend.kind.chars().filter(|c| !c.is_control()).take(40).collect::<String>()
    );
    Err(Failure::new(Class::Bug, "source.backend", words, Code::Backend.hint()).into())
}

#[derive(Default, Deserialize)]
struct Noted {
    #[serde(default)]
    backend: Backend,
}

#[derive(Default, Deserialize)]
struct Backend {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    config: serde_json::Map<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(undone: Undone) -> String {
        match undone {
            Undone::Failed(failure) => failure.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_runners_own_backend_will_do() {
        let temp = tempfile::tempdir().unwrap();
        let check = |text: &str| {
            fs::write(temp.path().join("terraform.tfstate"), text).unwrap();
            check_backend(temp.path()).map_err(code)
        };
        let ours = r#"{"version": 3, "backend": {"type": "http", "config": {"address": null}, "hash": 1}}"#;
        assert_eq!(check(ours), Ok(()));
        for wrong in [
            r#"{"backend": {"type": "http", "config": {"address": "http://a.test/x"}}}"#,
            r#"{"backend": {"type": "local", "config": {"path": null}}}"#,
            r#"{"version": 3}"#,
            "",
        ] {
            assert_eq!(check(wrong), Err("source.backend".to_owned()), "{wrong}");
        }
        fs::remove_file(temp.path().join("terraform.tfstate")).unwrap();
        assert!(check_backend(temp.path()).is_err());
    }

    #[test]
    fn terraforms_own_list_of_modules_is_looked_at() {
        let temp = tempfile::tempdir().unwrap();
        let (source, data) = (temp.path().join("source"), temp.path().join("data"));
        for dir in [&source.join("m"), &data.join("modules/far"), &temp.path().join("beside")] {
            fs::create_dir_all(dir).unwrap();
        }
        fs::write(data.join("modules/far/main.tf"), "data \"http\" \"x\" {\n  url = \"http://a.test\"\n}\n")
            .unwrap();
        let list = |dir: &str| {
            let json = serde_json::json!({"Modules": [{"Key": "", "Source": "", "Dir": "."}, {"Key": "m", "Source": "s", "Dir": dir}]});
            fs::write(data.join("modules/modules.json"), json.to_string()).unwrap();
            read_fetched(&source, &data)
                .map(|found| found.escapes().into_iter().collect::<Vec<_>>())
                .map_err(code)
        };
        assert_eq!(list("m"), Ok(vec![]));
        assert_eq!(list("../data/modules/far"), Ok(vec!["http".to_owned()]));
        assert_eq!(list("../beside"), Err("source.module_outside".to_owned()));
    }
}
