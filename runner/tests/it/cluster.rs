//! Secrets of Kubernetes, from a real API server that keeps to its roles.

use std::sync::Arc;

use remit_kubernetes::Server;
use remit_proto::convert::{FailureClass, Outcome};
use remit_seal::document::{Source, Value, ValueType};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::bench::Bench;
use crate::broker::TOKEN;
use crate::product::{Made, script};
use crate::secrets::{customers, holding, run};

const VALUE: &str = "kept in \"the\" <cluster> & 'well'";
const CHANGED: &str = "changed-since-8391";

/// May read the secret `db`, and nothing else.
fn reader() -> Json {
    json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"], "verbs": ["get"]}])
}

/// A namespace with this secret, and the token of one who may read the secret `db`.
fn kept(name: &str, texts: &Json) -> (Arc<Server>, String, String) {
    let server = Server::shared().unwrap();
    let namespace = server.namespace().unwrap();
    server.secret(&namespace, name, texts).unwrap();
    let token = server.account(&namespace, "runner", &reader()).unwrap();
    (server, namespace, token)
}

/// A runner that is to reach the API by this kubeconfig, and its secret by this reference.
fn bench(kubeconfig: &str, reference: &str) -> Bench {
    let mut bench = Bench::new();
    let path = bench.path("kubeconfig");
    std::fs::write(&path, kubeconfig).unwrap();
    bench.args.push(format!("--kubeconfig={}", path.display()));
    bench.args.push(format!("--secret=db={reference}"));
    bench
}

/// Shows the secret, and says what it was in a way that nobody has to hide.
fn teller() -> Made {
    let deploy = r#"echo "it ran with $REMIT_INPUT_DB"
        sum=$(printf %s "$REMIT_INPUT_DB" | sha256sum | cut -d' ' -f1)
        printf '{"sum":"%s"}' "$sum" > "$REMIT_OUTPUTS_FILE""#;
    script("secretive", deploy).input("db", Source::Input("db".to_owned())).output(
        "sum",
        ValueType::String,
        false,
    )
}

fn deploy(bench: &mut Bench, sensitive: bool) -> (Outcome, String) {
    run(bench, &teller(), &[("db", customers(ValueType::String, sensitive))])
}

fn reaches_the_tool_hidden(bench: &mut Bench, value: &str) {
    let (outcome, log) = deploy(bench, true);
    let Outcome::Succeeded(success) = outcome else { panic!("{outcome:?}\n{log}") };
    let sum = hex::encode(Sha256::digest(value));
    assert_eq!(success.outputs["sum"], Value::String(sum));
    assert!(log.contains("it ran with [redacted]"), "{log}");
}

#[test]
fn a_secret_of_the_cluster_reaches_the_tool_and_nobody_else() {
    let (server, namespace, token) = kept("db", &json!({"password": VALUE, "user": "shop"}));
    let mut bench = bench(&server.kubeconfig(&token), &format!("k8s:{namespace}/db#password"));
    bench.env.push(("REMIT_RUNNER_LOG".to_owned(), "trace".to_owned()));
    let runner = bench.runner();
    reaches_the_tool_hidden(&mut bench, VALUE);
    // It is fetched for each attempt: a changed one counts at once.
    let path = format!("/api/v1/namespaces/{namespace}/secrets/db");
    let changed = json!({"stringData": {"password": CHANGED}});
    assert_eq!(server.call("PATCH", &path, &changed).unwrap().0, 200);
    reaches_the_tool_hidden(&mut bench, CHANGED);
    let said = runner.drain();
    assert!(said.contains("secrets/db"), "the log is told what it asked for: {said}");
    assert!([VALUE, CHANGED, &token].iter().all(|secret| !said.contains(secret)), "{said}");
    assert_eq!(holding(&bench.data, &[VALUE, CHANGED, &token]), Vec::<String>::new());
}

