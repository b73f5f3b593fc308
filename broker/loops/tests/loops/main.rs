//! Tests of the loops from outside: whole lives, and the state × event tables.
#![allow(clippy::unwrap_used)]
mod abandon;
mod attestation;
mod break_glass;
mod clone;
mod deleting;
mod drift;
mod executors;
mod golden;
mod graphs;
mod health;
mod lives;
mod numbers;
mod plans;
mod receipts;
mod remediation;
mod rollouts;
mod sandbox;
mod states;
mod steps;
mod unchanged;
mod windows;
mod wiring;
mod world;
mod zones;
