//! A real AWS API on loopback: moto, spoken to over HTTP as anybody would, its KMS taught to sign digests.

mod hostile;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub use hostile::{Hostile, Word};

/// The region of everything.
pub const REGION: &str = "eu-central-1";

/// The account that everything is in.
pub const ACCOUNT: &str = "123456789012";

/// The credentials of a session.
pub struct Session {
    /// The access key's id.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// The session's token.
    pub token: String,
}

impl Session {
    /// What gives them to a program, and nothing else that this machine has.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", self.key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
            ("AWS_SESSION_TOKEN", &self.token),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

/// An AWS API of its own.
pub struct Aws {
    child: Child,
    addr: String,
    scheme: &'static str,
}

/// How an API is to be.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// As moto comes: its KMS signs the digest of the digest.
    pub untaught: bool,
    /// TLS by this certificate and key, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// On the PATH, or where `cargo verify` sets it up.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let this = std::env::current_exe()?;
    let tools = this.ancestors().nth(3).context("tests lie in target/debug/deps")?.join("tools/python/bin");
    let mut all = std::env::split_paths(&path).chain([tools]).map(|dir| dir.join("moto_server"));
    all.find(|file| file.is_file())
        .context("moto_server is needed: `cargo verify` sets it up, or pip install 'moto[server]'")
}

