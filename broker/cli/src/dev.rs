//! `remit dev`: placeholder until the broker can be started in process.
use crate::args::DevArgs;
use crate::failure::{Failure, Result};
use crate::output::Format;

/// Runs the journey.
pub async fn run(_: Format, _: DevArgs) -> Result<()> {
    Err(Failure::usage("not yet", ""))
}
