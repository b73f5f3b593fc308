//! Flags of `run` that say how jobs are confined.

use std::path::PathBuf;

use clap::Args;

use crate::process::confine::Strictness;

/// What jobs may reach, and how much they may use.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Confinement of jobs")]
pub struct JobArgs {
    /// What to do where the machine cannot keep jobs from the runner's own files [default: required].
    ///
    /// `required` does not start there; `best` does what can be done. The status says what is in force.
    #[arg(long, value_enum, value_name = "HOW", env = "REMIT_RUNNER_CONFINEMENT")]
    pub confinement: Option<Strictness>,
    /// A file or directory that jobs may read and execute, beside the system's own. May be repeated.
    #[arg(long = "allow-read", value_name = "PATH")]
    pub allow_read: Vec<PathBuf>,
    /// A file or directory that jobs may change, beside their own places. May be repeated.
    #[arg(long = "allow-write", value_name = "PATH")]
    pub allow_write: Vec<PathBuf>,
    /// Let jobs ask the machine's metadata service, and with it act as the machine's own role.
    ///
    /// Without it jobs connect to no port 80 anywhere, by which every cloud's metadata is kept from them.
    #[arg(long, env = "REMIT_RUNNER_ALLOW_METADATA")]
    pub allow_metadata: bool,
    /// How many processes and threads a job may have at once [default: 1024].
    #[arg(long, value_name = "N", env = "REMIT_RUNNER_JOB_PROCESSES")]
    pub job_processes: Option<u32>,
    /// How much memory a job may have, where a cgroup counts it [default: three quarters of the machine's].
    #[arg(long, value_name = "MIB", env = "REMIT_RUNNER_JOB_MEMORY_MIB")]
    pub job_memory_mib: Option<u64>,
    /// How large a file a job may write [default: 10240].
    #[arg(long, value_name = "MIB", env = "REMIT_RUNNER_JOB_FILE_MIB")]
    pub job_file_mib: Option<u64>,
}
