//! Where a command works: which broker, whose token, which org and app; and what a short name means.

use std::path::{Path, PathBuf};

use clap::Args;
use remit_loops::{Kind, ObjectId};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::client::{Client, Options};
use crate::failure::{Exit, Failure, Result};
use crate::keys::{self, KeysDir};
use crate::output::Format;
use crate::product;

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Globals {
    /// The broker's address.
    #[arg(long, global = true, env = "REMIT_BROKER", value_name = "URL", help_heading = "Broker")]
    pub broker: Option<String>,
    /// The broker's certificate authority (ca.pem in its data directory).
    #[arg(long, global = true, env = "REMIT_CA_FILE", value_name = "FILE", help_heading = "Broker")]
    pub ca_file: Option<PathBuf>,
    /// The file that holds your token; or put the token into REMIT_TOKEN.
    #[arg(long, global = true, env = "REMIT_TOKEN_FILE", value_name = "FILE", help_heading = "Broker")]
    pub token_file: Option<PathBuf>,
    /// The org; otherwise the one in the nearest remit.toml.
    #[arg(long, global = true, env = "REMIT_ORG", value_name = "NAME", help_heading = "Product")]
    pub org: Option<String>,
    /// The app; otherwise the one in the nearest remit.toml.
    #[arg(long, global = true, env = "REMIT_APP", value_name = "NAME", help_heading = "Product")]
    pub app: Option<String>,
    /// Where the vendor's keys are; otherwise .remit/keys beside the nearest remit.toml.
    #[arg(long, global = true, env = "REMIT_KEYS_DIR", value_name = "DIR", help_heading = "Product")]
    pub keys_dir: Option<PathBuf>,
    /// The file with the passphrase of your private keys, where they have one; `-` for standard input.
    #[arg(
        long,
        global = true,
        env = "REMIT_KEY_PASSPHRASE_FILE",
        value_name = "FILE",
        help_heading = "Product"
    )]
    pub key_passphrase_file: Option<PathBuf>,
    /// How to answer.
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

/// Where a command works.
#[derive(Clone, Debug, Default)]
pub struct Context {
    globals: Globals,
    /// The folder of the nearest product.
    product_dir: Option<PathBuf>,
}

/// As much of a product's file as says whose it is.
#[derive(Default, Deserialize)]
struct Head {
    #[serde(default)]
    app: HeadApp,
}

#[derive(Default, Deserialize)]
struct HeadApp {
    org: Option<String>,
    name: Option<String>,
}

impl Context {
    /// For these options, in this folder.
    pub fn new(globals: Globals, cwd: &Path) -> Self {
        Self { globals, product_dir: product::find_upwards(cwd) }
    }

    /// How to answer.
    pub fn format(&self) -> Format {
        self.globals.output
    }

    /// The folder of the product: the nearest remit.toml's.
    pub fn product_dir(&self) -> Result<&Path> {
        self.product_dir.as_deref().ok_or_else(|| {
            let message = format!("there is no {} here or in a folder above", product::FILE_NAME);
            Failure::new(
                Exit::Usage,
                "cli.no_product",
                message,
                "go to your product's folder, or make one: `remit init`",
            )
        })
    }

    /// The keys.
    pub fn keys(&self) -> Result<KeysDir> {
        let dir = match &self.globals.keys_dir {
            Some(dir) => KeysDir::new(dir),
            None => KeysDir::new(self.product_dir()?.join(keys::DIR_DEFAULT)),
        };
        dir.with_passphrase(self.globals.key_passphrase_file.as_ref())
    }

    /// The org's id.
    pub fn org(&self) -> Result<ObjectId> {
        let name = self.name("org", &self.globals.org, |head| head.org)?;
        ObjectId::new(Kind::Org, &[&name]).map_err(|e| Failure::usage(e.to_string(), ""))
    }

    /// The app's id.
    pub fn app(&self) -> Result<ObjectId> {
        let name = self.name("app", &self.globals.app, |head| head.name)?;
        self.org()?.child(&name).map_err(|e| Failure::usage(e.to_string(), ""))
    }

    fn name(
        &self,
        what: &str,
        given: &Option<String>,
        pick: impl Fn(HeadApp) -> Option<String>,
    ) -> Result<String> {
        given.clone().or_else(|| pick(self.head())).ok_or_else(|| {
            let hint = format!("give --{what}, or go to the folder of your product's remit.toml");
            Failure::usage(format!("which {what}?"), hint)
        })
    }

    /// Read loosely: a mistake elsewhere in the file must not stop a query.
    fn head(&self) -> HeadApp {
        let text =
            self.product_dir.as_ref().and_then(|d| std::fs::read_to_string(d.join(product::FILE_NAME)).ok());
        text.and_then(|t| toml::from_str::<Head>(&t).ok()).unwrap_or_default().app
    }

