//! What a terraform plan would do, for a policy: counts and types, of `terraform show -json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Plan;

/// What was planned, and the digest of the saved plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFacts {
    /// Counted.
    pub plan: Plan,
    /// Of the file that is applied and of nothing else, hexadecimal.
    pub digest: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    resource_changes: Vec<ResourceChange>,
}

#[derive(Deserialize)]
struct ResourceChange {
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    change: Change,
}

#[derive(Deserialize)]
struct Change {
    actions: Vec<String>,
    #[serde(default)]
    before: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    after: Option<BTreeMap<String, Value>>,
}

/// Counts a plan; of data sources and of what stays as it is, nothing.
pub fn plan_facts(json: &[u8]) -> Result<Plan, serde_json::Error> {
    let document: Document = serde_json::from_slice(json)?;
    let mut plan = Plan::default();
    for resource in document.resource_changes.iter().filter(|r| r.mode == "managed") {
        count(&mut plan, resource);
    }
    Ok(plan)
}

fn count(plan: &mut Plan, resource: &ResourceChange) {
    let has = |action: &str| resource.change.actions.iter().any(|a| a == action);
    let removes = has("delete");
    let counter = match (has("create"), removes, has("update")) {
        (true, true, _) => &mut plan.replace,
        (true, ..) => &mut plan.create,
        (_, true, _) => &mut plan.delete,
        (.., true) => &mut plan.update,
        // Forgotten by terraform and left where it is: as little to be seen afterwards as if removed.
        _ if has("forget") => &mut plan.delete,
        _ => return,
    };
    *counter += 1;
    plan.changes.insert(resource.kind.clone());
    if removes || has("forget") {
        plan.removes.insert(resource.kind.clone());
    }
    plan.iam += u32::from(is_access(&resource.kind));
    plan.public += u32::from(opens(&resource.kind, &resource.change));
}

/// Whether a type says who may do what.
fn is_access(kind: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "aws_iam_",
        "aws_ssoadmin_",
        "google_service_account",
        "azurerm_role_",
        "azuread_",
        "kubernetes_cluster_role",
    ];
    const TYPES: [&str; 12] = [
        "aws_kms_grant",
        "aws_kms_key_policy",
        "aws_lambda_permission",
        "aws_s3_bucket_policy",
        "aws_sns_topic_policy",
        "aws_sqs_queue_policy",
        "aws_secretsmanager_secret_policy",
        "aws_eks_access_entry",
        "aws_eks_access_policy_association",
        "kubernetes_role",
        "kubernetes_role_binding",
        "kubernetes_service_account",
    ];
    PREFIXES.iter().any(|prefix| kind.starts_with(prefix)) || TYPES.contains(&kind) || kind.contains("_iam_")
}

/// Whether a change lets in who was kept out before: everybody.
fn opens(kind: &str, change: &Change) -> bool {
    let is_open =
        |values: &Option<BTreeMap<String, Value>>| values.as_ref().is_some_and(|v| is_open(kind, v));
    is_open(&change.after) && !is_open(&change.before)
}

fn is_open(kind: &str, values: &BTreeMap<String, Value>) -> bool {
    let is = |name: &str, wanted: bool| values.get(name).and_then(Value::as_bool) == Some(wanted);
    match kind {
        "aws_s3_bucket_public_access_block" => {
            ["block_public_acls", "block_public_policy", "restrict_public_buckets"]
                .iter()
                .any(|name| is(name, false))
        }
        "aws_lb" | "aws_alb" | "aws_elb" => is("internal", false),
        "aws_s3_bucket_acl" | "aws_s3_bucket" => {
            values.get("acl").and_then(Value::as_str).is_some_and(|acl| acl.starts_with("public-"))
        }
        "aws_lambda_function_url" => values.get("authorization_type").and_then(Value::as_str) == Some("NONE"),
        "aws_security_group_rule" if values.get("type").and_then(Value::as_str) == Some("egress") => false,
        "aws_vpc_security_group_egress_rule" => false,
        "aws_security_group" => values.get("ingress").is_some_and(names_everybody),
        _ => {
            is("publicly_accessible", true)
                || is("public_network_access_enabled", true)
                || (may_let_in(kind) && values.values().any(names_everybody))
        }
    }
}

