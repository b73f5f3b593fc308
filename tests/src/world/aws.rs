//! A real AWS API on loopback: moto, its KMS taught to sign digests, with what tests of keys and identities ask of it.

mod hostile;

use anyhow::{Context, Result, ensure};
use remit_moto::Moto;
use serde_json::{Value, json};

pub use hostile::{Hostile, Word};
pub use remit_moto::{Manner, REGION};

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
pub struct Aws(Moto);

impl Aws {
    /// One that believes everybody, if its manner says nothing else.
    ///
    /// # Errors
    /// moto is not there, or does not start.
    pub fn start(manner: &Manner) -> Result<Aws> {
        Ok(Aws(Moto::start(manner)?))
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.0.url()
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
        Ok(self.0.signal(name)?)
    }

    fn post(&self, path: &str, service: &str, headers: &str, body: &str) -> Result<(u16, String)> {
        Ok(self.0.ask(&format!("POST {path}"), service, headers, body)?)
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
