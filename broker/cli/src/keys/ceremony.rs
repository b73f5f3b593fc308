//! Trust roots as documents: the first one, the one that follows, and whose signatures are missing.
//!
//! Pure: files, keys and the broker are the commands' business.

use std::collections::{BTreeMap, BTreeSet};

use remit_seal::document::{DestroyRule, KeySpec, Role, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::PublicKey;
use remit_seal::strict;
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};

/// What a root shall say; what is not said stays as it was.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// More root keys.
    pub root: Vec<KeySpec>,
    /// More release keys.
    pub release: Vec<KeySpec>,
    /// The dispatch keys, in place of those before.
    pub dispatch: Option<Vec<KeySpec>>,
    /// Ids of keys that shall sign nothing any more.
    pub drop: Vec<String>,
    /// How many root keys must sign.
    pub root_threshold: Option<u32>,
    /// How many release keys must sign.
    pub release_threshold: Option<u32>,
    /// How many release keys must sign what destroys, and permits to go back.
    pub destroy: Option<DestroyRule>,
}

/// The first root of an org.
pub fn first(org: &str, wish: &Wish, (created_ms, expires_ms): (i64, i64)) -> Result<Root> {
    let nobody = || Role { keys: Vec::new(), threshold: 1 };
    let empty = Root {
        vendor: org.to_owned(),
        version: 0,
        created_ms,
        expires_ms,
        keys: BTreeMap::new(),
        root: nobody(),
        release: nobody(),
        dispatch: nobody(),
        destroy: None,
    };
    next(&empty, wish, (created_ms, expires_ms))
}

/// The root that follows.
pub fn next(before: &Root, wish: &Wish, (created_ms, expires_ms): (i64, i64)) -> Result<Root> {
    let mut root = before.clone();
    (root.version, root.created_ms, root.expires_ms) = (before.version + 1, created_ms, expires_ms);
    if let Some(stranger) = wish.drop.iter().find(|id| !root.keys.contains_key(*id)) {
        let hint = "see the ids with `remit keys root inspect`";
        return Err(Failure::usage(format!("the root has no key {stranger}"), hint));
    }
    add(&mut root.keys, &mut root.root, &wish.root)?;
    add(&mut root.keys, &mut root.release, &wish.release)?;
    if let Some(dispatch) = &wish.dispatch {
        root.dispatch.keys.clear();
        add(&mut root.keys, &mut root.dispatch, dispatch)?;
    }
    root.root.threshold = wish.root_threshold.unwrap_or(root.root.threshold);
    root.release.threshold = wish.release_threshold.unwrap_or(root.release.threshold);
    root.destroy = wish.destroy.clone().or(root.destroy);
    for role in [&mut root.root, &mut root.release, &mut root.dispatch] {
        role.keys.retain(|id| !wish.drop.contains(id));
    }
    let used: BTreeSet<String> =
        [&root.root, &root.release, &root.dispatch].iter().flat_map(|role| role.keys.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
    root.check()?;
    Ok(root)
}

fn add(keys: &mut BTreeMap<String, KeySpec>, role: &mut Role, more: &[KeySpec]) -> Result<()> {
    for spec in more {
        let id = spec.id()?;
        if !role.keys.contains(&id) {
            role.keys.push(id.clone());
        }
        keys.insert(id, spec.clone());
    }
    Ok(())
}

/// Who of a root role has signed, and how many must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quorum {
    /// The version of the root whose keys these are.
    pub of_version: u64,
    /// How many must sign.
    pub need: u32,
    /// Ids of those who did.
    pub signed: Vec<String>,
    /// Ids of those who could.
    pub could: Vec<String>,
}

impl Quorum {
    /// Whether nobody is missing.
    pub fn is_met(&self) -> bool {
        self.signed.len() >= self.need as usize
    }
}

/// A root with its signatures as it lies in a file, believed in nothing yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The container.
    pub envelope: Envelope,
    /// What it says.
    pub root: Root,
}

impl Draft {
    /// Reads a signed root, even one that too few have signed.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let envelope = Envelope::parse(bytes, PayloadType::Root)?;
        let root: Root = strict::from_slice(&envelope.payload)?;
        root.check()?;
        Ok(Self { envelope, root })
    }

    /// A root that nobody has signed yet.
    pub fn of(root: Root) -> Result<Self> {
        Ok(Self { envelope: Envelope::unsigned(PayloadType::Root, &root)?, root })
    }

    /// Whose signatures there are: by the keys of the root before it, if that is known, and by its own.
    pub fn quorums(&self, before: Option<&Root>) -> Result<Vec<Quorum>> {
        before.into_iter().chain([&self.root]).map(|root| self.quorum(root)).collect()
    }

    fn quorum(&self, of: &Root) -> Result<Quorum> {
        let message = self.envelope.message();
        let (mut signed, mut could) = (BTreeSet::new(), BTreeSet::new());
        for id in &of.root.keys {
            let Some(spec) = of.keys.get(id) else { continue };
            let key = PublicKey::from_spec(spec)?;
            let mut by = self.envelope.signatures.iter().filter(|signature| signature.keyid == *id);
            let has = by.any(|signature| key.verifies(&message, &signature.sig));
            if has {
                signed.insert(id.clone())
            } else {
                could.insert(id.clone())
            };
        }
        let (signed, could) = (signed.into_iter().collect(), could.into_iter().collect());
        Ok(Quorum { of_version: of.version, need: of.root.threshold, signed, could })
    }

    /// Whether this key has something to say to it.
    pub fn wants(&self, before: Option<&Root>, id: &str) -> bool {
        let own = self.root.root.keys.iter();
        own.chain(before.into_iter().flat_map(|root| &root.root.keys)).any(|key| key == id)
    }
}

