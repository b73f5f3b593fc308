//! The environment of a tool: an allowlist, and private places. Nothing of the runner's own: no credentials
//! either, unless the customer names their variables, since those that the runner has are for locks, states
//! and secrets.

use std::ffi::OsString;
use std::path::Path;

/// Variables that tools see when the runner has them. Where an account is reached, never by which credentials.
const PASSED: [&str; 18] = [
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
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
];

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
    /// What of this process's environment a tool may see, and these names beside; one that ends in `*` is the
    /// beginning of names.
    pub fn allowed(more: &[String]) -> Self {
        let variables =
            std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| is_passed(name, more)));
        Self { variables: variables.collect() }
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

fn is_passed(name: &str, more: &[String]) -> bool {
    let asked = more.iter().any(|wanted| match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == wanted,
    });
    !name.starts_with("REMIT_") && (PASSED.contains(&name) || asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_passed_when_they_are_asked_for_and_only_then() {
        let secrets = [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "AZURE_CLIENT_SECRET",
            "AZURE_FEDERATED_TOKEN_FILE",
            "TF_HTTP_PASSWORD",
            "KUBECONFIG",
        ];
        for name in secrets {
            assert!(!is_passed(name, &[]), "{name}");
            assert!(is_passed(name, &[name.to_owned()]), "{name}");
        }
        let all = ["AWS_*".to_owned()];
        assert!(is_passed("AWS_ACCESS_KEY_ID", &all) && !is_passed("AZURE_CLIENT_ID", &all));
        assert!(is_passed("AWS_REGION", &[]) && is_passed("PATH", &[]));
    }

    #[test]
    fn what_is_the_runners_own_is_passed_to_nobody() {
        let all = ["*".to_owned(), "REMIT_RUNNER_TOKEN".to_owned()];
        assert!(!is_passed("REMIT_RUNNER_TOKEN", &all) && is_passed("ANYTHING", &all));
    }
}
