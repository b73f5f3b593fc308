//! `remit release`: from a folder to a signed release at the broker.

pub(super) mod permit;
mod preview;
pub(super) mod signer;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use remit_broker::api::wire::ReleaseAccepted;
use remit_broker::signer::Signer;
use remit_loops::ObjectId;
use remit_loops::release::Release;
use remit_loops::view::Detail;
use remit_seal::verify::NOTES_LEN_MAX;

use super::release_file;
use crate::args::ReleaseCommand;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure, More, Result};
use crate::keys::ceremony::{self, Life};
use crate::keys::{KeysDir, Role};
use crate::output::{Format, Table, now_ms, size};
use crate::product::{self, Loaded, Product, Severity, problem};
use crate::release::{self, Draft, Wish};

/// Cuts or lists releases.
pub(super) async fn run(context: &Context, command: ReleaseCommand) -> Result<()> {
    match command {
        ReleaseCommand::Sign { file, key } => release_file::sign(context, &file, key.as_deref()).await,
        ReleaseCommand::Publish { file, hold } => release_file::publish(context, &file, hold).await,
        ReleaseCommand::Create { version, counter, dry_run, save, notes, rollback_floor, hold, key } => {
            let loaded = load(context.product_dir()?)?;
            let maker = Maker { client: context.client()?, keys: context.keys()?, format: context.format() };
            let notes = notes.as_deref().map(read_notes).transpose()?.unwrap_or_default();
            let wish = Wish { version, counter, dry_run, save, notes, rollback_floor, hold, key };
            match maker.create(loaded, &wish).await? {
                Made::Published(made) => {
                    context.format().answer(&made, || release_file::published(&made));
                }
                Made::Saved { digest, file } => {
                    let answer = serde_json::json!({ "digest": digest, "file": file });
                    context.format().answer(&answer, || {
                        let file = file.display();
                        format!("the release is in {file}, signed by you; next: remit release sign {file}, then remit release publish {file}\n{digest}")
                    });
                }
                Made::Dry { digest, counter, version } => {
                    let answer =
                        serde_json::json!({ "digest": digest, "counter": counter, "version": version });
                    context.format().answer(&answer, || {
                        format!(
                            "release {version} (counter {counter}) is sound; nothing was published\n{digest}"
                        )
                    });
                }
            }
            Ok(())
        }
        ReleaseCommand::List => list(context).await,
        ReleaseCommand::PermitRollback(args) => permit::run(context, args).await,
        ReleaseCommand::Promote { version } => promote(context, version).await,
        ReleaseCommand::Preview { version, all } => preview::preview(context, version.as_deref(), all).await,
    }
}

/// The notes of a release, from a file.
fn read_notes(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|e| Failure::file("read", file, &e))?;
    if text.len() > NOTES_LEN_MAX {
        let message =
            format!("{} has {} bytes, notes have at most {NOTES_LEN_MAX}", file.display(), text.len());
        return Err(Failure::usage(message, "say what people must know, and link to the rest"));
    }
    Ok(text)
}

async fn promote(context: &Context, version: String) -> Result<()> {
    let app = context.app()?;
    let signal = remit_loops::app::Signal::Promote { version: version.clone() };
    let accepted = context.client()?.signal(&app, &signal, None).await?;
    context.format().answer(&accepted, || format!("release {version} is out for every install of {app}"));
    Ok(())
}

async fn list(context: &Context) -> Result<()> {
    let releases = releases(&context.client()?, &context.app()?).await?;
    context.format().answer(&releases, || {
        let mut table = Table::new(&["counter", "version", "channel", "components", "digest"]);
        for r in releases.iter().rev() {
            table.row([
                r.counter.to_string(),
                r.version.clone(),
                r.channel.clone(),
                r.components.len().to_string(),
                r.digest.clone(),
            ]);
        }
        table.render("no releases yet: `remit release create`")
    });
    Ok(())
}

