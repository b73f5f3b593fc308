//! Plans in the shapes that terraform and the providers of the clouds really print.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
fn change(kind: &str, actions: &[&str], before: Value, after: Value) -> Value {
    json!({"address": "a.b", "mode": "managed", "type": kind,
           "change": {"actions": actions, "before": before, "after": after}})
}

fn made(kind: &str, after: Value) -> Value {
    change(kind, &["create"], Value::Null, after)
}

fn facts(changes: &[Value]) -> PlanFacts {
    of(&json!({"resource_changes": changes}))
}

fn of(json: &Value) -> PlanFacts {
    plan_facts(&Document::read(json.to_string().as_bytes()).unwrap())
}

#[test]
fn what_is_removed_is_named_by_its_type() {
    let plan = facts(&[
        change("aws_db_instance", &["delete", "create"], json!({}), json!({})),
        change("aws_rds_cluster", &["create", "delete"], json!({}), json!({})),
        change("aws_sqs_queue", &["delete"], json!({}), Value::Null),
        made("aws_vpc", json!({})),
        change("aws_subnet", &["update"], json!({}), json!({})),
        change("aws_kms_key", &["no-op"], json!({}), json!({})),
        change("aws_s3_bucket", &["forget"], json!({}), Value::Null),
    ]);
    assert_eq!((plan.create, plan.update, plan.delete, plan.replace, plan.forgets), (1, 1, 1, 2, 1));
    let removes: Vec<&str> = plan.removes.iter().map(String::as_str).collect();
    assert_eq!(removes, ["aws_db_instance", "aws_rds_cluster", "aws_s3_bucket", "aws_sqs_queue"]);
    assert!(plan.changes.contains("aws_vpc") && !plan.changes.contains("aws_kms_key"));
    let data = json!({"address": "data.a.b", "mode": "data", "type": "aws_iam_role", "change": {"actions": ["read"]}});
    assert_eq!(facts(&[data]), PlanFacts::default());
}

#[test]
fn what_a_provider_is_asked_to_do_beside_is_counted() {
    let json = json!({"action_invocations": [{"address": "action.aws_lambda_invoke.x", "type": "aws_lambda_invoke"}]});
    let plan = of(&json);
    assert_eq!((plan.other, plan.changes.contains("aws_lambda_invoke")), (1, true));
}

#[test]
fn what_is_taken_over_moved_put_off_or_unknown_is_counted() {
    let mut taken = change("aws_s3_bucket", &["no-op"], json!({}), json!({}));
    taken["change"]["importing"] = json!({"id": "x"});
    let mut moved = change("aws_vpc", &["no-op"], json!({}), json!({}));
    moved["previous_address"] = json!("a.was");
    let odd = change("aws_iam_role", &["revoke"], json!({}), json!({}));
    let plan = of(&json!({"resource_changes": [taken, moved, odd], "deferred_changes": [{"reason": "x"}]}));
    assert_eq!((plan.imports, plan.moves, plan.other, plan.deferred, plan.iam), (1, 1, 1, 1, 1));
    assert!(plan.imported.contains("aws_s3_bucket") && !plan.changes.contains("aws_vpc"));
}

#[test]
fn a_mightier_role_is_access() {
    for (kind, name) in [("aws_instance", "iam_instance_profile"), ("aws_lambda_function", "role")] {
        let of = |role: &str| json!({name: role});
        assert_eq!(facts(&[change(kind, &["update"], of("small"), of("mighty"))]).iam, 1, "{kind}");
        assert_eq!(facts(&[change(kind, &["update"], of("small"), of("small"))]).iam, 0, "{kind}");
    }
}

