//! Tests of the loops from outside: whole lives, and the state × event tables.
#![allow(clippy::unwrap_used)]

mod breaking;
mod deleting;
mod drift;
mod golden;
mod graphs;
mod health;
mod lives;
mod places;
mod plans;
mod proofs;
mod receipts;
mod rehearsing;
mod rollouts;
mod rules;
mod states;
mod steps;
mod twins;
mod unchanged;
mod windows;
mod wiring;
mod world;
mod zones;
