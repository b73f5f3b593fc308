//! How a runner gets into a customer's account: the CloudFormation template of one install and the
//! link that opens it. Pure: it renders texts and never talks to anybody. No secret passes through here:
//! the one-time token, where one is needed, is typed by the customer into a parameter that is never shown.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod fact;
mod link;
mod template;

pub use error::Error;
pub use fact::{
    AccountId, Architecture, Certificate, ChannelName, CustomerInput, Download, HttpsUrl, InputKind,
    InstallFacts, InstallId, Place, PolicyArn, Region, RoleName,
};
pub use link::{TemplateUrl, quick_create_link};
pub use template::{TEMPLATE_LEN_MAX, TOKEN_PARAMETER, Template, render};
