//! What tests need to be there: namespaces, secrets, and service accounts that may do this and no more.

use std::io;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::Server;

/// Who signs the tokens of service accounts.
pub(crate) const ISSUER: &str = "https://accounts.example";

impl Server {
    /// Makes an object in this collection.
    pub fn make(&self, collection: &str, object: &Value) -> io::Result<()> {
        match self.call("POST", collection, object)? {
            (200..=201, _) => Ok(()),
            (status, answer) => Err(io::Error::other(format!("{collection}: {status}: {answer}"))),
        }
    }

    /// A new, empty namespace.
    pub fn namespace(&self) -> io::Result<String> {
        let name = format!("remit{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        self.make("/api/v1/namespaces", &json!({"metadata": {"name": name}}))?;
        Ok(name)
    }

    /// Makes a secret of these texts.
    pub fn secret(&self, namespace: &str, name: &str, texts: &Value) -> io::Result<()> {
        let secret = json!({"metadata": {"name": name}, "stringData": texts});
        self.make(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret)
    }

    /// A service account that may do what these rules of a Role say, and no more; answers its token.
    pub fn account(&self, namespace: &str, name: &str, rules: &Value) -> io::Result<String> {
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        self.make(&accounts, &json!({"metadata": {"name": name}}))?;
        self.make(&format!("{rbac}/roles"), &json!({"metadata": {"name": name}, "rules": rules}))?;
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        });
        self.make(&format!("{rbac}/rolebindings"), &binding)?;
        let request = json!({"spec": {"audiences": [ISSUER], "expirationSeconds": 3600}});
        let (_, answer) = self.call("POST", &format!("{accounts}/{name}/token"), &request)?;
        let token = answer["status"]["token"].as_str();
        token.map(str::to_owned).ok_or_else(|| io::Error::other(format!("no token: {answer}")))
    }
}
