//! The event loops: what every org, app, install, component and runner is, and how it changes.
//!
//! Pure: no async, no IO, no clock, no randomness, no map in random order. The broker's
//! engine hosts these machines; simulators and tests drive them directly. The same events
//! give the same states and effects, always.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod app;
pub mod approval;
mod children;
pub mod component;
pub mod drift;
pub mod event;
pub mod freeze;
pub mod glass;
pub mod graph;
pub mod health;
pub mod id;
pub mod install;
pub mod job;
pub mod lanes;
mod life;
pub mod object;
pub mod org;
pub mod page;
pub mod plan;
pub mod release;
pub mod rules;
pub mod runner;
pub mod scenario;
pub mod trial;
pub mod view;
pub mod window;

pub use children::Children;
pub use event::{
    Actor, Body, Effect, Entry, Event, Evidence, Notice, Rejected, RejectedCode, Signal, Timestamp, Urgency,
    Waiting,
};
pub use id::{Kind, ObjectId};
pub use object::Object;
