//! What every call of the interface goes through: a panic becomes an error, an error becomes a code and a message.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;

thread_local! {
    /// Why this thread's last call failed; empty if it did not.
    static MESSAGE: RefCell<CString> = RefCell::new(CString::default());
}

/// Runs a call. What it leaves half done by a panic belongs to the sampler, whose locks know how to go on.
pub(crate) fn guard(call: impl FnOnce() -> Result<(), Error>) -> i32 {
    let result =
        catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Error::Bug(text_of(&*panic))));
    let (code, message) = match result {
        Ok(()) => (0, String::new()),
        Err(error) => (error.code(), error.to_string()),
    };
    // At the end of a thread its variables are gone already; then there is nobody to ask either.
    let _gone = MESSAGE.try_with(|last| *last.borrow_mut() = to_c(&message));
    code
}

/// Runs a call that cannot fail and leaves the message alone: whoever frees something after an error may still ask for it.
pub(crate) fn guard_free(call: impl FnOnce()) {
    // A panic has said on stderr what it was, and there is nothing to be returned.
    let _bug = catch_unwind(AssertUnwindSafe(call));
}

/// The message of this thread's last call.
pub(crate) fn message() -> *const c_char {
    MESSAGE.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// A text for C, which ends at the first NUL. What the monitor gives has no control characters.
pub(crate) fn to_c(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

/// What a panic said.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[expect(unsafe_code, reason = "reads the message as C would")]
    fn said() -> String {
        // SAFETY: it is a string, and this thread makes no call meanwhile.
        unsafe { CStr::from_ptr(message()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_is_an_error_with_its_text() {
        let number = 7;
        assert_eq!(guard(|| panic!("no such thing as {number}")), 6);
        assert!(said().contains("no such thing as 7"), "{}", said());
        assert_eq!(guard(|| panic!("plain")), 6);
        assert!(said().contains("plain; please report"), "{}", said());
    }

    #[test]
    fn a_message_is_of_the_last_call_of_its_thread() {
        assert_eq!(guard(|| Err(Error::null("options"))), 1);
        assert_eq!(said(), "options is NULL");
        assert_eq!(std::thread::spawn(said).join().unwrap(), "");
        assert_eq!(guard(|| Ok(())), 0);
        assert_eq!(said(), "");
    }

    #[test]
    fn freeing_something_keeps_the_message() {
        assert_eq!(guard(|| Err(Error::null("options"))), 1);
        guard_free(|| panic!("while freeing"));
        assert_eq!(said(), "options is NULL");
    }

    #[test]
    fn a_text_with_a_nul_is_not_cut() {
        assert_eq!(to_c("a\0b").to_str().unwrap(), "a\u{fffd}b");
    }
}
