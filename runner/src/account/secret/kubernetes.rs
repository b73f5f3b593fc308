//! Secrets of Kubernetes: one key of one object, read as whoever the kubeconfig or the pod says.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use zeroize::{Zeroize, Zeroizing};

use super::{Error, LEN_MAX, Reference};
use crate::account::kubernetes::{self, Cluster, NAME_LEN_MAX};

/// How many keys are named to whoever asked for one that is not there.
const NAMED_MAX: usize = 10;

/// Where a value is: `namespace/name#key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The object's namespace.
    pub namespace: String,
    /// The object.
    pub name: String,
    /// What of its data.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.namespace, self.name, self.key)
    }
}

impl FromStr for Place {
    type Err = ();

    /// Names that Kubernetes itself takes, and so none that could lead elsewhere in a path.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (object, key) = text.split_once('#').ok_or(())?;
        let (namespace, name) = object.split_once('/').ok_or(())?;
        let place = Self { namespace: namespace.to_owned(), name: name.to_owned(), key: key.to_owned() };
        let is_key = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_good = kubernetes::is_namespace(namespace)
            && kubernetes::is_name(name, NAME_LEN_MAX)
            && !key.is_empty()
            && key.len() <= NAME_LEN_MAX
            && key.chars().all(is_key);
        if is_good { Ok(place) } else { Err(()) }
    }
}

impl Place {
    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{}", self.namespace, self.name)
    }

    /// What makes the runner one who may read it.
    pub(super) fn rule(&self) -> String {
        let Self { namespace, name, .. } = self;
        format!(
            "let the runner's service account read it: `kubectl -n {namespace} create role remit-{name} --verb=get \
             --resource=secrets --resource-name={name}`, then `kubectl -n {namespace} create rolebinding \
             remit-{name} --role=remit-{name} --serviceaccount=NAMESPACE:ACCOUNT`"
        )
    }
}

/// As much of a Secret as is looked at.
#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, Encoded>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

/// A value as the API shows it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Encoded(String);

impl Drop for Encoded {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

pub(super) async fn get(cluster: &Cluster, place: &Place) -> Result<Zeroizing<String>, Error> {
    let object = fetch(cluster, place).await?;
    let data = object.data.unwrap_or_default();
    let Some(Encoded(text)) = data.get(&place.key) else {
        let has = data.into_keys().take(NAMED_MAX).collect();
        return Err(Error::NoKey { reference: reference(place), has });
    };
    let unusable = || Error::Unusable(reference(place));
    if text.len() as u64 > LEN_MAX.div_ceil(3) * 4 {
        return Err(unusable());
    }
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| unusable())?);
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Removes the key, and the object with its last one. Whatever changed in between is not removed.
pub(super) async fn delete(cluster: &Cluster, place: &Place) -> Result<(), Error> {
    let object = match fetch(cluster, place).await {
        Err(Error::Missing(_)) => return Ok(()),
        object => object?,
    };
    let data = object.data.unwrap_or_default();
    if !data.contains_key(&place.key) {
        return Ok(());
    }
    let version = object.metadata.resource_version;
    let (method, body) = if data.len() == 1 {
        (Method::DELETE, json!({"preconditions": {"resourceVersion": version}}))
    } else {
        let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": version});
        (Method::PATCH, json!([test, {"op": "remove", "path": format!("/data/{}", place.key)}]))
    };
    let done = cluster.call(method, &place.path(), Some(&body)).await;
    done.map(drop).map_err(|error| failed(place, error))
}

async fn fetch(cluster: &Cluster, place: &Place) -> Result<Object, Error> {
    let bytes = cluster.call(Method::GET, &place.path(), None).await.map_err(|error| failed(place, error))?;
    // Never the parser's own words: they would quote the object.
    let unreadable =
        |_| Error::Away { reference: reference(place), words: "the answer is no Secret".to_owned() };
    serde_json::from_slice(&bytes).map_err(unreadable)
}

fn reference(place: &Place) -> Reference {
    Reference::Kubernetes(Box::new(place.clone()))
}

fn failed(place: &Place, error: kubernetes::Error) -> Error {
    let reference = reference(place);
    match error {
        kubernetes::Error::Missing => Error::Missing(reference),
        kubernetes::Error::Denied(words) => Error::Denied { reference, words },
        kubernetes::Error::NoWay(words) => Error::NoWay { reference, words },
        kubernetes::Error::Throttled => Error::Throttled(reference),
        kubernetes::Error::TooLong => Error::Unusable(reference),
        error @ (kubernetes::Error::Conflict | kubernetes::Error::Away(_)) => {
            Error::Away { reference, words: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_namespace_a_name_and_a_key() {
        let place: Place = "shop/db.main#PASS_word.txt".parse().unwrap();
        assert_eq!(place.to_string(), "shop/db.main#PASS_word.txt");
        assert_eq!(place.path(), "/api/v1/namespaces/shop/secrets/db.main");
        let long = "x".repeat(64);
        for bad in [
            "",
            "shop",
            "shop/db",
            "shop/db#",
            "/db#k",
            "shop/#k",
            "shop/db/x#k",
            "../db#k",
            "shop/..#k",
            "shop/db#a/b",
            "shop/db#%2e",
            "shop/db?x#k",
            "Shop/db#k",
            "sh.op/db#k",
            "-a/db#k",
            "shop/db-#k",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
        assert!(format!("{long}/db#k").parse::<Place>().is_err());
    }
}
