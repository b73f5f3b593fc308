//! A world of loops for tests: delivers notices in order and plays the runner.

use std::collections::{BTreeMap, VecDeque};

use remit_loops::approval::Policy;
use remit_loops::job::{Failure, FailureClass, Outcome, Success};
use remit_loops::release::{Recipe, Release, ReleaseComponent, Taken};
use remit_loops::runner::{Info, Offer, Report};
use remit_loops::timeline::Entry;
use remit_loops::view::View;
use remit_loops::{
    Actor, Body, Effect, Event, Notice, Object, ObjectId, Rejected, Signal, Timestamp, Waiting, app, install,
    org, runner,
};

const RUNNER: &str = "run_demo.shop.acme";
const INSTALL: &str = "ins_demo.shop.acme";

/// Every object there is, and the time.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    pub(crate) now: i64,
    pub(crate) generation: u64,
    pub(crate) highest_seq: u64,
    /// How often the runner's process was started.
    boots: u64,
    /// All that was given to any object, in order.
    pub(crate) log: Vec<Event>,
    /// The lines of all timelines, with their times.
    pub(crate) lines: Vec<(i64, Entry)>,
    /// Notices that an object rejected: there should be none.
    pub(crate) rejected: Vec<(ObjectId, Rejected)>,
}

pub(crate) fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

impl World {
    /// An install of this release, with a runner and its first step offered.
    pub(crate) fn with_install_of(release: Release, approval: Policy) -> Self {
        let mut world = Self::default();
        world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
        world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
        world.publish(release).unwrap();
        let (inputs, labels, mode) = Default::default();
        let create = install::Signal::Create { inputs, mode, labels, rehearsal: None, approval };
        world.install(create).unwrap();
        world.enrol();
        world
    }

