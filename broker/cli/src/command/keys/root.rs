//! `remit keys root`: the ceremony, one file that goes from hand to hand.

mod tell;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use remit_broker::api::wire::RootList;
use remit_broker::signer::Signer;
use remit_seal::Digest;
use remit_seal::document::{DestroyRule, KeySpec, Root};
use remit_seal::verify;

use super::args::{RootCommand, WishArgs};
use super::dispatch;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::keys::ceremony::{self, Draft, Quorum, Wish, check_signed};
use crate::keys::{KeysDir, read_public};
use crate::output::now_ms;
use tell::tell;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const FILE_LEN_MAX: usize = 64 << 10;

/// Does what the command line says.
pub(super) async fn run(context: &Context, command: &RootCommand) -> Result<()> {
    let keys = context.keys()?;
    match command {
        RootCommand::New { name, wish, out } => {
            let name = match name {
                Some(name) => name.clone(),
                None => context.org()?.name().to_owned(),
            };
            if keys.root()?.is_some() {
                let message = "there is a root beside your keys already";
                let hint =
                    "change it with `remit keys root rotate`, or use another --keys-dir for another org";
                return Err(Failure::new(Exit::Refused, "cli.root_exists", message, hint));
            }
            let wanted = read_wish(context, wish, true).await?;
            let draft = Draft::of(ceremony::first(&name, &wanted, times(wish))?)?;
            finish(context, &keys, draft, None, out.as_deref()).await
        }
        RootCommand::Rotate { wish, out } => {
            let before = current(&keys)?.root;
            let wanted = read_wish(context, wish, false).await?;
            let draft = Draft::of(ceremony::next(&before, &wanted, times(wish))?)?;
            finish(context, &keys, draft, Some(&before), out.as_deref()).await
        }
        RootCommand::Sign { file, key } => {
            let before = keys.root()?.map(|bytes| Draft::read(&bytes)).transpose()?.map(|draft| draft.root);
            sign(context, &keys, file, key, before.as_ref()).await
        }
        RootCommand::Inspect { file, before } => inspect(context, &keys, file.as_deref(), before.as_deref()),
        RootCommand::Publish { file } => publish(context, &keys, file).await,
        RootCommand::Fetch { pin } => fetch(context, &keys, pin.as_deref()).await,
    }
}

fn times(wish: &WishArgs) -> (i64, i64) {
    let now_ms = now_ms();
    (now_ms, now_ms + i64::from(wish.days) * DAY_MS)
}

async fn read_wish(context: &Context, args: &WishArgs, is_first: bool) -> Result<Wish> {
    let all =
        |files: &[PathBuf]| files.iter().map(|file| read_public(file)).collect::<Result<Vec<KeySpec>>>();
    let dispatch = match &args.dispatch {
        Some(file) => Some(dispatch::read(file)?),
        None if args.dispatch_from_broker || is_first => {
            Some(dispatch::from_broker(&context.client()?).await?)
        }
        None => None,
    };
    Ok(Wish {
        root: all(&args.add_root)?,
        release: all(&args.add_release)?,
        dispatch,
        drop: args.drop.clone(),
        root_threshold: args.root_threshold,
        release_threshold: args.release_threshold,
        destroy: args.destroy_threshold.map(|threshold| DestroyRule { threshold }),
    })
}

/// The root beside the keys.
fn current(keys: &KeysDir) -> Result<Draft> {
    let bytes = keys.root()?.ok_or_else(|| {
        let hint = "make the first one: `remit keys root new`, or `remit org create`";
        Failure::new(Exit::NotFound, "cli.root_missing", "there is no root beside your keys", hint)
    })?;
    Draft::read(&bytes)
}

fn read(file: &Path) -> Result<Draft> {
    let bytes = std::fs::read(file).map_err(|e| Failure::file("read", file, &e))?;
    if bytes.len() > FILE_LEN_MAX {
        return Err(Failure::usage(
            format!("{} is larger than any root", file.display()),
            "is it the right file?",
        ));
    }
    Draft::read(&bytes)
}

/// Signs a new root with the keys that are here, writes it, and keeps it if nobody is missing.
async fn finish(
    context: &Context,
    keys: &KeysDir,
    mut draft: Draft,
    before: Option<&Root>,
    out: Option<&Path>,
) -> Result<()> {
    let hands = wanted(keys, &draft, before)?;
    if sign_with(&mut draft, before, hands).await? == 0 {
        let message = format!("none of the root keys that must sign is in {}", keys.path().display());
        let hint = "do this where a root key is, or say where it is with --keys-dir";
        return Err(Failure::new(Exit::NotFound, "cli.keys_missing", message, hint));
    }
    let file = out.map_or_else(|| format!("root.{}.json", draft.root.version).into(), Path::to_owned);
    if file.exists() {
        let message = format!("{} is there already", file.display());
        return Err(Failure::new(
            Exit::Refused,
            "cli.root_exists",
            message,
            "move it away, or say --out FILE",
        ));
    }
    write(&file, &draft)?;
    tell(context, &draft, before, &file)?;
    // Nothing comes before the first: it is whole when its own keys have signed.
    let is_whole = draft.quorums(before)?.iter().all(Quorum::is_met);
    if before.is_none() && is_whole { keys.keep_root(&draft.envelope.to_bytes()) } else { Ok(()) }
}

