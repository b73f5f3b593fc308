//! Several brokers on one database: one is killed, one is stopped and goes on, connections are cut off, and
//! the others work.

use std::process::Command;
use std::time::{Duration, Instant};

use remit_postgres::Database;

use super::{
    Address, PATIENCE, PostgresStore, Taker, check_acknowledged, count_acks, read_acks, replay, start_child,
};

const BROKERS: usize = 3;
const ROUNDS: usize = 3;
/// How many signals the others must take within seconds after one was killed or stopped.
const GOES_ON: usize = 300;
const WITHIN: Duration = Duration::from_secs(60);

/// A broker in a process of its own, with its own list of what it has acknowledged.
struct Broker {
    dir: tempfile::TempDir,
    child: Taker,
}

impl Broker {
    fn start(url: &str, name: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { child: start_child(dir.path(), name, Some(url)), dir }
    }

    fn acknowledged(&self) -> usize {
        count_acks(self.dir.path())
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

/// Waits until each of these has acknowledged so many more.
fn wait_for_more(brokers: &[&Broker], more: usize, within: Duration) {
    let wanted: Vec<usize> = brokers.iter().map(|broker| broker.acknowledged() + more).collect();
    let until = Instant::now() + within;
    while brokers.iter().zip(&wanted).any(|(broker, wanted)| broker.acknowledged() < *wanted) {
        let now: Vec<usize> = brokers.iter().map(|broker| broker.acknowledged()).collect();
        assert!(Instant::now() < until, "work does not go on: {now:?}, and {wanted:?} wanted");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn brokers_share_a_database_while_one_is_killed_and_one_is_stopped() {
    let database = Database::create().unwrap();
    let url = database.url();
    let mut names = 0..;
    let mut start = || Broker::start(&url, names.next().unwrap());
    let mut gone = vec![];
    let mut brokers: Vec<Broker> = (0..BROKERS).map(|_| start()).collect();
    for round in 0..ROUNDS {
        wait_for_more(&brokers.iter().collect::<Vec<_>>(), 100 + 37 * round, PATIENCE);
        let (killed, stopped) = (round % BROKERS, (round + 1) % BROKERS);
        brokers[killed].child.kill();
        brokers[stopped].signal("STOP");
        // Whatever goes on on a connection now, a commit among it, is cut off.
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name = 'remit-broker' AND datname = current_database()";
        assert_ne!(database.psql(cut).unwrap(), "0");
        // The third goes on, though the others may have held what it needs.
        wait_for_more(&[&brokers[(round + 2) % BROKERS]], GOES_ON, WITHIN);
        brokers[stopped].signal("CONT");
        wait_for_more(&[&brokers[stopped]], 20, WITHIN);
        gone.push(std::mem::replace(&mut brokers[killed], start()));
    }
    for broker in &mut brokers {
        broker.child.kill();
    }
    let store = PostgresStore::open(Address::parse(&url, None).unwrap()).unwrap();
    // What the last broker left in the middle, a next one takes up; here nobody does, and replay allows it.
    let all: Vec<_> = gone.iter().chain(&brokers).flat_map(|broker| read_acks(broker.dir.path())).collect();
    let seen = check_acknowledged(&*store.reader(), &all);
    replay(&*store.reader()).unwrap();
    assert!(seen > ROUNDS * GOES_ON, "{seen} events are no load");
}
