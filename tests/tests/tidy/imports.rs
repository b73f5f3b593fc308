//! Which files of a crate name which others: paths are followed through `use` and re-exports to the file that
//! they end in. It knows no types: a method called on another file's value ties nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::scan::Source;

/// How often a name may lead on to another name.
const HOPS_MAX: usize = 8;

/// The files below one `lib.rs` or `main.rs`, without those that are only tests.
pub(crate) struct Graph {
    /// The folder of the root.
    pub(crate) root: String,
    modules: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: String,
    /// Every path that the file names.
    paths: Vec<Vec<String>>,
    /// Names that stand for something elsewhere.
    names: BTreeMap<String, Vec<String>>,
    /// Modules of which all names are taken.
    globs: Vec<Vec<String>>,
}

/// One graph for each root there is.
pub(crate) fn graphs(sources: &[Source]) -> Vec<Graph> {
    let product = |s: &&Source| s.path.contains("/src/") && !is_test(sources, &s.path);
    let sources: Vec<&Source> = sources.iter().filter(product).collect();
    let is_root = |s: &&&Source| s.path.ends_with("/lib.rs") || s.path.ends_with("/main.rs");
    let folder = |path: &str| Path::new(path).parent().unwrap().to_str().unwrap().to_owned();
    let roots: BTreeSet<String> = sources.iter().filter(is_root).map(|s| folder(&s.path)).collect();
    let root_of = |path: &str| roots.iter().filter(|root| path.starts_with(&format!("{root}/"))).max();
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    for source in sources {
        let Some(root) = root_of(&source.path) else { continue };
        let graph = graphs.entry(root.clone());
        let graph = graph.or_insert_with(|| Graph { root: root.clone(), modules: BTreeMap::new() });
        let module = Module::read(source);
        let place = place(root, &source.path);
        // Of a library and a program in one folder the library is the root; the program knows it as a stranger.
        if !place.is_empty() || source.path.ends_with("/lib.rs") || !graph.modules.contains_key(&place) {
            graph.modules.insert(place, module);
        }
    }
    graphs.into_values().collect()
}

/// Where a file stands below its root: `a/b.rs` is `a::b`.
fn place(root: &str, path: &str) -> Vec<String> {
    let inner = path.strip_prefix(root).unwrap().trim_start_matches('/').trim_end_matches(".rs");
    if matches!(inner, "lib" | "main") { Vec::new() } else { inner.split('/').map(str::to_owned).collect() }
}

/// Whether this file or one above it is declared for tests only.
fn is_test(sources: &[Source], path: &str) -> bool {
    let declares = |parent: &str, name: &str| {
        sources.iter().any(|s| s.path == parent && s.test_modules().iter().any(|test| test == name))
    };
    let mut inner = path.trim_end_matches(".rs");
    while let Some((folder, name)) = inner.rsplit_once('/') {
        let parents = [format!("{folder}.rs"), format!("{folder}/lib.rs"), format!("{folder}/main.rs")];
        if parents.iter().any(|parent| declares(parent, name)) {
            return true;
        }
        inner = folder;
    }
    false
}

