//! Loading the library: what is said when it is not there, and a first call when it is.
#![expect(unsafe_code, reason = "calls into a C library")]

use std::ffi::{CStr, OsStr};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::ptr::null_mut;

use libfabric_sys::errno::FI_EAGAIN;
use libfabric_sys::info::fi_info;
use libfabric_sys::loader::{Reason, set_string};
use libfabric_sys::{Libfabric, LoadError, MIN_VERSION, consts, flags};

fn is_send_and_sync<T: Send + Sync + Clone + 'static>() {}

#[test]
fn the_library_can_be_shared_between_threads() {
    is_send_and_sync::<Libfabric>();
}

#[expect(clippy::panic, reason = "a helper of tests")]
fn refused(path: &str) -> LoadError {
    match Libfabric::load_as_told(Some(OsStr::new(path))) {
        Ok(library) => panic!("loaded {library:?}"),
        Err(error) => error,
    }
}

#[test]
fn a_missing_library_is_an_error_that_says_what_to_do() {
    let error = refused("/nonexistent/libfabric.so.1");
    assert!(error.by_variable);
    assert_eq!(error.attempts.len(), 1, "a path in the variable is the only one tried");
    let text = error.to_string();
    let says = [
        "/nonexistent/libfabric.so.1: cannot open shared object file: No such file or directory",
        "RAILTOP_LIBFABRIC",
        "apt-get install libfabric1",
        "dnf install libfabric",
        "EFA installer",
    ];
    for what in says {
        assert!(text.contains(what), "{what:?} is not in:\n{text}");
    }
    assert_eq!(text.matches("/nonexistent").count(), 1, "the path is said once:\n{text}");
}

#[test]
fn a_library_that_is_not_libfabric_is_refused() {
    let error = refused("libm.so.6");
    let [attempt] = error.attempts.as_slice() else { panic!("{error}") };
    assert_eq!(attempt.reason, Reason::Missing { symbol: "fi_version" });
}

#[test]
fn an_old_library_is_refused() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, library) = (directory.join("old.c"), directory.join("libfabric-old.so"));
    // What Ubuntu 22.04 has.
    std::fs::write(&source, "unsigned fi_version(void) { return 1 << 16 | 11; }\n").expect("a source file");
    match Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => return eprintln!("skipped: no C compiler: {error}"),
    }
    let error = refused(library.to_str().expect("a path in UTF-8"));
    assert!(error.to_string().contains("is version 1.11, too old: 1.17 or newer is needed"), "{error}");
}

#[test]
fn no_control_character_of_the_variable_reaches_the_terminal() {
    let text = refused("/nonexistent/\u{1b}[2J\nlib").to_string();
    assert!(text.lines().all(|line| !line.contains(char::is_control)), "{text:?}");
    assert!(text.contains("\\u{1b}[2J\\nlib"), "{text:?}");
}

#[test]
fn an_empty_variable_is_as_unset() {
    if let Err(error) = Libfabric::load_as_told(Some(OsStr::new(""))) {
        assert!(!error.by_variable);
        assert_eq!(error.attempts.len(), 4);
    }
}

#[test]
fn a_real_library_says_its_version_and_finds_loopback() {
    let library = match Libfabric::load() {
        Ok(library) => library,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    eprintln!("{} version {:?}", library.path().display(), library.version());
    assert!(library.path().is_absolute());
    assert!(library.version() >= MIN_VERSION);
    assert_eq!(library.strerror(-FI_EAGAIN), library.strerror(FI_EAGAIN));
    assert!(!library.strerror(i32::MIN).is_empty());

    // Before 1.18 tcp has no reliable datagrams of its own.
    let provider = if library.version() < (1, 18) { c"tcp;ofi_rxm" } else { c"tcp" };
    let hints = library.allocinfo();
    assert!(!hints.is_null());
    let mut list = null_mut();
    // SAFETY: hints are the library's, with all their attribute structures.
    let code = unsafe {
        (*hints).caps = flags::FI_MSG | flags::FI_RMA;
        (*hints).mode = flags::FI_CONTEXT | flags::FI_CONTEXT2;
        (*hints).addr_format = consts::FI_SOCKADDR_IN;
        (*(*hints).ep_attr).type_ = consts::FI_EP_RDM;
        (*(*hints).domain_attr).mr_mode =
            consts::FI_MR_LOCAL | consts::FI_MR_VIRT_ADDR | consts::FI_MR_ALLOCATED | consts::FI_MR_PROV_KEY;
        let slot = &raw mut (*(*hints).fabric_attr).prov_name;
        assert_eq!(set_string(slot, c"replaced by the next line"), 0);
        assert_eq!(set_string(slot, provider), 0);
        let code = library.getinfo(Some(c"127.0.0.1"), None, flags::FI_SOURCE, hints, &mut list);
        library.freeinfo(hints);
        code
    };
    if code != 0 {
        return eprintln!("skipped: no provider {provider:?}: {}", library.strerror(code));
    }
    // SAFETY: the list is the library's and freed once, after the last look at it.
    unsafe {
        look_at(&library, list, provider);
        library.freeinfo(list);
    }
}

unsafe fn look_at(library: &Libfabric, info: *mut fi_info, provider: &CStr) {
    // SAFETY: `fi_getinfo` returned the entry: strings end in NUL, the address is as long as it says.
    unsafe {
        assert_eq!(CStr::from_ptr((*(*info).fabric_attr).prov_name), provider);
        assert_eq!((*(*info).ep_attr).type_, consts::FI_EP_RDM);
        assert!((*(*info).tx_attr).size > 0);
        assert!((*(*info).domain_attr).cq_data_size >= 4, "the transport's immediates have 32 bits");
        assert_eq!((*info).src_addrlen, size_of::<libc::sockaddr_in>());
        let address = (*info).src_addr.cast::<libc::sockaddr_in>().read_unaligned();
        assert_eq!(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)), Ipv4Addr::LOCALHOST);
        let domain = CStr::from_ptr((*(*info).domain_attr).name);
        eprintln!("domain {domain:?}, mr_mode {:#x}", (*(*info).domain_attr).mr_mode);
        assert!(library.describe(info).is_none_or(|text| text.contains("FI_EP_RDM")));
        let copy = library.dupinfo(info);
        assert!(!copy.is_null() && (*copy).next.is_null());
        library.freeinfo(copy);
    }
}
