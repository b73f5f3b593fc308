//! What a customer's runner is to trust, from the vendor's own side: the root beside the vendor's keys, and the
//! broker and authority that this command itself was told of. The broker's answer is compared, never believed:
//! it is the party that a runner is protected from.

use std::path::Path;

use remit_broker::api::wire::RunnerToken;
use remit_seal::Digest;
use remit_seal::document::Root;
use remit_seal::verify::{self, Verified};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::args::LinkArgs;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::keys::KeysDir;
use crate::output::now_ms;

/// Where the vendor's own word on a root comes from.
pub(crate) enum Source<'a> {
    /// The root beside the keys.
    Keys(&'a KeysDir),
    /// A digest that a person gave.
    Pin(Digest),
}

/// The digest that runners pin, if the root that the broker names is the vendor's own: the one at hand, or one
/// that the vendor's root keys have put after it.
pub(crate) async fn root(client: &Client, org: &str, source: Source<'_>, named: &str) -> Result<Digest> {
    let named = Digest::from_hex(named)?;
    let keys = match source {
        Source::Pin(pin) if pin == named => return Ok(pin),
        Source::Pin(pin) => return Err(mismatch(&pin, &named)),
        Source::Keys(keys) => keys,
    };
    let bytes = keys.root()?.ok_or_else(|| {
        let message = "there is no root beside your keys to compare the broker's with";
        let hint = "go to the folder with your keys, or give --pin HEX as `remit keys show` says it there";
        Failure::new(Exit::Refused, "cli.root_missing", message, hint)
    })?;
    let own = verify::first_root(&bytes, &crate::keys::root_digest(&bytes)?)?;
    if own.get().vendor != org {
        let message = format!("the root beside your keys is of org `{}`, not of `{org}`", own.get().vendor);
        return Err(Failure::new(Exit::Refused, "cli.keys_foreign", message, "take the keys of this org"));
    }
    let newest = follow(client, org, &own, &named).await?;
    // Whoever pins a root that has expired believes nothing.
    if now_ms() >= newest.get().expires_ms {
        return Err(remit_seal::Refusal::RootExpired { expires_ms: newest.get().expires_ms }.into());
    }
    Ok(newest.digest())
}

/// From our root to the one that the broker names, each signed by the one before.
async fn follow(client: &Client, org: &str, own: &Verified<Root>, named: &Digest) -> Result<Verified<Root>> {
    let mut trusted = own.clone();
    if trusted.digest() == *named {
        return Ok(trusted);
    }
    for root in client.roots(org).await?.roots {
        if let Ok(next) = verify::next_root(&trusted, root.root.as_bytes()) {
            trusted = next;
        }
        if trusted.digest() == *named {
            return Ok(trusted);
        }
    }
    Err(mismatch(&own.digest(), named))
}

fn mismatch(own: &Digest, named: &Digest) -> Failure {
    let message = format!("the broker names the trust root {}, but yours is {}", named.hex(), own.hex());
    let hint = "give nothing of this to a customer: a broker that names another root is taken over, or is not \
                the one of this org; see docs/keys.md, After a take-over";
    Failure::new(Exit::Refused, "cli.root_mismatch", message, hint)
}

/// Refuses a broker's answer that sends runners elsewhere than this command was told to go.
pub(super) fn check_broker(context: &Context, args: &LinkArgs, token: &RunnerToken) -> Result<()> {
    let (address, ca_file) = context.broker()?;
    let wanted = args.runner_broker.as_deref().unwrap_or(address);
    let is_same = match &args.runner_broker {
        Some(url) => url.trim_end_matches('/') == token.broker.trim_end_matches('/'),
        None => host(wanted).is_some() && host(wanted) == host(&token.broker),
    };
    if !is_same {
        let message = format!("the broker sends runners to {}, and you know it at {wanted}", token.broker);
        let hint = "if that is right, say so: --runner-broker URL";
        return Err(Failure::new(Exit::Refused, "cli.broker_mismatch", message, hint));
    }
    let known = authorities(args.runner_ca.as_deref().unwrap_or(ca_file))?;
    let named: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(token.ca_pem.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| Failure::new(Exit::Refused, "cli.broker_mismatch", format!("its authority: {e}"), ""))?;
    if named.is_empty() || !named.iter().all(|one| known.contains(one)) {
        let message = "the broker names a certificate authority that you do not know";
        let hint = "compare it with ca.pem in the broker's data directory, and put that into your REMIT_CA_FILE; \
                    or give the one for runners: --runner-ca FILE";
        return Err(Failure::new(Exit::Refused, "cli.broker_mismatch", message, hint));
    }
    Ok(())
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = std::fs::read(file).map_err(|e| Failure::file("read", file, &e))?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<std::result::Result<_, _>>();
    all.map_err(|e| {
        Failure::usage(format!("{} holds no certificates: {e}", file.display()), "give a PEM file")
    })
}

fn host(url: &str) -> Option<String> {
    url.parse::<reqwest::Url>().ok()?.host_str().map(str::to_owned)
}
