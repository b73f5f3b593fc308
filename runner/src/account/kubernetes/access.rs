//! Which API server to ask, as whom: a kubeconfig that somebody named, or this pod's service account. Never the
//! one that happens to lie in a home.

use std::path::Path;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::Error;
use crate::error::chain;
use crate::proxy::{Proxy, Way};

/// Set in every pod.
const IN_A_POD: &str = "KUBERNETES_SERVICE_HOST";

pub(super) async fn find(kubeconfig: Option<&Path>) -> Result<Config, Error> {
    let named = match kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path).map_err(|e| unusable(&e))?),
        None => Kubeconfig::from_env().map_err(|e| unusable(&e))?,
    };
    let mut config = match named {
        Some(file) => of_file(file).await?,
        None if std::env::var_os(IN_A_POD).is_some() => Config::incluster()
            .map_err(|e| Error::NoWay(format!("the pod's service account: {}", chain(&e))))?,
        None => {
            let words = "there is no --kubeconfig and no KUBECONFIG, and this is no pod";
            return Err(Error::NoWay(words.to_owned()));
        }
    };
    refuse_unproven(&config)?;
    // The call as a whole has its bound; another as long for its first part would only race that one.
    config.connect_timeout = None;
    // Who asked decides whether to ask again.
    config.default_retry = false;
    Ok(config)
}

async fn of_file(file: Kubeconfig) -> Result<Config, Error> {
    let has_proxy = has_proxy(&file);
    let options = KubeConfigOptions::default();
    let mut config =
        Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(&error))?;
    if !has_proxy {
        // kube takes the environment's proxy whatever NO_PROXY says of the server.
        config.proxy_url = match Proxy::Environment.way(&config.cluster_url) {
            Way::Straight => None,
            Way::Tunnel { proxy, .. } => config.proxy_url.or(Some(proxy)),
        };
    }
    Ok(config)
}

/// Whether the file itself names a proxy for the cluster in use.
fn has_proxy(file: &Kubeconfig) -> bool {
    let current = file.contexts.iter().find(|context| Some(&context.name) == file.current_context.as_ref());
    let Some(context) = current.and_then(|context| context.context.as_ref()) else { return false };
    let cluster = file.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let proxy = cluster.and_then(|cluster| cluster.cluster.as_ref()?.proxy_url.as_deref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// Whoever stands between would have every secret, and could say that the lock is free.
fn refuse_unproven(config: &Config) -> Result<(), Error> {
    if config.cluster_url.scheme_str() != Some("https") {
        return Err(Error::NoWay(format!("{} is not https", config.cluster_url)));
    }
    if config.accept_invalid_certs {
        let words = "insecure-skip-tls-verify is set: give the server's certificate authority instead";
        return Err(Error::NoWay(words.to_owned()));
    }
    Ok(())
}

/// A parser's own words would quote the line, and with it perhaps a token.
fn unusable(error: &KubeconfigError) -> Error {
    Error::NoWay(match error {
        KubeconfigError::Parse(_) => "the kubeconfig is not valid YAML of a kubeconfig".to_owned(),
        error => format!("the kubeconfig: {}", chain(error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        contexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {token: hunter2}}]\n";

    async fn found(cluster: &str) -> Result<Config, Error> {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("config");
        std::fs::write(&path, format!("{HEAD}{cluster}")).unwrap();
        find(Some(&path)).await
    }

    async fn refused(cluster: &str) -> String {
        let Err(Error::NoWay(words)) = found(cluster).await else { panic!("{cluster} is taken") };
        assert!(!words.contains("hunter2"), "{words}");
        words
    }

    #[tokio::test]
    async fn a_server_that_is_not_proven_is_not_asked() {
        let good = found("clusters: [{name: k, cluster: {server: 'https://127.0.0.1:6443'}}]").await.unwrap();
        assert_eq!(good.cluster_url.to_string(), "https://127.0.0.1:6443/");
        let plain = refused("clusters: [{name: k, cluster: {server: 'http://127.0.0.1:8080'}}]").await;
        assert!(plain.contains("not https"), "{plain}");
        let open = "clusters: [{name: k, cluster: {server: 'https://k', insecure-skip-tls-verify: true}}]";
        assert!(refused(open).await.contains("insecure-skip-tls-verify"));
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_none_says_so_without_its_token() {
        assert!(
            refused("clusters: [{name: other, cluster: {server: 'https://k'}}]").await.contains("cluster")
        );
        refused("clusters: {name: {k").await;
        refused("users: [{name: u, user: {token: [hunter2]}}]").await;
        let Err(Error::NoWay(words)) = find(Some(Path::new("/nowhere/config"))).await else {
            panic!("it is not there")
        };
        assert!(words.contains("/nowhere/config"), "{words}");
    }

    #[test]
    fn a_proxy_of_the_file_is_seen() {
        let file = |cluster: &str| {
            Kubeconfig::from_yaml(&format!("{HEAD}clusters: [{{name: k, cluster: {cluster}}}]"))
        };
        assert!(has_proxy(&file("{server: 'https://k', proxy-url: 'http://p:3128'}").unwrap()));
        assert!(!has_proxy(&file("{server: 'https://k'}").unwrap()));
    }
}
