//! The children of a parent, in pages of a few: that one comes or goes costs one page, however many there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::ObjectId;

/// A page with more is cut in two.
const PAGE_LEN_MAX: usize = 128;

/// The children of one parent, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Children {
    /// In the order of what they hold; none is empty.
    pages: Vec<(u32, Arc<BTreeSet<ObjectId>>)>,
    /// The number of the next page.
    next: u32,
    len: usize,
}

impl Children {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &ObjectId> + Clone {
        self.pages.iter().flat_map(|(_, ids)| &**ids)
    }

    /// Whether this is one of them.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.page_of(id).is_some_and(|place| self.pages[place].1.contains(id))
    }

    /// The place of the page that holds it, or would.
    fn page_of(&self, id: &ObjectId) -> Option<usize> {
        let begins_before = |(_, ids): &(u32, Arc<BTreeSet<ObjectId>>)| ids.first().is_some_and(|f| f <= id);
        let after = self.pages.partition_point(begins_before);
        (!self.pages.is_empty()).then(|| after.saturating_sub(1))
    }

    pub(crate) fn insert(&mut self, id: ObjectId) {
        let Some(place) = self.page_of(&id) else {
            self.add_page(0, BTreeSet::from([id]));
            self.len = 1;
            return;
        };
        if self.pages[place].1.contains(&id) {
            return;
        }
        self.len += 1;
        let ids = Arc::make_mut(&mut self.pages[place].1);
        ids.insert(id);
        if ids.len() > PAGE_LEN_MAX
            && let Some(middle) = ids.iter().nth(ids.len() / 2).cloned()
        {
            let upper = ids.split_off(&middle);
            self.add_page(place + 1, upper);
        }
    }

    fn add_page(&mut self, place: usize, ids: BTreeSet<ObjectId>) {
        self.pages.insert(place, (self.next, Arc::new(ids)));
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, id: &ObjectId) {
        let Some(place) = self.page_of(id).filter(|place| self.pages[*place].1.contains(id)) else { return };
        let ids = Arc::make_mut(&mut self.pages[place].1);
        ids.remove(id);
        self.len -= 1;
        if ids.is_empty() {
            self.pages.remove(place);
        }
    }

    /// Its pages, by their numbers.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u32, &Arc<BTreeSet<ObjectId>>)> {
        self.pages.iter().map(|(number, ids)| (*number, ids))
    }

    /// Puts a page back that was kept apart.
    pub(crate) fn put(&mut self, number: u32, ids: Arc<BTreeSet<ObjectId>>) {
        self.len += ids.len();
        self.next = self.next.max(number + 1);
        let place = self.pages.partition_point(|(_, other)| other.first() < ids.first());
        self.pages.insert(place, (number, ids));
    }
}

impl FromIterator<ObjectId> for Children {
    fn from_iter<I: IntoIterator<Item = ObjectId>>(ids: I) -> Self {
        let mut children = Self::default();
        ids.into_iter().for_each(|id| children.insert(id));
        children
    }
}

/// Who they are counts, not how they are cut.
impl PartialEq for Children {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Children {}

impl Serialize for Children {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Children {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeSet::<ObjectId>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u16) -> ObjectId {
        format!("ins_demo.shop.i{n}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn they_are_a_set_however_they_are_cut(steps in proptest::collection::vec((any::<bool>(), 0_u16..600), 0..2_000)) {
            let (mut set, mut children) = (BTreeSet::new(), Children::default());
            for (comes, n) in steps {
                if comes {
                    set.insert(id(n));
                    children.insert(id(n));
                } else {
                    set.remove(&id(n));
                    children.remove(&id(n));
                }
                prop_assert_eq!(children.contains(&id(n)), comes);
            }
            prop_assert_eq!(children.len(), set.len());
            prop_assert!(children.iter().eq(&set));
            prop_assert!(children.pages().all(|(_, ids)| (1..=PAGE_LEN_MAX).contains(&ids.len())));
            let mut again = Children::default();
            let mut pages: Vec<_> = children.pages().map(|(n, ids)| (n, ids.clone())).collect();
            pages.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
            pages.into_iter().for_each(|(n, ids)| again.put(n, ids));
            prop_assert!(again == children);
        }
    }
}
