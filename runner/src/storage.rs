//! What outlives a crash: the data directory, the journal, logs, outputs, and what is unpacked.

pub mod archive;
pub mod data_dir;
pub mod disk;
pub mod journal;
pub mod logs;
pub mod outputs;
