//! The installs of a wave and how far each is, in pages of a few, with counts: what one install says costs
//! one page, however large the rollout is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::app::message::Progress;

/// How many installs a page has at most.
const PAGE_LEN_MAX: usize = 64;

/// How far one install of a rollout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Member {
    /// It was not told yet.
    Ahead,
    /// It was told and has not answered.
    Told,
    Is(Progress),
    /// It was deleted.
    Gone,
}

/// What members are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Ahead,
    Told,
    Waiting,
    Running,
    Done,
    Failed,
    /// It does not take the release, or is gone.
    Refused,
}

/// How many there are of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([u32; 7]);

/// The members of a wave. Who is in it never changes, so the pages stay as they were cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    /// In the order of names.
    pages: Vec<Arc<Page>>,
    counts: Counts,
}

/// Some members whose names follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    members: BTreeMap<String, Member>,
    counts: Counts,
}

impl Member {
    pub(super) fn sort(&self) -> Sort {
        match self {
            Member::Ahead => Sort::Ahead,
            Member::Told => Sort::Told,
            Member::Gone => Sort::Refused,
            Member::Is(Progress::Waiting { .. }) => Sort::Waiting,
            Member::Is(Progress::Running {}) => Sort::Running,
            Member::Is(Progress::Done {}) => Sort::Done,
            Member::Is(Progress::Failed { .. }) => Sort::Failed,
            Member::Is(Progress::Refused { .. }) => Sort::Refused,
        }
    }

    /// What it said last, where it said why.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Member::Is(Progress::Waiting { why } | Progress::Failed { why } | Progress::Refused { why }) => {
                Some(why)
            }
            Member::Is(Progress::Running {} | Progress::Done {})
            | Member::Ahead
            | Member::Told
            | Member::Gone => None,
        }
    }
}

impl Counts {
    pub(super) fn of(&self, sort: Sort) -> u32 {
        self.0[sort as usize]
    }

    /// All of them.
    pub(super) fn all(&self) -> u32 {
        self.0.iter().sum()
    }

    /// At it, or about to be.
    pub(super) fn busy(&self) -> u32 {
        self.of(Sort::Told) + self.of(Sort::Running)
    }

    /// Nothing more is to be expected of them.
    pub(super) fn over(&self) -> u32 {
        self.of(Sort::Done) + self.of(Sort::Failed) + self.of(Sort::Refused)
    }

    fn moved(&mut self, from: Sort, to: Sort) {
        self.0[from as usize] -= 1;
        self.0[to as usize] += 1;
    }

    fn add(&mut self, more: &Counts) {
        self.0.iter_mut().zip(more.0).for_each(|(count, more)| *count += more);
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, counts| {
            sum.add(&counts);
            sum
        })
    }
}

impl Page {
    fn new(members: BTreeMap<String, Member>) -> Self {
        let mut counts = Counts::default();
        members.values().for_each(|member| counts.0[member.sort() as usize] += 1);
        Self { members, counts }
    }
}

impl FromIterator<(String, Member)> for Members {
    fn from_iter<I: IntoIterator<Item = (String, Member)>>(all: I) -> Self {
        let mut all = BTreeMap::from_iter(all).into_iter().peekable();
        let mut pages = vec![];
        while all.peek().is_some() {
            pages.push(Arc::new(Page::new(all.by_ref().take(PAGE_LEN_MAX).collect())));
        }
        let counts = pages.iter().map(|page| page.counts).sum();
        Self { pages, counts }
    }
}

impl Members {
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// In the order of names.
    fn iter(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.pages.iter().flat_map(|page| &page.members)
    }

    /// Those of a sort, in the order of names.
    pub(super) fn of(&self, sort: Sort) -> impl Iterator<Item = (&String, &Member)> {
        let pages = self.pages.iter().filter(move |page| page.counts.of(sort) > 0);
        pages.flat_map(|page| &page.members).filter(move |(_, member)| member.sort() == sort)
    }

