//! What is counted around the timed parts of a run, and the sums over a policy.

use std::time::Duration;

use super::WorkloadError;
use super::gather::{NicResult, PeResult, collect, difference, reconcile};
use super::meter::{Meter, Watch};
use super::report::{Progress, Reporter, Summary};
use crate::transport::error::TransportError;
use crate::transport::pe::Pe;
use crate::transport::proxy::Totals;
use crate::transport::select::PolicyKind;
use crate::windows::{p99, window_ratios};

/// A timed part under way, between two snapshots of the counters.
#[derive(Debug)]
pub(super) struct Counted {
    before: Totals,
    meter: Meter,
}

impl Counted {
    /// Begins, for all PEs together.
    pub(super) fn begin(pe: &mut Pe, window: Duration) -> Result<Self, WorkloadError> {
        pe.barrier()?;
        let before = pe.totals()?;
        // Nobody starts before everybody has counted.
        pe.barrier()?;
        let meter = Meter::start(pe.meter(), window)
            .map_err(|source| TransportError::System { what: "cannot start the meter", source })?;
        Ok(Self { before, meter })
    }

    /// Ends, for all PEs together: what was counted, and what was seen meanwhile.
    pub(super) fn end(self, pe: &mut Pe) -> Result<(Totals, Watch), WorkloadError> {
        pe.barrier()?;
        let watch = self.meter.stop();
        let after = pe.totals()?;
        // Nobody goes on before everybody has counted.
        pe.barrier()?;
        Ok((difference(&after, &self.before), watch))
    }
}

/// What adds up over the sizes of a policy.
#[derive(Debug, Default)]
pub(super) struct Account {
    totals: Option<Totals>,
    seconds: f64,
    tx_ratios: Vec<f64>,
    rx_ratios: Vec<f64>,
}

impl Account {
    /// Adds a timed part.
    pub(super) fn add(&mut self, delta: Totals, seconds: f64, watch: &Watch, window: Duration) {
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        self.seconds += seconds;
        self.tx_ratios.extend(window_ratios(&watch.tx, watch.from_ns, watch.to_ns, window_ns));
        self.rx_ratios.extend(window_ratios(&watch.rx, watch.from_ns, watch.to_ns, window_ns));
        match &mut self.totals {
            None => self.totals = Some(delta),
            Some(totals) => {
                for (sum, nic) in totals.nics.iter_mut().zip(&delta.nics) {
                    *sum = *sum + *nic;
                }
                for (sum, bytes) in totals.sent.iter_mut().flatten().zip(delta.sent.iter().flatten()) {
                    *sum += bytes;
                }
            }
        }
    }

    /// Brings all PEs' sums together, holds them against each other, and reports them.
    pub(super) fn conclude(
        &self,
        pe: &Pe,
        policy: PolicyKind,
        window: Duration,
        progress: &Progress,
        reporter: &mut dyn Reporter,
    ) -> Result<(), WorkloadError> {
        let Some(pes) = collect(pe, &self.result(pe))? else { return Ok(()) };
        reconcile(&pes)?;
        for (pe, nic) in pes.iter().flat_map(|pe| pe.nics.iter().map(move |nic| (pe.pe, nic))) {
            if nic.failures > 0 {
                let name = crate::text::printable(&nic.name);
                let lost = "what it lost was sent again and counts twice as sent";
                progress.say(&format!("NIC {name} of PE {pe} failed during the run; {lost}"));
            }
        }
        reporter.summary(&Summary { policy, window, pes: &pes })
    }

    fn result(&self, pe: &Pe) -> PeResult {
        let totals = self.totals.clone().unwrap_or_default();
        let nics = pe.nics().iter().zip(&totals.nics);
        PeResult {
            pe: pe.rank(),
            node: pe.node_of(pe.rank()).to_owned(),
            rx_source: pe.rx_source().name().to_owned(),
            nics: nics
                .map(|(identity, counts)| NicResult {
                    name: identity.device.clone(),
                    tx_bytes: counts.tx_done_bytes,
                    rx_bytes: counts.rx_bytes,
                    tx_ops: counts.tx_done_ops,
                    rx_ops: counts.rx_ops,
                    failures: counts.failures + counts.fences,
                    resent_bytes: counts.resent_bytes,
                })
                .collect(),
            sent: totals.sent,
            seconds: self.seconds,
            tx_window_p99: p99(&self.tx_ratios),
            rx_window_p99: p99(&self.rx_ratios),
        }
    }
}