impl Graph {
    /// Files that reach each other, without what a module and those above it are to each other: that a child uses
    /// its parent's types is how the language is meant.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let arrows: BTreeMap<&[String], BTreeSet<&[String]>> = self
            .modules
            .iter()
            .map(|(place, module)| (place.as_slice(), self.arrows(place, module)))
            .collect();
        let reached: BTreeMap<&[String], BTreeSet<&[String]>> =
            arrows.keys().map(|place| (*place, reach(&arrows, place))).collect();
        let mut circles = BTreeSet::new();
        for (place, reaches) in &reached {
            let circle: Vec<&str> = reaches
                .iter()
                .filter(|other| reached[*other].contains(place))
                .map(|other| self.modules[*other].file.as_str())
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// Which file names which other.
    pub(crate) fn edges(&self) -> Vec<(&str, &str)> {
        let mut edges = Vec::new();
        for (place, module) in &self.modules {
            let targets = self.arrows(place, module).into_iter();
            edges.extend(targets.map(|target| (module.file.as_str(), self.modules[target].file.as_str())));
        }
        edges
    }

    /// The top folders (with the file beside each) and the others that their files name.
    pub(crate) fn rooms(&self) -> BTreeMap<&str, BTreeMap<&str, &str>> {
        let mut rooms: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (place, module) in &self.modules {
            let Some(room) = place.first() else { continue };
            let others = rooms.entry(room).or_default();
            let targets = self.arrows(place, module).into_iter().filter_map(|target| target.first());
            others.extend(
                targets.filter(|other| *other != room).map(|other| (other.as_str(), module.file.as_str())),
            );
        }
        rooms
    }

    fn arrows<'a>(&'a self, place: &'a [String], module: &'a Module) -> BTreeSet<&'a [String]> {
        let targets = module.paths.iter().filter_map(|path| self.resolve(place, path, 0));
        targets.filter(|target| !place.starts_with(target)).collect()
    }

    /// The module in whose file a path ends; none outside this crate.
    fn resolve<'a>(&'a self, place: &[String], path: &[String], hops: usize) -> Option<&'a [String]> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => place.to_vec(),
            "super" => place.split_last()?.1.to_vec(),
            name => return self.lookup(place, name, rest, hops),
        };
        while let Some((super_, after)) = rest.split_first().filter(|(name, _)| *name == "super") {
            debug_assert_eq!(super_, "super");
            at.pop()?;
            rest = after;
        }
        self.descend(&at, rest, hops)
    }

    fn descend<'a>(&'a self, at: &[String], rest: &[String], hops: usize) -> Option<&'a [String]> {
        let Some((name, after)) = rest.split_first() else {
            return self.modules.get_key_value(at).map(|(place, _)| place.as_slice());
        };
        self.lookup(at, name, after, hops)
            .or_else(|| self.modules.get_key_value(at).map(|(place, _)| place.as_slice()))
    }

    /// A name as a module knows it: a child, or what it stands for.
    fn lookup<'a>(&'a self, at: &[String], name: &str, rest: &[String], hops: usize) -> Option<&'a [String]> {
        if hops == HOPS_MAX {
            return None;
        }
        let child = [at, &[name.to_owned()]].concat();
        if self.modules.contains_key(&child) {
            return self.descend(&child, rest, hops);
        }
        let module = self.modules.get(at)?;
        if let Some(path) =
            module.names.get(name).filter(|path| path.first().map(String::as_str) != Some(name))
        {
            return self.resolve(at, &[path.as_slice(), rest].concat(), hops + 1);
        }
        let own = [&[name.to_owned()], rest].concat();
        module.globs.iter().find_map(|glob| {
            let from = self.resolve(at, glob, hops + 1)?;
            self.lookup(from, &own[0], &own[1..], hops + 1)
        })
    }
}

fn reach<'a>(
    arrows: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>,
    from: &'a [String],
) -> BTreeSet<&'a [String]> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for target in &arrows[at] {
            if reached.insert(*target) {
                next.push(target);
            }
        }
    }
    reached
}

