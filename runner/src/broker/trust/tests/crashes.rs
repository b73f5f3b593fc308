//! A crash at every operation while roots and statuses are taken in: what was believed is believed afterwards,
//! and no key comes back that was taken away.

use super::super::*;
use super::{Bench, key, root, sign, status};
use crate::storage::disk::tests::crash;

/// What must be known after so many operations.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    ops: usize,
    version: u64,
    /// Revoked under that root.
    revoked: bool,
}

#[test]
fn trust_that_crashed_anywhere_never_goes_back() {
    let bench = Bench::new();
    let (from, to) = (crash::fast_dir(), crash::fast_dir());
    let revoked = [key(20).id()];
    crash::begin();
    let dir = DataDir::open(from.path()).unwrap();
    let trust = Trust::walk(&dir, &bench.first).unwrap();
    let mut acknowledged = vec![Acknowledged { version: 1, ..Acknowledged::default() }];
    let mut say = |trust: &Trust, revoked| {
        acknowledged.push(Acknowledged { ops: crash::count(), version: trust.marks().0, revoked });
    };
    trust.take_status(&status(1, &revoked)).unwrap();
    say(&trust, true);
    for version in [2, 3] {
        trust.take_root(&sign(&root(version, 10), &[10])).unwrap();
        say(&trust, false);
        trust.take_status(&status(version, &revoked)).unwrap();
        say(&trust, true);
    }
    let ops = crash::end();
    let gone = crash::everywhere(&ops, (dir.root(), to.path()), |n, how| {
        let before = acknowledged.iter().rfind(|a| a.ops <= n).unwrap();
        let at = format!("{how:?} after {n} of {}", ops.len());
        let dir = DataDir::open(to.path()).unwrap_or_else(|e| panic!("{e}: {at}"));
        let trust = Trust::walk(&dir, &bench.first).unwrap_or_else(|e| panic!("{e}: {at}"));
        let version = trust.marks().0;
        assert!(version >= before.version, "version {version} after {}: {at}", before.version);
        if version == before.version && before.revoked {
            let view = trust.view();
            assert!(!view.root.get().release.keys.contains(&revoked[0]), "a revoked key is back: {at}");
        }
        // It goes on from there.
        let next = version + 1;
        trust.take_root(&sign(&root(next, 10), &[10])).unwrap_or_else(|e| panic!("{e}: {at}"));
    });
    crash::say("trust", gone);
    assert!(gone.points > 40 && gone.images > 3_000, "{gone:?}");
}
