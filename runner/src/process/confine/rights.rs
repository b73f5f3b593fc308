//! Root's rights over the machine: a job keeps those over files and users, and no other.

use rustix::io::{Errno, Result};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// What an installation script of root does in good faith.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Gives up the rest for good: to load modules, to read memory, to change the network, to mount.
/// Who may not even give up has nothing to give up.
pub(super) fn give_up() -> Result<()> {
    let unless = |result: Result<()>| match result {
        // An older kernel does not know the newest rights; one who is not root may not do this.
        Err(Errno::INVAL | Errno::PERM) | Ok(()) => Ok(()),
        other => other,
    };
    unless(clear_ambient_capability_set())?;
    for right in CapabilitySet::all().difference(KEPT).iter() {
        unless(remove_capability_from_bounding_set(right))?;
    }
    // Those of this very process, too: what it tries is to be what the tool could.
    let kept = if rustix::process::getuid().is_root() { KEPT } else { CapabilitySet::empty() };
    let CapabilitySets { effective, permitted, inheritable } = capabilities(None)?;
    let left = CapabilitySets {
        effective: effective & kept,
        permitted: permitted & kept,
        inheritable: inheritable & kept,
    };
    set_capabilities(None, left)
}
