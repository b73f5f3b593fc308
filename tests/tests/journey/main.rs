//! End to end with real processes, real terraform and real scripts: the journey as the README tells it,
//! and the journey with bad luck.
#![allow(clippy::unwrap_used)]

mod approvals;
mod attested;
mod backups;
mod brokers;
mod by_hand;
mod canary;
mod dev;
mod drift;
mod health;
mod kills;
mod kms;
mod kms_refusals;
mod misfortune;
mod proxies;
mod readme;
mod rehearsals;
mod rules;
mod strangers;
mod tools;
mod updates;
mod webhooks;

use remit_tests::world::World;

/// A broker with an org, its keys and a first release of this product.
pub(crate) fn vendor(product: &str) -> World {
    vendor_in(World::start(product).unwrap())
}

/// The same in this world.
pub(crate) fn vendor_in(world: World) -> World {
    for command in [&["keys", "init"][..], &["org", "create"], &["release", "create"]] {
        world.remit(command).unwrap();
    }
    world
}

/// An install with a runner, its inputs given as the vendor does.
pub(crate) fn customer(world: &mut World, name: &str, inputs: &[&str]) -> String {
    let directory = world.path(&format!("for-{name}"));
    std::fs::create_dir(&directory).unwrap();
    let mut command = vec!["install", "create", name, "--out-dir", directory.to_str().unwrap()];
    for input in inputs {
        command.extend(["--input", input]);
    }
    world.remit(&command).unwrap();
    let product = std::fs::read_to_string(world.path("product/remit.toml")).unwrap();
    let product: toml::Table = product.parse().unwrap();
    let id = format!("ins_demo.{}.{name}", product["app"]["name"].as_str().unwrap());
    world.start_runner(&id).unwrap();
    id
}
