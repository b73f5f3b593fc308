//! The vendor's side of the broker over HTTP: what the command line and the dashboard speak.

pub mod wire;

pub use wire::{
    DispatchKey, ErrorBody, ErrorDetail, LogAttempt, LogIndex, NewOrg, NewToken, ObjectList, ObjectView,
    OrgCreated, Progress, ReleaseAccepted, RunnerToken, Scope, SignalAccepted, Timeline, TimelineEntry,
    TokenInfo, TokenList, TokenMade, WhoAmI, Why,
};
