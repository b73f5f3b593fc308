//! A vendor's product, as `remit.toml` describes it: read, checked, and ready to be cut into a release.
//!
//! `parse` is a pure function of the text; `load` is the thin edge that touches files. All
//! problems are found at once.

mod check;
mod cycle;
pub(crate) mod duration;
mod escapes;
mod field;
mod healing;
mod health;
mod inputs;
mod operations;
pub mod problem;
mod reader;
mod reference;
mod rules;
mod shape;
mod terraform;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use remit_loops::release::COMPONENTS_MAX;
use remit_seal::document::{ComponentKind, Healing, Health, Input, Output, Source, Tool};
use toml::de::{DeTable, DeValue};

pub(crate) use duration::parse_ms;
pub use operations::Needed;
pub use problem::{Problem, Severity};

/// The name of a product's file.
pub const FILE_NAME: &str = "remit.toml";
/// The largest product's file, in bytes.
pub const FILE_LEN_MAX: usize = 1 << 20;
/// How deep tables and lists may lie in each other.
const DEPTH_MAX: usize = 16;
/// The channel of releases when the file names none.
const CHANNEL_DEFAULT: &str = "stable";

/// A product without mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The org that makes it.
    pub org: String,
    /// The app.
    pub app: String,
    /// The line of releases.
    pub channel: String,
    /// The tools that it needs.
    pub tools: BTreeMap<String, Tool>,
    /// Its inputs.
    pub inputs: BTreeMap<String, Input>,
    /// Its components, in the order of the file.
    pub components: Vec<Component>,
    /// What is done by itself.
    pub healing: Healing,
    /// Whose approval operations need, by their names.
    pub approvals: BTreeMap<String, Needed>,
}

/// One component of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// What runs it.
    pub kind: ComponentKind,
    /// Its folder, relative to the product's.
    pub source: String,
    /// The components it comes after: those named and those referred to.
    pub needs: Vec<String>,
    /// How long one job of it may run.
    pub longest_run_ms: i64,
    /// Only ever rehearsed.
    pub sandbox: bool,
    /// Where its inputs come from.
    pub inputs: BTreeMap<String, Source>,
    /// What it gives to others.
    pub outputs: BTreeMap<String, Output>,
    /// For a script: its programs, those for rules among them.
    pub commands: BTreeMap<String, Vec<String>>,
    /// The names of its programs that only rules run.
    pub actions: Vec<String>,
    /// When its probe runs, if it has one.
    pub health: Option<Health>,
    /// What its source does that no plan shows.
    pub escapes: BTreeSet<String>,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The product, if nothing is wrong with it.
    pub product: Option<Product>,
    /// What is wrong, and what is worth a look, in the order of the file.
    pub problems: Vec<Problem>,
}

/// What is at a component's source path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFolder {
    /// A folder.
    Folder,
    /// Something else.
    NotAFolder,
    /// Nothing.
    Missing,
}

/// Reads and checks a product's file. `folder` says what is at a source path.
pub fn parse(text: &str, folder: &dyn Fn(&str) -> SourceFolder) -> Checked {
    parse_with(text, folder, &|_| None)
}

/// The same, with what the sources of terraform components say.
fn parse_with(
    text: &str,
    folder: &dyn Fn(&str) -> SourceFolder,
    source: &dyn Fn(&str) -> Option<terraform::Read>,
) -> Checked {
    let mut problems = Vec::new();
    let product = parse_into(text, (folder, source), &mut problems);
    problems.sort_by_key(|p| (p.span.start, p.span.end));
    let failed = problems.iter().any(|p| p.severity == Severity::Error);
    Checked { product: product.filter(|_| !failed), problems }
}

/// Says what is at a source path, and what a terraform source there says.
type Look<'a> = (&'a dyn Fn(&str) -> SourceFolder, &'a dyn Fn(&str) -> Option<terraform::Read>);

fn parse_into(text: &str, (folder, source): Look<'_>, out: &mut Vec<Problem>) -> Option<Product> {
    if text.len() > FILE_LEN_MAX {
        let message = format!("the product's file has {} bytes; at most {FILE_LEN_MAX} are read", text.len());
        out.push(Problem::error("config.too_large", 0..0, message));
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        out.extend(errors.iter().map(|e| {
            Problem::error("config.syntax", e.span().unwrap_or(0..0), format!("not TOML: {}", e.message()))
        }));
        return None;
    }
    if !check_depth(document.get_ref(), out) {
        return None;
    }
    let raw = shape::read(document.get_ref(), out);
    check_count(&raw, out);
    for component in &raw.components {
        let is_there = check_source(component, folder, out);
        // What is only rehearsed has a source that nobody runs.
        let is_read =
            is_there && !component.sandbox && component.kind.is_some_and(|k| k.traits().has_escapes);
        if let Some(path) = component.source.as_ref().filter(|_| is_read)
            && let Some(read) = source(path.get_ref())
        {
            terraform::check(component, &read, out);
        }
    }
    let components = check::Checker::new(&raw, text, out).components();
    Some(Product {
        org: raw.org?.into_inner(),
        app: raw.app?.into_inner(),
        channel: raw.channel.map_or_else(|| CHANNEL_DEFAULT.to_owned(), toml::Spanned::into_inner),
        tools: raw.tools,
        inputs: raw.inputs.into_iter().filter_map(|i| Some((i.name.into_inner(), i.spec?))).collect(),
        components,
        healing: Healing { drift: raw.drift, rules: raw.rules },
        approvals: raw.approvals,
    })
}

