//! Runners that are nothing but the protocol: a connection with a certificate of its own, leases, checks of
//! what came, last words. No disk, no lock, no policy, no tools: thousands of them fit beside a broker.

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt, TryStreamExt};
use remit_proto::v1;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_seal::document::{Audience, Release, Root};
use remit_seal::verify::{self, Bound, Context, Verified};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::bare;
use crate::broker::Server;
use crate::vendor::{IN_FLIGHT, Vendor, install, now_ms};

/// How long a runner waits for work at a time.
pub(crate) const POLL_MS: u32 = remit_proto::limit::POLL_MAX_MS;

/// What a runner knows of its vendor.
pub(crate) struct Trust {
    pub(crate) root: Verified<Root>,
    pub(crate) releases: Vec<Verified<Release>>,
}

/// A runner on a connection of its own.
pub(crate) struct Runner {
    client: RunnerServiceClient<Channel>,
    install: String,
    audience: Audience,
    /// The greatest sequence number and fence that it has accepted.
    seq_high: u64,
    fence_high: u64,
}

fn info() -> Option<v1::RunnerInfo> {
    let (version, boot) = ("0.1.0".to_owned(), "boot".to_owned());
    Some(v1::RunnerInfo {
        version,
        boot,
        capacity: 1,
        executors: vec!["script".to_owned()],
        channel: "stable".to_owned(),
    })
}

fn tls(ca_pem: &str) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca_pem)).domain_name("localhost")
}

/// Enrols the runner of install `n` over a shared connection, then connects with its certificate.
async fn enrol(server: &Server, vendor: &Vendor, shared: &Channel, n: usize) -> Result<Runner> {
    let token = vendor.runner_token(n).await?;
    let key = rcgen::KeyPair::generate()?;
    let csr = rcgen::CertificateParams::default().serialize_request(&key)?.der().to_vec();
    let request = v1::EnrollRequest {
        install: install(n),
        token: token.token.context("a token")?,
        csr,
        info: info(),
        ..Default::default()
    };
    let answer = RunnerServiceClient::new(shared.clone()).enroll(request).await?.into_inner();
    let given = answer.identity.context("an identity")?;
    let audience = Audience::of_install(&install(n), given.epoch, given.generation)?;
    let identity = Identity::from_pem(bare::pem(&given.certificate_chain), key.serialize_pem());
    let endpoint = Channel::from_shared(format!("https://{}", server.rpc))?;
    let channel = endpoint.tls_config(tls(&token.ca_pem).identity(identity))?.connect().await?;
    let client = RunnerServiceClient::new(channel);
    Ok(Runner { client, install: install(n), audience, seq_high: 0, fence_high: 0 })
}

/// A runner for each of the installs.
pub(crate) async fn runners(server: &Server, vendor: &Vendor, count: usize) -> Result<Vec<Runner>> {
    let ca = server.file("ca.pem")?;
    let endpoint = Channel::from_shared(format!("https://{}", server.rpc))?;
    let shared = endpoint.tls_config(tls(&ca))?.connect().await?;
    let enrol = |n| enrol(server, vendor, &shared, n);
    futures::stream::iter((0..count).map(enrol)).buffered(IN_FLIGHT).try_collect().await
}

impl Runner {
    /// Polls once.
    pub(crate) async fn lease(&mut self) -> Result<Option<v1::Lease>> {
        let request = v1::LeaseJobRequest {
            install: self.install.clone(),
            wait_ms: POLL_MS,
            info: info(),
            held: vec![],
            seq_high: self.seq_high,
            fence_high: self.fence_high,
            ..Default::default()
        };
        Ok(self.client.lease_job(request).await?.into_inner().lease)
    }

    /// Checks an envelope as a runner does, and remembers that it has seen it.
    pub(crate) fn check(&mut self, lease: &v1::Lease, trust: &Trust) -> Result<Bound> {
        let context = Context {
            audience: &self.audience,
            now_ms: now_ms()?,
            seq_high: self.seq_high,
            fence_high: self.fence_high,
            counter_floor: 1,
            made_by: None,
            is_fresh: false,
        };
        let job = verify::job(&trust.root, &lease.envelope, &context)?;
        let release = trust.releases.iter().find(|release| release.digest() == job.get().release);
        let bound = verify::bind(&trust.root, job, release.context("a release that is known")?, &context)?;
        let attempt = lease.attempt.as_ref().context("an attempt")?;
        if bound.job.job != attempt.job || bound.job.fence != attempt.fence {
            bail!("the envelope is of {} and the lease of {}", bound.job.job, attempt.job);
        }
        (self.seq_high, self.fence_high) = (bound.job.seq, self.fence_high.max(bound.job.fence));
        Ok(bound)
    }

    /// Asks whether it may start, and reports it done at once.
    pub(crate) async fn finish(&mut self, lease: v1::Lease, done: v1::Succeeded) -> Result<()> {
        let attempt = lease.attempt;
        let phase = v1::LeasePhase::Start.into();
        let renew = v1::RenewLeaseRequest { attempt: attempt.clone(), phase, wait_ms: 0 };
        let verdict = self.client.renew_lease(renew).await?.into_inner().verdict;
        if !matches!(verdict, Some(v1::renew_lease_response::Verdict::Continue(_))) {
            bail!("{} may not start: {verdict:?}", self.install);
        }
        let outcome = Some(v1::complete_job_request::Outcome::Succeeded(done));
        let journal_head = vec![0; 32];
        let complete = v1::CompleteJobRequest { attempt, outcome, journal_head, ..Default::default() };
        self.client.complete_job(complete).await?;
        Ok(())
    }
}
