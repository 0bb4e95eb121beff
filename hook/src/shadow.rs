//! An object's own copy of a provider's table of operations, with functions of ours in it.

#![expect(unsafe_code, reason = "tables of function pointers of a C library")]

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// What lies before every copy.
#[repr(C)]
pub(crate) struct Head {
    /// The provider's table.
    original: *mut c_void,
    /// What the functions need to know of the object.
    state: *const c_void,
}

impl Head {
    /// The provider's table.
    #[inline]
    pub(crate) fn original<T>(&self) -> *const T {
        self.original.cast()
    }

    /// The object's state.
    ///
    /// # Safety
    /// `S` is the type that the shadow was made with, and the object is open.
    #[inline]
    pub(crate) unsafe fn state<'a, S>(&self) -> &'a S {
        // SAFETY: the caller's promise.
        unsafe { &*self.state.cast::<S>() }
    }
}

/// The header of a table that is known to be a copy: one of its functions is ours.
///
/// # Safety
/// `table` comes from [`Shadow::table`] of a shadow that lives.
#[inline]
pub(crate) unsafe fn head<'a, T>(table: *const T) -> &'a Head {
    // SAFETY: a shadow's table follows its header.
    unsafe { &*table.cast::<Head>().sub(1) }
}

/// Largest table that is believed: those of 2.6 have 15 functions at most.
const MAX_BYTES: usize = 1024;

/// A line of the processor's cache: header and the functions that are used most are in one.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

/// A copy: header and table, which the program's threads read while it lives.
pub(crate) struct Shadow<T> {
    /// 16 bytes of header, and the table behind it. A pointer, not a box: there is never a reference to what others look at.
    memory: NonNull<[Line]>,
    table: PhantomData<*mut T>,
}

impl<T> Shadow<T> {
    /// Copies a table as large as it is, and lets `fill` put functions of ours into it. If the provider is older than our declaration and its
    /// table shorter, the rest is null, but `size` stays the provider's. `None` if this cannot be a table.
    ///
    /// # Safety
    /// `original` is null or points to a table that begins with its size and stays where it is; `state` lives as long as the shadow is in an object.
    unsafe fn new<S>(original: *mut T, state: *const S, fill: impl FnOnce(&mut T)) -> Option<Self> {
        const { assert!(align_of::<T>() <= 8 && size_of::<Head>() == 16) };
        if original.is_null() {
            return None;
        }
        // SAFETY: every table begins with its size in bytes.
        let size = unsafe { original.cast::<usize>().read() };
        if !(size_of::<usize>()..=MAX_BYTES).contains(&size) {
            return None;
        }
        let room = size_of::<Head>() + size.max(size_of::<T>());
        let lines = vec![Line { _bytes: [0; 64] }; room.div_ceil(size_of::<Line>())];
        let memory = lines.into_boxed_slice();
        let shadow = Self { memory: NonNull::from(Box::leak(memory)), table: PhantomData };
        // SAFETY: a header and `size` bytes behind it fit; nobody else knows of the copy yet.
        unsafe {
            shadow.head().write(Head { original: original.cast(), state: state.cast() });
            std::ptr::copy_nonoverlapping(original.cast::<u8>(), shadow.table().cast::<u8>(), size);
            fill(&mut *shadow.table());
        }
        Some(shadow)
    }

    fn head(&self) -> *mut Head {
        self.memory.as_ptr().cast()
    }

    fn table(&self) -> *mut T {
        self.head().wrapping_add(1).cast()
    }

    fn original(&self) -> *mut T {
        // SAFETY: `new` has put a header there.
        unsafe { (*self.head()).original.cast() }
    }
}

impl<T> Drop for Shadow<T> {
    fn drop(&mut self) {
        // SAFETY: made from a box in `new`; no object has it any more.
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}

/// A place in an object that points to a table, and the copies that have been put there.
pub(crate) struct Place<T> {
    current: Option<Shadow<T>>,
    /// Of tables that the provider has replaced since. Kept until the object is closed: a slow thread may be in one of their functions.
    old: Vec<Shadow<T>>,
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self { current: None, old: Vec::new() }
    }
}

impl<T> Place<T> {
    /// Puts the copy in place of what is there now; `fill` puts our functions into a new copy.
    ///
    /// # Safety
    /// As for `Shadow::new`, and nothing else writes to `slot` meanwhile.
    pub(crate) unsafe fn put<S>(&mut self, slot: *mut *mut T, state: *const S, fill: impl FnOnce(&mut T)) {
        // SAFETY: the caller's promise.
        unsafe {
            let now = *slot;
            if let Some(shadow) = &self.current {
                if shadow.table() == now {
                    return;
                }
                if shadow.original() == now {
                    *slot = shadow.table();
                    return;
                }
            }
            let Some(shadow) = Shadow::new(now, state, fill) else { return };
            *slot = shadow.table();
            self.old.extend(self.current.replace(shadow));
        }
    }

    /// Puts the provider's table back, unless it has put another one there itself.
    ///
    /// # Safety
    /// Nothing else writes to `slot` meanwhile.
    pub(crate) unsafe fn back(&self, slot: *mut *mut T) {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(shadow) = &self.current
                && *slot == shadow.table()
            {
                *slot = shadow.original();
            }
        }
    }
}

/// Puts a function of ours in place of one that the provider has.
macro_rules! replace {
    ($table:expr, $($field:ident => $ours:path),+ $(,)?) => {{
        let table = $table;
        $(if table.$field.is_some() {
            table.$field = Some($ours);
        })+
    }};
}
pub(crate) use replace;

/// The provider's function and our header for a call of ours through an object's table, or a return from the function we are
/// in: if the table there is not ours any more, with what the function there says, as if we were not here.
/// Ours is called as its field is, unless it is named behind it.
macro_rules! original {
    ($table:expr, $type:ty, $field:ident, ($($arg:expr),*), $error:expr) => {
        $crate::shadow::original!($table, $type, $field, $field, ($($arg),*), $error)
    };
    ($table:expr, $type:ty, $field:ident, $ours:path, ($($arg:expr),*), $error:expr) => {{
        let table: *const $type = $table;
        let Some(there) = (*table).$field else { return $error };
        if there as usize != $ours as *const () as usize {
            return there($($arg),*);
        }
        let head = $crate::shadow::head(table);
        let Some(op) = (*head.original::<$type>()).$field else { return $error };
        (op, head)
    }};
}
pub(crate) use original;
