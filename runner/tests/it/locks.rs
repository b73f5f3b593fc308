//! The suite that every kind of lock passes: what a lock promises, whatever it is kept in.

use std::process::Command;
use std::sync::Arc;

use remit_runner::Coded;
use remit_runner::account::lock::backend::{Place, Unwritten};
use remit_runner::account::lock::owner::Owner;
use remit_runner::account::lock::record::{Phase, Record};
use remit_runner::account::lock::{Error, Held, Locks};
use remit_runner::outcome::Attempt;
use remit_runner::storage::data_dir::DataDir;

use crate::aws::Aws;
use crate::valve::{Hold, Valve};

pub(crate) fn attempt(fence: u64) -> Attempt {
    Attempt { job: format!("job_demo.shop.acme.network.o{fence}"), attempt: 1, fence }
}

/// A runner's process on another machine, of which nothing is known here.
pub(crate) fn elsewhere(n: u32) -> Owner {
    Owner {
        name: format!("host-{n}"),
        machine: format!("machine-{n}"),
        boot: format!("boot-{n}"),
        process: format!("process-{n}"),
        ..Owner::this(&format!("runner-{n}"))
    }
}

/// A runner's process on this machine that has ended.
fn ended() -> Owner {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let start_ticks = remit_runner::process::start_ticks(pid).unwrap();
    child.wait().unwrap();
    Owner { pid, start_ticks, ..Owner::this("runner-dead") }
}

fn code(taken: Result<Held, Error>) -> &'static str {
    taken.map_or_else(|error| error.code(), |_| "taken")
}

/// Everything that a place must keep to. `open` opens the same place again, as another process would.
pub(crate) async fn conforms(open: impl Fn() -> Place) {
    is_taken_and_freed(&open).await;
    refuses_older_fences(&open).await;
    of_two_writers_one_is_told_so(&open).await;
    is_taken_over_from_the_dead(&open).await;
    if !open().is_private() {
        waits_for_who_may_live(&open).await;
        is_broken_by_name_alone(&open).await;
        goes_to_one_of_many(&open).await;
    }
}

async fn is_taken_and_freed(open: &impl Fn() -> Place) {
    let locks = Locks::at(open(), Owner::this("runner-a"), 3);
    let mut held = locks.take("freed", &attempt(1), 7).await.unwrap();
    let phase = async || open().read("freed").await.unwrap().unwrap().record;
    let record = phase().await;
    assert_eq!((record.attempt.fence, record.seq, record.generation), (1, 7, 3));
    assert_eq!((record.phase, record.component.as_str()), (Phase::Taken, "freed"));
    held.begin().await.unwrap();
    assert_eq!(phase().await.phase, Phase::Running);
    held.release().await.unwrap();
    assert_eq!(phase().await.phase, Phase::Free);
    assert_eq!(locks.high(0), (7, 1));
    assert!(open().read("never").await.unwrap().is_none());
}

async fn refuses_older_fences(open: &impl Fn() -> Place) {
    let locks = Locks::at(open(), Owner::this("runner-a"), 1);
    locks.take("fenced", &attempt(5), 1).await.unwrap().release().await.unwrap();
    let again = Locks::at(open(), Owner::this("runner-b"), 1);
    for fence in [4, 5] {
        assert_eq!(code(again.take("fenced", &attempt(fence), 2).await), "runner.fence_stale");
    }
    again.take("fenced", &attempt(6), 2).await.unwrap();
}

async fn of_two_writers_one_is_told_so(open: &impl Fn() -> Place) {
    let record =
        |fence| Record::taken("raced", &attempt(fence), (1, 0), 1, elsewhere(u32::try_from(fence).unwrap()));
    let mut over = None;
    for round in 0..3u64 {
        let write = async |n: u64| open().write(&record(round * 100 + n + 1), over.as_ref()).await;
        let written = futures::future::join_all((0..8).map(write)).await;
        let told: Vec<_> = written.iter().filter_map(|w| w.as_ref().ok()).collect();
        let late = written.iter().filter(|w| matches!(w, Err(Unwritten::Changed))).count();
        assert_eq!((told.len(), late), (1, 7), "{written:?}");
        let found = open().read("raced").await.unwrap().unwrap();
        assert_eq!(*told[0], found.version);
        over = Some(found.version);
    }
    assert!(matches!(open().write(&record(900), None).await, Err(Unwritten::Changed)));
}

