//! *tough*, a client of The Update Framework, as the second implementation of rotation: the same chains of
//! roots, written in TUF's form and in ours, are followed to the same end by both or by neither.

use std::path::Path;

use fastrand::Rng;
use remit_seal::document::{Role, Root};
use remit_seal::dsse::{Envelope, PayloadType, Signature};
use remit_seal::key::SigningKey;
use remit_seal::verify::root_chain;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use serde_json::{Value as Json, json};
use tough::RepositoryLoader;
use tough::schema::key::Key;
use tough::schema::{Role as _, Snapshot, Targets, Timestamp};
use tough::sign::Sign as _;

use crate::world::{DAY, NOW};

/// When what is not over ends, for tough, which looks at the clock.
const FAR: &str = "2999-01-01T00:00:00Z";
const PAST: &str = "2001-01-01T00:00:00Z";
/// Who may sign roots in some chain.
const PEOPLE: usize = 6;
/// So many chains.
const CHAINS: u64 = 400;

type Signs = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One key in both worlds.
struct Person {
    ours: SigningKey,
    key: Key,
    tuf_id: String,
    sign: Signs,
}

impl Person {
    fn new(seed: u8) -> Self {
        if seed.is_multiple_of(2) { Self::ed25519([seed; 32]) } else { Self::p256([seed; 32]) }
    }

    fn ed25519(seed: [u8; 32]) -> Self {
        let theirs = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let key = theirs.tuf_key();
        let sign = Box::new(move |message: &[u8]| Ed25519KeyPair::sign(&theirs, message).as_ref().to_vec());
        Self { ours: SigningKey::ed25519_from_seed(&seed), tuf_id: tuf_id(&key), key, sign }
    }

    fn p256(seed: [u8; 32]) -> Self {
        let secret = p256::SecretKey::from_slice(&seed).unwrap();
        let point = p256::EncodedPoint::from(secret.public_key());
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
        let theirs =
            EcdsaKeyPair::from_private_key_and_public_key(kind, &seed, point.as_bytes(), &random).unwrap();
        let key = theirs.tuf_key();
        let sign = Box::new(move |message: &[u8]| {
            EcdsaKeyPair::sign(&theirs, &random, message).unwrap().as_ref().to_vec()
        });
        Self { ours: SigningKey::p256_from_seed(&seed).unwrap(), tuf_id: tuf_id(&key), key, sign }
    }
}

fn tuf_id(key: &Key) -> String {
    hex::encode(key.key_id().unwrap().into_vec())
}

/// One root of a chain, as neither form says it.
#[derive(Clone, Debug)]
struct Step {
    version: u64,
    keys: Vec<usize>,
    threshold: u32,
    is_over: bool,
    /// Whose id each signature bears, and who really made it.
    signatures: Vec<(usize, usize)>,
}

impl Step {
    /// The first, or one that follows: mostly signed by enough of the old and the new.
    fn after(luck: &mut Rng, before: Option<&Step>) -> Step {
        let mut keys: Vec<usize> = (0..PEOPLE).collect();
        luck.shuffle(&mut keys);
        keys.truncate(luck.usize(1..=4));
        let keeps = before.filter(|_| luck.bool());
        let keys = keeps.map_or(keys, |step| step.keys.clone());
        // One more than there are keys can never be met.
        let most = keys.len() as u32 + u32::from(luck.u8(..16) == 0);
        let threshold = luck.u32(1..=most);
        let mut enough = some(luck, &keys, threshold);
        enough.extend(before.iter().flat_map(|step| some(luck, &step.keys, step.threshold)));
        enough.sort_unstable();
        enough.dedup();
        luck.shuffle(&mut enough);
        let mut signatures: Vec<(usize, usize)> = enough.into_iter().map(|id| (id, id)).collect();
        spoil(luck, &mut signatures);
        let version = before.map_or(1, |step| step.version + 1);
        Step { version, keys, threshold, is_over: luck.u8(..8) == 0, signatures }
    }

