//! What a large app keeps in pages: its installs, and the members of its rollout.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::App;
use super::rollout::members::Page as MembersPage;
use crate::children::Children;
use crate::id::ObjectId;
use crate::lifecycle::Life;
use crate::page::Page;

/// An app with fewer installs and members is written whole.
const LARGE: usize = 256;

impl App {
    /// Its pages, if it is a large one.
    pub(crate) fn pages(&self) -> Vec<Page> {
        let members = self.rollout.as_ref().map_or(0, |rollout| rollout.len());
        if self.life.children.len() + members < LARGE {
            return vec![];
        }
        let children = self.life.children.pages().map(|(number, ids)| Page::of_children(number, ids));
        children.chain(self.rollout.iter().flat_map(|rollout| rollout.pages())).collect()
    }

    /// It without them.
    pub(crate) fn without_pages(&self) -> Self {
        let life = Life { children: Children::default(), ..self.life.clone() };
        let rollout = self.rollout.as_ref().map(|rollout| Box::new(rollout.without_pages()));
        Self { life, rollout, ..self.clone() }
    }

    pub(crate) fn put_children(&mut self, number: u32, ids: BTreeSet<ObjectId>) {
        self.life.children.put(number, Arc::new(ids));
    }

    /// None if its rollout has no such wave.
    pub(crate) fn put_members(&mut self, wave: usize, page: MembersPage) -> Option<()> {
        self.rollout.as_mut()?.put_page(wave, page)
    }
}