/// The newest releases of an app, oldest first; none if there is no such app yet.
async fn releases(client: &Client, app: &ObjectId) -> Result<Vec<Release>> {
    match client.object(app).await {
        Ok(object) => match object.view.detail {
            Detail::App { releases, .. } => Ok(releases),
            _ => Ok(Vec::new()),
        },
        Err(failure) if failure.exit == Exit::NotFound => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// Reads a product's file.
pub(crate) fn load(dir: &Path) -> Result<Loaded> {
    product::load(dir).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            let message = format!("there is no {} in {}", product::FILE_NAME, dir.display());
            Failure::new(Exit::Usage, "cli.no_product", message, "make a product: `remit init`")
        }
        _ => Failure::file("read", &dir.join(product::FILE_NAME), &e),
    })
}

/// Shows what is worth a look and stops nothing.
pub(crate) fn print_notes(format: Format, loaded: &Loaded) {
    let notes: Vec<_> =
        loaded.checked.problems.iter().filter(|p| p.severity == Severity::Note).cloned().collect();
    if loaded.checked.product.is_some() && !notes.is_empty() {
        format.say(problem::render(&loaded.path, &loaded.text, &notes, true));
        format.say("");
    }
}

/// The product, or all that is wrong with it.
pub(crate) fn checked(loaded: Loaded) -> Result<Product> {
    let Loaded { path, text, checked, .. } = loaded;
    if let Some(product) = checked.product {
        return Ok(product);
    }
    let errors = checked.problems.iter().filter(|p| p.severity == Severity::Error).count();
    let code =
        checked.problems.iter().find(|p| p.severity == Severity::Error).map_or("cli.usage", |p| p.code);
    let message = format!("{path} has {errors} mistake{}", if errors == 1 { "" } else { "s" });
    let hint = format!("{message}; nothing was sent. See docs/errors/config.md");
    let mut failure = Failure::new(Exit::Usage, code, message, hint);
    let picture = problem::render(&path, &text, &checked.problems, true);
    let problems = problem::to_json(&path, &text, &checked.problems);
    failure.more = Some(Box::new(More { picture, details: serde_json::json!({ "problems": problems }) }));
    Err(failure)
}

/// What came of it.
pub(crate) enum Made {
    /// It is at the broker.
    Published(Box<ReleaseAccepted>),
    /// It is in a file.
    Saved {
        /// Its digest.
        digest: String,
        /// Which.
        file: PathBuf,
    },
    /// It would be.
    Dry {
        /// Its digest.
        digest: String,
        /// Its counter.
        counter: u64,
        /// Its version.
        version: String,
    },
}

/// Makes releases.
pub(crate) struct Maker {
    /// The broker.
    pub(crate) client: Client,
    /// The vendor's keys.
    pub(crate) keys: KeysDir,
    /// How to say what goes on.
    pub(crate) format: Format,
}

impl Maker {
    /// Checks, packs, signs, uploads and publishes.
    pub(crate) async fn create(&self, loaded: Loaded, wish: &Wish) -> Result<Made> {
        print_notes(self.format, &loaded);
        let dir = loaded.dir.clone();
        let product = checked(loaded)?;
        let app = ObjectId::new(remit_loops::Kind::App, &[&product.org, &product.app])
            .map_err(|e| Failure::usage(e.to_string(), ""))?;
        let (key, root) = self.signer(wish.key.as_deref()).await?;
        let counter = next_counter(&releases(&self.client, &app).await?, &product.channel, wish)?;
        let draft = self.draft(&product, &dir, wish, (counter, now_ms()))?;
        let signed = release::sign(&draft.document, &key, &root, now_ms()).await?;
        if wish.dry_run {
            let version = draft.document.version;
            return Ok(Made::Dry { digest: signed.digest.to_string(), counter, version });
        }
        self.upload(&product.org, draft).await?;
        if let Some(file) = &wish.save {
            std::fs::write(file, &signed.bytes).map_err(|e| Failure::file("write", file, &e))?;
            return Ok(Made::Saved { digest: signed.digest.to_string(), file: file.clone() });
        }
        let made = self.client.publish(&product.org, Bytes::from(signed.bytes), wish.hold).await?;
        Ok(Made::Published(Box::new(made)))
    }