#[test]
fn access_is_counted() {
    for (wanted, kind) in [
        (1, "aws_iam_role"),
        (1, "google_project_iam_member"),
        (1, "aws_s3_bucket_policy"),
        (1, "aws_lambda_permission"),
        (1, "aws_kms_grant"),
        (1, "aws_ram_resource_share"),
        (1, "aws_eks_access_policy_association"),
        (1, "aws_eks_pod_identity_association"),
        (1, "aws_dynamodb_resource_policy"),
        (1, "kubernetes_role_binding_v1"),
        (1, "kubernetes_service_account_v1"),
        (1, "azurerm_role_assignment"),
        (0, "aws_instance"),
        (0, "aws_autoscaling_policy"),
        (0, "aws_ecr_lifecycle_policy"),
        (0, "kubernetes_network_policy"),
    ] {
        assert_eq!(facts(&[change(kind, &["update"], json!({}), json!({}))]).iam, wanted, "{kind}");
        assert_eq!(facts(&[change(kind, &["delete"], json!({}), Value::Null)]).iam, wanted, "{kind}");
    }
}

#[test]
fn a_policy_inside_of_something_else_is_access_too() {
    let queue = |policy: &str| json!({"name": "jobs", "policy": policy});
    let update = |before, after| change("aws_sqs_queue", &["update"], before, after);
    for (wanted, made) in [
        (1, made("aws_sqs_queue", queue("{}"))),
        (0, made("aws_sqs_queue", queue(""))),
        (0, made("aws_sqs_queue", json!({"name": "jobs", "policy": null}))),
        (1, update(queue("{}"), queue("{\"Statement\":[]}"))),
        (0, update(queue("{}"), queue("{}"))),
        (1, change("aws_kms_key", &["delete", "create"], json!({}), json!({"policy": "{}"}))),
        (0, made("aws_cloudwatch_metric_alarm", json!({"name": "x"}))),
        (0, made("aws_autoscaling_policy", json!({"policy": "x"}))),
    ] {
        assert_eq!(facts(std::slice::from_ref(&made)).iam, wanted, "{made}");
    }
}

fn check_public(cases: impl IntoIterator<Item = (u32, Value)>) {
    for (wanted, made) in cases {
        assert_eq!(facts(std::slice::from_ref(&made)).public, wanted, "{made}");
    }
}

#[test]
fn what_is_opened_is_counted_and_what_was_open_is_not() {
    let from = |cidr: &str| json!({"type": "ingress", "cidr_blocks": [cidr]});
    let (open, closed) = (from("0.0.0.0/0"), from("10.0.0.0/8"));
    let rule = "aws_security_group_rule";
    check_public([
        (1, made(rule, open.clone())),
        (1, change(rule, &["update"], closed.clone(), open.clone())),
        (1, change(rule, &["delete", "create"], closed.clone(), open.clone())),
        (0, change(rule, &["update"], open.clone(), open.clone())),
        (0, change(rule, &["update"], open.clone(), closed)),
        (0, change(rule, &["delete"], open, Value::Null)),
        (0, made(rule, json!({"type": "egress", "cidr_blocks": ["0.0.0.0/0"]}))),
        // All of the internet in two halves, and what is a network of somebody's own.
        (1, made(rule, from("0.0.0.0/1"))),
        (1, made(rule, from("128.0.0.0/1"))),
        (1, made(rule, from("2000::/3"))),
        (1, made(rule, from("::/0"))),
        (0, made(rule, from("52.0.0.0/8"))),
        (0, made(rule, from("fc00::/7"))),
        (0, made(rule, from("2001:db8::/32"))),
        (0, made("aws_route", json!({"destination_cidr_block": "0.0.0.0/0"}))),
    ]);
}

