//! All blocks of a source with their places, and what of them no plan shows.

use std::collections::BTreeSet;

use crate::body::{Block, Body, Context};
use crate::reader::{Code, Place, Refused, is_path};

/// Types that run a program, or reach out to any address, whatever block they stand in.
pub const HATCHES: [&str; 4] = ["external", "http", "local_command", "terraform_remote_state"];
/// The hatch of a provider that is told to get its credentials by a file or a program of the source's choice.
pub const CREDENTIALS: &str = "provider-credentials";
/// What tells a provider so, by the settings of the providers of AWS, Google, Kubernetes and Helm.
const CREDENTIAL_SETTINGS: [&str; 8] = [
    "config_path",
    "config_paths",
    "credential_process",
    "exec",
    "external_credentials",
    "shared_config_files",
    "shared_credentials_file",
    "shared_credentials_files",
];

/// One thing that a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub what: What,
    /// Where.
    pub place: Place,
}

/// What a source can say that somebody may want to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// `resource`, with type and name.
    Resource(String, String),
    /// `data`, also of a check, with type and name.
    Data(String, String),
    /// `ephemeral`, with type and name.
    Ephemeral(String, String),
    /// `action`, with type and name.
    Action(String, String),
    /// `provider`, with its local name.
    Provider(String),
    /// A setting of a provider that says where its credentials come from.
    Credentials(String),
    /// What `required_providers` names: the local name.
    Required(String),
    /// `module`, also of a test, with its source.
    Module(String),
    /// `provisioner`, with its type.
    Provisioner(String),
    /// `connection`.
    Connection,
    /// `import`.
    Import,
    /// `moved`.
    Moved,
    /// `removed`.
    Removed,
    /// `check`, with its name.
    Check(String),
    /// `output`, with its name.
    Output(String),
    /// `variable`, with its name.
    Variable(String),
    /// A local value, with its name.
    Local(String),
}

/// All that a source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// In the order of the files.
    pub items: Vec<Item>,
}

impl Inventory {
    /// What runs programs or fetches from elsewhere, which no plan shows, in the words that releases declare it by.
    pub fn escapes(&self) -> BTreeSet<String> {
        self.items.iter().filter_map(|item| escape(&item.what)).collect()
    }

    /// The same, each with its first place.
    pub fn escapes_with_places(&self) -> Vec<(String, &Place)> {
        let mut seen = BTreeSet::new();
        let all = self.items.iter().filter_map(|item| Some((escape(&item.what)?, &item.place)));
        all.filter(|(name, _)| seen.insert(name.clone())).collect()
    }

    /// The types of its data sources and ephemeral resources: what is read while it is planned. Those that are
    /// escapes are left out: they are asked about as such.
    pub fn data(&self) -> BTreeSet<String> {
        let kinds = self.items.iter().filter_map(|item| match &item.what {
            What::Data(kind, _) | What::Ephemeral(kind, _) if !HATCHES.contains(&kind.as_str()) => {
                Some(kind.clone())
            }
            _ => None,
        });
        kinds.collect()
    }

    /// Where its modules are, as it says it, with the place of each.
    pub fn modules(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.items.iter().filter_map(|item| match &item.what {
            What::Module(source) => Some((source.as_str(), &item.place)),
            _ => None,
        })
    }

    /// What another source says, too.
    pub fn extend(&mut self, other: Inventory) {
        self.items.extend(other.items);
    }
}

fn escape(what: &What) -> Option<String> {
    match what {
        What::Provisioner(kind) => Some(kind.clone()),
        What::Resource(kind, _) | What::Data(kind, _) | What::Ephemeral(kind, _) | What::Action(kind, _) => {
            HATCHES.contains(&kind.as_str()).then(|| kind.clone())
        }
        What::Module(source) if !is_path(source) => Some(format!("module:{source}")),
        What::Credentials(_) => Some(CREDENTIALS.to_owned()),
        What::Provider(_)
        | What::Required(_)
        | What::Module(_)
        | What::Connection
        | What::Import
        | What::Moved
        | What::Removed
        | What::Check(_)
        | What::Output(_)
        | What::Variable(_)
        | What::Local(_) => None,
    }
}

/// Adds what a file says, and gives back for what it is refused.
pub(crate) fn collect(body: &Body, context: Context, file: &str, into: &mut Inventory) -> Vec<Refused> {
    let mut collector = Collector { file, into, refused: Vec::new() };
    for attribute in &body.attributes {
        let words = format!("`{} = …` outside of every block", attribute.name);
        collector.refuse(Code::Block, attribute.line, words);
    }
    for block in &body.blocks {
        collector.top(block, context);
    }
    collector.refused
}

