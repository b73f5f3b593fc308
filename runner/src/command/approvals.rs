//! Approving, denying, listing and revoking: each works on the data directory alone, whether the runner and the
//! broker are there or not.

use std::path::Path;

use remit_seal::Digest;
use remit_seal::customer::{Every, Releases, Subject, Word};
use remit_seal::verify::is_name;
use serde_json::json;

use super::customer::{Error, Said, digits, sign};
use crate::config::cli::{ApprovalsCommand, ApproveArgs, MarksCommand, Output};
use crate::error::now_ms;
use crate::policy::approval::waiting::{self, Waiting, shown};
use crate::policy::approval::{self, Believed, Kept};

/// The fewest digits that name something.
const SHORT_LEN_MIN: usize = 8;
/// How long an approval of a content counts where nothing is said.
const CONTENT_UNTIL: &str = "24h";

/// Signs what the customer says of what waits, or of many jobs at once.
pub fn approve(args: &ApproveArgs, word: Word) -> Result<String, Error> {
    let (verb, said) = if word == Word::Approved { ("approve", "approved") } else { ("deny", "denied") };
    if let Some(operation) = &args.every {
        let every = every(operation, args)?;
        let what = in_words(&every);
        let until = Some(CONTENT_UNTIL).filter(|_| word == Word::Approved);
        let of = Said { subject: Subject::Every(every), word, what: what.clone(), until };
        return sign(&args.sign, of, &format!("{said}: {what}, whatever it contains"));
    }
    let given = args.digest.as_deref().unwrap_or_default();
    let wanted = find(&args.sign.data_dir, given, verb)?;
    let until = Some(CONTENT_UNTIL).filter(|_| word == Word::Approved && !wanted.is_program);
    let subject = Subject::Content(Digest::from_hex(&wanted.digest).map_err(|_| unknown(given, verb))?);
    let ends = match (word, wanted.is_program) {
        (Word::Approved, false) => "; it ends with the first success",
        (Word::Approved, true) => "; it goes on until the program is another one",
        (Word::Denied | Word::Revoked, _) => "; it stays so until it is revoked",
    };
    let words = format!("{said}: {}{ends}", wanted.what);
    sign(&args.sign, Said { subject, word, what: wanted.what, until }, &words)
}

/// What waits under these digits. All 64 name it by themselves, on a machine that knows nothing of it.
fn find(data_dir: &Path, given: &str, verb: &str) -> Result<Waiting, Error> {
    let short = given.strip_prefix("sha256:").unwrap_or(given);
    let is_hex = short.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hex || short.len() < SHORT_LEN_MIN || short.len() > 64 {
        return Err(Error::Usage(format!(
            "`{given}` names nothing: give 8 to 64 of the hexadecimal digits that the runner shows, or --every OPERATION"
        )));
    }
    let waiting =
        waiting::read(data_dir).map_err(|source| Error::Io { path: data_dir.to_owned(), source })?;
    let mut found = waiting.into_iter().filter(|waiting| waiting.is_named(short));
    match (found.next(), found.next(), digits(short)) {
        (Some(one), None, _) => Ok(one),
        (Some(_), Some(_), _) => {
            Err(Error::Usage(format!("`{given}` names more than one thing that waits: give more digits")))
        }
        (None, _, Some(digest)) => Ok(Waiting::unseen(digest)),
        (None, _, None) => Err(unknown(given, verb)),
    }
}

fn unknown(given: &str, verb: &str) -> Error {
    Error::Usage(format!(
        "nothing waits here under `{given}`: see `remit-runner approvals list`, or {verb} it by all 64 digits"
    ))
}

fn every(operation: &str, args: &ApproveArgs) -> Result<Every, Error> {
    let component = args.component.clone();
    if !is_name(operation) || !component.as_deref().is_none_or(is_name) {
        return Err(Error::Usage("an operation or a component is named by a-z, 0-9 and `-`".to_owned()));
    }
    let releases = args.releases.as_deref().map(releases).transpose()?;
    Ok(Every { operation: operation.to_owned(), component, releases })
}

fn releases(text: &str) -> Result<Releases, Error> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let range = from.parse().ok().zip(to.parse().ok()).filter(|(from, to)| from <= to);
    let (from, to) =
        range.ok_or_else(|| Error::Usage(format!("`{text}` is no range of counters such as 12..15")))?;
    Ok(Releases { from, to })
}

fn in_words(every: &Every) -> String {
    let of = every.component.as_ref().map_or("every component".to_owned(), |name| format!("`{name}`"));
    let by = match every.releases {
        None => "any release".to_owned(),
        Some(Releases { from, to }) => format!("releases {from} to {to}"),
    };
    format!("every {} of {of} by {by}", every.operation)
}

/// Looks at the words, or takes one back.
pub fn run(command: &ApprovalsCommand) -> Result<String, Error> {
    match command {
        ApprovalsCommand::List { data_dir, output } => list(data_dir, *output),
        ApprovalsCommand::Revoke { word, output, sign } => revoke(word, *output, sign),
    }
}

