//! How long `remit-runner verify` takes for a million receipts, beside sha256 over as many bytes.
//!
//! The journal is written here as the runner writes it: lines of length, checksum and JSON, each naming the
//! digest of the one before.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use remit_seal::Digest;
use remit_tests::figure::{Figure, Options};
use remit_tests::world::programs;
use serde_json::json;

const INSTALL: &str = "ins_demo.shop.acme";
/// Records of an attempt that is carried to its end.
const EACH: u64 = 4;

pub(crate) fn verified(options: &Options) -> Result<Figure> {
    let dir = tempfile::tempdir()?;
    let journal = dir.path().join("journal");
    fs::create_dir(&journal)?;
    let records = options.scale(1_000_000, 20_000);
    write(&journal.join("000001.log"), records)?;
    let begin = Instant::now();
    let mut verify = Command::new(programs::path("remit-runner")?);
    let verify = verify.args(["verify", "--json", "--data-dir"]).arg(dir.path());
    let answer = verify.stderr(Stdio::inherit()).output()?;
    let took = begin.elapsed().as_secs_f64();
    ensure!(answer.status.success(), "verify: {}", answer.status);
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout)?;
    ensure!(answer["records"] == records, "{answer}");
    let bytes = fs::read(journal.join("000001.log"))?;
    let begin = Instant::now();
    ensure!(Digest::of(&bytes) != Digest::of(b""), "the journal is empty");
    let bare = begin.elapsed().as_secs_f64();
    Ok(Figure::new(super::VERIFY, took, "s").against(bare))
}

fn write(path: &Path, records: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut head = Digest::of(b"");
    for n in 1..=records {
        let record =
            json!({ "n": n, "at_ms": 1_790_000_000_000_u64 + n, "prev": head.hex(), "entry": entry(n) });
        let json = serde_json::to_vec(&record)?;
        write!(file, "{:08x} {:08x} ", json.len(), crc32(&json))?;
        file.write_all(&json)?;
        file.write_all(b"\n")?;
        head = Digest::of(&json);
    }
    file.flush()?;
    Ok(())
}

/// The journal's beginning, and then one attempt after the other.
fn entry(n: u64) -> serde_json::Value {
    let Some(place) = n.checked_sub(2) else {
        return json!({ "opened": { "format": 1, "install": INSTALL } });
    };
    let of = place / EACH + 1;
    let job = format!("job_demo.shop.acme.network.e1.o{of}");
    let attempt = json!({ "job": job, "attempt": 1, "fence": of });
    match place % EACH {
        0 => json!({ "accepted": {
            "attempt": attempt, "seq": of, "envelope": Digest::of(b"e").hex(), "release": Digest::of(b"r").hex(),
            "release_counter": 3, "channel": "stable", "rollback_floor": 2, "component": "network",
            "class": "change", "operation": "deploy", "rehearsal": false, "policy": 1,
        } }),
        1 => json!({ "begun": { "attempt": attempt } }),
        2 => {
            json!({ "ended": { "attempt": attempt, "outcome": { "cancelled": { "message": "measured" } } } })
        }
        _ => json!({ "reported": { "attempt": attempt, "taken": true } }),
    }
}

/// The checksum of IEEE 802.3, bit by bit: what the journal's lines begin with.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