    fn ours(&self, people: &[Person]) -> Vec<u8> {
        let fixed = [101, 103].map(|seed| SigningKey::ed25519_from_seed(&[seed; 32]));
        let all = self.keys.iter().map(|one| &people[*one].ours).chain(&fixed);
        let one = |key: &SigningKey| Role { keys: vec![key.id()], threshold: 1 };
        let ids = self.keys.iter().map(|one| people[*one].ours.id()).collect();
        let root = Root {
            vendor: "demo".to_owned(),
            version: self.version,
            created_ms: NOW - 9 * DAY,
            expires_ms: if self.is_over { NOW - DAY } else { NOW + DAY },
            keys: all.map(|key| (key.id(), key.public())).collect(),
            root: Role { keys: ids, threshold: self.threshold },
            release: one(&fixed[0]),
            dispatch: one(&fixed[1]),
            destroy: None,
        };
        let mut envelope = Envelope::unsigned(PayloadType::Root, &root).unwrap();
        for (id, by) in &self.signatures {
            let mut signed = Envelope { signatures: Vec::new(), ..envelope.clone() };
            signed.countersign(&people[*by].ours).unwrap();
            let sig = signed.signatures.remove(0).sig;
            envelope.signatures.push(Signature { keyid: people[*id].ours.id(), sig });
        }
        envelope.to_bytes()
    }

    fn theirs(&self, people: &[Person], online: &Person) -> Vec<u8> {
        let all = self.keys.iter().map(|one| &people[*one]).chain([online]);
        let keys: serde_json::Map<String, Json> =
            all.map(|one| (one.tuf_id.clone(), serde_json::to_value(&one.key).unwrap())).collect();
        let ids: Vec<&str> = self.keys.iter().map(|one| people[*one].tuf_id.as_str()).collect();
        let other = json!({"keyids": [online.tuf_id], "threshold": 1});
        let root = json!({
            "_type": "root", "spec_version": "1.0.0", "consistent_snapshot": false, "version": self.version,
            "expires": if self.is_over { PAST } else { FAR }, "keys": keys,
            "roles": {
                "root": {"keyids": ids, "threshold": self.threshold},
                "snapshot": other, "targets": other, "timestamp": other,
            },
        });
        let root: tough::schema::Root = serde_json::from_value(root).unwrap();
        let message = root.canonical_form().unwrap();
        let made = |(id, by): &(usize, usize)| (people[*id].tuf_id.as_str(), (people[*by].sign)(&message));
        signed(&serde_json::to_value(&root).unwrap(), self.signatures.iter().map(made))
    }
}

/// As many of these as a threshold asks for, as far as there are so many.
fn some(luck: &mut Rng, keys: &[usize], threshold: u32) -> Vec<usize> {
    let mut keys = keys.to_vec();
    luck.shuffle(&mut keys);
    keys.truncate(threshold as usize);
    keys
}

/// In two of three roots nothing; else one signature missing, doubled, another's, or a stranger's.
fn spoil(luck: &mut Rng, signatures: &mut Vec<(usize, usize)>) {
    let at = luck.usize(..signatures.len());
    match luck.u8(..12) {
        0 => drop(signatures.remove(at)),
        1 => signatures[at].1 = (signatures[at].0 + 1) % PEOPLE,
        2 => signatures.insert(0, (signatures[at].0, luck.usize(..PEOPLE))),
        3 => (signatures[at].0, signatures[at].1) = (luck.usize(..PEOPLE), luck.usize(..PEOPLE)),
        // Twice, with another's place taken by it.
        4 if signatures.len() > 1 => {
            let other = (at + 1) % signatures.len();
            signatures[other] = signatures[at];
        }
        _ => {}
    }
}

fn signed<'a>(document: &Json, signatures: impl Iterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let signatures: Vec<Json> =
        signatures.map(|(id, sig)| json!({"keyid": id, "sig": hex::encode(sig)})).collect();
    serde_json::to_vec(&json!({"signed": document, "signatures": signatures})).unwrap()
}