    /// What signs, and the root by which that is believed.
    async fn signer(&self, key: Option<&str>) -> Result<(Signer, Vec<u8>)> {
        if self.keys.entries()?.is_empty() && key.is_none() {
            // Keys come first: without one there can be no root either.
            self.keys.load(Role::Release)?;
        }
        let bytes = self.keys.root()?.ok_or_else(|| {
            let message = "your org has no trust root yet";
            Failure::new(Exit::Refused, "cli.root_missing", message, "make the org first: `remit org create`")
        })?;
        let root = ceremony::Draft::read(&bytes)?.root;
        if let Some(warning) = Life::of(root.expires_ms, now_ms()).warning() {
            self.format.say(warning);
        }
        let signer = match key {
            Some(word) => self.keys.named(word).await?,
            None => self.keys.for_releases(&root)?,
        };
        Ok((signer, bytes))
    }

    fn draft(&self, product: &Product, dir: &Path, wish: &Wish, at: (u64, i64)) -> Result<Draft> {
        let bar = self.bar("pack", product.components.len() as u64, "{pos}/{len}");
        let draft = release::draft(product, dir, wish, at, &mut |name, package| {
            let line =
                format!("packed {name}: {} files, {}", package.files, size(package.bytes.len() as u64));
            bar.println(line);
            bar.inc(1);
        });
        bar.finish_and_clear();
        draft
    }

    async fn upload(&self, org: &str, draft: Draft) -> Result<()> {
        let total = draft.packages.values().map(|p| p.bytes.len() as u64).sum();
        let bar = self.bar("send", total, "{bytes}/{total_bytes}");
        for (digest, package) in draft.packages {
            let len = package.bytes.len() as u64;
            if !self.client.has_artifact(org, &digest).await? {
                self.client.put_artifact(org, &digest, Bytes::from(package.bytes)).await?;
            }
            bar.inc(len);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// A progress bar on a terminal; nothing anywhere else.
    fn bar(&self, what: &'static str, len: u64, figures: &str) -> ProgressBar {
        if self.format == Format::Json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(&format!("  {{prefix}} [{{bar:30}}] {figures}"))
            .expect("the template is fixed and right");
        ProgressBar::new(len).with_prefix(what).with_style(style)
    }
}

/// The counter of the next release: greater than all before.
fn next_counter(releases: &[Release], channel: &str, wish: &Wish) -> Result<u64> {
    let newest = releases.iter().filter(|r| r.channel == channel).map(|r| r.counter).max().unwrap_or(0);
    if let Some(taken) = releases.iter().find(|r| Some(&r.version) == wish.version.as_ref()) {
        let message =
            format!("version {} is taken by the release with counter {}", taken.version, taken.counter);
        let hint = "a release never changes: choose another version";
        return Err(Failure::new(Exit::Refused, "cli.version_taken", message, hint));
    }
    match wish.counter {
        Some(counter) if counter <= newest => {
            let message = format!("counter {counter} is not newer: channel `{channel}` is at {newest}");
            let hint = format!("leave --counter out, or take {} or more", newest + 1);
            Err(Failure::new(Exit::Refused, "cli.counter_not_newer", message, hint))
        }
        Some(counter) => Ok(counter),
        None => Ok(newest + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_only_grows() {
        let release = |counter, channel: &str, version: &str| Release {
            digest: String::new(),
            counter,
            version: version.into(),
            channel: channel.into(),
            rollback_floor: 1,
            permits: vec![],
            approvals: std::collections::BTreeMap::new(),
            terms: Default::default(),
            healing: Default::default(),
            components: vec![],
            inputs: Default::default(),
        };
        let all = [release(3, "stable", "1.0"), release(9, "beta", "2.0"), release(4, "stable", "1.1")];
        let wish = |counter, version: Option<&str>| Wish {
            counter,
            version: version.map(str::to_owned),
            ..Wish::default()
        };
        let check = |w: &Wish| next_counter(&all, "stable", w).map_err(|f| f.code);
        assert_eq!(check(&wish(None, None)), Ok(5));
        assert_eq!(check(&wish(Some(7), Some("1.2"))), Ok(7));
        assert_eq!(check(&wish(Some(4), None)), Err("cli.counter_not_newer".into()));
        assert_eq!(check(&wish(None, Some("1.0"))), Err("cli.version_taken".into()));
        assert_eq!(next_counter(&[], "stable", &wish(None, None)), Ok(1));
    }
}
