//! Canaries: a secret of every kind, told by a script and by terraform in every way that they know, and a
//! scan of all that leaves the account or is written about it. And a planted leak, which the scan must find.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use remit_proto::convert::Outcome;
use remit_seal::document::{Authority, ComponentKind, Input, Source, ValueType};

use crate::bench::{Bench, wait};
use crate::product::{Made, output_ref, pack, part, release, script};

/// One for each way in: a value in a file, a list, by reference; what one component gives another.
const IN_FILE: &str = "canary-file-4f1c9a7e";
const IN_LIST: &str = "canary list 'b2<d>&83' \"q\"";
const BY_REFERENCE: &str = "canary/reference+c05d11";
const GIVEN: &str = "canary-given-by-a-component-77ae";
const ALL: [&str; 4] = [IN_FILE, IN_LIST, BY_REFERENCE, GIVEN];
/// Nobody said that this one is a secret.
const PLANTED: &str = "canary-planted-5150";

/// What a thief would look for in these bytes.
fn tells(bytes: &[u8], canary: &str) -> bool {
    let raw = canary.as_bytes();
    let json = serde_json::to_string(canary).unwrap();
    let mut forms = vec![
        raw.to_vec(),
        json.trim_matches('"').into(),
        hex::encode(raw).into(),
        hex::encode_upper(raw).into(),
    ];
    for skip in 0..3 {
        let part = &raw[skip..];
        let part = &part[..part.len() / 3 * 3];
        forms.extend([STANDARD.encode(part).into_bytes(), URL_SAFE.encode(part).into_bytes()]);
    }
    forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
}

fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
}

/// Where a canary is that should be nowhere.
fn scan(bench: &Bench, own_words: &str, status: &str, canary: &str) -> Vec<String> {
    let mut places = vec![
        ("the wire".to_owned(), bench.broker.shared.heard()),
        ("the runner's own log".to_owned(), own_words.as_bytes().to_vec()),
        ("the status API".to_owned(), status.as_bytes().to_vec()),
    ];
    for below in ["journal", "logs", "cache", "locks", "questions", "work", "plans"] {
        files(&bench.data.join(below), &mut places);
    }
    places.retain(|(_, bytes)| tells(bytes, canary));
    places.into_iter().map(|(place, _)| place).collect()
}

fn sensitive(value_type: ValueType) -> Input {
    Input {
        value_type,
        authority: Authority::Customer,
        default: None,
        max: 4096,
        choices: Vec::new(),
        sensitive: true,
        description: String::new(),
    }
}

/// Tells what it knows in every way.
fn talker() -> Made {
    script(
        "talker",
        r#"set -u
        for s in "$REMIT_INPUT_FILE" "$REMIT_INPUT_REFERENCE" "$REMIT_INPUT_GIVEN"; do
            echo "plain $s"; echo "error $s" >&2; printf '%s' "$s" | base64; printf 'x%s' "$s" | base64 -w 20
            printf 'xy%s' "$s" | base64 | tr '+/' '-_'; printf '%s' "$s" | od -An -v -tx1 | tr -d ' \n'; echo
            printf '%s' "$s" | head -c 9; sleep 0.1; printf '%s\n' "$s" | tail -c +10
        done
        echo "$REMIT_INPUT_LIST"; cat "$REMIT_INPUTS_FILE"; echo; env
        echo "planted: $REMIT_INPUT_PLANTED"
        printf '{"told":"%s","key":"%s"}' "$REMIT_INPUT_GIVEN" "$REMIT_INPUT_FILE" > "$REMIT_OUTPUTS_FILE"
        if [ -e "$REMIT_STATE_DIR/once" ]; then echo "cannot: $REMIT_INPUT_REFERENCE" >&2; exit 9; fi
        touch "$REMIT_STATE_DIR/once""#,
    )
    .input("file", Source::Input("file".to_owned()))
    .input("list", Source::Input("list".to_owned()))
    .input("reference", Source::Input("reference".to_owned()))
    .input("given", Source::Output(output_ref("giver", "password")))
    .input("planted", Source::Input("planted".to_owned()))
    .output("told", ValueType::String, false)
    .output("key", ValueType::String, true)
}

