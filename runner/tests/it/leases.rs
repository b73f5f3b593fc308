//! Locks as Leases of a real Kubernetes API server that keeps to its roles: by themselves, with lost answers and
//! crashes, changed by other hands, and under the real program.

use std::path::PathBuf;
use std::sync::Arc;

use remit_kubernetes::Server;
use remit_proto::convert::{FailureClass, Outcome};
use remit_runner::Coded;
use remit_runner::account::kubernetes::Cluster;
use remit_runner::account::lock::Locks;
use remit_runner::account::lock::backend::Place;
use remit_runner::account::lock::kubernetes::Leases;
use remit_runner::account::lock::owner::Owner;
use serde_json::{Value, json};

use crate::bench::{Bench, read, wait};
use crate::broker::INSTALL;
use crate::locks::{attempt, conforms, elsewhere, goes_on_after_any_crash, outlives_lost_answers};
use crate::product::script;
use crate::valve::Hold;
use crate::way::Way;

const ANNOTATION: &str = "remit-runner/record";

/// May use Leases, and nothing else.
fn keeper() -> Value {
    json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}])
}

/// A namespace of a cluster, for whoever may do so much there.
struct Account {
    server: Arc<Server>,
    namespace: String,
    token: String,
    temp: tempfile::TempDir,
}

impl Account {
    fn new(rules: &Value) -> Self {
        let server = Server::shared().unwrap();
        let namespace = server.namespace().unwrap();
        let token = server.account(&namespace, "runner", rules).unwrap();
        Self { server, namespace, token, temp: tempfile::tempdir().unwrap() }
    }

