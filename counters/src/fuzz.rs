//! Anybody's file as a counter page: for railtop's fuzz targets and the tests that run their corpora.

use std::fs::File;
use std::io::Write as _;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{MAX_NICS, PageReader};

/// Opens the bytes as a page and, if they are one, reads it twice as a screen would.
pub fn page(bytes: &[u8]) {
    let Ok(file) = memfd_create(c"page", MFdFlags::MFD_CLOEXEC) else { return };
    let mut file = File::from(file);
    let Ok(meta) = file.write_all(bytes).and_then(|()| file.metadata()) else { return };
    let Ok(mut reader) = PageReader::from_file(file, &meta) else { return };
    assert!((1..=MAX_NICS).contains(&reader.identity().nics.len()));
    let column = reader.rx_column();
    for now_ns in [0, u64::MAX] {
        if let Ok(snapshot) = reader.read_at(now_ns) {
            assert_eq!(snapshot.nics.len(), reader.identity().nics.len());
        }
    }
    if let Ok(mut column) = column {
        let _ = column.read();
    }
}
