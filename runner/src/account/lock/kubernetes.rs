//! Lock records as Leases of the customer's Kubernetes cluster: one for each component, written over the very
//! object and version that was read. A Lease is only what it is kept in: it says no duration, and nobody here
//! looks at its age.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::str::FromStr;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{Found, Unwritten, Version};
use super::record::{RECORD_LEN_MAX, Record};
use crate::account::kubernetes::{Cluster, Error, NAME_LEN_MAX, is_name, is_namespace};

/// Holds the record, as it would be written anywhere else.
const ANNOTATION: &str = "remit-runner/record";
/// What an install and a component add to it fits into a name.
const PREFIX_LEN_MAX: usize = 80;
/// What is said of one without it.
const NO_RECORD: &str = "it holds no record of a lock: something else made or changed it";

/// A place in a cluster: `kubernetes://namespace/name`. Each Lease's name begins with this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    namespace: String,
    prefix: String,
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no place in Kubernetes: it looks like kubernetes://namespace/name");
        let (namespace, prefix) =
            text.strip_prefix("kubernetes://").ok_or_else(wrong)?.split_once('/').ok_or_else(wrong)?;
        let good = is_namespace(namespace) && is_name(prefix, PREFIX_LEN_MAX);
        if good {
            Ok(Self { namespace: namespace.to_owned(), prefix: prefix.to_owned() })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kubernetes://{}/{}", self.namespace, self.prefix)
    }
}

/// The Leases of an install.
#[derive(Clone, Debug)]
pub struct Leases {
    cluster: Cluster,
    location: Location,
    install: String,
}

impl Leases {
    /// Those of this install, in this cluster.
    pub fn new(cluster: Cluster, location: Location, install: &str) -> Self {
        Self { cluster, location, install: install.to_owned() }
    }

    pub(super) async fn read(&self, component: &str) -> io::Result<Option<Found>> {
        let path = format!("{}/{}", self.collection(), self.name(component)?);
        // Boxed: what a call keeps is large, and much waits around it. As it names no version, the server answers
        // from its store and from no cache.
        match Box::pin(self.cluster.call(Method::GET, &path, None)).await {
            Ok(bytes) => Object::read(&bytes)?.found(component).map(Some),
            Err(Error::Missing) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    pub(super) async fn write(&self, record: &Record, over: Option<&Version>) -> Result<Version, Unwritten> {
        let name = self.name(&record.component)?;
        // Never without both: what has no id is made where it is gone.
        let over = over.map(|over| over.0.split_once('/').ok_or(Unwritten::Changed)).transpose()?;
        let (method, path) = match over {
            None => (Method::POST, self.collection()),
            Some(_) => (Method::PUT, format!("{}/{name}", self.collection())),
        };
        let lease = self.lease(&name, record, over);
        match Box::pin(self.cluster.call(method, &path, Some(&lease))).await {
            Ok(bytes) => Ok(Object::read(&bytes)?.version()),
            Err(Error::Conflict) => Err(Unwritten::Changed),
            Err(Error::Missing) if over.is_some() => Err(Unwritten::Changed),
            Err(Error::Missing) => {
                let words = format!("there is no namespace `{}`", self.location.namespace);
                Err(Unwritten::Unsure(io::Error::new(io::ErrorKind::NotFound, words)))
            }
            Err(error) => Err(Unwritten::Unsure(io::Error::other(error))),
        }
    }

    pub(super) fn url(&self, component: &str) -> String {
        format!("kubernetes://{}/{}", self.location.namespace, self.joined(component))
    }

    /// What makes the runner one who may use them.
    pub(super) fn hint(&self) -> String {
        let namespace = &self.location.namespace;
        format!(
            "check that the runner reaches the cluster (--kubeconfig, or a pod's service account) and may use its Leases: `kubectl -n {namespace} create role \
             remit-locks --verb=get,create,update --resource=leases.coordination.k8s.io`, then `kubectl -n \
             {namespace} create rolebinding remit-locks --role=remit-locks --serviceaccount=NAMESPACE:ACCOUNT`"
        )
    }

    fn collection(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.location.namespace)
    }

    /// The name of a component's Lease; none that could lead elsewhere in a path.
    fn name(&self, component: &str) -> io::Result<String> {
        let name = self.joined(component);
        if is_name(&name, NAME_LEN_MAX) {
            return Ok(name);
        }
        let words = format!("`{name}` can be no Lease's name");
        Err(io::Error::new(io::ErrorKind::InvalidInput, words))
    }

    fn joined(&self, component: &str) -> String {
        let install = self.install.strip_prefix("ins_").unwrap_or(&self.install);
        let labels = install.split('.').chain([component]).map(label);
        std::iter::once(self.location.prefix.clone()).chain(labels).collect::<Vec<_>>().join(".")
    }

    /// What people see of a Lease is made from the record; only the record is ever read.
    fn lease(&self, name: &str, record: &Record, over: Option<(&str, &str)>) -> Value {
        let text = String::from_utf8_lossy(&record.to_json()).into_owned();
        let mut metadata = json!({
            "name": name,
            "namespace": self.location.namespace,
            "labels": {"app.kubernetes.io/managed-by": "remit-runner"},
            "annotations": {ANNOTATION: text},
        });
        if let Some((uid, version)) = over {
            // The version alone would not do: whoever puts a Lease that is gone makes it, whatever its version.
            metadata["uid"] = uid.into();
            metadata["resourceVersion"] = version.into();
        }
        let holder = || format!("{}, for {}", record.owner, record.attempt);
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": record.is_held().then(holder),
                "acquireTime": moment(record.since_ms),
                "leaseTransitions": i32::try_from(record.attempt.fence).ok(),
            },
        })
    }
}

