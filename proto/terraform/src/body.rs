//! A configuration body in either syntax: its attributes and blocks, with the line of each.

use std::collections::BTreeSet;

/// The content of a file or of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    /// In the order of the file.
    pub(crate) attributes: Vec<Attribute>,
    /// In the order of the file.
    pub(crate) blocks: Vec<Block>,
}

/// `kind "label" … { body }`.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) labels: Vec<String>,
    /// From 1; 0 where the syntax does not say.
    pub(crate) line: u32,
    pub(crate) body: Body,
}

/// `name = value`.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) line: u32,
    /// Its value, if that is a plain text without templates.
    pub(crate) text: Option<String>,
    /// The names of members in objects of its value, however deep.
    pub(crate) members: BTreeSet<String>,
}

impl Body {
    /// An attribute by its name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The names of all attributes, blocks and members of objects in it, however deep.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut bodies = vec![self];
        while let Some(body) = bodies.pop() {
            for attribute in &body.attributes {
                names.insert(attribute.name.as_str());
                names.extend(attribute.members.iter().map(String::as_str));
            }
            for block in &body.blocks {
                names.insert(block.kind.as_str());
                // What a `dynamic` block makes is named by its label.
                names.extend(block.labels.iter().map(String::as_str));
                bodies.push(&block.body);
            }
        }
        names
    }
}

/// What a body is the content of: in JSON only that tells blocks from attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// A file of a module.
    Module,
    /// A file of tests.
    Test,
    /// `resource`, `data`, `ephemeral`, `removed`: what may hold provisioners.
    Resource,
    /// `provisioner`.
    Provisioner,
    /// `terraform`.
    Terraform,
    /// `check`.
    Check,
    /// `run` of a test.
    Run,
    /// All others.
    Other,
}

impl Context {
    /// How many labels a block of this kind has here; `None` where it is no block that is known.
    pub(crate) fn labels(self, kind: &str) -> Option<usize> {
        let of = |known: &[(&str, usize)]| known.iter().find(|(name, _)| *name == kind).map(|(_, n)| *n);
        match self {
            Context::Module => of(&[
                ("action", 2),
                ("check", 1),
                ("data", 2),
                ("ephemeral", 2),
                ("import", 0),
                ("locals", 0),
                ("module", 1),
                ("moved", 0),
                ("output", 1),
                ("provider", 1),
                ("removed", 0),
                ("resource", 2),
                ("terraform", 0),
                ("variable", 1),
            ]),
            Context::Test => of(&[
                ("mock_provider", 1),
                ("override_data", 0),
                ("override_module", 0),
                ("override_resource", 0),
                ("provider", 1),
                ("run", 1),
                ("test", 0),
                ("variables", 0),
            ]),
            Context::Resource => {
                of(&[("connection", 0), ("dynamic", 1), ("lifecycle", 0), ("provisioner", 1)])
            }
            Context::Provisioner => of(&[("connection", 0)]),
            Context::Terraform => of(&[
                ("backend", 1),
                ("cloud", 0),
                ("encryption", 0),
                ("provider_meta", 1),
                ("required_providers", 0),
                ("state_store", 1),
            ]),
            Context::Check => of(&[("assert", 0), ("data", 2)]),
            Context::Run => of(&[("module", 0)]),
            Context::Other => None,
        }
    }

    /// The context of the body of such a block.
    pub(crate) fn of_block(self, kind: &str) -> Self {
        match (self, kind) {
            (Context::Module, "resource" | "data" | "ephemeral" | "removed") | (Context::Check, "data") => {
                Context::Resource
            }
            (Context::Module, "terraform") => Context::Terraform,
            (Context::Module, "check") => Context::Check,
            (Context::Test, "run") => Context::Run,
            (Context::Resource, "provisioner") => Context::Provisioner,
            _ => Context::Other,
        }
    }
}
