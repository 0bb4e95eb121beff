//! Owned libfabric objects, closed in the right order.

use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::fid::fid;
use libfabric_sys::inline::fi_close;

/// Objects of one NIC in the order they were opened; dropped last to first, as libfabric wants it closed.
#[derive(Debug)]
pub(super) struct Handles {
    /// Keeps the library loaded.
    _lib: Arc<Libfabric>,
    open: Vec<*mut fid>,
}

// SAFETY: the objects are used and closed by one thread at a time (the owner of this value).
unsafe impl Send for Handles {}

impl Handles {
    pub(super) fn new(lib: &Arc<Libfabric>) -> Self {
        Self { _lib: Arc::clone(lib), open: Vec::new() }
    }

    /// Takes an opened object over. `object` is any `fid_*`: each begins with its `fid`.
    pub(super) fn keep<T>(&mut self, object: *mut T) -> *mut T {
        if !object.is_null() {
            self.open.push(object.cast());
        }
        object
    }

    /// Closes an object on which no other depends.
    pub(super) fn close<T>(&mut self, object: *mut T) {
        if let Some(at) = self.open.iter().position(|open| *open == object.cast()) {
            // SAFETY: opened by libfabric, closed once, and the caller's promise.
            unsafe { fi_close(self.open.remove(at)) };
        }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        while let Some(object) = self.open.pop() {
            // SAFETY: opened by libfabric, closed once, dependants (opened later) are closed already.
            unsafe { fi_close(object) };
        }
    }
}
