//! The `static inline` functions of libfabric's headers.
//!
//! Each calls through the object's table of operations and returns what the provider returns, or `-FI_ENOSYS` when the table,
//! or its entry, is not there (a null pointer, or a table older than the entry: `FI_CHECK_OP` of `rdma/fabric.h`, applied to
//! every call since "a provider may allocate the minimal size structure", `rdma/fi_endpoint.h`). The man page of the same name
//! says what a function does.
//!
//! # Safety
//!
//! The same for all of them: every object is one that libfabric returned and that is not closed yet; every other pointer is
//! valid for what the man page says of it, for as long as it says (a buffer of an operation: until its completion); and the
//! threading model of the domain (`FI_THREAD_*`) is kept.

use libc::ssize_t;

use crate::errno::FI_ENOSYS;

/// `-FI_ENOSYS` as data transfers return it.
const NO_SUCH_OP: ssize_t = -(FI_ENOSYS as ssize_t);

/// Calls an entry of an operations table, or gives `$none` when the entry is not there.
macro_rules! call {
    ($table:expr, $ops:ty, $entry:ident, ($($arg:expr),*), $none:expr) => {{
        let table: *const $ops = $table;
        if table.is_null() || (*table).size <= std::mem::offset_of!($ops, $entry) {
            $none
        } else {
            match (*table).$entry {
                Some(entry) => entry($($arg),*),
                None => $none,
            }
        }
    }};
}

mod address;
mod domain;
mod endpoint;
mod message;
mod object;
mod queue;
mod region;
mod remote;

pub use self::address::*;
pub use self::domain::*;
pub use self::endpoint::*;
pub use self::message::*;
pub use self::object::*;
pub use self::queue::*;
pub use self::region::*;
pub use self::remote::*;
