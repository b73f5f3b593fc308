//! A large app keeps its installs and the members of its rollout in pages: on every store, however often it is
//! read back, and small again once it is small.

use remit_loops::install::Signal as Install;
use remit_loops::job::Mode;
use remit_loops::release::{Release, ReleaseComponent};
use remit_loops::view::Detail;
use remit_loops::{Object, Signal, app};

use super::tests::{id, on_each_store, submission};
use crate::engine::{Engine, Options};

const APP: &str = "app_demo.shop";
/// More than are written whole.
const INSTALLS: usize = 300;

fn release(counter: u64) -> Release {
    let component = ReleaseComponent {
        name: "web".into(),
        kind: "script".into(),
        adopts: false,
        digest: format!("sha256:{counter}"),
        needs: vec![],
        longest_run_ms: 60_000,
        sandbox: false,
        recipe: None,
        health: None,
    };
    Release {
        digest: format!("sha256:release{counter}"),
        counter,
        version: format!("{counter}.0.0"),
        rollback_floor: 0,
        permits: vec![],
        channel: "stable".into(),
        inputs: vec![],
        approvals: Default::default(),
        terms: Default::default(),
        healing: Default::default(),
        components: vec![component],
    }
}

async fn tell(engine: &Engine, signal: app::Signal) {
    engine.submit(submission(APP, None, Signal::App(signal))).await.unwrap();
}

async fn say(engine: &Engine, number: usize, signal: Install) {
    engine.submit(submission(&install(number), None, Signal::Install(signal))).await.unwrap();
}

fn install(number: usize) -> String {
    format!("ins_demo.shop.i{number}")
}

fn create() -> Install {
    Install::Create {
        inputs: Default::default(),
        mode: Mode::Sandbox,
        labels: Default::default(),
        rehearsal: None,
        approval: Default::default(),
    }
}

async fn app_of(engine: &Engine) -> Object {
    let object = engine.query(&id(APP)).await.unwrap().unwrap().object;
    let listed = engine.list(remit_loops::Kind::App, None, None, 10).await.unwrap();
    assert_eq!(listed[0].object, object, "it is stored as it is known");
    Object::clone(&object)
}

fn wave(name: &str, numbers: std::ops::Range<usize>) -> app::Wave {
    app::Wave { name: name.into(), installs: numbers.map(|n| format!("i{n}")).collect(), bake_ms: 0 }
}

#[test]
fn a_large_app_is_in_pages_and_is_the_same_however_it_is_read() {
    // With no cache each batch reads it back from the store.
    for cache_bytes_max in [0, Options::default().cache_bytes_max] {
        let options = Options { cache_bytes_max, ..Options::default() };
        on_each_store(&options, &async |engine| {
            engine
                .submit(submission("org_demo", None, Signal::Org(remit_loops::org::Signal::Create {})))
                .await
                .unwrap();
            tell(engine, app::Signal::Create {}).await;
            for number in 0..INSTALLS {
                say(engine, number, create()).await;
            }
            let pages = app_of(engine).await.pages().len();
            assert!(pages > 2, "{pages} pages");
            tell(engine, app::Signal::Publish { release: release(1), hold: true }).await;
            let waves = vec![wave("canary", 0..10), wave("rest", 10..INSTALLS)];
            let version = "1.0.0".to_owned();
            let (failures_max, at_once, leaves_waiting, rollback) = (0, 100, true, false);
            let plan = app::Plan { version, waves, failures_max, at_once, leaves_waiting, rollback };
            tell(engine, app::Signal::StartRollout { plan }).await;
            tell(engine, app::Signal::PauseRollout { reason: "lunch".into() }).await;
            let Detail::App { installs, rollout, .. } = app_of(engine).await.view().detail else { panic!() };
            assert_eq!(installs.len(), INSTALLS);
            let waves = rollout.unwrap().waves;
            assert_eq!(waves.iter().map(|wave| wave.installs).collect::<Vec<_>>(), [10, 290]);
            for number in 100..INSTALLS {
                say(engine, number, Install::Delete {}).await;
            }
            tell(engine, app::Signal::AbortRollout { reason: "lunch".into() }).await;
            let Detail::App { installs, rollout, .. } = app_of(engine).await.view().detail else { panic!() };
            assert_eq!(installs.len(), 100);
            assert_eq!(rollout.unwrap().waves[1].refused, 200, "those that are gone");
        });
    }
}
