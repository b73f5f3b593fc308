//! Where the server's programs are: on the PATH, or where `cargo verify` sets them up.

use std::io;
use std::path::PathBuf;

pub(crate) fn find(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let this = std::env::current_exe()?;
    // Tests lie in target/debug/deps.
    let tools = this.ancestors().nth(3).map(|target| target.join("tools/kubernetes"));
    let mut files = std::env::split_paths(&path).chain(tools).map(|dir| dir.join(name));
    files.find(|file| file.is_file()).ok_or_else(|| {
        let words =
            format!("{name} is neither on the PATH nor in target/tools/kubernetes: run `cargo verify`");
        io::Error::new(io::ErrorKind::NotFound, words)
    })
}
