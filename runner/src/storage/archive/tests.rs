//! Archives as an attacker makes them.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn header(path: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    // Written as bytes: the library would not make a hostile path itself.
    let name = &mut header.as_old_mut().name;
    name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

fn packed(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    build(&mut builder);
    zstd::encode_all(&builder.into_inner().unwrap()[..], 3).unwrap()
}

fn one(path: &str, kind: tar::EntryType) -> Vec<u8> {
    packed(|tar| {
        let mut header = header(path, kind, 0);
        if kind != tar::EntryType::Regular {
            header.set_link_name("/etc/passwd").unwrap();
            header.set_cksum();
        }
        tar.append(&header, io::empty()).unwrap();
    })
}

fn check(bytes: &[u8], limits: Limits) -> Result<tempfile::TempDir, Error> {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let result = unpack(bytes, bytes.len() as u64, &inner, limits);
    let beside: Vec<_> = std::fs::read_dir(outer.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "something was written outside");
    result.map(|()| outer)
}

fn code(bytes: &[u8]) -> &'static str {
    check(bytes, Limits::default()).unwrap_err().code()
}

#[test]
fn files_and_directories_are_unpacked_with_their_right_to_run() {
    let bytes = packed(|tar| {
        tar.append(&header("sub", tar::EntryType::Directory, 0), io::empty()).unwrap();
        let mut run = header("./sub/run.sh", tar::EntryType::Regular, 3);
        run.set_mode(0o755);
        run.set_cksum();
        tar.append(&run, &b"abc"[..]).unwrap();
        tar.append(&header("deep/er/x.txt", tar::EntryType::Regular, 1), &b"x"[..]).unwrap();
    });
    let outer = check(&bytes, Limits::default()).unwrap();
    let run = outer.path().join("inner/sub/run.sh");
    assert_eq!(std::fs::read(&run).unwrap(), b"abc");
    assert_eq!(run.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(outer.path().join("inner/deep/er/x.txt").exists());
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for path in ["../x", "a/../../x", "/etc/x", "a/../b"] {
        assert_eq!(code(&one(path, tar::EntryType::Regular)), "runner.archive_path", "{path}");
    }
    let twice = packed(|tar| {
        for _ in 0..2 {
            tar.append(&header("a", tar::EntryType::Regular, 0), io::empty()).unwrap();
        }
    });
    assert_eq!(code(&twice), "runner.archive_path");
    let long = "a/".repeat(300) + "b";
    let long = packed(|tar| {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_cksum();
        tar.append_data(&mut header, &long, io::empty()).unwrap();
    });
    assert_eq!(code(&long), "runner.archive_path");
}

#[test]
fn links_and_devices_are_refused() {
    use tar::EntryType::{Block, Char, Fifo, Link, Symlink};
    for kind in [Symlink, Link, Char, Block, Fifo] {
        assert_eq!(code(&one("x", kind)), "runner.archive_kind", "{kind:?}");
    }
}

#[test]
fn bombs_are_refused_before_they_fill_the_disk() {
    let bomb = packed(|tar| {
        let len = 64 << 20;
        tar.append(&header("zeros", tar::EntryType::Regular, len), io::repeat(0).take(len)).unwrap();
    });
    assert!(bomb.len() < 64 << 10);
    assert_eq!(code(&bomb), "runner.archive_too_large");
    let many = packed(|tar| {
        for n in 0..200 {
            tar.append(&header(&format!("f{n}"), tar::EntryType::Regular, 0), io::empty()).unwrap();
        }
    });
    let limits = Limits { entries: 100, ..Limits::default() };
    assert_eq!(check(&many, limits).unwrap_err().code(), "runner.archive_too_large");
}

#[test]
fn what_is_no_archive_or_only_half_of_one_is_refused() {
    assert_eq!(code(b"not an archive"), "runner.archive_malformed");
    let whole = packed(|tar| {
        let body: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let header = header("x", tar::EntryType::Regular, body.len() as u64);
        tar.append(&header, &body[..]).unwrap();
    });
    assert_eq!(code(&whole[..whole.len() / 2]), "runner.archive_malformed");
}
