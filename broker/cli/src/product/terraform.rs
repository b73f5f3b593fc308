//! What the sources of terraform components say, checked before a release is signed: the customer's runner reads
//! them with the same reader, and would refuse there what is found here.

use std::path::Path;

use remit_terraform::{Inventory, Reader, Refused};

use super::field::RawComponent;
use super::problem::Problem;
use crate::package;

/// What a reader makes of a folder.
pub(super) type Read = Result<Inventory, Vec<Refused>>;

/// The most problems of one component that are told.
const TOLD_MAX: usize = 20;

/// Reads what is packed of a folder. `None` where it cannot be: packing it says why.
pub(super) fn read(folder: &Path) -> Option<Read> {
    let mut reader = Reader::of_package();
    for path in package::files(folder).ok()? {
        if reader.wants(&path) {
            reader.file(&path, &std::fs::read(folder.join(&path)).ok()?);
        }
    }
    Some(reader.finish())
}

/// Tells all for which a runner would refuse the source.
pub(super) fn check(component: &RawComponent<'_>, read: &Read, out: &mut Vec<Problem>) {
    let Some(source) = &component.source else { return };
    let folder = source.get_ref();
    let problems: Vec<Problem> = match read {
        Err(refused) => {
            let each = refused.iter().map(|refused| {
                let message = format!("{folder}/{refused}");
                Problem::error(refused.code.as_str(), source.span(), message).help(refused.code.hint())
            });
            each.take(TOLD_MAX).collect()
        }
        Ok(inventory) => {
            let found = inventory.escapes_with_places().into_iter();
            let undeclared = found.filter(|(name, _)| !component.escapes.contains(name));
            let each = undeclared.map(|(name, place)| {
                let message = format!("{folder}/{place}: the source does what is not declared: `{name}`");
                let problem = Problem::error("config.escape_undeclared", source.span(), message);
                problem.help(format!(
                    "declare it: `escapes = [\"{name}\"]`; the customer's policy decides on it"
                ))
            });
            each.take(TOLD_MAX).collect()
        }
    };
    out.extend(problems);
}

#[cfg(test)]
mod tests {
    use super::super::load;

    /// The codes and messages of a product whose component `net` has these files.
    fn problems(escapes: &str, files: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let temp = tempfile::tempdir().unwrap();
        let product = format!(
            "version = 1\n[app]\norg = \"case\"\nname = \"mods\"\n[components.net]\nkind = \"terraform\"\nsource = \"net\"\n{escapes}\n"
        );
        std::fs::write(temp.path().join("remit.toml"), product).unwrap();
        for (path, text) in files {
            let path = temp.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let checked = load(temp.path()).unwrap().checked;
        checked.problems.into_iter().map(|problem| (problem.code, problem.message)).collect()
    }

    #[test]
    fn a_module_beside_the_component_is_found_before_anything_is_signed() {
        let found = problems(
            "",
            &[
                ("net/main.tf", "module \"vpc\" {\n  source = \"../modules/vpc\"\n}\n"),
                ("modules/vpc/main.tf", ""),
            ],
        );
        let words = "net/main.tf:1: the module `../modules/vpc` is outside of what is packed".to_owned();
        assert_eq!(found, [("source.module_outside", words)]);
    }

    #[test]
    fn what_is_not_declared_is_found_with_its_place() {
        let source = ("net/a/b.tf", "\ndata \"external\" \"x\" {\n  program = [\"id\"]\n}\n");
        let words = "net/a/b.tf:2: the source does what is not declared: `external`".to_owned();
        assert_eq!(problems("", &[source]), [("config.escape_undeclared", words)]);
        assert_eq!(problems("escapes = [\"external\"]", &[source]), []);
    }
}