impl Module {
    fn read(source: &Source) -> Module {
        let tokens = tokens(&source.code_without_tests());
        let mut module = Module {
            file: source.path.clone(),
            paths: Vec::new(),
            names: BTreeMap::new(),
            globs: Vec::new(),
        };
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                Token::Word(word) if word == "use" => at = module.take_use(&tokens, at + 1),
                Token::Word(_) if at > 0 && tokens[at - 1] == Token::Other('.') => at += 1,
                Token::Word(word) => {
                    let mut path = vec![word.clone()];
                    at += 1;
                    while let [Token::Colons, Token::Word(word), ..] = &tokens[at..] {
                        path.push(word.clone());
                        at += 2;
                    }
                    if path.len() > 1 {
                        module.paths.push(path);
                    }
                }
                _ => at += 1,
            }
        }
        module
    }

    /// From behind `use` to behind its `;`.
    fn take_use(&mut self, tokens: &[Token], mut at: usize) -> usize {
        // What stands before the braces that are open, and the path so far.
        let mut before: Vec<Vec<String>> = Vec::new();
        let mut path: Vec<String> = Vec::new();
        let mut alias = None;
        while at < tokens.len() {
            match &tokens[at] {
                Token::Word(word) if word == "as" => {
                    at += 1;
                    alias = Some(tokens[at].clone());
                }
                Token::Word(word) => path.push(word.clone()),
                Token::Other('*') => {
                    self.globs.push(path.clone());
                    self.paths.push(std::mem::take(&mut path));
                }
                Token::Other('{') => before.push(path.clone()),
                Token::Other(end @ (',' | '}' | ';')) => {
                    self.bind(std::mem::take(&mut path), alias.take(), before.last());
                    if *end == '}' {
                        before.pop();
                    }
                    path = before.last().cloned().unwrap_or_default();
                    if *end == '}' {
                        // What was in the braces is said; a `,` or the end comes next.
                        path.clear();
                    }
                    if *end == ';' {
                        return at + 1;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        at
    }

    fn bind(&mut self, mut path: Vec<String>, alias: Option<Token>, before: Option<&Vec<String>>) {
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        } else if path.is_empty() || before == Some(&path) {
            return;
        }
        let name = match alias {
            Some(Token::Word(alias)) => alias,
            _ => path.last().cloned().unwrap_or_default(),
        };
        self.names.insert(name, path.clone());
        self.paths.push(path);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Colons,
    Other(char),
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let len = if word > 0 {
            tokens.push(Token::Word(rest[..word].to_owned()));
            word
        } else if rest.starts_with("::") {
            tokens.push(Token::Colons);
            2
        } else {
            tokens.push(Token::Other(first));
            first.len_utf8()
        };
        rest = rest[len..].trim_start();
    }
    tokens
}

#[test]
fn a_circle_is_found_through_a_name_that_leads_on() {
    let source = |path: &str, text: &str| Source::of(format!("c/src/{path}"), text.to_owned());
    let circles = |c: &str, deep: &str| -> Vec<String> {
        let root =
            "mod a; mod b; mod c; pub use c::{self, deep::{Thing as Other, More}};\n#[cfg(test)] mod t;";
        let sources = [
            source("lib.rs", root),
            source("a.rs", "use crate::b; fn f() { b::g() }"),
            source("b.rs", "use super::{Other}; fn g(_: Other) {}"),
            source("c.rs", c),
            source("c/deep.rs", deep),
            source("t.rs", "use crate::a::f;"),
        ];
        let graphs = graphs(&sources);
        graphs[0].circles().iter().map(|circle| circle.join(" ").replace("c/src/", "")).collect()
    };
    let (parent, child) =
        ("mod deep; pub fn up() { deep::d() }", "use super::up; \"crate::a::x\"; fn d() { up() }");
    assert!(circles(parent, child).is_empty(), "a parent and its child");
    let tested = "mod deep; #[cfg(test)] mod tests { use crate::a::f; }";
    assert!(circles(tested, child).is_empty(), "tests may know everything");
    assert_eq!(circles(parent, "fn d() { crate::a::f() }"), ["a.rs b.rs c/deep.rs"]);
    assert_eq!(
        circles("mod deep; use crate::b::{g as h};", "use super::*; fn d() { super::h() }"),
        ["b.rs c/deep.rs"]
    );
    let through = "mod deep; use crate::{a::{f}}; pub fn up() { deep::d(); f() }";
    assert!(circles(through, child).is_empty(), "nobody below knows c.rs itself but its child");
}
