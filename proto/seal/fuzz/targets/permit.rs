//! Fuzz target `permit`; what it does stands in `bodies.rs`.
#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code)]
mod bodies;
#[path = "../../tests/seal/world.rs"]
#[allow(dead_code)]
mod world;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::permit(bytes);
});
