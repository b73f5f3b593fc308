//! The terraform that tests run: the real one where the PATH has it, else OpenTofu, there or where `cargo verify` has
//! set it up. Without either a test fails: what it says of terraform was then not looked at.

use std::ffi::OsString;
use std::path::PathBuf;

/// By which names a runner looks for it, too.
const NAMES: [&str; 2] = ["terraform", "tofu"];

/// The program.
///
/// # Panics
/// There is none.
pub fn program() -> PathBuf {
    let directories = directories();
    let of_name = |name: &&str| directories.iter().map(|dir| dir.join(name)).find(|file| file.is_file());
    let found = NAMES.iter().find_map(of_name);
    found.expect(
        "terraform or tofu is needed: `cargo verify parts` sets it up, or put one of them on the PATH",
    )
}

/// A PATH on which a runner finds the program.
///
/// # Panics
/// There is none.
pub fn path() -> OsString {
    program();
    std::env::join_paths(directories())
        .expect("they were split from a PATH, or are below a directory of one word")
}

/// Those of the PATH, then the place of the one that was set up.
fn directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Tests lie in target/debug/deps, benches in target/release/deps.
    let this = std::env::current_exe().ok();
    let tools = this.and_then(|this| Some(this.ancestors().nth(3)?.join("tools/opentofu")));
    std::env::split_paths(&path).chain(tools).collect()
}
