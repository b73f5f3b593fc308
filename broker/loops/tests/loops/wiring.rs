//! Whatever happened before: after a deploy, every component is made of what it would be made of
//! if nothing had been left out.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use proptest::prelude::*;
use remit_loops::approval::Policy;
use remit_loops::job::{Action, FailureClass, Mode, Outcome, Success};
use remit_loops::release::{Recipe, Release, ReleaseComponent, Taken};
use remit_loops::runner::Offer;
use remit_loops::values::Values;
use remit_loops::{Signal, app, install, org};

use crate::world::{World, failure};

const INSTALL: &str = "ins_demo.shop.acme";
const PARTS: usize = 4;

/// What a release says of one component.
#[derive(Clone, Debug, Hash)]
struct Spec {
    artefact: u8,
    size: bool,
    customer: bool,
    /// Takes the open output of these earlier ones.
    open: Vec<usize>,
    /// Takes the sensitive output of these earlier ones.
    secret: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Happening {
    Publish(usize, Spec),
    Size(u8),
    /// The runner starts again, with this value of the customer's.
    Boot(u8),
    /// The runner loses its disk and enrols anew.
    Enrol,
    Deploy,
    Drift(usize),
    Fail,
    CancelMidway,
    Work(u8),
}

fn spec(index: usize) -> impl Strategy<Value = Spec> {
    let earlier = move || proptest::sample::subsequence((0..index).collect::<Vec<_>>(), 0..=index);
    let parts = (0..3u8, any::<bool>(), any::<bool>(), earlier(), earlier());
    parts.prop_map(|(artefact, size, customer, open, secret)| Spec { artefact, size, customer, open, secret })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..PARTS).prop_flat_map(|i| spec(i).prop_map(move |s| Happening::Publish(i, s))),
        2 => (0..3u8).prop_map(Happening::Size),
        2 => (0..3u8).prop_map(Happening::Boot),
        1 => Just(Happening::Enrol),
        2 => Just(Happening::Deploy),
        1 => (0..PARTS).prop_map(Happening::Drift),
        1 => Just(Happening::Fail),
        1 => Just(Happening::CancelMidway),
        6 => (0..6u8).prop_map(Happening::Work),
    ]
}

fn name(index: usize) -> String {
    format!("part-{index}")
}

/// The customer's account and what the runner keeps of it.
#[derive(Default)]
struct Site {
    /// What each component is made of, or that it is broken.
    made_of: BTreeMap<String, String>,
    /// Open and sensitive outputs, as the runner keeps them.
    outputs: BTreeMap<String, (String, String)>,
    customer: u8,
    runs: u32,
}

struct Story {
    world: World,
    site: Site,
    releases: BTreeMap<String, Vec<Spec>>,
    newest: Vec<Spec>,
    size: Option<u8>,
}

fn component(index: usize, spec: &Spec) -> ReleaseComponent {
    let mut needs: Vec<String> = spec.open.iter().chain(&spec.secret).map(|i| name(*i)).collect();
    needs.sort();
    needs.dedup();
    let taken = |output: &str, of: &[usize]| {
        of.iter().map(|i| Taken { component: name(*i), output: output.into() }).collect::<Vec<_>>()
    };
    ReleaseComponent {
        name: name(index),
        kind: "script".into(),
        adopts: false,
        digest: format!("sha256:{}", spec.artefact),
        needs,
        longest_run_ms: 1_000,
        sandbox: false,
        recipe: Some(Recipe {
            digest: format!("{spec:?}"),
            inputs: if spec.size { vec!["size".into()] } else { vec![] },
            outputs: [taken("open", &spec.open), taken("secret", &spec.secret)].concat(),
            customer: spec.customer,
        }),
        health: None,
    }
}

impl Story {
    fn new() -> Self {
        let plain = Spec { artefact: 0, size: false, customer: false, open: vec![], secret: vec![] };
        let newest = vec![plain; PARTS];
        let (world, site) = (World::default(), Site::default());
        let mut story = Self { world, site, releases: BTreeMap::new(), newest, size: None };
        story.world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
        story.world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
        story.publish();
        let (inputs, labels) = (Values::new(), Values::new());
        story
            .world
            .install(install::Signal::Create {
                inputs,
                mode: Mode::Real,
                labels,
                rehearsal: None,
                approval: Policy::default(),
            })
            .unwrap();
        story.world.enrol();
        story
    }

    fn publish(&mut self) {
        let counter = self.releases.len() as u64 + 1;
        let components = self.newest.iter().enumerate().map(|(i, s)| component(i, s)).collect();
        let digest = format!("sha256:release-{counter}");
        self.releases.insert(digest.clone(), self.newest.clone());
        let release = Release {
            digest,
            counter,
            version: format!("1.0.{counter}"),
            channel: "stable".into(),
            rollback_floor: 1,
            permits: vec![],
            inputs: vec!["size".into()],
            approvals: Default::default(),
            terms: Default::default(),
            healing: Default::default(),
            components,
        };
        self.world.publish(release).unwrap();
    }

