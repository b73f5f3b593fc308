//! System calls that would go around the rules for ports, refused by seccomp: sockets that speak TCP
//! but are not TCP to the kernel's rules, and rings that make sockets without a call.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule,
};

#[cfg(target_arch = "x86_64")]
const SOCKET: [i64; 2] = [41, 41 | X32];
#[cfg(target_arch = "x86_64")]
const RING: [i64; 2] = [425, 425 | X32];
/// The other numbering of the same calls.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;
#[cfg(not(target_arch = "x86_64"))]
const SOCKET: [i64; 1] = [198];
#[cfg(not(target_arch = "x86_64"))]
const RING: [i64; 1] = [425];

const AF_SMC: u64 = 43;
const IPPROTO_SMC: u64 = 256;
const IPPROTO_MPTCP: u64 = 262;
/// "Protocol not supported": programs then take plain TCP.
const EPROTONOSUPPORT: u32 = 93;

/// Refuses them from now on, for all that this process starts.
pub(super) fn refuse() -> Result<(), seccompiler::Error> {
    let rule = |argument, value| -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(argument, Len::Dword, Op::Eq, value)?])
    };
    let sockets = vec![rule(0, AF_SMC)?, rule(2, IPPROTO_SMC)?, rule(2, IPPROTO_MPTCP)?];
    let mut rules = BTreeMap::new();
    rules.extend(SOCKET.map(|call| (call, sockets.clone())));
    rules.extend(RING.map(|call| (call, Vec::new())));
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(EPROTONOSUPPORT),
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)
}
