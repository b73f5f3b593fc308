//! A broker takes over a database that an older one wrote, with operations in flight, and brings them to
//! their end.
//!
//! `tests/databases/vN.json` holds all objects of such a database, as a broker wrote them in state format N.
//! `UPDATE_DATABASES=1` writes the file of today's format, if there is none yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use remit_loops::approval::Policy;
use remit_loops::job::{Mode, Outcome, Success};
use remit_loops::release::{Release, ReleaseComponent};
use remit_loops::runner::{Info, Report};
use remit_loops::values::Values;
use remit_loops::view::Detail;
use remit_loops::{Actor, Body, Kind, Object, ObjectId, Signal, Timestamp, app, install, org, runner};
use serde::{Deserialize, Serialize};

use super::tests::answer;
use crate::engine::codec::WHOLE;
use crate::engine::{ClockSource, Driver, Engine, Options, Submission};
use crate::store::{MemoryStore, ObjectWrite, Reader, Store};

const INSTALL: &str = "ins_demo.shop.acme";
const RUNNER: &str = "run_demo.shop.acme";

/// An object as it lies in a database.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    id: ObjectId,
    version: u32,
    deadline: Option<Timestamp>,
    state: serde_json::Value,
}

/// A broker on a store in memory.
struct Broker {
    engine: Engine,
    driver: Driver,
}

impl Broker {
    fn on(store: &MemoryStore) -> Self {
        let clock = ClockSource::Manual(Arc::new(AtomicI64::new(1_800_000_000_000)));
        let options = Options { clock, ..Options::default() };
        let (engine, driver) = Engine::driven(Box::new(store.clone()), options).unwrap();
        Self { engine, driver }
    }

    fn send(&mut self, to: &str, by: Actor, body: Body) {
        let to = to.parse().unwrap();
        let mut sent = std::pin::pin!(self.engine.submit(Submission { to, by, key: None, body }));
        assert!(answer(sent.as_mut()).is_none());
        while self.driver.turn() {}
        answer(sent.as_mut()).unwrap().unwrap();
    }

    fn signal(&mut self, to: &str, signal: Signal) {
        self.send(to, Actor::Person("ann".into()), Body::Signal(signal));
    }

    fn report(&mut self, report: Report) {
        self.send(RUNNER, Actor::Runner, Body::Report(report));
    }

    fn object(&self, id: &str) -> Arc<Object> {
        self.driver.object(&id.parse().unwrap()).unwrap().unwrap().object
    }

    fn status(&self) -> String {
        self.object(INSTALL).view().status.word
    }

    fn start_next(&mut self) -> Option<Report> {
        let Object::Runner(runner) = &*self.object(RUNNER) else { panic!() };
        let (offer, generation) = (runner.next_offer()?, runner.generation());
        let (attempt, fence) = (offer.spec.id, offer.fence);
        self.report(Report::Started { generation, attempt: attempt.clone(), fence });
        let outcome = Outcome::Succeeded(Success::default());
        Some(Report::Ended { generation, attempt, fence, outcome, receipts: None })
    }
}

fn component(name: &str, needs: &[&str]) -> ReleaseComponent {
    ReleaseComponent {
        name: name.into(),
        kind: "script".into(),
        adopts: false,
        digest: format!("sha256:{name}"),
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        longest_run_ms: 60_000,
        sandbox: false,
        recipe: None,
        health: None,
    }
}

/// An install that is being made: `network` is in the runner's hands, what needs it waits, and more is queued.
fn in_flight(store: &MemoryStore) -> Broker {
    let mut broker = Broker::on(store);
    broker.signal("org_demo", Signal::Org(org::Signal::Create {}));
    broker.signal("app_demo.shop", Signal::App(app::Signal::Create {}));
    let release = Release {
        digest: "sha256:1".into(),
        counter: 1,
        version: "1.0.0".into(),
        channel: "stable".into(),
        rollback_floor: 1,
        permits: vec![],
        inputs: vec![],
        approvals: std::collections::BTreeMap::new(),
        terms: Default::default(),
        healing: Default::default(),
        components: vec![component("network", &[]), component("seed", &["network"])],
    };
    broker.signal("app_demo.shop", Signal::App(app::Signal::Publish { release, hold: false }));
    let (inputs, labels) = (Values::new(), Values::new());
    broker.signal(
        INSTALL,
        Signal::Install(install::Signal::Create {
            inputs,
            mode: Mode::Real,
            labels,
            rehearsal: None,
            approval: Policy::default(),
        }),
    );
    let expires = Timestamp(i64::MAX);
    let expect = runner::Signal::Expect { token_sha256: "token".into(), expires };
    broker.signal(RUNNER, Signal::Runner(expect));
    broker.report(Report::Enrol { token_sha256: "token".into(), spki_sha256: "key".into() });
    broker.report(Report::Seen { generation: 1, info: Info::default() });
    assert!(broker.start_next().is_some());
    broker.signal(INSTALL, Signal::Install(install::Signal::Reprovision {}));
    assert_eq!(broker.status(), "provisioning");
    broker
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/databases")
}

fn dump(store: &MemoryStore) -> Vec<Kept> {
    let deadlines = store.deadlines(Timestamp(i64::MAX), usize::MAX).unwrap();
    let all = Kind::ALL.into_iter().flat_map(|kind| store.list(kind, None, None, 99).unwrap());
    all.map(|stored| Kept {
        deadline: deadlines.iter().find(|(_, id)| *id == stored.id).map(|(at, _)| *at),
        id: stored.id,
        version: stored.version,
        state: serde_json::from_slice(&stored.state).unwrap(),
    })
    .collect()
}

fn load(kept: &[Kept]) -> MemoryStore {
    let mut store = MemoryStore::default();
    let handle = store.clone();
    let mut tx = store.begin().unwrap();
    for Kept { id, version, deadline, state } in kept {
        let (row, state) = (tx.create(id).unwrap(), serde_json::to_vec(state).unwrap());
        let (version, deadline, state, keys) = (*version, *deadline, &state[..], &[][..]);
        tx.write(&ObjectWrite { row, revision: 1, last_seq: 0, deadline, version, state, keys }).unwrap();
    }
    tx.commit().unwrap();
    handle
}

#[test]
fn operations_in_flight_come_to_their_end_under_a_newer_broker() {
    let today = directory().join(format!("v{WHOLE}.json"));
    if !today.exists() && std::env::var_os("UPDATE_DATABASES").is_some() {
        let store = MemoryStore::default();
        in_flight(&store);
        std::fs::create_dir_all(directory()).unwrap();
        std::fs::write(&today, serde_json::to_vec_pretty(&dump(&store)).unwrap()).unwrap();
    }
    for version in 1..=WHOLE {
        let path = directory().join(format!("v{version}.json"));
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut broker = Broker::on(&load(&serde_json::from_slice::<Vec<Kept>>(&text).unwrap()));
        assert_eq!(broker.status(), "provisioning", "format {version}");
        // The runner was at it when the brokers changed, and says now how it went.
        let Detail::Runner { jobs, generation, .. } = broker.object(RUNNER).view().detail else { panic!() };
        let (attempt, fence) = (jobs[0].attempt.clone(), jobs[0].fence);
        let outcome = Outcome::Succeeded(Success::default());
        let mut word = Some(Report::Ended { generation, attempt, fence, outcome, receipts: None });
        let mut done = 0;
        while let Some(ended) = word {
            broker.report(ended);
            done += 1;
            word = broker.start_next();
        }
        assert_eq!(done, 4, "format {version}: two components, made and made again");
        assert_eq!(broker.status(), "active", "format {version}");
    }
}
