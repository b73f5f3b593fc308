//! A real PostgreSQL server for tests and benches: its own directory, its own port, gone with its last user.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The server's one user; there are no passwords on the socket of a private directory.
const USER: &str = "remit";
/// How long the server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(180);
/// Kept as they are in earnest: a commit is on disk when it is answered.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "max_connections=60",
    "shared_buffers=64MB",
    "max_wal_size=1GB",
    "log_min_messages=warning",
    "autovacuum_naptime=10s",
];
/// Below these the kernel gives no port to whoever asks for any, so nobody takes one between look and use.
const PORTS: std::ops::Range<u32> = 15_000..32_000;
/// How many ports a server tries, should others take them first.
const TRIES: usize = 5;
/// What the server's log says when another had its port.
const PORT_TAKEN: &str = "could not create any TCP/IP sockets";
/// Waits for the end of its input, which comes when the test's process ends, however it ends.
const KEEPER: &str = r#""$@" & pid=$!; read -r _; kill -INT "$pid"; wait "$pid""#;

/// A server that runs. Dropped, it is stopped and its data is gone.
#[derive(Debug)]
pub struct Server {
    keeper: Child,
    port: u16,
    databases: AtomicU32,
    // Removed after the server has stopped.
    dir: Arc<tempfile::TempDir>,
}

/// What a server that is no test's alone would ask of its clients.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Its certificate for 127.0.0.1, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// What its user must know.
    pub password: String,
}

/// A database of its own on a server.
#[derive(Clone, Debug)]
pub struct Database {
    server: Arc<Server>,
    name: String,
}

impl Database {
    /// A new, empty database on a server that all users of this process share.
    pub fn create() -> io::Result<Self> {
        Self::on(&Server::shared()?)
    }

    /// A new, empty database on this server.
    pub fn on(server: &Arc<Server>) -> io::Result<Self> {
        let number = server.databases.fetch_add(1, Ordering::Relaxed);
        let database = Self { server: server.clone(), name: format!("remit{number}") };
        database.server.psql("postgres", &format!("CREATE DATABASE {}", database.name))?;
        Ok(database)
    }

    /// Where it is, as `--store` takes it.
    pub fn url(&self) -> String {
        format!("{}?sslmode=disable", self.bare_url())
    }

    /// Where it is, with nothing said of TLS.
    pub fn bare_url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// Runs a statement and answers what it prints.
    pub fn psql(&self, sql: &str) -> io::Result<String> {
        self.server.psql(&self.name, sql)
    }

    /// The server that it is on.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Server {
    /// The server of this process; started by its first user and stopped after its last.
    pub fn shared() -> io::Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// Starts a server with an empty database cluster, that lets everybody in.
    pub fn start() -> io::Result<Self> {
        Self::start_with(None)
    }

    /// Starts a server that speaks TLS and asks for a password.
    pub fn start_guarded(guard: &Guard) -> io::Result<Self> {
        Self::start_with(Some(guard))
    }

    fn start_with(guard: Option<&Guard>) -> io::Result<Self> {
        let bin = programs()?;
        let dir = tempfile::Builder::new().prefix("remit-pg").tempdir()?;
        let owner = owner()?;
        let own = |path: &Path| owner.map_or(Ok(()), |(uid, gid)| chown(path, Some(uid), Some(gid)));
        own(dir.path())?;
        let secret = |name: &str, text: &str| -> io::Result<PathBuf> {
            let path = dir.path().join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            own(&path)?;
            Ok(path)
        };
        let data = dir.path().join("data");
        let mut initdb = command(&bin.join("initdb"), owner);
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username", USER, "--auth-local=trust"]);
        let mut settings: Vec<String> = SETTINGS.map(str::to_owned).into();
        if let Some(guard) = guard {
            initdb.arg("--auth-host=scram-sha-256").arg("--pwfile").arg(secret("password", &guard.password)?);
            let (certificate, key) =
                (secret("cert.pem", &guard.certificate)?, secret("key.pem", &guard.key)?);
            settings.push("ssl=on".into());
            settings.push(format!("ssl_cert_file={}", certificate.display()));
            settings.push(format!("ssl_key_file={}", key.display()));
        } else {
            initdb.arg("--auth-host=trust");
        }
        run(initdb.arg("-D").arg(&data))?;
        let dir = Arc::new(dir);
        for _ in 0..TRIES {
            let port = free_port()?;
            let mut keeper = command(Path::new("/bin/sh"), owner);
            keeper.args(["-c", KEEPER, "keeper"]).arg(bin.join("postgres")).arg("-D").arg(&data);
            keeper.arg("-p").arg(port.to_string()).arg("-k").arg(dir.path());
            keeper.args(settings.iter().flat_map(|setting| ["-c", setting]));
            let log = fs::File::create(dir.path().join("server.log"))?;
            let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn()?;
            let server = Self { keeper, port, databases: AtomicU32::new(0), dir: dir.clone() };
            if server.answers()? {
                return Ok(server);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "others take every port before the server does"))
    }

    /// Waits until it answers; false if another took its port.
    fn answers(&self) -> io::Result<bool> {
        let until = Instant::now() + PATIENCE;
        loop {
            let Err(error) = self.psql("postgres", "SELECT 1") else { return Ok(true) };
            let log = fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
            if log.contains(PORT_TAKEN) {
                return Ok(false);
            }
            if Instant::now() > until {
                return Err(io::Error::other(format!("{error}; its log: {log}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn psql(&self, database: &str, sql: &str) -> io::Result<String> {
        let mut psql = Command::new(programs()?.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER]);
        // By the socket in its own directory, where nobody is asked for a password.
        psql.arg("-h").arg(self.dir.path());
        run(psql.arg("-p").arg(self.port.to_string()).args(["-d", database, "-c", sql]))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input tells the keeper to stop the server and to wait for that.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A free port that the kernel gives to nobody who asks for any: still free when it is used, but for others
/// who look for one in this way.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let size = PORTS.end - PORTS.start;
    // Every process begins elsewhere.
    let first = std::process::id().wrapping_mul(7_919);
    for _ in 0..size {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + first.wrapping_add(step) % size;
        let port = u16::try_from(port).map_err(io::Error::other)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}

/// Where the server's programs are.
fn programs() -> io::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let has_all = |dir: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|p| dir.join(p).exists());
    found.into_iter().rev().find(has_all).ok_or_else(|| {
        let message =
            "no PostgreSQL server is installed: `apt-get install postgresql`, or run `cargo verify`";
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

/// Whom the server runs as: it refuses to be root.
fn owner() -> io::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let message = "there is neither a user `postgres` nor `nobody` to run the server as";
    ids("postgres").or_else(|| ids("nobody")).map(Some).ok_or_else(|| io::Error::other(message))
}

fn command(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_there_and_goes_with_its_server() {
        let database = Database::create().unwrap();
        assert_eq!(database.psql("SELECT 1 + 1").unwrap(), "2");
        assert!(database.psql("SELECT").is_ok());
        assert!(database.psql("SELECT nothing").is_err());
        let other = Database::create().unwrap();
        assert_ne!(database.url(), other.url());
        let dir = other.server().dir.path().to_owned();
        assert!(dir.exists());
    }
}
