//! `cargo verify`: placeholder until its stages are written; it fails, so that nobody trusts it yet.

fn main() -> std::process::ExitCode {
    eprintln!("verify: no stage is written yet");
    std::process::ExitCode::FAILURE
}
