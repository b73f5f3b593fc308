//! Every route of the OpenAPI document, called without a token and with another org's: nothing
//! is shown and nothing changes. A new route is tested the moment it exists.

use remit_broker::api::{TokenMade, WhoAmI};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, refused};

struct Route {
    method: Method,
    path: String,
    is_open: bool,
}

async fn routes(world: &World) -> Vec<Route> {
    let document: Value = world.nobody().get("/openapi.json").await;
    let mut routes = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            let is_open = operation["security"] == json!([{}]);
            routes.push(Route { method, path: path.clone(), is_open });
        }
    }
    routes
}

fn fill(path: &str) -> String {
    let digest = remit_seal::Digest::of(b"network").to_string();
    path.replace("{org}", "demo")
        .replace("{id}", "ins_demo.shop.acme")
        .replace("{name}", "ci")
        .replace("{key}", &remit_seal::Digest::of(b"key").hex())
        .replace("{digest}", &digest)
        .replace("{job}", "job_demo.shop.acme.network.e1.o1")
        .replace("{attempt}", "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_without_a_token_but_the_open_ones() {
    let world = World::start().await;
    let own = world.install(&["network"]).await;
    let made: TokenMade = world.with(&own).post("/v1/orgs/demo/tokens", &json!({"name": "laptop"})).await;
    let _: WhoAmI = world.with(&made.token).get("/v1/whoami").await;
    let gone = world.with(&own).request(Method::DELETE, "/v1/orgs/demo/tokens/laptop");
    assert_eq!(gone.send().await.unwrap().status(), 204);
    let unknown = format!("{}x", world.operator);
    let strangers = [
        ("nobody", world.nobody()),
        ("a revoked token", world.with(&made.token)),
        ("an unknown one", world.with(&unknown)),
    ];
    let routes = routes(&world).await;
    let open: Vec<_> = routes.iter().filter(|r| r.is_open).map(|r| r.path.as_str()).collect();
    assert_eq!(open, ["/livez", "/openapi.json", "/readyz"]);
    assert!(routes.len() >= 20, "{}", routes.len());
    for route in routes.iter().filter(|r| !r.is_open) {
        for (who, stranger) in &strangers {
            let request = stranger.request(route.method.clone(), &fill(&route.path));
            let answer = request.send().await.unwrap().status();
            assert_eq!(answer, 401, "{} {} by {who}", route.method, route.path);
        }
    }
    println!("{} routes x {} strangers refused", routes.len() - open.len(), strangers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_shows_or_changes_anything_of_another_org() {
    let world = World::start().await;
    world.install(&["network"]).await;
    let foreign = world.org("rival").await;
    let revision = |world: &World| {
        let path = "/v1/objects/ins_demo.shop.acme".to_owned();
        let operator = world.operator.clone();
        let request = world.http.get(world.url(&path)).bearer_auth(operator);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let before = revision(&world).await;
    for route in routes(&world).await.iter().filter(|r| !r.is_open) {
        let what = format!("{} {}", route.method, route.path);
        let request = world.with(&foreign).request(route.method.clone(), &fill(&route.path));
        let request = request.body(json!({"pause": {"reason": "because I can"}}).to_string());
        match route.path.as_str() {
            // Nobody's in particular.
            "/v1/whoami" | "/v1/dispatch-key" | "/v1/dispatch-keys" if route.method == Method::GET => {
                assert!(request.send().await.unwrap().status().is_success(), "{what}");
            }
            "/metrics" | "/v1/orgs" | "/v1/dispatch-keys" | "/v1/dispatch-keys/{key}" => {
                assert_eq!(refused(request).await, (403, "api.operator_only".to_owned()), "{what}");
            }
            "/v1/objects" => {
                let own = request.query(&[("kind", "install")]).send().await.unwrap();
                assert!(!own.text().await.unwrap().contains("demo"), "{what}");
                let under =
                    world.with(&foreign).request(Method::GET, "/v1/objects?kind=install&under=org_demo");
                assert_eq!(refused(under).await, (404, "api.not_found".to_owned()), "{what}");
            }
            "/v1/audit" => {
                assert!(!request.send().await.unwrap().text().await.unwrap().contains("demo"), "{what}");
                let other = world.with(&foreign).request(Method::GET, "/v1/audit?org=demo");
                assert_eq!(refused(other).await, (404, "api.not_found".to_owned()), "{what}");
            }
            "/v1/audit/blocks" => {
                assert!(!request.send().await.unwrap().text().await.unwrap().contains("demo"), "{what}");
            }
            "/v1/why" => {
                assert!(!request.send().await.unwrap().text().await.unwrap().contains("demo"), "{what}");
                let under = world.with(&foreign).request(Method::GET, "/v1/why?under=app_demo.shop");
                assert_eq!(refused(under).await, (404, "api.not_found".to_owned()), "{what}");
            }
            _ if route.method == Method::HEAD => {
                assert_eq!(request.send().await.unwrap().status(), 404, "{what}");
            }
            _ => assert_eq!(refused(request).await, (404, "api.not_found".to_owned()), "{what}"),
        }
    }
    assert_eq!(before, revision(&world).await, "nothing changed");
    let tokens = world.operator().request(Method::GET, "/v1/orgs/demo/tokens").send().await.unwrap();
    assert!(tokens.text().await.unwrap().contains("ci"), "its token is still there");
}
