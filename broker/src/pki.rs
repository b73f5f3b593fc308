//! The broker's own certificate authority: its server certificates and the runners' identities.
//!
//! A runner's certificate says which install it is for, of which epoch, and which generation
//! of runner it is. Nothing that a runner puts into its request but the public key is taken over.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use remit_loops::{Kind, ObjectId, Timestamp};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;

use crate::nonce::Nonces;
use crate::private_file;
use remit_proto::limit::CSR_SIZE_MAX;

/// How long a runner's certificate holds.
pub(crate) const RUNNER_CERTIFICATE_MS: i64 = 24 * HOUR_MS;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A server certificate is made anew at every start, and kept nowhere.
const SERVER_CERTIFICATE_MS: i64 = 398 * DAY_MS;
const AUTHORITY_MS: i64 = 3_650 * DAY_MS;
/// Clocks may differ by so much.
const BACKDATE_MS: i64 = 5 * 60_000;
const TRUST_DOMAIN: &str = "spiffe://remit";

/// What can be wrong with the authority or a request to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot use {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The authority's files do not fit together.
    #[error("the broker's certificate authority in its data directory is damaged: {0}")]
    Authority(rcgen::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Making(rcgen::Error),
    /// The system has no randomness.
    #[error("cannot get randomness: {0}")]
    Randomness(getrandom::Error),
    /// A request that is not one.
    #[error("the certificate request is not valid: {0}")]
    Request(String),
    /// A client's certificate that says nothing we issued.
    #[error("the certificate names no runner of this broker")]
    NotARunner,
}

/// Who a runner is, by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunnerIdentity {
    /// The runner's id.
    pub(crate) runner: ObjectId,
    /// The install's id.
    pub(crate) install: ObjectId,
    /// How many installs have had this name.
    pub(crate) epoch: u64,
    /// Which generation of runner it is.
    pub(crate) generation: u64,
    /// After this it is nobody.
    pub(crate) not_after: Timestamp,
}

/// A runner's new certificate.
pub(crate) struct Issued {
    /// Its own first.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Until when it holds.
    pub(crate) not_after: Timestamp,
}

/// A request that was checked: signed by its own key, of an allowed kind.
pub(crate) struct Request {
    public_key: rcgen::PublicKey,
    /// sha256 of the SubjectPublicKeyInfo, hexadecimal.
    pub(crate) spki_sha256: String,
}

/// The broker's certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    nonces: Nonces,
}

impl Authority {
    /// The authority of this directory; made at the first start.
    pub(crate) fn open(directory: &Path, now: Timestamp) -> Result<Self, Error> {
        let (key_path, certificate_path) = (directory.join("ca.key"), directory.join("ca.pem"));
        let file = |path: &Path| {
            let file = path.display().to_string();
            move |source| Error::File { file, source }
        };
        let key = private_file::read(&key_path).map_err(file(&key_path))?;
        let pem = private_file::read(&certificate_path).map_err(file(&certificate_path))?;
        let (key_pem, pem) = match (key, pem) {
            (Some(key), Some(pem)) => (key, pem),
            // The key is written first: without a certificate it has signed nothing yet.
            (None, None) | (Some(_), None) | (None, Some(_)) => {
                let (key, pem) = make_authority(now)?;
                private_file::write(&key_path, key.as_bytes()).map_err(file(&key_path))?;
                private_file::write_public(&certificate_path, pem.as_bytes())
                    .map_err(file(&certificate_path))?;
                (key, pem)
            }
        };
        let nonces = Nonces::of_secret(key_pem.as_bytes());
        let key = KeyPair::from_pem(&key_pem).map_err(Error::Authority)?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| Error::Authority(rcgen::Error::CouldNotParseCertificate))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(Error::Authority)?;
        Ok(Self { issuer, certificate, pem, nonces })
    }

    /// The authority's certificate, PEM: what clients trust.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// What makes nonces of enrolments: the same in every broker with this directory.
    pub(crate) fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// The authority's certificate, DER.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A new certificate for servers of these names, with its key.
    pub(crate) fn issue_server(
        &self,
        hosts: &[String],
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let key = KeyPair::generate().map_err(Error::Making)?;
        let mut params = CertificateParams::new(hosts).map_err(Error::Making)?;
        params.distinguished_name.push(DnType::CommonName, "remit-broker");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        dress(&mut params, now, SERVER_CERTIFICATE_MS)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(Error::Making)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![certificate.der().clone(), self.certificate.clone()], key))
    }

    /// A certificate for the runner of this install.
    pub(crate) fn issue_runner(
        &self,
        request: &Request,
        install: &ObjectId,
        (epoch, generation): (u64, u64),
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "remit-runner");
        let uri = spiffe(install, epoch, generation);
        params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(Error::Making)?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        dress(&mut params, now, RUNNER_CERTIFICATE_MS)?;
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(Error::Making)?;
        let chain = vec![certificate.der().to_vec(), self.certificate.to_vec()];
        Ok(Issued { chain, not_after: now.plus_ms(RUNNER_CERTIFICATE_MS) })
    }
}

