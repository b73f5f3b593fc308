//! Webhooks, told to a real receiver that checks signatures: in order, over a broker's death between commit
//! and delivery, and by one of two brokers as a rule.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_tests::world::{World, wait_for};
use serde_json::Value;

use crate::{vendor, vendor_in};

/// How far apart the clocks of sender and receiver may be, in seconds.
const SKEW_MAX: i64 = 300;

/// What arrived.
#[derive(Clone, Debug)]
struct Received {
    id: String,
    body: Value,
}

/// An endpoint: takes only what its secret has signed, and answers as it is told.
struct Receiver {
    url: String,
    answer: Arc<AtomicU16>,
    secret: Arc<Mutex<String>>,
    all: Arc<Mutex<Vec<Received>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            answer: Arc::new(AtomicU16::new(200)),
            secret: Arc::default(),
            all: Arc::default(),
            wrong: Arc::default(),
        };
        let (answer, secret) = (receiver.answer.clone(), receiver.secret.clone());
        let (all, wrong) = (receiver.all.clone(), receiver.wrong.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let status = answer.load(Ordering::Acquire);
                let heard = hear(stream.unwrap(), &secret.lock().unwrap(), status);
                match heard {
                    Ok(received) if status == 200 => all.lock().unwrap().push(received),
                    Ok(_) => {}
                    Err(error) => wrong.lock().unwrap().push(format!("{error:#}")),
                }
            }
        });
        receiver
    }

    fn now_answers(&self, status: u16) {
        self.answer.store(status, Ordering::Release);
    }

    fn received(&self) -> Vec<Received> {
        assert_eq!(*self.wrong.lock().unwrap(), Vec::<String>::new(), "what arrives is signed");
        self.all.lock().unwrap().clone()
    }

    fn until(&self, code: &str) -> Received {
        let found = || Ok(self.received().into_iter().rfind(|r| r.body["type"] == code));
        wait_for(&format!("the message {code}"), found).unwrap()
    }

    /// The signed secret of a webhook that the command line made.
    fn knows(&self, file: &Path) {
        let secret = std::fs::read_to_string(file).unwrap();
        secret.trim().clone_into(&mut self.secret.lock().unwrap());
    }
}

/// Reads one request, answers it, and believes it only if its signature is right.
fn hear(mut stream: TcpStream, secret: &str, status: u16) -> Result<Received> {
    let mut bytes = vec![];
    let mut buffer = [0; 4096];
    let head = loop {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the request broke off");
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec())?;
    let header = |name: &str| {
        let found = text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.with_context(|| format!("no header {name}: {text}"))
    };
    let length: usize = header("content-length")?.parse()?;
    while bytes.len() < head + 4 + length {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the body broke off");
        bytes.extend_from_slice(&buffer[..read]);
    }
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    let body = &bytes[head + 4..];
    let (id, seconds) = (header("webhook-id")?, header("webhook-timestamp")?);
    let key = STANDARD.decode(secret.strip_prefix("whsec_").context("no secret")?)?;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
    let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
    let signature = header("webhook-signature")?;
    let tag = STANDARD.decode(signature.strip_prefix("v1,").context("no version")?)?;
    ensure!(ring::hmac::verify(&key, &signed, &tag).is_ok(), "{id} has a false signature");
    let now = std::time::UNIX_EPOCH.elapsed()?.as_secs();
    ensure!((i64::try_from(now)? - seconds.parse::<i64>()?).abs() < SKEW_MAX, "{id} is of another time");
    Ok(Received { id, body: serde_json::from_slice(body)? })
}

/// A webhook of the org, its secret in a file.
fn hook(world: &World, receiver: &Receiver, events: &[&str]) {
    let file = world.path("pager.secret");
    let mut command =
        vec!["webhooks", "create", "pager", "--url", &receiver.url, "--out", file.to_str().unwrap()];
    for event in events {
        command.extend(["--event", event]);
    }
    let said = world.remit(&command).unwrap();
    receiver.knows(&file);
    assert!(!said.contains("whsec_"), "the secret is in the file and nowhere else: {said}");
    world.remit(&["webhooks", "test", "pager"]).unwrap();
    receiver.until("webhook.test");
}

