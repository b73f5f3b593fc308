//! System calls that jobs do not get, refused by seccomp: what would go around the rules for files and ports, and
//! what reaches into the kernel, other processes or other sessions. Landlock's rules come first; these are for
//! what it does not see.

mod sockets;

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};

/// Never for jobs, whatever the arguments.
const REFUSED: &[i64] = &[
    // Namespaces, roots and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Files by handle, past every path, and word of other users' files.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    // Keys of the user's and of the session's rings.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Rings make sockets and open files without a call that could be refused.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Every namespace that `clone` can make; of time only `unshare` and `clone3` know.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];
/// Puts a byte into a terminal's input, as if it were typed; speaks to a console.
const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541C];

/// What the calls of a tool depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Sockets that have, or can be given, a name in the file system.
    pub(super) unix_sockets: bool,
    /// Programs in memory, which no rule for files sees.
    pub(super) memory_programs: bool,
}

/// Refuses them from now on, for all that this process starts.
pub(super) fn refuse(wanted: Wanted) -> Result<(), seccompiler::Error> {
    let mut permission: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    permission.insert(libc::SYS_clone, namespaces()?);
    permission.insert(
        libc::SYS_ioctl,
        TERMINAL_INPUT.map(|request| equal(1, request)).into_iter().collect::<Result<_, _>>()?,
    );
    if !wanted.memory_programs {
        permission.insert(libc::SYS_memfd_create, Vec::new());
    }
    let filters = [
        other_numbering()?,
        filter(permission, libc::EPERM)?,
        // Its flags are behind a pointer; programs then take `clone`.
        filter(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?,
        filter(sockets::families(wanted.unix_sockets)?, libc::EAFNOSUPPORT)?,
        filter(sockets::protocols()?, libc::EPROTONOSUPPORT)?,
        filter(sockets::sending()?, libc::EOPNOTSUPP)?,
    ];
    filters
        .iter()
        .filter(|program| !program.is_empty())
        .try_for_each(|program| seccompiler::apply_filter(program))
}

/// The first word of a call's arguments that are `int`s: the kernel looks at no more of it either.
fn equal(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
    all(vec![SeccompCondition::new(argument, Len::Dword, Op::Eq, value)?])
}

fn bits(argument: u8, bits: u64) -> Result<SeccompRule, BackendError> {
    all(vec![SeccompCondition::new(argument, Len::Dword, Op::MaskedEq(bits), bits)?])
}

fn all(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    NAMESPACES.iter().map(|flag| bits(0, u64::from(flag.cast_unsigned()))).collect()
}

/// The calls that match are answered with this error. A call of another architecture (the 32-bit ones, with their
/// own numbers and `socketcall`) ends the process.
fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, seccompiler::Error> {
    let answer = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// x86-64 has all calls a second time, from this number on (x32): no rule above knows those numbers.
#[cfg(target_arch = "x86_64")]
fn other_numbering() -> Result<BpfProgram, seccompiler::Error> {
    const X32: u32 = 0x4000_0000;
    /// `BPF_LD | BPF_W | BPF_ABS`.
    const LOAD: u16 = 0x20;
    /// `BPF_JMP | BPF_JGE | BPF_K`.
    const AT_LEAST: u16 = 0x35;
    /// `BPF_RET | BPF_K`.
    const RETURN: u16 = 0x06;
    let statement = |code, k| sock_filter { code, jt: 0, jf: 0, k };
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    Ok(vec![
        // The number of the call is the first word.
        statement(LOAD, 0),
        sock_filter { code: AT_LEAST, jt: 0, jf: 1, k: X32 },
        statement(RETURN, refused),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn other_numbering() -> Result<BpfProgram, seccompiler::Error> {
    Ok(Vec::new())
}
