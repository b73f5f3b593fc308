//! Which releases of an app are out, and for whom: held back, promoted to all, or rolled out in waves.

use super::App;
use super::message::Plan;
use super::rollout::Rollout;
use crate::event::{Effect, Event, record};
use crate::install::message::ToInstall;
use crate::notice::Notice;
use crate::rejected::{Rejected, RejectedCode, conflict};
use crate::release::{Permit, Release};
use crate::time::Timestamp;

/// The most rollback permits of one release that are kept.
const PERMITS_MAX: usize = 64;

impl App {
    fn known(&self, version: &str) -> Result<&Release, Rejected> {
        self.releases.iter().rev().find(|release| release.version == version).ok_or_else(|| {
            let message = self.unknown(Some(version), None);
            Rejected::new(RejectedCode::RolloutInvalid, message)
        })
    }

    /// The newest release of a channel that is not held back.
    pub(super) fn newest(&self, channel: Option<&str>) -> Option<&Release> {
        let fits = |release: &&Release| {
            channel.is_none_or(|channel| release.channel == channel) && !self.held.contains(&release.digest)
        };
        self.releases.iter().rev().find(fits)
    }

    fn check_newer(&self, release: &Release) -> Result<(), Rejected> {
        match self.newest(Some(&release.channel)) {
            Some(newest) if newest.counter > release.counter => Err(conflict(&format!(
                "release {} is older than {}, which is out already; a rollback goes back",
                release.version, newest.version
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// A release that was held back is out for every install.
    pub(super) fn promote(&mut self, event: &Event, version: &str) -> Result<Vec<Effect>, Rejected> {
        self.life.check_alive()?;
        let release = self.known(version)?.clone();
        if !self.held.contains(&release.digest) {
            return Err(conflict(&format!("release {version} is out already")));
        }
        self.check_newer(&release)?;
        if self.rollout.as_ref().is_some_and(|r| !r.is_over() && r.release.digest == release.digest) {
            return Err(conflict(&format!("release {version} is being rolled out; abort that first")));
        }
        self.held.remove(&release.digest);
        let text = format!("{} promoted release {version}: every install may take it", event.by);
        let tell = |to: &crate::id::ObjectId| Effect::Tell {
            to: to.clone(),
            notice: Notice::Install(ToInstall::ReleasePublished(release.clone())),
        };
        Ok([record("release.promoted", text)]
            .into_iter()
            .chain(self.life.children.iter().map(tell))
            .collect())
    }

    pub(super) fn start_rollout(&mut self, event: &Event, plan: &Plan) -> Result<Vec<Effect>, Rejected> {
        self.life.check_alive()?;
        let release = self.known(&plan.version)?.clone();
        let rollout = Rollout::new(self.rollouts + 1, event, &release, plan, &self.life.children)?;
        if plan.rollback {
            self.check_rollback(&release, event.at)?;
        } else {
            self.check_newer(&release)?;
            self.check_none_under_way()?;
        }
        let mut effects = vec![];
        if let Some(current) = self.rollout.as_mut().filter(|current| !current.is_over()) {
            effects.extend(current.abort(&self.life.id, event, "a rollback takes its place")?);
        }
        if plan.rollback {
            // What is rolled back is not taken anew: neither by new installs, nor as the newest.
            let above = |r: &&Release| r.channel == release.channel && r.counter > release.counter;
            self.held.extend(self.releases.iter().filter(above).map(|r| r.digest.clone()));
            self.held.remove(&release.digest);
        }
        self.rollouts += 1;
        let way = if plan.rollback { "rolls back to" } else { "rolls out" };
        let text = format!("{} {way} release {} (rollout {})", event.by, release.version, self.rollouts);
        effects.insert(0, record("rollout.begun", text));
        self.rollout = Some(Box::new(rollout));
        Ok(effects)
    }

    fn check_none_under_way(&self) -> Result<(), Rejected> {
        match self.rollout.as_ref().filter(|current| !current.is_over()) {
            None => Ok(()),
            Some(current) => Err(conflict(&format!(
                "rollout {} of release {} is under way; abort it first",
                current.number, current.release.version
            ))),
        }
    }

    /// Never below the floor of what was rolled out last; each install looks at its own release too.
    fn check_rollback(&self, to: &Release, at: Timestamp) -> Result<(), Rejected> {
        let newest = self.newest(Some(&to.channel));
        let last = self.rollout.as_ref().map(|rollout| &rollout.release).filter(|r| r.channel == to.channel);
        for from in newest.into_iter().chain(last) {
            if from.is_barred_from(to, at) {
                let message = format!(
                    "release {} (counter {}) is older than release {} lets an install go back to, and no rollback permit is there",
                    to.version, to.counter, from.version
                );
                return Err(Rejected::new(RejectedCode::BelowFloor, message));
            }
        }
        Ok(())
    }

    /// Installs may go back to a release. A permit that is given again changes nothing.
    pub(super) fn permit_rollback(
        &mut self,
        event: &Event,
        channel: &str,
        to: u64,
        permit: &Permit,
    ) -> Result<Vec<Effect>, Rejected> {
        self.life.check_alive()?;
        let of = |r: &&mut Release| r.channel == channel && r.counter == to;
        let Some(release) = self.releases.iter_mut().find(of) else {
            return Err(conflict(&format!(
                "{} has no release with counter {to} in channel {channel}",
                self.life.id
            )));
        };
        release.permits.retain(|kept| kept.until > event.at && kept.sha256 != permit.sha256);
        if release.permits.len() >= PERMITS_MAX {
            return Err(conflict(&format!(
                "release {} has {PERMITS_MAX} rollback permits already",
                release.version
            )));
        }
        release.permits.push(permit.clone());
        let who = permit.install.as_deref().map_or("every install of its channel".to_owned(), str::to_owned);
        let text = format!(
            "{} let {who} go back to release {} until {}: {}",
            event.by, release.version, permit.until, permit.reason
        );
        Ok(vec![record("release.rollback_permitted", text)])
    }

    /// The rollout that is under way.
    pub(super) fn current(&mut self) -> Result<&mut Rollout, Rejected> {
        let none = || conflict("no rollout is under way; `remit rollout create` begins one");
        self.rollout.as_deref_mut().filter(|rollout| !rollout.is_over()).ok_or_else(none)
    }

    /// Lets the rollout do what it can do now.
    pub(super) fn turn(&mut self, event: &Event) -> Vec<Effect> {
        let Some(rollout) = self.rollout.as_mut().filter(|rollout| !rollout.is_over()) else {
            return vec![];
        };
        let effects = rollout.turn(&self.life.id, event.at);
        if rollout.is_done() && !rollout.rollback {
            self.held.remove(&rollout.release.digest);
        }
        effects
    }
}
