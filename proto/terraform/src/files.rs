//! Which files of a source terraform reads, and which it must not find there.

use crate::reader::Code;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Terraform's own language.
    Native,
    /// JSON that says the same.
    Json,
    /// Tests in terraform's own language: `terraform init` fetches the modules that they name.
    NativeTest,
    /// Tests in JSON.
    JsonTest,
}

/// Suffixes; the first that fits counts.
const SUFFIXES: [(&str, Syntax); 8] = [
    (".tftest.json", Syntax::JsonTest),
    (".tofutest.json", Syntax::JsonTest),
    (".tftest.hcl", Syntax::NativeTest),
    (".tofutest.hcl", Syntax::NativeTest),
    (".tf.json", Syntax::Json),
    (".tofu.json", Syntax::Json),
    (".tf", Syntax::Native),
    (".tofu", Syntax::Native),
];
/// Other languages of terraform's, of which nothing is known here.
const UNKNOWN: [&str; 10] = [
    ".tfquery.hcl",
    ".tfquery.json",
    ".tfcomponent.hcl",
    ".tfcomponent.json",
    ".tfstack.hcl",
    ".tfstack.json",
    ".tfdeploy.hcl",
    ".tfdeploy.json",
    ".tfmock.hcl",
    ".tfmock.json",
];
/// Folders that terraform takes programs, modules or a backend from.
const FOLDERS: [&str; 2] = ["terraform.d", ".terraform"];
/// Settings of the program itself, and states.
const FILES: [&str; 5] =
    [".terraformrc", "terraform.rc", ".tofurc", "terraform.tfstate", "terraform.tfstate.backup"];

/// How a file of a source is read, by its path with `/`; `None` for one that terraform does not read. An error
/// says why it may not be there.
pub fn syntax(path: &str) -> Result<Option<Syntax>, (Code, String)> {
    if let Some(folder) = path.split('/').find(|part| FOLDERS.contains(part)) {
        let words = format!("a folder `{folder}`: terraform would take programs or settings from it");
        return Err((Code::File, words));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if FILES.contains(&name) {
        return Err((Code::File, format!("a file `{name}`: settings and states are the runner's to give")));
    }
    if UNKNOWN.iter().any(|suffix| name.ends_with(suffix)) {
        return Err((Code::File, format!("a file `{name}` of a language that is not known here")));
    }
    let Some((suffix, syntax)) = SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)) else {
        return Ok(None);
    };
    let base = &name[..name.len() - suffix.len()];
    if base == "override" || base.ends_with("_override") {
        let words = "an override file: what it changes is not to be seen in what it overrides";
        return Err((Code::Override, words.to_owned()));
    }
    Ok(Some(*syntax))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terraform_reads_is_known_by_its_name() {
        for (path, wanted) in [
            ("main.tf", Some(Syntax::Native)),
            ("a/b/main.tofu", Some(Syntax::Native)),
            ("main.tf.json", Some(Syntax::Json)),
            ("main.tofu.json", Some(Syntax::Json)),
            ("tests/a.tftest.hcl", Some(Syntax::NativeTest)),
            ("tests/a.tftest.json", Some(Syntax::JsonTest)),
            (".hidden.tf", Some(Syntax::Native)),
            ("notes.md", None),
            ("terraform.tfvars", None),
            (".terraform.lock.hcl", None),
        ] {
            assert_eq!(syntax(path).unwrap(), wanted, "{path}");
        }
    }

    #[test]
    fn what_would_change_terraform_itself_may_not_be_there() {
        for (path, code) in [
            ("terraform.d/plugins/x", Code::File),
            ("m/.terraform/modules/modules.json", Code::File),
            (".terraformrc", Code::File),
            ("terraform.tfstate", Code::File),
            ("x.tfquery.hcl", Code::File),
            ("override.tf", Code::Override),
            ("zz_override.tf", Code::Override),
            ("m/a_override.tf.json", Code::Override),
            ("a_override.tofu", Code::Override),
        ] {
            assert_eq!(syntax(path).unwrap_err().0, code, "{path}");
        }
    }
}