    /// All that goes into a component, as the runner would resolve it; it cannot where an output is not there.
    fn resolve(&self, spec: &Spec, size: Option<&String>) -> Option<String> {
        let of = |i: &usize| self.site.outputs.get(&name(*i));
        let open = spec.open.iter().map(|i| Some(&of(i)?.0)).collect::<Option<Vec<_>>>()?;
        let secret = spec.secret.iter().map(|i| Some(&of(i)?.1)).collect::<Option<Vec<_>>>()?;
        let size = spec.size.then_some(size);
        let customer = spec.customer.then_some(self.site.customer);
        Some(format!("{} {size:?} {customer:?} {open:?} {secret:?}", spec.artefact))
    }

    fn deploy(&mut self, offer: &Offer) -> Outcome {
        let index: usize = offer.spec.component.trim_start_matches("part-").parse().unwrap();
        let spec = self.releases[&offer.spec.release.digest][index].clone();
        let Some(made_of) = self.resolve(&spec, offer.spec.inputs.get("size")) else {
            return failure(FailureClass::Refused);
        };
        self.site.runs += 1;
        let mut hasher = DefaultHasher::new();
        made_of.hash(&mut hasher);
        // Few values, so that outputs often stay the same; some secrets are new with each run.
        let open = (hasher.finish() % 2).to_string();
        let secret = if spec.artefact == 2 { self.site.runs.to_string() } else { open.clone() };
        self.site.made_of.insert(offer.spec.component.clone(), made_of);
        self.site.outputs.insert(offer.spec.component.clone(), (open.clone(), secret));
        let outputs = Values::from([("open".to_owned(), open)]);
        Outcome::Succeeded(Success { outputs, ..Success::default() })
    }

    /// Runs the next thing that is offered; false when nothing is.
    fn step(&mut self, drifted: Option<usize>) -> bool {
        let Some(offer) = self.world.offers().into_iter().next() else { return false };
        let outcome = match offer.spec.action {
            Action::Drift => {
                if drifted.map(name).as_ref() == Some(&offer.spec.component) {
                    self.site.made_of.insert(offer.spec.component.clone(), "drifted".into());
                }
                let drifted = self.site.made_of[&offer.spec.component] == "drifted";
                Outcome::Succeeded(Success { drifted, ..Success::default() })
            }
            Action::Deploy | Action::Destroy | Action::Adopt | Action::Run | Action::Health => {
                self.deploy(&offer)
            }
        };
        self.world.complete(&offer.spec.component, outcome);
        true
    }

    /// Begins the next change and does not finish it.
    fn tear(&mut self, outcome: Outcome, cancel: bool) {
        let next = self.world.offers().into_iter().find(|o| o.spec.action == Action::Deploy);
        let Some(offer) = next else { return };
        self.site.made_of.insert(offer.spec.component.clone(), "torn".into());
        self.world.start(&offer.spec.component);
        if cancel {
            let reason = "no".to_owned();
            self.world.install(install::Signal::Cancel { operation: None, reason }).unwrap();
        }
        self.world.complete(&offer.spec.component, outcome);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Publish(index, spec) => {
                self.newest[index] = spec;
                self.publish();
            }
            Happening::Size(size) => {
                self.size = Some(size);
                let inputs = Values::from([("size".to_owned(), size.to_string())]);
                self.world.install(install::Signal::SetInputs { inputs }).unwrap();
            }
            Happening::Boot(customer) => {
                self.site.customer = customer;
                self.world.boot();
            }
            Happening::Enrol => {
                self.site.outputs.clear();
                self.world.enrol();
            }
            Happening::Deploy => self.world.install(install::Signal::Deploy { version: None }).unwrap(),
            Happening::Drift(index) => {
                while self.step(None) {}
                self.world.install(install::Signal::CheckDrift {}).unwrap();
                while self.step(Some(index)) {}
            }
            Happening::Fail => self.tear(failure(FailureClass::Permission), false),
            Happening::CancelMidway => self.tear(Outcome::Cancelled { message: "killed".into() }, true),
            Happening::Work(steps) => {
                for _ in 0..steps {
                    self.step(None);
                }
            }
        }
    }

    fn settle(&mut self) {
        while self.step(None) {}
        self.world.install(install::Signal::Deploy { version: None }).unwrap();
        while self.step(None) {}
        assert_eq!(self.world.rejected, []);
        assert_eq!(self.world.status(INSTALL), "active");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn leaving_out_changes_nothing(happenings in proptest::collection::vec(happening(), 0..30)) {
        let mut story = Story::new();
        for happening in happenings {
            story.happen(happening);
        }
        story.settle();
        let size = story.size.map(|s| s.to_string());
        for (index, spec) in story.newest.iter().enumerate() {
            let wanted = story.resolve(spec, size.as_ref());
            prop_assert_eq!(Some(&story.site.made_of[&name(index)]), wanted.as_ref(), "{}", name(index));
        }
        let runs = story.site.runs;
        story.settle();
        prop_assert_eq!(story.site.runs, runs, "a deploy of what is there runs nothing");
    }
}
