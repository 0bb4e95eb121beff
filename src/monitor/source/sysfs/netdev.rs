//! `class/net/<interface>/statistics`, in place of bytes that software RDMA does not count.

use std::sync::Arc;

use super::file::CounterFile;
use super::root::Root;
use crate::monitor::counter::Desc;
use crate::monitor::sample::{Missing, RawCounter};
use crate::monitor::table::netdev::statistics;

/// The statistics of one network interface.
#[derive(Debug)]
pub(super) struct Netdev {
    name: String,
    files: Vec<(&'static Arc<Desc>, CounterFile)>,
}

impl Netdev {
    pub(super) fn new(name: &str) -> Self {
        let file =
            |desc: &Desc| CounterFile::new(format!("class/net/{name}/statistics/{}", desc.name).into());
        Self { name: name.to_owned(), files: statistics().iter().map(|desc| (desc, file(desc))).collect() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All of them, in the order of [`statistics`]: bytes sent and received, packets sent and received, others.
    pub(super) fn read(&mut self, root: &Root, reopened: &mut bool) -> Vec<Result<RawCounter, Missing>> {
        let name = &self.name;
        let read = |(desc, file): &mut (&'static Arc<Desc>, CounterFile)| match file.read(root, reopened) {
            Ok(value) => Ok(RawCounter { desc: Arc::clone(desc), value }),
            Err(e) => Err(Missing {
                counter: desc.name.to_string(),
                place: Some(format!("class/net/{name}/statistics/{}", desc.name)),
                reason: e.to_string(),
            }),
        };
        self.files.iter_mut().map(read).collect()
    }
}
