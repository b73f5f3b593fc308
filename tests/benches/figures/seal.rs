//! What it costs to sign an envelope and to verify one fully: the bare limit beside each is the
//! signature alone, over the same bytes.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use remit_seal::Digest;
use remit_seal::document::{
    Approval, Audience, Authority, Class, Component, ComponentKind, Input, Job, Operation, Release, Root,
    Value, ValueType,
};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::{PublicKey, SigningKey};
use remit_seal::verify::{self, Context, Verified};
use remit_tests::figure::{Figure, Options};

const NOW_MS: i64 = 1_790_000_000_000;
const HOUR_MS: i64 = 3_600_000;
/// Broker inputs and their bytes that make an envelope of nearly 64 KiB.
const LARGE: (usize, usize) = (60, 740);

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (algorithm, dispatch) in [
        ("ed25519", SigningKey::ed25519_from_seed(&[3; 32])),
        ("p256", SigningKey::p256_from_seed(&[3; 32])?),
    ] {
        for (size, (inputs, bytes)) in [("small", (2, 20)), ("64k", LARGE)] {
            if ["sign", "verify_p50", "verify_p99"]
                .iter()
                .any(|what| options.wants(&name(what, algorithm, size)))
            {
                let case = Case::new(&dispatch, inputs, bytes)?;
                figures.extend(case.measure(options, &dispatch, algorithm, size)?);
            }
        }
    }
    Ok(figures)
}

fn name(what: &str, algorithm: &str, size: &str) -> String {
    format!("seal.{what}_{algorithm}_{size}")
}

/// Everything that one verification needs.
struct Case {
    root: Verified<Root>,
    release: Verified<Release>,
    job: Job,
}

impl Case {
    fn new(dispatch: &SigningKey, inputs: usize, bytes: usize) -> Result<Self> {
        let (root_key, release_key) =
            (SigningKey::ed25519_from_seed(&[1; 32]), SigningKey::p256_from_seed(&[2; 32])?);
        let keys = [&root_key, &release_key, dispatch].map(SigningKey::public);
        let root = Root::one_of_one("demo", keys.each_ref(), NOW_MS - HOUR_MS, NOW_MS + HOUR_MS)?;
        let root = Envelope::sign(PayloadType::Root, &root, &[&root_key])?;
        let root = verify::root(&root.to_bytes(), Some(&root.payload_digest()), NOW_MS)?;
        let release = Envelope::sign(PayloadType::Release, &release(inputs), &[&release_key])?;
        let release = verify::release(&root, &release.to_bytes(), NOW_MS)?;
        let job = job(release.digest(), inputs, bytes)?;
        Ok(Self { root, release, job })
    }

    fn measure(
        &self,
        options: &Options,
        dispatch: &SigningKey,
        algorithm: &str,
        size: &str,
    ) -> Result<Vec<Figure>> {
        let rounds = options.scale(2_000, 50);
        let envelope = Envelope::sign(PayloadType::Job, &self.job, &[dispatch])?;
        let (bytes, message) = (envelope.to_bytes(), envelope.message());
        let public = PublicKey::from_spec(&dispatch.public())?;
        let context = Context {
            audience: &self.job.audience,
            now_ms: NOW_MS,
            seq_high: 0,
            fence_high: 0,
            counter_floor: 1,
            made_by: None,
            is_fresh: false,
        };
        let sign = times(rounds, || {
            Envelope::sign(PayloadType::Job, &self.job, &[dispatch]).map(|envelope| envelope.to_bytes())
        })?;
        let unsigned = Envelope { signatures: Vec::new(), ..envelope.clone() };
        let bare_sign = times(rounds, || unsigned.clone().countersign(dispatch))?;
        let verify = times(rounds, || {
            verify::bind(&self.root, verify::job(&self.root, &bytes, &context)?, &self.release, &context)
        })?;
        let bare = times(rounds, || {
            anyhow::ensure!(public.verifies(&message, &envelope.signatures[0].sig));
            Ok(())
        })?;
        let figure =
            |what, found: f64, bare: f64| Figure::new(name(what, algorithm, size), found, "us").against(bare);
        Ok(vec![
            figure("sign_p50", quantile(&sign, 50), quantile(&bare_sign, 50)),
            figure("verify_p50", quantile(&verify, 50), quantile(&bare, 50)),
            figure("verify_p99", quantile(&verify, 99), quantile(&bare, 99)),
        ])
    }
}

/// Microseconds of each round, sorted; the first tenth more is run and not counted.
fn times<T, E>(rounds: usize, mut work: impl FnMut() -> Result<T, E>) -> Result<Vec<f64>, E> {
    for _ in 0..rounds / 10 {
        black_box(work()?);
    }
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begin = Instant::now();
        black_box(work()?);
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn release(inputs: usize) -> Release {
    let component = Component {
        name: "network".to_owned(),
        kind: ComponentKind::Terraform,
        sandbox: false,
        digest: Digest::of(b"source"),
        size: 1_000,
        needs: Vec::new(),
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        commands: BTreeMap::new(),
        longest_run_ms: HOUR_MS,
        health: None,
        escapes: Default::default(),
    };
    let input = Input {
        value_type: ValueType::String,
        authority: Authority::Broker,
        default: None,
        max: 1_000,
        choices: Vec::new(),
        sensitive: false,
        description: String::new(),
    };
    let deploy = Operation { class: Class::Change, approval: Approval::None, terms: None };
    Release {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        version: "1.0.0".to_owned(),
        counter: 1,
        created_ms: NOW_MS - HOUR_MS,
        expires_ms: NOW_MS + HOUR_MS,
        rollback_floor: 1,
        notes: String::new(),
        healing: Default::default(),
        tools: BTreeMap::new(),
        components: vec![component],
        inputs: (0..inputs).map(|n| (format!("input_{n}"), input.clone())).collect(),
        operations: [("deploy".to_owned(), deploy)].into(),
    }
}

fn job(release: Digest, inputs: usize, bytes: usize) -> Result<Job> {
    let value = Value::String("x".repeat(bytes));
    Ok(Job {
        audience: Audience::of_install("ins_demo.shop.acme", 1, 1)?,
        seq: 1,
        job: "job_demo.shop.acme.network.e1.o1.deploy".to_owned(),
        attempt: 1,
        fence: 1,
        component: "network".to_owned(),
        operation: "deploy".to_owned(),
        class: Class::Change,
        sandbox: false,
        release,
        release_counter: 1,
        inputs: (0..inputs).map(|n| (format!("input_{n}"), value.clone())).collect(),
        issued_ms: NOW_MS,
        not_before_ms: NOW_MS,
        not_after_ms: NOW_MS + 60_000,
        longest_run_ms: 60_000,
        rehearsal: None,
        plan: None,
        approvals: Vec::new(),
        break_glass: None,
    })
}
