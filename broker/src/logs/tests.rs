//! Tests of the log store over a real directory.

use object_store::local::LocalFileSystem;

use super::*;

fn key() -> Key {
    let install = "ins_demo.shop.acme".parse().unwrap();
    Key { install, job: "job_demo.shop.acme.network.e1.o1".to_owned(), attempt: 1 }
}

fn logs(dir: &tempfile::TempDir, size_max: u64) -> Logs {
    Logs::with_size_max(Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap()), size_max)
}

async fn append(logs: &Logs, offset: u64, data: &[u8], is_final: bool) -> u64 {
    logs.append(&key(), &Piece { offset, data, is_final }, Timestamp(7)).await.unwrap()
}

#[tokio::test]
async fn repeats_are_harmless_and_gaps_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let logs = logs(&dir, ATTEMPT_SIZE_MAX);
    assert!(logs.follow(&key()).await.unwrap().is_none());
    assert_eq!(append(&logs, 0, b"hello ", false).await, 6);
    assert_eq!(append(&logs, 0, b"hello ", false).await, 6);
    assert_eq!(append(&logs, 9, b"x", false).await, 6);
    assert_eq!(append(&logs, 3, b"lo world", true).await, 11);
    assert_eq!(append(&logs, 11, b" more", false).await, 11, "final is final");
    let end = *logs.follow(&key()).await.unwrap().unwrap().borrow();
    assert_eq!(end, End { size: 11, is_final: true, truncated: false });
    assert_eq!(logs.read(&key(), 6, 100).await.unwrap(), b"world");
    assert_eq!(logs.read(&key(), 99, 100).await.unwrap(), b"");
}

#[tokio::test]
async fn a_restart_goes_on_where_the_log_ended() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..200_000u32).map(|i| b'a' + (i % 26) as u8).collect();
    for (n, piece) in bytes.chunks(33_333).enumerate() {
        let logs = logs(&dir, ATTEMPT_SIZE_MAX);
        let offset = n as u64 * 33_333;
        assert_eq!(append(&logs, offset, piece, false).await, offset + piece.len() as u64);
    }
    let logs = logs(&dir, ATTEMPT_SIZE_MAX);
    logs.follow(&key()).await.unwrap().unwrap();
    assert_eq!(logs.read(&key(), 0, 1 << 20).await.unwrap(), bytes);
    assert_eq!(logs.read(&key(), 65_530, 10).await.unwrap(), bytes[65_530..65_540]);
    let index = logs.index(&key().install).await.unwrap();
    assert_eq!(index.len(), 1);
    assert_eq!(index[0].0, key());
    assert_eq!(index[0].1.began, Timestamp(7));
}

#[tokio::test]
async fn a_flood_is_cut_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let logs = logs(&dir, 100);
    assert_eq!(append(&logs, 0, &[b'x'; 90], false).await, 90);
    assert_eq!(append(&logs, 90, &[b'y'; 90], false).await, 180, "the runner is not held up");
    assert_eq!(append(&logs, 180, &[b'z'; 90], true).await, 270);
    let end = *logs.follow(&key()).await.unwrap().unwrap().borrow();
    assert_eq!(end, End { size: 100, is_final: true, truncated: true });
}

#[tokio::test]
async fn who_follows_hears_of_more() {
    let dir = tempfile::tempdir().unwrap();
    let logs = logs(&dir, ATTEMPT_SIZE_MAX);
    append(&logs, 0, b"one", false).await;
    let mut follow = logs.follow(&key()).await.unwrap().unwrap();
    follow.borrow_and_update();
    append(&logs, 3, b"two", false).await;
    follow.changed().await.unwrap();
    assert_eq!(follow.borrow_and_update().size, 6);
}

#[tokio::test]
async fn two_brokers_write_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let broker = || Logs::new(Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap()), true);
    let (one, other) = (broker(), broker());
    assert_eq!(append(&one, 0, b"hello ", false).await, 6);
    let ends = one.follow(&key()).await.unwrap().unwrap();
    assert_eq!(append(&other, 6, b"brave ", false).await, 12);
    // The runner is back at the first, which must neither ask for what it lacks nor write over it.
    assert_eq!(append(&one, 0, b"hello ", false).await, 12);
    assert_eq!(append(&one, 12, b"world", true).await, 17);
    assert_eq!(append(&other, 17, b"!", false).await, 17, "final is final, whoever was told");
    other.follow(&key()).await.unwrap();
    assert_eq!(other.read(&key(), 0, 100).await.unwrap(), b"hello brave world");
    assert_eq!(ends.borrow().size, 17);
}
