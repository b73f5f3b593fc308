//! Which sockets a job may make and how it may send: TCP and UDP over IP, the kernel's word on addresses and routes,
//! pairs without a name, and, where it is wanted, sockets in files. What is not named here is refused.

use std::collections::BTreeMap;

use seccompiler::{BackendError, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompRule};

use super::{all, bits};

type Rules = Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError>;

const UNIX: u64 = libc::AF_UNIX as u64;
const INET: [u64; 2] = [libc::AF_INET as u64, libc::AF_INET6 as u64];
const NETLINK: u64 = libc::AF_NETLINK as u64;
const STREAM: u64 = libc::SOCK_STREAM as u64;
const DATAGRAM: u64 = libc::SOCK_DGRAM as u64;
/// The kind of a socket, without the flags beside it.
const KIND: u64 = 0xf;
/// TCP; UDP; ping of either IP.
const TCP: [u64; 2] = [0, libc::IPPROTO_TCP as u64];
const UDP: [u64; 4] = [0, libc::IPPROTO_UDP as u64, libc::IPPROTO_ICMP as u64, libc::IPPROTO_ICMPV6 as u64];
const LEVEL_TCP: u64 = libc::IPPROTO_TCP as u64;
/// `TCP_FASTOPEN_CONNECT`: the next write connects. `TCP_ULP`: makes another protocol of a TCP socket (`smc`).
const TURNED: [u64; 2] = [30, 31];
/// `MSG_FASTOPEN`: sending connects, without the call that is asked about ports.
const FAST_OPEN: u64 = 0x2000_0000;

fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Len::Dword, Op::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Len::Dword, Op::Ne, value)
}

fn is_kind(kind: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(1, Len::Dword, Op::MaskedEq(KIND), kind)
}

/// No family but these: no SMC, VSOCK, packet, crypto or any that a kernel may yet get.
pub(super) fn families(unix: bool) -> Rules {
    let mut known = vec![INET[0], INET[1], NETLINK];
    known.extend(unix.then_some(UNIX));
    let others = known.into_iter().map(|family| is_not(0, family)).collect::<Result<_, _>>()?;
    let mut rules = BTreeMap::from([(libc::SYS_socket, vec![all(others)?])]);
    if !unix {
        // A pair of streams has no other partner; a pair of datagrams may send to any socket in a file.
        let pairs = [DATAGRAM, libc::SOCK_RAW as u64].map(|kind| all(vec![is_kind(kind)?]));
        rules.insert(libc::SYS_socketpair, pairs.into_iter().collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

/// Over IP only TCP and UDP: Landlock knows the ports of no other stream (MPTCP, SCTP, SMC). Of netlink only routes.
pub(super) fn protocols() -> Rules {
    let mut rules = vec![all(vec![is(0, NETLINK)?, is_not(2, libc::NETLINK_ROUTE as u64)?])?];
    for family in INET {
        for kind in (0..=KIND).filter(|kind| ![STREAM, DATAGRAM].contains(kind)) {
            rules.push(all(vec![is(0, family)?, is_kind(kind)?])?);
        }
        for (kind, known) in [(STREAM, &TCP[..]), (DATAGRAM, &UDP[..])] {
            let mut conditions = vec![is(0, family)?, is_kind(kind)?];
            for protocol in known {
                conditions.push(is_not(2, *protocol)?);
            }
            rules.push(all(conditions)?);
        }
    }
    Ok(BTreeMap::from([(libc::SYS_socket, rules)]))
}

/// No connecting by sending, and no turning of a socket into one that does.
pub(super) fn sending() -> Rules {
    let mut turned = Vec::new();
    for option in TURNED {
        turned.push(all(vec![is(1, LEVEL_TCP)?, is(2, option)?])?);
    }
    Ok(BTreeMap::from([
        (libc::SYS_sendto, vec![bits(3, FAST_OPEN)?]),
        (libc::SYS_sendmsg, vec![bits(2, FAST_OPEN)?]),
        (libc::SYS_sendmmsg, vec![bits(3, FAST_OPEN)?]),
        (libc::SYS_setsockopt, turned),
    ]))
}
