//! A real AWS API on loopback: moto, spoken to over HTTP as anybody would.

use std::io::{Read, Write};
use std::net::TcpListener;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use remit_moto::{Manner, Moto, REGION};
use remit_runner::account::object_store::{Bucket, Cells};
use serde_json::{Value, json};

use crate::valve::Valve;

pub(crate) struct Aws(Moto);

impl Aws {
    /// One that believes everybody.
    pub(crate) fn start() -> Self {
        Self(Moto::start(&Manner::default()).unwrap())
    }

    /// One that checks signatures and permissions after so many calls.
    pub(crate) fn start_with(unchecked: u32) -> Self {
        Self(Moto::start(&Manner { checks_after: Some(unchecked), ..Manner::default() }).unwrap())
    }

    /// What tells programs to use it.
    pub(crate) fn env(&self, key: &str, secret: &str) -> Vec<(String, String)> {
        env(self.addr(), key, secret)
    }

    pub(crate) fn ssm(&self, action: &str, body: &Value) -> (u16, String) {
        let target =
            format!("X-Amz-Target: AmazonSSM.{action}\r\nContent-Type: application/x-amz-json-1.1\r\n");
        self.post("ssm", &target, &body.to_string())
    }

    pub(crate) fn put(&self, name: &str, kind: &str, value: &str) {
        let (status, answer) = self.ssm("PutParameter", &json!({"Name": name, "Type": kind, "Value": value}));
        assert_eq!(status, 200, "{answer}");
    }

    /// A user who may do nothing: the id and the secret of the key.
    pub(crate) fn nobody(&self) -> (String, String) {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let iam = |action: &str| {
            let body = format!("Action={action}&UserName=nobody&Version=2010-05-08");
            self.post("iam", form, &body).1
        };
        iam("CreateUser");
        let made = iam("CreateAccessKey");
        let field = |name: &str| {
            let after = made.split_once(&format!("<{name}>")).expect("a key").1;
            after.split_once('<').unwrap().0.to_owned()
        };
        (field("AccessKeyId"), field("SecretAccessKey"))
    }

    pub(crate) fn addr(&self) -> &str {
        self.0.addr()
    }

    /// Makes a bucket.
    pub(crate) fn bucket(&self, name: &str) {
        let place = format!("<LocationConstraint>{REGION}</LocationConstraint>");
        let body = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{place}</CreateBucketConfiguration>"
        );
        let (status, answer) =
            self.send(&format!("PUT /{name}"), "s3", "Content-Type: text/plain\r\n", &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// What an object of a bucket holds; empty where there is none.
    pub(crate) fn object(&self, path: &str) -> String {
        let (status, body) = self.s3("GET", path);
        if status == 200 { body } else { String::new() }
    }

    pub(crate) fn put_object(&self, path: &str, body: &str) {
        let (status, answer) = self.send(&format!("PUT {path}"), "s3", "Content-Type: text/plain\r\n", body);
        assert_eq!(status, 200, "{answer}");
    }

    pub(crate) fn s3(&self, method: &str, path: &str) -> (u16, String) {
        self.send(&format!("{method} {path}"), "s3", "", "")
    }

    /// Cells in its bucket `acme-remit`, by way of a valve or not.
    pub(crate) fn cells(&self, folder: &str, valve: Option<&Valve>) -> Cells {
        let addr = valve.map_or_else(|| self.addr().to_owned(), |valve| valve.addr.to_string());
        let settings = SdkConfig::builder()
            .region(Region::new(REGION))
            .endpoint_url(format!("http://{addr}"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "test",
            )))
            .build();
        Cells::Bucket(Bucket::by(settings, "s3://acme-remit/shop".parse().unwrap(), folder))
    }

    fn post(&self, service: &str, headers: &str, body: &str) -> (u16, String) {
        self.send("POST /", service, headers, body)
    }

    fn send(&self, call: &str, service: &str, headers: &str, body: &str) -> (u16, String) {
        self.0.ask(call, service, headers, body).unwrap()
    }
}

fn env(addr: &str, key: &str, secret: &str) -> Vec<(String, String)> {
    let url = format!("http://{addr}");
    [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// An API that only says that it was asked too often; what tells programs to use it.
pub(crate) fn busy() -> Vec<(String, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 16 * 1024]);
            let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    env(&addr, "test", "test")
}
