//! A proxy as its PE and its thread see it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Proxy;
use super::driver::{Driver, Turn, Work};
use crate::transport::gpu::Rings;
use crate::transport::nic::Nic;

/// How long after a NIC's failure the news of a lost PE may take.
const ECHO: Duration = Duration::from_millis(300);

/// A proxy that any thread can move on.
pub trait Drive: fmt::Debug + Send + Sync {
    /// One turn; `None` while another thread is in one.
    fn turn(&self) -> Option<Turn>;

    /// A command is in the ring; whether it is the `first` since its caller last waited.
    fn asked(&self, first: bool);

    /// A caller begins to wait, and to take turns.
    fn come(&self);

    /// It goes on waiting, for long already.
    fn stay(&self);

    /// It ends, and takes no more turns.
    fn leave(&self);

    /// The proxy takes what a GPU posts into these rings from now on; `false` while others are in use.
    fn attach(&self, rings: Rings) -> bool;

    /// Nothing is sent from when this returns.
    fn hush(&self);
}

impl<N: Nic> Work for Proxy<N> {
    fn turn(&mut self) -> Result<Turn, String> {
        Proxy::turn(self)
    }

    fn has_work(&self) -> bool {
        Proxy::has_work(self)
    }

    fn is_asked(&self) -> bool {
        !self.commands.is_empty() || !self.rings.is_empty()
    }
}

impl<N: Nic + Send> Driver<Proxy<N>> {
    /// Makes `proxy` ready to be run.
    #[must_use]
    pub fn new(proxy: Proxy<N>) -> Self {
        let (attendance, progress) = (Arc::clone(&proxy.shared.attendance), proxy.progress);
        Self::over(proxy, attendance, progress)
    }

    /// The proxy's thread: works until told to stop or until something fails for good, here or on another PE.
    pub fn run(&self) {
        self.with(Proxy::begin);
        if let Err(reason) = self.attend() {
            // A NIC that fails because a PE is gone is only the echo of that: the rendezvous says so a moment later, and
            // better.
            let fault = self.with(|proxy| proxy.fault.clone());
            fault.await_reason(ECHO);
            self.with(|proxy| proxy.fail(reason));
        }
        self.with(Proxy::wind_up);
    }
}

impl<N: Nic + Send> Drive for Driver<Proxy<N>> {
    fn turn(&self) -> Option<Turn> {
        Driver::turn(self)
    }

    fn asked(&self, first: bool) {
        Driver::asked(self, first);
    }

    fn come(&self) {
        Driver::come(self);
    }

    fn stay(&self) {
        Driver::stay(self);
    }

    fn leave(&self) {
        Driver::leave(self);
    }

    fn attach(&self, rings: Rings) -> bool {
        self.with(|proxy| proxy.attach(rings))
    }

    fn hush(&self) {
        self.with(Proxy::hush);
    }
}
