//! Releases that declare what their sources do beyond what a plan shows: rightly, and wrongly.

use remit_seal::verify::ESCAPES_MAX;

use crate::cases::Case;
use crate::world::World;

pub(crate) const DECLARING: &[Case] = &[
    ("escapes_declared", |w| declare(w, 0, &["local-exec", "module:hashicorp/consul/aws"]), "ok"),
    ("escapes_most", |w| many(w, ESCAPES_MAX), "ok"),
    ("escapes_too_many", |w| many(w, ESCAPES_MAX + 1), "seal.escapes"),
    ("escape_that_there_is_not", |w| declare(w, 0, &["shell"]), "seal.escapes"),
    ("escape_among_good_ones", |w| declare(w, 0, &["external", "module:a b"]), "seal.escapes"),
    ("escape_of_a_script", |w| declare(w, 1, &["local-exec"]), "seal.escapes"),
    (
        "signed_escape_as_text",
        |w| {
            declare(w, 0, &["http"]);
            w.release_text = |t| t.replace("[\"http\"]", "\"http\"");
        },
        "seal.document_invalid",
    ),
];

fn declare(world: &mut World, component: usize, names: &[&str]) {
    world.release.components[component].escapes = names.iter().map(|name| (*name).to_owned()).collect();
}

fn many(world: &mut World, count: usize) {
    world.release.components[0].escapes = (0..count).map(|n| format!("module:m{n}")).collect();
}
