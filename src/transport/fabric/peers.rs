//! The address vector: where each NIC of each PE is now, and the former places to which something is still on its way.

use std::ptr;
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::av::{fi_addr_t, fid_av};
use libfabric_sys::consts::FI_ADDR_NOTAVAIL;
use libfabric_sys::inline::{fi_av_insert, fi_av_remove};

use super::card::Door;
use crate::transport::nic::PeerNic;

/// A way to a peer's NIC, by its place in [`Peers`].
pub(super) type PathId = u32;

/// Where a peer's NIC is, or was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) addr: fi_addr_t,
    pub(super) key: u64,
    pub(super) base: u64,
    /// Operations that the provider still holds.
    in_flight: u32,
    /// Replaced by another one.
    retired: bool,
}

/// The peers' NICs.
#[derive(Debug)]
pub(super) struct Peers {
    lib: Arc<Libfabric>,
    av: *mut fid_av,
    /// An address of this provider; those of the peers must be of its kind.
    model: Vec<u8>,
    paths: Vec<Path>,
    unused: Vec<PathId>,
    /// By PE, then by that PE's NIC.
    ways: Vec<Vec<PathId>>,
}

// SAFETY: the address vector belongs to the NIC that owns this value; one thread at a time uses both.
unsafe impl Send for Peers {}

impl Peers {
    /// # Safety
    /// `av` is live as long as this value is used.
    pub(super) unsafe fn new(lib: &Arc<Libfabric>, av: *mut fid_av, model: Vec<u8>) -> Self {
        Self { lib: Arc::clone(lib), av, model, paths: Vec::new(), unused: Vec::new(), ways: Vec::new() }
    }

    /// Adds an address to the address vector.
    pub(super) fn insert(&self, name: &[u8]) -> Result<fi_addr_t, String> {
        if name.len() != self.model.len() {
            return Err(format!(
                "an endpoint address of {} bytes, here they have {}",
                name.len(),
                self.model.len()
            ));
        }
        // Where addresses are those of sockets, providers go by the family and believe the length that belongs to it.
        let family = |name: &[u8]| name.first_chunk::<2>().copied();
        if self.model.len() <= 28 && family(name) != family(&self.model) {
            return Err("an endpoint address of another family than here".into());
        }
        let mut addr: fi_addr_t = FI_ADDR_NOTAVAIL;
        // SAFETY: a live address vector; the name has the length that this provider's names have.
        let taken =
            unsafe { fi_av_insert(self.av, name.as_ptr().cast(), 1, &raw mut addr, 0, ptr::null_mut()) };
        if taken == 1 && addr != FI_ADDR_NOTAVAIL {
            return Ok(addr);
        }
        Err(if taken < 0 { self.lib.strerror(taken) } else { "the address was not taken".into() })
    }

    /// Adds the NICs of the next PE.
    pub(super) fn add_pe(&mut self, doors: Vec<Door>) -> Result<(), String> {
        let mut ways = Vec::with_capacity(doors.len());
        for door in doors {
            let addr = self.insert(&door.name)?;
            ways.push(self.open(addr, &door));
        }
        self.ways.push(ways);
        Ok(())
    }

    fn open(&mut self, addr: fi_addr_t, door: &Door) -> PathId {
        let path = Path { addr, key: door.key, base: door.base, in_flight: 0, retired: false };
        if let Some(id) = self.unused.pop() {
            if let Some(place) = self.paths.get_mut(id as usize) {
                *place = path;
            }
            return id;
        }
        self.paths.push(path);
        u32::try_from(self.paths.len() - 1).unwrap_or(PathId::MAX)
    }

    /// The way to a peer's NIC.
    pub(super) fn path(&self, to: PeerNic) -> Option<(PathId, Path)> {
        let id = *self.ways.get(to.pe as usize)?.get(usize::from(to.nic))?;
        Some((id, *self.paths.get(id as usize)?))
    }

    /// Replaces the way to a peer's NIC; returns the old one. That stays until its last operation has ended.
    pub(super) fn redirect(&mut self, to: PeerNic, door: &Door) -> Result<PathId, String> {
        let Some((old, _)) = self.path(to) else { return Err("there is no such NIC in this job".into()) };
        let addr = self.insert(&door.name)?;
        let new = self.open(addr, door);
        if let Some(way) =
            self.ways.get_mut(to.pe as usize).and_then(|ways| ways.get_mut(usize::from(to.nic)))
        {
            *way = new;
        }
        if let Some(path) = self.paths.get_mut(old as usize) {
            path.retired = true;
        }
        self.drop_if_done(old);
        Ok(old)
    }

    /// Counts an operation that the provider has taken.
    pub(super) fn started(&mut self, id: PathId) {
        if let Some(path) = self.paths.get_mut(id as usize) {
            path.in_flight += 1;
        }
    }

    /// Counts an operation that the provider has given back.
    pub(super) fn ended(&mut self, id: PathId) {
        if let Some(path) = self.paths.get_mut(id as usize)
            && path.in_flight > 0
        {
            path.in_flight -= 1;
            self.drop_if_done(id);
        }
    }

    /// Takes an address out of the address vector once nothing is on its way there: EFA forgets what is.
    fn drop_if_done(&mut self, id: PathId) {
        let Some(path) = self.paths.get(id as usize) else { return };
        if path.retired && path.in_flight == 0 {
            let mut addr = path.addr;
            // SAFETY: a live address vector, an address that it has given and that nothing uses any more.
            unsafe { fi_av_remove(self.av, &raw mut addr, 1, 0) };
            self.unused.push(id);
        }
    }

    /// Ways that exist, former ones with something still on them included.
    pub(super) fn count(&self) -> usize {
        self.paths.len() - self.unused.len()
    }
}