    pub(crate) fn send(&mut self, to: &str, by: Actor, body: Body) -> Result<(), Rejected> {
        self.now += 1;
        let mut queue = VecDeque::from(self.apply(&id(to), by, body)?);
        while let Some((to, by, notice)) = queue.pop_front() {
            match self.apply(&to, by, Body::Notice(notice)) {
                Ok(more) => queue.extend(more),
                Err(rejected) => self.rejected.push((to, rejected)),
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        to: &ObjectId,
        by: Actor,
        body: Body,
    ) -> Result<Vec<(ObjectId, Actor, Notice)>, Rejected> {
        let event = Event { at: Timestamp(self.now), by, body };
        let object = self.objects.entry(to.clone()).or_insert_with(|| Object::new(to));
        let before = object.clone();
        self.log.push(event.clone());
        let effects = object
            .apply(&event)
            .inspect_err(|_| assert_eq!(*object, before, "a rejection changes nothing"))?;
        let (now, lines) = (self.now, &mut self.lines);
        let tell = |effect| match effect {
            Effect::Tell { to: target, notice } => Some((target, Actor::Object(to.clone()), notice)),
            Effect::Record(entry) => {
                lines.push((now, entry));
                None
            }
            Effect::WakeRunner(_) => None,
        };
        Ok(effects.into_iter().filter_map(tell).collect())
    }

    pub(crate) fn signal(&mut self, to: &str, signal: Signal) -> Result<(), Rejected> {
        self.send(to, Actor::Person("ann".into()), Body::Signal(signal))
    }

    pub(crate) fn install(&mut self, signal: install::Signal) -> Result<(), Rejected> {
        self.signal(INSTALL, Signal::Install(signal))
    }

    pub(crate) fn publish(&mut self, release: Release) -> Result<(), Rejected> {
        self.signal("app_demo.shop", Signal::App(app::Signal::Publish { release, hold: false }))
    }

    pub(crate) fn report(&mut self, report: Report) -> Result<(), Rejected> {
        self.send(RUNNER, Actor::Runner, Body::Report(report))
    }

    /// A runner with a key of its own enrols with a token of its own.
    pub(crate) fn enrol(&mut self) {
        let expires = Timestamp(self.now + 1_000_000);
        let (token, key) = (format!("token {}", self.generation), format!("key {}", self.generation));
        let expect = runner::Signal::Expect { token_sha256: token.clone(), expires };
        self.signal(RUNNER, Signal::Runner(expect)).unwrap();
        self.enrol_as(&token, &key).unwrap();
        self.generation += 1;
        self.boot();
    }

    /// The runner's process is started anew.
    pub(crate) fn boot(&mut self) {
        self.boots += 1;
        let info = Info { boot: format!("boot {}", self.boots), ..Info::default() };
        self.report(Report::Seen { generation: self.generation, info }).unwrap();
    }

    pub(crate) fn enrol_as(&mut self, token: &str, key: &str) -> Result<(), Rejected> {
        self.report(Report::Enrol { token_sha256: token.into(), spki_sha256: key.into() })
    }

    pub(crate) fn tick(&mut self) {
        let due: Vec<(ObjectId, Timestamp)> =
            self.objects.iter().filter_map(|(id, o)| o.deadline().map(|at| (id.clone(), at))).collect();
        for (id, at) in due {
            self.now = self.now.max(at.0);
            self.send(&id.to_string(), Actor::Clock, Body::Tick).unwrap();
        }
    }

    pub(crate) fn view(&self, of: &str) -> View {
        self.objects[&id(of)].view()
    }

    pub(crate) fn status(&self, of: &str) -> String {
        self.view(of).status.word
    }

    pub(crate) fn why(&self, of: &str) -> Vec<Waiting> {
        self.objects[&id(of)].why()
    }

    /// All that may be handed out, in order, as a runner with slots enough would get it.
    pub(crate) fn offers(&self) -> Vec<Offer> {
        let mut runner = self.objects[&id(RUNNER)].clone();
        let mut offers = vec![];
        while let Some(offer) = runner.as_runner().unwrap().next_offer() {
            let started = Report::Started {
                generation: self.generation,
                attempt: offer.spec.id.clone(),
                fence: offer.fence,
            };
            let at = Timestamp(self.now);
            runner.apply(&Event { at, by: Actor::Runner, body: Body::Report(started) }).unwrap();
            offers.push(offer);
        }
        offers
    }

    /// The runner takes this component's attempt and starts it.
    pub(crate) fn start(&mut self, component: &str) -> Offer {
        let offer = self.offers().into_iter().find(|o| o.spec.component == component).unwrap();
        self.highest_seq = self.highest_seq.max(offer.seq);
        let (attempt, fence) = (offer.spec.id.clone(), offer.fence);
        self.report(Report::Started { generation: self.generation, attempt, fence }).unwrap();
        offer
    }

    fn held(&self, component: &str) -> (remit_loops::job::AttemptId, u64) {
        let remit_loops::view::Detail::Runner { jobs, .. } = self.view(RUNNER).detail else { panic!() };
        let job = jobs.into_iter().find(|j| j.component == component).unwrap();
        (job.attempt, job.fence)
    }

    pub(crate) fn must_stop(&self, component: &str) -> bool {
        let (attempt, fence) = self.held(component);
        self.objects[&id(RUNNER)].as_runner().unwrap().stop_reason(&attempt, fence).is_some()
    }

    pub(crate) fn complete_as(
        &mut self,
        generation: u64,
        component: &str,
        outcome: Outcome,
    ) -> Result<(), Rejected> {
        let (attempt, fence) = self.held(component);
        self.report(Report::Ended { generation, attempt, fence, outcome, receipts: None })
    }

    pub(crate) fn complete(&mut self, component: &str, outcome: Outcome) {
        if self.offers().iter().any(|o| o.spec.component == component) {
            self.start(component);
        }
        self.complete_as(self.generation, component, outcome).unwrap();
    }

    pub(crate) fn complete_next(&mut self, outcome: Outcome) -> String {
        let component = self.offers()[0].spec.component.clone();
        self.complete(&component, outcome);
        component
    }

    /// Lets a started attempt succeed, and everything after it.
    pub(crate) fn work_off_started(&mut self, component: &str) {
        self.complete(component, success());
        self.work_off();
    }

    /// Lets everything that is offered succeed until nothing is; the components in order.
    pub(crate) fn work_off(&mut self) -> Vec<String> {
        let mut done = vec![];
        while !self.offers().is_empty() {
            done.push(self.complete_next(success()));
        }
        assert_eq!(self.rejected, []);
        done
    }
}

pub(crate) fn success() -> Outcome {
    Outcome::Succeeded(Success::default())
}

pub(crate) fn drifted() -> Outcome {
    Outcome::Succeeded(Success { drifted: true, summary: "a file differs".into(), ..Success::default() })
}

pub(crate) fn failure(class: FailureClass) -> Outcome {
    let (code, message) = ("test.failed".to_owned(), "it did not work".to_owned());
    Outcome::Failed(Failure { class, code, message, hint: String::new() })
}

pub(crate) fn release(version: &str, counter: u64) -> Release {
    let component = |name: &str, needs: &[&str]| ReleaseComponent {
        name: name.into(),
        kind: "script".into(),
        adopts: false,
        digest: format!("sha256:{name}"),
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        longest_run_ms: 60_000,
        sandbox: false,
        recipe: None,
        health: None,
    };
    Release {
        digest: format!("sha256:{version}"),
        counter,
        version: version.into(),
        channel: "stable".into(),
        rollback_floor: 1,
        permits: vec![],
        inputs: vec!["size".into()],
        approvals: Default::default(),
        terms: Default::default(),
        healing: Default::default(),
        components: vec![
            component("network", &[]),
            component("database", &["network"]),
            component("queue", &["network"]),
            component("seed", &["database", "queue"]),
        ],
    }
}

/// The same release with what each component depends on: the first takes `size`, `database` a value of
/// the customer's, and each an output `id` of what it needs.
pub(crate) fn with_recipes(mut release: Release) -> Release {
    for component in &mut release.components {
        let taken = |need: &String| Taken { component: need.clone(), output: "id".into() };
        component.recipe = Some(Recipe {
            digest: format!("recipe of {}", component.digest),
            inputs: if component.name == "network" { vec!["size".into()] } else { vec![] },
            outputs: component.needs.iter().map(taken).collect(),
            customer: component.name == "database",
        });
    }
    release
}
