//! A broker of its own for each test, a vendor's keys, and a client for either door.

use std::collections::BTreeMap;
use std::time::Duration;

use remit_broker::api::{
    DispatchKey, NewOrg, NewToken, ObjectView, OrgCreated, ReleaseAccepted, RunnerToken, SignalAccepted,
    TokenMade,
};
use remit_broker::config::Config;
use remit_broker::{Listeners, Running, serve};
use remit_proto::v1;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_seal::Digest;
use remit_seal::document::{Approval, Class, Component, ComponentKind, KeySpec, Operation, Release, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) running: Running,
    pub(crate) http: reqwest::Client,
    pub(crate) ca_pem: String,
    pub(crate) operator: String,
    pub(crate) root_key: SigningKey,
    pub(crate) release_key: SigningKey,
}

/// What a request may be made of.
pub(crate) struct Ask<'a> {
    pub(crate) world: &'a World,
    pub(crate) token: Option<&'a str>,
}

/// A client of the API with connections of its own.
pub(crate) fn client(ca_pem: &str) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).unwrap();
    reqwest::Client::builder().add_root_certificate(ca).timeout(Duration::from_secs(60)).build().unwrap()
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

pub(crate) fn fresh_key() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).unwrap();
    hex::encode(bytes)
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(dir: tempfile::TempDir) -> Self {
        let config = Config::local(dir.path());
        Self::start_as(dir, &config).await
    }

    /// One that asks this address in place of AWS's STS.
    pub(crate) async fn start_asking(sts: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { sts_endpoint: Some(sts.to_owned()), ..Config::local(dir.path()) };
        Self::start_as(dir, &config).await
    }

    async fn start_as(dir: tempfile::TempDir, config: &Config) -> Self {
        // Only the tests' own clients look for a default provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = serve(config, Listeners::bind(config).await.unwrap()).await.unwrap();
        let ca_pem = std::fs::read_to_string(&running.ca_file).unwrap();
        let operator = std::fs::read_to_string(&running.operator_token_file).unwrap().trim().to_owned();
        let http = client(&ca_pem);
        let (root_key, release_key) =
            (SigningKey::ed25519_from_seed(&[1; 32]), SigningKey::ed25519_from_seed(&[2; 32]));
        Self { dir, running, http, ca_pem, operator, root_key, release_key }
    }

    /// The same data directory under a new broker.
    pub(crate) async fn restart(self) -> Self {
        self.running.stop().await;
        Self::start_in(self.dir).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.running.api_addr)
    }

    pub(crate) fn operator(&self) -> Ask<'_> {
        Ask { world: self, token: Some(&self.operator) }
    }

    pub(crate) fn with<'a>(&'a self, token: &'a str) -> Ask<'a> {
        Ask { world: self, token: Some(token) }
    }

    pub(crate) fn nobody(&self) -> Ask<'_> {
        Ask { world: self, token: None }
    }

    /// A root of this vendor that names this broker.
    pub(crate) async fn root(&self, org: &str) -> String {
        let key: DispatchKey = self.operator().get("/v1/dispatch-key").await;
        let dispatch: KeySpec =
            serde_json::from_value(json!({"algorithm": key.algorithm, "spki": key.spki})).unwrap();
        self.root_with(org, &dispatch)
    }

    pub(crate) fn root_with(&self, org: &str, dispatch: &KeySpec) -> String {
        let keys = [self.root_key.public(), self.release_key.public(), dispatch.clone()];
        let now = now_ms();
        let root = Root::one_of_one(org, keys.each_ref(), now - 1000, now + YEAR_MS).unwrap();
        let signed = Envelope::sign(PayloadType::Root, &root, &[&self.root_key]).unwrap();
        String::from_utf8(signed.to_bytes()).unwrap()
    }

    /// An org with a token for it.
    pub(crate) async fn org(&self, name: &str) -> String {
        let new = NewOrg { name: name.to_owned(), root: self.root(name).await };
        let _: OrgCreated = self.operator().post("/v1/orgs", &new).await;
        let new = NewToken { name: "ci".to_owned() };
        let made: TokenMade = self.operator().post(&format!("/v1/orgs/{name}/tokens"), &new).await;
        made.token
    }

    pub(crate) fn release(&self, org: &str, counter: u64, components: &[&str]) -> Release {
        let component = |name: &&str| Component {
            name: (*name).to_owned(),
            kind: ComponentKind::Script,
            sandbox: false,
            digest: Digest::of(name.as_bytes()),
            size: name.len() as u64,
            needs: vec![],
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            commands: [("deploy".to_owned(), vec!["true".to_owned()])].into(),
            longest_run_ms: 60_000,
            health: None,
            escapes: Default::default(),
        };
        let operation = |class| Operation { class, approval: Approval::None, terms: None };
        Release {
            vendor: org.to_owned(),
            app: "shop".to_owned(),
            channel: "stable".to_owned(),
            version: format!("1.{counter}.0"),
            counter,
            created_ms: now_ms() - 1000,
            expires_ms: now_ms() + YEAR_MS,
            rollback_floor: 1,
            notes: String::new(),
            healing: Default::default(),
            tools: BTreeMap::new(),
            components: components.iter().map(component).collect(),
            inputs: BTreeMap::new(),
            operations: [
                ("deploy".to_owned(), operation(Class::Change)),
                ("destroy".to_owned(), operation(Class::Destroy)),
                ("drift".to_owned(), operation(Class::Read)),
            ]
            .into(),
        }
    }

    pub(crate) fn sign(&self, release: &Release) -> Vec<u8> {
        Envelope::sign(PayloadType::Release, release, &[&self.release_key]).unwrap().to_bytes()
    }

    pub(crate) async fn put_artifact(&self, token: &str, org: &str, bytes: &[u8]) -> StatusCode {
        let path = format!("/v1/orgs/{org}/artifacts/{}", Digest::of(bytes));
        let request = self.with(token).request(Method::PUT, &path).body(bytes.to_vec());
        request.send().await.unwrap().status()
    }

    /// Publishes a release with these components, artefacts and all.
    pub(crate) async fn publish(
        &self,
        token: &str,
        org: &str,
        counter: u64,
        components: &[&str],
    ) -> ReleaseAccepted {
        for component in components {
            assert!(self.put_artifact(token, org, component.as_bytes()).await.is_success());
        }
        let signed = self.sign(&self.release(org, counter, components));
        let request = self.with(token).request(Method::POST, &format!("/v1/orgs/{org}/releases"));
        read(request.body(signed)).await
    }

    /// An org `demo`, its token, and an install `acme` of its app `shop`, without a runner.
    pub(crate) async fn install(&self, components: &[&str]) -> String {
        let token = self.org("demo").await;
        self.publish(&token, "demo", 1, components).await;
        let create = json!({"create": {}});
        let _: SignalAccepted =
            self.with(&token).post("/v1/objects/ins_demo.shop.acme/signals", &create).await;
        token
    }

    pub(crate) async fn runner_token(&self, token: &str) -> RunnerToken {
        self.with(token).post("/v1/objects/ins_demo.shop.acme/runner-token", &json!({})).await
    }

    /// Asks until the object is as wanted.
    pub(crate) async fn until(&self, id: &str, what: impl Fn(&ObjectView) -> bool) -> ObjectView {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let view: ObjectView = self.operator().get(&format!("/v1/objects/{id}")).await;
            if what(&view) {
                return view;
            }
            assert!(tokio::time::Instant::now() < deadline, "never came: {view:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A channel to the runners' door, with a certificate or without.
    pub(crate) async fn channel(&self, identity: Option<Identity>) -> Channel {
        self.endpoint(identity).connect().await.unwrap()
    }

    /// The same, connected when it is first used: for who may not get in.
    pub(crate) fn lazy_channel(&self, identity: Option<Identity>) -> Channel {
        self.endpoint(identity).connect_lazy()
    }

    fn endpoint(&self, identity: Option<Identity>) -> Endpoint {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.ca_pem))
            .domain_name("localhost");
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        let endpoint = Channel::from_shared(format!("https://{}", self.running.rpc_addr)).unwrap();
        endpoint.tls_config(tls).unwrap()
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let is_mutation = method == Method::POST || method == Method::DELETE;
        let mut request = self.world.http.request(method, self.world.url(path));
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        if is_mutation {
            request = request.header("idempotency-key", fresh_key());
        }
        request
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        read(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> T {
        read(self.request(Method::POST, path).json(body)).await
    }
}

pub(crate) async fn read<T: DeserializeOwned>(request: RequestBuilder) -> T {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The status and the code of an answer that is an error.
pub(crate) async fn refused(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body: remit_broker::api::ErrorBody =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{status}: {e}: {text}"));
    assert!(!body.error.message.is_empty() && !body.error.hint.is_empty(), "{text}");
    (status, body.error.code)
}

/// A runner as the wire sees it.
pub(crate) struct FakeRunner {
    pub(crate) client: RunnerServiceClient<Channel>,
    pub(crate) generation: u64,
    pub(crate) boot: String,
}

pub(crate) fn csr() -> (rcgen::KeyPair, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    (key, csr)
}

pub(crate) fn info(boot: &str) -> Option<v1::RunnerInfo> {
    let executors = vec!["script".to_owned()];
    Some(v1::RunnerInfo {
        version: "0.1.0".to_owned(),
        boot: boot.to_owned(),
        capacity: 2,
        executors,
        channel: "stable".to_owned(),
    })
}

pub(crate) fn identity_of(chain: &[Vec<u8>], key: &rcgen::KeyPair) -> Identity {
    use base64::Engine as _;
    let pem = |der: &Vec<u8>| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    Identity::from_pem(chain.iter().map(pem).collect::<String>(), key.serialize_pem())
}

impl World {
    pub(crate) async fn enrol_with(
        &self,
        token: &str,
        csr: Vec<u8>,
    ) -> Result<v1::EnrollResponse, tonic::Status> {
        self.enrol_pinned(token, csr, Vec::new()).await
    }

    /// By one that has pinned the root with this digest.
    pub(crate) async fn enrol_pinned(
        &self,
        token: &str,
        csr: Vec<u8>,
        root_sha256: Vec<u8>,
    ) -> Result<v1::EnrollResponse, tonic::Status> {
        let mut client = RunnerServiceClient::new(self.channel(None).await);
        let (install, info) = ("ins_demo.shop.acme".to_owned(), info("boot-1"));
        let token = token.to_owned();
        let request = v1::EnrollRequest { install, token, csr, info, root_sha256, aws: None };
        client.enroll(request).await.map(tonic::Response::into_inner)
    }

    /// Enrols a runner for `acme` and connects with its certificate.
    pub(crate) async fn enrol(&self, org_token: &str) -> FakeRunner {
        let token = self.runner_token(org_token).await;
        let (key, csr) = csr();
        let response = self.enrol_with(token.token.as_deref().unwrap(), csr).await.unwrap();
        let root = Envelope::parse(&response.root, PayloadType::Root).unwrap();
        assert_eq!(root.payload_digest().hex(), token.root_sha256);
        let identity = response.identity.unwrap();
        let channel = self.channel(Some(identity_of(&identity.certificate_chain, &key))).await;
        FakeRunner {
            client: RunnerServiceClient::new(channel),
            generation: identity.generation,
            boot: "boot-1".to_owned(),
        }
    }
}

impl FakeRunner {
    pub(crate) async fn lease(&mut self, wait_ms: u32) -> Option<v1::Lease> {
        let install = "ins_demo.shop.acme".to_owned();
        let request = v1::LeaseJobRequest {
            install,
            wait_ms,
            info: info(&self.boot),
            held: vec![],
            ..Default::default()
        };
        self.client.lease_job(request).await.unwrap().into_inner().lease
    }

    pub(crate) async fn renew(
        &mut self,
        attempt: &v1::AttemptRef,
        phase: v1::LeasePhase,
        wait_ms: u32,
    ) -> v1::renew_lease_response::Verdict {
        let request = v1::RenewLeaseRequest { attempt: Some(attempt.clone()), phase: phase.into(), wait_ms };
        self.client.renew_lease(request).await.unwrap().into_inner().verdict.unwrap()
    }

    pub(crate) async fn append(
        &mut self,
        attempt: &v1::AttemptRef,
        offset: u64,
        data: &[u8],
        is_final: bool,
    ) -> Result<u64, tonic::Status> {
        let request = v1::AppendLogsRequest {
            attempt: Some(attempt.clone()),
            offset,
            data: data.to_vec(),
            r#final: is_final,
        };
        Ok(self.client.append_logs(request).await?.into_inner().next_offset)
    }

    pub(crate) async fn complete(
        &mut self,
        attempt: &v1::AttemptRef,
        outcome: v1::complete_job_request::Outcome,
    ) -> Result<bool, tonic::Status> {
        let request = v1::CompleteJobRequest {
            attempt: Some(attempt.clone()),
            outcome: Some(outcome),
            journal_head: vec![7; 32],
            ..Default::default()
        };
        Ok(self.client.complete_job(request).await?.into_inner().accepted)
    }
}

pub(crate) fn success() -> v1::complete_job_request::Outcome {
    v1::complete_job_request::Outcome::Succeeded(v1::Succeeded {
        outputs: [("subnet".to_owned(), "\"10.0.0.0/24\"".to_owned())].into(),
        changes: Some(v1::ChangeCounts { create: 1, ..v1::ChangeCounts::default() }),
        drifted: false,
        plan: None,
        swept: String::new(),
        differences: None,
        summary: "made it".to_owned(),
    })
}
