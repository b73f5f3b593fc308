//! Renders the templates of an example install into the files named by the arguments, with a one-time token and
//! with a declared role, so that tools outside (cfn-lint in `cargo verify`) can look at them.
#![allow(clippy::unwrap_used)]

use remit_installer::render;

#[path = "../tests/example/facts.rs"]
mod facts;

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(paths.len(), 2, "give two files to write");
    for (path, facts) in paths.iter().zip([facts::example(), facts::by_role()]) {
        let template = render(&facts).unwrap();
        std::fs::write(path, template.as_str()).unwrap();
        println!("{} bytes in {path}", template.as_str().len());
    }
}