struct Collector<'a> {
    file: &'a str,
    into: &'a mut Inventory,
    refused: Vec<Refused>,
}

impl Collector<'_> {
    fn refuse(&mut self, code: Code, line: u32, words: String) {
        let place = Place { file: self.file.to_owned(), line };
        self.refused.push(Refused { code, place, words });
    }

    fn found(&mut self, what: What, line: u32) {
        let place = Place { file: self.file.to_owned(), line };
        self.into.items.push(Item { what, place });
    }

    fn top(&mut self, block: &Block, context: Context) {
        let (kind, line) = (block.kind.as_str(), block.line);
        if context.labels(kind) != Some(block.labels.len()) {
            let words = format!("a block `{kind}` with {} labels is not known here", block.labels.len());
            return self.refuse(Code::Block, line, words);
        }
        let label = |at: usize| block.labels.get(at).cloned().unwrap_or_default();
        match (context, kind) {
            (_, "resource") => self.typed(What::Resource(label(0), label(1)), block),
            (_, "data") => self.typed(What::Data(label(0), label(1)), block),
            (_, "ephemeral") => self.typed(What::Ephemeral(label(0), label(1)), block),
            (_, "action") => self.found(What::Action(label(0), label(1)), line),
            (_, "module") => self.module(block),
            (_, "provider") => self.provider(block),
            (_, "terraform") => self.settings(block),
            (_, "removed") => self.typed(What::Removed, block),
            (_, "import") => self.found(What::Import, line),
            (_, "moved") => self.found(What::Moved, line),
            (_, "output") => self.found(What::Output(label(0)), line),
            (_, "variable") => self.found(What::Variable(label(0)), line),
            (_, "locals") => {
                for attribute in &block.body.attributes {
                    self.found(What::Local(attribute.name.clone()), attribute.line);
                }
            }
            (_, "check") => {
                self.found(What::Check(label(0)), line);
                for data in block.body.blocks.iter().filter(|inner| inner.kind == "data") {
                    self.top(data, Context::Check);
                }
            }
            (Context::Test, "run") => {
                for module in block.body.blocks.iter().filter(|inner| inner.kind == "module") {
                    self.module(module);
                }
            }
            // The others of tests say nothing that is carried out outside of `terraform test`.
            _ => {}
        }
    }

    /// What may hold provisioners and connections, however they are nested.
    fn typed(&mut self, what: What, block: &Block) {
        self.found(what, block.line);
        self.provisioners(&block.body);
    }

    fn provisioners(&mut self, body: &Body) {
        for block in &body.blocks {
            let is_dynamic = block.kind == "dynamic";
            let kind = if is_dynamic { block.labels.first() } else { Some(&block.kind) };
            match kind.map(String::as_str) {
                Some("provisioner") if !is_dynamic && block.labels.len() == 1 => {
                    self.found(What::Provisioner(block.labels[0].clone()), block.line);
                }
                Some("provisioner") => {
                    let words = "a provisioner that is not written as terraform wants it".to_owned();
                    self.refuse(Code::Block, block.line, words);
                }
                Some("connection") => self.found(What::Connection, block.line),
                _ => {}
            }
            self.provisioners(&block.body);
        }
    }

    fn module(&mut self, block: &Block) {
        match block.body.attribute("source").map(|source| source.text.clone()) {
            Some(Some(source)) if source.is_ascii() => self.found(What::Module(source), block.line),
            Some(_) => {
                let words = "where this module is, is not a plain text".to_owned();
                self.refuse(Code::Dynamic, block.line, words);
            }
            None => self.refuse(Code::Dynamic, block.line, "this module says no source".to_owned()),
        }
    }

    fn provider(&mut self, block: &Block) {
        self.found(What::Provider(block.labels[0].clone()), block.line);
        let names = block.body.names();
        for setting in CREDENTIAL_SETTINGS.iter().filter(|setting| names.contains(*setting)) {
            self.found(What::Credentials((*setting).to_owned()), block.line);
        }
    }

    fn settings(&mut self, block: &Block) {
        for inner in &block.body.blocks {
            match inner.kind.as_str() {
                "required_providers" => {
                    for attribute in &inner.body.attributes {
                        self.found(What::Required(attribute.name.clone()), attribute.line);
                    }
                }
                "provider_meta" => {}
                "backend" | "cloud" | "state_store" | "encryption" => {
                    let words = format!("a block `{}`: the runner says where the state is", inner.kind);
                    self.refuse(Code::Backend, inner.line, words);
                }
                other => {
                    let words = format!("a block `{other}` in `terraform` is not known here");
                    self.refuse(Code::Block, inner.line, words);
                }
            }
        }
    }
}
