//! Directories and files that are not what they should be.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    time::Duration,
};

use railtop::counters::{PageDir, PageError, PageReader, PageWriter, ReadError};

use crate::{HELPER, helper, page_dir, spec};

#[test]
fn pages_of_one_process_and_rank_get_different_names() {
    let (_tmp, dir) = page_dir();
    let a = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let b = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    assert_ne!(a.path(), b.path());
    assert_eq!(dir.scan().unwrap().len(), 2);
}

#[test]
fn directories_of_others_links_and_shared_ones_are_refused() {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let link = tmp.path().join("link");
    symlink(tmp.path(), &link).unwrap();
    assert!(matches!(PageDir::create(&link), Err(PageError::NotADirectory { .. })));
    let file = tmp.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(PageDir::open(&file), Err(PageError::NotADirectory { .. })));
    let shared = tmp.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let error = PageDir::create(&shared).unwrap_err();
    assert!(matches!(error, PageError::SharedDirectory { .. }), "{error}");
    assert!(PageDir::open(&tmp.path().join("none")).unwrap_err().is_not_found());

    let made = PageDir::create(&tmp.path().join("made")).unwrap();
    assert_eq!(fs::metadata(made.path()).unwrap().permissions().mode() & 0o777, 0o700);

    let foreign = tmp.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    if std::os::unix::fs::chown(&foreign, Some(4711), None).is_ok() {
        let error = PageDir::create(&foreign).unwrap_err();
        assert!(matches!(error, PageError::ForeignDirectory { owner: 4711, .. }), "{error}");
        assert!(PageDir::open(&foreign).is_ok(), "root reads everybody's");
    } else {
        eprintln!("skipped: a foreign directory needs root");
    }
}

#[test]
fn a_page_directory_is_chosen_by_the_environment() {
    // In a child: the environment of this process belongs to all its threads.
    let (tmp, dir) = page_dir();
    let _writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let output = helper("directory::helper_scans_all", dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("found 1 page and 0 problems"), "{text}");
    let shared = tmp.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let output = helper("directory::helper_scans_all", &shared).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("found 0 page and 1 problems"), "{text}");
}

#[test]
fn helper_scans_all() {
    if std::env::var_os(HELPER).is_some() {
        let scan = PageDir::scan_all(&PageDir::default_path());
        println!("found {} page and {} problems", scan.entries.len(), scan.problems.len());
    }
}

#[test]
fn files_that_are_no_pages_are_refused_and_never_reaped() {
    let (_tmp, dir) = page_dir();
    let at = |name: &str| dir.path().join(name);
    let open = |name: &str| PageReader::open(&at(name)).unwrap_err();

    fs::write(at("text"), "this is not a counter page").unwrap();
    assert!(matches!(open("text"), ReadError::NotAPage));
    fs::write(at("empty"), "").unwrap();
    assert!(matches!(open("empty"), ReadError::Truncated { .. }));
    fs::write(at("zero"), vec![0; 8192]).unwrap();
    assert!(matches!(open("zero"), ReadError::NotReady));
    let writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    symlink(writer.path(), at("link")).unwrap();
    assert!(matches!(open("link"), ReadError::NotRegular));
    fs::create_dir(at("dir")).unwrap();
    assert!(matches!(open("dir"), ReadError::NotRegular));
    // Without O_NONBLOCK this would wait for a writer for ever.
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(open("fifo"), ReadError::NotRegular));
    let large = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(at("large")).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    assert!(matches!(open("large"), ReadError::TooLarge { .. }));
    assert!(open("nothing").is_gone());

    let before = dir.scan().unwrap();
    assert_eq!(dir.reap(Duration::ZERO, u64::MAX).unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(dir.scan().unwrap(), before);
}

#[test]
fn pages_of_others_are_refused() {
    let (_tmp, dir) = page_dir();
    let writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    if std::os::unix::fs::chown(writer.path(), Some(4711), None).is_err() {
        eprintln!("skipped: a foreign file needs root");
        return;
    }
    let error = PageReader::open(writer.path()).unwrap_err();
    assert!(matches!(error, ReadError::WrongOwner { owner: 4711 }), "{error}");
    std::os::unix::fs::chown(dir.path(), Some(4711), None).unwrap();
    assert!(PageReader::open(writer.path()).is_ok(), "the directory's owner may");
    assert_eq!(PageReader::open(writer.path()).unwrap().identity().uid, 4711);
}