const MODULE: &str = r#"
variable "file" {
  type      = string
  sensitive = true
}
variable "given" { type = string }
resource "terraform_data" "thing" { input = var.given }
output "told" { value = terraform_data.thing.output }
output "broken" { value = file("/nothing/${var.given}") }
"#;

fn world() -> (Bench, Vec<Made>) {
    let mut bench = Bench::new();
    std::fs::write(
        bench.path("inputs.toml"),
        format!(
            "file = \"{IN_FILE}\"\nlist = [{}]\nplanted = \"{PLANTED}\"\n",
            serde_json::to_string(IN_LIST).unwrap()
        ),
    )
    .unwrap();
    let key = bench.path("key");
    std::fs::write(&key, BY_REFERENCE).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    bench.args.push(format!("--secret=reference=file:{}", key.display()));
    let giver = script("giver", &format!("printf '{{\"password\":\"{GIVEN}\"}}' > \"$REMIT_OUTPUTS_FILE\""))
        .output("password", ValueType::String, true);
    let module = part("module", ComponentKind::Terraform, pack(&[("main.tf", MODULE)]))
        .input("file", Source::Input("file".to_owned()))
        .input("given", Source::Output(output_ref("giver", "password")))
        .output("told", ValueType::String, false);
    (bench, vec![giver, talker(), module])
}

#[test]
fn no_canary_leaves_the_account_and_a_planted_one_is_found() {
    let (mut bench, parts) = world();
    let parts: Vec<&Made> = parts.iter().collect();
    let mut release = release(&parts);
    release.inputs.insert("file".to_owned(), sensitive(ValueType::String));
    release.inputs.insert("list".to_owned(), sensitive(ValueType::StringList));
    release.inputs.insert("reference".to_owned(), sensitive(ValueType::String));
    release.inputs.insert("planted".to_owned(), Input { sensitive: false, ..sensitive(ValueType::String) });
    // The script that gives the password holds it: its artefact is the vendor's, and no way out.
    let digest = bench.broker.publish_release(&release, &parts);
    bench.env.push(("REMIT_RUNNER_LOG".to_owned(), "trace".to_owned()));
    let runner = bench.runner();
    let mut ended = Vec::new();
    for component in ["giver", "talker", "talker", "module"] {
        let job = bench.broker.job(&release, digest, component, "deploy");
        let job = bench.broker.offer(&job);
        ended.push(bench.outcome(&job));
        wait("the log", || Some(()).filter(|()| !bench.broker.log(&job).is_empty()));
    }
    assert!(matches!(&ended[0], Outcome::Succeeded(_)), "{:?}", ended[0]);
    assert!(matches!(&ended[1], Outcome::Succeeded(_)), "{:?}", ended[1]);
    assert!(
        matches!(&ended[2], Outcome::Failed(failure) if failure.message.contains("cannot: [redacted]")),
        "{:?}",
        ended[2]
    );
    assert!(
        matches!(&ended[3], Outcome::Failed(failure) if failure.message.contains("/nothing/[redacted]")),
        "{:?}",
        ended[3]
    );
    let status = ["/v1/status", "/v1/jobs", "/v1/receipts?limit=1000", "/metrics"]
        .map(|path| runner.ask("GET", path).1)
        .concat();
    let own_words = runner.drain();
    for canary in ALL {
        let mut found = scan(&bench, &own_words, &status, canary);
        found.retain(|place| canary != GIVEN || !place.contains("/cache/"));
        assert_eq!(found, Vec::<String>::new(), "{canary} was told");
    }
    let found = scan(&bench, &own_words, &status, PLANTED);
    assert!(found.iter().any(|place| place == "the wire"), "the scan is blind: {found:?}");
}
