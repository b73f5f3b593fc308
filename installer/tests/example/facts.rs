//! The facts of an example install, with something in every place.

use remit_installer::{Architecture, CustomerInput, Download, InputKind, InstallFacts, Place};
use remit_seal::Digest;

/// A certificate authority made for this example; its key was thrown away.
const CA: &str = include_str!("ca.pem");

/// The same install, whose runner proves its role in place of a token.
pub(crate) fn by_role() -> InstallFacts {
    let mut facts = example();
    if let Some(place) = &mut facts.place {
        place.role = Some("remit-acme".parse().unwrap());
    }
    facts
}

pub(crate) fn example() -> InstallFacts {
    InstallFacts {
        install: "ins_demo.shop.acme".parse().unwrap(),
        place: Some(Place {
            account: "111122223333".parse().unwrap(),
            region: "eu-central-1".parse().unwrap(),
            role: None,
        }),
        broker: "https://broker.shop.example:7451".parse().unwrap(),
        ca: Some(CA.parse().unwrap()),
        root_sha256: Digest::of(b"the vendor's root"),
        channel: "stable".parse().expect("a name"),
        runner: Download {
            url: "https://downloads.shop.example/remit-runner/0.1.0/aarch64-linux".parse().unwrap(),
            digest: Digest::of(b"the runner's program"),
        },
        architecture: Architecture::Arm64,
        policies: vec!["arn:aws:iam::111122223333:policy/shop-product".parse().unwrap()],
        inputs: vec![
            CustomerInput::new(
                "site_dir",
                InputKind::Text,
                "Where the shop keeps its files.",
                Some("/srv/shop"),
            )
            .unwrap(),
            CustomerInput::new("replicas", InputKind::Integer, "How many.", Some("2")).unwrap(),
            CustomerInput::new("public", InputKind::Boolean, "", None).unwrap(),
        ],
    }
}
