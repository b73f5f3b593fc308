//! Keys: written and read back, never shown, and one encoding each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_seal::document::{Algorithm, KeySpec};
use remit_seal::key::{PublicKey, SigningKey};

use crate::world::Key;

#[test]
fn a_key_reads_back_from_its_pem() {
    for key in [Key::Ed(7), Key::P256(7)] {
        let key = key.signing();
        let pem = key.to_pem();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let read = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(read.id(), key.id());
        assert_eq!(*read.to_pem(), *pem);
    }
}

#[test]
fn keys_of_openssl_are_read() {
    let ed25519 = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
    // RFC 8410, section 10.3: this private key's public half.
    let public = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    assert_eq!(SigningKey::from_pem(ed25519).unwrap().public().spki, public);
    for text in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert_eq!(SigningKey::from_pem(text).unwrap_err().code(), "seal.key_invalid");
    }
}

#[test]
fn a_bad_seed_is_refused() {
    for seed in [[0; 32], [0xff; 32]] {
        assert_eq!(SigningKey::p256_from_seed(&seed).unwrap_err().code(), "seal.key_invalid");
    }
}

#[test]
fn a_private_key_is_never_shown() {
    let key = SigningKey::ed25519_from_seed(&[0xab; 32]);
    let shown = format!("{key:?}");
    assert!(shown.contains(&key.id()) && !shown.contains("abab") && !shown.contains("171"), "{shown}");
}

/// An Ed25519 SubjectPublicKeyInfo around these 32 bytes.
fn ed25519(point: [u8; 32]) -> KeySpec {
    let prefix = hex::decode("302a300506032b6570032100").unwrap();
    KeySpec { algorithm: Algorithm::Ed25519, spki: STANDARD.encode([prefix, point.to_vec()].concat()) }
}

fn point(first: u8, rest: u8, last: u8) -> [u8; 32] {
    let mut point = [rest; 32];
    (point[0], point[31]) = (first, last);
    point
}

#[test]
fn weak_keys_and_second_encodings_are_refused() {
    let good = Key::P256(5).signing().public();
    let der = STANDARD.decode(&good.spki).unwrap();
    let p256 = |der: &[u8]| KeySpec { algorithm: Algorithm::EcdsaP256Sha256, spki: STANDARD.encode(der) };
    assert!(PublicKey::from_spec(&p256(&der)).is_ok());
    let mut off_curve = der.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    // The same point compressed: lengths of the sequences, then 02 or 03 and x.
    let x = &der[27..59];
    let sign = 2 + (der.last().unwrap() & 1);
    let head = hex::decode("3039301306072a8648ce3d020106082a8648ce3d030107032200").unwrap();
    let compressed = [head, vec![sign], x.to_vec()].concat();
    let rows = [
        ("the identity", ed25519(point(1, 0, 0))),
        ("order two", ed25519(point(0xec, 0xff, 0x7f))),
        ("order four", ed25519(point(0, 0, 0))),
        ("y = p: 0 again", ed25519(point(0xed, 0xff, 0x7f))),
        ("y = p + 1: the identity again", ed25519(point(0xee, 0xff, 0x7f))),
        ("y = p + 3: a good point again", ed25519(point(0xf0, 0xff, 0x7f))),
        ("no point", ed25519(point(2, 0, 0))),
        ("off the curve", p256(&off_curve)),
        ("compressed", p256(&compressed)),
        ("trailing byte", p256(&[der.clone(), vec![0]].concat())),
        ("cut", p256(&der[..der.len() - 1])),
        ("other algorithm", KeySpec { algorithm: Algorithm::Ed25519, ..good.clone() }),
        ("not base64", KeySpec { spki: good.spki.replace('A', "*"), ..good }),
    ];
    for (what, spec) in rows {
        assert_eq!(PublicKey::from_spec(&spec).unwrap_err().code(), "seal.key_invalid", "{what}");
    }
    assert!(PublicKey::from_spec(&ed25519(point(3, 0, 0))).is_ok(), "the good point of y = p + 3");
}
