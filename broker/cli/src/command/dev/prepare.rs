//! What must be there before the journey begins: the product, its tools, the customer's inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use remit_seal::document::{Authority, ValueType};
use remit_seal::kind::NeededTool;

use super::dir::DevDir;
use crate::args::DevArgs;
use crate::command::{release, write_example};
use crate::failure::{Exit, Failure, Result};
use crate::operations::split_pair;
use crate::output::{Format, YELLOW};
use crate::package;
use crate::product::Product;

/// The input that the example products take for the directory that stands in for an account.
const SITE_INPUT: &str = "site_dir";
/// How many entries a product's folder may have to be copied.
const ENTRIES_MAX: usize = 100_000;

/// What the journey is made with.
pub(super) struct Prepared {
    /// The product.
    pub(super) product: Product,
    /// What the customer sets.
    pub(super) inputs: BTreeMap<String, serde_json::Value>,
    /// Everything is rehearsed.
    pub(super) sandbox: bool,
    /// The runner program.
    pub(super) runner: PathBuf,
}

/// Copies the product and looks whether all that it needs is there.
pub(super) fn prepare(args: &DevArgs, dir: &DevDir) -> Result<Prepared> {
    match &args.product {
        Some(source) => copy(source, &dir.product(), dir.path())?,
        None => write_example(&dir.product())?,
    }
    let loaded = release::load(&dir.product())?;
    release::print_notes(Format::Text, &loaded);
    let product = release::checked(loaded)?;
    let inputs = customer_inputs(&product, &args.inputs, &dir.site())?;
    let sandbox = args.sandbox || lacks_a_tool(&product);
    let runner = match &args.runner {
        Some(path) if path.is_file() => path.clone(),
        Some(path) => {
            let message = format!("there is no program {}", path.display());
            return Err(Failure::new(Exit::Local, "cli.dev_runner", message, "say where it is: --runner"));
        }
        None => beside()?,
    };
    Ok(Prepared { product, inputs, sandbox, runner })
}

/// The runner lies beside this program, or on the PATH.
fn beside() -> Result<PathBuf> {
    let this = std::env::current_exe().map_err(|e| Failure::file("find", "remit".as_ref(), &e))?;
    let neighbour = this.with_file_name("remit-runner");
    if neighbour.is_file() {
        return Ok(neighbour);
    }
    find_program("remit-runner").ok_or_else(|| {
        let message = format!("there is no remit-runner beside {} or on the PATH", this.display());
        let hint = "build it (`cargo build -p remit-runner`), or say where it is: --runner";
        Failure::new(Exit::Local, "cli.dev_runner", message, hint)
    })
}

/// A program on the PATH.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Says so where a tool is missing; nothing is left out silently.
fn lacks_a_tool(product: &Product) -> bool {
    let real = product.components.iter().filter(|c| !c.sandbox);
    let is_missing = |tool: &NeededTool| tool.names().all(|name| find_program(name).is_none());
    let missing = real.filter_map(|c| c.kind.traits().tool).find(is_missing);
    let Some(NeededTool { program, home, .. }) = missing else { return false };
    let wanted = product.tools.get(program).map(|tool| format!(" ({})", tool.version)).unwrap_or_default();
    anstream::println!(
        "{YELLOW}{program} is not on the PATH{YELLOW:#}, so this whole install is rehearsed: its scripts too, and
nothing real is made. Get {program}{wanted} from {home},
put it on the PATH, and run this again."
    );
    true
}

