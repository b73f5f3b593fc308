//! Takes the files of a source one by one, and says what is in all of them, or why that is refused.

use std::collections::BTreeSet;
use std::fmt;

use crate::body::{Body, Context};
use crate::files::{Syntax, syntax};
use crate::inventory::{Inventory, collect};
use crate::{DEPTH_MAX, FILE_LEN_MAX, FILES_MAX, SOURCE_LEN_MAX, json, native};

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path in the source, with `/`.
    pub file: String,
    /// From 1; 0 where the syntax does not say.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Why a source is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It cannot be read with certainty.
    Syntax,
    /// A block that is not known here.
    Block,
    /// It names a backend, or how states are encrypted.
    Backend,
    /// An override file.
    Override,
    /// A file or folder that would change terraform itself.
    File,
    /// A module outside of what is packed and signed.
    Outside,
    /// A module that is not there.
    Missing,
    /// A module whose place is not a plain text.
    Dynamic,
    /// Too large, too many, too deep.
    Large,
}

impl Code {
    /// The stable code.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Syntax => "source.syntax",
            Code::Block => "source.block_unknown",
            Code::Backend => "source.backend",
            Code::Override => "source.override",
            Code::File => "source.file",
            Code::Outside => "source.module_outside",
            Code::Missing => "source.module_missing",
            Code::Dynamic => "source.module_dynamic",
            Code::Large => "source.too_large",
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Code::Syntax => "write it more plainly: what cannot be read with certainty is not run",
            Code::Block => "take the block out, or use a newer version that knows it",
            Code::Backend => "take the block out: where the state is kept, the customer's runner says",
            Code::Override => "write what it changes into the file that it overrides",
            Code::File => "take it out of the component's folder",
            Code::Outside => {
                "only the component's folder is packed: put the module into it, or let `source` of the component name a folder that holds both"
            }
            Code::Missing => "put the module there, or correct the path",
            Code::Dynamic => "write where the module is as a plain text",
            Code::Large => "split the component into smaller ones",
        }
    }
}

/// Something that is refused, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {words}")]
pub struct Refused {
    /// Why, as a stable code.
    pub code: Code,
    /// Where.
    pub place: Place,
    /// Why, for people.
    pub words: String,
}

/// A source that is being read.
#[derive(Debug, Default)]
pub struct Reader {
    inventory: Inventory,
    refused: Vec<Refused>,
    folders: BTreeSet<String>,
    files: usize,
    len: usize,
    /// Whether terraform fetched it: where its modules are, was resolved by terraform.
    is_fetched: bool,
}

impl Reader {
    /// For the folder that is packed and signed.
    pub fn of_package() -> Self {
        Self::default()
    }

    /// For modules that terraform fetched.
    pub fn of_fetched() -> Self {
        Self { is_fetched: true, ..Self::default() }
    }

    /// Whether a file's content is to be given; its path alone may be refused.
    pub fn wants(&mut self, path: &str) -> bool {
        if path.split('/').count() > DEPTH_MAX {
            self.refuse(Code::Large, path, 0, format!("folders nested more than {DEPTH_MAX} deep"));
            return false;
        }
        match syntax(path) {
            Ok(syntax) => syntax.is_some(),
            Err((code, words)) => {
                self.refuse(code, path, 0, words);
                false
            }
        }
    }

    /// One file that is wanted.
    pub fn file(&mut self, path: &str, bytes: &[u8]) {
        let Ok(Some(syntax)) = syntax(path) else { return };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if matches!(syntax, Syntax::Native | Syntax::Json) {
            self.folders.insert(folder.to_owned());
        }
        self.files += 1;
        self.len += bytes.len();
        if bytes.len() > FILE_LEN_MAX || self.len > SOURCE_LEN_MAX || self.files > FILES_MAX {
            let words = format!(
                "more than {} KiB in a file, {} MiB in all, or {FILES_MAX} files",
                FILE_LEN_MAX >> 10,
                SOURCE_LEN_MAX >> 20
            );
            return self.refuse(Code::Large, path, 0, words);
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.refuse(Code::Syntax, path, 0, "it is not UTF-8".to_owned());
        };
        match parse(text, syntax) {
            Err((line, words)) => self.refuse(Code::Syntax, path, line, words),
            Ok(body) => {
                let found = collect(&body, context(syntax), path, &mut self.inventory);
                self.refused.extend(found);
            }
        }
    }

    /// What is in it, or all for which it is refused.
    pub fn finish(mut self) -> Result<Inventory, Vec<Refused>> {
        if !self.is_fetched {
            let wrong = self.inventory.modules().filter_map(|(source, place)| {
                resolve(&self.folders, source, place).map(|(code, words)| Refused {
                    code,
                    place: place.clone(),
                    words,
                })
            });
            let wrong: Vec<Refused> = wrong.collect();
            self.refused.extend(wrong);
        }
        if self.refused.is_empty() { Ok(self.inventory) } else { Err(self.refused) }
    }

    fn refuse(&mut self, code: Code, path: &str, line: u32, words: String) {
        let place = Place { file: path.to_owned(), line };
        self.refused.push(Refused { code, place, words });
    }
}

fn context(syntax: Syntax) -> Context {
    match syntax {
        Syntax::Native | Syntax::Json => Context::Module,
        Syntax::NativeTest | Syntax::JsonTest => Context::Test,
    }
}

fn parse(text: &str, syntax: Syntax) -> Result<Body, (u32, String)> {
    match syntax {
        Syntax::Native | Syntax::NativeTest => native::parse(text),
        Syntax::Json | Syntax::JsonTest => json::parse(text, context(syntax)),
    }
}

/// Why a module of a path is refused; the path is told from that of the file that names it.
fn resolve(folders: &BTreeSet<String>, source: &str, place: &Place) -> Option<(Code, String)> {
    if !is_path(source) {
        return None;
    }
    let mut parts: Vec<&str> = place.file.split('/').collect();
    parts.pop();
    // Modules of tests are looked for from where terraform runs.
    if matches!(syntax(&place.file), Ok(Some(Syntax::NativeTest | Syntax::JsonTest))) {
        parts.clear();
    }
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Some((
                        Code::Outside,
                        format!("the module `{source}` is outside of what is packed"),
                    ));
                }
            }
            part => parts.push(part),
        }
    }
    let folder = parts.join("/");
    (!folders.contains(&folder)).then(|| (Code::Missing, format!("there is no module `{source}`")))
}

/// Whether a module's source is a path, as terraform decides it.
pub(crate) fn is_path(source: &str) -> bool {
    source.starts_with("./") || source.starts_with("../")
}
