//! Identities and artefacts: what a runner shows, gets and fetches.

use remit_seal::Digest;

use super::proof::AwsProof;
use super::token::Token;
use super::{
    WireError, at_most, bounded, bounded_bytes, install_id, name, non_empty, positive, required, within, word,
};
use crate::{limit, v1};

/// What a runner says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerInfo {
    /// Its program's version.
    pub version: String,
    /// Random for each start of its process.
    pub boot: String,
    /// How many attempts it runs at once, from 1.
    pub capacity: u32,
    /// The kinds of components it can really run.
    pub executors: Vec<String>,
    /// The channel of releases that its customer pinned.
    pub channel: String,
}

impl TryFrom<v1::RunnerInfo> for RunnerInfo {
    type Error = WireError;

    fn try_from(wire: v1::RunnerInfo) -> Result<Self, WireError> {
        at_most("info.executors", wire.executors.len(), limit::EXECUTORS_MAX)?;
        let executor = |text| word("info.executors", text);
        Ok(Self {
            version: word("info.version", wire.version)?,
            boot: word("info.boot", wire.boot)?,
            capacity: within("info.capacity", wire.capacity, 1, limit::CAPACITY_MAX)?,
            executors: wire.executors.into_iter().map(executor).collect::<Result<_, _>>()?,
            channel: name("info.channel", wire.channel)?,
        })
    }
}

impl From<RunnerInfo> for v1::RunnerInfo {
    fn from(RunnerInfo { version, boot, capacity, executors, channel }: RunnerInfo) -> Self {
        Self { version, boot, capacity, executors, channel }
    }
}

/// A runner asks for an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The install's id.
    pub install: String,
    /// The one-time token; there is one, or a proof, or both.
    pub token: Option<Token>,
    /// PKCS#10, DER; not parsed here.
    pub csr: Vec<u8>,
    /// What the runner says of itself.
    pub info: RunnerInfo,
    /// The digest of the root that it has pinned, if it says; it does with a proof.
    pub root: Option<Digest>,
    /// Proof that it is in an AWS account.
    pub aws: Option<AwsProof>,
}

impl TryFrom<v1::EnrollRequest> for Enrolment {
    type Error = WireError;

    fn try_from(wire: v1::EnrollRequest) -> Result<Self, WireError> {
        let token = Token::new(wire.token);
        if wire.aws.is_none() {
            non_empty("token", token.expose())?;
        } else if wire.root_sha256.is_empty() {
            return Err(WireError::Missing { field: "root_sha256" });
        }
        if token.expose().len() > limit::TOKEN_LEN_MAX {
            return Err(WireError::TooLong { field: "token", max: limit::TOKEN_LEN_MAX });
        }
        let token = Some(token).filter(|token| !token.expose().is_empty());
        Ok(Self {
            install: install_id("install", wire.install)?,
            token,
            csr: bounded_bytes("csr", wire.csr, limit::CSR_SIZE_MAX)?,
            info: required("info", wire.info)?.try_into()?,
            root: root_digest(&wire.root_sha256)?,
            aws: wire.aws.map(AwsProof::try_from).transpose()?,
        })
    }
}

impl From<Enrolment> for v1::EnrollRequest {
    fn from(Enrolment { install, token, csr, info, root, aws }: Enrolment) -> Self {
        let root_sha256 = root.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default();
        let token = token.map(|token| token.expose().to_owned()).unwrap_or_default();
        Self { install, token, csr, info: Some(info.into()), root_sha256, aws: aws.map(Into::into) }
    }
}

fn root_digest(bytes: &[u8]) -> Result<Option<Digest>, WireError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let malformed = |_| WireError::Malformed { field: "root_sha256", expected: "the 32 bytes of a sha256" };
    bytes.try_into().map(|bytes| Some(Digest::from_bytes(bytes))).map_err(malformed)
}

/// A runner asks for a new certificate of its generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// PKCS#10, DER; not parsed here.
    pub csr: Vec<u8>,
}

impl TryFrom<v1::RenewRequest> for Renewal {
    type Error = WireError;

