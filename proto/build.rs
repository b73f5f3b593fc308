//! Generates the wire types and services with protox: no protoc needed.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = protox::compile(["remit/runner/v1/runner.proto"], ["."])?;
    println!("cargo::rerun-if-changed=remit");
    tonic_prost_build::configure().compile_fds(set)?;
    Ok(())
}
