//! The pages of an object: which it has, and how they are put back.

use super::Object;
use crate::page::{CHILDREN, Content, Form, MEMBERS, Misplaced, Page, WAVE};

impl Object {
    /// The pages of a large state; none of any other: it is written whole.
    pub fn pages(&self) -> Vec<Page> {
        match self {
            Object::App(app) => app.pages(),
            Object::Org(_) | Object::Install(_) | Object::Component(_) | Object::Runner(_) => vec![],
        }
    }

    /// The state without its pages, to be written beside them. It is no state to go on with.
    pub fn without_pages(&self) -> Object {
        match self {
            Object::App(app) => Object::App(app.without_pages()),
            Object::Org(_) | Object::Install(_) | Object::Component(_) | Object::Runner(_) => self.clone(),
        }
    }

    /// Puts a page back to the state that was written without it.
    ///
    /// # Errors
    /// The state has no place for it.
    pub fn put_page(&mut self, number: u64, content: Content) -> Result<(), Misplaced> {
        let placed = match (self, content.0) {
            (Object::App(app), Form::Children(ids)) => number
                .checked_sub(CHILDREN)
                .and_then(|number| u32::try_from(number).ok())
                .map(|number| app.put_children(number, ids)),
            (Object::App(app), Form::Members(members)) => number
                .checked_sub(MEMBERS)
                .and_then(|number| usize::try_from(number / WAVE).ok())
                .and_then(|wave| app.put_members(wave, members)),
            (Object::Org(_) | Object::Install(_) | Object::Component(_) | Object::Runner(_), _) => None,
        };
        placed.ok_or(Misplaced(number))
    }
}