fn kept(data_dir: &Path) -> Result<Vec<Kept>, Error> {
    let folder = data_dir.join(approval::FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    approval::kept(&folder).map_err(|source| Error::Io { path: folder, source })
}

fn list(data_dir: &Path, output: Output) -> Result<String, Error> {
    let waiting =
        waiting::read(data_dir).map_err(|source| Error::Io { path: data_dir.to_owned(), source })?;
    let all = kept(data_dir)?.into_iter().map(|kept| Believed { said: kept.said, digest: kept.digest });
    let now = now_ms();
    let words: Vec<Believed> = approval::in_force(all.filter(|word| word.said.until_ms > now).collect());
    let words = words.iter().filter(|word| word.said.word != Word::Revoked);
    if output == Output::Json {
        let words: Vec<_> = words.map(|word| json!({"word": word.digest.hex(), "said": word.said})).collect();
        return Ok(json!({"waiting": waiting, "words": words}).to_string());
    }
    let mut text = String::new();
    for wanted in &waiting {
        text.push_str(&format!("waits     {}  {}\n", wanted.shown(), wanted.what));
    }
    for word in words {
        let said = match word.said.word {
            Word::Approved => "approved",
            Word::Denied => "denied",
            Word::Revoked => "revoked",
        };
        let until = jiff::Timestamp::from_millisecond(word.said.until_ms)
            .map_or_else(|_| "revoked".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        let (what, by) = (about(&word.said.subject, &word.said.what), &word.said.by);
        text.push_str(&format!("{said:<9} {}  {what}, by {by}, until {until}\n", shown(&word.digest.hex())));
    }
    if text.is_empty() {
        text.push_str("nothing waits, and nothing was said\n");
    }
    Ok(text.trim_end().to_owned())
}

/// What a word is of. The words that were signed with it are for people and decide nothing; what many jobs are
/// called is said by what counts.
fn about(subject: &Subject, what: &str) -> String {
    match subject {
        Subject::Every(every) => in_words(every),
        Subject::Content(digest) if what.is_empty() => format!("what has the digest {}", digest.hex()),
        Subject::Lock(holding) => format!("the lock held as {}", shown(holding)),
        Subject::Marks => "numbers are counted anew".to_owned(),
        Subject::Content(_) | Subject::Word(_) => what.to_owned(),
    }
}

fn revoke(given: &str, output: Output, args: &crate::config::cli::SignArgs) -> Result<String, Error> {
    let short = given.strip_prefix("sha256:").unwrap_or(given);
    let all = kept(&args.data_dir)?;
    let mut found: Vec<&Kept> = all
        .iter()
        .filter(|kept| short.len() >= SHORT_LEN_MIN && kept.digest.hex().starts_with(short))
        .collect();
    found.dedup_by_key(|kept| kept.digest);
    let [one] = found[..] else {
        return Err(Error::Usage(format!(
            "`{given}` names no word here, or more than one: see `remit-runner approvals list`"
        )));
    };
    let what = format!("revoked: {}", about(&one.said.subject, &one.said.what));
    let subject = Subject::Word(one.digest);
    // For as long as what it takes back would count.
    let args = args.clone();
    let of = Said { subject, word: Word::Revoked, what: crate::outcome::cut(what.clone(), 512), until: None };
    let said = sign(&args, of, &what)?;
    match output {
        Output::Text => Ok(said),
        Output::Json => Ok(json!({"revoked": one.digest.hex()}).to_string()),
    }
}

/// Has the numbers counted anew.
pub fn marks(command: &MarksCommand) -> Result<String, Error> {
    let MarksCommand::Reset { sign: args } = command;
    let what = "sequence numbers and fences are counted anew".to_owned();
    let of = Said { subject: Subject::Marks, word: Word::Approved, what, until: Some("1h") };
    sign(
        args,
        of,
        "the numbers are counted anew when the runner sees it, and what was signed before is not taken",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::approval::waiting::Waits;

    fn waits(digest: &str) -> Waiting {
        Waiting { digest: digest.to_owned(), ..Waiting::unseen(String::new()) }
    }

    #[test]
    fn what_waits_is_found_by_enough_digits_of_it_and_by_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let waiting = Waits::new(dir.path());
        let [one, other] = ["a", "b"].map(|end| format!("{}{end}", "0123456789".repeat(6)).replace('9', end));
        for digest in [&one, &other] {
            let digest = format!("{digest:0<64}");
            waiting.note(waits(&digest));
        }
        let find = |given: &str| find(dir.path(), given, "approve").map(|found| found.digest);
        assert_eq!(find(&one[..16]).unwrap()[..61], one);
        assert_eq!(find(&format!("sha256:{}", &other[..12])).unwrap()[..61], other);
        for wrong in
            ["", "0123456", "012345678", "job_a.b", "destroy", "ABCDEF0123", "ffffffff", "0123456789abcdeg"]
        {
            assert!(find(wrong).is_err(), "{wrong}");
        }
        // All of it names it, wherever it is signed.
        assert_eq!(find(&"f".repeat(64)).unwrap(), "f".repeat(64));
        assert!(find(&"f".repeat(65)).is_err());
    }

    #[test]
    fn many_jobs_are_said_to_be_many() {
        let every = |component: Option<&str>, range: Option<&str>| Every {
            operation: "destroy".to_owned(),
            component: component.map(str::to_owned),
            releases: range.map(|text| releases(text).unwrap()),
        };
        assert_eq!(in_words(&every(None, None)), "every destroy of every component by any release");
        assert_eq!(in_words(&every(Some("db"), Some("3..4"))), "every destroy of `db` by releases 3 to 4");
        assert_eq!(releases("7").unwrap(), Releases { from: 7, to: 7 });
        for wrong in ["", "..", "4..3", "a..b", "-1"] {
            assert!(releases(wrong).is_err(), "{wrong}");
        }
    }
}
