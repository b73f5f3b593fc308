//! Names of a script's commands: those that Remit knows, and those that no vendor may give a command.

/// The command of a script that looks for what its destroy has left: a part of the destroying, no operation.
pub const SWEEP: &str = "sweep";

/// The commands that a script may have beside its actions and its probe.
pub const COMMANDS: [&str; 4] = ["deploy", "destroy", "drift", SWEEP];

/// Words that a runner knows, and that no action of a vendor's may be called.
pub const RESERVED: [&str; 4] = ["adopt", "run", super::HEALTH, "plan"];
