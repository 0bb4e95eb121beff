//! A run: one header, and the lines that followed it.

use std::collections::BTreeSet;

use super::line::{Balance, Header, Nic, Row};

/// What one command printed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Run {
    /// The file, below the directory of the report.
    pub(super) file: String,
    pub(super) header: Header,
    pub(super) rows: Vec<Row>,
    pub(super) nics: Vec<Nic>,
    pub(super) balances: Vec<Balance>,
}

impl Run {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.nics.is_empty() && self.balances.is_empty()
    }

    /// How many nodes, PEs and NICs of a PE, as the header says, else as the NICs' lines show.
    pub(super) fn shape(&self) -> Shape {
        let distinct = |of: &dyn Fn(&Nic) -> Option<String>| {
            let all: BTreeSet<String> = self.nics.iter().filter_map(of).collect();
            (!all.is_empty()).then_some(all.len() as u64)
        };
        let pes = distinct(&|nic| Some(nic.pe.to_string()));
        let ports = distinct(&|nic| Some(format!("{} {}", nic.pe, nic.name)));
        Shape {
            nodes: self.header.nodes.or_else(|| distinct(&|nic| nic.node.clone())),
            pes: self.header.pes.or(pes),
            nics: self.header.nics_per_pe.or_else(|| Some(ports? / pes?)),
            bits_per_s: self.header.nic_bits_per_s,
        }
    }

    /// The policies, in the order in which they were run.
    pub(super) fn policies(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        let rows = self.rows.iter().map(|row| row.policy.as_str());
        for policy in rows.chain(self.nics.iter().map(|nic| nic.policy.as_str())) {
            if !found.contains(&policy) {
                found.push(policy);
            }
        }
        found
    }

    /// The pattern, where all rows are of one.
    pub(super) fn bench(&self) -> Option<&str> {
        let first = self.rows.first()?.bench.as_str();
        self.rows.iter().all(|row| row.bench == first).then_some(first)
    }
}

/// Of how many nodes, PEs and NICs of each PE a run was, and how fast these are. Runs of another shape are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Shape {
    pub(super) nodes: Option<u64>,
    pub(super) pes: Option<u64>,
    pub(super) nics: Option<u64>,
    pub(super) bits_per_s: Option<u64>,
}

impl Shape {
    /// `2 nodes, 8 PEs, 4 NICs each of 200 Mb/s`, as far as it is known.
    pub(super) fn words(self) -> String {
        let plural = |count: u64, word: &str| {
            if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
        };
        let nics = self.nics.map(|nics| {
            let rate = self.bits_per_s.map_or_else(String::new, |bits| {
                format!(" of {}", crate::units::format_byte_rate(bits as f64 / 8.0))
            });
            format!("{} each{rate}", plural(nics, "NIC"))
        });
        let parts = [self.nodes.map(|n| plural(n, "node")), self.pes.map(|n| plural(n, "PE")), nics];
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
    pub(super) heap: Option<String>,
    pub(super) bidir: bool,
    pub(super) size: u64,
}

impl Key {
    pub(super) fn of(run: &Run, row: &Row) -> Self {
        Self {
            bench: row.bench.clone(),
            shape: run.shape(),
            initiator: row.initiator.clone().unwrap_or_else(|| "host".to_owned()),
            policy: row.policy.clone(),
            scope: row.scope.clone(),
            bits: row.bits,
            blocks: row.blocks,
            heap: row.heap.clone(),
            bidir: row.bidir,
            size: row.size,
        }
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
            self.bidir.then(|| "both ways".to_owned()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
