//! A run: one header, and the lines that followed it.

use std::collections::{BTreeSet, HashMap};

use super::line::{Balance, Header, MoeRow, Nic, Row};
use crate::text::plural;

/// What one command printed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Run {
    /// The file, below the directory of the report.
    pub(super) file: String,
    pub(super) header: Header,
    pub(super) rows: Vec<Row>,
    pub(super) nics: Vec<Nic>,
    pub(super) balances: Vec<Balance>,
    /// In the order in which they were run.
    policies: Vec<String>,
    shape: Shape,
    bench: Option<String>,
    /// By policy, PE, node and name: which of `nics` it is.
    places: HashMap<(String, u64, Option<String>, String), usize>,
}

/// Policies of a run: all there are, and all that anybody could add.
const MOST_POLICIES: usize = 64;

impl Run {
    /// Without a line yet.
    pub(super) fn new(file: &str, header: Header) -> Self {
        Self { file: file.to_owned(), header, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.nics.is_empty() && self.balances.is_empty()
    }

    /// Notes a policy.
    pub(super) fn policy(&mut self, name: &str) -> Result<(), String> {
        if self.policies.iter().any(|known| known == name) {
            return Ok(());
        }
        if self.policies.len() == MOST_POLICIES {
            return Err(format!("more than {MOST_POLICIES} policies in one run"));
        }
        self.policies.push(name.to_owned());
        Ok(())
    }

    /// Takes what a NIC moved. A run that goes through its policies several times says so each time, of that time.
    pub(super) fn nic(&mut self, nic: Nic) {
        let key = (nic.policy.clone(), nic.pe, nic.node.clone(), nic.name.clone());
        let place = *self.places.entry(key).or_insert(self.nics.len());
        match self.nics.get_mut(place) {
            Some(known) => {
                known.tx_bytes = known.tx_bytes.saturating_add(nic.tx_bytes);
                known.rx_bytes = known.rx_bytes.saturating_add(nic.rx_bytes);
            }
            None => self.nics.push(nic),
        }
    }

    /// Takes how evenly a direction was shared; of several times the worst counts.
    pub(super) fn balance(&mut self, balance: Balance) {
        let same =
            |known: &&mut Balance| known.policy == balance.policy && known.direction == balance.direction;
        match self.balances.iter_mut().find(same) {
            Some(known) if balance.max_over_mean > known.max_over_mean => *known = balance,
            Some(_) => {}
            None => self.balances.push(balance),
        }
    }

    /// All lines are there: works out what is asked for again and again.
    pub(super) fn finish(&mut self) {
        self.places = HashMap::new();
        let distinct = |of: &dyn Fn(&Nic) -> Option<String>| {
            let all: BTreeSet<String> = self.nics.iter().filter_map(of).collect();
            (!all.is_empty()).then_some(all.len() as u64)
        };
        let pes = distinct(&|nic| Some(nic.pe.to_string()));
        let ports = distinct(&|nic| Some(format!("{} {}", nic.pe, nic.name)));
        self.shape = Shape {
            nodes: self.header.nodes.or_else(|| distinct(&|nic| nic.node.clone())),
            pes: self.header.pes.or(pes),
            nics: self.header.nics_per_pe.or_else(|| Some(ports? / pes?)),
            bits_per_s: self.header.nic_bits_per_s,
            provider: self.header.provider.clone(),
            intra_node: self.header.intra_node.clone(),
        };
        let first = self.rows.first().map(|row| &row.bench);
        self.bench = first.filter(|first| self.rows.iter().all(|row| row.bench == **first)).cloned();
    }

    /// How many nodes, PEs and NICs of a PE, as the header says, else as the NICs' lines show.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The policies, in the order in which they were run.
    pub(super) fn policies(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(String::as_str)
    }

    /// The pattern, where all rows are of one.
    pub(super) fn bench(&self) -> Option<&str> {
        self.bench.as_deref()
    }
}

/// Of how many nodes, PEs and NICs of each PE a run was, how fast these are, and by which provider. Runs of another shape are
/// not compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Shape {
    pub(super) nodes: Option<u64>,
    pub(super) pes: Option<u64>,
    pub(super) nics: Option<u64>,
    pub(super) bits_per_s: Option<u64>,
    pub(super) provider: Option<String>,
    /// `nic` where PEs of a node reached each other over NICs, too.
    pub(super) intra_node: Option<String>,
}

impl Shape {
    /// `2 nodes, 8 PEs, 4 NICs each of 200 Mb/s`, as far as it is known.
    pub(super) fn words(&self) -> String {
        let nics = self.nics.map(|nics| {
            let rate = self.bits_per_s.map_or_else(String::new, |bits| {
                format!(" of {}", crate::units::format_bit_rate(bits as f64))
            });
            format!("{} each{rate}", plural(nics, "NIC"))
        });
        let parts = [
            self.nodes.map(|n| plural(n, "node")),
            self.pes.map(|n| plural(n, "PE")),
            nics,
            self.provider.clone(),
            self.intra_node.as_ref().map(|way| format!("within a node by {way}")),
        ];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        if words.is_empty() { "a cluster of unknown shape".to_owned() } else { words.join(", ") }
    }
}

/// What makes two rows comparable: everything but the figures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) bench: String,
    pub(super) shape: Shape,
    pub(super) initiator: String,
    pub(super) policy: String,
    pub(super) scope: Option<String>,
    pub(super) bits: Option<u64>,
    pub(super) blocks: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) heap: Option<String>,
    pub(super) bidir: bool,
    pub(super) size: u64,
    pub(super) chunk: Option<u64>,
    pub(super) moe: MoeRow,
}

impl Key {
    pub(super) fn of(run: &Run, row: &Row) -> Self {
        Self {
            bench: row.bench.clone(),
            shape: run.shape().clone(),
            initiator: row.initiator.clone().unwrap_or_else(|| "host".to_owned()),
            policy: row.policy.clone(),
            scope: row.scope.clone(),
            bits: row.bits,
            blocks: row.blocks,
            threads: row.threads,
            heap: row.heap.clone(),
            bidir: row.bidir,
            size: row.size,
            chunk: row.chunk,
            moe: row.moe.clone(),
        }
    }

    /// What was measured: the pattern, and of MoE its phase and configuration.
    pub(super) fn what(&self) -> String {
        let MoeRow { phase, experts, topk, dim, tokens, .. } = &self.moe;
        let number = |name: &str, value: &Option<u64>| value.map(|value| format!("{name} {value}"));
        let parts = [
            Some(self.bench.clone()),
            phase.clone(),
            number("E", experts),
            number("topk", topk),
            number("dim", dim),
            number("tokens", tokens),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// What a line of a chart is called: the policy, and what else is not the usual.
    pub(super) fn series(&self) -> String {
        let of_gpu = (self.initiator != "host").then(|| self.initiator.clone());
        let parts = [
            Some(self.policy.clone()),
            of_gpu,
            self.scope.clone(),
            self.heap.clone(),
            self.bits.map(|bits| format!("{bits} bit")),
            self.blocks.filter(|&blocks| blocks > 1).map(|blocks| format!("{blocks} blocks")),
            self.threads.filter(|&threads| threads > 1).map(|threads| format!("{threads} threads")),
            self.bidir.then(|| "both ways".to_owned()),
            self.chunk.map(|chunk| format!("chunks of {}", crate::units::format_size(chunk))),
            self.moe.batch.as_ref().filter(|&batch| batch != "off").map(|_| "batched".to_owned()),
            self.moe.skew.as_ref().filter(|&skew| skew != "uniform").cloned(),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