/// The keys of the directory that have something to say to it. What is under a passphrase is opened only
/// if it may be one of them.
fn wanted(keys: &KeysDir, draft: &Draft, before: Option<&Root>) -> Result<Vec<Signer>> {
    let entries = keys.entries()?;
    let may = entries.iter().filter(|entry| entry.id().is_none_or(|id| draft.wants(before, &id)));
    may.map(|entry| keys.open(entry)).collect()
}

async fn sign_with(draft: &mut Draft, before: Option<&Root>, hands: Vec<Signer>) -> Result<usize> {
    let wanted: Vec<Signer> = hands.into_iter().filter(|key| draft.wants(before, &key.id())).collect();
    for key in &wanted {
        key.countersign(&mut draft.envelope).await?;
    }
    Ok(wanted.len())
}

async fn sign(
    context: &Context,
    keys: &KeysDir,
    file: &Path,
    given: &[String],
    before: Option<&Root>,
) -> Result<()> {
    let mut draft = read(file)?;
    // Only of the root that this one follows are the keys those that must sign it too.
    let before =
        before.filter(|root| root.version + 1 == draft.root.version && root.vendor == draft.root.vendor);
    let mut hands = Vec::new();
    for word in given {
        hands.push(keys.named(word).await?);
    }
    if given.is_empty() {
        hands = wanted(keys, &draft, before)?;
    }
    if sign_with(&mut draft, before, hands).await? == 0 {
        let message = "none of your keys is a root key of this root or of the one before it";
        let hint = "see whose signatures are missing: `remit keys root inspect FILE`";
        return Err(Failure::new(Exit::Refused, "cli.keys_foreign", message, hint));
    }
    write(file, &draft)?;
    tell(context, &draft, before, file)
}

fn write(file: &Path, draft: &Draft) -> Result<()> {
    std::fs::write(file, draft.envelope.to_bytes()).map_err(|e| Failure::file("write", file, &e))
}

fn inspect(context: &Context, keys: &KeysDir, file: Option<&Path>, before: Option<&Path>) -> Result<()> {
    let draft = match file {
        Some(file) => read(file)?,
        None => current(keys)?,
    };
    let kept = match before {
        Some(file) => Some(read(file)?.root),
        None => keys.root()?.map(|bytes| Draft::read(&bytes)).transpose()?.map(|draft| draft.root),
    };
    let before = kept.filter(|root| root.version + 1 == draft.root.version);
    let file = file.map_or_else(|| keys.root_file(), Path::to_owned);
    tell(context, &draft, before.as_ref(), &file)
}

async fn publish(context: &Context, keys: &KeysDir, file: &Path) -> Result<()> {
    let draft = read(file)?;
    let bytes = draft.envelope.to_bytes();
    let before = current(keys)?;
    if before.root.version + 1 == draft.root.version {
        check_signed(&draft.quorums(Some(&before.root))?)?;
    }
    let org = context.org().map_or_else(|_| draft.root.vendor.clone(), |org| org.name().to_owned());
    let published = context.client()?.publish_root(&org, Bytes::from(bytes.clone())).await?;
    keys.keep_root(&bytes)?;
    context.format().answer(&published, || {
        let known = if published.duplicate { " (it was there already)" } else { "" };
        format!(
            "root version {} of {org} is published{known}\nsha256  {}",
            published.version, published.sha256
        )
    });
    Ok(())
}

async fn fetch(context: &Context, keys: &KeysDir, pin: Option<&str>) -> Result<()> {
    let client = context.client()?;
    let (mut kept, list) = match keys.root()? {
        Some(bytes) => {
            let list = client.roots(&Draft::read(&bytes)?.root.vendor).await?;
            (bytes, list)
        }
        None => {
            let list = client.roots(context.org()?.name()).await?;
            (pinned(&list, pin)?, list)
        }
    };
    let own = Draft::read(&kept)?.envelope.payload_digest();
    let mut trusted = verify::first_root(&kept, &own)?;
    let was = trusted.get().version;
    for info in list.roots.iter().filter(|info| info.version > was) {
        trusted = verify::next_root(&trusted, info.root.as_bytes())?;
        kept = info.root.clone().into_bytes();
    }
    keys.keep_root(&kept)?;
    let (version, sha256) = (trusted.get().version, trusted.digest().hex());
    let answer = serde_json::json!({ "version": version, "sha256": sha256, "was": was });
    context
        .format()
        .answer(&answer, || format!("the root beside your keys is version {version}\nsha256  {sha256}"));
    Ok(())
}

/// The root that is believed to begin with, on a machine that has none: the one with this digest.
fn pinned(list: &RootList, pin: Option<&str>) -> Result<Vec<u8>> {
    let Some(pin) = pin else {
        let hint = "say which one you believe: --pin SHA256, as `remit keys root inspect` shows it on a machine that \
                    has it; or make the first one: `remit keys root new`, `remit org create`";
        return Err(Failure::new(
            Exit::NotFound,
            "cli.root_missing",
            "there is no root beside your keys",
            hint,
        ));
    };
    let digest: Digest = format!("sha256:{}", pin.trim_start_matches("sha256:")).parse()?;
    let is_pinned = |bytes: &Vec<u8>| Draft::read(bytes).is_ok_and(|d| d.envelope.payload_digest() == digest);
    let mut all = list.roots.iter().map(|info| info.root.clone().into_bytes());
    all.find(is_pinned).ok_or_else(|| {
        let message = format!("the broker has no root with the digest {}", digest.hex());
        Failure::new(
            Exit::NotFound,
            "cli.root_missing",
            message,
            "is it the root of this org, at this broker?",
        )
    })
}
