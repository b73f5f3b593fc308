//! Escape hatches: what a terraform source does that no plan shows, as its release declares it.
//!
//! Only whether a declaration makes sense is looked at here. That a source does no more than was declared,
//! the runner sees when it has it.

use crate::Refusal;
use crate::document::Component;

/// The most that one component declares.
pub const ESCAPES_MAX: usize = 64;
/// The longest source of a module or provider, in bytes.
pub const ESCAPE_LEN_MAX: usize = 512;
/// Those with names of their own: provisioners, what runs programs or reaches any address while it is planned, and
/// providers that get their credentials by a file or a program of the source's choice.
pub const ESCAPES: [&str; 8] = [
    "local-exec",
    "remote-exec",
    "file",
    "external",
    "http",
    "local_command",
    "terraform_remote_state",
    "provider-credentials",
];

/// Whether a text names an escape hatch: one of `ESCAPES`, `module:SOURCE` of a module from elsewhere, or
/// `provider:SOURCE` of a provider that the lock file does not name. A source that terraform puts together
/// (`${…}`) is not known before, so nobody can declare it.
pub fn is_escape(text: &str) -> bool {
    let source = text.strip_prefix("module:").or_else(|| text.strip_prefix("provider:"));
    source.map_or_else(|| ESCAPES.contains(&text), is_source)
}

fn is_source(source: &str) -> bool {
    !source.is_empty()
        && source.len() <= ESCAPE_LEN_MAX
        && source.bytes().all(|b| b.is_ascii_graphic() && b != b'$')
}

/// Whether a component declares what it can.
pub(super) fn check(component: &Component) -> Result<(), Refusal> {
    let refuse = |detail| Err(Refusal::Escapes { component: component.name.clone(), detail });
    let Component { kind, escapes, .. } = component;
    if !escapes.is_empty() && !kind.traits().has_escapes {
        return refuse("only a terraform component declares any");
    }
    if escapes.len() > ESCAPES_MAX {
        return refuse("there are more than 64");
    }
    if !escapes.iter().all(|text| is_escape(text)) {
        return refuse("one is none that there is");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_declared() {
        let longest = format!("module:{}", "x".repeat(ESCAPE_LEN_MAX));
        let rows = [
            ("local-exec", true),
            ("external", true),
            ("http", true),
            ("terraform_remote_state", true),
            ("provider-credentials", true),
            ("module:hashicorp/consul/aws", true),
            ("module:git::https://example.com/vpc.git?ref=v1", true),
            ("provider:registry.terraform.io/hashicorp/null", true),
            (&longest, true),
            (&format!("{longest}x"), false),
            ("", false),
            ("Local-exec", false),
            ("chef", false),
            ("module:", false),
            ("provider:", false),
            ("module", false),
            ("module:a b", false),
            ("module:(not a plain text)", false),
            ("module:${}", false),
            ("module:a\u{e9}", false),
            ("provider:a\n", false),
        ];
        for (text, expect) in rows {
            assert_eq!(is_escape(text), expect, "{text}");
        }
    }
}