async fn is_taken_over_from_the_dead(open: &impl Fn() -> Place) {
    let dead = Locks::at(open(), ended(), 1);
    let mut held = dead.take("orphaned", &attempt(1), 1).await.unwrap();
    held.begin().await.unwrap();
    drop(held);
    let mark = [("REMIT_ATTEMPT", attempt(1).mark()), ("REMIT_RUNNER", "runner-dead".to_owned())];
    let mut orphan = Command::new("sleep").arg("86405").envs(mark).spawn().unwrap();
    let locks = Locks::at(open(), Owner::this("runner-a"), 2);
    locks.take("orphaned", &attempt(2), 2).await.unwrap();
    // Killed before the lock was taken: waiting only takes its remains away.
    assert!(!orphan.wait().unwrap().success());
}

async fn waits_for_who_may_live(open: &impl Fn() -> Place) {
    let other = Locks::at(open(), elsewhere(1), 1);
    let held = other.take("waited", &attempt(1), 1).await.unwrap();
    let locks = Locks::at(open(), Owner::this("runner-a"), 1);
    let error = locks.take("waited", &attempt(2), 2).await.unwrap_err();
    assert_eq!(error.code(), "runner.lock_held");
    let words = error.to_string();
    assert!(words.contains("on host-1") && words.contains("network.o1") && words.contains("UTC"), "{words}");
    assert!(error.hint().contains(&held.record().holding()), "{}", error.hint());
    let view = locks.view();
    assert_eq!((&view["held"][0]["own"], view["held"].as_array().unwrap().len()), (&false.into(), 1));
    held.release().await.unwrap();
    locks.take("waited", &attempt(2), 2).await.unwrap();
}

async fn is_broken_by_name_alone(open: &impl Fn() -> Place) {
    let other = Locks::at(open(), elsewhere(1), 1);
    let mut held = other.take("broken", &attempt(1), 1).await.unwrap();
    let holding = held.record().holding();
    let locks = Locks::at(open(), Owner::this("runner-a"), 1);
    let turn = locks.turn("broken").await;
    assert_eq!(code(turn.take(&attempt(2), (2, 0), |named| named == "another").await), "runner.lock_held");
    let ours = turn.take(&attempt(2), (2, 0), |named| named == holding).await.unwrap();
    // Who was given up on may not begin, and frees nobody else's lock.
    assert_eq!(held.begin().await.unwrap_err().code(), "runner.lock_lost");
    assert_eq!(held.release().await.unwrap_err().code(), "runner.lock_lost");
    let found = open().read("broken").await.unwrap().unwrap().record;
    assert!(found.is_held() && found.attempt == attempt(2), "{found:?}");
    ours.release().await.unwrap();
}

async fn goes_to_one_of_many(open: &impl Fn() -> Place) {
    let many = (1..=8).map(|n| Arc::new(Locks::at(open(), elsewhere(n), 1)));
    let takes = many.zip(1..).map(async |(locks, fence)| locks.take("many", &attempt(fence), 1).await);
    let taken = futures::future::join_all(takes).await;
    let held: Vec<&Held> = taken.iter().filter_map(|t| t.as_ref().ok()).collect();
    assert_eq!(held.len(), 1, "{taken:?}");
    let found = open().read("many").await.unwrap().unwrap().record;
    assert_eq!(found, *held[0].record());
}

/// An answer that is lost costs nothing: who wrote finds out that they have.
pub(crate) async fn outlives_lost_answers(
    place: Place,
    valve: &Valve,
    method: &'static str,
    text: &'static str,
) {
    let lose = async |what: &str, step: std::pin::Pin<Box<dyn Future<Output = Held> + '_>>| {
        valve.hold(Hold::Answer, method, text, 0);
        let cut = async {
            while !valve.has_caught() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            valve.open();
        };
        let (held, ()) = tokio::join!(step, cut);
        println!("lost the answer to: {what}");
        held
    };
    let locks = Locks::at(place, Owner::this("runner-a"), 1);
    for fence in 1..=2 {
        let held = lose("taking", Box::pin(async { locks.take("lost", &attempt(fence), 1).await.unwrap() }));
        let mut held = held.await;
        held = lose(
            "beginning",
            Box::pin(async {
                held.begin().await.unwrap();
                held
            }),
        )
        .await;
        held.release().await.unwrap();
    }
}

