//! The large sets of a state, page by page: a host may keep each page apart, and write those that changed.
//!
//! Only an app has such sets, and only a large one has pages: its installs, and who is how far in its rollout.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::app::rollout::members::Page as MembersPage;
use crate::id::ObjectId;

/// One page of a state, as it is now.
#[derive(Clone, Debug)]
pub struct Page {
    number: u64,
    of: Of,
}

/// What is on it.
#[derive(Clone, Debug)]
enum Of {
    Children(Arc<BTreeSet<ObjectId>>),
    Members(Arc<MembersPage>),
}

/// What a page holds, as it is written and read.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Content(pub(crate) Form);

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    Children(BTreeSet<ObjectId>),
    Members(MembersPage),
}

/// A page that the state has no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page {0} belongs to no such state")]
pub struct Misplaced(pub u64);

/// Where the numbers of a sort of pages begin.
pub(crate) const CHILDREN: u64 = 1 << 32;

pub(crate) const MEMBERS: u64 = 2 << 32;

pub(crate) const WAVE: u64 = 1 << 16;

impl Page {
    pub(crate) fn of_children(number: u32, ids: &Arc<BTreeSet<ObjectId>>) -> Self {
        Self { number: CHILDREN + u64::from(number), of: Of::Children(ids.clone()) }
    }

    pub(crate) fn of_members(wave: u16, place: u16, members: &Arc<MembersPage>) -> Self {
        let number = MEMBERS + u64::from(wave) * WAVE + u64::from(place);
        Self { number, of: Of::Members(members.clone()) }
    }

    /// Its number: no other page of the object has it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether nothing on it has changed since it was this one. Equal content that was made anew is another.
    pub fn is(&self, other: &Page) -> bool {
        let same = match (&self.of, &other.of) {
            (Of::Children(one), Of::Children(other)) => Arc::ptr_eq(one, other),
            (Of::Members(one), Of::Members(other)) => Arc::ptr_eq(one, other),
            (Of::Children(_), Of::Members(_)) | (Of::Members(_), Of::Children(_)) => false,
        };
        same && self.number == other.number
    }
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.of {
            Of::Children(ids) => serializer.serialize_newtype_variant("Form", 0, "children", &**ids),
            Of::Members(members) => serializer.serialize_newtype_variant("Form", 1, "members", &**members),
        }
    }
}
