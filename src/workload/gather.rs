//! Bringing every PE's results to PE 0.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::WorkloadError;
use crate::balance::{Direction, Spread};
use crate::transport::error::TransportError;
use crate::transport::pe::Pe;
use crate::transport::proxy::Totals;

/// One NIC in the timed part of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicResult {
    /// Its name.
    pub name: String,
    /// Payload bytes sent.
    pub tx_bytes: u64,
    /// Payload bytes received.
    pub rx_bytes: u64,
    /// Puts sent.
    pub tx_ops: u64,
    /// Puts received.
    pub rx_ops: u64,
    /// Times it failed, here or as the target of others.
    pub failures: u64,
    /// Payload bytes sent once more through it because another NIC had failed.
    pub resent_bytes: u64,
}

/// One PE in the timed part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeResult {
    /// Its number.
    pub pe: u32,
    /// Its node.
    pub node: String,
    /// How it knows its received bytes.
    pub rx_source: String,
    /// Its NICs.
    pub nics: Vec<NicResult>,
    /// Payload bytes it sent to each NIC of each PE.
    pub sent: Vec<Vec<u64>>,
    /// Seconds its timed parts took.
    pub seconds: f64,
    /// 99th percentile over short windows of busiest sending NIC over mean.
    pub tx_window_p99: Option<f64>,
    /// The same for receiving.
    pub rx_window_p99: Option<f64>,
}

impl PeResult {
    fn bytes(&self, direction: Direction) -> Vec<f64> {
        self.nics
            .iter()
            .map(|nic| match direction {
                Direction::Tx => nic.tx_bytes as f64,
                Direction::Rx => nic.rx_bytes as f64,
            })
            .collect()
    }
}

/// Gives every PE everyone's value, by rank.
///
/// # Errors
/// When the job has failed or a PE sends something else.
pub fn share<T: Serialize + DeserializeOwned>(pe: &Pe, value: &T) -> Result<Vec<T>, WorkloadError> {
    let bytes = serde_json::to_vec(value).map_err(unreadable)?;
    read(&pe.allgather(&bytes)?)
}

/// Gives PE 0 everyone's value, by rank; the others get `None`.
///
/// # Errors
/// As [`share`].
pub fn collect<T: Serialize + DeserializeOwned>(pe: &Pe, value: &T) -> Result<Option<Vec<T>>, WorkloadError> {
    let bytes = serde_json::to_vec(value).map_err(unreadable)?;
    pe.gather(&bytes)?.map(|parts| read(&parts)).transpose()
}

fn read<T: DeserializeOwned>(parts: &[Vec<u8>]) -> Result<Vec<T>, WorkloadError> {
    parts.iter().map(|part| serde_json::from_slice(part).map_err(unreadable)).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn unreadable(error: serde_json::Error) -> WorkloadError {
    WorkloadError::Transport(TransportError::Mismatch(format!("results cannot be read: {error}")))
}

/// What was counted between two snapshots.
#[must_use]
pub fn difference(after: &Totals, before: &Totals) -> Totals {
    let nics = after.nics.iter().zip(&before.nics).map(|(after, before)| after.since(before)).collect();
    let sent = after
        .sent
        .iter()
        .zip(&before.sent)
        .map(|(after, before)| after.iter().zip(before).map(|(a, b)| a.saturating_sub(*b)).collect())
        .collect();
    Totals { nics, sent, probes: after.probes }
}

/// How evenly the NICs of the PE that fared worst were used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunBalance {
    /// The direction.
    pub direction: Direction,
    /// The worst PE's spread over the whole timed part; `None` when no PE had traffic.
    pub worst: Option<Spread>,
    /// The worst PE's 99th percentile over short windows.
    pub window_p99: Option<f64>,
}

