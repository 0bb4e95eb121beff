//! For `crate::fuzzing`.

use super::page::{Descs, parse};
use super::target;

/// A page of another machine, and the same as a list of nodes.
pub(crate) fn page(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(sample) = parse(&text, &mut Descs::default()) {
        let names = sample
            .ports
            .iter()
            .map(|port| &port.facts.device)
            .chain(sample.pages.iter().map(|page| &page.node));
        for name in names {
            assert!(!name.chars().any(char::is_control), "{name:?} reaches the screen");
        }
    }
    // A list may name a file, and no fuzzer is to read those.
    if !text.contains('@') {
        let _ = target::parse(&text, &target::Via::Http);
    }
}