fn check_depth(table: &DeTable<'_>, out: &mut Vec<Problem>) -> bool {
    let mut left: Vec<_> = table.values().map(|value| (value, 1)).collect();
    while let Some((value, depth)) = left.pop() {
        if depth > DEPTH_MAX {
            let message = format!("tables and lists lie deeper than {DEPTH_MAX} in each other");
            out.push(Problem::error("config.too_deep", value.span(), message));
            return false;
        }
        match value.get_ref() {
            DeValue::Array(items) => left.extend(items.iter().map(|v| (v, depth + 1))),
            DeValue::Table(table) => left.extend(table.values().map(|v| (v, depth + 1))),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
    true
}

fn check_count(raw: &shape::Raw<'_>, out: &mut Vec<Problem>) {
    if raw.components.is_empty() {
        let problem = Problem::error("config.missing_field", 0..0, "the product has no component");
        out.push(problem.help("add one: `[components.NAME]` with `kind` and `source`"));
    }
    if let Some(beyond) = raw.components.get(COMPONENTS_MAX) {
        let message = format!(
            "the product has {} components; at most {COMPONENTS_MAX} are allowed",
            raw.components.len()
        );
        out.push(Problem::error("config.too_many", beyond.name.span(), message));
    }
}

/// Whether the component's folder is there.
fn check_source(
    component: &field::RawComponent<'_>,
    folder: &dyn Fn(&str) -> SourceFolder,
    out: &mut Vec<Problem>,
) -> bool {
    let Some(source) = &component.source else { return false };
    let path = source.get_ref().as_str();
    let outside = path.is_empty()
        || path.contains('\\')
        || path.split('/').any(|part| matches!(part, ".." | ""))
        || Path::new(path).is_absolute();
    if outside {
        let message = format!("`{path}` is no folder below the product's");
        let problem = Problem::error("config.bad_source", source.span(), message);
        out.push(problem.help("write a path like `network` or `modules/network`, without `..`"));
        return false;
    }
    let message = match folder(path) {
        SourceFolder::Folder => return true,
        SourceFolder::Missing => format!("there is no folder `{path}` beside {FILE_NAME}"),
        SourceFolder::NotAFolder => format!("`{path}` is not a folder"),
    };
    let problem = Problem::error("config.missing_source", source.span(), message);
    let name = component.name.get_ref();
    out.push(problem.help(format!("make the folder and put the files of component `{name}` there")));
    false
}

/// A product's file that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The folder that holds the file.
    pub dir: PathBuf,
    /// The file, as it is named on screens.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What the check found.
    pub checked: Checked,
}

/// Reads the file of the product in this folder.
pub fn load(dir: &Path) -> std::io::Result<Loaded> {
    let file = dir.join(FILE_NAME);
    let here = std::env::current_dir().unwrap_or_default();
    let path = file.strip_prefix("./").or_else(|_| file.strip_prefix(&here)).unwrap_or(&file);
    let path = path.display().to_string();
    let text = read_capped(&file)?;
    let folder = |source: &str| match std::fs::metadata(dir.join(source)) {
        Ok(found) if found.is_dir() => SourceFolder::Folder,
        Ok(_) => SourceFolder::NotAFolder,
        Err(_) => SourceFolder::Missing,
    };
    let checked = parse_with(&text, &folder, &|source| terraform::read(&dir.join(source)));
    Ok(Loaded { dir: dir.to_owned(), path, text, checked })
}

/// At most one byte more than is allowed: `parse` says what is the matter with more.
fn read_capped(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
    String::from_utf8(bytes)
        .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, format!("not UTF-8: {e}")))
}

/// The nearest folder, from this one upwards, with a product's file.
pub fn find_upwards(from: &Path) -> Option<PathBuf> {
    let from = std::path::absolute(from).ok()?;
    from.ancestors().find(|dir| dir.join(FILE_NAME).is_file()).map(Path::to_owned)
}