/// What every leaf has: its time, a random serial number, and signatures as its only use.
fn dress(params: &mut CertificateParams, now: Timestamp, lifetime_ms: i64) -> Result<(), Error> {
    let mut serial = [0u8; 16];
    getrandom::fill(&mut serial).map_err(Error::Randomness)?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + span(now.plus_ms(-BACKDATE_MS));
    params.not_after = epoch + span(now.plus_ms(lifetime_ms));
    Ok(())
}

fn span(at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}

fn make_authority(now: Timestamp) -> Result<(String, String), Error> {
    let key = KeyPair::generate().map_err(Error::Making)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Remit broker CA");
    dress(&mut params, now, AUTHORITY_MS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(Error::Making)?;
    Ok((key.serialize_pem(), certificate.pem()))
}

fn spiffe(install: &ObjectId, epoch: u64, generation: u64) -> String {
    let mut names = install.path().split('.');
    let mut name = || names.next().unwrap_or_default();
    let (org, app, install) = (name(), name(), name());
    format!("{TRUST_DOMAIN}/org/{org}/app/{app}/install/{install}/epoch/{epoch}/gen/{generation}")
}

impl Request {
    /// Checks a PKCS#10 request in DER: well-formed, signed by its own key, Ed25519 or P-256.
    pub(crate) fn check(der: &[u8]) -> Result<Self, Error> {
        let refused = |why: &str| Error::Request(why.to_owned());
        if der.len() > CSR_SIZE_MAX {
            return Err(refused("it is larger than 8 KiB"));
        }
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(|e| Error::Request(e.to_string()))?;
        let algorithm = request.public_key.algorithm();
        // The length tells the curve: the request's signature algorithm alone does not.
        let length = rcgen::PublicKeyData::der_bytes(&request.public_key).len();
        let allowed = (*algorithm == rcgen::PKCS_ED25519 && length == 32)
            || (*algorithm == rcgen::PKCS_ECDSA_P256_SHA256 && length == 65);
        if !allowed {
            return Err(refused("its key is neither Ed25519 nor P-256"));
        }
        let spki = rcgen::PublicKeyData::subject_public_key_info(&request.public_key);
        Ok(Self { public_key: request.public_key, spki_sha256: hex::encode(Sha256::digest(spki)) })
    }
}

impl RunnerIdentity {
    /// Who a certificate says it is. The TLS layer has checked that this authority issued it.
    pub(crate) fn of_certificate(der: &[u8]) -> Result<Self, Error> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| Error::NotARunner)?;
        let not_after = Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000));
        let names = certificate.subject_alternative_name().ok().flatten().ok_or(Error::NotARunner)?;
        match names.value.general_names.as_slice() {
            [GeneralName::URI(uri)] => Self::parse(uri, not_after).ok_or(Error::NotARunner),
            _ => Err(Error::NotARunner),
        }
    }

    fn parse(uri: &str, not_after: Timestamp) -> Option<Self> {
        let parts: Vec<&str> = uri.strip_prefix(TRUST_DOMAIN)?.strip_prefix('/')?.split('/').collect();
        let ["org", org, "app", app, "install", install, "epoch", epoch, "gen", generation] = parts[..]
        else {
            return None;
        };
        let install = ObjectId::new(Kind::Install, &[org, app, install]).ok()?;
        let runner = install.runner()?;
        let (epoch, generation) = (epoch.parse().ok()?, generation.parse().ok()?);
        Some(Self { runner, install, epoch, generation, not_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn request() -> Request {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI("spiffe://remit/org/evil".try_into().unwrap())];
        Request::check(params.serialize_request(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn a_runner_is_who_the_broker_says_and_not_who_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), NOW).unwrap();
        let install: ObjectId = "ins_demo.shop.acme".parse().unwrap();
        let issued = authority.issue_runner(&request(), &install, (2, 7), NOW).unwrap();
        let identity = RunnerIdentity::of_certificate(&issued.chain[0]).unwrap();
        assert_eq!(identity.install, install);
        assert_eq!((identity.epoch, identity.generation), (2, 7));
        assert_eq!(identity.not_after, NOW.plus_ms(RUNNER_CERTIFICATE_MS));
    }

    #[test]
    fn the_authority_stays_the_same_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::open(dir.path(), NOW).unwrap();
        let second = Authority::open(dir.path(), NOW).unwrap();
        assert_eq!(first.pem(), second.pem());
    }

    #[test]
    fn requests_with_a_broken_signature_or_another_kind_of_key_are_refused() {
        let key = KeyPair::generate().unwrap();
        let mut der = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        assert!(Request::check(&der).is_err());
        let large = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(
            Request::check(CertificateParams::default().serialize_request(&large).unwrap().der()).is_err()
        );
        assert!(Request::check(&vec![0; CSR_SIZE_MAX + 1]).is_err());
    }

    #[test]
    fn the_authority_and_its_servers_are_no_runners() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), NOW).unwrap();
        let (chain, _) = authority.issue_server(&["localhost".to_owned()], NOW).unwrap();
        for certificate in chain {
            assert!(RunnerIdentity::of_certificate(&certificate).is_err());
        }
    }
}
