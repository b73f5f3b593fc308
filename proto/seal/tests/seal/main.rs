//! The verifier against tables of cases, vectors kept as files, a second implementation of
//! its signatures, and a hostile broker.
#![allow(clippy::unwrap_used)]
// The crate may not read files; its tests keep their vectors in some.
#![allow(clippy::disallowed_methods)]

mod approvals;
#[path = "../../fuzz/bodies.rs"]
mod bodies;
mod bounds;
mod cases;
mod channels;
mod checkpoint;
mod codes;
mod content;
mod countersign;
mod customer;
mod destroying;
mod edges;
mod escapes;
mod fuzzed;
mod glass;
mod healing;
mod health;
mod hostile;
mod kept;
mod keys;
mod kinds;
mod marks;
mod oracle;
mod permits;
mod places;
mod rehearsals;
mod rotation;
mod seen;
mod status;
mod stranger;
mod tuf;
mod vectors;
mod words;
mod world;
