//! What the customer gets: a one-time token in a file where one is needed, and the ways to start the runner with it:
//! the exact command, or a CloudFormation template and the link that opens it.

mod stack;
pub(crate) mod trusted;

use std::path::{Path, PathBuf};

use remit_broker::api::wire::RunnerToken;
use remit_loops::runner::Place;
use remit_loops::{ObjectId, Timestamp};
use remit_seal::Digest;
use remit_seal::document::{Authority, CHANNEL_DEFAULT, Input};
use serde::Serialize;

use crate::args::LinkArgs;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::keys::write_private;
use crate::output::{BOLD, time};
use crate::product;
use trusted::Source;

/// What was made, for programs. The token itself is in its file only.
#[derive(Serialize)]
struct Link {
    install: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    ca_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    root_sha256: String,
    channel: String,
    broker: String,
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<stack::Stack>,
}

/// Makes a one-time token and says what to do with it.
pub(super) async fn link(context: &Context, client: &Client, id: &ObjectId, args: &LinkArgs) -> Result<()> {
    let inputs = customer_inputs(context);
    // What is wrong is found before a new token takes the place of an older one.
    let wish = stack::Wish::read(args, &inputs)?;
    let token = client.runner_token(id).await?;
    trusted::check_broker(context, args, &token)?;
    let root = own_root(context, client, id, args, &token).await?;
    let pins = Pins { root, channel: channel(context, args.channel.as_deref())? };
    let mut link = write(&args.out_dir, &token, &inputs, &pins)?;
    link.stack = wish.map(|wish| wish.write(&args.out_dir, &token, &pins)).transpose()?;
    context.format().answer(&link, || {
        let mut text = link.describe();
        text.push_str(&format!("{BOLD}The customer runs:{BOLD:#}\n  {}\n\n", shell(&link.command)));
        if let Some(stack) = &link.stack {
            text.push_str(&stack.describe());
        }
        text.push_str(&format!("then: remit install watch {}", id.name()));
        text
    });
    Ok(())
}

/// What a runner pins when it is started first.
struct Pins {
    root: Digest,
    channel: String,
}

/// The root of the vendor's own keys, which the broker must name, too.
async fn own_root(
    context: &Context,
    client: &Client,
    id: &ObjectId,
    args: &LinkArgs,
    token: &RunnerToken,
) -> Result<Digest> {
    let org = id.org_name();
    if let Some(pin) = &args.pin {
        let pin = Digest::from_hex(pin.trim_start_matches("sha256:"))?;
        return trusted::root(client, org, Source::Pin(pin), &token.root_sha256).await;
    }
    let keys = context.keys().map_err(|failure| {
        let hint = "give --pin HEX: what `remit keys show` says where the keys are";
        Failure { hint: hint.to_owned(), ..failure }
    })?;
    trusted::root(client, org, Source::Keys(&keys), &token.root_sha256).await
}

/// The channel that was asked for, or the product's.
pub(super) fn channel(context: &Context, given: Option<&str>) -> Result<String> {
    let product = || context.product_dir().ok().and_then(|dir| product::load(dir).ok()?.checked.product);
    let channel = given.map(str::to_owned).or_else(|| Some(product()?.channel));
    let channel = channel.unwrap_or_else(|| CHANNEL_DEFAULT.to_owned());
    if remit_seal::verify::is_name(&channel) {
        return Ok(channel);
    }
    Err(Failure::usage(format!("`{channel}` is no name of a channel"), "use 1 to 40 of a-z, 0-9 and `-`"))
}

fn write(dir: &Path, token: &RunnerToken, inputs: &[(String, Input)], pins: &Pins) -> Result<Link> {
    let name = token.install.name();
    let (token_file, ca_file) = (dir.join(format!("{name}.token")), dir.join(format!("{name}.ca.pem")));
    let token_file = token.token.as_ref().map(|_| token_file);
    if let Some((file, token)) = token_file.as_ref().zip(token.token.as_ref()) {
        replace(file, token.as_bytes())?;
    }
    replace(&ca_file, token.ca_pem.as_bytes())?;
    let mut command = vec!["remit-runner".to_owned(), "run".to_owned()];
    let mut flag = |name: &str, value: String| command.extend([format!("--{name}"), value]);
    flag("broker", token.broker.clone());
    flag("install", token.install.to_string());
    flag("root-sha256", pins.root.hex());
    flag("channel", pins.channel.clone());
    flag("ca-file", ca_file.display().to_string());
    if let Some(file) = &token_file {
        flag("token-file", file.display().to_string());
    }
    if let Some(place) = &token.place {
        flag("aws-account", place.account.clone());
        flag("aws-region", place.region.clone());
    }
    flag("data-dir", format!("{name}.runner"));
    for (name, _) in inputs.iter().filter(|(_, spec)| spec.default.is_none() && !spec.sensitive) {
        flag("input", format!("{name}=…"));
    }
    Ok(Link {
        install: token.install.clone(),
        token_file,
        ca_file,
        expires: token.expires_ms.map(Timestamp),
        place: token.place.clone(),
        root_sha256: pins.root.hex(),
        channel: pins.channel.clone(),
        broker: token.broker.clone(),
        command,
        stack: None,
    })
}

impl Link {
    /// What lets the runner in, for people.
    fn describe(&self) -> String {
        let token = self.token_file.as_ref().zip(self.expires).map(|(file, expires)| {
            let (file, until) = (file.display(), time(expires));
            format!(
                "The one-time token is in {file} (until {until}); give it to the customer on a safe way.\n"
            )
        });
        let place = self.place.as_ref().map(|place| match &self.token_file {
            Some(_) => format!("The runner must prove that it is in {place}, too.\n"),
            None => format!("No token is needed: the runner proves that it is in {place}.\n"),
        });
        format!("{}{}\n", token.unwrap_or_default(), place.unwrap_or_default())
    }
}

/// A newer token takes the place of an older one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Failure::file("replace", path, &e)),
    }
    write_private(path, bytes)
}

/// The inputs that the customer sets, if the product is at hand.
fn customer_inputs(context: &Context) -> Vec<(String, Input)> {
    let product = context.product_dir().ok().and_then(|dir| product::load(dir).ok()?.checked.product);
    let inputs = product.into_iter().flat_map(|p| p.inputs);
    inputs.filter(|(_, spec)| spec.authority == Authority::Customer).collect()
}

/// A command as it is typed: two words a line.
fn shell(command: &[String]) -> String {
    let quoted = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
        if word.chars().all(plain) { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    let mut text = command[..2].join(" ");
    for pair in command[2..].chunks(2) {
        let words: Vec<String> = pair.iter().map(quoted).collect();
        text.push_str(&format!(" \\\n    {}", words.join(" ")));
    }
    text
}
