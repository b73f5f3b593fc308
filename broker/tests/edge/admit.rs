//! What is refused before it is accepted: more than an org may hold, and inputs that no release takes.

use std::collections::BTreeMap;

use remit_broker::api::{ErrorBody, SignalAccepted};
use remit_seal::document::{Authority, Input, Value, ValueType};
use reqwest::Method;
use serde_json::json;

use crate::world::{World, read, refused};

fn signals(id: &str) -> String {
    format!("/v1/objects/{id}/signals")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_holds_no_more_than_its_quota() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let quotas = json!({"set_quotas": {"apps": 1, "installs_per_app": 2}});
    let org = signals("org_demo");
    let by_itself = refused(world.with(&token).request(Method::POST, &org).json(&quotas)).await;
    assert_eq!(by_itself, (403, "api.operator_only".to_owned()), "no tenant gives itself more");
    let _: SignalAccepted = world.operator().post(&org, &quotas).await;
    let create = json!({"create": {}});
    let second = || {
        let url = world.url(&signals("ins_demo.shop.beta"));
        world.http.post(url).bearer_auth(&token).header("idempotency-key", "beta").json(&create)
    };
    let _: SignalAccepted = read(second()).await;
    let again: SignalAccepted = read(second()).await;
    assert!(again.duplicate, "a repeat is answered, full or not");
    let third = |id: &str| world.with(&token).request(Method::POST, &signals(id)).json(&create);
    assert_eq!(refused(third("ins_demo.shop.gamma")).await, (409, "api.quota".to_owned()));
    assert_eq!(refused(third("app_demo.other")).await, (409, "api.quota".to_owned()));
    let more = json!({"set_quotas": {"installs_per_app": 3}});
    let _: SignalAccepted = world.operator().post(&org, &more).await;
    let _: SignalAccepted = read(third("ins_demo.shop.gamma")).await;
    assert_eq!(refused(third("app_demo.other")).await, (409, "api.quota".to_owned()), "that one stayed");
}

fn input(authority: Authority, value_type: ValueType, max: u64) -> Input {
    let (default, choices, description) = (None, vec![], "so many".to_owned());
    let default = if authority == Authority::Fixed { Some(Value::Integer(1)) } else { default };
    Input { value_type, authority, default, max, choices, sensitive: false, description }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_what_the_release_takes() {
    let world = World::start().await;
    let token = world.org("demo").await;
    world.put_artifact(&token, "demo", b"network").await;
    let mut release = world.release("demo", 1, &["network"]);
    release.inputs = BTreeMap::from([
        ("size".to_owned(), input(Authority::Broker, ValueType::Integer, 10)),
        ("site_dir".to_owned(), input(Authority::Customer, ValueType::String, 100)),
        ("edition".to_owned(), input(Authority::Fixed, ValueType::Integer, 10)),
    ]);
    let signed = world.sign(&release);
    let publish = world.with(&token).request(Method::POST, "/v1/orgs/demo/releases").body(signed);
    let _: remit_broker::api::ReleaseAccepted = read(publish).await;
    let path = signals("ins_demo.shop.acme");
    let create = |inputs: serde_json::Value| {
        world.with(&token).request(Method::POST, &path).json(&json!({"create": {"inputs": inputs}}))
    };
    for (inputs, code) in [
        (json!({"siez": "3"}), "api.input_unknown"),
        (json!({"colour": "3"}), "api.input_unknown"),
        (json!({"size": "\"big\""}), "api.input_invalid"),
        (json!({"size": "11"}), "api.input_invalid"),
        (json!({"site_dir": "\"x\""}), "api.input_authority"),
        (json!({"edition": "2"}), "api.input_authority"),
    ] {
        assert_eq!(refused(create(inputs.clone())).await, (422, code.to_owned()), "{inputs}");
    }
    let slip = create(json!({"siez": "3"})).send().await.unwrap().json::<ErrorBody>().await.unwrap();
    assert_eq!(slip.error.hint, "did you mean `size`?");
    let _: SignalAccepted = read(create(json!({"size": "3"}))).await;
    let set = |inputs: serde_json::Value| {
        world.with(&token).request(Method::POST, &path).json(&json!({"set_inputs": {"inputs": inputs}}))
    };
    let deploy = |version: &str| {
        world.with(&token).request(Method::POST, &path).json(&json!({"deploy": {"version": version}}))
    };
    assert_eq!(refused(deploy("9.9.9")).await, (422, "api.release_unknown".to_owned()));
    let _: SignalAccepted = read(deploy("1.1.0")).await;
    assert_eq!(refused(set(json!({"siez": "3"}))).await, (422, "api.input_unknown".to_owned()));
    let _: SignalAccepted = read(set(json!({"size": "4"}))).await;
}
