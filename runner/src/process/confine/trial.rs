//! The trial at the start: a process that is confined as a job is tries each known way out, to listeners and files
//! that are the runner's own. What is said of the confinement afterwards is what was found, and of nothing else.

mod ways;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::start::{ITSELF, NotBegun, Starting};
use super::{Confined, InForce};

pub(super) use ways::{Way, try_all};

/// The socket in a file that stands for a system bus, a container engine and the like.
const SOCKET_FILE: &str = "trial.sock";
/// How long a byte may take from a process that has ended to a listener of the same machine.
const BYTE_MAX: Duration = Duration::from_millis(200);

/// What the confined process is given to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// A listener on a port that is denied as the metadata service's is.
    pub port: SocketAddr,
    /// A listener on a socket in a file.
    pub socket_file: PathBuf,
    /// A listener on a socket with a name of the kernel's.
    pub socket_name: String,
    /// The runner's process.
    pub runner: i32,
}

/// What came of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It led nowhere.
    Denied,
    /// It led out.
    Open,
    /// It could not be tried here.
    NotTried,
}

/// What was found, by the way's name.
pub type Ways = BTreeMap<Way, Found>;

/// Listeners of the runner's own, which say what reached them.
struct Listeners {
    port: TcpListener,
    file: Option<UnixListener>,
    name: Option<UnixListener>,
    targets: Targets,
}

impl Listeners {
    fn open(dir: &Path) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?;
        port.set_nonblocking(true)?;
        let socket_file = dir.join(SOCKET_FILE);
        crate::storage::data_dir::remove_file(&socket_file)?;
        let socket_name = format!("remit-trial-{}", std::process::id());
        // A path may be too long for a socket: then that way cannot be tried, and nothing is said of it.
        let file = UnixListener::bind(&socket_file).ok();
        let name =
            UnixAddr::from_abstract_name(&socket_name).and_then(|name| UnixListener::bind_addr(&name)).ok();
        let targets = Targets {
            port: port.local_addr()?,
            socket_file,
            socket_name,
            runner: i32::try_from(std::process::id()).unwrap_or(0),
        };
        Ok(Self { port, file, name, targets })
    }

    /// What the world saw counts for more than what the process says of itself.
    fn correct(&self, ways: &mut Ways) {
        while let Ok((mut stream, _)) = self.port.accept() {
            let mut text = String::new();
            let _ = stream.set_nonblocking(false);
            let _ = stream.set_read_timeout(Some(BYTE_MAX));
            let _ = stream.read_to_string(&mut text);
            ways.insert(Way::named(&text).unwrap_or(Way::Connect), Found::Open);
        }
        for (listener, way) in [(&self.file, Way::SocketInFile), (&self.name, Way::SocketByName)] {
            match listener {
                None => drop(ways.insert(way, Found::NotTried)),
                Some(listener) => {
                    let _ = listener.set_nonblocking(true);
                    if listener.accept().is_ok() {
                        ways.insert(way, Found::Open);
                    }
                }
            }
        }
    }
}

/// Confines a process that tries all ways and ends; what is in force.
pub(super) async fn run(confined: &mut Confined, dir: &Path) -> Result<InForce, String> {
    let words = |e: io::Error| e.to_string();
    let listeners = Listeners::open(dir).map_err(words)?;
    confined.bounds.denied_ports.push(listeners.targets.port.port());
    confined.bounds.trial = Some(listeners.targets.clone());
    let (stream, theirs) = UnixStream::pair().map_err(words)?;
    let mut command = Command::new(ITSELF);
    command.arg0("remit-runner").arg("confine").env_clear().current_dir(dir).kill_on_drop(true);
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
    let mut child = command.spawn().map_err(words)?;
    drop(command);
    let begun = Starting::heard_by(stream).begin(&confined.bounds).await;
    let _ = child.wait().await;
    let mut in_force = begun.map_err(|not| match not {
        NotBegun::Confine(words) => words,
        NotBegun::Missing | NotBegun::Start(_) => "it would not start".to_owned(),
    })?;
    listeners.correct(&mut in_force.ways);
    let _ = crate::storage::data_dir::remove_file(&listeners.targets.socket_file);
    Ok(in_force)
}
