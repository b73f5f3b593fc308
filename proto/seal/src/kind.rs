//! Kinds of components, and what each of them can do: the only file that tells kinds apart.
//!
//! Who needs to know whether a kind has something asks its `Traits`; nobody else compares kinds. A kind whose
//! executor does not exist yet can do nothing that only an executor gives.

use serde::{Deserialize, Serialize};

/// What runs a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// A terraform module.
    Terraform,
    /// A helm chart.
    Helm,
    /// Kubernetes manifests.
    Kubernetes,
    /// A container image to be brought into the customer's registry.
    Image,
    /// Programs of the vendor's own.
    Script,
}

/// What a kind of component can do, and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The word for it in files and on screens.
    pub word: &'static str,
    /// Its components name the vendor's own programs, one at least.
    pub has_commands: bool,
    /// Its source may do what no plan shows, and declares it (`verify::is_escape`).
    pub has_escapes: bool,
    /// Its components can have a health probe.
    pub has_probe: bool,
    /// A plan shows beforehand what a change of it does.
    pub is_planned: bool,
    /// It keeps records of what it made, which can take over what is there already.
    pub keeps_records: bool,
    /// The program that it needs and Remit does not bring.
    pub tool: Option<NeededTool>,
    /// Names of what its tool leaves in a source's folder, which is neither packed nor committed. A `*` at the
    /// beginning or the end of one stands for any text.
    pub leftovers: &'static [&'static str],
}

/// A program that must be there before components of a kind can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeededTool {
    /// Its name on the PATH.
    pub program: &'static str,
    /// Another that takes the same commands, for who has only that.
    pub alternative: Option<&'static str>,
    /// Where people get it.
    pub home: &'static str,
}

impl NeededTool {
    /// The names to look for, the first one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.program).chain(self.alternative)
    }
}

/// A kind that nothing carries out but rehearsals.
const REHEARSED: Traits = Traits {
    word: "",
    has_commands: false,
    has_escapes: false,
    has_probe: false,
    is_planned: false,
    keeps_records: false,
    tool: None,
    leftovers: &[],
};

impl ComponentKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Terraform, Self::Helm, Self::Kubernetes, Self::Image, Self::Script];

    /// What components of this kind can do.
    pub const fn traits(self) -> Traits {
        match self {
            Self::Terraform => Traits {
                word: "terraform",
                has_escapes: true,
                is_planned: true,
                keeps_records: true,
                tool: Some(NeededTool {
                    program: "terraform",
                    alternative: Some("tofu"),
                    home: "https://developer.hashicorp.com/terraform/install",
                }),
                leftovers: &[".terraform", "terraform.tfstate.d", "*.tfstate", "*.tfstate.*"],
                ..REHEARSED
            },
            Self::Helm => Traits { word: "helm", ..REHEARSED },
            Self::Kubernetes => Traits { word: "kubernetes", ..REHEARSED },
            Self::Image => Traits { word: "image", ..REHEARSED },
            Self::Script => Traits { word: "script", has_commands: true, has_probe: true, ..REHEARSED },
        }
    }

    /// The word for it in files and on screens.
    pub const fn as_str(self) -> &'static str {
        self.traits().word
    }
}
