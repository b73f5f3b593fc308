//! `remit init`: a small working product, the same that `remit dev` and the tests use.

use std::path::Path;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::{package, product};

macro_rules! shop {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../tests/products/shop/", $path)))),+]
    };
}

/// The example product, file by file. A test compares it with the folder.
const SHOP: &[(&str, &str)] = shop![
    "remit.toml",
    "database/main.tf",
    "image/image.toml",
    "network/main.tf",
    "queue/main.tf",
    "routes/ingress.yaml",
    "seed/catalogue.sh",
    "seed/deploy.sh",
    "seed/destroy.sh",
    "seed/drift.sh",
    "seed/products.txt",
    "seed/sweep.sh",
    "web/Chart.yaml",
    "web/templates/deployment.yaml",
    "web/templates/service.yaml",
    "web/values.yaml",
];
/// Keys, tokens and what runners and tools keep must never be committed.
fn gitignore() -> String {
    let ours = [".remit/", "*.token", "*.ca.pem", "*.runner/"];
    ours.into_iter().chain(package::leftovers()).map(|line| format!("{line}\n")).collect()
}

/// Writes the example into a folder that has no product yet.
pub(super) fn init(context: &Context, dir: &Path) -> Result<()> {
    if dir.join(product::FILE_NAME).exists() {
        let message = format!("there is a {} in {} already", product::FILE_NAME, dir.display());
        return Err(Failure::new(
            Exit::Refused,
            "cli.product_exists",
            message,
            "name another folder: `remit init DIR`",
        ));
    }
    write_example(dir)?;
    let ignore = dir.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, gitignore()).map_err(|e| Failure::file("write", &ignore, &e))?;
    }
    let files: Vec<&str> = SHOP.iter().map(|(path, _)| *path).collect();
    let answer = serde_json::json!({ "dir": dir, "files": files });
    context.format().answer(&answer, || {
        let go = if dir == Path::new(".") { String::new() } else { format!("  cd {}\n", dir.display()) };
        format!(
            "{} files are in {}. Next:\n{go}  remit check\n  remit dev --product .        the whole journey on this machine\n  remit keys init              and then `remit org create`, `remit release create`",
            SHOP.len(),
            dir.display()
        )
    });
    Ok(())
}

/// Writes the example's files; refuses to write over one.
pub(crate) fn write_example(dir: &Path) -> Result<()> {
    for (path, content) in SHOP {
        let file = dir.join(path);
        let parent = file.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent).map_err(|e| Failure::file("make", parent, &e))?;
        let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&file);
        made.and_then(|mut f| std::io::Write::write_all(&mut f, content.as_bytes()))
            .map_err(|e| Failure::file("write", &file, &e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, below: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir.join(below)).unwrap().map(|e| e.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if entry.path().is_dir() { files(dir, &path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn the_example_is_whole_and_right() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/products/shop");
        let mut want = Vec::new();
        files(&source, "", &mut want);
        let mut have: Vec<String> = SHOP.iter().map(|(p, _)| (*p).to_owned()).collect();
        want.sort();
        have.sort();
        assert_eq!(have, want, "every file of the example is embedded");
        let dir = tempfile::tempdir().unwrap();
        write_example(dir.path()).unwrap();
        assert!(product::load(dir.path()).unwrap().checked.product.is_some());
        let again = init(&Context::default(), dir.path()).unwrap_err();
        assert_eq!(again.code, "cli.product_exists");
    }
}
