//! Just enough of Rust's grammar to tell code from comments and texts, and to find where a function
//! ends. It knows no macros and no types.

use std::path::Path;

/// One file.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; same length, same lines.
    code: Vec<u8>,
    /// String literals: where they begin and what they say.
    literals: Vec<(usize, String)>,
    /// Where each line begins.
    lines: Vec<usize>,
}

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
    start: usize,
    end: usize,
}

impl Source {
    pub(crate) fn read(root: &Path, path: String) -> Source {
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        Source::of(path, text)
    }

    pub(crate) fn of(path: String, text: String) -> Source {
        let (code, literals) = blank(text.as_bytes());
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Source { path, text, code, literals, lines }
    }

    /// Every function with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for start in self.words("fn") {
            let rest = &self.code[start + 2..];
            let name: Vec<u8> = rest
                .iter()
                .copied()
                .skip_while(u8::is_ascii_whitespace)
                .take_while(|b| is_word(*b))
                .collect();
            let Some(open) = rest.iter().position(|b| matches!(b, b'{' | b';')).map(|at| start + 2 + at)
            else {
                continue;
            };
            if name.is_empty() || self.code[open] == b';' {
                continue;
            }
            let end = self.closing(open);
            let line = self.line(start);
            let name = String::from_utf8(name).unwrap();
            found.push(Function { name, line, lines: self.line(end) - line + 1, start, end });
        }
        found
    }

    /// The text without comments, literals and tests.
    pub(crate) fn code_without_tests(&self) -> String {
        let mut code = self.code.clone();
        for (start, end) in self.test_regions() {
            code[start..=end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        }
        String::from_utf8_lossy(&code).into_owned()
    }

    /// The modules that are declared for tests only.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let declared = |(start, end)| {
            let text = std::str::from_utf8(&self.code[start..end]).ok()?;
            let name = text.split_once("mod ")?.1.trim();
            Some(name.to_owned())
        };
        self.test_regions().into_iter().filter_map(declared).collect()
    }

    /// Structs with named fields, and how many they have.
    pub(crate) fn structs(&self) -> Vec<(String, usize)> {
        let code = self.code_without_tests();
        let mut found = Vec::new();
        for (at, _) in code.match_indices("struct ") {
            let Some(open) = code[at..].find(['{', ';', '(']).map(|open| at + open) else { continue };
            if code.as_bytes()[open] != b'{' || at > 0 && is_word(code.as_bytes()[at - 1]) {
                continue;
            }
            let name = code[at + 7..open].split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
            let body = &code[open + 1..self.closing(open)];
            found.push((name.unwrap_or_default().to_owned(), fields(body)));
        }
        found
    }

    /// Where this stands in code, outside tests, and the word that follows.
    pub(crate) fn words_after(&self, what: &str) -> Vec<(usize, String)> {
        let code = self.code_without_tests();
        let word = |at: usize| code[at..].bytes().take_while(|b| is_word(*b)).map(char::from).collect();
        code.match_indices(what).map(|(at, _)| (self.line(at), word(at + what.len()))).collect()
    }

    /// The lines in which an arm of a match takes whatever is left.
    pub(crate) fn wildcards(&self) -> Vec<usize> {
        let code = self.code_without_tests();
        let is_arm = |at: usize| {
            let (before, after) = (code.as_bytes()[..at].last(), code[at + 1..].trim_start());
            before.is_none_or(|b| b.is_ascii_whitespace())
                && (after.starts_with("=>") || after.starts_with("if "))
        };
        code.match_indices('_').filter(|(at, _)| is_arm(*at)).map(|(at, _)| self.line(at)).collect()
    }

    /// Whether this stands in a line, or in the line before one that a literal begins.
    pub(crate) fn code_line_begins(&self, line: usize, what: &str) -> bool {
        let lines: Vec<&str> = self.text.lines().collect();
        let own = lines[line - 1].trim_start();
        own.starts_with(what)
            || (own.starts_with('"') && line > 1 && lines[line - 2].trim_start().starts_with(what))
    }

    /// Comments with their lines, `//` and all.
    pub(crate) fn comments(&self) -> Vec<(usize, &str)> {
        let quoted = |at: usize| {
            self.literals.iter().any(|(start, text)| (*start..start + text.len() + 2).contains(&at))
        };
        let mut from = 0;
        let mut found = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            if let Some(at) = line.match_indices("//").map(|(at, _)| at).find(|at| !quoted(from + at)) {
                found.push((number + 1, &line[at..]));
            }
            from += line.len() + 1;
        }
        found
    }

    /// Literals outside tests, with their lines.
    pub(crate) fn literals(&self) -> Vec<(usize, &str)> {
        let tests = self.test_regions();
        let outside = |at: &usize| !tests.iter().any(|(start, end)| (start..end).contains(&at));
        self.literals
            .iter()
            .filter(|(at, _)| outside(at))
            .map(|(at, text)| (self.line(*at), text.as_str()))
            .collect()
    }

    /// The names of functions that are tests and not ignored.
    pub(crate) fn tests(&self) -> Vec<String> {
        let marks = |at: usize| {
            let before = &self.code[..at];
            let from = before.iter().rposition(|b| matches!(b, b'}' | b'{' | b';')).map_or(0, |end| end + 1);
            String::from_utf8_lossy(&before[from..]).into_owned()
        };
        let is_test = |f: &Function| {
            let marks = marks(f.start);
            (marks.contains("#[test]") || marks.contains("::test")) && !marks.contains("#[ignore")
        };
        self.functions().into_iter().filter(is_test).map(|f| f.name).collect()
    }

    /// Literals inside the bodies of functions of this name.
    pub(crate) fn literals_in(&self, function: &str) -> Vec<(usize, &str)> {
        let bodies: Vec<Function> = self.functions().into_iter().filter(|f| f.name == function).collect();
        let inside = |at: usize| bodies.iter().any(|f| (f.start..f.end).contains(&at));
        self.literals
            .iter()
            .filter(|(at, _)| inside(*at))
            .map(|(at, text)| (self.line(*at), text.as_str()))
            .collect()
    }

    /// From each `#[cfg(test)]` to the end of the block that follows.
    fn test_regions(&self) -> Vec<(usize, usize)> {
        let mark = b"#[cfg(test)]";
        let starts =
            (0..self.code.len().saturating_sub(mark.len())).filter(|at| self.code[*at..].starts_with(mark));
        starts
            .map(|start| {
                let open = self.code[start..].iter().position(|b| matches!(b, b'{' | b';'));
                let open = open.map_or(self.code.len() - 1, |at| start + at);
                let end = if self.code[open] == b'{' { self.closing(open) } else { open };
                (start, end)
            })
            .collect()
    }

    fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let before = |at: usize| at == 0 || !is_word(self.code[at - 1]);
        let after = move |at: usize| self.code.get(at + word.len()).is_none_or(|b| !is_word(*b));
        (0..self.code.len())
            .filter(move |at| self.code[*at..].starts_with(word.as_bytes()) && before(*at) && after(*at))
    }

    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, byte) in self.code.iter().enumerate().skip(open) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.code.len() - 1
    }

    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at)
    }
}

