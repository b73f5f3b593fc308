//! The trust root beside a vendor's keys, and the key that signs releases and permits by it.

use remit_broker::signer::Signer;
use remit_seal::document::Root;
use remit_seal::verify::{self, Verified};

use crate::failure::{Exit, Failure, Result};
use crate::keys::KeysDir;
use crate::output::now_ms;

/// The key that signs releases and permits, which the root must name.
pub(crate) async fn signer(keys: &KeysDir, root: &Root, key: Option<&str>) -> Result<Signer> {
    let key = match key {
        Some(word) => keys.named(word).await?,
        None => keys.for_releases(root)?,
    };
    if root.release.keys.contains(&key.id()) {
        return Ok(key);
    }
    let message = format!("the root of org `{}` does not name this release key", root.vendor);
    let hint = "let the root name it: `remit keys root rotate --add-release NAME.pub.json`";
    Err(Failure::new(Exit::Refused, "cli.keys_foreign", message, hint))
}

/// The trust root beside the keys.
pub(crate) fn root(keys: &KeysDir) -> Result<Verified<Root>> {
    let bytes = keys.root()?.ok_or_else(|| {
        let hint = "bring root.json here, or make the org: `remit org create`";
        Failure::new(Exit::Refused, "cli.root_missing", "there is no root beside your keys", hint)
    })?;
    Ok(verify::root(&bytes, None, now_ms())?)
}