    /// This is how one of them is now. Whoever is no member stays none.
    pub(super) fn set(&mut self, install: &str, member: Member) {
        let starts_after = |page: &Arc<Page>| {
            page.members.first_key_value().is_some_and(|(first, _)| first.as_str() <= install)
        };
        let Some(number) = self.pages.partition_point(starts_after).checked_sub(1) else { return };
        if !self.pages[number].members.contains_key(install) {
            return;
        }
        let page = Arc::make_mut(&mut self.pages[number]);
        if let Some(is) = page.members.get_mut(install) {
            let (from, to) = (is.sort(), member.sort());
            *is = member;
            page.counts.moved(from, to);
            self.counts.moved(from, to);
        }
    }

    /// Makes those that fit, but not more than `most`, something else; answers who they were.
    fn turn(&mut self, from: &[Sort], to: &Member, most: usize) -> Vec<String> {
        let fits = |member: &Member| from.contains(&member.sort());
        let mut turned = vec![];
        for page in &mut self.pages {
            if turned.len() == most {
                break;
            }
            if from.iter().all(|sort| page.counts.of(*sort) == 0) {
                continue;
            }
            let Page { members, counts } = Arc::make_mut(page);
            for (name, member) in members.iter_mut().filter(|(_, member)| fits(member)) {
                if turned.len() == most {
                    break;
                }
                counts.moved(member.sort(), to.sort());
                self.counts.moved(member.sort(), to.sort());
                *member = to.clone();
                turned.push(name.clone());
            }
        }
        turned
    }

    /// The next that are to be told; they count as told.
    pub(super) fn tell(&mut self, most: u32) -> Vec<String> {
        self.turn(&[Sort::Ahead], &Member::Told, most as usize)
    }

    /// Those that were told and have not begun; they are ahead again.
    pub(super) fn withdraw(&mut self) -> Vec<String> {
        self.turn(&[Sort::Told, Sort::Waiting], &Member::Ahead, usize::MAX)
    }
}

impl Members {
    /// Its pages, in order.
    pub(super) fn pages(&self) -> impl Iterator<Item = &Arc<Page>> {
        self.pages.iter()
    }

    /// Puts a page back that was kept apart.
    pub(super) fn put(&mut self, page: Page) {
        self.counts.add(&page.counts);
        let first = page.members.first_key_value().map(|(name, _)| name.clone());
        let begins_before =
            |other: &Arc<Page>| other.members.first_key_value().map(|(name, _)| name) < first.as_ref();
        let place = self.pages.partition_point(begins_before);
        self.pages.insert(place, Arc::new(page));
    }
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Page {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, Member>::deserialize(deserializer).map(Page::new)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<String, Member>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: usize) -> Members {
        (0..count).map(|n| (format!("i{n:05}"), Member::Ahead)).collect()
    }

    fn counted(members: &Members) -> Counts {
        members.pages.iter().map(|page| Page::new(page.members.clone()).counts).sum()
    }

    #[test]
    fn counts_are_those_of_the_members_whatever_happens() {
        let mut all = members(1_000);
        let told = all.tell(300);
        assert_eq!((told.len(), told[0].as_str(), told[299].as_str()), (300, "i00000", "i00299"));
        for (n, name) in told.iter().enumerate() {
            let why = || "for a reason".to_owned();
            let is = match n % 5 {
                0 => Member::Is(Progress::Done {}),
                1 => Member::Is(Progress::Running {}),
                2 => Member::Is(Progress::Waiting { why: why() }),
                3 => Member::Is(Progress::Failed { why: why() }),
                _ => continue,
            };
            all.set(name, is);
        }
        all.set("nobody", Member::Gone);
        all.set("a", Member::Gone);
        assert_eq!(*all.counts(), counted(&all));
        assert_eq!((all.counts().all(), all.counts().busy(), all.counts().over()), (1_000, 120, 120));
        assert_eq!(all.withdraw().len(), 120, "those that were told, and those that wait");
        assert_eq!(*all.counts(), counted(&all));
        assert_eq!(all.tell(1), ["i00002"], "what was taken back is told again, in order");
    }

    #[test]
    fn they_are_read_back_as_they_were_written() {
        let mut all = members(200);
        all.tell(70);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Members>(&text).unwrap(), all);
    }

    #[test]
    fn what_one_says_copies_one_page() {
        let mut all = members(200);
        let before = all.clone();
        all.set("i00100", Member::Is(Progress::Running {}));
        let same = all.pages.iter().zip(&before.pages).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!((all.pages.len(), same), (4, 3));
    }
}