/// How many fields a struct's body declares.
fn fields(body: &str) -> usize {
    let (mut depth, mut count) = (0_i32, 0);
    let bytes = body.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let neighbour = |step: isize| at.checked_add_signed(step).and_then(|at| bytes.get(at)).copied();
        match byte {
            b'{' | b'(' | b'[' | b'<' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            b'>' if neighbour(-1) != Some(b'-') => depth -= 1,
            b':' if depth == 0 && neighbour(-1) != Some(b':') && neighbour(1) != Some(b':') => count += 1,
            _ => {}
        }
    }
    count
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Blanks comments and literals, and gathers the texts.
fn blank(text: &[u8]) -> (Vec<u8>, Vec<(usize, String)>) {
    let mut code = text.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let end = if rest.starts_with(b"//") {
            at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            at + find(rest, b"*/").map_or(rest.len(), |found| found + 2)
        } else if let Some((skip, hashes)) = raw_start(text, at) {
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            let inside = find(&rest[skip..], &close).unwrap_or(rest.len() - skip);
            literals.push((at, String::from_utf8_lossy(&rest[skip..skip + inside]).into_owned()));
            at + skip + inside + close.len()
        } else if rest[0] == b'"' {
            let inside = quoted(&rest[1..], b'"');
            literals.push((at, String::from_utf8_lossy(&rest[1..1 + inside]).into_owned()));
            at + inside + 2
        } else if is_char_literal(rest) {
            at + quoted(&rest[1..], b'\'') + 2
        } else {
            at += 1;
            continue;
        };
        let end = end.min(text.len());
        code[at..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        at = end;
    }
    (code, literals)
}

