//! railtop's lock-free files, the very same, made of loom's atomics in place of the standard library's, for the models in
//! `tests/`.
//!
//! Each of them takes what it is made of from `crate::sync`, which here is [`sync`].

#[path = "../../src/transport/answers.rs"]
pub mod answers;
#[path = "../../src/transport/proxy/attendance.rs"]
pub mod attendance;
#[path = "../../counters/src/bytes.rs"]
#[expect(dead_code, reason = "only a part is needed here")]
mod bytes;
#[path = "../../src/transport/proxy/driven.rs"]
mod driven;
#[path = "../../src/transport/proxy/driver.rs"]
pub mod driver;
#[path = "../../src/transport/event/count.rs"]
pub mod event;
#[path = "../../src/transport/gpu/ring.rs"]
pub mod gpu_ring;
pub mod idle;
#[path = "../../counters/src/layout.rs"]
#[expect(dead_code, reason = "only a part is needed here")]
mod layout;
#[path = "../../src/transport/gpu/mark.rs"]
pub mod mark;
pub mod page;
#[path = "../../counters/src/sequence.rs"]
mod sequence;
#[path = "../../src/transport/proxy/sleeper.rs"]
pub mod sleeper;
#[path = "../../src/transport/ring/slots.rs"]
pub mod slots;
pub mod sync;
#[path = "../../counters/src/window.rs"]
#[expect(dead_code, reason = "only a part is needed here")]
mod window;