#[test]
fn what_the_cluster_does_not_give_says_which_rule_or_key_is_missing() {
    let (server, namespace, token) = kept("db", &json!({"password": VALUE, "long": "x".repeat(65 << 10)}));
    server.secret(&namespace, "other", &json!({"password": VALUE})).unwrap();
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let object = format!("{secrets}/db");
    assert_eq!(server.call("PATCH", &object, &json!({"data": {"raw": "//79"}})).unwrap().0, 200);
    let named = |name: &str| format!("k8s:{namespace}/{name}");
    let config = |token: &str| server.kubeconfig(token);
    let mut open: Json = serde_json::from_str(&config(&token)).unwrap();
    open["clusters"][0]["cluster"] = json!({"server": server.url(), "insecure-skip-tls-verify": true});
    let mut foreign: Json = serde_json::from_str(&config(&token)).unwrap();
    foreign["clusters"][0]["cluster"] = json!({"server": server.url()});
    let admin = server.admin();
    let db = named("db#password");
    let cases = [
        (
            config(&token),
            named("other#password"),
            true,
            "runner.secret_denied",
            "cannot get",
            "--resource-name=other",
        ),
        (config("guessed"), db.clone(), true, "runner.secret_denied", "Unauthorized", "--verb=get"),
        (
            admin,
            named("none#password"),
            true,
            "runner.secret_missing",
            "does not exist",
            "create secret generic none",
        ),
        (
            config(&token),
            named("db#Password"),
            true,
            "runner.secret_missing",
            "long, password, raw",
            "correct the key",
        ),
        (config(&token), named("db#raw"), true, "runner.secret_unusable", "UTF-8", "64 KiB"),
        (config(&token), named("db#long"), true, "runner.secret_unusable", "longer", "64 KiB"),
        (
            open.to_string(),
            db.clone(),
            true,
            "runner.kubernetes_unset",
            "insecure-skip-tls-verify",
            "--kubeconfig",
        ),
        (foreign.to_string(), db.clone(), true, "runner.secret_unreachable", "ertificate", "API server"),
        (config(&token), db, false, "runner.input_open", "sensitive", "sensitive"),
    ];
    for (kubeconfig, reference, sensitive, code, words, hint) in cases {
        let mut bench = bench(&kubeconfig, &reference);
        let _runner = bench.runner();
        let (outcome, log) = deploy(&mut bench, sensitive);
        let Outcome::Failed(failure) = outcome else { panic!("{code}: {outcome:?}") };
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.contains(words) && failure.hint.contains(hint), "{failure:?}");
        assert_eq!(
            failure.class == FailureClass::Transient,
            code == "runner.secret_unreachable",
            "{failure:?}"
        );
        assert!(!log.contains("it ran") && !log.contains(VALUE), "{log}");
    }
}

#[test]
fn an_api_that_does_not_answer_is_waited_for_no_longer_than_it_may_take() {
    let server = Server::start().unwrap();
    let mut bench = bench(&server.admin(), "k8s:default/db#password");
    let _runner = bench.runner();
    server.freeze().unwrap();
    let unreachable = |(outcome, _): (Outcome, String), words: &str| {
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!(
            (failure.code.as_str(), failure.class),
            ("runner.secret_unreachable", FailureClass::Transient)
        );
        assert!(failure.message.contains(words), "{failure:?}");
    };
    unreachable(deploy(&mut bench, true), "no answer in 10 s");
    server.thaw().unwrap();
    drop(server);
    unreachable(deploy(&mut bench, true), "onnect");
}

#[test]
fn the_token_is_taken_from_the_cluster_and_removed_once_it_is_used() {
    let (server, namespace, _) = kept("shared", &json!({"token": TOKEN, "other": "stays"}));
    server.secret(&namespace, "alone", &json!({"token": TOKEN})).unwrap();
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["shared", "alone"],
        "verbs": ["get", "patch", "delete"]}]);
    let token = server.account(&namespace, "enroller", &rules).unwrap();
    let left = json!({"other": "c3RheXM="});
    for (name, status, data) in [("shared", 200, &left), ("alone", 404, &Json::Null)] {
        let mut bench = Bench::new();
        let path = bench.path("kubeconfig");
        std::fs::write(&path, server.kubeconfig(&token)).unwrap();
        // Where the environment says it, no flag is needed.
        bench.env.push(("KUBECONFIG".to_owned(), path.display().to_string()));
        let from = format!("--token-from=k8s:{namespace}/{name}#token");
        bench.token = vec![from, "--consume-token".to_owned()];
        let runner = bench.runner();
        assert_eq!(runner.get("/v1/status")["generation"], 1);
        let secret = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let (answered, object) = server.call("GET", &secret, &Json::Null).unwrap();
        assert_eq!((answered, &object["data"]), (status, data), "{object}");
    }
}

#[test]
fn a_pod_needs_no_kubeconfig() {
    let (server, namespace, token) = kept("db", &json!({"password": VALUE}));
    let mut bench = Bench::new();
    let account = bench.path("account");
    std::fs::create_dir(&account).unwrap();
    for (name, text) in [("token", token.as_str()), ("ca.crt", server.ca_pem()), ("namespace", &namespace)] {
        std::fs::write(account.join(name), text).unwrap();
    }
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    bench.env.push(("KUBERNETES_SERVICE_HOST".to_owned(), "127.0.0.1".to_owned()));
    bench.env.push(("KUBERNETES_SERVICE_PORT".to_owned(), port));
    bench.args.push(format!("--secret=db=k8s:{namespace}/db#password"));
    // Where a pod finds its account, seen by this process alone.
    let mount = r#"set -e; account=$1; shift; mount -t tmpfs none /run; at=/run/secrets/kubernetes.io
        mkdir -p "$at"; cp -r "$account" "$at/serviceaccount"; exec "$@""#;
    bench.within = ["unshare", "--mount", "sh", "-c", mount, "pod"].map(str::to_owned).into();
    bench.within.push(account.display().to_string());
    let _runner = bench.runner();
    reaches_the_tool_hidden(&mut bench, VALUE);
}
