//! The part of libfabric's C interface that railtop uses, loaded at run time.