/// Types whose addresses say who may come in.
fn may_let_in(kind: &str) -> bool {
    ["security_group", "firewall", "network_acl", "network_security_rule", "ingress"]
        .iter()
        .any(|word| kind.contains(word))
}

fn names_everybody(value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(text.as_str(), "0.0.0.0/0" | "::/0" | "*" | "Internet"),
        Value::Array(items) => items.iter().any(names_everybody),
        Value::Object(fields) => fields.values().any(names_everybody),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
    fn change(kind: &str, actions: &[&str], before: Value, after: Value) -> Value {
        json!({"address": "a.b", "mode": "managed", "type": kind,
               "change": {"actions": actions, "before": before, "after": after}})
    }

    fn facts(changes: &[Value]) -> Plan {
        plan_facts(json!({"resource_changes": changes}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_removed_is_named_by_its_type() {
        let plan = facts(&[
            change("aws_db_instance", &["delete", "create"], json!({}), json!({})),
            change("aws_sqs_queue", &["delete"], json!({}), Value::Null),
            change("aws_vpc", &["create"], Value::Null, json!({})),
            change("aws_kms_key", &["no-op"], json!({}), json!({})),
            change("aws_s3_bucket", &["forget"], json!({}), Value::Null),
        ]);
        assert_eq!((plan.create, plan.delete, plan.replace), (1, 2, 1));
        let removes: Vec<&str> = plan.removes.iter().map(String::as_str).collect();
        assert_eq!(removes, ["aws_db_instance", "aws_s3_bucket", "aws_sqs_queue"]);
        assert!(plan.changes.contains("aws_vpc") && !plan.changes.contains("aws_kms_key"));
    }

    #[test]
    fn access_is_counted() {
        let plan = facts(&[
            change("aws_iam_role", &["create"], Value::Null, json!({})),
            change("google_project_iam_member", &["update"], json!({}), json!({})),
            change("aws_instance", &["create"], Value::Null, json!({})),
        ]);
        assert_eq!(plan.iam, 2);
    }

    #[test]
    fn what_is_opened_is_counted_and_what_was_open_is_not() {
        let open = json!({"type": "ingress", "cidr_blocks": ["0.0.0.0/0"]});
        let closed = json!({"type": "ingress", "cidr_blocks": ["10.0.0.0/8"]});
        let outward = json!({"type": "egress", "cidr_blocks": ["0.0.0.0/0"]});
        let rule = "aws_security_group_rule";
        for (wanted, made) in [
            (1, change(rule, &["create"], Value::Null, open.clone())),
            (1, change(rule, &["update"], closed.clone(), open.clone())),
            (0, change(rule, &["update"], open.clone(), open.clone())),
            (0, change(rule, &["update"], open.clone(), closed)),
            (0, change(rule, &["create"], Value::Null, outward)),
            (1, change("aws_db_instance", &["update"], json!({}), json!({"publicly_accessible": true}))),
            (
                1,
                change(
                    "aws_security_group",
                    &["create"],
                    Value::Null,
                    json!({"ingress": [{"cidr_blocks": ["::/0"]}]}),
                ),
            ),
            (
                0,
                change(
                    "aws_security_group",
                    &["create"],
                    Value::Null,
                    json!({"egress": [{"cidr_blocks": ["::/0"]}]}),
                ),
            ),
            (
                0,
                change("aws_route", &["create"], Value::Null, json!({"destination_cidr_block": "0.0.0.0/0"})),
            ),
            (1, change("aws_lb", &["create"], Value::Null, json!({"internal": false}))),
        ] {
            assert_eq!(facts(std::slice::from_ref(&made)).public, wanted, "{made}");
        }
    }
}