/// `r"`, `r#"`, `br##"` …: how long the opening is and how many hashes it has.
fn raw_start(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if at > 0 && is_word(text[at - 1]) {
        return None;
    }
    let rest = &text[at..];
    let prefix = usize::from(rest.starts_with(b"b") || rest.starts_with(b"c"));
    let after = rest.get(prefix..)?.strip_prefix(b"r")?;
    let hashes = after.iter().take_while(|b| **b == b'#').count();
    (after.get(hashes) == Some(&b'"')).then_some((prefix + 1 + hashes + 1, hashes))
}

/// A lifetime has no closing quote near: `'a'` and `'\n'` do, `'a` and `'static` do not.
fn is_char_literal(rest: &[u8]) -> bool {
    if rest[0] != b'\'' || rest.len() < 3 {
        return false;
    }
    rest[1] == b'\\'
        || rest[2] == b'\''
        || (!rest[1].is_ascii() && rest[1..].iter().take(5).any(|b| *b == b'\''))
}

/// How far it is to the closing quote.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at.min(rest.len())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[test]
fn the_scanner_tells_code_from_text() {
    let text = r##"//! fn not_me() {
fn one<'a>(x: &'a str) -> char {
    let s = "} fn no() { \" }"; // }
    let r = r#"}" }"#;
    /* } */ '}'
}
fn declared();
#[cfg(test)]
mod tests { fn two() { "b.c" } }
const LAST: &str = "d.e";
"##;
    let source = Source::of("x.rs".to_owned(), text.to_owned());
    let functions = source.functions();
    let found: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
    assert_eq!(found, [("one", 2, 5), ("two", 9, 1)]);
    let literals: Vec<_> = source.literals().into_iter().map(|(line, text)| (line, text.len())).collect();
    assert_eq!(literals, [(3, 16), (4, 4), (10, 3)]);
    assert_eq!(source.literals_in("two"), [(9, "b.c")]);
    assert_eq!(source.comments(), [(1, "//! fn not_me() {"), (3, "// }")]);
}

#[test]
fn the_scanner_counts_fields_and_finds_arms() {
    let text = "pub struct One<'a> { a: Map<u8, std::io::Error>, #[x(y = \"z: z\")] pub b: fn(c: u8) -> u8 }\n\
                struct Two(u8);\nfn f() { match x { A { .. } => 1,\n _ if y => 2,\n _ => 3 } }\n\
                #[cfg(test)] mod t { struct No { a: u8 } fn g() { match x { _ => 4 } } }\n";
    let source = Source::of("x.rs".to_owned(), text.to_owned());
    assert_eq!(source.structs(), [("One".to_owned(), 2)]);
    assert_eq!(source.wildcards(), [4, 5]);
    assert_eq!(source.words_after("match "), [(3, "x".to_owned())]);
}