    /// A kubeconfig that leads straight there, or this way.
    fn kubeconfig(&self, way: Option<&Way>) -> PathBuf {
        let straight = self.server.kubeconfig(&self.token);
        let (name, text) =
            way.map_or(("straight", straight.clone()), |way| ("valve", way.kubeconfig(&straight)));
        let path = self.temp.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn flag(&self) -> String {
        format!("kubernetes://{}/shop", self.namespace)
    }

    fn place(&self, way: Option<&Way>) -> Place {
        let cluster = Cluster::new(Some(self.kubeconfig(way)));
        Place::Leases(Leases::new(cluster, self.flag().parse().unwrap(), INSTALL))
    }

    fn locks(&self, owner: Owner) -> Locks {
        Locks::at(self.place(None), owner, 1)
    }

    /// What whoever may do everything is answered about a component's Lease.
    fn lease(&self, method: &str, component: &str, body: &Value) -> (u16, Value) {
        let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace);
        let path = format!("{leases}/shop.demo.shop.acme.{component}");
        self.server.call(method, &path, body).unwrap()
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

#[test]
fn locks_as_leases_conform() {
    let account = Account::new(&keeper());
    run(conforms(|| account.place(None)));
}

#[test]
fn locks_as_leases_outlive_lost_answers() {
    let account = Account::new(&keeper());
    let way = Way::before(&account.server);
    run(outlives_lost_answers(account.place(Some(&way)), &way.valve, "P", "/leases"));
}

#[test]
fn locks_as_leases_go_on_after_a_crash_anywhere() {
    let account = Account::new(&keeper());
    let way = Way::before(&account.server);
    run(goes_on_after_any_crash(
        || account.place(None),
        account.place(Some(&way)),
        (&way.valve, "P", "/leases"),
    ));
}

#[test]
fn a_lease_shows_its_holder_and_never_runs_out() {
    let account = Account::new(&keeper());
    let other = account.locks(elsewhere(1));
    let mut held = run(other.take("network", &attempt(7), 3)).unwrap();
    let (_, lease) = account.lease("GET", "network", &Value::Null);
    let spec = &lease["spec"];
    let holder = spec["holderIdentity"].as_str().unwrap();
    assert!(holder.contains("on host-1") && holder.contains("network.o7"), "{spec}");
    assert_eq!(spec["leaseTransitions"], 7);
    assert!(spec.get("leaseDurationSeconds").is_none() && spec.get("renewTime").is_none(), "{spec}");
    let record = held.record().to_json();
    assert_eq!(lease["metadata"]["annotations"][ANNOTATION], String::from_utf8(record).unwrap());
    // As if it had run out long ago: that means nothing.
    let old = "2001-01-01T00:00:00.000000Z";
    let aged = json!({"metadata": {"labels": {"team": "shop"}},
        "spec": {"acquireTime": old, "renewTime": old, "leaseDurationSeconds": 1}});
    assert_eq!(account.lease("PATCH", "network", &aged).0, 200);
    let locks = account.locks(Owner::this("runner-a"));
    assert_eq!(run(locks.take("network", &attempt(8), 4)).unwrap_err().code(), "runner.lock_held");
    // Its holder finds its own record in a newer version of the object, and goes on.
    run(held.begin()).unwrap();
    run(held.release()).unwrap();
    let (_, lease) = account.lease("GET", "network", &Value::Null);
    assert!(lease["spec"].get("holderIdentity").is_none(), "{lease}");
    assert!(run(locks.take("network", &attempt(8), 4)).is_ok());
    let place = locks.view()["place"].as_str().unwrap().to_owned();
    assert_eq!(place, format!("kubernetes://{}/shop.demo.shop.acme.COMPONENT", account.namespace));
}

#[test]
fn a_lease_that_was_deleted_does_not_come_back_by_its_holders_hand() {
    let account = Account::new(&keeper());
    let other = account.locks(elsewhere(1));
    let take = |fence: u64| run(other.take("network", &attempt(fence), fence)).unwrap();
    let mut held = take(1);
    let (_, mut lease) = account.lease("GET", "network", &Value::Null);
    assert_eq!(account.lease("DELETE", "network", &Value::Null).0, 200);
    let error = run(held.begin()).unwrap_err();
    let words = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!((error.code(), words.as_str()), ("runner.lock_io", "somebody has removed it"));
    assert_eq!(account.lease("GET", "network", &Value::Null).0, 404);
    // The version alone would have made it again, which is why the object's id is sent beside.
    lease["metadata"].as_object_mut().unwrap().remove("uid");
    assert_eq!(account.lease("PUT", "network", &lease).0, 201);
    assert_eq!(account.lease("DELETE", "network", &Value::Null).0, 200);
    drop(held);
    // Another takes what is not there; whoever held it before may not begin.
    let mut held = take(2);
    assert_eq!(account.lease("DELETE", "network", &Value::Null).0, 200);
    run(account.locks(Owner::this("runner-a")).take("network", &attempt(3), 3)).unwrap();
    assert_eq!(run(held.begin()).unwrap_err().code(), "runner.lock_lost");
}

#[test]
fn a_lease_without_a_readable_record_is_held_by_nobody_knows_whom() {
    let account = Account::new(&keeper());
    let locks = account.locks(Owner::this("runner-a"));
    run(async { locks.take("network", &attempt(1), 1).await.unwrap().release().await.unwrap() });
    for (text, words) in [
        (Value::Null, "no record"),
        (json!("{\"version\":2}"), "missing field"),
        (json!("x"), "expected value"),
    ] {
        let changed = json!({"metadata": {"annotations": {ANNOTATION: text}}});
        assert_eq!(account.lease("PATCH", "network", &changed).0, 200);
        let error = run(locks.take("network", &attempt(2), 2)).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.code() == "runner.lock_io" && source.contains(words), "{error}: {source}");
    }
    assert_eq!(account.lease("DELETE", "network", &Value::Null).0, 200);
    run(locks.take("network", &attempt(2), 2)).unwrap();
}

#[test]
fn what_the_role_does_not_say_is_named_with_the_role_that_would() {
    let leases = |verbs: &[&str]| json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}]);
    let denied = |account: &Account, component: &str, words: &str| {
        let locks = account.locks(Owner::this("runner-a"));
        let error = run(locks.take(component, &attempt(9), 9)).unwrap_err();
        let source = remit_runner::error::chain(&error);
        assert!(error.code() == "runner.lock_io" && source.contains(words), "{source}");
        let role = format!("kubectl -n {} create role", account.namespace);
        assert!(
            error.hint().contains(&role) && error.hint().contains("get,create,update"),
            "{}",
            error.hint()
        );
    };
    denied(&Account::new(&json!([])), "network", "cannot get");
    denied(&Account::new(&leases(&["get"])), "network", "cannot create");
    let mut nowhere = Account::new(&keeper());
    nowhere.token = "admin-of-the-tests".to_owned();
    nowhere.namespace = "nowhere".to_owned();
    denied(&nowhere, "network", "there is no namespace `nowhere`");
    // Where they are made beforehand, the names of all of them are enough.
    let mut account = Account::new(&keeper());
    run(async {
        account.locks(elsewhere(1)).take("network", &attempt(1), 1).await.unwrap().release().await.unwrap();
    });
    let mut named = leases(&["get", "update"]);
    named[0]["resourceNames"] = json!(["shop.demo.shop.acme.network"]);
    account.token = account.server.account(&account.namespace, "named", &named).unwrap();
    run(account.locks(Owner::this("runner-a")).take("network", &attempt(2), 2)).unwrap();
    denied(&account, "other", "cannot get");
}

/// A runner with its locks there.
fn bench(account: &Account, way: Option<&Way>) -> Bench {
    let mut bench = Bench::new();
    bench.args.extend(["--lock".to_owned(), account.flag()]);
    bench.args.push(format!("--kubeconfig={}", account.kubeconfig(way).display()));
    bench
}

