//! Canary secrets through a whole installation: told by a script in every way that it knows, they are in
//! no answer of the broker, not in its database, and in nobody's log. A planted leak is.

use std::fs;

use remit_tests::world::World;

use crate::by_hand::{contains, holds};
use crate::{customer, vendor_in};

const IN_FILE: &str = "canary-of-the-file-3c8e";
const BY_REFERENCE: &str = "canary/by+reference-91d0";
const GIVEN: &str = "canary-that-a-script-made-5aa2";
const PLANTED: &str = "canary-that-nobody-hides-0b7d";

const PRODUCT: &str = r#"
version = 1

[app]
org = "demo"
name = "canary"

[inputs.site_dir]
type = "string"
authority = "customer"
max = 512

[inputs.filed]
type = "string"
authority = "customer"
max = 512
sensitive = true

[inputs.referred]
type = "string"
authority = "customer"
max = 512
sensitive = true

[inputs.planted]
type = "string"
authority = "customer"
max = 512

[components.make]
kind = "script"
source = "make"
longest_run = "1m"
commands = { deploy = ["sh", "deploy.sh"] }
inputs = { site_dir = "{{ inputs.site_dir }}" }
outputs = { password = { type = "string", sensitive = true } }

[components.tell]
kind = "script"
source = "tell"
longest_run = "1m"
commands = { deploy = ["sh", "deploy.sh"] }
inputs = { filed = "{{ inputs.filed }}", referred = "{{ inputs.referred }}", made = "{{ components.make.outputs.password }}", planted = "{{ inputs.planted }}" }
outputs = { told = "string" }

[components.fail]
kind = "script"
source = "fail"
longest_run = "1m"
commands = { deploy = ["sh", "deploy.sh"] }
inputs = { told = "{{ components.tell.outputs.told }}", made = "{{ components.make.outputs.password }}" }
"#;
/// The password lies in the customer's account, so that the vendor's own source does not hold it.
const MAKE: &str =
    r#"printf '{"password":"%s"}' "$(cat "$REMIT_INPUT_SITE_DIR/made")" > "$REMIT_OUTPUTS_FILE""#;
const TELL: &str = r#"for s in "$REMIT_INPUT_FILED" "$REMIT_INPUT_REFERRED" "$REMIT_INPUT_MADE"; do
    echo "plain $s"; echo "error $s" >&2; printf '%s' "$s" | base64; printf 'x%s' "$s" | base64 -w 20
    printf '%s' "$s" | od -An -v -tx1 | tr -d ' \n'; echo
done
env; echo "planted $REMIT_INPUT_PLANTED"
printf '{"told":"%s"}' "$REMIT_INPUT_MADE" > "$REMIT_OUTPUTS_FILE""#;
const FAIL: &str = r#"echo "cannot use $REMIT_INPUT_MADE" >&2; exit 9"#;

/// The product takes the place of the one that the world began with.
fn world() -> World {
    let mut world = World::start("misfortune").unwrap();
    let product = world.path("product");
    fs::remove_dir_all(&product).unwrap();
    for (name, script) in [("make", MAKE), ("tell", TELL), ("fail", FAIL)] {
        fs::create_dir_all(product.join(name)).unwrap();
        fs::write(product.join(name).join("deploy.sh"), script).unwrap();
    }
    fs::write(product.join("remit.toml"), PRODUCT).unwrap();
    fs::write(world.path("site/made"), GIVEN).unwrap();
    let (inputs, key) = (world.path("inputs.toml"), world.path("key"));
    fs::write(&inputs, format!("filed = \"{IN_FILE}\"\nplanted = \"{PLANTED}\"\n")).unwrap();
    fs::write(&key, BY_REFERENCE).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let reference = format!("--secret=referred=file:{}", key.display());
    world.tell_runners(&[format!("--inputs-file={}", inputs.display()), reference]);
    vendor_in(world)
}

/// All that anybody on the vendor's side can ask.
fn answers(world: &World) -> String {
    let asked: [&[&str]; 9] = [
        &["logs", "acme"],
        &["install", "outputs", "acme", "-o", "json"],
        &["install", "show", "acme", "-o", "json"],
        &["timeline", "acme", "-n", "1000", "-o", "json"],
        &["why", "acme"],
        &["why", "acme", "-o", "json"],
        &["release", "list", "-o", "json"],
        &["audit", "show", "-n", "1000", "-o", "json"],
        &["webhooks", "list", "-o", "json"],
    ];
    asked.iter().map(|args| world.remit(args).unwrap()).collect()
}

/// A token of the org and a webhook's secret: shown once, and nowhere again.
fn secrets_of_the_vendor(world: &World) -> [String; 2] {
    let token = world.remit(&["token", "create", "canary"]).unwrap().trim().to_owned();
    let url = "https://hooks.example.com/in";
    let secret = world.remit(&["webhooks", "create", "canary", "--url", url]).unwrap().trim().to_owned();
    assert!(token.len() > 30 && secret.len() > 30, "they are shown once");
    [token, secret]
}

#[test]
fn no_canary_reaches_the_vendor_and_a_planted_one_does() {
    let mut world = world();
    let install = customer(&mut world, "acme", &[]);
    world.until_status(&install, "held").unwrap();
    let own = secrets_of_the_vendor(&world);
    let told = answers(&world);
    assert!(told.contains("cannot use [redacted]") && told.contains("plain [redacted]"), "{told}");
    let hexadecimal = |canary: &str| canary.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    for canary in [IN_FILE, BY_REFERENCE, GIVEN] {
        for form in [canary.to_owned(), hexadecimal(canary)] {
            assert!(!told.contains(&form), "{form} was told: {told}");
            assert!(!holds(&world.broker_dir(), form.as_bytes()), "the broker keeps {form}");
            for log in ["broker".to_owned(), install.clone()] {
                let text = fs::read(world.path(&format!("{log}.log"))).unwrap();
                assert!(!contains(&text, form.as_bytes()), "{log}.log tells {form}");
            }
        }
    }
    for secret in own {
        assert!(!told.contains(&secret), "the vendor's own secret was told: {told}");
        assert!(
            !holds(&world.broker_dir(), secret.as_bytes()),
            "the broker keeps a vendor's secret as it is"
        );
        let log = fs::read(world.path("broker.log")).unwrap();
        assert!(!contains(&log, secret.as_bytes()), "broker.log tells a vendor's secret");
    }
    assert!(told.contains(PLANTED), "the scan is blind: {told}");
    assert!(holds(&world.broker_dir(), PLANTED.as_bytes()), "the scan of the broker is blind");
}
