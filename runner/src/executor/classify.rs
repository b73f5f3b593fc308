//! From a tool's own words to a class of failure: a table, read from top to bottom.
//!
//! The first line that matches decides. It errs on the side of `bug`, which holds for a
//! person, rather than of a retry that repeats a mistake.

use crate::outcome::{Class, Failure};

/// Words (lower case) and the class they speak for.
const TABLE: [(&str, Class); 44] = [
    ("accessdenied", Class::Permission),
    ("access denied", Class::Permission),
    ("unauthorizedoperation", Class::Permission),
    ("not authorized", Class::Permission),
    ("permission denied", Class::Permission),
    ("permissiondenied", Class::Permission),
    ("operation not permitted", Class::Permission),
    ("authorizationerror", Class::Permission),
    ("invalidclienttokenid", Class::Permission),
    ("expiredtoken", Class::Permission),
    ("no valid credential sources", Class::Permission),
    ("explicit deny", Class::Permission),
    ("billing", Class::Billing),
    ("payment required", Class::Billing),
    ("optinrequired", Class::Billing),
    ("throttl", Class::Transient),
    ("rate exceeded", Class::Transient),
    ("requestlimitexceeded", Class::Transient),
    ("too many requests", Class::Transient),
    ("quota", Class::Quota),
    ("limitexceeded", Class::Quota),
    ("limit exceeded", Class::Quota),
    ("insufficient capacity", Class::Quota),
    ("insufficientinstancecapacity", Class::Quota),
    ("error acquiring the state lock", Class::Conflict),
    ("state lock", Class::Conflict),
    ("resource temporarily unavailable", Class::Conflict),
    ("already exists", Class::Conflict),
    ("alreadyexists", Class::Conflict),
    ("conflictexception", Class::Conflict),
    ("dependencyviolation", Class::Conflict),
    ("saved plan is stale", Class::Interference),
    ("timed out", Class::Transient),
    ("timeout", Class::Transient),
    ("deadline exceeded", Class::Transient),
    ("connection refused", Class::Transient),
    ("connection reset", Class::Transient),
    ("no such host", Class::Transient),
    ("temporary failure in name resolution", Class::Transient),
    ("network is unreachable", Class::Transient),
    ("service unavailable", Class::Transient),
    ("internal server error", Class::Transient),
    ("no space left on device", Class::Transient),
    ("bad gateway", Class::Transient),
];

/// The class that these words speak for.
pub fn classify(words: &str) -> Class {
    let words = words.to_lowercase();
    TABLE.iter().find(|(sign, _)| words.contains(sign)).map_or(Class::Bug, |(_, class)| *class)
}

/// A tool that ran and failed, in its own words.
pub fn failed(tool: &str, code: i32, words: &str) -> Failure {
    let class = classify(words);
    let said = if words.trim().is_empty() { "it said nothing" } else { words.trim() };
    Failure::new(class, "executor.tool_failed", format!("{tool} ended with {code}: {said}"), hint(class))
}

/// What ends a failure of this class.
pub(super) fn hint(class: Class) -> &'static str {
    match class {
        Class::Permission => "grant the runner's role what the message names, then retry",
        Class::Quota => "raise the limit that the message names, or use less, then retry",
        Class::Billing => "settle the account's billing, then retry",
        Class::Conflict => "find what else owns or holds the thing that the message names; then retry",
        Class::Interference => "something changed it from outside; a retry plans anew",
        Class::Transient => "it may work the next time; it is retried by itself",
        Class::Timeout => "give it a longer `longest_run`, or find out what it waits for",
        Class::Bug => "the vendor corrects the component; the attempt's log has the rest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide() {
        for (words, class) in [
            ("Error: AccessDenied: User is not authorized", Class::Permission),
            ("UnauthorizedOperation: You are not", Class::Permission),
            ("mkdir: cannot create: Permission denied", Class::Permission),
            ("VcpuLimitExceeded: more vCPU", Class::Quota),
            ("ThrottlingException: Rate exceeded", Class::Transient),
            ("RequestLimitExceeded.", Class::Transient),
            ("dial tcp: i/o timeout", Class::Transient),
            ("Error: Error acquiring the state lock", Class::Conflict),
            ("Error: Invalid reference", Class::Bug),
            ("", Class::Bug),
        ] {
            assert_eq!(classify(words), class, "{words}");
        }
    }

    #[test]
    fn every_sign_is_lower_case_and_reachable() {
        for (n, (sign, _)) in TABLE.iter().enumerate() {
            assert_eq!(*sign, sign.to_lowercase());
            let hidden = TABLE[..n].iter().find(|(earlier, _)| sign.contains(earlier));
            assert!(hidden.is_none_or(|(_, class)| *class == TABLE[n].1), "{sign} is hidden");
        }
    }
}
