//! What a parent and its children tell each other, of whatever kinds they are. Data only.

use serde::{Deserialize, Serialize};

use crate::freeze::Freeze;
use crate::standing::Standing;

/// What a child tells its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToParent {
    /// To a parent: I exist now and want to know how you are.
    ChildCreated,
    /// To a parent: nothing of me is left.
    ChildGone,
}

/// What a parent tells its child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToChild {
    /// To a child: this is how your parent is now.
    ParentIs(Standing),
    /// To a child: what is new in you is a sandbox (or no longer).
    Sandbox(bool),
    /// To a child: these freezes hold for you.
    FreezesAre(Vec<Freeze>),
}
