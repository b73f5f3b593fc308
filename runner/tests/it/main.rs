//! The real runner program against a fake broker on a real socket: what it believes, what it
//! does, what it leaves behind.
#![allow(clippy::unwrap_used)]

mod approvals;
mod aws;
mod bench;
mod broker;
mod broker_calls;
mod canary;
mod channels;
mod cluster;
mod confine;
mod confinement;
mod control;
mod hidden;
mod leases;
mod locks;
mod luck;
mod marks;
mod product;
mod remit;
mod rotation;
mod secrets;
mod shutdown;
mod states;
mod takeover;
mod terraform;
mod trust;
mod valve;
mod way;
mod work;
