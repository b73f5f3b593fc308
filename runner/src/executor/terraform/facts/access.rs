//! Whether a change is about who may do what: by the type of the resource, or by a policy inside of one.

use serde_json::Value;

use super::Side;

const PREFIXES: [&str; 17] = [
    "aws_cognito_identity_pool",
    "aws_iam_",
    "aws_identitystore_",
    "aws_lakeformation_",
    "aws_organizations_",
    "aws_ram_",
    "aws_rolesanywhere_",
    "aws_ssoadmin_",
    "aws_verifiedpermissions_",
    "azuread_",
    "azurerm_federated_identity",
    "azurerm_role_",
    "azurerm_user_assigned_identity",
    "google_service_account",
    "kubernetes_cluster_role",
    "kubernetes_role",
    "kubernetes_service_account",
];

const ENDINGS: [&str; 7] = [
    "_access_entry",
    "_grant",
    "_permission",
    "_permissions",
    "_pod_identity_association",
    "_policy",
    "_policy_association",
];

/// Policies about other things: how many, how long, by which way, with which cipher.
const NOT_ACCESS: [&str; 38] = [
    "aws_app_cookie_stickiness_policy",
    "aws_appautoscaling_policy",
    "aws_autoscaling_policy",
    "aws_cloudfront_cache_policy",
    "aws_cloudfront_continuous_deployment_policy",
    "aws_cloudfront_origin_request_policy",
    "aws_cloudfront_response_headers_policy",
    "aws_dlm_lifecycle_policy",
    "aws_ecr_lifecycle_policy",
    "aws_efs_backup_policy",
    "aws_fms_policy",
    "aws_imagebuilder_lifecycle_policy",
    "aws_lb_cookie_stickiness_policy",
    "aws_lb_ssl_negotiation_policy",
    "aws_load_balancer_backend_server_policy",
    "aws_load_balancer_listener_policy",
    "aws_load_balancer_policy",
    "aws_media_store_lifecycle_policy",
    "aws_networkfirewall_firewall_policy",
    "aws_opensearchserverless_lifecycle_policy",
    "aws_opensearchserverless_security_policy",
    "aws_proxy_protocol_policy",
    "aws_resiliencehub_resiliency_policy",
    "aws_route53_traffic_policy",
    "azurerm_backup_policy",
    "azurerm_cdn_frontdoor_firewall_policy",
    "azurerm_firewall_policy",
    "azurerm_frontdoor_firewall_policy",
    "azurerm_storage_management_policy",
    "azurerm_web_application_firewall_policy",
    "google_compute_resource_policy",
    "google_compute_security_policy",
    "google_compute_ssl_policy",
    "google_dns_policy",
    "google_dns_response_policy",
    "google_monitoring_alert_policy",
    "kubernetes_network_policy",
    "kubernetes_pod_security_policy",
];

/// Attributes that are policies, whatever the type.
const POLICIES: [&str; 9] = [
    "access_policies",
    "access_policy",
    "assume_role_policy",
    "inline_policy",
    "managed_policy_arns",
    "policy",
    "policy_document",
    "repository_policy",
    "resource_policy",
];

/// Attributes that say as whom something acts: what is given a mightier role can do what it could not before.
const ROLES: [&str; 14] = [
    "execution_role_arn",
    "iam_instance_profile",
    "iam_role_arn",
    "identity",
    "instance_profile",
    "job_role_arn",
    "node_role_arn",
    "role",
    "role_arn",
    "service_account",
    "service_account_email",
    "service_role",
    "service_role_arn",
    "task_role_arn",
];

/// Whether a type says who may do what.
pub(super) fn is_of(kind: &str) -> bool {
    PREFIXES.iter().any(|prefix| kind.starts_with(prefix))
        || kind.contains("_iam_")
        || (ENDINGS.iter().any(|end| kind.ends_with(end)) && !NOT_ACCESS.contains(&kind))
}

/// Whether a change of this type changes who may do what.
pub(super) fn changes(kind: &str, before: Option<&Side<'_>>, after: Option<&Side<'_>>) -> bool {
    is_of(kind) || (!NOT_ACCESS.contains(&kind) && after.is_some_and(|after| grants(before, after)))
}

/// Whether a policy or a role stands in it that did not before.
fn grants(before: Option<&Side<'_>>, after: &Side<'_>) -> bool {
    POLICIES.iter().chain(&ROLES).any(|name| {
        let was = before.and_then(|before| before.get(name));
        let is = after.get(name);
        after.is_hidden(name) || (is.is_some_and(says_something) && is != was)
    })
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}
