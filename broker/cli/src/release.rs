//! Cuts a release: the checked product and its packed components, as one signed document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use remit_broker::signer::Signer;
use remit_seal::Digest;
use remit_seal::document::{Approval, Class, Component, HEALTH, Operation, Release};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::verify;

use crate::failure::{Exit, Failure, Result};
use crate::package::{self, Package};
use crate::product::{self, Product};

/// How long a release may be used: a year.
const LIFE_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// What a person wants of a release.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// For people; `0.COUNTER.0` when nobody says.
    pub version: Option<String>,
    /// Its place in its channel; the next one when nobody says.
    pub counter: Option<u64>,
    /// Publish nothing.
    pub dry_run: bool,
    /// Write it there in place of publishing it.
    pub save: Option<PathBuf>,
    /// Out for nobody yet.
    pub hold: bool,
    /// What to tell people about it.
    pub notes: String,
    /// The lowest counter that installs may go back to from it without a permit; otherwise its own.
    pub rollback_floor: Option<u64>,
    /// The key that signs it; otherwise the one that the root names.
    pub key: Option<String>,
}

/// A release that is ready to be signed, with what belongs to it.
pub struct Draft {
    /// The document.
    pub document: Release,
    /// The packages, by digest: equal ones are there once.
    pub packages: BTreeMap<Digest, Package>,
}

/// A signed release.
pub struct Signed {
    /// DSSE in JSON.
    pub bytes: Vec<u8>,
    /// The digest of its payload: its name.
    pub digest: Digest,
}

/// Packs every component, and makes the document with this counter. `packed` is told of each one that is done.
pub fn draft(
    product: &Product,
    dir: &Path,
    wish: &Wish,
    (counter, now_ms): (u64, i64),
    packed: &mut dyn FnMut(&str, &Package),
) -> Result<Draft> {
    let mut packages = BTreeMap::new();
    let mut sources = Vec::with_capacity(product.components.len());
    for component in &product.components {
        let package =
            package::pack(&dir.join(&component.source)).map_err(|e| e.into_failure(&component.name))?;
        packed(&component.name, &package);
        sources.push((package.digest, package.bytes.len() as u64));
        packages.insert(package.digest, package);
    }
    Ok(Draft { document: document(product, &sources, wish, (counter, now_ms)), packages })
}

/// The document of a release, with the digest and the size of each component's package.
pub fn document(
    product: &Product,
    sources: &[(Digest, u64)],
    wish: &Wish,
    (counter, now_ms): (u64, i64),
) -> Release {
    let component = |(component, (digest, size)): (&product::Component, &(Digest, u64))| Component {
        name: component.name.clone(),
        kind: component.kind,
        sandbox: component.sandbox,
        digest: *digest,
        size: *size,
        needs: component.needs.clone(),
        inputs: component.inputs.clone(),
        outputs: component.outputs.clone(),
        commands: component.commands.clone(),
        longest_run_ms: component.longest_run_ms,
        health: component.health,
        escapes: component.escapes.clone(),
    };
    Release {
        vendor: product.org.clone(),
        app: product.app.clone(),
        channel: product.channel.clone(),
        version: wish.version.clone().unwrap_or_else(|| format!("0.{counter}.0")),
        counter,
        created_ms: now_ms,
        expires_ms: now_ms + LIFE_MS,
        rollback_floor: wish.rollback_floor.unwrap_or(counter),
        notes: wish.notes.clone(),
        tools: product.tools.clone(),
        components: product.components.iter().zip(sources).map(component).collect(),
        inputs: product.inputs.clone(),
        operations: operations(product),
        healing: product.healing.clone(),
    }
}

/// What may be done with every component, and how dangerous it is.
fn operations(product: &Product) -> BTreeMap<String, Operation> {
    let operation = |name: &str, class| {
        let needed = product.approvals.get(name);
        let approval = needed.map_or(Approval::None, |needed| needed.approval);
        (name.to_owned(), Operation { class, approval, terms: needed.and_then(|n| n.terms.clone()) })
    };
    let own = [
        operation("deploy", Class::Change),
        operation("destroy", Class::Destroy),
        operation("drift", Class::Read),
        operation("adopt", Class::Change),
    ];
    let actions = product.components.iter().flat_map(|component| &component.actions);
    let probed = product.components.iter().any(|component| component.health.is_some());
    let health = probed.then(|| operation(HEALTH, Class::Read));
    own.into_iter().chain(health).chain(actions.map(|name| operation(name, Class::Change))).collect()
}

/// Signs a release, and believes it only after verifying it as a runner will.
pub async fn sign(document: &Release, key: &Signer, root: &[u8], now_ms: i64) -> Result<Signed> {
    let root = verify::root(root, None, now_ms)?;
    if !root.get().release.keys.contains(&key.id()) {
        let message = format!("the root of org `{}` does not name this release key", root.get().vendor);
        let hint = "use the keys that the org was made with: --keys-dir";
        return Err(Failure::new(Exit::Refused, "cli.keys_foreign", message, hint));
    }
    let mut envelope = Envelope::unsigned(PayloadType::Release, document)?;
    key.countersign(&mut envelope).await?;
    let bytes = envelope.to_bytes();
    let digest = verify::release(&root, &bytes, now_ms)?.digest();
    Ok(Signed { bytes, digest })
}

#[cfg(test)]
mod tests {
    use remit_seal::key::SigningKey;

    use super::*;
    use crate::keys::{KeysDir, Role};

    fn shop() -> (Product, std::path::PathBuf) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/products/shop");
        let loaded = product::load(&dir).unwrap();
        let text = product::problem::render("remit.toml", &loaded.text, &loaded.checked.problems, false);
        (loaded.checked.product.expect(&text), dir)
    }

    #[tokio::test]
    async fn the_example_product_is_cut_into_a_release_that_verifies() {
        let temp = tempfile::tempdir().unwrap();
        let keys = KeysDir::new(temp.path());
        keys.init(None).await.unwrap();
        let dispatch = SigningKey::ed25519_from_seed(&[7; 32]).public();
        let root = keys.make_root("demo", &dispatch, 1_000).await.unwrap();
        let (product, dir) = shop();
        let (wish, at) = (Wish::default(), (3, 2_000));
        let mut seen = Vec::new();
        let draft_one = draft(&product, &dir, &wish, at, &mut |name, _| seen.push(name.to_owned())).unwrap();
        assert_eq!(seen.len(), product.components.len());
        assert_eq!(draft_one.document.version, "0.3.0");
        let again = draft(&product, &dir, &wish, at, &mut |_, _| ()).unwrap();
        assert_eq!(draft_one.document, again.document, "cut twice is the same");
        let key = keys.load(Role::Release).unwrap();
        sign(&draft_one.document, &key, &root, 3_000).await.unwrap();
        let foreign = Signer::file(SigningKey::ed25519_from_seed(&[8; 32]));
        let refused = sign(&draft_one.document, &foreign, &root, 3_000).await.err().unwrap();
        assert_eq!(refused.code, "cli.keys_foreign");
    }

    #[test]
    fn the_unlucky_product_is_right_too() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/products/misfortune");
        let loaded = product::load(&dir).unwrap();
        assert!(loaded.checked.product.is_some(), "{:?}", loaded.checked.problems);
    }
}
