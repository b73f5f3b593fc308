//! What is kept of the customer's words, and what makes room.

use std::sync::LazyLock;

use remit_seal::customer::Every;
use remit_seal::key::SigningKey;

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn key() -> SigningKey {
    SigningKey::ed25519_from_seed(&[7; 32])
}

/// When all of it was said.
static NOW_MS: LazyLock<i64> = LazyLock::new(now_ms);

fn word(n: i64, word: Word) -> CustomerApproval {
    let operation = "destroy".to_owned();
    CustomerApproval {
        install: "ins_demo.shop.acme".to_owned(),
        subject: Subject::Every(Every { operation, component: None, releases: None }),
        word,
        what: String::new(),
        by: "ann".to_owned(),
        at_ms: *NOW_MS - 1,
        until_ms: *NOW_MS + HOUR_MS + n,
    }
}

fn signed(word: &CustomerApproval) -> Vec<u8> {
    Envelope::sign(PayloadType::Approval, word, &[&key()]).unwrap().to_bytes()
}

fn approvals(dir: &Path) -> Approvals {
    let (dir, keys) = (dir.to_owned(), vec![key().public()]);
    Approvals { dir, keys, install: "ins_demo.shop.acme".to_owned() }
}

#[test]
fn copies_of_one_word_take_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let (denied, approved) = (word(0, Word::Denied), signed(&word(1, Word::Approved)));
    let approvals = approvals(dir.path());
    approvals.take(&signed(&denied)).unwrap();
    for _ in 0..KEPT_MAX + 1 {
        approvals.take(&approved).unwrap();
    }
    // The same payload in another container is the same word.
    let text = String::from_utf8(approved).unwrap();
    approvals.take(text.replace("{\"", "{ \"").as_bytes()).unwrap();
    assert_eq!(files(dir.path()).unwrap().len(), 2);
    assert!(approvals.words().iter().any(|word| word.said == denied));
}

#[test]
fn nothing_pushes_out_a_denial_and_a_denial_always_finds_room() {
    let dir = tempfile::tempdir().unwrap();
    let first = word(0, Word::Denied);
    keep(dir.path(), &signed(&first)).unwrap();
    for n in 1..i64::try_from(KEPT_MAX).unwrap() {
        keep(dir.path(), &signed(&word(n, Word::Approved))).unwrap();
    }
    let full = keep(dir.path(), &signed(&word(-9, Word::Approved))).unwrap_err();
    assert_eq!(full.code(), "runner.approvals_full");
    let second = word(5_000, Word::Denied);
    keep(dir.path(), &signed(&second)).unwrap();
    let all = kept(dir.path()).unwrap();
    assert_eq!(all.len(), KEPT_MAX);
    assert!([first, second].iter().all(|wanted| all.iter().any(|kept| kept.said == *wanted)));
    assert!(!all.iter().any(|kept| kept.said.until_ms == word(1, Word::Approved).until_ms));
    // What is no word, or is over, makes room for everybody.
    let over = all.iter().find(|kept| kept.said.word == Word::Approved).unwrap();
    fs::write(&over.path, signed(&CustomerApproval { until_ms: 2, at_ms: 1, ..over.said.clone() })).unwrap();
    keep(dir.path(), &signed(&word(-9, Word::Approved))).unwrap();
}

#[test]
fn a_revoked_word_counts_no_more_even_when_it_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = approvals(dir.path());
    let denied = signed(&word(0, Word::Denied));
    let path = keep(dir.path(), &denied).unwrap();
    let digest = approvals.words()[0].digest;
    let revoked = CustomerApproval { subject: Subject::Word(digest), ..word(1, Word::Revoked) };
    approvals.take(&signed(&revoked)).unwrap();
    let counts = || approvals.words().iter().filter(|word| word.said.word == Word::Denied).count();
    assert_eq!(counts(), 0);
    fs::write(path.with_file_name("again.json"), &denied).unwrap();
    assert_eq!(counts(), 0);
}

#[test]
fn a_word_of_the_future_or_of_the_past_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = approvals(dir.path());
    let now = now_ms();
    let check = |change: &dyn Fn(&mut CustomerApproval)| {
        let mut word = word(0, Word::Approved);
        change(&mut word);
        approvals.take(&signed(&word)).map_err(|error| error.code()).err()
    };
    assert_eq!(check(&|w| w.at_ms = now + AHEAD_MAX_MS + 60_000), Some("runner.approval_ahead"));
    assert_eq!(check(&|w| (w.at_ms, w.until_ms) = (1, 2)), Some("runner.approval_over"));
    assert_eq!(check(&|w| w.install.push('x')), Some("runner.approval_foreign"));
    assert_eq!(check(&|_| {}), None);
}
