//! Which install a runner is for: an id that was checked.

use std::str::FromStr;

use remit_seal::document::Audience;
use remit_seal::verify::is_name;

use super::Error;

/// An install's id that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install(Audience);

impl Install {
    /// The id, e.g. `ins_demo.shop.acme`.
    pub fn id(&self) -> String {
        self.0.install_id()
    }

    /// The audience that a job for this install and runner must name.
    pub fn audience(&self, epoch: u64, generation: u64) -> Audience {
        Audience { epoch, generation, ..self.0.clone() }
    }
}

impl FromStr for Install {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{id}` is not an install's id: it looks like ins_demo.shop.acme");
        Audience::of_install(id, 1, 1).map(Self).map_err(wrong)
    }
}

/// A channel's name that was checked.
pub(super) fn channel(name: String) -> Result<String, Error> {
    if is_name(&name) {
        return Ok(name);
    }
    let detail = format!("`{name}` is no name of a channel: use 1 to 40 of a-z, 0-9 and `-`");
    Err(Error::Invalid { name: "channel", detail })
}
