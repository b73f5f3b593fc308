//! The CloudFormation way: a template file, and the link that opens it in the customer's console.

use std::path::{Path, PathBuf};

use remit_broker::api::wire::RunnerToken;
use remit_installer::{
    Architecture, CustomerInput, Download, InputKind, InstallFacts, InstallId, Place, Region, TemplateUrl,
    quick_create_link, render,
};
use remit_loops::runner;
use remit_seal::Digest;
use remit_seal::document::{Input, Value, ValueType};
use serde::Serialize;

use super::Pins;
use crate::args::LinkArgs;
use crate::failure::{Exit, Failure, Result};
use crate::output::BOLD;

/// What was made for CloudFormation.
#[derive(Serialize)]
pub(super) struct Stack {
    template_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// Whether the customer types a token.
    #[serde(skip)]
    takes_token: bool,
}

/// What was asked for, checked.
pub(super) struct Wish {
    region: Region,
    template_url: Option<TemplateUrl>,
    runner: Download,
    inputs: Vec<CustomerInput>,
}

impl Wish {
    /// None where no template was asked for.
    pub(super) fn read(args: &LinkArgs, inputs: &[(String, Input)]) -> Result<Option<Self>> {
        let (Some(region), Some(url), Some(sha256)) = (&args.region, &args.runner_url, &args.runner_sha256)
        else {
            return Ok(None);
        };
        let inputs = inputs.iter().filter(|(_, spec)| !spec.sensitive);
        Ok(Some(Self {
            region: region.parse()?,
            template_url: args.template_url.as_ref().map(|url| url.parse()).transpose()?,
            runner: Download { url: url.parse()?, digest: Digest::from_hex(sha256)? },
            inputs: inputs.map(|(name, spec)| input(name, spec)).collect::<Result<_>>()?,
        }))
    }

    /// Where the install is declared to be: there the stack is launched, and nowhere else.
    fn place(&self, place: &runner::Place) -> Result<Place> {
        let region: Region = place.region.parse()?;
        if region != self.region {
            let message =
                format!("the install is declared to be in {region}, and the template is for {}", self.region);
            let hint = "give --region as declared, or declare another: remit install place";
            return Err(Failure::new(Exit::Usage, "installer.elsewhere", message, hint));
        }
        let role = place.role.as_ref().map(|role| role.parse()).transpose()?;
        Ok(Place { account: place.account.parse()?, region, role })
    }

    /// Writes the template. No secret is in it or in the link.
    pub(super) fn write(self, dir: &Path, token: &RunnerToken, pins: &Pins) -> Result<Stack> {
        let install: InstallId = token.install.to_string().parse()?;
        let facts = InstallFacts {
            install: install.clone(),
            place: token.place.as_ref().map(|place| self.place(place)).transpose()?,
            broker: token.broker.parse()?,
            ca: Some(token.ca_pem.parse()?),
            root_sha256: pins.root,
            channel: pins.channel.parse()?,
            runner: self.runner,
            architecture: Architecture::X86_64,
            policies: Vec::new(),
            inputs: self.inputs,
        };
        let template = render(&facts)?;
        let file = dir.join(format!("{}.template.json", token.install.name()));
        std::fs::write(&file, template.as_str()).map_err(|e| Failure::file("write", &file, &e))?;
        let link = |url| quick_create_link(&self.region, &url, &install, &template, &[]);
        let link = self.template_url.clone().map(link).transpose()?;
        Ok(Stack { template_file: file, link, takes_token: token.token.is_some() })
    }
}

/// An input as a parameter; a list has no parameter of its own type.
fn input(name: &str, spec: &Input) -> Result<CustomerInput> {
    let kind = match spec.value_type {
        ValueType::Boolean => InputKind::Boolean,
        ValueType::Integer => InputKind::Integer,
        ValueType::String => InputKind::Text,
        ValueType::StringList => {
            let message = format!("input `{name}` is a list, which a CloudFormation parameter cannot be");
            return Err(Failure::usage(message, "give it a default, or start the runner by hand"));
        }
    };
    let default = spec.default.as_ref().and_then(|value| match value {
        Value::Boolean(b) => Some(b.to_string()),
        Value::Integer(n) => Some(n.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::List(_) => None,
    });
    Ok(CustomerInput::new(name, kind, &spec.description, default.as_deref())?)
}

impl From<remit_installer::Error> for Failure {
    fn from(error: remit_installer::Error) -> Self {
        Failure::new(Exit::Usage, error.code(), error.to_string(), "see docs/errors/installer.md")
    }
}

impl Stack {
    /// For people.
    pub(super) fn describe(&self) -> String {
        let file = self.template_file.display();
        let token = if self.takes_token { "; the token is typed there" } else { "" };
        match &self.link {
            Some(link) => {
                format!("{BOLD}or opens:{BOLD:#}\n  {link}\n(with {file} at that address{token})\n\n")
            }
            None => format!("{BOLD}or launches{BOLD:#} the CloudFormation template {file}{token}.\n\n"),
        }
    }
}
