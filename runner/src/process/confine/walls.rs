//! What is said of the confinement: to people in the status, to the log, and whether it is enough to start. All of it
//! from what the trial found.

use std::path::Path;

use serde_json::{Value, json};

use super::trial::Way;
use super::{Confinement, Error, Found, InForce, Limits};
use crate::storage::data_dir::DataDir;

/// Since when Landlock keeps ports: Linux 6.7.
const LANDLOCK_OF_PORTS: i32 = 4;
/// Since when Landlock keeps signals and sockets by name apart: Linux 6.12.
const LANDLOCK_OF_SIGNALS: i32 = 6;
/// What starts programs, as root and unconfined, for a root that asks there.
const SERVICES: [&str; 7] = [
    "/run/systemd/private",
    "/run/dbus/system_bus_socket",
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
];

impl InForce {
    fn is(&self, way: Way, found: Found) -> bool {
        self.ways.get(&way).copied().unwrap_or(Found::NotTried) == found
    }

    fn are_denied(&self, ways: &[Way]) -> bool {
        ways.iter().all(|way| self.is(*way, Found::Denied))
    }

    fn open(&self) -> impl Iterator<Item = Way> {
        self.ways.iter().filter(|(_, found)| **found == Found::Open).map(|(way, _)| *way)
    }

    /// Whether this is out of the reach of a kernel like this one: it is said, and does not stop the runner.
    fn is_beyond(&self, way: Way) -> bool {
        match way {
            Way::Signal | Way::SocketByName => self.landlock < LANDLOCK_OF_SIGNALS,
            Way::SocketInFile | Way::ChangeMode => !self.view,
            _ => false,
        }
    }
}

fn names(ways: impl Iterator<Item = Way>) -> String {
    ways.map(Way::name).collect::<Vec<_>>().join(", ")
}

impl Confinement {
    /// Refuses what is less than `required` means: all ways denied but those which no kernel like this one could
    /// deny, and of these none that makes a root's job free.
    pub(super) fn demand(&self, dir: &DataDir) -> Result<(), Error> {
        let found = &self.in_force;
        match (found.landlock, found.private) {
            (0, _) => return Err(Error::Missing),
            (_, false) => return Err(Error::Readable(dir.root().to_owned())),
            (_, true) => {}
        }
        let ports_matter = !self.settings.metadata;
        let open = found
            .open()
            .filter(|way| !found.is_beyond(*way) && (ports_matter || !Way::TO_PORTS.contains(way)));
        let open = names(open);
        if !open.is_empty() {
            return Err(Error::Open(open));
        }
        match self.service_of_root() {
            Some(service) => Err(Error::Root(service.to_owned())),
            None => Ok(()),
        }
    }

    /// A service that a job of root would reach, and with it the whole machine.
    fn service_of_root(&self) -> Option<&'static str> {
        let reaches =
            rustix::process::getuid().is_root() && !self.in_force.is(Way::SocketInFile, Found::Denied);
        SERVICES.into_iter().find(|service| reaches && Path::new(service).exists())
    }

    /// Says in the log what is weaker here.
    pub(super) fn warn(&self) {
        let found = &self.in_force;
        if found.landlock == 0 {
            tracing::warn!("jobs can read all that this user can read: the kernel has no Landlock");
        }
        let open = names(found.open());
        if !open.is_empty() {
            tracing::warn!(
                code = "runner.confinement_weaker",
                open,
                "jobs are not kept from all: see `remit-runner status`"
            );
        }
        if let Some(service) = self.service_of_root() {
            tracing::warn!(
                code = "runner.confinement_root",
                service,
                "jobs of root reach it, and can do all by it"
            );
        }
    }

    /// What is in force, for people.
    pub fn view(&self) -> Value {
        let InForce { landlock, calls, private, view, ways } = &self.in_force;
        let Limits { processes, memory, file, .. } = self.settings.limits;
        let counted = self.home.counts_processes();
        let ports = self.in_force.are_denied(&Way::TO_PORTS);
        json!({
            "wanted": self.settings.strictness.as_str(),
            "files": if *landlock > 0 { format!("landlock {landlock}") } else { "none".to_owned() },
            "file_system_of_its_own": view,
            "data_dir_out_of_reach": private,
            "signals_kept_in": self.in_force.are_denied(&[Way::Signal]),
            "calls": calls,
            "processes": {
                "kept_by": self.home.kind(),
                "max": processes,
                "counted_by": if counted { "cgroup" } else { "user" },
            },
            "memory_max": memory.filter(|_| self.home.counts_memory()),
            "file_max": file,
            "metadata": match (self.settings.metadata, ports) {
                (true, _) => "allowed".to_owned(),
                (false, true) => "denied: no TCP to port 80".to_owned(),
                (false, false) => self.why_reachable(),
            },
            "status_api": if ports { "denied" } else { "reachable, with its token alone" },
            "ways": ways,
            "open": self.in_force.open().map(Way::name).collect::<Vec<_>>(),
        })
    }

    fn why_reachable(&self) -> String {
        let open = names(self.in_force.open().filter(|way| Way::TO_PORTS.contains(way)));
        let why = if self.in_force.landlock < LANDLOCK_OF_PORTS {
            "Linux 6.7 or newer is needed"
        } else {
            "see `ways`"
        };
        format!("not kept from it ({open}): {why}; AWS tools are asked not to use it")
    }
}
