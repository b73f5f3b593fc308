//! A runner that proves by AWS where it is: a real AWS API that checks signatures, a real broker that asks it, a
//! real runner that signs with what its environment gives.

use remit_tests::world::aws::{ACCOUNT, Aws, Manner, REGION};
use remit_tests::world::{World, wait_for};

use crate::vendor_in;

const ROLE: &str = "remit-acme";

/// A vendor whose broker asks this AWS, and an install that is declared to be in an account there.
fn declared(aws: &Aws, role: &str) -> (World, String) {
    let settings = vec![("REMIT_STS_ENDPOINT".to_owned(), aws.url())];
    let mut world = vendor_in(World::start_with("shop", settings).unwrap());
    let directory = world.path("for-acme");
    std::fs::create_dir(&directory).unwrap();
    let place = ["--aws-account", ACCOUNT, "--aws-region", REGION, "--aws-role", role];
    let command = ["install", "create", "acme", "--sandbox", "--out-dir", directory.to_str().unwrap()];
    let said = world.remit(&[&command[..], &place[..]].concat()).unwrap();
    assert!(said.contains("No token is needed") && !said.contains("--token-file"), "{said}");
    assert!(!directory.join("acme.token").exists(), "nothing secret is made");
    world.tell_runners(&place[..4].iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    (world, "ins_demo.shop.acme".to_owned())
}

fn until_it_says(world: &World, install: &str, words: &str) {
    wait_for(words, || Ok(world.log_of(install).contains(words).then_some(()))).unwrap();
}

#[test]
fn a_runner_with_the_declared_role_needs_no_token() {
    let aws = Aws::start(&Manner::default()).unwrap();
    let session = aws.assume(ROLE).unwrap();
    aws.check_permissions().unwrap();
    let (mut world, install) = declared(&aws, ROLE);
    world.tell_runners_by_environment(session.env());
    world.start_runner(&install).unwrap();
    world.until_status(&install, "active").unwrap();
    let runner = world.operator().unwrap().view("run_demo.shop.acme").unwrap();
    assert_eq!(runner["detail"]["runner"]["place"]["account"], ACCOUNT, "{runner}");
    // AWS needs the session's token to check the signature; nobody keeps it.
    for directory in [world.broker_dir(), world.runner_dir(&install)] {
        let kept =
            std::process::Command::new("grep").args(["-rlaF", &session.token]).arg(&directory).output();
        assert_eq!(String::from_utf8_lossy(&kept.unwrap().stdout), "");
    }
    assert!(!world.log_of("broker").contains(&session.token));
    assert!(!world.log_of(&install).contains(&session.token));
}

#[test]
fn another_role_is_told_which_one_was_found() {
    let aws = Aws::start(&Manner::default()).unwrap();
    let session = aws.assume("somebody-else").unwrap();
    aws.check_permissions().unwrap();
    let (mut world, install) = declared(&aws, ROLE);
    world.tell_runners_by_environment(session.env());
    world.start_runner(&install).unwrap();
    until_it_says(&world, &install, "rpc.proof_role");
    until_it_says(&world, &install, "role somebody-else");
}
