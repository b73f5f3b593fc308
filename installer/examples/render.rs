//! Renders the template of an example install into the file named by the argument, so that tools
//! outside (cfn-lint in `cargo verify`) can look at it.
#![allow(clippy::unwrap_used)]

use remit_installer::render;

#[path = "../tests/example/facts.rs"]
mod facts;

fn main() {
    let path = std::env::args().nth(1).expect("give the file to write");
    let template = render(&facts::example()).unwrap();
    std::fs::write(&path, template.as_str()).unwrap();
    println!("{} bytes in {path}", template.as_str().len());
}
