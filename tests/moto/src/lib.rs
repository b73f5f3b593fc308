//! A real AWS API on loopback for tests: moto, spoken to over HTTP as anybody would. It ends with the test's
//! process, however that ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The region of everything.
pub const REGION: &str = "eu-central-1";

/// Says who the server is, then waits for the end of its input, which comes with the end of the test's process.
const KEEPER: &str = r#""$@" > /dev/null & pid=$!; echo "$pid"; read -r _; kill -KILL "$pid"; wait "$pid""#;

/// How an API is to be.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// As moto comes: its KMS signs the digest of the digest.
    pub untaught: bool,
    /// TLS by this certificate and key, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// After so many calls it checks signatures and permissions; left out: never.
    pub checks_after: Option<u32>,
}

/// An API of its own. Dropped, it is gone.
#[derive(Debug)]
pub struct Moto {
    keeper: Child,
    pid: String,
    addr: String,
    scheme: &'static str,
}

impl Moto {
    /// Starts one, and waits until it says where it listens.
    pub fn start(manner: &Manner) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(program()?).args(["-H", "127.0.0.1", "-p", "0"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !manner.untaught {
            command.env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("taught"));
        }
        if let Some((certificate, key)) = &manner.tls {
            command.arg("-s").arg("-c").arg(certificate).arg("-k").arg(key);
        }
        if let Some(calls) = manner.checks_after {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", calls.to_string());
        }
        let scheme = if manner.tls.is_some() { "https" } else { "http" };
        let mut keeper = command.spawn()?;
        let piped = || io::Error::other("its words are piped");
        let mut pid = String::new();
        BufReader::new(keeper.stdout.take().ok_or_else(piped)?).read_line(&mut pid)?;
        let mut lines = BufReader::new(keeper.stderr.take().ok_or_else(piped)?).lines();
        let addr = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.split_once(&format!("{scheme}://"))?.1;
            Some(rest.split_whitespace().next()?.trim_end_matches('/').to_owned())
        });
        // What it says later must go somewhere, or it would wait for ever to say it.
        std::thread::spawn(move || lines.for_each(drop));
        let addr = addr.ok_or_else(|| io::Error::other("moto ended before it said where it listens"))?;
        Ok(Self { keeper, pid: pid.trim().to_owned(), addr, scheme })
    }

    /// Its address and port.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// Stops it in the middle of whatever it does (`STOP`), or lets it go on (`CONT`).
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name}: {status}"))) }
    }

    /// A call (`POST /`) of a service by somebody who may do all, while permissions are not checked; the
    /// headers end with a line's end each. The status and the body.
    pub fn ask(&self, call: &str, service: &str, headers: &str, body: &str) -> io::Result<(u16, String)> {
        if self.scheme != "http" {
            return Err(io::Error::other("set things up before TLS: this client has none"));
        }
        let mut tcp = TcpStream::connect(&self.addr)?;
        write!(
            tcp,
            "{call} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\nAuthorization: \
             AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, \
             Signature=none\r\n\r\n{body}",
            self.addr,
            body.len()
        )?;
        let mut text = String::new();
        tcp.read_to_string(&mut text)?;
        let read = || {
            let (head, body) = text.split_once("\r\n\r\n")?;
            Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
        };
        read().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text.clone()))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // The end of its input tells the keeper to end the server and to wait for that.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// On the PATH, or where `cargo verify` sets it up.
fn program() -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let this = std::env::current_exe()?;
    // Tests lie in target/debug/deps.
    let tools = this.ancestors().nth(3).map(|target| target.join("tools/python/bin"));
    let mut all = std::env::split_paths(&path).chain(tools).map(|dir| dir.join("moto_server"));
    all.find(|file| file.is_file()).ok_or_else(|| {
        let words = "moto_server is needed: `cargo verify` sets it up, or pip install 'moto[server]'";
        io::Error::new(io::ErrorKind::NotFound, words)
    })
}
