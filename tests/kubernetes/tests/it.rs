//! The server is real: it checks who asks and what they may do, and is gone with its user.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;

use remit_kubernetes::Server;
use serde_json::{Value, json};

#[test]
fn it_lets_nobody_do_more_than_the_roles_say() {
    let server = Server::shared().unwrap();
    let namespace = server.namespace().unwrap();
    server.secret(&namespace, "db", &json!({"password": "hunter2"})).unwrap();
    let rules =
        json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"], "verbs": ["get"]}]);
    let reader = server.account(&namespace, "reader", &rules).unwrap();
    let all = format!("/api/v1/namespaces/{namespace}/secrets");
    let db = format!("{all}/db");
    let get = |token: &str, path: &str| server.call_as(token, "GET", path, &Value::Null).unwrap();
    let (status, secret) = get(&reader, &db);
    assert_eq!((status, &secret["data"]["password"]), (200, &json!("aHVudGVyMg==")));
    assert_eq!(get("guessed", &db).0, 401);
    let (status, words) = get(&reader, &all);
    assert!(status == 403 && words["message"].as_str().unwrap().contains("cannot list"), "{words}");
}

#[test]
fn of_two_writers_over_one_version_the_second_is_told() {
    let server = Server::shared().unwrap();
    let namespace = server.namespace().unwrap();
    server.secret(&namespace, "db", &json!({"password": "hunter2"})).unwrap();
    let db = format!("/api/v1/namespaces/{namespace}/secrets/db");
    let (_, mut object) = server.call("GET", &db, &Value::Null).unwrap();
    object["data"]["more"] = json!("eA==");
    assert_eq!(server.call("PUT", &db, &object).unwrap().0, 200);
    assert_eq!(server.call("PUT", &db, &object).unwrap().0, 409);
}

#[test]
fn a_server_is_gone_when_its_user_is() {
    let server = Server::start().unwrap();
    let at = server.url().trim_start_matches("https://").to_owned();
    assert!(TcpStream::connect(&at).is_ok());
    drop(server);
    assert!(TcpStream::connect(&at).is_err());
}
