//! The quick-create link: opens CloudFormation in the customer's console with the template and the
//! parameters filled in. It is an address like any other, so no secret may stand in it.

use std::fmt::Write;
use std::str::FromStr;

use crate::Error;
use crate::fact::{HttpsUrl, InstallId, Region};
use crate::template::{TOKEN_PARAMETER, Template};

/// Where a template lies: CloudFormation reads templates from S3 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateUrl(HttpsUrl);

impl FromStr for TemplateUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let url: HttpsUrl = text.parse()?;
        let host = url.host();
        let domain = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"));
        let on_s3 = domain.is_some_and(|domain| domain.split('.').any(|label| label == "s3"));
        if !on_s3 || url.port() != 443 {
            let wanted = "an S3 URL, like https://bucket.s3.eu-central-1.amazonaws.com/install.json";
            return Err(Error::Form { code: "installer.bad_template_url", given: text.to_owned(), wanted });
        }
        Ok(Self(url))
    }
}

/// The link for one install. `parameters` fill in what the template asks for, by parameter name.
///
/// # Errors
/// A parameter that the template does not have, or one that is a secret.
pub fn quick_create_link(
    region: &Region,
    url: &TemplateUrl,
    install: &InstallId,
    template: &Template,
    parameters: &[(&str, &str)],
) -> Result<String, Error> {
    let mut link = format!(
        "https://{}/cloudformation/home?region={region}#/stacks/quickcreate?templateURL={}&stackName={}",
        region.console(),
        encoded(&url.0.to_string()),
        install.stack_name(),
    );
    for (name, value) in parameters {
        if *name == TOKEN_PARAMETER {
            return Err(Error::SecretInLink((*name).to_owned()));
        }
        if !template.parameters().iter().any(|known| known == name) {
            return Err(Error::UnknownParameter((*name).to_owned()));
        }
        link.push_str(&format!("&param_{name}={}", encoded(value)));
    }
    Ok(link)
}

/// Percent-encoding of all but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => write!(out, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
        out
    })
}