#[test]
fn rules_of_each_cloud_are_read() {
    let group = |way: &str| json!({way: [{"cidr_blocks": ["::/0"]}]});
    let acl = |action: &str| json!({"ingress": [{"action": action, "cidr_block": "0.0.0.0/0"}]});
    let fire = |way: &str, name: &str| json!({"direction": way, name: ["0.0.0.0/0"]});
    let azure =
        |way: &str, access: &str| json!({"direction": way, "access": access, "source_address_prefix": "*"});
    check_public([
        (1, made("aws_security_group", group("ingress"))),
        (0, made("aws_security_group", group("egress"))),
        (1, made("aws_vpc_security_group_ingress_rule", json!({"cidr_ipv4": "0.0.0.0/0"}))),
        (0, made("aws_vpc_security_group_egress_rule", json!({"cidr_ipv4": "0.0.0.0/0"}))),
        (1, made("aws_network_acl", acl("allow"))),
        (0, made("aws_network_acl", acl("deny"))),
        (0, made("aws_network_acl_rule", json!({"egress": true, "cidr_block": "0.0.0.0/0"}))),
        (0, made("aws_network_acl_rule", json!({"rule_action": "deny", "cidr_block": "0.0.0.0/0"}))),
        (1, made("aws_network_acl_rule", json!({"rule_action": "allow", "cidr_block": "0.0.0.0/0"}))),
        (1, made("aws_ec2_managed_prefix_list_entry", json!({"cidr": "0.0.0.0/0"}))),
        (1, made("google_compute_firewall", fire("INGRESS", "source_ranges"))),
        (0, made("google_compute_firewall", fire("EGRESS", "destination_ranges"))),
        (1, made("azurerm_network_security_rule", azure("Inbound", "Allow"))),
        (0, made("azurerm_network_security_rule", azure("Inbound", "Deny"))),
        (0, made("azurerm_network_security_rule", azure("Outbound", "Allow"))),
    ]);
}

#[test]
fn things_that_look_out_to_the_internet_are_counted() {
    let blocks = |on: bool| json!({"block_public_acls": on, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true});
    let block = "aws_s3_bucket_public_access_block";
    let policy = |who: Value, condition: Value| {
        let statement = json!({"Effect": "Allow", "Principal": who, "Action": "*", "Condition": condition});
        json!({"policy": json!({"Statement": [statement]}).to_string()})
    };
    let cluster = |public: bool, from: Value| json!({"vpc_config": [{"endpoint_public_access": public, "public_access_cidrs": from}]});
    let service = |kind: &str| json!({"spec": [{"type": kind}]});
    check_public([
        (1, change("aws_db_instance", &["update"], json!({}), json!({"publicly_accessible": true}))),
        (0, made("aws_db_instance", json!({"publicly_accessible": false}))),
        (1, made("azurerm_key_vault", json!({"public_network_access_enabled": true}))),
        (1, made("aws_lb", json!({"internal": false}))),
        (1, made("aws_lb", json!({"name": "said nothing"}))),
        (0, made("aws_lb", json!({"internal": true}))),
        (1, change(block, &["update"], blocks(true), blocks(false))),
        (0, made(block, blocks(true))),
        (1, change(block, &["delete"], blocks(true), Value::Null)),
        (0, change(block, &["delete"], blocks(false), Value::Null)),
        (1, made("aws_s3_bucket_acl", json!({"acl": "public-read"}))),
        (
            1,
            made(
                "aws_s3_bucket_acl",
                json!({"access_control_policy": [{"grant": [{"grantee": [{"uri": "http://acs.amazonaws.com/groups/global/AllUsers"}]}]}]}),
            ),
        ),
        (0, made("aws_s3_bucket_acl", json!({"acl": "private"}))),
        (1, made("aws_s3_bucket_policy", policy(json!("*"), Value::Null))),
        (1, made("aws_sqs_queue", policy(json!({"AWS": ["arn:aws:iam::1:root", "*"]}), Value::Null))),
        (0, made("aws_sqs_queue", policy(json!("*"), json!({"ArnEquals": {"aws:SourceArn": "x"}})))),
        (0, made("aws_sns_topic_policy", policy(json!({"AWS": "arn:aws:iam::1:root"}), Value::Null))),
        (1, made("aws_lambda_function_url", json!({"authorization_type": "NONE"}))),
        (0, made("aws_lambda_function_url", json!({"authorization_type": "AWS_IAM"}))),
        (1, made("aws_eks_cluster", cluster(true, json!(null)))),
        (1, made("aws_eks_cluster", cluster(true, json!(["0.0.0.0/0"])))),
        (0, made("aws_eks_cluster", cluster(true, json!(["192.0.2.0/24"])))),
        (0, made("aws_eks_cluster", cluster(false, json!(null)))),
        (1, made("google_storage_bucket_iam_member", json!({"member": "allUsers"}))),
        (0, made("google_storage_bucket_iam_member", json!({"member": "user:ann@example.com"}))),
        (1, made("kubernetes_service_v1", service("LoadBalancer"))),
        (0, made("kubernetes_service_v1", service("ClusterIP"))),
    ]);
}

