//! Structures of C whose length the caller says: a longer one than ours, or a shorter one from before they grew.

#![expect(unsafe_code, reason = "copies between the caller's memory and ours")]

use std::mem::MaybeUninit;

use crate::error::Error;

/// A structure of C that may be all zeroes, and that begins with `size` where it comes from a caller.
///
/// # Safety
/// Any bytes, zeroes among them, must make a valid value.
pub(crate) unsafe trait Plain: Copy {
    /// How long the first version of the interface has it: nobody knows a shorter one. As soon as a structure grows, this is
    /// the number of bytes before what is new.
    const FIRST_SIZE: usize = size_of::<Self>();
}

/// Longer than any structure: a size that nobody set.
pub(crate) const MAX_SIZE: usize = 4096;

// SAFETY: numbers and raw pointers.
unsafe impl Plain for crate::abi::Options {}
// SAFETY: numbers.
unsafe impl Plain for crate::abi::Status {}
// SAFETY: numbers and raw pointers.
unsafe impl Plain for crate::abi::Nic {}
// SAFETY: numbers and raw pointers.
unsafe impl Plain for crate::abi::Group {}
// SAFETY: numbers.
unsafe impl Plain for crate::abi::Sample {}
// SAFETY: numbers.
unsafe impl Plain for crate::abi::Balance {}

/// What is at `from`, as far as the caller knows it; zeroes beyond.
///
/// # Safety
/// `from` is NULL or points to a structure of the kind that begins with its own size.
pub(crate) unsafe fn take<T: Plain>(from: *const T, name: &str) -> Result<T, Error> {
    // SAFETY: by the caller; every such structure begins with a size.
    let size = unsafe { size_at(from, name) }?;
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: the caller's structure is `size` bytes long, and no more than our own are written.
    unsafe { from.cast::<u8>().copy_to_nonoverlapping(value.as_mut_ptr().cast(), size.min(size_of::<T>())) };
    // SAFETY: zeroes and bytes of such a structure make one, by `Plain`.
    Ok(unsafe { value.assume_init() })
}

/// Writes `value` to `to`, as far as the caller knows it; `size` stays what it is.
///
/// # Safety
/// `to` is NULL or points to a structure of the kind that begins with its own size.
pub(crate) unsafe fn give<T: Plain>(value: &T, to: *mut T, name: &str) -> Result<(), Error> {
    // SAFETY: by the caller.
    let size = unsafe { size_at(to.cast_const(), name) }?;
    let head = size_of::<usize>();
    // SAFETY: the caller's structure is `size` bytes long, and so much is written behind its size, from ours or as zeroes.
    unsafe { copy(value, head, to.cast::<u8>().add(head), size - head) };
    Ok(())
}

/// Writes `values` to `to`, each `stride` bytes after the one before.
///
/// # Safety
/// `to` points to as many structures of `stride` bytes as there are values.
pub(crate) unsafe fn give_all<T: Plain>(values: &[T], to: *mut T, stride: usize) {
    for (place, value) in values.iter().enumerate() {
        // SAFETY: by the caller.
        unsafe { copy(value, 0, to.cast::<u8>().add(place * stride), stride) };
    }
}

/// Copies `value` from its byte `from` on to `length` bytes at `to`; what it has not is zero there.
///
/// # Safety
/// `to` points to `length` bytes, and `from` is within `value`.
unsafe fn copy<T: Plain>(value: &T, from: usize, to: *mut u8, length: usize) {
    let ours = (size_of::<T>() - from).min(length);
    // SAFETY: within `value` and within `length`, by the line above and by the caller.
    unsafe {
        std::ptr::from_ref(value).cast::<u8>().add(from).copy_to_nonoverlapping(to, ours);
        to.add(ours).write_bytes(0, length - ours);
    }
}

/// The size that a structure says it has.
///
/// # Safety
/// `at` is NULL or points to a structure that begins with its size.
unsafe fn size_at<T: Plain>(at: *const T, name: &str) -> Result<usize, Error> {
    if at.is_null() {
        return Err(Error::null(name));
    }
    // SAFETY: by the caller.
    let size = unsafe { at.cast::<usize>().read_unaligned() };
    if (T::FIRST_SIZE..=MAX_SIZE).contains(&size) {
        Ok(size)
    } else {
        Err(Error::Argument(format!("{name}: size is {size}; set it to sizeof of the structure")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Status;

    /// A structure as an older and as a newer caller knows it.
    #[repr(C)]
    struct Around {
        status: Status,
        behind: [u8; 16],
    }

    fn around(size: usize) -> Around {
        Around { status: Status { size, ticks: 99, ..Status::default() }, behind: [7; 16] }
    }

    /// A status that has grown since: by its last eight bytes.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Grown {
        status: Status,
        more: u64,
    }

    // SAFETY: numbers.
    unsafe impl Plain for Grown {
        const FIRST_SIZE: usize = size_of::<Status>();
    }

    #[test]
    fn a_shorter_structure_gets_no_more_than_it_has_room_for() {
        let size = size_of::<Status>();
        let mut theirs = around(size);
        let ours = Grown { status: Status { ticks: 3, ..Status::default() }, more: 5 };
        let whole = &raw mut theirs;
        // SAFETY: it says its size, which is all that is written.
        unsafe { give(&ours, whole.cast::<Grown>(), "status") }.unwrap();
        assert_eq!((theirs.status.size, theirs.status.ticks, theirs.behind), (size, 3, [7; 16]));
        // SAFETY: it says its size, which is all that is read.
        let taken = unsafe { take((&raw const theirs).cast::<Grown>(), "status") }.unwrap();
        assert_eq!((taken.status.ticks, taken.more), (3, 0));
    }

    #[test]
    fn what_a_longer_structure_has_more_is_zero() {
        let size = size_of::<Status>() + 8;
        let mut theirs = around(size);
        let whole = &raw mut theirs;
        // SAFETY: so much room is there.
        unsafe { give(&Status { ticks: 3, ..Status::default() }, whole.cast::<Status>(), "status") }.unwrap();
        assert_eq!((theirs.status.size, theirs.status.ticks), (size, 3));
        assert_eq!(theirs.behind, [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn a_size_that_was_not_set_is_an_error() {
        for size in [0, size_of::<Status>() - 1, 4097, usize::MAX] {
            let theirs = around(size);
            // SAFETY: it is refused for its size.
            let error = unsafe { take(&raw const theirs.status, "status") }.unwrap_err();
            assert!(error.to_string().contains("sizeof"), "{error}");
        }
        // SAFETY: NULL is refused.
        let error = unsafe { take::<Status>(std::ptr::null(), "status") }.unwrap_err();
        assert_eq!(error.to_string(), "status is NULL");
    }

    #[test]
    fn rows_lie_as_far_apart_as_the_caller_says() {
        let values = [Status { ticks: 1, ..Status::default() }, Status { ticks: 2, ..Status::default() }];
        let mut theirs = [around(0), around(0)];
        let stride = size_of::<Around>();
        // SAFETY: two structures of that stride.
        unsafe { give_all(&values, theirs.as_mut_ptr().cast::<Status>(), stride) };
        assert_eq!((theirs[0].status.ticks, theirs[1].status.ticks), (1, 2));
        assert_eq!(theirs[1].behind, [0; 16]);
    }
}
