//! `remit break-glass` and `remit unlock`: what is only done with a reason that stays on the record.

use remit_loops::install::Signal;
use remit_loops::runner::{Proof, Signal as RunnerSignal};

use super::tell::tell;
use crate::args::glass::{BreakGlassArgs, UnlockArgs};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::product::parse_ms;

/// `remit break-glass`
pub(super) async fn break_glass(context: &Context, args: BreakGlassArgs) -> Result<()> {
    let id = context.install(&args.install)?;
    let (Some(for_time), Some(reason)) = (args.for_time, args.reason) else {
        return tell(context, &id, &Signal::MendGlass {}, args.tries).await;
    };
    let for_ms = parse_ms(&for_time).map_err(|message| Failure::usage(message, "write it like --for 1h"))?;
    tell(context, &id, &Signal::BreakGlass { for_ms, reason }, args.tries).await
}

/// `remit unlock`
pub(super) async fn unlock(context: &Context, args: UnlockArgs) -> Result<()> {
    let UnlockArgs { install, host, receipt, evidence, component, reason, tries } = args;
    let runner = context.install(&install)?.runner();
    let runner = runner.ok_or_else(|| Failure::usage(format!("{install} has no runner"), ""))?;
    let proof = match (host, receipt) {
        (Some(host), _) => Proof::HostTerminated { host, evidence },
        (None, Some(receipt)) => Proof::JournalEnded { receipt, evidence },
        (None, None) => return Err(Failure::usage("nothing shows it", "give --host or --receipt")),
    };
    let signal = RunnerSignal::DeclareLost { reason, component, proof: Some(proof) };
    tell(context, &runner, &signal, tries).await
}
