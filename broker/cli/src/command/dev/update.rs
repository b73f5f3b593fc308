//! The second half: another release, drift found and healed, teardown, and nothing left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use remit_loops::view::{Detail, View};
use remit_loops::{Kind, ObjectId, app, install, org};
use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::world::{World, failed, files, release, settle};
use super::{checked, step};
use crate::client::Event;
use crate::failure::{Failure, Result};
use crate::output::YELLOW;
use crate::product;

/// What is written behind terraform's back.
const TAMPERING: &str = "\n# somebody changed this by hand\n";

/// The rest of the journey.
pub(super) async fn rest(world: &mut World) -> Result<()> {
    let before = deployed(world).await?;
    change_product(&world.dir.product())?;
    let version = release(world, "A second release").await?;
    step("The install takes it by itself, as soon as it comes out");
    settle(world, &[]).await?;
    let after = deployed(world).await?;
    if after != version {
        return Err(failed(format!("the install is on release {after}, not {version}")));
    }
    checked(&format!("it went from release {before} to {after}"));
    drift(world).await?;
    teardown(world).await
}

/// The version that the install is on.
async fn deployed(world: &World) -> Result<String> {
    match world.client.object(&world.install).await?.view.detail {
        Detail::Install { release: Some(release), .. } => Ok(release.version),
        _ => Err(failed("the install is on no release")),
    }
}

/// Changes a fixed text of the product; where there is none, adds a file to its first component.
fn change_product(dir: &Path) -> Result<()> {
    let file = dir.join(product::FILE_NAME);
    let text = std::fs::read_to_string(&file).map_err(|e| Failure::file("read", &file, &e))?;
    if let Some(changed) = change_text(&text) {
        return std::fs::write(&file, changed).map_err(|e| Failure::file("write", &file, &e));
    }
    let loaded = product::load(dir).map_err(|e| Failure::file("read", &file, &e))?;
    let first = loaded.checked.product.as_ref().and_then(|p| p.components.first());
    let source = first.map(|c| c.source.clone()).ok_or_else(|| failed("the product has no component"))?;
    let added = dir.join(source).join("SECOND-RELEASE");
    std::fs::write(&added, "made by `remit dev`\n").map_err(|e| Failure::file("write", &added, &e))
}

/// The file with the first fixed text input changed, if it has one.
fn change_text(text: &str) -> Option<String> {
    let table = DeTable::parse(text).ok()?;
    let inputs = table.get_ref().get("inputs")?.get_ref().as_table()?.values();
    let mut defaults = inputs.filter_map(|input| {
        let fields = input.get_ref().as_table()?;
        let fixed = fields.get("authority")?.get_ref().as_str() == Some("fixed");
        let free = fields.get("choices").is_none();
        let default = fields.get("default").filter(|d| matches!(d.get_ref(), DeValue::String(_)))?;
        (fixed && free).then_some(default)
    });
    let default = defaults.next()?;
    let new = toml::Value::String(format!("{} again", default.get_ref().as_str()?));
    let mut changed = text.to_owned();
    changed.replace_range(default.span(), &new.to_string());
    Some(changed)
}

/// Changes a file behind terraform's back, lets it be found, and mended.
async fn drift(world: &mut World) -> Result<()> {
    let site = world.dir.site();
    let whole = files(&site)?;
    if world.prepared.sandbox {
        anstream::println!(
            "\n{YELLOW}SKIPPED:{YELLOW:#} drift: all was rehearsed, so there is nothing real to change"
        );
        return Ok(());
    }
    let target = managed(&whole).ok_or_else(|| failed("the product made no file that could drift"))?;
    step(&format!("Somebody changes {} behind terraform's back", target.display()));
    let path = site.join(&target);
    let text = format!("{}{TAMPERING}", String::from_utf8_lossy(&whole[&target]));
    std::fs::write(&path, text).map_err(|e| Failure::file("write", &path, &e))?;
    check(world).await?;
    let found = drifted(world).await?;
    if found.is_empty() {
        return Err(failed(format!("{} was changed and no drift was found", path.display())));
    }
    for (component, summary) in &found {
        checked(&format!("drift found in {component}: {summary}"));
    }
    step("Heal it");
    signal(world, &world.install, &install::Signal::Heal {}).await?;
    settle(world, &[]).await?;
    if files(&site)? != whole {
        return Err(failed(format!("{} is not as it was deployed, after healing", site.display())));
    }
    check(world).await?;
    let left: Vec<String> = drifted(world).await?.into_iter().map(|(name, _)| name).collect();
    if !left.is_empty() {
        return Err(failed(format!("after healing there is still drift in {}", left.join(", "))));
    }
    checked("every file is as it was deployed, and a new check finds no drift");
    Ok(())
}

