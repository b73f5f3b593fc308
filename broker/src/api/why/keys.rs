//! Reasons that no loop knows: a key that does not sign, and a trust root that runs out.

use remit_loops::Evidence;
use remit_loops::runner::Runner;
use remit_loops::{Object, Timestamp, Waiting};

use crate::api::error::ApiError;
use crate::edge::Edge;
use crate::engine::Snapshot;
use crate::trust::{DAY_MS, WARN_MS};

/// What the keys have to do with an object's not being done.
pub(super) async fn reason(edge: &Edge, of: &Snapshot) -> Result<Option<Waiting>, ApiError> {
    match &*of.object {
        Object::Runner(runner) => Ok(unsigned(edge, runner)),
        Object::Org(_) => {
            let expires_ms = edge.trust.expires_ms(of.id.name()).await?;
            Ok(expires_ms.and_then(|expires_ms| ending(expires_ms, edge.engine.now().0)))
        }
        Object::App(_) | Object::Install(_) | Object::Component(_) => Ok(None),
    }
}

/// KMS's own words name keys and roles of the broker, so they are for its operator only.
fn unsigned(edge: &Edge, runner: &Runner) -> Option<Waiting> {
    let offer = runner.next_offer()?;
    let trouble = edge.dispatch.trouble()?;
    let code = Some(trouble.code.to_owned());
    Some(Waiting {
        code: "waiting.signature".to_owned(),
        reason: "the broker's key in AWS KMS does not sign the next job".to_owned(),
        since: trouble.since,
        on: None,
        remedy: "it is tried again by itself; the broker's operator sees more in `remit keys dispatch show`"
            .to_owned(),
        evidence: Some(Evidence { code, attempt: Some(offer.spec.id), ..Evidence::default() }),
    })
}

fn ending(expires_ms: i64, now_ms: i64) -> Option<Waiting> {
    let left_ms = expires_ms.saturating_sub(now_ms);
    if left_ms > WARN_MS {
        return None;
    }
    let (code, since, reason) = if left_ms <= 0 {
        let reason = "the trust root has expired: runners believe no job".to_owned();
        ("attention.root_expired", expires_ms, reason)
    } else {
        let reason =
            format!("the trust root runs out in {} days; then runners believe no job", left_ms / DAY_MS);
        ("attention.root_expires", expires_ms - WARN_MS, reason)
    };
    Some(Waiting {
        code: code.to_owned(),
        reason,
        since: Timestamp(since),
        on: None,
        remedy: "sign the next root: `remit keys root rotate`, then `remit keys root publish`".to_owned(),
        evidence: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_spoken_of_thirty_days_before_it_ends() {
        let code = |left_ms| ending(WARN_MS * 2 + left_ms, WARN_MS * 2).map(|waiting| waiting.code);
        assert_eq!(code(WARN_MS + 1), None);
        for left_ms in [WARN_MS, 1] {
            assert_eq!(code(left_ms).as_deref(), Some("attention.root_expires"));
        }
        for left_ms in [0, -1] {
            assert_eq!(code(left_ms).as_deref(), Some("attention.root_expired"));
        }
        let words = ending(WARN_MS * 2 + 3 * DAY_MS, WARN_MS * 2).unwrap().reason;
        assert!(words.contains("in 3 days"), "{words}");
    }
}
