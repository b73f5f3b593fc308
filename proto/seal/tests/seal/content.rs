//! What an approval is of: each thing that may make a difference to the customer makes another digest, and what
//! only tells one try of a job from another does not.

use std::collections::BTreeSet;

use remit_seal::Digest;
use remit_seal::customer::{Content, Program};
use remit_seal::document::{
    Approved, BreakGlass, Class, Component, ComponentKind, Job, Part, Release, Side, Source, Value,
};

use crate::world::{NOW, text, world};

fn content(change: fn(&mut Job)) -> Digest {
    let mut job = world().job;
    change(&mut job);
    Content::of(&job, ComponentKind::Terraform, job.sandbox).digest()
}

#[test]
fn another_content_is_another_digest() {
    let changes: [fn(&mut Job); 12] = [
        |_| {},
        |job| job.component = "seed".to_owned(),
        |job| job.operation = "destroy".to_owned(),
        |job| job.class = Class::Destroy,
        |job| job.sandbox = true,
        |job| job.release = Digest::of(b"another release"),
        |job| drop(job.inputs.insert("size".to_owned(), Value::Integer(4))),
        |job| drop(job.inputs.insert("size".to_owned(), text("3"))),
        |job| drop(job.inputs.remove("size")),
        |job| job.plan = Some(Digest::of(b"a plan")),
        |job| job.plan = Some(Digest::of(b"another plan")),
        |job| job.break_glass = Some(glass()),
    ];
    let mut digests: BTreeSet<Digest> = changes.into_iter().map(content).collect();
    digests.insert(Content::of(&world().job, ComponentKind::Script, false).digest());
    assert_eq!(digests.len(), 13);
}

fn glass() -> BreakGlass {
    BreakGlass { by: "ann".to_owned(), reason: "a fire".to_owned(), until_ms: NOW + 1 }
}

#[test]
fn a_retry_is_the_same_content() {
    let retries: [fn(&mut Job); 6] = [
        |job| job.job.push_str("-again"),
        |job| job.attempt = 9,
        |job| (job.seq, job.fence) = (99, 99),
        |job| (job.issued_ms, job.not_before_ms, job.not_after_ms) = (NOW + 1, NOW + 2, NOW + 3),
        |job| job.longest_run_ms = 1,
        |job| {
            let by = "ann".to_owned();
            job.approvals.push(Approved { side: Side::Vendor, by, at_ms: NOW, until_ms: NOW + 1 });
        },
    ];
    for retry in retries {
        assert_eq!(content(retry), content(|_| {}));
    }
}

#[test]
fn a_content_and_its_plans_share_no_digest() {
    let content = Content::of(&world().job, ComponentKind::Terraform, false);
    let planned = content.with_plan(Digest::of(b"a plan"));
    assert_ne!(content.digest(), planned.digest());
    assert_eq!(Content { plan: None, ..planned }, content);
}

/// The form is what people on other machines may write, too: it never changes under its first line.
#[test]
fn the_digest_is_of_a_line_and_of_compact_json() {
    let mut content = Content::of(&world().job, ComponentKind::Terraform, false);
    (content.release, content.inputs) = (Digest::of(b""), [("size".to_owned(), Value::Integer(3))].into());
    let json = "{\"component\":\"network\",\"kind\":\"terraform\",\"operation\":\"deploy\",\"class\":\"change\",\
                \"rehearsal\":false,\"break_glass\":false,\
                \"release\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\
                \"inputs\":{\"size\":3},\"plan\":null}";
    assert_eq!(content.digest(), Digest::of(format!("remit approval content 1\n{json}").as_bytes()));
}

fn program(change: fn(&mut Release, &mut Component)) -> Digest {
    let mut release = world().release;
    let mut seed = release.components[1].clone();
    change(&mut release, &mut seed);
    Program::of(&release, &seed, "deploy").unwrap().digest()
}

#[test]
fn another_program_is_another_digest() {
    let changes: [fn(&mut Release, &mut Component); 8] = [
        |_, _| {},
        |_, seed| seed.name = "other".to_owned(),
        |_, seed| seed.kind = ComponentKind::Terraform,
        |_, seed| seed.digest = Digest::of(b"another source"),
        |_, seed| {
            drop(seed.commands.insert("deploy".to_owned(), vec!["sh".to_owned(), "other.sh".to_owned()]));
        },
        |_, seed| drop(seed.inputs.insert("more".to_owned(), Source::Literal(text("x; rm -rf /")))),
        |_, seed| drop(seed.inputs.insert("more".to_owned(), Source::Input("size".to_owned()))),
        |_, seed| {
            let parts = vec![Part::Literal("n=".to_owned()), Part::Input("size".to_owned())];
            drop(seed.inputs.insert("more".to_owned(), Source::Text(parts)));
        },
    ];
    let digests: BTreeSet<Digest> = changes.into_iter().map(program).collect();
    assert_eq!(digests.len(), 8);
    let given = |max: u64| {
        let mut release = world().release;
        release.components[1].inputs.insert("more".to_owned(), Source::Input("size".to_owned()));
        release.inputs.get_mut("size").unwrap().max = max;
        Program::of(&release, &release.components[1], "deploy").unwrap().digest()
    };
    assert_ne!(given(10), given(11), "what the broker may give it is a part of it");
}

#[test]
fn a_program_outlives_the_release_that_brought_it() {
    let same: [fn(&mut Release, &mut Component); 3] = [
        |release, _| (release.counter, release.version) = (6, "1.5.0".to_owned()),
        |release, _| release.inputs.values_mut().for_each(|input| input.description.push('!')),
        |_, seed| seed.longest_run_ms += 1,
    ];
    for change in same {
        assert_eq!(program(change), program(|_, _| {}));
    }
    let seed = &world().release.components[1];
    assert_eq!(Program::of(&world().release, seed, "destroy"), None);
}
