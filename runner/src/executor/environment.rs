//! The environment of a tool: an allowlist, and private places. Nothing of the runner's own.

use std::ffi::OsString;
use std::path::Path;

/// Variables that tools see when the runner has them.
const PASSED: [&str; 20] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "USER",
    "LOGNAME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
];
/// How the customer's account is reached: region, profile, role.
const PASSED_PREFIX: &str = "AWS_";

/// Variables for tools.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

impl Environment {
    /// What of this process's environment a tool may see, and these names beside.
    pub fn allowed(more: &[String]) -> Self {
        let allow = |name: &str| {
            let own = name.starts_with("REMIT_");
            let listed = PASSED.contains(&name) || more.iter().any(|m| m == name);
            !own && (listed || name.starts_with(PASSED_PREFIX))
        };
        let variables = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(allow)).collect();
        Self { variables }
    }

    /// The same, for jobs that may or may not ask the machine's metadata service.
    pub fn for_jobs(more: &[String], metadata: bool) -> Self {
        let mut allowed = Self::allowed(more);
        if !metadata {
            // The AWS tools then say at once that they have no credentials, instead of trying for long.
            allowed.set("AWS_EC2_METADATA_DISABLED", "true");
        }
        allowed
    }

    /// With a home and a place for temporary files of its own, unless a home was passed on.
    pub fn at_home(&self, home: &Path) -> Self {
        let mut with = self.clone();
        if !with.variables.iter().any(|(name, _)| name == "HOME") {
            with.set("HOME", home);
        }
        with.set("TMPDIR", home);
        with
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        self.variables.retain(|(held, _)| *held != name);
        self.variables.push((name, value.into()));
    }

    /// The variables.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        self.variables.clone()
    }
}
