//! What a runner has no executor for waits, with a reason, until the runner has one.

use remit_loops::approval::Policy;
use remit_loops::job::{Action, Mode};
use remit_loops::runner::{Info, Report};
use remit_loops::{Signal, app, install, org};

use crate::world::{World, drifted, release};

const RUNNER: &str = "run_demo.shop.acme";

impl World {
    /// The runner says which kinds it can run.
    fn says_it_runs(&mut self, kinds: &[&str]) {
        let executors = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let info = Info { version: "0.1.0".into(), boot: "said".into(), capacity: 1, executors };
        self.report(Report::Seen { generation: self.generation, info }).unwrap();
    }
}

/// An install whose first component is of a kind that its runner cannot run.
pub(crate) fn too_old() -> World {
    let mut new = release("1.0.0", 1);
    new.components[0].kind = "kubernetes".into();
    let mut world = World::with_install_of(new, Policy::default());
    world.says_it_runs(&["terraform", "script"]);
    world
}

#[test]
fn what_a_runner_is_too_old_for_waits_and_says_so() {
    let mut world = too_old();
    assert_eq!(world.offers(), []);
    let why = world.why(RUNNER);
    assert_eq!(why.len(), 1, "{why:?}");
    assert_eq!(why[0].code, "waiting.runner_too_old");
    assert_eq!(
        why[0].reason,
        "network is a kubernetes component, and the runner (version 0.1.0) runs only: terraform, script"
    );
    assert!(why[0].remedy.contains("bring the runner to a version"), "{why:?}");
    assert_eq!(world.why("cmp_demo.shop.acme.network")[0].on, Some(RUNNER.parse().unwrap()));

    world.says_it_runs(&["terraform", "script", "kubernetes"]);
    assert_eq!(world.why(RUNNER), []);
    assert_eq!(world.work_off(), ["network", "database", "queue", "seed"]);
}

#[test]
fn what_it_can_run_goes_before_what_it_cannot() {
    let mut mixed = release("1.0.0", 1);
    mixed.components[1].kind = "helm".into();
    let mut world = World::with_install_of(mixed, Policy::default());
    world.says_it_runs(&["script"]);
    assert_eq!(world.work_off(), ["network", "queue"]);
    assert_eq!(world.why(RUNNER)[0].code, "waiting.runner_too_old");
}

#[test]
fn a_rehearsal_needs_no_executor_and_who_says_nothing_is_asked() {
    let mut silent = too_old();
    silent.says_it_runs(&[]);
    assert_eq!(silent.offers().len(), 1);

    let mut world = World::default();
    world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
    world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
    let mut new = release("1.0.0", 1);
    new.components[0].kind = "kubernetes".into();
    world.publish(new).unwrap();
    let (inputs, labels, approval) = Default::default();
    let mode = Mode::Sandbox;
    world.install(install::Signal::Create { inputs, mode, labels, rehearsal: None, approval }).unwrap();
    world.enrol();
    world.says_it_runs(&["script"]);
    assert_eq!(world.offers()[0].spec.mode, Mode::Sandbox);
}

/// What a release says decides how a difference is accepted, and not the name of a kind.
#[test]
fn records_of_its_own_are_changed_where_the_release_says_so() {
    for (adopts, action) in [(true, Action::Adopt), (false, Action::Drift)] {
        let mut new = release("1.0.0", 1);
        new.components[0].adopts = adopts;
        let mut world = World::with_install_of(new, Policy::default());
        world.work_off();
        world.install(install::Signal::CheckDrift {}).unwrap();
        world.complete("network", drifted());
        world.work_off();
        let components = vec!["network".to_owned()];
        world.install(install::Signal::Adopt { components, reason: "on purpose".into() }).unwrap();
        assert_eq!(world.offers()[0].spec.action, action);
    }
}
