//! The real program with its locks and states in a bucket: killed between every two steps, replaced by another
//! host, kept waiting by one that may live.

use std::rc::Rc;
use std::time::{Duration, Instant};

use remit_proto::convert::Outcome;
use remit_runner::account::lock::Locks;
use remit_runner::account::lock::backend::Place;
use remit_seal::Digest;
use remit_seal::document::{ComponentKind, Job, Release};

use crate::aws::Aws;
use crate::bench::{Bench, Runner, read, wait};
use crate::locks::{attempt, elsewhere};
use crate::product::{pack, part};
use crate::valve::{Hold, Valve};

struct Cloud {
    aws: Rc<Aws>,
    prefix: String,
    valve: Valve,
    bench: Bench,
    release: Release,
    digest: Digest,
}

impl Cloud {
    fn new() -> Self {
        let aws = Rc::new(Aws::start());
        aws.bucket("acme-remit");
        Self::below(&aws, "shop")
    }

    /// With its locks and states below this prefix of the bucket.
    fn below(aws: &Rc<Aws>, prefix: &str) -> Self {
        let valve = Valve::before(aws.addr());
        let mut bench = Bench::new();
        bench.env = aws.env("test", "test");
        bench.env[0].1 = format!("http://{}", valve.addr);
        for flag in ["--lock", "--state"] {
            bench.args.extend([flag.to_owned(), format!("s3://acme-remit/{prefix}")]);
        }
        let text = format!(
            "resource \"terraform_data\" \"thing\" {{\n provisioner \"local-exec\" {{\n command = \"echo made >> '{}'\"\n }}\n}}\n",
            bench.site("made").display()
        );
        let network =
            part("network", ComponentKind::Terraform, pack(&[("main.tf", &text)])).declares("local-exec");
        let (release, digest) = bench.broker.publish(&[&network]);
        Self { aws: aws.clone(), prefix: prefix.to_owned(), valve, bench, release, digest }
    }

    /// What an object of this install holds.
    fn object(&self, name: &str) -> String {
        self.aws.object(&format!("/acme-remit/{}/ins_demo.shop.acme/{name}", self.prefix))
    }

    fn job(&mut self, operation: &str) -> Job {
        self.bench.broker.job(&self.release, self.digest, "network", operation)
    }

    fn made(&self) -> usize {
        read(&self.bench.site("made")).lines().count()
    }

    /// The next attempt of a job, after one whose end has been told.
    fn again(&mut self, job: &Job) -> String {
        let mut again = self.job("deploy");
        again.job.clone_from(&job.job);
        again.attempt = job.attempt + 1;
        self.bench.broker.offer(&again)
    }

