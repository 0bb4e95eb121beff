//! `zeroed()` for the structures that we hand to libfabric.
#![expect(unsafe_code, reason = "all-zero values of C structures")]

/// Gives each named structure a `zeroed()` constructor.
///
/// Only for C structures made of integers, raw pointers, `Option<extern "C" fn>` and unions of those: there every bit pattern of
/// zeroes is a value.
macro_rules! zeroed {
    ($($name:ty),+ $(,)?) => {$(
        impl $name {
            /// A value with every byte zero: null pointers, no flags, the library's defaults.
            #[must_use]
            pub const fn zeroed() -> Self {
                // SAFETY: integers, raw pointers, optional function pointers and unions of these may all be zero.
                unsafe { std::mem::zeroed() }
            }
        }
    )+};
}

zeroed!(
    crate::av::fi_av_attr,
    crate::cq::fi_cq_attr,
    crate::cq::fi_cq_data_entry,
    crate::cq::fi_cq_err_entry,
    crate::ep::fi_msg,
    crate::ep::fi_msg_rma,
    crate::ep::fi_rma_iov,
    crate::fid::fi_context2,
    crate::mr::fi_mr_attr,
    crate::mr::fi_mr_dmabuf,
);