/// How long a root is warned of before it runs out: a ceremony takes people together.
pub const WARN_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How much time a root has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// None: nothing is believed by it any more.
    Over,
    /// So many whole days, few enough to act now.
    Ending(i64),
    /// Enough.
    Long,
}

impl Life {
    /// Of a root that holds until then.
    pub fn of(expires_ms: i64, now_ms: i64) -> Self {
        match expires_ms.saturating_sub(now_ms) {
            left_ms if left_ms <= 0 => Life::Over,
            left_ms if left_ms <= WARN_DAYS * DAY_MS => Life::Ending(left_ms / DAY_MS),
            _ => Life::Long,
        }
    }

    /// What people should know now.
    pub fn warning(self) -> Option<String> {
        let next = "sign the next one: `remit keys root rotate`, then `remit keys root publish`";
        match self {
            Life::Over => Some(format!("the trust root has expired, and nothing is believed by it: {next}")),
            Life::Ending(days) => Some(format!("the trust root runs out in {days} days: {next}")),
            Life::Long => None,
        }
    }
}

/// Fails where somebody's signature is missing.
pub fn check_signed(quorums: &[Quorum]) -> Result<()> {
    let Some(short) = quorums.iter().find(|quorum| !quorum.is_met()) else { return Ok(()) };
    let message = format!(
        "signed by {} of the {} keys that root version {} needs",
        short.signed.len(),
        short.need,
        short.of_version
    );
    let hint = format!(
        "let a holder of one of these sign it with `remit keys root sign FILE`: {}",
        short.could.join(" ")
    );
    Err(Failure::new(Exit::Refused, "cli.root_unsigned", message, hint))
}

#[cfg(test)]
mod tests {
    use remit_seal::key::SigningKey;
    use remit_seal::verify;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::ed25519_from_seed(&[seed; 32])
    }

    fn specs(seeds: &[u8]) -> Vec<KeySpec> {
        seeds.iter().map(|seed| key(*seed).public()).collect()
    }

    fn wish() -> Wish {
        Wish {
            root: specs(&[1, 2, 3]),
            release: specs(&[4, 5]),
            dispatch: Some(specs(&[6])),
            root_threshold: Some(2),
            destroy: Some(DestroyRule { threshold: 2 }),
            ..Wish::default()
        }
    }

    #[test]
    fn a_root_is_made_signed_on_two_machines_and_rotated() {
        let mut one = Draft::of(first("demo", &wish(), (1_000, 9_000)).unwrap()).unwrap();
        assert_eq!((one.root.version, one.root.root.threshold, one.root.keys.len()), (1, 2, 6));
        one.envelope.countersign(&key(1)).unwrap();
        let missing = check_signed(&one.quorums(None).unwrap()).unwrap_err();
        assert!(missing.hint.contains(&key(2).id()) && !missing.hint.contains(&key(1).id()), "{missing:?}");
        // The file goes to another machine and comes back.
        let mut one = Draft::read(&one.envelope.to_bytes()).unwrap();
        assert!(one.wants(None, &key(3).id()) && !one.wants(None, &key(4).id()));
        one.envelope.countersign(&key(3)).unwrap();
        check_signed(&one.quorums(None).unwrap()).unwrap();
        let trusted = verify::root(&one.envelope.to_bytes(), None, 2_000).unwrap();
        let change = Wish {
            root: specs(&[7]),
            drop: vec![key(1).id(), key(5).id()],
            destroy: wish().destroy,
            ..Wish::default()
        };
        let unsound = next(&one.root, &change, (3_000, 9_000)).unwrap_err();
        assert_eq!(unsound.code, "seal.root_invalid", "one release key is left, and two must sign");
        let change = Wish { release: specs(&[8]), ..change };
        let mut two = Draft::of(next(&one.root, &change, (3_000, 9_000)).unwrap()).unwrap();
        assert!(!two.root.keys.contains_key(&key(1).id()));
        for (by, met) in [(7, [false, false]), (2, [false, true]), (1, [true, true])] {
            two.envelope.countersign(&key(by)).unwrap();
            let quorums = two.quorums(Some(&one.root)).unwrap();
            assert_eq!([quorums[0].is_met(), quorums[1].is_met()], met, "{by}: {quorums:?}");
        }
        verify::next_root(&trusted, &two.envelope.to_bytes()).unwrap();
    }

    #[test]
    fn a_root_is_warned_of_before_it_runs_out() {
        for (left_ms, want) in [
            (-1, Life::Over),
            (0, Life::Over),
            (1, Life::Ending(0)),
            (30 * DAY_MS, Life::Ending(30)),
            (30 * DAY_MS + 1, Life::Long),
        ] {
            assert_eq!(Life::of(5_000 + left_ms, 5_000), want, "{left_ms}");
        }
        assert!(Life::Ending(7).warning().unwrap().contains("in 7 days"));
        assert!(Life::Over.warning().unwrap().contains("rotate") && Life::Long.warning().is_none());
    }

    #[test]
    fn a_false_signature_is_nobodys() {
        let mut draft = Draft::of(first("demo", &wish(), (1_000, 9_000)).unwrap()).unwrap();
        draft.envelope.countersign(&key(1)).unwrap();
        draft.envelope.signatures[0].keyid = key(2).id();
        assert_eq!(draft.quorums(None).unwrap()[0].signed, Vec::<String>::new());
        let stranger = Wish { drop: vec!["0".repeat(64)], ..Wish::default() };
        assert_eq!(next(&draft.root, &stranger, (1, 2)).unwrap_err().code, "cli.usage");
    }
}
