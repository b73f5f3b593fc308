//! How ids and numbers stand in the tables of a database: the same in both of them.

use remit_loops::{Kind, ObjectId};

use crate::store::StoreError;

/// The number that stands for a kind in the database; never re-used.
pub(super) fn kind_number(kind: Kind) -> i16 {
    match kind {
        Kind::Org => 1,
        Kind::App => 2,
        Kind::Install => 3,
        Kind::Component => 4,
        Kind::Runner => 5,
    }
}

pub(super) fn object_id(kind: i16, path: &str) -> Result<ObjectId, StoreError> {
    let unreadable = || StoreError::Corrupt(format!("an object of kind {kind} called `{path}`"));
    let kind = Kind::ALL.into_iter().find(|k| kind_number(*k) == kind).ok_or_else(unreadable)?;
    let names: Vec<&str> = path.split('.').collect();
    ObjectId::new(kind, &names).map_err(|_| unreadable())
}

/// Numbers that only grow from zero fit both ways. One that was asked for and is beyond them all is beyond what is
/// stored, too.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
