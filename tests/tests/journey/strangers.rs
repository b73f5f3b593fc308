//! Those who may not: a foreign token on every route, no token, used tokens, unknown ids, keys sent twice.

use remit_tests::world::Api;
use reqwest::Method;
use serde_json::{Value, json};

use crate::vendor;

/// Every route of the OpenAPI document with its gaps filled by things of the org `demo`.
fn routes(api: &Api) -> Vec<(Method, String, Option<Value>)> {
    let document = api.get("/openapi.json").unwrap().body;
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let filled = path
            .replace("{org}", "demo")
            .replace("{id}", "app_demo.misfortune")
            .replace("{install}", "ins_demo.misfortune.acme")
            .replace("{digest}", &format!("sha256:{}", "0".repeat(64)))
            .replace("{key}", &"0".repeat(64))
            .replace("{name}", "somebody")
            .replace("{job}", "job")
            .replace("{attempt}", "1");
        assert!(!filled.contains('{'), "a gap that this test does not know: {path}");
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = match filled.as_str() {
                _ if method != Method::POST => None,
                path if path.ends_with("/signals") => Some(json!({ "publish": {} })),
                path if path.ends_with("/tokens") => Some(json!({ "name": "mine" })),
                _ => Some(json!({})),
            };
            routes.push((method, filled.clone(), body));
        }
    }
    assert!(routes.len() >= 12, "{routes:?}");
    routes
}

const OPEN: [&str; 3] = ["/livez", "/readyz", "/openapi.json"];

#[test]
fn a_foreign_token_finds_nothing_and_no_token_gets_nowhere() {
    let world = vendor("misfortune");
    world.remit(&["install", "create", "acme", "--out-dir", world.path("").to_str().unwrap()]).unwrap();
    let operator = world.operator().unwrap();
    let keys = world.path("other-keys");
    let keys = keys.to_str().unwrap();
    world.remit(&["--keys-dir", keys, "keys", "init"]).unwrap();
    world.remit(&["--keys-dir", keys, "org", "create", "other"]).unwrap();
    let made = operator.post("/v1/orgs/other/tokens", &json!({ "name": "stranger" })).unwrap();
    let stranger = world.api(made.body["token"].as_str().unwrap()).unwrap();
    let nobody = world.api("remit_nobody_0000000000000000000000000000000000000000000").unwrap();

    assert_eq!(stranger.get("/v1/objects/org_other").unwrap().status, 200, "its own org it may see");
    let own = stranger.get("/v1/objects?kind=install").unwrap();
    assert!(!own.body.to_string().contains("demo"), "{}", own.body);

    let mut wrong = Vec::new();
    for (method, path, body) in routes(&operator) {
        let ask = |api: &Api| api.send(&method, &path, body.as_ref(), Some("stranger-1")).unwrap();
        if OPEN.contains(&path.as_str()) {
            continue;
        }
        let unknown = ask(&nobody);
        if unknown.status != 401 {
            wrong.push(format!("{method} {path}: nobody got {}", unknown.status));
        }
        // A path that names nobody's thing answers for the caller alone; the rest must not be there.
        let names_demo = path.contains("demo");
        let foreign = ask(&stranger);
        let hidden = foreign.status == 404 && (method == Method::HEAD || foreign.code() == "api.not_found");
        if names_demo && !hidden {
            wrong.push(format!("{method} {path}: a stranger got {} {}", foreign.status, foreign.body));
        }
        if !names_demo && foreign.body.to_string().contains("demo") {
            wrong.push(format!("{method} {path}: a stranger saw {}", foreign.body));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(operator.get("/v1/objects/org_nowhere").unwrap().code(), "api.not_found");
}

#[test]
fn a_key_sent_twice_is_answered_twice_and_done_once() {
    let world = vendor("misfortune");
    let operator = world.operator().unwrap();
    let send = |key: &str| {
        operator
            .post_once("/v1/objects/ins_demo.misfortune.acme/signals", &json!({ "create": {} }), key)
            .unwrap()
    };
    let first = send("create-acme-once");
    assert_eq!((first.status, &first.body["duplicate"]), (200, &json!(false)), "{first:?}");
    let again = send("create-acme-once");
    assert_eq!((again.status, &again.body["duplicate"]), (200, &json!(true)), "{again:?}");
    assert_eq!(again.body["seq"], first.body["seq"]);
    let other = send("create-acme-again");
    assert_eq!(other.status, 409, "it is there: {}", other.body);
}

#[test]
fn a_token_enrols_one_runner() {
    let mut world = vendor("misfortune");
    let install = "ins_demo.misfortune.acme";
    world.remit(&["install", "create", "acme", "--out-dir", world.path("").to_str().unwrap()]).unwrap();
    world.start_runner(install).unwrap();
    let online = |view: &Value| view["status"]["word"] == "online";
    world.until("run_demo.misfortune.acme", "online", online).unwrap();
    world.kill_runner(install).unwrap();

    // The same token in the hands of somebody else, who has no identity yet.
    std::fs::remove_dir_all(world.runner_dir(install)).unwrap();
    world.restart_runner(install).unwrap();
    let log = remit_tests::world::wait_for("the refusal of a used token", || {
        Ok(Some(world.log_of(install)).filter(|log| log.contains("runner.enroll_refused")))
    });
    log.unwrap();
}