    /// What a target means: a whole id, `acme` (an install), `acme/network` (a component of
    /// it), `acme@runner`, `@app` or `@org`.
    pub fn target(&self, text: &str) -> Result<ObjectId> {
        if text.contains('_') {
            return text
                .parse()
                .map_err(|e: remit_loops::id::IdError| Failure::usage(e.to_string(), TARGETS));
        }
        let wrong = |e: remit_loops::id::IdError| Failure::usage(e.to_string(), TARGETS);
        match text {
            "@org" => return self.org(),
            "@app" => return self.app(),
            _ => {}
        }
        if let Some((install, component)) = text.split_once('/') {
            return self.app()?.child(install).and_then(|i| i.child(component)).map_err(wrong);
        }
        if let Some(install) = text.strip_suffix("@runner") {
            let install = self.app()?.child(install).map_err(wrong)?;
            return install.runner().ok_or_else(|| Failure::usage("no such runner", TARGETS));
        }
        self.app()?.child(text).map_err(wrong)
    }

    /// A target that must be an install.
    pub fn install(&self, text: &str) -> Result<ObjectId> {
        let id = self.target(text)?;
        match id.kind() {
            Kind::Install => Ok(id),
            kind => Err(Failure::usage(format!("{id} is of kind {kind}, not an install"), TARGETS)),
        }
    }

    /// The broker's address, and the file with its certificate authority.
    pub fn broker(&self) -> Result<(&str, &Path)> {
        let unset = |what, how| Failure::usage(format!("{what} is not known"), unset_hint(how));
        let broker = self.globals.broker.as_deref();
        let broker = broker.ok_or_else(|| unset("the broker's address", "set REMIT_BROKER"))?;
        if !broker.starts_with("https://") {
            let hint = "write it like https://127.0.0.1:7450; nothing is ever sent in the clear";
            return Err(Failure::usage(format!("`{broker}` is no https address"), hint));
        }
        let ca_file = self.globals.ca_file.as_deref();
        Ok((broker, ca_file.ok_or_else(|| unset("the broker's authority", "set REMIT_CA_FILE"))?))
    }

    /// The broker.
    pub fn client(&self) -> Result<Client> {
        let (broker, ca_file) = self.broker()?;
        let ca_pem = std::fs::read(ca_file).map_err(|e| Failure::file("read", ca_file, &e))?;
        let token = match (&self.globals.token_file, std::env::var("REMIT_TOKEN")) {
            (Some(file), _) => std::fs::read_to_string(file).map_err(|e| Failure::file("read", file, &e))?,
            (None, Ok(token)) => token,
            (None, Err(_)) => {
                return Err(Failure::usage("your token is not known", unset_hint("set REMIT_TOKEN_FILE")));
            }
        };
        Client::new(&Options { broker: broker.to_owned(), ca_pem, token: Zeroizing::new(token) })
    }
}

fn unset_hint(how: &str) -> String {
    format!("{how}; `remit-broker serve` prints what to export, `remit dev` too")
}

const TARGETS: &str = "a target is an install (`acme`), its component (`acme/network`), its runner (`acme@runner`), `@app`, `@org`, or a whole id (`ins_demo.shop.acme`)";

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> (Context, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("remit.toml"), "broken = 1\n[app]\norg = \"demo\"\nname = \"shop\"\n")
            .unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        (Context::new(Globals::default(), &dir.path().join("a/b")), dir)
    }

    #[test]
    fn short_names_mean_ids() {
        let (context, _dir) = context();
        for (text, want) in [
            ("acme", "ins_demo.shop.acme"),
            ("acme/network", "cmp_demo.shop.acme.network"),
            ("acme@runner", "run_demo.shop.acme"),
            ("@app", "app_demo.shop"),
            ("@org", "org_demo"),
            ("ins_other.x.y", "ins_other.x.y"),
        ] {
            assert_eq!(context.target(text).unwrap().to_string(), want);
        }
        for text in ["", "Acme", "a.b", "a/b/c", "ins_a", "xyz_a"] {
            assert_eq!(context.target(text).unwrap_err().exit, Exit::Usage, "{text}");
        }
        assert!(context.install("acme/network").is_err());
    }

    #[test]
    fn nothing_is_sent_in_the_clear() {
        let globals = Globals { broker: Some("http://127.0.0.1:1".into()), ..Globals::default() };
        let refused = Context::new(globals, Path::new("/")).client().err().unwrap();
        assert_eq!(refused.code, "cli.usage");
    }
}
