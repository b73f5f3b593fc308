//! The terraform modules of the example product, with the real terraform: what they make, that a file
//! changed or removed behind terraform's back is seen by a plan and healed by one apply, and that destroy
//! leaves nothing. The journeys rest on this.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// One module in a directory of its own, with its inputs.
struct Module {
    directory: tempfile::TempDir,
}

impl Module {
    fn new(name: &str, site: &Path, mut inputs: Value) -> Module {
        let directory = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("products/shop").join(name);
        for file in fs::read_dir(source).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
        }
        inputs["site_dir"] = json!(site);
        fs::write(directory.path().join("inputs.json"), inputs.to_string()).unwrap();
        fs::write(directory.path().join("empty.rc"), "").unwrap();
        let module = Module { directory };
        assert_eq!(module.run(&["init"]), 0);
        module
    }

    fn terraform(&self, args: &[&str]) -> Output {
        Command::new(remit_tofu::program())
            .args(args)
            .current_dir(self.directory.path())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("TF_CLI_CONFIG_FILE", self.directory.path().join("empty.rc"))
            .output()
            .unwrap()
    }

    fn run(&self, args: &[&str]) -> i32 {
        let out = self.terraform(args);
        let code = out.status.code().unwrap();
        if ![0, 2].contains(&code) {
            panic!("terraform {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        }
        code
    }

    /// 0: nothing to do; 2: something.
    fn plan(&self) -> i32 {
        self.run(&["plan", "-var-file=inputs.json", "-out=plan.bin", "-detailed-exitcode"])
    }

    fn apply(&self) {
        assert_eq!(self.run(&["apply", "plan.bin"]), 0);
    }

    fn outputs(&self) -> Value {
        serde_json::from_slice(&self.terraform(&["output", "-json"]).stdout).unwrap()
    }
}

fn lifecycle(name: &str, inputs: Value, output: &str) {
    let site = tempfile::tempdir().unwrap();
    let file: PathBuf = site.path().join(format!("{name}.conf"));
    let module = Module::new(name, site.path(), inputs);

    assert_eq!(module.plan(), 2);
    module.apply();
    let made = fs::read_to_string(&file).unwrap();
    let outputs = module.outputs();
    assert!(!outputs[output]["value"].is_null());
    assert_eq!(module.plan(), 0, "a second plan has nothing to do");

    fs::write(&file, "somebody was here\n").unwrap();
    assert_eq!(module.plan(), 2, "a changed file is drift");
    module.apply();
    assert_eq!(fs::read_to_string(&file).unwrap(), made);
    assert_eq!(module.plan(), 0, "one apply heals");

    fs::remove_file(&file).unwrap();
    assert_eq!(module.plan(), 2, "a file that is gone is drift");
    module.apply();
    assert_eq!(module.plan(), 0);
    assert_eq!(module.outputs(), outputs, "healing changes no output");

    assert_eq!(module.run(&["destroy", "-auto-approve", "-var-file=inputs.json"]), 0);
    assert_eq!(fs::read_dir(site.path()).unwrap().count(), 0, "destroy leaves nothing");
}

#[test]
fn network() {
    lifecycle("network", json!({ "cidr": "10.0.0.0/16", "size": 2 }), "subnets");
}

#[test]
fn database() {
    lifecycle("database", json!({ "subnet": "10.0.0.0/24" }), "password");
}

#[test]
fn queue() {
    lifecycle("queue", json!({ "subnets": ["10.0.0.0/24", "10.0.1.0/24"], "workers": 3 }), "url");
}
