//! Terraform's state by the newest fence only: hand-made clients, real terraform, a bucket that goes away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use remit_runner::Coded;
use remit_runner::account::object_store::{Cells, Folder};
use remit_runner::executor::terraform::state::document::Document;
use remit_runner::executor::terraform::state::{Session, States};
use remit_runner::storage::data_dir::DataDir;
use serde_json::json;

use crate::aws::Aws;
use crate::bench::wait;
use crate::locks::attempt;
use crate::valve::{Hold, Valve};

const INFO: &str = r#"{"ID":"one","Operation":"test"}"#;

/// A state as terraform writes it.
fn state(lineage: &str, serial: u64, resources: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{serial},"lineage":"{lineage}","outputs":{{}},"resources":[{resources}]}}"#
    )
}

/// Speaks to the backend as terraform would.
struct Client(Vec<(&'static str, String)>);

impl Client {
    fn of(session: &Session) -> Self {
        Self(session.variables())
    }

    fn variable(&self, name: &str) -> &str {
        &self.0.iter().find(|(n, _)| *n == name).unwrap().1
    }

    fn ask(&self, method: &str, query: &str, body: &str) -> (u16, String) {
        let url = self.variable("TF_HTTP_ADDRESS").strip_prefix("http://").unwrap();
        let (addr, path) = url.split_once('/').unwrap();
        let (user, password) = (self.variable("TF_HTTP_USERNAME"), self.variable("TF_HTTP_PASSWORD"));
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let mut tcp = TcpStream::connect(addr).unwrap();
        write!(
            tcp,
            "{method} /{path}{query} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nAuthorization: Basic {basic}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        tcp.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn put(&self, body: &str) -> u16 {
        self.ask("POST", "?ID=one", body).0
    }

    fn lock(&self) -> u16 {
        self.ask("LOCK", "", INFO).0
    }
}

async fn states(cells: Cells, temp: &Path, name: &str) -> States {
    let dir = DataDir::open(&temp.join(name)).unwrap();
    States::serve(cells, &dir).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_is_locked_goes_on_in_its_lineage_and_never_back() {
    let temp = tempfile::tempdir().unwrap();
    let folder = Cells::Folder(Folder::new(&temp.path().join("a/terraform")));
    let states = states(folder, temp.path(), "a").await;
    let session = states.open("network", &attempt(1)).await.unwrap();
    let client = Client::of(&session);
    assert_eq!(client.ask("GET", "", "").0, 204);
    assert_eq!(client.put(&state("a", 1, "")), 400, "without a lock");
    assert_eq!(client.lock(), 200);
    let (status, held) = client.ask("LOCK", "", r#"{"ID":"two"}"#);
    assert_eq!((status, held.as_str()), (423, INFO));
    assert_eq!(client.ask("POST", "?ID=two", &state("a", 1, "")).0, 423);
    for (body, status) in [
        (state("a", 2, ""), 200),
        (state("a", 2, ""), 200),
        (state("a", 2, r#"{"mode":"managed","type":"t","name":"n"}"#), 400),
        (state("a", 1, ""), 400),
        (state("b", 3, ""), 400),
        ("no state".to_owned(), 400),
        (state("a", 3, ""), 200),
    ] {
        assert_eq!(client.put(&body), status, "{body}");
    }
    assert_eq!(client.ask("GET", "", ""), (200, state("a", 3, "")));
    assert_eq!(client.ask("DELETE", "", "").0, 405);
    assert_eq!(client.ask("UNLOCK", "", r#"{"ID":"two"}"#).0, 423);
    assert_eq!(client.ask("UNLOCK", "", INFO).0, 200);
    // The password is of this attempt and this component, and dies with it.
    let wrong =
        Client(session.variables().into_iter().map(|(n, v)| (n, v.replace("/network", "/other"))).collect());
    assert_eq!(wrong.ask("GET", "", "").0, 403);
    session.close().await.unwrap();
    assert_eq!(client.ask("GET", "", "").0, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_fence_writes_nothing_for_good_wherever_it_runs() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let temp = tempfile::tempdir().unwrap();
    let old = states(aws.cells("terraform", None), temp.path(), "old").await;
    let new = states(aws.cells("terraform", None), temp.path(), "new").await;
    let stale = old.open("network", &attempt(5)).await.unwrap();
    let client = Client::of(&stale);
    assert_eq!((client.lock(), client.put(&state("a", 1, ""))), (200, 200));
    // From the moment that the newer attempt has the state, before it has written anything itself.
    let newest = new.open("network", &attempt(6)).await.unwrap();
    let (status, words) = client.ask("POST", "?ID=one", &state("a", 9, ""));
    assert!(status == 409 && words.contains("fence 6"), "{status} {words}");
    assert_eq!(client.put(&state("a", 10, "")), 409, "for good");
    let client = Client::of(&newest);
    assert_eq!((client.lock(), client.put(&state("a", 2, ""))), (200, 200));
    assert_eq!(stale.close().await.unwrap_err().code(), "runner.state_stale");
    assert_eq!(old.open("network", &attempt(5)).await.unwrap_err().code(), "runner.state_stale");
    let kept = aws.object("/acme-remit/shop/terraform/network.tfstate");
    let document = Document::from_bytes(kept.as_bytes()).unwrap();
    assert_eq!((document.mark.fence, document.body.unwrap()), (6, state("a", 2, "").into_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_was_removed_or_restored_is_noticed() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let temp = tempfile::tempdir().unwrap();
    let states = states(aws.cells("terraform", None), temp.path(), "a").await;
    let session = states.open("network", &attempt(1)).await.unwrap();
    let client = Client::of(&session);
    assert_eq!((client.lock(), client.put(&state("a", 1, ""))), (200, 200));
    let older = aws.object("/acme-remit/shop/terraform/network.tfstate");
    assert_eq!(client.put(&state("a", 2, "")), 200);
    session.close().await.unwrap();
    let write = |body: &str| aws.put_object("/acme-remit/shop/terraform/network.tfstate", body);
    let code =
        async |fence| states.open("network", &attempt(fence)).await.map_or_else(|e| e.code(), |_| "opened");
    write(&older);
    assert_eq!(code(2).await, "runner.state_went_back");
    assert_eq!(aws.s3("DELETE", "/acme-remit/shop/terraform/network.tfstate").0, 204);
    assert_eq!(code(3).await, "runner.state_went_back");
    let error = states.open("network", &attempt(4)).await.unwrap_err();
    write(&state("a", 3, ""));
    assert_eq!(code(5).await, "opened");
    write(&state("b", 9, ""));
    assert_eq!(code(6).await, "runner.state_went_back");
    // The customer says that it is right: by removing the note that the words name.
    let note = temp.path().canonicalize().unwrap().join("a/terraform/network.seen.json");
    assert!(error.hint().contains(&note.display().to_string()), "{}", error.hint());
    std::fs::remove_file(note).unwrap();
    assert_eq!(code(7).await, "opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_has_not_taken_is_kept_and_sent_before_anything_else() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let valve = Valve::before(aws.addr());
    let temp = tempfile::tempdir().unwrap();
    let states = states(aws.cells("terraform", Some(&valve)), temp.path(), "a").await;
    let session = states.open("network", &attempt(1)).await.unwrap();
    let client = Client::of(&session);
    assert_eq!((client.lock(), client.put(&state("a", 1, ""))), (200, 200));
    valve.shut();
    assert_eq!(client.put(&state("a", 2, "")), 503);
    assert!(states.is_unsent("network"));
    assert_eq!(session.close().await.unwrap_err().code(), "runner.state_unsent");
    valve.open();
    let next = states.open("network", &attempt(2)).await.unwrap();
    assert_eq!(next.head().await.unwrap().serial, 2);
    assert!(!states.is_unsent("network"));
    // One that somebody else has gone on without is not sent any more.
    let client = Client::of(&next);
    assert_eq!(client.lock(), 200);
    valve.shut();
    assert_eq!(client.put(&state("a", 3, "")), 503);
    valve.open();
    let other_dir = DataDir::open(&temp.path().join("b")).unwrap();
    let other = States::serve(aws.cells("terraform", None), &other_dir).await.unwrap();
    let _other = other.open("network", &attempt(3)).await.unwrap();
    assert_eq!(next.close().await.unwrap_err().code(), "runner.state_stale");
    assert!(temp.path().join("a/terraform/network.stale-2").exists() && !states.is_unsent("network"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_no_conflict() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let valve = Valve::before(aws.addr());
    let temp = tempfile::tempdir().unwrap();
    let states = states(aws.cells("terraform", Some(&valve)), temp.path(), "a").await;
    let session = states.open("network", &attempt(1)).await.unwrap();
    let client = Client::of(&session);
    assert_eq!(client.lock(), 200);
    valve.hold(Hold::Answer, "PUT", "network.tfstate", 0);
    let put = std::thread::spawn(move || client.put(&state("a", 1, "")));
    wait("the answer to be lost", || valve.has_caught().then_some(()));
    valve.open();
    assert_eq!(put.join().unwrap(), 200);
    session.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_of_before_is_moved_and_nothing_of_it_is_lost() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(&temp.path().join("a")).unwrap();
    let local = dir.path("state/network/terraform.tfstate");
    std::fs::create_dir_all(local.parent().unwrap()).unwrap();
    std::fs::write(&local, state("a", 7, "")).unwrap();
    // First to a file behind the backend, then to the bucket, and not back.
    let in_files = || Cells::Folder(Folder::new(&dir.path("terraform")));
    let files = States::serve(in_files(), &dir).await.unwrap();
    let session = files.open("network", &attempt(1)).await.unwrap();
    assert_eq!(Client::of(&session).ask("GET", "", ""), (200, state("a", 7, "")));
    assert!(!local.exists() && local.with_file_name("terraform.tfstate.moved").exists());
    session.close().await.unwrap();
    let bucket = States::serve(aws.cells("terraform", None), &dir).await.unwrap();
    let session = bucket.open("network", &attempt(2)).await.unwrap();
    assert_eq!(Client::of(&session).ask("GET", "", ""), (200, state("a", 7, "")));
    assert!(aws.object("/acme-remit/shop/terraform/network.tfstate").contains(r#""serial":7"#));
    session.close().await.unwrap();
    assert_eq!(files.open("network", &attempt(3)).await.unwrap_err().code(), "runner.state_moved");
    // Two that do not follow each other are a person's to look at.
    std::fs::write(&local, state("b", 8, "")).unwrap();
    assert_eq!(bucket.open("network", &attempt(4)).await.unwrap_err().code(), "runner.state_two");
    assert!(local.exists());
}

/// A module that makes one thing, and says when it does; it waits as long as a file is not there.
fn module(site: &Path) -> String {
    let (made, go) = (site.join("made").display().to_string(), site.join("go").display().to_string());
    format!(
        "terraform {{\n backend \"http\" {{}}\n}}\nresource \"terraform_data\" \"thing\" {{\n provisioner \"local-exec\" {{\n \
         command = \"echo made >> '{made}'; while [ ! -e '{go}' ]; do sleep 0.05; done\"\n }}\n}}\n"
    )
}

fn terraform(dir: &Path, session: &Session, args: &[&str]) -> Child {
    std::fs::write(dir.join("terraform.rc"), "").unwrap();
    Command::new(remit_tofu::program())
        .args(args)
        .current_dir(dir)
        .envs(session.variables())
        .env("TF_CLI_CONFIG_FILE", dir.join("terraform.rc"))
        .env("CHECKPOINT_DISABLE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_hears_that_its_lock_is_held_and_that_is_a_conflict() {
    let temp = tempfile::tempdir().unwrap();
    let folder = Cells::Folder(Folder::new(&temp.path().join("a/terraform")));
    let states = states(folder, temp.path(), "a").await;
    let session = states.open("network", &attempt(1)).await.unwrap();
    let work = temp.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("main.tf"), module(temp.path())).unwrap();
    assert!(terraform(&work, &session, &["init"]).wait_with_output().unwrap().status.success());
    assert_eq!(Client::of(&session).lock(), 200);
    let ended = terraform(&work, &session, &["plan", "-no-color"]).wait_with_output().unwrap();
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && words.contains("ID=one"), "{words}");
    let failure = remit_runner::executor::failed("terraform", 1, &words);
    assert_eq!(failure.code, "tool.terraform_state_locked", "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_terraform_of_an_older_fence_writes_nothing_when_it_wakes() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let temp = tempfile::tempdir().unwrap();
    let old = states(aws.cells("terraform", None), temp.path(), "old").await;
    let new = states(aws.cells("terraform", None), temp.path(), "new").await;
    let work = temp.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("main.tf"), module(temp.path())).unwrap();
    let stale = old.open("network", &attempt(5)).await.unwrap();
    let run = |args: &[&str]| terraform(&work, &stale, args);
    assert!(run(&["init", "-no-color"]).wait_with_output().unwrap().status.success());
    let apply = run(&["apply", "-auto-approve", "-no-color"]);
    wait("the thing to be made", || temp.path().join("made").exists().then_some(()));
    let pid = rustix::process::Pid::from_child(&apply);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    std::fs::write(temp.path().join("go"), "").unwrap();
    let newest = new.open("network", &attempt(6)).await.unwrap();
    let client = Client::of(&newest);
    assert_eq!((client.lock(), client.put(&state("n", 1, ""))), (200, 200));
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    let ended = apply.wait_with_output().unwrap();
    assert!(!ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    let kept = aws.object("/acme-remit/shop/terraform/network.tfstate");
    assert_eq!(json!(6), serde_json::from_str::<serde_json::Value>(&kept).unwrap()["remit"]["fence"]);
    assert!(kept.contains(r#""lineage":"n""#), "{kept}");
}