fn customer_inputs(
    product: &Product,
    given: &[String],
    site: &Path,
) -> Result<BTreeMap<String, serde_json::Value>> {
    let mut inputs = BTreeMap::new();
    for pair in given {
        let (name, text) = split_pair(pair)?;
        let spec = product.inputs.get(name).filter(|spec| spec.authority == Authority::Customer);
        let spec = spec.ok_or_else(|| {
            let known: Vec<&str> = customers(product).map(|(name, _)| name).collect();
            Failure::usage(
                format!("the customer sets no input `{name}`"),
                format!("there is: {}", known.join(", ")),
            )
        })?;
        let value = match spec.value_type {
            ValueType::String => serde_json::Value::String(text.to_owned()),
            ValueType::Boolean | ValueType::Integer | ValueType::StringList => serde_json::from_str(text)
                .map_err(|e| {
                    Failure::usage(format!("input `{name}`: {e}"), "write it as JSON, e.g. 3 or [\"a\"]")
                })?,
        };
        inputs.insert(name.to_owned(), value);
    }
    if product.inputs.contains_key(SITE_INPUT) {
        inputs.entry(SITE_INPUT.into()).or_insert_with(|| site.display().to_string().into());
    }
    let missing: Vec<&str> = customers(product)
        .filter(|(name, has)| !has && !inputs.contains_key(*name))
        .map(|(n, _)| n)
        .collect();
    if missing.is_empty() {
        return Ok(inputs);
    }
    let message = format!("the customer must set: {}", missing.join(", "));
    let hint = format!("give them, e.g. --input {}=…", missing[0]);
    Err(Failure::new(Exit::Usage, "cli.dev_inputs", message, hint))
}

/// The customer's inputs, and whether each has a default.
fn customers(product: &Product) -> impl Iterator<Item = (&str, bool)> {
    let customers = product.inputs.iter().filter(|(_, spec)| spec.authority == Authority::Customer);
    customers.map(|(name, spec)| (name.as_str(), spec.default.is_some()))
}

/// Copies a product's folder, but for what is ours or other programs' state.
fn copy(from: &Path, to: &Path, ours: &Path) -> Result<()> {
    let from = std::path::absolute(from).map_err(|e| Failure::file("find", from, &e))?;
    let mut left = vec![PathBuf::new()];
    let mut count = 0;
    while let Some(below) = left.pop() {
        let source = from.join(&below);
        for entry in std::fs::read_dir(&source).map_err(|e| Failure::file("read", &source, &e))? {
            let entry = entry.map_err(|e| Failure::file("read", &source, &e))?;
            let (path, name) = (entry.path(), entry.file_name());
            let skipped = name == "target" || name.to_str().is_some_and(package::is_skipped);
            if skipped || path == ours {
                continue;
            }
            count += 1;
            if count > ENTRIES_MAX {
                let message = format!("{} has more than {ENTRIES_MAX} entries", from.display());
                return Err(Failure::usage(message, "name the product's own folder: --product"));
            }
            let (relative, target) = (below.join(&name), to.join(&below).join(&name));
            let done = if path.is_dir() {
                left.push(relative);
                std::fs::create_dir_all(&target)
            } else {
                std::fs::copy(&path, &target).map(|_| ())
            };
            done.map_err(|e| Failure::file("copy", &path, &e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product;

    fn product() -> Product {
        let text = "version = 1\n[app]\norg = \"o\"\nname = \"a\"\n\
            [inputs.site_dir]\ntype = \"string\"\nauthority = \"customer\"\n\
            [inputs.size]\ntype = \"integer\"\nauthority = \"customer\"\n\
            [inputs.plan]\ntype = \"string\"\nauthority = \"customer\"\ndefault = \"x\"\n\
            [components.a]\nkind = \"script\"\nsource = \"a\"\ncommands = { deploy = [\"true\"] }\n";
        product::parse(text, &|_| product::SourceFolder::Folder).product.unwrap()
    }

    #[test]
    fn the_customer_sets_what_has_no_default() {
        let check = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|g| (*g).to_owned()).collect();
            customer_inputs(&product(), &given, Path::new("/site")).map_err(|f| f.code)
        };
        assert_eq!(check(&[]), Err("cli.dev_inputs".into()));
        assert_eq!(check(&["size=x"]), Err("cli.usage".into()));
        assert_eq!(check(&["other=1"]), Err("cli.usage".into()));
        let inputs = check(&["size=3", "plan=big"]).unwrap();
        assert_eq!(inputs["size"], 3);
        assert_eq!(inputs["site_dir"], "/site");
        assert_eq!(inputs["plan"], "big");
    }
}
