//! The address vector: where each NIC of each PE is now, and the former places to which something is still on its way.

use std::ptr;
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::av::{fi_addr_t, fid_av};
use libfabric_sys::consts::FI_ADDR_NOTAVAIL;
use libfabric_sys::inline::{fi_av_insert, fi_av_remove};

use super::card::{Door, MAX_NAME, NicCard, Remote};
use crate::transport::nic::PeerNic;

/// Bytes of the addresses of sockets.
const SOCKADDR_IN: usize = size_of::<libc::sockaddr_in>();
const SOCKADDR_IN6: usize = size_of::<libc::sockaddr_in6>();

/// A way to a peer's NIC, by its place in [`Peers`].
pub(super) type PathId = u32;

/// Where a peer's NIC is, or was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) addr: fi_addr_t,
    pub(super) key: u64,
    pub(super) base: u64,
    /// The heap's part in a device's memory.
    pub(super) device: Option<Remote>,
    /// Operations that may be in flight.
    pub(super) room: u32,
    /// Operations that the provider still holds.
    pub(super) in_flight: u32,
    /// Replaced by another one.
    retired: bool,
}

impl Path {
    fn new(addr: fi_addr_t, key: u64, base: u64, device: Option<Remote>, room: u32) -> Self {
        Self { addr, key, base, device, room, in_flight: 0, retired: false }
    }
}

/// What addresses of a provider look like.
#[derive(Debug, Clone)]
pub(super) enum Names {
    /// Text that ends in NUL (`shm`).
    Text,
    /// As many bytes as this one; those of sockets begin with the same family.
    Like(Vec<u8>),
}

impl Names {
    /// Looks at one from another process: providers believe what they are given.
    pub(super) fn check(&self, name: &[u8]) -> Result<(), String> {
        match self {
            Self::Text => {
                let text = name.split_last().filter(|(last, text)| **last == 0 && !text.contains(&0));
                text.filter(|_| name.len() <= MAX_NAME)
                    .map(drop)
                    .ok_or_else(|| "an endpoint address that is no text".to_owned())
            }
            Self::Like(own) if name.len() != own.len() => {
                Err(format!("an endpoint address of {} bytes, here they have {}", name.len(), own.len()))
            }
            // Whose length providers take from the family.
            Self::Like(own) if matches!(own.len(), SOCKADDR_IN | SOCKADDR_IN6) && name[..2] != own[..2] => {
                Err("an endpoint address of another family than here".into())
            }
            Self::Like(_) => Ok(()),
        }
    }
}

/// Adds an address to an address vector.
///
/// # Safety
/// The address vector is live.
pub(super) unsafe fn insert(
    lib: &Libfabric,
    av: *mut fid_av,
    names: &Names,
    name: &[u8],
) -> Result<fi_addr_t, String> {
    names.check(name)?;
    let mut addr: fi_addr_t = FI_ADDR_NOTAVAIL;
    // SAFETY: the caller's promise; the name is one of this provider's kind.
    let taken = unsafe { fi_av_insert(av, name.as_ptr().cast(), 1, &raw mut addr, 0, ptr::null_mut()) };
    if taken == 1 && addr != FI_ADDR_NOTAVAIL {
        return Ok(addr);
    }
    Err(if taken < 0 { lib.strerror(taken) } else { "the address was not taken".into() })
}

/// The peers' NICs.
#[derive(Debug)]
pub(super) struct Peers {
    lib: Arc<Libfabric>,
    av: *mut fid_av,
    names: Names,
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
    pub(super) unsafe fn new(lib: &Arc<Libfabric>, av: *mut fid_av, names: Names) -> Self {
        Self { lib: Arc::clone(lib), av, names, paths: Vec::new(), unused: Vec::new(), ways: Vec::new() }
    }

    fn insert(&self, name: &[u8]) -> Result<fi_addr_t, String> {
        // SAFETY: a live address vector (the promise of `new`).
        unsafe { insert(&self.lib, self.av, &self.names, name) }
    }

    /// Adds the NICs of the next PE.
    pub(super) fn add_pe(&mut self, cards: &[NicCard]) -> Result<(), String> {
        let mut ways = Vec::with_capacity(cards.len());
        for card in cards {
            let addr = self.insert(&card.name)?;
            ways.push(self.open(Path::new(addr, card.key, card.base, card.device, card.room.max(1))));
        }
        self.ways.push(ways);
        Ok(())
    }

    fn open(&mut self, path: Path) -> PathId {
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
        let Some((old, former)) = self.path(to) else {
            return Err("there is no such NIC in this job".into());
        };
        let addr = self.insert(&door.name)?;
        // A registration outlives the endpoint.
        let new = self.open(Path::new(addr, door.key, door.base, former.device, former.room));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_of_another_kind_are_refused() {
        let text = Names::Text;
        assert!(text.check(b"fi_shm://1:0:1\0").is_ok());
        for bad in [&b""[..], b"fi_shm://1", b"fi\0shm\0", &[b'x'; MAX_NAME + 1]] {
            assert!(text.check(bad).is_err(), "{bad:?}");
        }
        let mut own = vec![0; SOCKADDR_IN];
        own[0] = 2;
        let names = Names::Like(own.clone());
        assert!(names.check(&own).is_ok());
        assert!(names.check(&own[1..]).is_err());
        own[0] = 10;
        assert!(names.check(&own).is_err(), "IPv6 in the room of IPv4 would be read beyond its end");
    }

    proptest! {
        #[test]
        fn arbitrary_addresses_never_panic(own in prop::collection::vec(any::<u8>(), 0..40), name in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Names::Like(own).check(&name);
            let _ = Names::Text.check(&name);
        }
    }
}
