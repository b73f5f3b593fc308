//! The event loops: what every org, app, install, component and runner is, and how it changes.
//!
//! Pure: no async, no IO, no clock, no randomness, no map in random order. The same events give the same
//! states and effects, always; the broker's engine, simulators and tests host the same machines.

#![cfg_attr(test, allow(clippy::unwrap_used))]

// From the ground up, each layer knowing only those below it: the words that everything uses; what jobs,
// plans, rules and releases are; what each kind of object is told and tells (its `message.rs`, data); the
// unions of these (`notice`, `event`, `view`); mechanisms of no kind; the five machines; `object`, any of them.

pub mod actor;
pub mod app;
pub mod approval;
pub mod break_glass;
mod children;
pub mod component;
pub mod drift;
pub mod dry_run;
pub mod event;
pub mod freeze;
mod freezes;
pub mod graph;
pub mod health;
pub mod id;
pub mod install;
pub mod job;
mod lifecycle;
pub mod notice;
pub mod object;
pub mod org;
pub mod page;
pub mod parent;
pub mod plan;
pub mod rejected;
pub mod release;
pub mod remediation;
pub mod runner;
pub mod scenario;
pub mod standing;
pub mod status;
pub mod time;
pub mod timeline;
pub mod values;
pub mod view;
pub mod waiting;
pub mod wake;
pub mod window;

pub use actor::Actor;
pub use children::Children;
pub use event::{Body, Effect, Event, Signal};
pub use id::{Kind, ObjectId};
pub use notice::Notice;
pub use object::Object;
pub use rejected::{Rejected, RejectedCode};
pub use time::Timestamp;
pub use waiting::{Evidence, Urgency, Waiting};
pub use wake::Wake;
