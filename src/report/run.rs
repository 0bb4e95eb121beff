//! A run: one header, and the lines that followed it.

use std::collections::BTreeSet;

use super::line::{Balance, Header, Nic, Row};
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

    /// All lines are there: works out what is asked for again and again.
    pub(super) fn finish(&mut self) {
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
    pub(super) moe: Moe,
    pub(super) size: u64,
}

/// What rows of dispatch and combine are told apart by; nothing of it in others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Moe {
    phase: Option<String>,
    /// Experts, those of a token, and its length.
    layer: Option<(u64, u64, u64)>,
    tokens: Option<u64>,
    batch: Option<String>,
    skew: Option<String>,
}

impl Moe {
    fn of(row: &Row) -> Self {
        let Row { phase, experts, topk, dim, tokens, batch, skew, .. } = row.clone();
        let layer = experts.zip(topk).zip(dim).map(|((experts, topk), dim)| (experts, topk, dim));
        Self { phase, layer, tokens, batch, skew }
    }

    /// What is not the usual of it. The number of tokens is not said: each has a size of its own.
    fn words(&self) -> impl Iterator<Item = String> {
        let layer = self.layer.map(|(experts, _, _)| format!("{experts} experts"));
        let batch = self.batch.clone().filter(|batch| batch != "off").map(|batch| format!("batch {batch}"));
        [self.phase.clone(), layer, batch, self.skew.clone()].into_iter().flatten()
    }
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
            moe: Moe::of(row),
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
            self.threads.filter(|&threads| threads > 1).map(|threads| format!("{threads} threads")),
            self.bidir.then(|| "both ways".to_owned()),
        ];
        parts.into_iter().flatten().chain(self.moe.words()).collect::<Vec<_>>().join(", ")
    }
}