impl Aws {
    /// One that believes everybody.
    ///
    /// # Errors
    /// moto is not there, or does not start.
    pub fn start(manner: &Manner) -> Result<Aws> {
        let mut command = Command::new(program()?);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        if !manner.untaught {
            command.env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("src/world/moto"));
        }
        if let Some((certificate, key)) = &manner.tls {
            command.arg("-s").arg("-c").arg(certificate).arg("-k").arg(key);
        }
        let scheme = if manner.tls.is_some() { "https" } else { "http" };
        let mut child = command.spawn().context("moto could not be started")?;
        let mut lines = BufReader::new(child.stderr.take().context("its words are piped")?).lines();
        let addr = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.split_once(&format!("{scheme}://"))?.1;
            Some(rest.split_whitespace().next()?.trim_end_matches('/').to_owned())
        });
        // What it says later must go somewhere, or it would wait for ever to say it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Aws { child, addr: addr.context("moto says where it listens")?, scheme })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// What tells programs to use it as this user.
    pub fn env(&self, key: &str, secret: &str) -> Vec<(String, String)> {
        env(&self.url(), key, secret)
    }

    /// The same as somebody who may do all, while permissions are not checked.
    pub fn env_of_anybody(&self) -> Vec<(String, String)> {
        self.env("test", "test")
    }

    /// A new key of KMS; its id.
    ///
    /// # Errors
    /// moto does not make it.
    pub fn key(&self, spec: &str, usage: &str) -> Result<String> {
        let made = self.kms("CreateKey", &json!({ "KeySpec": spec, "KeyUsage": usage }))?;
        Ok(made["KeyMetadata"]["KeyId"].as_str().context("a key has an id")?.to_owned())
    }

    /// A key that Remit can sign with, under this alias; its URI by the alias.
    ///
    /// # Errors
    /// moto does not make it.
    pub fn signing_key(&self, alias: &str) -> Result<String> {
        let id = self.key("ECC_NIST_P256", "SIGN_VERIFY")?;
        self.kms("CreateAlias", &json!({ "AliasName": format!("alias/{alias}"), "TargetKeyId": id }))?;
        Ok(format!("awskms:///alias/{alias}?region={REGION}"))
    }

    /// A call of KMS by somebody who may do all.
    ///
    /// # Errors
    /// It says no; its words are in the message.
    pub fn kms(&self, action: &str, body: &Value) -> Result<Value> {
        let target =
            format!("X-Amz-Target: TrentService.{action}\r\nContent-Type: application/x-amz-json-1.1\r\n");
        let (status, answer) = self.post("/", "kms", &target, &body.to_string())?;
        ensure!(status == 200, "{action}: {status} {answer}");
        Ok(serde_json::from_str(&answer).unwrap_or(Value::Null))
    }

    /// A user who may do these actions only: the id and the secret of the key.
    ///
    /// # Errors
    /// moto does not make it.
    pub fn user(&self, name: &str, actions: &[&str]) -> Result<(String, String)> {
        let iam = |action: &str, more: &str| {
            let form = "Content-Type: application/x-www-form-urlencoded\r\n";
            let body = format!("Action={action}&UserName={name}&Version=2010-05-08{more}");
            let (status, answer) = self.post("/", "iam", form, &body)?;
            ensure!(status == 200, "{action}: {status} {answer}");
            Ok(answer)
        };
        iam("CreateUser", "")?;
        let statement = json!([{ "Effect": "Allow", "Action": actions, "Resource": "*" }]);
        let policy = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        let policy: String = policy.bytes().map(|b| format!("%{b:02X}")).collect();
        iam("PutUserPolicy", &format!("&PolicyName=own&PolicyDocument={policy}"))?;
        let made = iam("CreateAccessKey", "")?;
        let field = |name: &str| {
            let after = made.split_once(&format!("<{name}>")).context("a key")?.1;
            Ok::<_, anyhow::Error>(after.split_once('<').context("a key")?.0.to_owned())
        };
        Ok((field("AccessKeyId")?, field("SecretAccessKey")?))
    }

    /// A session of a new role of this name, as a machine has it.
    ///
    /// # Errors
    /// moto does not make it.
    pub fn assume(&self, role: &str) -> Result<Session> {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let ask = |service: &str, body: String| {
            let (status, answer) = self.post("/", service, form, &body)?;
            ensure!(status == 200, "{body}: {status} {answer}");
            Ok::<_, anyhow::Error>(answer)
        };
        let made =
            format!("Action=CreateRole&RoleName={role}&AssumeRolePolicyDocument=%7B%7D&Version=2010-05-08");
        ask("iam", made)?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
        let asked = format!("Action=AssumeRole&RoleArn={arn}&RoleSessionName=i-0abc&Version=2011-06-15");
        let answer = ask("sts", asked)?;
        let field = |name: &str| {
            let after = answer.split_once(&format!("<{name}>")).context("a session")?.1;
            Ok::<_, anyhow::Error>(after.split_once('<').context("a session")?.0.to_owned())
        };
        let (key, secret) = (field("AccessKeyId")?, field("SecretAccessKey")?);
        Ok(Session { key, secret, token: field("SessionToken")? })
    }

    /// From now on signatures and permissions are checked.
    ///
    /// # Errors
    /// moto does not do it.
    pub fn check_permissions(&self) -> Result<()> {
        let (status, answer) = self.post("/moto-api/reset-auth", "iam", "", "0")?;
        ensure!(status == 200, "reset-auth: {status} {answer}");
        Ok(())
    }

    /// Stops it in the middle of whatever it does (`STOP`), or lets it go on (`CONT`).
    ///
    /// # Errors
    /// The system does not let us.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill -{name}: {status}");
        Ok(())
    }

    fn post(&self, path: &str, service: &str, headers: &str, body: &str) -> Result<(u16, String)> {
        ensure!(self.scheme == "http", "set keys up before TLS: this client has none");
        let mut tcp = TcpStream::connect(&self.addr)?;
        write!(
            tcp,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=none\r\n\r\n{body}",
            self.addr,
            body.len()
        )?;
        let mut text = String::new();
        tcp.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").context("an answer has a head")?;
        let status = head.split(' ').nth(1).context("an answer has a status")?;
        Ok((status.parse()?, body.to_owned()))
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        // Most often it is there; if not, there is nothing to do about it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn env(url: &str, key: &str, secret: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        // Never what this machine has of its own.
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