/// How many writes two attempts make: each takes it, begins and frees it.
const WRITES: u32 = 6;

/// A process may end before each write leaves it, or after it took effect and before its answer: what it left is
/// the one or the other, and the next process goes on from there, on the same machine and on another. The valve,
/// which `through` leads by, holds writes by this method and text.
pub(crate) async fn goes_on_after_any_crash(
    open: impl Fn() -> Place,
    through: Place,
    (valve, method, text): (&Valve, &'static str, &'static str),
) {
    for (n, how) in (0..WRITES).flat_map(|n| [(n, Hold::Request), (n, Hold::Answer)]) {
        for (successor, is_here) in [(Owner::this("runner-a"), true), (elsewhere(1), false)] {
            let component =
                format!("crashed-{n}-{}-{is_here}", if how == Hold::Request { "sent" } else { "lost" });
            valve.hold(how, method, text, n);
            crashes(through.clone(), &component, valve).await;
            let found = open().read(&component).await.unwrap();
            let done = n + u32::from(how == Hold::Answer);
            let phases = [Phase::Free, Phase::Taken, Phase::Running];
            let (fence, phase) = (u64::from(done.div_ceil(3)), phases[(done % 3) as usize]);
            let seen = found.as_ref().map(|f| (f.record.attempt.fence, f.record.phase));
            assert_eq!(seen, (done > 0).then_some((fence, phase)), "{component}");
            let next = Locks::at(open(), successor, 2);
            succeeds(&next, &component, (fence, phase, is_here)).await;
            // What the dead one had sent may arrive as late as this.
            let late = Record::taken(&component, &attempt(9), (9, 0), 1, ended());
            let over = found.map(|f| f.version);
            assert!(
                matches!(open().write(&late, over.as_ref()).await, Err(Unwritten::Changed)),
                "{component}"
            );
        }
    }
}

/// Two attempts, one after the other, of a process that ends when the valve has caught a write.
async fn crashes(through: Place, component: &str, valve: &Valve) {
    let locks = Locks::at(through, ended(), 1);
    let life = async {
        for fence in 1..=2 {
            let mut held = locks.take(component, &attempt(fence), fence).await.unwrap();
            held.begin().await.unwrap();
            held.release().await.unwrap();
        }
    };
    let caught = async {
        while !valve.has_caught() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = life => panic!("{component}: nothing was caught"),
        () = caught => {}
    }
    valve.open();
}

/// The next process of the install: no fence is used twice, and only who can prove that the other is gone goes on
/// without the customer's word.
async fn succeeds(next: &Locks, component: &str, (fence, phase, is_here): (u64, Phase, bool)) {
    if fence > 0 {
        assert_eq!(code(next.take(component, &attempt(fence), 1).await), "runner.fence_stale", "{component}");
    }
    let turn = next.turn(component).await;
    let free = fence == 0 || phase == Phase::Free;
    let expected = if free || is_here { "taken" } else { "runner.lock_held" };
    let taken = turn.take(&attempt(3), (3, 0), |_| false).await;
    let taken = match taken {
        Err(error) => {
            assert_eq!(error.code(), expected, "{component}");
            turn.take(&attempt(3), (3, 0), |_| true).await
        }
        taken => {
            assert_eq!(expected, "taken", "{component}");
            taken
        }
    };
    let mut held = taken.unwrap();
    held.begin().await.unwrap();
    held.release().await.unwrap();
    assert_eq!(next.high(0).1, 3, "{component}");
}

#[tokio::test]
async fn locks_in_the_data_directory_conform() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path()).unwrap();
    let place = Place::folder(&dir);
    conforms(|| place.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_in_a_bucket_conform() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    conforms(|| Place::Cells(aws.cells("locks", None))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_in_a_bucket_outlive_lost_answers() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let valve = Valve::before(aws.addr());
    let place = Place::Cells(aws.cells("locks", Some(&valve)));
    outlives_lost_answers(place, &valve, "PUT", "/locks/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_in_a_bucket_go_on_after_a_crash_anywhere() {
    let aws = Aws::start();
    aws.bucket("acme-remit");
    let valve = Valve::before(aws.addr());
    let through = Place::Cells(aws.cells("locks", Some(&valve)));
    goes_on_after_any_crash(|| Place::Cells(aws.cells("locks", None)), through, (&valve, "PUT", "/locks/"))
        .await;
}
