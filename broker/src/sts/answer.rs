//! Reads what AWS answers: who somebody is, or why it will not say.

use serde::Deserialize;

use super::Failed;

/// The longest code of an error that is passed on.
const CODE_LEN_MAX: usize = 64;

/// Whom AWS names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The account, 12 digits.
    pub(crate) account: String,
    /// The role that was assumed, without path; none for a user.
    pub(crate) role: Option<String>,
}

#[derive(Deserialize)]
struct Good {
    #[serde(rename = "GetCallerIdentityResponse")]
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "GetCallerIdentityResult")]
    result: Identity,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "Account")]
    account: String,
    #[serde(rename = "Arn")]
    arn: String,
}

#[derive(Deserialize)]
struct Bad {
    #[serde(rename = "Error")]
    error: Fault,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(rename = "Code")]
    code: String,
}

pub(super) fn read(status: u16, body: &[u8]) -> Result<Caller, Failed> {
    match status {
        200 => {
            let good: Good = serde_json::from_slice(body)
                .map_err(|_| Failed::Strange("it is not the JSON of an identity"))?;
            let Identity { account, arn } = good.response.result;
            caller(account, &arn).ok_or(Failed::Strange("it names nobody"))
        }
        429 | 500..=599 => Err(Failed::Away(format!("it answered {status}"))),
        400..=499 => Err(refused(status, body)),
        300..=399 => Err(Failed::Strange("it leads elsewhere")),
        _ => Err(Failed::Strange("its status is neither yes nor no")),
    }
}

fn refused(status: u16, body: &[u8]) -> Failed {
    let code = serde_json::from_slice(body).map(|bad: Bad| bad.error.code).unwrap_or_default();
    let is_word = (1..=CODE_LEN_MAX).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    match code.as_str() {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => Failed::Away(code),
        _ if is_word => Failed::Refused(code),
        _ => Failed::Refused(format!("status {status}")),
    }
}

/// `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION`, or what else somebody of an account can be.
fn caller(account: String, arn: &str) -> Option<Caller> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "sts" | "iam", "", of, who] = parts[..] else { return None };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    if !is_account || of != account || !partition.starts_with("aws") || who.is_empty() {
        return None;
    }
    let role = match who.strip_prefix("assumed-role/") {
        Some(assumed) => {
            let (role, session) = assumed.split_once('/')?;
            if role.is_empty() || session.is_empty() {
                return None;
            }
            Some(role.to_owned())
        }
        None => None,
    };
    Some(Caller { account, role })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: &str, arn: &str) -> String {
        format!(
            r#"{{"GetCallerIdentityResponse":{{"GetCallerIdentityResult":{{"Account":"{account}","Arn":"{arn}","UserId":"x"}},"ResponseMetadata":{{"RequestId":"y"}}}}}}"#
        )
    }

    #[test]
    fn roles_and_users_are_told_apart() {
        for (arn, role) in [
            ("arn:aws:sts::123456789012:assumed-role/remit-runner/i-0abc", Some("remit-runner")),
            ("arn:aws-cn:sts::123456789012:assumed-role/remit-runner/a:b", Some("remit-runner")),
            ("arn:aws:iam::123456789012:user/assumed-role/remit-runner", None),
            ("arn:aws:iam::123456789012:root", None),
            ("arn:aws:sts::123456789012:federated-user/bob", None),
        ] {
            let found = read(200, of("123456789012", arn).as_bytes()).unwrap();
            assert_eq!((found.account.as_str(), found.role.as_deref()), ("123456789012", role), "{arn}");
        }
    }

    #[test]
    fn what_makes_no_sense_names_nobody() {
        for (account, arn) in [
            ("123456789012", "arn:aws:sts::210987654321:assumed-role/remit-runner/x"),
            ("12345", "arn:aws:iam::12345:root"),
            ("123456789012", "arn:aws:sts::123456789012:"),
            ("123456789012", "arn:evil:sts::123456789012:assumed-role/r/x"),
            ("123456789012", "arn:aws:sts::123456789012:assumed-role/remit-runner"),
            ("123456789012", "arn:aws:sts::123456789012:assumed-role//x"),
            ("123456789012", "assumed-role/remit-runner/x"),
        ] {
            let found = read(200, of(account, arn).as_bytes());
            assert!(matches!(found, Err(Failed::Strange(_))), "{arn}: {found:?}");
        }
        for body in ["", "{}", "<xml/>", "[]"] {
            assert!(matches!(read(200, body.as_bytes()), Err(Failed::Strange(_))), "{body}");
        }
    }

    #[test]
    fn a_no_is_passed_on_by_its_code_alone() {
        let bad =
            |code: &str| format!(r#"{{"Error":{{"Code":"{code}","Message":"secret","Type":"Sender"}}}}"#);
        let said = |status, body: &str| read(status, body.as_bytes()).unwrap_err();
        assert_eq!(
            said(403, &bad("SignatureDoesNotMatch")),
            Failed::Refused("SignatureDoesNotMatch".to_owned())
        );
        assert_eq!(said(403, &bad("<b>x</b>")), Failed::Refused("status 403".to_owned()));
        assert_eq!(said(403, "<xml/>"), Failed::Refused("status 403".to_owned()));
        assert_eq!(said(400, &bad("Throttling")), Failed::Away("Throttling".to_owned()));
        assert!(matches!(said(503, ""), Failed::Away(_)));
        assert!(matches!(said(302, ""), Failed::Strange(_)));
        assert!(matches!(said(204, ""), Failed::Strange(_)));
    }
}