fn sandbox(world: &mut World, name: &str) -> String {
    let directory = world.path(&format!("for-{name}"));
    std::fs::create_dir(&directory).unwrap();
    world.remit(&["install", "create", name, "--sandbox", "--out-dir", directory.to_str().unwrap()]).unwrap();
    let id = format!("ins_demo.shop.{name}");
    world.start_runner(&id).unwrap();
    id
}

#[test]
fn a_webhook_hears_everything_in_order_though_broker_and_endpoint_fail() {
    let mut world = vendor("shop");
    let receiver = Receiver::start();
    let create = ["webhooks", "create", "pager", "--url", &receiver.url];
    let refused = world.try_remit(&create).unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("api.webhook_url"), "{refused:?}");
    world.brokers().set("REMIT_WEBHOOK_ALLOW_PRIVATE", "true");
    world.kill_broker().unwrap();
    world.start_broker().unwrap();
    hook(&world, &receiver, &["install.*", "operation.*"]);
    let install = sandbox(&mut world, "acme");
    world.until_status(&install, "active").unwrap();
    receiver.until("operation.succeeded");
    let codes: Vec<String> =
        receiver.received().iter().filter_map(|r| r.body["type"].as_str().map(str::to_owned)).collect();
    let told =
        ["webhook.test", "install.created", "operation.started", "install.channel", "operation.succeeded"];
    assert_eq!(codes, told);
    // Committed while the endpoint fails; then the broker dies before it was ever heard.
    receiver.now_answers(503);
    world.remit(&["signal", "acme", "pause", "--reason", "audit"]).unwrap();
    wait_for("a failed delivery", || {
        Ok(world.remit(&["webhooks", "list"])?.contains("it answered 503").then_some(()))
    })
    .unwrap();
    world.kill_broker().unwrap();
    receiver.now_answers(200);
    world.start_broker().unwrap();
    let paused = receiver.until("install.paused");
    assert_eq!(paused.body["data"]["object"], install.as_str());
    // What was told can be seen, and told again under the same id.
    let list = world.remit(&["webhooks", "deliveries", "pager"]).unwrap();
    assert!(list.contains(&paused.id) && list.contains("delivered"), "{list}");
    world.remit(&["webhooks", "replay", "pager", "--id", &paused.id]).unwrap();
    let twice = receiver.received().into_iter().filter(|r| r.id == paused.id).count();
    assert_eq!(twice, 2);
    let database = std::fs::read(world.broker_dir().join("broker.db")).unwrap();
    let secret = std::fs::read(world.path("pager.secret")).unwrap();
    assert!(!database.windows(secret.len()).any(|w| w == secret), "the secret is kept sealed");
    world.remit(&["webhooks", "delete", "pager"]).unwrap();
    assert!(world.remit(&["webhooks", "list"]).unwrap().contains("no webhooks yet"));
    world.drain_runner(&install).unwrap();
}

#[test]
fn of_two_brokers_one_tells_and_the_other_goes_on_when_it_dies() {
    let mut world = vendor_in(World::start_shared("shop", 2).unwrap());
    world.brokers().set("REMIT_WEBHOOK_ALLOW_PRIVATE", "true");
    for number in 0..2 {
        world.brokers().kill(number).unwrap();
        world.brokers().start(number).unwrap();
    }
    let receiver = Receiver::start();
    hook(&world, &receiver, &["install.*", "operation.*"]);
    let install = sandbox(&mut world, "acme");
    world.until_status(&install, "active").unwrap();
    receiver.until("operation.succeeded");
    let mut ids: Vec<String> = receiver.received().into_iter().map(|r| r.id).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "each was told once");
    world.brokers().kill(0).unwrap();
    world.remit(&["signal", "acme", "pause", "--reason", "audit"]).unwrap();
    receiver.until("install.paused");
    world.brokers().start(0).unwrap();
    world.brokers().kill(1).unwrap();
    world.remit(&["signal", "acme", "resume"]).unwrap();
    receiver.until("install.resumed");
    world.brokers().start(1).unwrap();
    world.drain_runner(&install).unwrap();
}
