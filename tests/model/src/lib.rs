//! A model of lock, lease and fence: the broker's word, the runner's lock and journal, a network that
//! loses, repeats and reorders, processes that die and leave children. One component of one install;
//! what is silent or paused for however long is not chosen for so long. An attempt is its fence: the
//! loops mint fence and sequence number together, so the high-water mark is one of fences here.
//! Each action of [`action::Action`] names the production function that it stands for.

pub mod action;
pub mod check;
pub mod design;
pub mod state;
pub mod step;