    fn try_from(wire: v1::RenewRequest) -> Result<Self, WireError> {
        Ok(Self { csr: bounded_bytes("csr", wire.csr, limit::CSR_SIZE_MAX)? })
    }
}

impl From<Renewal> for v1::RenewRequest {
    fn from(Renewal { csr }: Renewal) -> Self {
        Self { csr }
    }
}

/// A runner's identity: its certificate, and which runner of the install it makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// DER certificates, the runner's own first.
    pub certificate_chain: Vec<Vec<u8>>,
    /// Greater by one with each enrolment; from 1.
    pub generation: u64,
    /// How many installs have had this name; from 1.
    pub epoch: u64,
    /// When the certificate ends.
    pub not_after_ms: i64,
}

impl TryFrom<v1::Identity> for Identity {
    type Error = WireError;

    fn try_from(wire: v1::Identity) -> Result<Self, WireError> {
        let field = "identity.certificate_chain";
        at_most(field, wire.certificate_chain.len(), limit::CERTIFICATES_MAX)?;
        if wire.certificate_chain.is_empty() {
            return Err(WireError::Missing { field });
        }
        let certificate = |der| bounded_bytes(field, der, limit::CERTIFICATE_SIZE_MAX);
        Ok(Self {
            certificate_chain: wire
                .certificate_chain
                .into_iter()
                .map(certificate)
                .collect::<Result<_, _>>()?,
            generation: positive("identity.generation", wire.generation)?,
            epoch: positive("identity.epoch", wire.epoch)?,
            not_after_ms: wire.not_after_ms,
        })
    }
}

impl From<Identity> for v1::Identity {
    fn from(Identity { certificate_chain, generation, epoch, not_after_ms }: Identity) -> Self {
        Self { certificate_chain, generation, epoch, not_after_ms }
    }
}

/// A runner asks for the bytes of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactRequest {
    /// Which.
    pub digest: Digest,
    /// From where.
    pub offset: u64,
}

impl TryFrom<v1::FetchArtifactRequest> for ArtifactRequest {
    type Error = WireError;

    fn try_from(wire: v1::FetchArtifactRequest) -> Result<Self, WireError> {
        let text = bounded("digest", wire.digest, limit::WORD_LEN_MAX + "sha256:".len())?;
        let expected = "`sha256:` and 64 hexadecimal digits";
        let digest = text.parse().map_err(|_| WireError::Malformed { field: "digest", expected })?;
        if wire.offset > limit::ARTIFACT_SIZE_MAX {
            return Err(WireError::OutOfRange { field: "offset", min: 0, max: limit::ARTIFACT_SIZE_MAX });
        }
        Ok(Self { digest, offset: wire.offset })
    }
}

impl From<ArtifactRequest> for v1::FetchArtifactRequest {
    fn from(ArtifactRequest { digest, offset }: ArtifactRequest) -> Self {
        Self { digest: digest.to_string(), offset }
    }
}

/// Bytes of an artefact; whoever gathers them checks the digest of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactChunk {
    /// How many bytes the whole has.
    pub total_size: u64,
    /// The next of them.
    pub bytes: Vec<u8>,
}

impl TryFrom<v1::FetchArtifactResponse> for ArtifactChunk {
    type Error = WireError;

    fn try_from(wire: v1::FetchArtifactResponse) -> Result<Self, WireError> {
        if wire.total_size > limit::ARTIFACT_SIZE_MAX {
            return Err(WireError::OutOfRange { field: "total_size", min: 0, max: limit::ARTIFACT_SIZE_MAX });
        }
        if wire.chunk.len() > limit::ARTIFACT_CHUNK_SIZE_MAX {
            return Err(WireError::TooLong { field: "chunk", max: limit::ARTIFACT_CHUNK_SIZE_MAX });
        }
        Ok(Self { total_size: wire.total_size, bytes: wire.chunk })
    }
}

impl From<ArtifactChunk> for v1::FetchArtifactResponse {
    fn from(ArtifactChunk { total_size, bytes }: ArtifactChunk) -> Self {
        Self { total_size, chunk: bytes }
    }
}
