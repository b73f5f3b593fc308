//! ring as the second implementation: both must agree on every signature.

use proptest::prelude::*;
use remit_seal::dsse::{Envelope, PayloadType, Signature};
use remit_seal::key::{PublicKey, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, UnparsedPublicKey, VerificationAlgorithm,
};

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One key in both implementations.
struct Pair {
    ours: SigningKey,
    public: PublicKey,
    algorithm: &'static dyn VerificationAlgorithm,
    point: Vec<u8>,
    sign: Sign,
}

impl Pair {
    fn ed25519(seed: [u8; 32]) -> Self {
        let ours = SigningKey::ed25519_from_seed(&seed);
        let ring = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let point = ring.public_key().as_ref().to_vec();
        let sign = Box::new(move |message: &[u8]| ring.sign(message).as_ref().to_vec());
        Self { public: PublicKey::from_spec(&ours.public()).unwrap(), ours, algorithm: &ED25519, point, sign }
    }

    fn p256(seed: [u8; 32]) -> Self {
        let ours = SigningKey::p256_from_seed(&seed).unwrap();
        let secret = p256::SecretKey::from_slice(&seed).unwrap();
        let point = p256::EncodedPoint::from(secret.public_key()).as_bytes().to_vec();
        let random = SystemRandom::new();
        let ring = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &seed,
            &point,
            &random,
        )
        .unwrap();
        let sign = Box::new(move |message: &[u8]| ring.sign(&random, message).unwrap().as_ref().to_vec());
        let public = PublicKey::from_spec(&ours.public()).unwrap();
        Self { public, ours, algorithm: &ECDSA_P256_SHA256_FIXED, point, sign }
    }

    fn ring_verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.point).verify(message, signature).is_ok()
    }

    fn agree(&self, text: &str, flip: (prop::sample::Index, u8)) {
        let mut envelope = Envelope::sign(PayloadType::Job, &text, &[&self.ours]).unwrap();
        let message = envelope.message();
        let our_signature = envelope.signatures[0].sig.clone();
        let ring_signature = (self.sign)(&message);
        assert!(self.ring_verifies(&message, &our_signature), "ring refuses ours");
        assert!(self.public.verifies(&message, &ring_signature), "we refuse ring's");
        envelope.signatures = vec![Signature { keyid: self.ours.id(), sig: ring_signature }];
        let read = Envelope::parse(&envelope.to_bytes(), PayloadType::Job).unwrap();
        assert!(self.public.verifies(&read.message(), &read.signatures[0].sig));
        let mut spoilt = our_signature;
        let at = flip.0.index(spoilt.len());
        spoilt[at] ^= flip.1;
        assert!(!self.public.verifies(&message, &spoilt), "we believe a spoilt signature");
        assert!(!self.ring_verifies(&message, &spoilt), "ring believes a spoilt signature");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_implementations_agree(
        seed in any::<[u8; 31]>(),
        text in "\\PC{0,200}",
        flip in (any::<prop::sample::Index>(), 1_u8..),
    ) {
        // 31 random bytes under a 1: always below the order of P-256.
        let mut full = [1; 32];
        full[1..].copy_from_slice(&seed);
        Pair::ed25519(full).agree(&text, flip);
        Pair::p256(full).agree(&text, flip);
    }
}

#[test]
fn a_second_form_of_an_ed25519_signature_is_refused_by_both() {
    let pair = Pair::ed25519([5; 32]);
    let envelope = Envelope::sign(PayloadType::Job, &"x", &[&pair.ours]).unwrap();
    let (message, mut signature) = (envelope.message(), envelope.signatures[0].sig.clone());
    assert!(pair.public.verifies(&message, &signature));
    // s + L, where L is the order of the group: the same signature to a sloppy verifier.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0_u16;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = ((sum & 0xff) as u8, sum >> 8);
    }
    assert!(!pair.public.verifies(&message, &signature));
    assert!(!pair.ring_verifies(&message, &signature));
}

#[test]
fn a_der_signature_is_no_signature_here() {
    let pair = Pair::p256([5; 32]);
    let envelope = Envelope::sign(PayloadType::Job, &"x", &[&pair.ours]).unwrap();
    let fixed = p256::ecdsa::Signature::from_slice(&envelope.signatures[0].sig).unwrap();
    assert!(pair.public.verifies(&envelope.message(), &fixed.to_bytes()));
    assert!(!pair.public.verifies(&envelope.message(), fixed.to_der().as_bytes()));
}

#[test]
fn a_signature_around_a_small_point_is_refused() {
    let pair = Pair::ed25519([5; 32]);
    let envelope = Envelope::sign(PayloadType::Job, &"x", &[&pair.ours]).unwrap();
    // R is the identity and s = k·a: right by the equation, as ring and the plain
    // verification find, and a signature that fits no nonce. Strict verification refuses it.
    let signature = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "24232f9398c8f11a5a21dd610b2a358f1c01549b953340e475523d2748b76d09",
    ];
    let signature = hex::decode(signature.concat()).unwrap();
    assert!(pair.ring_verifies(&envelope.message(), &signature));
    assert!(!pair.public.verifies(&envelope.message(), &signature));
}
