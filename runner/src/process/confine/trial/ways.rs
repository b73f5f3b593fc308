//! The ways out that can be tried by any process, each by name. More, which need calls that only a program in C can
//! make, are tried by the suite `confinement`; `docs/trust.md` names all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, SendFlags, SocketType};
use serde::{Deserialize, Serialize};

use super::{Found, Targets, Ways};

/// How long a connection to this very machine may take.
const CONNECT_MAX: Duration = Duration::from_millis(500);
const MSG_FASTOPEN: u32 = 0x2000_0000;
const AF_SMC: u16 = 43;
const IPPROTO_SMC: u32 = 256;
const IPPROTO_MPTCP: u32 = 262;
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

/// A way out of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A TCP connection.
    Connect,
    /// A TCP connection made by sending.
    FastOpen,
    /// Multipath TCP.
    Mptcp,
    /// TCP by shared memory: a family of its own.
    Smc,
    /// The same as a protocol of IP.
    SmcProtocol,
    /// A ring, which makes connections without a call.
    Ring,
    /// A socket in a file: a system bus, a container engine.
    SocketInFile,
    /// A socket with a name of the kernel's.
    SocketByName,
    /// To read the runner's own file.
    Read,
    /// To change who may read it.
    ChangeMode,
    /// A new terminal, and with it all others.
    Terminal,
    /// The terminal that the runner was started from.
    OwnTerminal,
    /// What the runner was started with open.
    Descriptors,
    /// A signal to the runner.
    Signal,
    /// The runner's environment and memory.
    Process,
}

/// All of them.
const ALL: [Way; 15] = [
    Way::Connect,
    Way::FastOpen,
    Way::Mptcp,
    Way::Smc,
    Way::SmcProtocol,
    Way::Ring,
    Way::SocketInFile,
    Way::SocketByName,
    Way::Read,
    Way::ChangeMode,
    Way::Terminal,
    Way::OwnTerminal,
    Way::Descriptors,
    Way::Signal,
    Way::Process,
];

impl Way {
    /// Those that lead to a port.
    pub(in crate::process::confine) const TO_PORTS: [Self; 6] =
        [Way::Connect, Way::FastOpen, Way::Mptcp, Way::Smc, Way::SmcProtocol, Way::Ring];

    /// Its name.
    pub(in crate::process::confine) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    pub(super) fn named(text: &str) -> Option<Self> {
        ALL.into_iter().find(|way| way.name() == text)
    }
}

/// Tries each.
pub(in crate::process::confine) fn try_all(targets: &Targets, private: &Path) -> Ways {
    ALL.into_iter().map(|way| (way, attempt(way, targets, private))).collect()
}

fn attempt(way: Way, targets: &Targets, private: &Path) -> Found {
    let out = |led: bool| if led { Found::Open } else { Found::Denied };
    match way {
        Way::Connect => {
            let tcp = TcpStream::connect_timeout(&targets.port, CONNECT_MAX);
            out(tcp.and_then(|mut tcp| tcp.write_all(way.name().as_bytes())).is_ok())
        }
        Way::FastOpen => out(fast_open(targets.port, &way.name()).is_ok()),
        Way::Mptcp => out(stream(AddressFamily::INET, IPPROTO_MPTCP, targets.port, &way.name()).is_ok()),
        Way::Smc => out(stream(AddressFamily::from_raw(AF_SMC), 0, targets.port, &way.name()).is_ok()),
        Way::SmcProtocol => out(stream(AddressFamily::INET, IPPROTO_SMC, targets.port, &way.name()).is_ok()),
        Way::Ring => out(io_uring::IoUring::new(2).is_ok()),
        Way::SocketInFile => out(UnixStream::connect(&targets.socket_file).is_ok()),
        Way::SocketByName => {
            let name = UnixAddr::from_abstract_name(&targets.socket_name);
            out(name.and_then(|name| UnixStream::connect_addr(&name)).is_ok())
        }
        Way::Read => out(File::open(private).is_ok()),
        Way::ChangeMode => out(fs::set_permissions(private, fs::Permissions::from_mode(0o600)).is_ok()),
        Way::Terminal => out(opens("/dev/ptmx") || opens("/dev/pts/ptmx")),
        Way::OwnTerminal => out(opens("/dev/tty") || opens("/dev/console")),
        Way::Descriptors => descriptors(),
        Way::Signal => {
            let pid = rustix::process::Pid::from_raw(targets.runner);
            out(pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()))
        }
        Way::Process => {
            let read = fs::read(format!("/proc/{}/environ", targets.runner));
            out(read.is_ok_and(|bytes| !bytes.is_empty()))
        }
    }
}

fn opens(path: &str) -> bool {
    // A process without a terminal of its own is told so only once the file system has let it through.
    let no_terminal = Some(rustix::io::Errno::NXIO.raw_os_error());
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map_or_else(|error| error.raw_os_error() == no_terminal, |_| true)
}

fn socket(family: AddressFamily, protocol: u32) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket(family, SocketType::STREAM, NonZeroU32::new(protocol).map(Protocol::from_raw))
}

fn stream(family: AddressFamily, protocol: u32, to: SocketAddr, word: &str) -> rustix::io::Result<()> {
    let socket = socket(family, protocol)?;
    rustix::net::connect(&socket, &to)?;
    rustix::net::send(&socket, word.as_bytes(), SendFlags::empty()).map(|_| ())
}

/// Sends without having connected; on a kernel that does it, the word is in the first packet or soon after.
fn fast_open(to: SocketAddr, word: &str) -> rustix::io::Result<()> {
    let socket = socket(AddressFamily::INET, 0)?;
    let flags = SendFlags::from_bits_retain(MSG_FASTOPEN);
    rustix::net::sendto(&socket, word.as_bytes(), flags, &to).map(|_| ())
}

/// Whether all but the three streams are closed when the tool begins.
fn descriptors() -> Found {
    let Ok(entries) = fs::read_dir("/proc/self/fdinfo") else { return Found::NotTried };
    let numbers: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let stays = |number: &u32| {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & CLOSE_ON_EXEC == 0)
    };
    if numbers.iter().any(|number| *number > 2 && stays(number)) { Found::Open } else { Found::Denied }
}
