//! Which of the nodes' NICs are looked at: on what other machines send, what `--device`, `--source` and `--line-rate` do to what
//! is read here.

use std::sync::Arc;

use crate::monitor::glob::Glob;
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{PortFacts, Sample};

/// What is wanted of a sample.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// Only devices that match.
    pub device: Option<Glob>,
    /// Only what comes from here.
    pub source: Option<SourceKind>,
    /// Line rates in bits per second of devices that match, whatever their nodes say; the first counts.
    pub line_rates: Vec<(Glob, u64)>,
}

impl Select {
    /// Leaves in `sample` what is wanted.
    pub(super) fn apply(&self, sample: &mut Sample) {
        let had_some = !sample.ports.is_empty() || !sample.pages.is_empty();
        let wanted = |name: &str| self.device.as_ref().is_none_or(|glob| glob.matches(name));
        let from = |source| self.source.is_none_or(|only| only == source);
        sample.ports.retain(|port| from(port.source) && wanted(&port.facts.device));
        if !from(SourceKind::Page) {
            sample.pages.clear();
        }
        for page in &mut sample.pages {
            page.nics.retain(|nic| wanted(&nic.device));
        }
        sample.pages.retain(|page| !page.nics.is_empty());
        if had_some && sample.ports.is_empty() && sample.pages.is_empty() {
            sample.nothing = vec!["none of its NICs is wanted (--device, --source)".to_owned()];
        }
        let rate = |name: &str| self.line_rates.iter().find(|(glob, _)| glob.matches(name)).map(|of| of.1);
        for port in &mut sample.ports {
            if let Some(rate) = rate(&port.facts.device) {
                let facts = PortFacts::clone(&port.facts);
                port.facts = Arc::new(PortFacts {
                    link_bits_per_s: Some(rate),
                    link_overridden: facts.link_bits_per_s != Some(rate),
                    ..facts
                });
            }
        }
        for nic in sample.pages.iter_mut().flat_map(|page| &mut page.nics) {
            nic.link_bits_per_s = rate(&nic.device).or(nic.link_bits_per_s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{Descs, parse};
    use super::*;

    fn sample() -> Sample {
        parse(
            "railtop_last_read_timestamp_seconds 1
rdma_device_info{device=\"mlx5_0\",port=\"1\",source=\"sysfs\"} 1
rdma_device_info{device=\"mlx5_1\",port=\"1\",source=\"netlink\"} 1
rdma_pe_transmit_bytes_total{job_name=\"j\",node_name=\"n\",pe=\"3\",rail=\"0\",device=\"mlx5_1\"} 9
",
            &mut Descs::default(),
        )
        .unwrap()
    }

    fn left(select: &Select) -> (Vec<String>, usize) {
        let mut sample = sample();
        select.apply(&mut sample);
        (sample.ports.iter().map(|port| port.facts.device.clone()).collect(), sample.pages.len())
    }

    #[test]
    fn only_what_is_wanted_is_left() {
        let all = vec!["mlx5_0".to_owned(), "mlx5_1".to_owned()];
        assert_eq!(left(&Select::default()), (all.clone(), 1));
        let device = |glob: &str| Select { device: Some(glob.parse().unwrap()), ..Select::default() };
        assert_eq!(left(&device("*_0")), (all[..1].to_vec(), 0));
        assert_eq!(left(&device("*_1")), (all[1..].to_vec(), 1));
        let source = |source| Select { source: Some(source), ..Select::default() };
        assert_eq!(left(&source(SourceKind::Page)), (Vec::new(), 1));
        assert_eq!(left(&source(SourceKind::Sysfs)), (all[..1].to_vec(), 0));
        let mut nothing = sample();
        device("efa*").apply(&mut nothing);
        assert!(nothing.nothing[0].contains("--device"), "{:?}", nothing.nothing);
    }

    #[test]
    fn a_line_rate_that_was_set_counts() {
        let select =
            Select { line_rates: vec![("mlx5_1".parse().unwrap(), 200_000_000_000)], ..Select::default() };
        let mut sample = sample();
        select.apply(&mut sample);
        let rates: Vec<_> = sample.ports.iter().map(|port| port.facts.link_bits_per_s).collect();
        assert_eq!(rates, [None, Some(200_000_000_000)]);
        assert_eq!(sample.pages[0].nics[0].link_bits_per_s, Some(200_000_000_000));
    }
}
