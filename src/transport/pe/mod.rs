//! A PE: one process of a job, with a symmetric heap and N NICs.

mod access;
mod card;
mod collective;
mod config;
mod posts;
mod start;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use access::Pending;
use access::Staging;
pub use config::PeConfig;

pub use super::on_node::IntraNode;

use super::bootstrap::Session;
use super::error::TransportError;
use super::fault::Fault;
use super::heap::{Allocator, Heap};
use super::incident::Incident;
use super::on_node::show_life;
use super::proxy::{Drive, Progress, Shared, Totals};
use super::ring::{Command, Producer, Put};
use super::select::PolicyKind;
use super::signal::{Signal, Until};
use crate::counters::{NicIdentity, RxSource};

/// One PE of a running job. One thread calls it; the proxy does the work, on a thread of its own or on the one that waits.
#[derive(Debug)]
pub struct Pe {
    heap: Arc<Heap>,
    allocator: Allocator,
    /// Of the heap's part in a device's memory.
    on_device: Option<Allocator>,
    /// Why it has none.
    no_device: Option<String>,
    /// By PE: the heaps of this node.
    locals: Vec<Option<Arc<Heap>>>,
    nodes: Vec<String>,
    widths: Vec<u16>,
    identities: Vec<NicIdentity>,
    producer: Producer,
    shared: Arc<Shared>,
    driver: Arc<dyn Drive>,
    progress: Progress,
    /// Something has been posted since this PE last waited.
    streak: AtomicBool,
    thread: Option<JoinHandle<()>>,
    session: Session,
    fault: Fault,
    provider: String,
    wide_immediate: bool,
    rx_source: RxSource,
    policy: PolicyKind,
    wait_limit: Duration,
    intra_node: IntraNode,
    tickets: u64,
    epoch: u64,
    broadcasts: u64,
    staging: Staging,
}

