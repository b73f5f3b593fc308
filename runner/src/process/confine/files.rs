//! Files, signals and ports, by Landlock: what is not named cannot be opened, nobody outside is
//! signalled, denied ports are not connected to. Also for root, and for all that it starts.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

use super::{Bounds, Execute};

/// The newest version whose rules for files, TCP and signals are asked for; older kernels do what they can of it.
const VERSION: ABI = ABI::V9;
/// No terminal: of another session's, keystrokes can be read and its user be written to; of one's own, typed into.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Restricts this process; the version of Landlock in force, 0 for none.
pub(super) fn restrict(bounds: &Bounds) -> Result<i32, RulesetError> {
    let mut ruleset =
        Ruleset::default().handle_access(AccessFs::from_all(VERSION))?.scope(Scope::from_all(VERSION))?;
    if !bounds.denied_ports.is_empty() {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    let (mut read, mut write) = (AccessFs::from_read(VERSION), AccessFs::from_all(VERSION));
    let mut programs = &Vec::new();
    if let Execute::Only(only) = &bounds.execute {
        read.remove(AccessFs::Execute);
        write.remove(AccessFs::Execute);
        programs = only;
    }
    let devices: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    let mut ruleset = ruleset
        .create()?
        .add_rules(rules(&bounds.read, read))?
        .add_rules(rules(&bounds.write, write))?
        .add_rules(rules(programs, AccessFs::from_read(VERSION)))?
        .add_rules(path_beneath_rules(DEVICES, devices))?;
    if !bounds.denied_ports.is_empty() {
        // There is no rule that denies, so every other port is allowed by one of its own.
        let open = (1..=u16::MAX).filter(|port| !bounds.denied_ports.contains(port));
        ruleset = ruleset
            .add_rules(open.map(|port| Ok::<_, RulesetError>(NetPort::new(port, AccessNet::ConnectTcp))))?;
    }
    let status = ruleset.restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
    })
}

/// What is not there cannot be reached, and is no mistake: the lists are for every system.
fn rules(
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> impl Iterator<Item = Result<landlock::PathBeneath<landlock::PathFd>, RulesetError>> {
    path_beneath_rules(paths.to_vec(), access)
}