/// The file to change: the example's terraform modules write `.conf` files; else any.
fn managed(files: &BTreeMap<PathBuf, Vec<u8>>) -> Option<PathBuf> {
    let conf = |p: &&PathBuf| p.extension().is_some_and(|e| e == "conf");
    files.keys().find(conf).or_else(|| files.keys().next()).cloned()
}

/// Has the world compared with what was deployed, and waits for the answer.
async fn check(world: &mut World) -> Result<()> {
    signal(world, &world.install, &install::Signal::CheckDrift {}).await?;
    settle(world, &["drifted"]).await
}

/// The components that have drifted, and how.
async fn drifted(world: &World) -> Result<Vec<(String, String)>> {
    let view = world.client.object(&world.install).await?.view;
    let Detail::Install { components, .. } = view.detail else { return Err(failed("it is no install")) };
    Ok(components.into_iter().filter_map(|c| c.facts.drift.map(|d| (c.name, d.summary))).collect())
}

/// Deletes the install, the app and the org, and makes sure that nothing is left.
async fn teardown(world: &mut World) -> Result<()> {
    step("Tear everything down");
    signal(world, &world.install, &install::Signal::Delete {}).await?;
    settle(world, &[]).await?;
    let org = world.app.parent().ok_or_else(|| failed("an app has an org"))?;
    signal(world, &world.app, &app::Signal::Delete {}).await?;
    gone(world, &world.app).await?;
    signal(world, &org, &org::Signal::Delete {}).await?;
    gone(world, &org).await?;
    step("Is anything left?");
    nothing_alive(world, &org).await?;
    checked("no org, app, install or component is alive at the broker");
    let left: Vec<String> = files(&world.dir.site())?.keys().map(|f| f.display().to_string()).collect();
    if !left.is_empty() {
        return Err(failed(format!("left in {}: {}", world.dir.site().display(), left.join(", "))));
    }
    checked(&format!("no file is left in {}", world.dir.site().display()));
    let left = runner_left(&world.dir.runner())?;
    if !left.is_empty() {
        return Err(failed(format!("the runner still holds: {}", left.join(", "))));
    }
    checked("the runner holds no state, no outputs, no work");
    Ok(())
}

/// Waits until an object says that it is deleted.
async fn gone(world: &World, id: &ObjectId) -> Result<()> {
    let mut events = world.client.events(id).await?;
    while let Some(event) = events.next().await? {
        if matches!(&event, Event::View(object) if object.view.status.word == "deleted") {
            checked(&format!("{id} is deleted"));
            return Ok(());
        }
    }
    Err(failed(format!("{id} was never deleted")))
}

async fn nothing_alive(world: &World, org: &ObjectId) -> Result<()> {
    let mut alive = Vec::new();
    for kind in [Kind::Org, Kind::App, Kind::Install, Kind::Component] {
        let objects = world.client.objects(kind, org).await?;
        alive.extend(objects.into_iter().filter(|o| is_alive(&o.view)).map(|o| o.view.id.to_string()));
    }
    if alive.is_empty() { Ok(()) } else { Err(failed(format!("still there: {}", alive.join(", ")))) }
}

fn is_alive(view: &View) -> bool {
    match &view.detail {
        Detail::Component { facts, job } => facts.may_exist || job.is_some(),
        _ => view.status.word != "deleted",
    }
}

async fn signal(world: &World, id: &ObjectId, signal: &impl Serialize) -> Result<()> {
    world.client.signal(id, signal, None).await.map(|_| ())
}

/// What a runner that has nothing must not hold: state, outputs, work in hand.
fn runner_left(dir: &Path) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for folder in ["state", "outputs", "rehearsal", "work"] {
        let path = dir.join(folder);
        if path.is_dir() {
            left.extend(files(&path)?.keys().map(|f| format!("{folder}/{}", f.display())));
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_release_changes_a_fixed_text_and_nothing_else() {
        let text = "# top\n[inputs.a]\nauthority = \"broker\"\ndefault = \"x\"\n[inputs.b]\nauthority = \"fixed\"\ndefault = \"say \\\"hi\\\"\" # why\n";
        let changed = change_text(text).unwrap();
        assert_eq!(changed.lines().count(), text.lines().count());
        assert!(changed.ends_with(" # why\n") && changed.starts_with("# top\n"), "{changed}");
        let value: toml::Value = toml::from_str(&changed).unwrap();
        assert_eq!(value["inputs"]["b"]["default"].as_str(), Some("say \"hi\" again"));
        assert_eq!(change_text("version = 1\n"), None);
        assert_eq!(change_text("[inputs.a]\nauthority = \"fixed\"\ndefault = 3\n"), None);
    }
}
