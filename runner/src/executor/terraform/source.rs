//! What in a terraform source runs programs or fetches code from elsewhere, which no plan shows.
//!
//! Reads tokens, not text: comments, texts and templates are told apart as terraform does.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::storage::data_dir::read_left;

const FILE_LEN_MAX: u64 = 8 << 20;
const DEPTH_MAX: usize = 16;
/// Data sources that run a program, or reach out to any address.
const DATA: [&str; 2] = ["external", "http"];

/// The escape hatches in all files under a directory: `local-exec` and other provisioners, `external`,
/// `http`, and `module:SOURCE` of modules that are not part of it.
pub(super) fn escapes(dir: &Path) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    walk(dir, 0, &mut found)?;
    Ok(found)
}

fn walk(dir: &Path, depth: usize, found: &mut BTreeSet<String>) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other("the source's folders are nested too deep to be looked through"));
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, depth + 1, found)?;
            continue;
        }
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // What can hold no configuration is not read, whatever its size.
        if !(name.ends_with(".tf") || name.ends_with(".tf.json") || name.ends_with(".tofu")) {
            continue;
        }
        let bytes = read_left(&path, FILE_LEN_MAX)?.unwrap_or_default();
        if name.ends_with(".json") {
            let value: Value = serde_json::from_slice(&bytes)?;
            in_json(&value, found);
        } else {
            in_tokens(&tokens(&String::from_utf8_lossy(&bytes)), found);
        }
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn in_tokens(tokens: &[Token], found: &mut BTreeSet<String>) {
    let label = |token: Option<&Token>| match token {
        Some(Token::Word(label) | Token::Text(label)) => Some(label.clone()),
        _ => None,
    };
    let text = |token: Option<&Token>| match token {
        Some(Token::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let (mut depth, mut module) = (0_usize, None);
    for (i, token) in tokens.iter().enumerate() {
        let next = label(tokens.get(i + 1));
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                depth = depth.saturating_sub(1);
                module = module.filter(|at| depth > *at);
            }
            Token::Word(word) => match (word.as_str(), next) {
                ("provisioner", Some(kind)) => {
                    found.insert(kind);
                }
                ("data", Some(kind)) if depth == 0 && DATA.contains(&kind.as_str()) => {
                    found.insert(kind);
                }
                ("module", Some(_)) if depth == 0 => module = Some(0),
                ("source", None)
                    if module.is_some() && depth == 1 && tokens.get(i + 1) == Some(&Token::Sign('=')) =>
                {
                    from_elsewhere(text(tokens.get(i + 2)), found);
                }
                _ => {}
            },
            Token::Text(_) | Token::Sign(_) => {}
        }
    }
}

/// A module whose source is no plain path within this one is from elsewhere, also where it is put together.
fn from_elsewhere(source: Option<String>, found: &mut BTreeSet<String>) {
    let source = source.unwrap_or_else(|| "(not a plain text)".to_owned());
    if !(source.starts_with("./") || source.starts_with("../")) {
        found.insert(format!("module:{source}"));
    }
}

fn in_json(value: &Value, found: &mut BTreeSet<String>) {
    let each = |name: &str| objects(&value[name]);
    for (_, module) in each("module") {
        for module in one_or_many(module) {
            from_elsewhere(module["source"].as_str().map(str::to_owned), found);
        }
    }
    for (kind, _) in each("data") {
        if DATA.contains(&kind) {
            found.insert(kind.to_owned());
        }
    }
    provisioners(value, found);
}

fn provisioners(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if name == "provisioner" {
                    found.extend(objects(inner).map(|(kind, _)| kind.to_owned()));
                }
                provisioners(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| provisioners(item, found)),
        _ => {}
    }
}

/// The fields of an object, or of each object in a list: terraform takes both.
fn objects(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = one_or_many(value).filter_map(Value::as_object);
    all.flat_map(|fields| fields.iter().map(|(name, inner)| (name.as_str(), inner)))
}

fn one_or_many(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        other => Box::new(std::iter::once(other)),
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn tokens(text: &str) -> Vec<Token> {
    let mut chars = text.chars().peekable();
    let mut all = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '#' => skip_line(&mut chars),
            '/' if chars.peek() == Some(&'/') => skip_line(&mut chars),
            '/' if chars.peek() == Some(&'*') => skip_comment(&mut chars),
            '"' => all.push(Token::Text(quoted(&mut chars))),
            '<' if chars.peek() == Some(&'<') => {
                chars.next();
                heredoc(&mut chars);
                all.push(Token::Text(String::new()));
            }
            c if c.is_alphabetic() || c == '_' => all.push(Token::Word(word(c, &mut chars))),
            c if c.is_whitespace() => {}
            c => all.push(Token::Sign(c)),
        }
    }
    all
}

