//! Bad input at the API's door: each a status, a stable code and a hint, and nothing changed.

use remit_broker::api::{ObjectView, TokenMade};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{World, refused};

const SIGNALS: &str = "/v1/objects/ins_demo.shop.acme/signals";

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_what_is_wrong() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let before: ObjectView = world.with(&token).get("/v1/objects/ins_demo.shop.acme").await;
    let post = |body: String| world.with(&token).request(Method::POST, SIGNALS).body(body);
    let deep = format!("{{\"pause\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let get = |path: &str| world.with(&token).request(Method::GET, path);
    let without_key = world.http.post(world.url(SIGNALS)).bearer_auth(&token).body("{\"heal\":{}}");
    let bad_key =
        world.http.post(world.url(SIGNALS)).bearer_auth(&token).header("idempotency-key", "x".repeat(129));
    let cases = [
        (post("{".to_owned()), 400, "api.json_invalid"),
        (post(deep), 400, "api.json_invalid"),
        (post("{\"fly\":{}}".to_owned()), 422, "api.signal_invalid"),
        (post("{\"pause\":{\"reason\":\"x\",\"sure\":true}}".to_owned()), 422, "api.signal_invalid"),
        (
            post(format!("{{\"pause\":{{\"reason\":\"{}\"}}}}", "x".repeat(2 << 20))),
            413,
            "api.body_too_large",
        ),
        (post("{\"set_inputs\":{\"inputs\":{\"size\":\"1.5\"}}}".to_owned()), 422, "api.input_invalid"),
        (post("{\"create\":{}}".to_owned()), 409, "loop.exists"),
        (without_key, 400, "api.idempotency_key_missing"),
        (bad_key.body("{\"heal\":{}}"), 400, "api.idempotency_key_invalid"),
        (get("/v1/objects/nonsense"), 404, "api.not_found"),
        (get("/v1/objects/ins_demo.shop.nobody"), 404, "api.not_found"),
        (get("/v1/objects?kind=planet"), 400, "api.parameter_invalid"),
        (get("/v1/objects?kind=install&limit=100000"), 400, "api.parameter_invalid"),
        (get("/v1/objects?kind=install&colour=red"), 400, "api.parameter_invalid"),
        (
            get("/v1/objects/ins_demo.shop.acme/logs/job_other.shop.acme.network.e1.o1/1"),
            404,
            "api.not_found",
        ),
        (get("/nowhere"), 404, "api.not_found"),
        (world.with(&token).request(Method::DELETE, "/v1/whoami"), 405, "api.method_not_allowed"),
        (world.with("remit_ci_wrong").request(Method::GET, "/v1/whoami"), 401, "api.unauthenticated"),
    ];
    for (number, (request, status, code)) in cases.into_iter().enumerate() {
        assert_eq!(refused(request).await, (status, code.to_owned()), "case {number}");
    }
    let after: ObjectView = world.with(&token).get("/v1/objects/ins_demo.shop.acme").await;
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_need_more_checks_are_not_taken_bare() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let cases = [
        ("org_new", json!({"create": {}})),
        ("run_demo.shop.acme", json!({"expect": {"token_sha256": "00", "expires": 4_000_000_000_000_i64}})),
        (
            "app_demo.shop",
            json!({"publish": {"release": {"digest": "sha256:00", "counter": 9, "version": "9", "channel": "stable",
                "components": []}}}),
        ),
    ];
    for (id, signal) in cases {
        let path = format!("/v1/objects/{id}/signals");
        let asked = world.operator().request(Method::POST, &path).json(&signal);
        assert_eq!(refused(asked).await, (422, "api.signal_reserved".to_owned()), "{id}");
    }
    let orphan = world.with(&token).request(Method::POST, "/v1/objects/ins_demo.nothing.acme/signals");
    assert_eq!(refused(orphan.json(&json!({"create": {}}))).await, (404, "api.parent_missing".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artefact_with_other_bytes_is_not_kept() {
    let world = World::start().await;
    let token = world.org("demo").await;
    let digest = remit_seal::Digest::of(b"what was promised");
    let path = format!("/v1/orgs/demo/artifacts/{digest}");
    let put = world.with(&token).request(Method::PUT, &path).body("something else");
    assert_eq!(refused(put).await, (422, "artifact.digest_mismatch".to_owned()));
    let head = || async { world.with(&token).request(Method::HEAD, &path).send().await.unwrap().status() };
    assert_eq!(head().await, StatusCode::NOT_FOUND);
    let put = world.with(&token).request(Method::PUT, &path).body("what was promised");
    assert_eq!(put.send().await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(head().await, StatusCode::OK);
    let large = vec![0u8; 65 << 20];
    let path = format!("/v1/orgs/demo/artifacts/{}", remit_seal::Digest::of(&large));
    let put = world.with(&token).request(Method::PUT, &path).body(large).send().await;
    // The broker stops reading; some clients notice that before they read the answer.
    if let Ok(response) = put {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let head = world.with(&token).request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_shown_once() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let path = "/v1/orgs/demo/tokens";
    let _: TokenMade = world.with(&token).post(path, &json!({"name": "second"})).await;
    let again = world.with(&token).request(Method::POST, path).json(&json!({"name": "second"}));
    assert_eq!(refused(again).await, (409, "api.token_exists".to_owned()));
    let ask = || {
        let url = world.url("/v1/objects/ins_demo.shop.acme/runner-token");
        world.http.post(url).bearer_auth(&token).header("idempotency-key", "the same")
    };
    assert_eq!(ask().send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(refused(ask()).await, (409, "api.token_shown_once".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_brokers_never_share_a_directory() {
    let world = World::start().await;
    let config = remit_broker::config::Config::local(world.dir.path());
    let listeners = remit_broker::Listeners::bind(&config).await.unwrap();
    let error = remit_broker::serve(&config, listeners).await.unwrap_err();
    assert_eq!(error.code(), "store.locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_says_one_thing() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let send = |body: serde_json::Value| {
        world.http.post(world.url(SIGNALS)).bearer_auth(&token).header("idempotency-key", "mine").json(&body)
    };
    assert!(send(json!({"pause": {"reason": "x"}})).send().await.unwrap().status().is_success());
    assert_eq!(refused(send(json!({"resume": {}}))).await, (409, "loop.conflict".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_than_tls_1_3_is_spoken() {
    let world = World::start().await;
    let ca = reqwest::Certificate::from_pem(world.ca_pem.as_bytes()).unwrap();
    let old = reqwest::Client::builder().max_tls_version(reqwest::tls::Version::TLS_1_2);
    let old = old.add_root_certificate(ca).build().unwrap();
    assert!(old.get(world.url("/livez")).send().await.unwrap_err().is_connect());
    let plain = reqwest::get(world.url("/livez").replace("https", "http")).await;
    assert!(plain.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_of_a_query_is_too_great_to_be_answered() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let object = "/v1/objects/ins_demo.shop.acme";
    let of_object = [format!("{object}/timeline?before="), format!("{object}/timeline?limit=")];
    let of_logs = ["offset", "wait_ms"].map(|name| format!("{object}/logs/job_x/1?{name}="));
    let of_audit = ["/v1/audit?before=", "/v1/audit?limit=", "/v1/audit/blocks?after="].map(str::to_owned);
    let of_lists = ["/v1/objects?limit=", "/v1/why?limit="].map(str::to_owned);
    let beyond = ["9007199254740992", "9223372036854775807", "9223372036854775808", "18446744073709551615"];
    for path in of_object.iter().chain(&of_logs).chain(&of_audit).chain(&of_lists) {
        for number in beyond.into_iter().chain(["18446744073709551616", "-1", "1.5", ""]) {
            let (status, code) =
                refused(world.with(&token).request(Method::GET, &format!("{path}{number}"))).await;
            assert!((400..500).contains(&status), "{path}{number}: {status} {code}");
        }
    }
    let timeline = format!("{object}/timeline?before=9007199254740991");
    let _: serde_json::Value = world.with(&token).get(&timeline).await;
}
