//! Nonces of enrolments. The broker keeps none: each says when it was made, and is signed with a key that
//! brokers with one data directory share. That one is shown only once, the runner's loop sees to.

use remit_loops::Timestamp;
use remit_proto::convert::Nonce;
use remit_proto::limit::NONCE_MAX_MS;
use ring::hmac;

/// What is signed begins with this.
const DOMAIN: &[u8] = b"remit nonce of an enrolment v1\0";
/// Time, randomness and signature, in bytes.
const TIME_LEN: usize = 8;
const SAID_LEN: usize = 16;

/// Makes nonces and knows its own again.
pub(crate) struct Nonces(hmac::Key);

impl Nonces {
    /// With a key that follows from this secret.
    pub(crate) fn of_secret(secret: &[u8]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, DOMAIN).as_ref()))
    }

    /// A new one, for one install, whether that is there or not.
    pub(crate) fn mint(&self, install: &str, now: Timestamp) -> Result<Nonce, getrandom::Error> {
        let mut nonce = [0; 32];
        nonce[..TIME_LEN].copy_from_slice(&now.0.to_be_bytes());
        getrandom::fill(&mut nonce[TIME_LEN..SAID_LEN])?;
        let tag = hmac::sign(&self.0, &signed(&nonce, install));
        nonce[SAID_LEN..].copy_from_slice(&tag.as_ref()[..32 - SAID_LEN]);
        Ok(nonce)
    }

    /// Until when it is good, if it was made here for this install and is good still.
    pub(crate) fn check(&self, nonce: &Nonce, install: &str, now: Timestamp) -> Option<Timestamp> {
        let tag = hmac::sign(&self.0, &signed(nonce, install));
        let is_ours = subtle::ConstantTimeEq::ct_eq(&tag.as_ref()[..32 - SAID_LEN], &nonce[SAID_LEN..]);
        let made = Timestamp(i64::from_be_bytes(nonce[..TIME_LEN].try_into().ok()?));
        let until = made.plus_ms(i64::from(NONCE_MAX_MS));
        (bool::from(is_ours) && now < until).then_some(until)
    }
}

fn signed(nonce: &Nonce, install: &str) -> Vec<u8> {
    [DOMAIN, &nonce[..SAID_LEN], install.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    #[test]
    fn a_nonce_is_good_for_its_install_for_a_minute() {
        let nonces = Nonces::of_secret(b"a secret");
        let nonce = nonces.mint("ins_demo.shop.acme", NOW).unwrap();
        assert_eq!(nonces.check(&nonce, "ins_demo.shop.acme", NOW), Some(NOW.plus_ms(60_000)));
        assert!(nonces.check(&nonce, "ins_demo.shop.acme", NOW.plus_ms(59_999)).is_some());
        assert_eq!(nonces.check(&nonce, "ins_demo.shop.acme", NOW.plus_ms(60_000)), None);
        assert_eq!(nonces.check(&nonce, "ins_demo.shop.other", NOW), None);
        assert_ne!(nonce, nonces.mint("ins_demo.shop.acme", NOW).unwrap());
    }

    #[test]
    fn brokers_with_one_secret_know_each_others_and_nobody_makes_one() {
        let nonce = Nonces::of_secret(b"a secret").mint("ins_demo.shop.acme", NOW).unwrap();
        assert!(Nonces::of_secret(b"a secret").check(&nonce, "ins_demo.shop.acme", NOW).is_some());
        assert_eq!(Nonces::of_secret(b"another").check(&nonce, "ins_demo.shop.acme", NOW), None);
        let nonces = Nonces::of_secret(b"a secret");
        for at in 0..nonce.len() {
            let mut changed = nonce;
            changed[at] ^= 1;
            assert_eq!(nonces.check(&changed, "ins_demo.shop.acme", NOW), None, "byte {at}");
        }
    }
}