/// What a TUF repository has beside its roots, by the one key that every root names for it.
fn write_rest(place: &Path, online: &Person) {
    let sign = |message: &[u8]| [(online.tuf_id.as_str(), (online.sign)(message))].into_iter();
    let common = |kind: &str| json!({"_type": kind, "spec_version": "1.0.0", "version": 1, "expires": FAR});
    let (mut targets, mut snapshot, mut timestamp) =
        (common("targets"), common("snapshot"), common("timestamp"));
    targets["targets"] = json!({});
    snapshot["meta"] = json!({"targets.json": {"version": 1}});
    timestamp["meta"] = json!({"snapshot.json": {"version": 1}});
    let message = |form: tough::schema::Result<Vec<u8>>| form.unwrap();
    let of = |name: &str, document: &Json, message: Vec<u8>| {
        std::fs::write(place.join(name), signed(document, sign(&message))).unwrap();
    };
    let (t, s, w): (Targets, Snapshot, Timestamp) = (
        serde_json::from_value(targets.clone()).unwrap(),
        serde_json::from_value(snapshot.clone()).unwrap(),
        serde_json::from_value(timestamp.clone()).unwrap(),
    );
    of("targets.json", &targets, message(t.canonical_form()));
    of("snapshot.json", &snapshot, message(s.canonical_form()));
    of("timestamp.json", &timestamp, message(w.canonical_form()));
}

fn by_us(chain: &[Step], people: &[Person]) -> Result<u64, String> {
    let roots: Vec<Vec<u8>> = chain.iter().map(|step| step.ours(people)).collect();
    let hops: Vec<&[u8]> = roots[1..].iter().map(Vec::as_slice).collect();
    let newest = root_chain(&roots[0], None, &hops, NOW);
    newest.map(|root| root.get().version).map_err(|refusal| refusal.code().to_owned())
}

async fn by_tough(chain: &[Step], people: &[Person], online: &Person) -> Result<u64, String> {
    let place = tempfile::tempdir().unwrap();
    for step in &chain[1..] {
        let name = format!("{}.root.json", step.version);
        std::fs::write(place.path().join(name), step.theirs(people, online)).unwrap();
    }
    write_rest(place.path(), online);
    let url = url::Url::from_directory_path(place.path()).unwrap();
    let first = chain[0].theirs(people, online);
    let loaded = RepositoryLoader::new(&first, url.clone(), url).load().await;
    loaded.map(|repository| repository.root().signed.version.get()).map_err(|e| e.to_string())
}

#[test]
fn chains_of_roots_end_where_a_tuf_client_ends() {
    let people: Vec<Person> = (0..PEOPLE as u8).map(|n| Person::new(50 + n)).collect();
    let online = Person::new(60);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut followed, mut refused) = (0, std::collections::BTreeMap::<String, u32>::new());
    for seed in 0..CHAINS {
        let mut luck = Rng::with_seed(seed);
        let mut chain = vec![Step::after(&mut luck, None)];
        for _ in 0..luck.usize(..4) {
            let next = Step::after(&mut luck, chain.last());
            chain.push(next);
        }
        let (ours, theirs) = (by_us(&chain, &people), runtime.block_on(by_tough(&chain, &people, &online)));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => followed += 1,
            (Err(code), Err(_)) => *refused.entry(code.clone()).or_default() += 1,
            _ => panic!("seed {seed}: we say {ours:?}, tough says {theirs:?} of {chain:#?}"),
        }
    }
    let codes = ["seal.root_expired", "seal.root_invalid", "seal.threshold"];
    assert!(followed >= CHAINS / 4, "only {followed} of {CHAINS} chains were followed: {refused:?}");
    assert!(codes.iter().all(|code| refused.get(*code).is_some_and(|n| *n > 5)), "{refused:?}");
}