    fn succeeds(&self, id: &str, nth: usize) {
        // How an attempt ended may be told twice: a broker takes it once, this one writes down both.
        let again = |o: &Outcome| matches!(o, Outcome::Failed(f) if f.code == "runner.restarted");
        let next = || self.bench.broker.outcomes(id).into_iter().skip(nth).find(|o| !again(o));
        match wait("the outcome", next) {
            Outcome::Succeeded(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Where a runner is killed: what is held back at that moment, the way to the bucket, how many such requests
/// come before it in a deploy, and how often the thing is made in all.
const STEPS: [(&str, Hold, &str, u32, usize); 9] = [
    ("before the lock is taken", Hold::Request, "/locks/", 0, 1),
    ("when the lock is taken", Hold::Answer, "/locks/", 0, 1),
    ("before it says that it begins", Hold::Request, "/locks/", 1, 1),
    ("when it has said that it begins", Hold::Answer, "/locks/", 1, 1),
    ("before the state is claimed", Hold::Request, "/terraform/", 0, 1),
    ("when the state is claimed", Hold::Answer, "/terraform/", 0, 1),
    ("before the state is written", Hold::Request, "/terraform/", 1, 1),
    ("when the state is written", Hold::Answer, "/terraform/", 1, 1),
    ("before the lock is freed", Hold::Request, "/locks/", 2, 1),
];

#[test]
fn killed_between_any_two_steps_it_goes_on_and_nothing_is_made_twice() {
    let aws = Rc::new(Aws::start());
    aws.bucket("acme-remit");
    for (n, (what, how, path, after, made)) in STEPS.into_iter().enumerate() {
        let mut cloud = Cloud::below(&aws, &format!("shop-{n}"));
        let runner = cloud.bench.runner();
        cloud.valve.hold(how, "PUT", path, after);
        let job = cloud.job("deploy");
        let id = cloud.bench.broker.offer(&job);
        wait(what, || cloud.valve.has_caught().then_some(()));
        let killed = Instant::now();
        runner.kill();
        cloud.valve.open();
        let _runner = cloud.bench.runner();
        let first = wait("the first outcome", || cloud.bench.broker.outcomes(&id).first().cloned());
        if matches!(first, Outcome::Failed(_)) {
            cloud.again(&job);
            wait("the next attempt", || {
                cloud.bench.broker.shared.held().started.iter().any(|a| a.attempt == 2).then_some(())
            });
            let resumed = killed.elapsed();
            println!("killed {what}: resumed after {resumed:?}");
            assert!(resumed < Duration::from_secs(15), "{resumed:?}");
            cloud.succeeds(&id, 1);
        }
        assert_eq!(cloud.made(), made, "killed {what}");
        let kept = cloud.object("terraform/network.tfstate");
        assert!(kept.contains("terraform_data"), "killed {what}: {kept}");
        wait("the lock to be free", || {
            let record = cloud.object("locks/network.json");
            record.contains(r#""phase":"free""#).then_some(record)
        });
        assert!(cloud.bench.verify());
    }
}

/// A new data directory, as on a new machine: the token can be used once more.
fn replaced(bench: &mut Bench) -> Runner {
    bench.data = bench.path("data-of-another");
    bench.broker.shared.change(|held| held.token_used = false);
    bench.runner()
}

#[test]
fn a_replaced_host_finds_lock_and_state_and_removes_what_the_other_made() {
    let mut cloud = Cloud::new();
    let runner = cloud.bench.runner();
    let job = cloud.job("deploy");
    let id = cloud.bench.broker.offer(&job);
    cloud.succeeds(&id, 0);
    runner.kill();
    let runner = replaced(&mut cloud.bench);
    // An envelope of before, signed anew: this host's journal knows nothing of it, and the lock does.
    let mut old = cloud.job("deploy");
    old.fence = job.fence;
    let id = cloud.bench.broker.offer(&old);
    match cloud.bench.outcome(&id) {
        Outcome::Refused { code, .. } => assert_eq!(code, "runner.fence_stale"),
        other => panic!("{other:?}"),
    }
    let job = cloud.job("destroy");
    let id = cloud.bench.broker.offer(&job);
    match cloud.bench.outcome(&id) {
        Outcome::Succeeded(success) => assert_eq!(success.changes.delete, 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(runner.get("/v1/status")["lock"]["kind"], "s3");
}

#[test]
fn a_lock_of_a_host_that_may_live_is_waited_for_until_the_customer_breaks_it() {
    let mut cloud = Cloud::new();
    let (key, public) = (cloud.bench.path("customer.key"), cloud.bench.path("customer.key.pub"));
    let tool = |args: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_remit-runner")).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    tool(&["customer-key", "--out", &key.display().to_string()]);
    cloud.bench.args.extend(["--customer-key".to_owned(), public.display().to_string()]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::Cells(cloud.aws.cells("ins_demo.shop.acme/locks", None));
    let other = Locks::at(place, elsewhere(1), 1);
    let mut held = runtime.block_on(other.take("network", &attempt(0), 1)).unwrap();
    runtime.block_on(held.begin()).unwrap();
    let runner = cloud.bench.runner();
    let job = cloud.job("deploy");
    let id = cloud.bench.broker.offer(&job);
    let words = wait("who has the lock to be told", || {
        let progress = cloud.bench.broker.shared.held().progress.clone();
        progress.into_iter().find(|words| words.contains("host-1"))
    });
    assert!(words.contains(&held.record().holding()) && words.contains("break-lock"), "{words}");
    let data = cloud.bench.data.display().to_string();
    let status = tool(&["status", "--data-dir", &data]);
    assert!(status.contains("network held by another") && status.contains("host-1"), "{status}");
    assert!(cloud.bench.broker.outcomes(&id).is_empty() && cloud.made() == 0);
    let key = key.display().to_string();
    // The word on another holding changes nothing; that on this one does.
    tool(&["break-lock", &Digest::of(b"other").hex(), "--key", &key, "--data-dir", &data]);
    tool(&["break-lock", &held.record().holding(), "--key", &key, "--data-dir", &data]);
    cloud.succeeds(&id, 0);
    assert!(cloud.bench.journal().contains("runner.lock_broken"));
    let lost = runtime.block_on(held.release()).unwrap_err();
    assert_eq!(remit_runner::Coded::code(&lost), "runner.lock_lost");
    drop(runner);
}

#[test]
fn jobs_get_no_credentials_of_the_runners_unless_the_customer_says_so() {
    let show = "env | grep -E '^(AWS|GOOGLE|AZURE|TF_HTTP)' | sed 's/=.*//' | sort | tr '\\n' ' '; echo end";
    for (pass, shown) in
        [(None, "AWS_EC2_METADATA_DISABLED AWS_REGION end"), (Some("AWS_*"), "AWS_SECRET_ACCESS_KEY")]
    {
        let mut bench = Bench::new();
        let script = crate::product::script("show", show);
        let (release, digest) = bench.broker.publish(&[&script]);
        bench.env = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET"]
            .map(|name| (name.to_owned(), "canary-4711".to_owned()))
            .to_vec();
        bench.args.extend(pass.iter().flat_map(|names| ["--pass-env".to_owned(), (*names).to_owned()]));
        let _runner = bench.runner();
        let job = bench.broker.job(&release, digest, "show", "deploy");
        let id = bench.broker.offer(&job);
        assert!(matches!(bench.outcome(&id), Outcome::Succeeded(_)));
        let log = wait("the log", || Some(bench.broker.log(&id)).filter(|log| log.contains("end")));
        assert!(log.contains(shown), "{log}");
    }
}