fn tool(args: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_remit-runner")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_program_waits_for_a_lease_until_the_customer_breaks_it() {
    let account = Account::new(&keeper());
    let mut bench = bench(&account, None);
    let key = bench.path("customer.key").display().to_string();
    tool(&["customer-key", "--out", &key]);
    bench.args.extend(["--customer-key".to_owned(), format!("{key}.pub")]);
    let other = account.locks(elsewhere(1));
    let mut held = run(other.take("network", &attempt(0), 1)).unwrap();
    run(held.begin()).unwrap();
    let runner = bench.runner();
    let (release, digest) = bench.broker.publish(&[&script("network", "echo made")]);
    let job = bench.broker.job(&release, digest, "network", "deploy");
    let id = bench.broker.offer(&job);
    let holding = held.record().holding();
    wait("who has the lock to be told", || {
        let progress = bench.broker.shared.held().progress.clone();
        progress.into_iter().find(|words| words.contains("host-1") && words.contains(&holding))
    });
    let data = bench.data.display().to_string();
    let status = tool(&["status", "--data-dir", &data]);
    assert!(
        status.contains("network held by another") && status.contains("locks: kubernetes://"),
        "{status}"
    );
    tool(&["break-lock", &holding, "--key", &key, "--data-dir", &data]);
    assert!(matches!(bench.outcome(&id), Outcome::Succeeded(_)));
    assert!(bench.journal().contains("runner.lock_broken"));
    assert_eq!(run(held.release()).unwrap_err().code(), "runner.lock_lost");
    assert_eq!(runner.get("/v1/status")["lock"]["kind"], "kubernetes");
    let said = runner.drain();
    assert!(said.contains("terraform's states do not"), "states stay on this machine: {said}");
    assert!(!said.contains(&account.token), "{said}");
}

#[test]
fn the_program_begins_nothing_where_its_role_says_too_little() {
    let account = Account::new(&json!([]));
    let mut bench = bench(&account, None);
    let _runner = bench.runner();
    let (release, digest) = bench
        .broker
        .publish(&[&script("network", &format!("echo made >> '{}'", bench.site("made").display()))]);
    let job = bench.broker.job(&release, digest, "network", "deploy");
    let id = bench.broker.offer(&job);
    let Outcome::Failed(failure) = bench.outcome(&id) else { panic!("it has no lock") };
    assert_eq!((failure.code.as_str(), failure.class), ("runner.lock_io", FailureClass::Transient));
    assert!(failure.message.contains("cannot get") && failure.hint.contains("create role"), "{failure:?}");
    assert_eq!(read(&bench.site("made")), "");
}

/// Where the program is killed: what is held back at that moment, and how many writes of its Lease come before.
const STEPS: [(&str, Hold, u32); 6] = [
    ("before the lock is taken", Hold::Request, 0),
    ("when the lock is taken", Hold::Answer, 0),
    ("before it says that it begins", Hold::Request, 1),
    ("when it has said that it begins", Hold::Answer, 1),
    ("before the lock is freed", Hold::Request, 2),
    ("when the lock is freed", Hold::Answer, 2),
];

#[test]
fn killed_at_any_write_of_its_lease_the_program_goes_on_and_makes_nothing_twice() {
    for (what, how, after) in STEPS {
        let account = Account::new(&keeper());
        let way = Way::before(&account.server);
        let mut bench = bench(&account, Some(&way));
        let made = bench.site("made");
        let deploy = format!("echo made >> '{}'", made.display());
        let (release, digest) = bench.broker.publish(&[&script("network", &deploy)]);
        let runner = bench.runner();
        way.valve.hold(how, "P", "/leases", after);
        let job = bench.broker.job(&release, digest, "network", "deploy");
        let id = bench.broker.offer(&job);
        wait(what, || way.valve.has_caught().then_some(()));
        runner.kill();
        way.valve.open();
        let _runner = bench.runner();
        let first = wait("the first outcome", || bench.broker.outcomes(&id).first().cloned());
        // Killed after the work was done, it tells how that ended; before, there is a next attempt.
        assert_eq!(matches!(first, Outcome::Succeeded(_)), after == 2, "killed {what}: {first:?}");
        if after < 2 {
            let next = bench.broker.job(&release, digest, "network", "deploy");
            let id = bench.broker.offer(&next);
            assert!(matches!(bench.outcome(&id), Outcome::Succeeded(_)), "killed {what}");
        }
        assert_eq!(read(&made), "made\n", "killed {what}");
        wait("the lock to be free", || {
            let (_, lease) = account.lease("GET", "network", &Value::Null);
            lease["metadata"]["annotations"][ANNOTATION].as_str()?.contains(r#""phase":"free""#).then_some(())
        });
        assert!(bench.verify());
    }
}
