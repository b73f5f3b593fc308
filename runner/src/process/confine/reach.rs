//! What of the machine every tool may read: the system's programs and settings, the directories of
//! its PATH, and the files that its own environment names. No home, no /tmp, no /var, no /run.

use std::path::{Path, PathBuf};

use crate::process::Environment;

const PROGRAMS: [&str; 8] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/run/current-system"];
const KERNEL: [&str; 2] = ["/proc", "/sys"];
/// Names, users, certificates, the loader and locales; nothing that holds a secret.
const SETTINGS: [&str; 39] = [
    "alternatives",
    "bash.bashrc",
    "bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "gai.conf",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "locale.alias",
    "locale.conf",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "pki",
    "profile",
    "profile.d",
    "protocols",
    "python3",
    "resolv.conf",
    "services",
    "shells",
    "ssl",
    "static",
    "system-release",
    "terminfo",
    "timezone",
];
/// Where resolv.conf may lead.
const RESOLVERS: [&str; 3] = ["/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf"];
/// Variables that name a file or a directory which tools then read.
const NAMED: [&str; 9] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AZURE_FEDERATED_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
];
/// Where an orchestrator puts what it renews by replacing: the directory is allowed, not one file.
const MOUNTED: [&str; 2] = ["/var/run/secrets", "/run/secrets"];

/// What tools of this environment may read. What is not there is left out later.
pub(super) fn system(environment: &Environment, data_dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        PROGRAMS.iter().chain(&KERNEL).chain(&RESOLVERS).map(PathBuf::from).collect();
    paths.extend(SETTINGS.iter().map(|name| Path::new("/etc").join(name)));
    for (name, value) in environment.variables() {
        if name == "PATH" {
            paths.extend(std::env::split_paths(&value).filter(|dir| is_for_programs(dir, data_dir)));
        } else if NAMED.iter().any(|named| name == *named) {
            paths.push(named(Path::new(&value)));
        }
    }
    paths
}

/// A PATH may name anything; what holds the data directory is no place of programs.
fn is_for_programs(dir: &Path, data_dir: &Path) -> bool {
    let real = dir.canonicalize();
    dir.is_absolute() && real.is_ok_and(|real| !data_dir.starts_with(&real) && !real.starts_with(data_dir))
}

fn named(path: &Path) -> PathBuf {
    let mounted = MOUNTED.iter().any(|below| path.starts_with(below));
    match path.parent() {
        Some(parent) if mounted => parent.to_owned(),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(variables: &[(&str, &str)], data_dir: &str) -> Vec<PathBuf> {
        let mut environment = Environment::default();
        for (name, value) in variables {
            environment.set(*name, *value);
        }
        system(&environment, Path::new(data_dir))
    }

    #[test]
    fn homes_and_shared_places_are_out_of_reach() {
        let paths = reached(&[("HOME", "/root"), ("PATH", "/usr/bin:relative:/")], "/var/lib/remit");
        for private in ["/", "/root", "/home", "/tmp", "/var", "/run", "/etc", "/etc/shadow", "/opt"] {
            assert!(!paths.contains(&PathBuf::from(private)), "{private}");
        }
        assert!(paths.contains(&PathBuf::from("/usr/bin")));
    }

    #[test]
    fn what_the_environment_names_is_reached() {
        let token = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
        let paths = reached(
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", token), ("AWS_SHARED_CREDENTIALS_FILE", "/etc/remit/aws")],
            "/d",
        );
        let parent = PathBuf::from("/var/run/secrets/eks.amazonaws.com/serviceaccount");
        assert!(paths.contains(&parent) && paths.contains(&PathBuf::from("/etc/remit/aws")), "{paths:?}");
    }
}