impl Pe {
    /// This PE's number.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.session.rank()
    }

    /// PEs in the job.
    #[must_use]
    pub fn world(&self) -> u32 {
        self.session.world()
    }

    /// Whether what is put to `pe` from here needs no NIC: it is on this PE's node, and all of the heap is for the CPU.
    #[must_use]
    pub fn is_local(&self, pe: u32) -> bool {
        self.local(pe).is_some()
    }

    /// By PE: the heaps of this node that loads and stores reach, this PE's own among them; of a heap of two parts the first.
    #[must_use]
    pub fn reached(&self) -> &[Option<Arc<Heap>>] {
        &self.locals
    }

    /// Name of the node of `pe`.
    #[must_use]
    pub fn node_of(&self, pe: u32) -> &str {
        self.nodes.get(pe as usize).map_or("", String::as_str)
    }

    /// This PE's NICs.
    #[must_use]
    pub fn nics(&self) -> &[NicIdentity] {
        &self.identities
    }

    /// How it reaches PEs of its node.
    #[must_use]
    pub fn intra_node(&self) -> IntraNode {
        self.intra_node
    }

    /// libfabric provider in use.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// How received bytes are known.
    #[must_use]
    pub fn rx_source(&self) -> RxSource {
        self.rx_source
    }

    /// Policy in use.
    #[must_use]
    pub fn policy(&self) -> PolicyKind {
        self.policy
    }

    /// The symmetric heap.
    #[must_use]
    pub fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    /// A handle with which another thread (one that waits for signals, say) can end this PE's job: whatever waits then
    /// returns the reason as its error.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault.clone()
    }

    /// Payload bytes (sent, received) per NIC so far; a sampler may keep the returned handle on another thread.
    #[must_use]
    pub fn meter(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// What happens to this PE's NICs that the job survives: one that is gone round, say, and why. From the start on, until this
    /// PE ends, for another thread to read; `None` when it has been taken.
    #[must_use]
    pub fn incidents(&self) -> Option<Receiver<Incident>> {
        self.shared.incidents()
    }

    /// The heap of a PE to which the caller copies by itself. With a part of the heap that only NICs reach all goes over them to
    /// other PEs, whatever it is, so that a fence and a signal know of all that was before.
    fn local(&self, pe: u32) -> Option<&Heap> {
        if self.heap.device().is_some() && pe != self.rank() {
            return None;
        }
        self.locals.get(pe as usize)?.as_deref()
    }

    /// Offset of `len` fresh bytes of the heap. Every PE must make the same allocations in the same order.
    ///
    /// # Errors
    /// When the heap is full.
    pub fn allocate(&mut self, len: u64) -> Result<u64, TransportError> {
        Ok(self.allocator.allocate(len)?)
    }

    /// The same in a device's memory, if the job has any of it ([`Self::start_with`]): NICs and kernels reach it, the CPU does not. It
    /// has no signal words, and this PE cannot put to itself there.
    ///
    /// # Errors
    /// When that part of the heap is full, or there is none.
    pub fn allocate_on_device(&mut self, len: u64) -> Result<u64, TransportError> {
        match &mut self.on_device {
            Some(allocator) => Ok(allocator.allocate(len)?),
            None => Err(TransportError::Refused(format!(
                "no part of the heap lies in a GPU's memory: {}",
                self.no_device().unwrap_or("none was given")
            ))),
        }
    }

    /// Why no part of the heap lies in a device's memory; `None` if one does.
    #[must_use]
    pub fn no_device(&self) -> Option<&str> {
        self.no_device.as_deref()
    }

    /// Writes `len` bytes from offset `local` of this heap to offset `remote` of `dst`'s heap. The source must stay as
    /// it is until the next [`Self::quiet`].
    ///
    /// # Errors
    /// When a range lies outside the heap or the job has failed.
    pub fn put(&mut self, dst: u32, local: u64, remote: u64, len: u64) -> Result<(), TransportError> {
        self.transfer(Put { dst, local, remote, len, signal: None })
    }

    /// As [`Self::put`]; once all the data have landed, and not before, `signal` changes its word at `dst`.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_signal(
        &mut self,
        dst: u32,
        local: u64,
        remote: u64,
        len: u64,
        signal: Signal,
    ) -> Result<(), TransportError> {
        self.transfer(Put { dst, local, remote, len, signal: Some(signal) })
    }

    fn transfer(&mut self, put: Put) -> Result<(), TransportError> {
        put.check(&self.heap)?;
        let Some(target) = self.local(put.dst) else {
            self.check_pe(put.dst)?;
            return self.push(Command::Put(put));
        };
        put.copy(&self.heap, target)?;
        self.count_local(put.len)
    }

    /// Counts what needed no NIC.
    fn count_local(&self, bytes: u64) -> Result<(), TransportError> {
        self.shared.count_local(bytes);
        self.get_on()
    }

    /// Something is done that needed no NIC: who waits for this PE on its node sees that it gets on.
    fn get_on(&self) -> Result<(), TransportError> {
        self.check_job()?;
        Ok(show_life(&self.heap)?)
    }

    /// Changes one word at `dst`, without data.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn signal(&mut self, dst: u32, signal: Signal) -> Result<(), TransportError> {
        signal.check(&self.heap)?;
        if let Some(heap) = self.local(dst) {
            signal.apply(heap)?;
            return self.get_on();
        }
        self.check_pe(dst)?;
        self.push(Command::Signal { dst, signal })
    }

    fn check_pe(&self, pe: u32) -> Result<(), TransportError> {
        if pe < self.world() {
            return Ok(());
        }
        Err(TransportError::NoSuchPe { pe, world: self.world() })
    }

    /// Waits until the signal word at `offset` fulfils `until`; returns its value.
    ///
    /// # Errors
    /// When the job fails meanwhile, or it takes longer than the wait limit.
    pub fn wait_until(&self, offset: u64, until: Until) -> Result<u64, TransportError> {
        let word = self.heap.word(offset)?;
        let what = || format!("PE {}: signal {until:?} at heap offset {offset}", self.rank());
        self.wait(what, || until.holds(word.load(Ordering::Acquire)))?;
        Ok(word.load(Ordering::Acquire))
    }

    /// The signal word at `offset` now.
    ///
    /// # Errors
    /// When there is no such word.
    pub fn test(&self, offset: u64) -> Result<u64, TransportError> {
        Ok(self.heap.word(offset)?.load(Ordering::Acquire))
    }

    /// Waits until everything put so far has landed at its targets, its signals are applied, and every get has brought its
    /// bytes. Sources may then be used again.
    ///
    /// # Errors
    /// When the job fails meanwhile, or it takes longer than the wait limit.
    pub fn quiet(&mut self) -> Result<(), TransportError> {
        self.await_quiet(None)
    }

    /// As [`Self::quiet`], for what concerns `pe` only.
    ///
    /// # Errors
    /// As [`Self::quiet`].
    pub fn quiet_with(&mut self, pe: u32) -> Result<(), TransportError> {
        self.check_pe(pe)?;
        self.await_quiet(Some(pe))
    }

    fn await_quiet(&mut self, pe: Option<u32>) -> Result<(), TransportError> {
        order_copies();
        self.tickets += 1;
        let ticket = self.tickets;
        self.push(Command::Quiet { ticket, pe })?;
        let what = || format!("PE {}: quiet", self.rank());
        self.wait_for(what, || self.shared.waited_for(), || self.shared.quiet_done() >= ticket)
    }

    /// Orders puts: whatever is put to a PE after the fence lands there after everything put to it before.
    ///
    /// # Errors
    /// When the job has failed.
    pub fn fence(&mut self) -> Result<(), TransportError> {
        order_copies();
        self.push(Command::Fence)
    }

    /// Gives every PE every PE's bytes, by rank, over the rendezvous connection: for results, not for payload. One PE gives at
    /// most 4 MiB; with more than 512 MiB of all PEs PE 0 ends the job.
    ///
    /// # Errors
    /// When this PE gives too much, the job has failed, or an exchange takes longer than the wait limit.
    pub fn allgather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TransportError> {
        Ok(self.session.allgather(bytes, self.wait_limit)?)
    }

    /// Gives PE 0 every PE's bytes, by rank; the others get `None`. For results, as [`Self::allgather`], without sending
    /// everything to everyone, and with the same bounds.
    ///
    /// # Errors
    /// As [`Self::allgather`].
    pub fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, TransportError> {
        Ok(self.session.gather(bytes, self.wait_limit)?)
    }

    /// Switches to another policy with its counters at 0. Every PE must do so, between two barriers.
    ///
    /// # Errors
    /// When the job has failed.
    pub fn set_policy(&mut self, policy: PolicyKind) -> Result<(), TransportError> {
        self.policy = policy;
        self.push(Command::SetPolicy(policy))
    }

    /// Everything counted so far. After a [`Self::barrier`] the numbers of all PEs fit together.
    ///
    /// # Errors
    /// When the job has failed.
    pub fn totals(&mut self) -> Result<Totals, TransportError> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.push(Command::Snapshot(ticket))?;
        let what = || format!("PE {}: counters from the proxy", self.rank());
        self.wait(what, || self.shared.snapshot_done() >= ticket)?;
        Ok(self.shared.totals())
    }

    /// Tells every PE that the job cannot go on.
    pub fn abort(&self, reason: &str) {
        self.session.abort(reason);
    }

    /// Hands a command to the proxy, waiting for room if need be.
    fn push(&mut self, command: Command) -> Result<(), TransportError> {
        self.check_job()?;
        while !self.producer.try_push(command) {
            let what = || format!("PE {}: room in the command ring", self.rank());
            self.wait_for(what, || self.shared.waited_for(), || self.producer.has_room())?;
        }
        self.driver.asked(!self.streak.swap(true, Ordering::Relaxed));
        Ok(())
    }

    /// Whether the job goes on: one load and a branch, so that every operation can ask.
    #[inline]
    fn check_job(&self) -> Result<(), TransportError> {
        match self.fault.reason() {
            None => Ok(()),
            Some(reason) => Err(TransportError::Failed(reason.to_owned())),
        }
    }

    fn failure(&self) -> Option<TransportError> {
        if let Err(error) = self.check_job() {
            return Some(error);
        }
        let gone = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        gone.then(|| TransportError::Failed(format!("PE {}: the proxy thread has ended", self.rank())))
    }

    /// Leaves in good order: waits until every PE is done, then ends the proxy.
    ///
    /// # Errors
    /// When the job has failed.
    pub fn finish(mut self) -> Result<(), TransportError> {
        self.barrier()?;
        // The barrier's own signals too: who left before one of them is known to have landed could not send it again.
        self.quiet()?;
        self.allgather(b"settled")?;
        // Now nobody waits for anything of ours, an acknowledgement say; and nobody closes an endpoint that another PE's
        // last messages still go to.
        self.driver.hush();
        self.allgather(b"done")?;
        self.shared.settle();
        self.stop_proxy();
        Ok(())
    }

    fn stop_proxy(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + Duration::from_secs(2);
        while !thread.is_finished() && !self.producer.try_push(Command::Stop) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.shared.wake();
        let _ = thread.join();
    }
}

/// Orders what this PE has copied to others of its node before what it copies from now on: copies are plain stores, and a CPU may
/// let those overtake each other (aarch64 does). Signals and atomics need no more than their own order.
fn order_copies() {
    fence(Ordering::AcqRel);
}

impl Drop for Pe {
    fn drop(&mut self) {
        if self.thread.is_some() && self.fault.reason().is_none() {
            // Dropped in mid-job: the others must not wait for us.
            self.abort("left in the middle of the job");
        }
        self.stop_proxy();
    }
}
