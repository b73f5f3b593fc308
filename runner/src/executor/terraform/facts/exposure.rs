//! Whether a change lets in who was kept out before: everybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::{Side, has_unknown};

/// What keeps everybody out of S3, as long as it is there.
const BLOCKS: [&str; 2] = ["aws_s3_account_public_access_block", "aws_s3_bucket_public_access_block"];
const BLOCK_FLAGS: [&str; 4] =
    ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"];
/// Flags that let everybody in, whatever the type.
const FLAGS: [&str; 3] =
    ["publicly_accessible", "public_network_access_enabled", "allow_nested_items_to_be_public"];
/// Types whose addresses say who may come in.
const LETS_IN: [&str; 7] = [
    "security_group",
    "firewall",
    "network_acl",
    "network_security_rule",
    "prefix_list",
    "ip_set",
    "ingress",
];
/// Attributes that say from where.
const FROM: [&str; 15] = [
    "address_prefixes",
    "addresses",
    "cidr",
    "cidr_block",
    "cidr_blocks",
    "cidr_ipv4",
    "cidr_ipv6",
    "end_ip_address",
    "entry",
    "ingress",
    "ipv6_cidr_block",
    "ipv6_cidr_blocks",
    "source_address_prefix",
    "source_address_prefixes",
    "source_ranges",
];
/// A network of fewer bits than this is no network of anybody's own: half of the internet is all of it, twice.
const BITS_MIN_V4: u8 = 8;
const BITS_MIN_V6: u8 = 16;

/// Whether everybody gets in by this change.
pub(super) fn opens(kind: &str, before: Option<&Side<'_>>, after: Option<&Side<'_>>) -> bool {
    let was_open = before.is_some_and(is_open);
    match after {
        Some(after) => is_open(after) && !was_open,
        // Who takes a wall away lets in, too.
        None => BLOCKS.contains(&kind) && before.is_some() && !was_open,
    }
}

fn is_open(side: &Side<'_>) -> bool {
    match side.kind {
        kind if BLOCKS.contains(&kind) => BLOCK_FLAGS.iter().any(|name| side.is(name, false)),
        // Where nothing is said, they look out to the internet.
        "aws_lb" | "aws_alb" | "aws_elb" => side.get("internal").and_then(Value::as_bool) != Some(true),
        "aws_s3_bucket_acl" | "aws_s3_bucket" | "aws_s3_object" => is_open_by_acl(side),
        "aws_lambda_function_url" => is_or_hidden(side, "authorization_type", "NONE"),
        "aws_ami_launch_permission" => is_or_hidden(side, "group", "all"),
        "aws_security_group"
        | "aws_default_security_group"
        | "aws_network_acl"
        | "aws_default_network_acl" => {
            side.get("ingress").is_some_and(lets_everybody_in) || hides_from(side, "ingress")
        }
        "aws_eks_cluster" => {
            side.get("vpc_config").is_some_and(|config| any_object(config, &is_open_cluster))
        }
        "kubernetes_service" | "kubernetes_service_v1" => side
            .get("spec")
            .is_some_and(|spec| any_object(spec, &|spec| spec["type"].as_str() == Some("LoadBalancer"))),
        kind => {
            FLAGS.iter().any(|name| side.is(name, true))
                || is_open_by_policy(side)
                || (kind.contains("_iam_") && side.values.values().any(names_everybody))
                || (may_let_in(side) && is_open_by_address(side))
        }
    }
}

fn is_or_hidden(side: &Side<'_>, name: &str, wanted: &str) -> bool {
    side.text(name) == Some(wanted) || side.is_hidden(name)
}

fn is_open_by_acl(side: &Side<'_>) -> bool {
    let is_public = |acl: &str| acl.starts_with("public-") || acl == "authenticated-read";
    side.text("acl").is_some_and(is_public)
        || side.is_hidden("acl")
        || side.get("access_control_policy").is_some_and(names_everybody)
        || is_open_by_policy(side)
}

fn is_open_cluster(config: &Value) -> bool {
    let from = config["public_access_cidrs"].as_array().filter(|from| !from.is_empty());
    config["endpoint_public_access"].as_bool() != Some(false)
        && from.is_none_or(|from| from.iter().any(names_everybody))
}

/// A rule of the way in that lets somebody through.
fn may_let_in(side: &Side<'_>) -> bool {
    let is = |name: &str, wanted: &str| side.text(name).is_some_and(|text| text.eq_ignore_ascii_case(wanted));
    let is_outward = is("type", "egress")
        || is("direction", "egress")
        || is("direction", "outbound")
        || side.get("egress").and_then(Value::as_bool) == Some(true)
        || side.kind.contains("egress_rule");
    let is_wall = is("rule_action", "deny") || is("access", "deny");
    LETS_IN.iter().any(|word| side.kind.contains(word)) && !is_outward && !is_wall
}

fn is_open_by_address(side: &Side<'_>) -> bool {
    let is_from =
        |(name, value): (&String, &Value)| !name.starts_with("destination") && names_everybody(value);
    side.values.iter().any(is_from) || FROM.iter().any(|name| hides_from(side, name))
}

/// Whether the source gives an address that nobody knows yet.
fn hides_from(side: &Side<'_>, name: &str) -> bool {
    side.is_hidden(name) && side.unknown.get(name).is_some_and(has_unknown_address)
}

fn has_unknown_address(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_unknown_address),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| FROM.contains(&name.as_str()) && has_unknown(value))
        }
        other => has_unknown(other),
    }
}

/// The rules of a group or list, each of which may be a wall.
fn lets_everybody_in(rules: &Value) -> bool {
    any_object(rules, &|rule| rule["action"].as_str() != Some("deny") && names_everybody(rule))
}

fn any_object(value: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_object(item, is)),
        Value::Object(_) => is(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A policy in JSON by which anybody may, without a condition.
fn is_open_by_policy(side: &Side<'_>) -> bool {
    let text = side.text("policy").or_else(|| side.text("access_policies"));
    let policy: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
    policy.is_some_and(|policy| any_object(&policy["Statement"], &is_for_anybody))
}

fn is_for_anybody(statement: &Value) -> bool {
    let principal = &statement["Principal"];
    let is_anybody = |value: &Value| one_or_many(value).iter().any(|who| who.as_str() == Some("*"));
    let anybody =
        is_anybody(principal) || is_anybody(&principal["AWS"]) || !statement["NotPrincipal"].is_null();
    statement["Effect"].as_str() == Some("Allow") && anybody && statement["Condition"].is_null()
}

fn one_or_many(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn names_everybody(value: &Value) -> bool {
    match value {
        Value::String(text) => is_everybody(text),
        Value::Array(items) => items.iter().any(names_everybody),
        Value::Object(fields) => fields.values().any(names_everybody),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_everybody(text: &str) -> bool {
    const WORDS: [&str; 4] = ["*", "Internet", "allUsers", "allAuthenticatedUsers"];
    WORDS.contains(&text) || text.ends_with("groups/global/AllUsers") || is_most_of_the_internet(text)
}

fn is_most_of_the_internet(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u8>()) else { return false };
    match address {
        IpAddr::V4(address) => bits < BITS_MIN_V4 && !(bits > 0 && is_own_v4(address)),
        IpAddr::V6(address) => bits < BITS_MIN_V6 && !(bits > 0 && is_own_v6(address)),
    }
}

/// Not on the internet: multicast and above.
fn is_own_v4(address: Ipv4Addr) -> bool {
    address.octets()[0] >= 224
}

/// Unique local, link local and multicast.
fn is_own_v6(address: Ipv6Addr) -> bool {
    address.octets()[0] >= 0xfc
}
