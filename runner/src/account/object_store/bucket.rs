//! Cells as objects of an S3 bucket, written by `If-None-Match` and `If-Match`.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use tokio::sync::OnceCell;

use super::credentials::{self, Machine};
use super::{Unwritten, Version};

/// How long one request may take: a large state over a slow line.
const REQUEST_MAX: Duration = Duration::from_secs(120);
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long the client tries by itself before whoever asked hears of it.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// A place in S3: `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    bucket: String,
    prefix: String,
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no place in S3: it looks like s3://bucket/prefix");
        let (bucket, prefix) =
            text.strip_prefix("s3://").ok_or_else(wrong)?.split_once('/').ok_or_else(wrong)?;
        let is_bucket = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        let prefix = prefix.trim_end_matches('/');
        let is_part = |part: &str| crate::storage::data_dir::is_safe_name(part);
        let good = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(is_bucket)
            && prefix.len() <= 512
            && prefix.split('/').all(is_part);
        if good { Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() }) } else { Err(wrong()) }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// A folder of a bucket; nothing is set up before the first use.
#[derive(Clone, Debug)]
pub struct Bucket {
    location: Location,
    folder: String,
    settings: Option<Arc<SdkConfig>>,
    store: Arc<OnceCell<AmazonS3>>,
}

impl Bucket {
    /// This folder below a location, reached by the machine's own AWS settings.
    pub fn new(location: Location, folder: &str) -> Self {
        Self { location, folder: folder.to_owned(), settings: None, store: Arc::default() }
    }

    /// The same, reached by these settings.
    pub fn by(settings: SdkConfig, location: Location, folder: &str) -> Self {
        Self { settings: Some(Arc::new(settings)), ..Self::new(location, folder) }
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.location, self.folder)
    }

    fn key(&self, name: &str) -> Path {
        Path::from(format!("{}/{}/{name}", self.location.prefix, self.folder))
    }

    async fn store(&self) -> io::Result<&AmazonS3> {
        self.store.get_or_try_init(async || self.open().await).await
    }

    async fn open(&self) -> io::Result<AmazonS3> {
        let settings = credentials::load(self.settings.as_deref()).await;
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(50), ..BackoffConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.location.bucket)
            .with_region(settings.region.clone())
            .with_credentials(Arc::new(Machine::new(settings.provider)))
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_config(encryption(), "AES256")
            .with_client_options(
                ClientOptions::new().with_timeout(REQUEST_MAX).with_connect_timeout(CONNECT_MAX),
            )
            .with_retry(RetryConfig { backoff, max_retries: 4, retry_timeout: RETRY_MAX });
        if let Some(endpoint) = settings.endpoint {
            builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
        }
        builder.build().map_err(io::Error::other)
    }

    pub(super) async fn read(&self, name: &str, len_max: u64) -> io::Result<Option<(Vec<u8>, Version)>> {
        let got = match self.store().await?.get(&self.key(name)).await {
            Ok(got) => got,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(io::Error::other(error)),
        };
        if got.meta.size > len_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let version = version(got.meta.e_tag.clone())?;
        let bytes = got.bytes().await.map_err(io::Error::other)?;
        Ok(Some((bytes.to_vec(), version)))
    }

    pub(super) async fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        over: Option<&Version>,
    ) -> Result<Version, Unwritten> {
        let mode = over.map_or(PutMode::Create, |Version(etag)| {
            PutMode::Update(UpdateVersion { e_tag: Some(etag.clone()), version: None })
        });
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store().await?.put_opts(&self.key(name), bytes.into(), options).await {
            Ok(put) => Ok(version(put.e_tag)?),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Err(Unwritten::Changed),
            Err(error) => Err(Unwritten::Unsure(io::Error::other(error))),
        }
    }
}

/// What S3 does by itself today is asked for all the same: a bucket's own default may be another.
fn encryption() -> AmazonS3ConfigKey {
    "aws_server_side_encryption".parse().expect("a key that this version of object_store knows")
}

fn version(etag: Option<String>) -> io::Result<Version> {
    etag.map(Version).ok_or_else(|| io::Error::other("the store gives objects no etags"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_s3_is_a_bucket_and_a_prefix() {
        let place: Location = "s3://acme-remit/shop/prod/".parse().unwrap();
        assert_eq!(place.to_string(), "s3://acme-remit/shop/prod");
        let bucket = Bucket::new(place, "ins_demo.shop.acme/locks");
        assert_eq!(bucket.key("network.json").as_ref(), "shop/prod/ins_demo.shop.acme/locks/network.json");
        for wrong in
            ["s3://", "s3://acme", "s3://acme/", "s3://Acme/x", "s3://a/x", "s3://acme/../x", "http://acme/x"]
        {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
        assert_eq!(encryption().as_ref(), "aws_server_side_encryption");
    }
}