/// A resource `x` of the module `m`, made with this that is not known, while its source gives these.
#[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
fn unknown(kind: &str, after: Value, after_unknown: Value, given: &[&str]) -> PlanFacts {
    let given: BTreeMap<&str, Value> =
        given.iter().map(|name| (*name, json!({"references": ["a.b"]}))).collect();
    let resource = json!({"mode": "managed", "type": kind, "name": "x", "expressions": given});
    let json = json!({
        "resource_changes": [{
            "address": "a.x", "module_address": "module.m[\"k\"]", "mode": "managed", "type": kind, "name": "x",
            "change": {"actions": ["create"], "before": null, "after": after, "after_unknown": after_unknown},
        }],
        "configuration": {"root_module": {"module_calls": {"m": {"module": {"resources": [resource]}}}}},
    });
    of(&json)
}

#[test]
fn what_is_not_known_yet_could_be_anything_if_the_source_gives_it() {
    let rule = "aws_security_group_rule";
    let public = |kind, after, hidden, given: &[&str]| unknown(kind, after, hidden, given).public;
    let way = || json!({"type": "ingress"});
    assert_eq!(public(rule, way(), json!({"cidr_blocks": true}), &["cidr_blocks"]), 1);
    assert_eq!(public(rule, way(), json!({"cidr_blocks": [false, true]}), &["cidr_blocks"]), 1);
    assert_eq!(public(rule, json!({"type": "egress"}), json!({"cidr_blocks": true}), &["cidr_blocks"]), 0);
    assert_eq!(public(rule, way(), json!({"cidr_blocks": true}), &["security_group_id"]), 0);
    assert_eq!(public(rule, way(), json!({"security_group_id": true}), &["security_group_id"]), 0);
    // The usual group: its rules are their own resources, or name another group that is still to be made.
    let group = "aws_security_group";
    assert_eq!(public(group, json!({}), json!({"ingress": true, "id": true}), &["name"]), 0);
    let by_group = json!({"ingress": [{"security_groups": [true], "cidr_blocks": [false]}]});
    assert_eq!(public(group, json!({}), by_group, &["ingress"]), 0);
    assert_eq!(public(group, json!({}), json!({"ingress": [{"cidr_blocks": [true]}]}), &[]), 1);
    assert_eq!(public(group, json!({}), json!({"ingress": true}), &["ingress"]), 1);
    let db = "aws_db_instance";
    assert_eq!(public(db, json!({}), json!({"publicly_accessible": true}), &["publicly_accessible"]), 1);
    assert_eq!(public(db, json!({}), json!({"publicly_accessible": true}), &[]), 0);
    let iam = |given: &[&str]| unknown("aws_sqs_queue", json!({}), json!({"policy": true}), given).iam;
    assert_eq!((iam(&["policy"]), iam(&["name"])), (1, 0));
}

#[test]
fn a_resource_that_the_configuration_does_not_have_is_not_trusted() {
    let made = json!({"address": "a.x", "mode": "managed", "type": "aws_security_group_rule", "name": "x", "change":
        {"actions": ["create"], "before": null, "after": {"type": "ingress"}, "after_unknown": {"cidr_blocks": true}}});
    assert_eq!(facts(&[made]).public, 1);
}