/// Balance of a run in one direction: the worst PE's; PEs without traffic in that direction are left out.
#[must_use]
pub fn balance(pes: &[PeResult], direction: Direction, limit: f64) -> RunBalance {
    let spreads = pes.iter().map(|pe| Spread::of(&pe.bytes(direction), limit));
    let worst = spreads
        .filter(|spread| spread.max_over_mean.is_some())
        .max_by(|a, b| a.max_over_mean.unwrap_or(0.0).total_cmp(&b.max_over_mean.unwrap_or(0.0)));
    let window_p99 = pes
        .iter()
        .filter_map(|pe| match direction {
            Direction::Tx => pe.tx_window_p99,
            Direction::Rx => pe.rx_window_p99,
        })
        .max_by(f64::total_cmp);
    RunBalance { direction, worst, window_p99 }
}

/// Holds what each NIC received against what all PEs sent to it: the tool's promise is that they are equal. Where a NIC
/// has failed they are not, since what it lost was sent and never received: then nothing is held.
///
/// # Errors
/// When they differ, naming the NIC.
pub fn reconcile(pes: &[PeResult]) -> Result<(), WorkloadError> {
    if pes.iter().flat_map(|pe| &pe.nics).any(|nic| nic.failures > 0 || nic.resent_bytes > 0) {
        return Ok(());
    }
    for (index, pe) in pes.iter().enumerate() {
        for (nic, result) in pe.nics.iter().enumerate() {
            let sent: u64 = pes.iter().filter_map(|other| other.sent.get(index)?.get(nic)).sum();
            if sent != result.rx_bytes {
                return Err(WorkloadError::Counters(format!(
                    "PE {} NIC {} received {} bytes ({}), but {sent} were sent to it",
                    pe.pe, result.name, result.rx_bytes, pe.rx_source
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::balance::DEFAULT_MAX_OVER_MEAN;

    /// A PE that sent and received these bytes per NIC.
    pub(crate) fn pe(number: u32, tx: &[u64], rx: &[u64], sent: Vec<Vec<u64>>) -> PeResult {
        let nics = (0..).zip(tx.iter().zip(rx));
        PeResult {
            pe: number,
            node: format!("node{number}"),
            rx_source: "CQE_LEN".into(),
            nics: nics
                .map(|(nic, (&tx_bytes, &rx_bytes)): (u32, _)| NicResult {
                    name: format!("nic{nic}"),
                    tx_bytes,
                    rx_bytes,
                    tx_ops: tx_bytes / 10,
                    rx_ops: rx_bytes / 10,
                    failures: 0,
                    resent_bytes: 0,
                })
                .collect(),
            sent,
            seconds: 2.0,
            tx_window_p99: None,
            rx_window_p99: Some(1.5),
        }
    }

    #[test]
    fn the_worst_pe_counts_and_idle_ones_do_not() {
        let pes = [
            pe(0, &[10, 10], &[0, 0], vec![vec![0, 0], vec![20, 0]]),
            pe(1, &[0, 0], &[20, 0], vec![vec![0, 0], vec![0, 0]]),
        ];
        let tx = balance(&pes, Direction::Tx, DEFAULT_MAX_OVER_MEAN);
        assert_eq!(tx.worst.unwrap().max_over_mean, Some(1.0));
        let rx = balance(&pes, Direction::Rx, DEFAULT_MAX_OVER_MEAN);
        assert_eq!((rx.worst.unwrap().max_over_mean, rx.worst.unwrap().active_nics), (Some(2.0), 1));
        assert!(reconcile(&pes).is_ok());
    }

    #[test]
    fn a_byte_too_few_is_found() {
        let pes = [pe(0, &[10], &[0], vec![vec![0], vec![10]]), pe(1, &[0], &[9], vec![vec![0], vec![0]])];
        let mut disturbed = pes.clone();
        disturbed[1].nics[0].failures = 1;
        assert!(reconcile(&disturbed).is_ok(), "what a NIC lost was sent and not received");
        let text = reconcile(&pes).unwrap_err().to_string();
        assert!(text.contains("PE 1 NIC nic0 received 9 bytes") && text.contains("10 were sent"), "{text}");
    }
}