fn word(first: char, chars: &mut Chars<'_>) -> String {
    let mut text = String::from(first);
    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        text.push(c);
    }
    text
}

fn skip_line(chars: &mut Chars<'_>) {
    while chars.next_if(|c| *c != '\n').is_some() {}
}

fn skip_comment(chars: &mut Chars<'_>) {
    let mut before = ' ';
    chars.next();
    for c in chars.by_ref() {
        if before == '*' && c == '/' {
            return;
        }
        before = c;
    }
}

/// Up to the closing quote; a template in it may hold quotes of its own.
fn quoted(chars: &mut Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return text,
            '\\' => text.extend(chars.next().map(|escaped| ['\\', escaped]).into_iter().flatten()),
            '$' | '%' if chars.peek() == Some(&c) => text.extend([c, chars.next().unwrap_or(c)]),
            '$' | '%' if chars.peek() == Some(&'{') => {
                chars.next();
                text.push_str("${}");
                template(chars);
            }
            c => text.push(c),
        }
    }
    text
}

fn template(chars: &mut Chars<'_>) {
    let mut depth = 1;
    while let Some(c) = chars.next() {
        match c {
            '"' => drop(quoted(chars)),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// After `<<`: a mark, lines, and a line with the mark alone.
fn heredoc(chars: &mut Chars<'_>) {
    let mut line = String::new();
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        line.push(c);
    }
    chars.next();
    let mark = line.trim_start_matches('-').trim().to_owned();
    // No mark: a shift or a mistake, which terraform refuses; nothing is skipped for it.
    while !mark.is_empty() && chars.peek().is_some() {
        let mut line = String::new();
        while let Some(c) = chars.next_if(|c| *c != '\n') {
            line.push(c);
        }
        chars.next();
        if line.trim() == mark {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expect: &[&str]) {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("inner")).unwrap();
        fs::write(temp.path().join("inner").join(name), text).unwrap();
        let found: Vec<String> = escapes(temp.path()).unwrap().into_iter().collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn escape_hatches_are_found_however_they_are_written() {
        check(
            "a.tf",
            "resource \"x\" \"y\" {\n provisioner \"local-exec\" {\n command = \"id\"\n }\n}",
            &["local-exec"],
        );
        check("a.tf", "resource x y { provisioner remote-exec {} }", &["remote-exec"]);
        check("a.tf", "data /* c */ \"external\" \"x\" {}\ndata http y {}", &["external", "http"]);
        check("a.tf", "locals { a = \"${\"}\"}\" }\ndata external x {}", &["external"]);
        check("a.tf", "x = <<EOT\ndata external x\nEOT\ndata external y {}", &["external"]);
        check(
            "a.tf",
            "module \"m\" {\n version = \"1\"\n source = \"hashicorp/x/aws\"\n}",
            &["module:hashicorp/x/aws"],
        );
        check("a.tf", "module \"m\" { source = local.where }", &["module:(not a plain text)"]);
        check(
            "a.tf.json",
            r#"{"data": [{"external": {"x": {}}}], "module": {"m": {"source": "git::x"}}}"#,
            &["external", "module:git::x"],
        );
        check(
            "a.tf.json",
            r#"{"resource": {"a": {"b": [{"provisioner": [{"local-exec": {}}]}]}}}"#,
            &["local-exec"],
        );
    }

    #[test]
    fn what_only_looks_like_one_is_left() {
        check("a.tf", "# provisioner \"local-exec\" {\n// data external x\n/* data external y */", &[]);
        check("a.tf", "x = \"provisioner local-exec\"\ny = \"\\\" data external\"", &[]);
        check("a.tf", "x = <<-EOT\n  provisioner \"local-exec\" {}\n  EOT\n", &[]);
        check("a.tf", "module \"m\" { source = \"./inner\" }\nmodule n { source = \"../x\" }", &[]);
        check("a.tf", "terraform { required_providers { aws = { source = \"hashicorp/aws\" } } }", &[]);
        check("a.tf", "resource \"x\" \"external\" { data = \"external\" }", &[]);
        check("notes.md", "provisioner \"local-exec\" {}", &[]);
    }
}