/// A name as Kubernetes takes it, where it may not end with `-`. No name begins with a digit, so no two become one.
fn label(name: &str) -> String {
    if name.ends_with('-') { format!("0{name}0") } else { name.to_owned() }
}

fn moment(ms: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(ms).ok()?;
    Some(moment.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

/// As much of a Lease as is looked at.
#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    resource_version: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Object {
    fn read(bytes: &[u8]) -> io::Result<Self> {
        let object: Self = serde_json::from_slice(bytes)?;
        if object.metadata.uid.is_empty() || object.metadata.resource_version.is_empty() {
            return Err(io::Error::other("the server gives its objects no versions"));
        }
        Ok(object)
    }

    fn version(&self) -> Version {
        Version(format!("{}/{}", self.metadata.uid, self.metadata.resource_version))
    }

    fn found(&self, component: &str) -> io::Result<Found> {
        let annotations = self.metadata.annotations.as_ref();
        let text = annotations.and_then(|all| all.get(ANNOTATION));
        let text = text.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NO_RECORD))?;
        if text.len() as u64 > RECORD_LEN_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let record = Record::from_json(component, text.as_bytes())?;
        Ok(Found { record, version: self.version() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::lock::owner::Owner;
    use crate::account::lock::record::Phase;
    use crate::outcome::Attempt;

    fn leases(install: &str) -> Leases {
        Leases::new(Cluster::default(), "kubernetes://remit/shop".parse().unwrap(), install)
    }

    fn record(fence: u64) -> Record {
        let attempt = Attempt { job: "job_a".to_owned(), attempt: 1, fence };
        Record::taken("network", &attempt, (5, 0), 2, Owner { name: "host".to_owned(), ..Owner::default() })
    }

    #[test]
    fn a_place_in_kubernetes_is_a_namespace_and_a_name() {
        let place: Location = "kubernetes://remit/shop.prod".parse().unwrap();
        assert_eq!(place.to_string(), "kubernetes://remit/shop.prod");
        let dotted = format!("kubernetes://{}/shop", ["re", "mit"].join("."));
        let long = format!("kubernetes://remit/{}", "x".repeat(PREFIX_LEN_MAX + 1));
        for wrong in [
            "kubernetes://",
            "kubernetes://remit",
            "kubernetes://remit/",
            "kubernetes:///shop",
            dotted.as_str(),
            "kubernetes://remit/Shop",
            "kubernetes://remit/a/b",
            "kubernetes://remit/..",
            "k8s://remit/shop",
            long.as_str(),
        ] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_component_of_every_install_has_a_lease_of_its_own() {
        let name = |install: &str, component: &str| leases(install).name(component).unwrap();
        assert_eq!(name("ins_demo.shop.acme", "network"), "shop.demo.shop.acme.network");
        assert_eq!(name("ins_demo.shop.acme-", "net-"), "shop.demo.shop.0acme-0.0net-0");
        let longest = "x".repeat(39) + "-";
        name(&format!("ins_{longest}.{longest}.{longest}"), &longest);
        for wrong in ["", "../../pods/x", "A", "a_b", "a/b"] {
            assert!(leases("ins_demo.shop.acme").name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_lease_shows_its_holder_and_never_runs_out() {
        let held = leases("ins_a.b.c").lease("x", &record(7), Some(("u", "12")));
        assert_eq!(
            (&held["metadata"]["uid"], &held["metadata"]["resourceVersion"]),
            (&json!("u"), &json!("12"))
        );
        let spec = &held["spec"];
        assert!(spec["holderIdentity"].as_str().unwrap().contains("on host"), "{spec}");
        assert_eq!(spec["leaseTransitions"], 7);
        assert!(spec.get("leaseDurationSeconds").is_none() && spec.get("renewTime").is_none(), "{spec}");
        let free = leases("ins_a.b.c").lease("x", &record(1 << 40).in_phase(Phase::Free), None);
        assert_eq!(
            (&free["spec"]["holderIdentity"], &free["spec"]["leaseTransitions"]),
            (&Value::Null, &Value::Null)
        );
        assert!(free["metadata"].get("resourceVersion").is_none(), "{free}");
    }

    #[test]
    fn what_holds_no_record_is_not_taken_for_a_free_lock() {
        let written = leases("ins_a.b.c").lease("x", &record(7), Some(("u", "12")));
        let found = |lease: &Value, component: &str| {
            Object::read(lease.to_string().as_bytes()).and_then(|object| object.found(component))
        };
        let read = found(&written, "network").unwrap();
        assert_eq!((read.record, read.version), (record_of(&written), Version("u/12".to_owned())));
        assert!(found(&written, "other").is_err());
        for (field, value) in
            [("annotations", Value::Null), ("annotations", json!({ANNOTATION: "{}"})), ("uid", json!(""))]
        {
            let mut changed = written.clone();
            changed["metadata"][field] = value;
            assert!(found(&changed, "network").is_err(), "{changed}");
        }
    }

    fn record_of(lease: &Value) -> Record {
        let text = lease["metadata"]["annotations"][ANNOTATION].as_str().unwrap();
        Record::from_json("network", text.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_version_of_another_kind_of_place_writes_over_nothing() {
        let over = Version("etag".to_owned());
        assert!(matches!(leases("ins_a.b.c").write(&record(1), Some(&over)).await, Err(Unwritten::Changed)));
    }
}
