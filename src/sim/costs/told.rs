//! What the parameters are and where each is from, as results say it.

use serde::Serialize;

use super::{Costs, Preset};

/// A parameter, as results say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its name.
    pub name: &'static str,
    /// Its value; not there where it does not apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// Its unit.
    pub unit: &'static str,
    /// Where the value is from: measured, published, fitted on what, or assumed.
    pub source: &'static str,
}

impl Costs {
    /// Every value with its unit and its source, as results say it.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        let lab = self.preset == Preset::Lab;
        let told = |name, value, unit, efa, of_lab| Told {
            name,
            value,
            unit,
            source: if lab { of_lab } else { efa },
        };
        let put = |otherwise| if self.given { "given: --put-cost" } else { otherwise };
        vec![
            told(
                "goodput",
                Some(self.goodput_ppm),
                "millionths of the line rate",
                "published: put, 97.8 Gb/s of 100",
                "measured: 0.65 % are headers (docs/measurements.md)",
            ),
            told(
                "put",
                Some(self.put_ps),
                "ps of the proxy for each message",
                put("fitted: the smallest all-to-all on 4 nodes (207 us for 24 puts)"),
                put(ASSUMED),
            ),
            told(
                "latency",
                Some(self.latency_ps),
                "ps",
                ASSUMED,
                "rounded from 17.7 us, measured once: a whole one-way put over sockets with the proxy's part",
            ),
            told("window", Some(self.window.into()), "segments of a NIC on the way", ASSUMED, ASSUMED),
            told("queue", Some(self.queue.into()), "puts of a NIC to do", ASSUMED, ASSUMED),
            told(
                "segment",
                Some(self.segment_bytes),
                "bytes; a 32nd of a put where that is more",
                ASSUMED,
                "known: a TCP connection's first window, ten segments of 8,948 bytes",
            ),
            told(
                "stall",
                Some(self.stall_ppm),
                "millionths of a sender's wait that the receiving NIC loses to what is sent again",
                FITTED,
                NO_LOSS,
            ),
            told(
                "copy",
                self.copy_bytes_per_s,
                "bytes per second within a node, by one block of threads",
                "fitted: all-to-all of 256 MiB with the fix on 2 nodes, 146 Gb/s",
                "none: the hosts' copies are far faster than the NICs",
            ),
            told(
                "warp",
                self.warp.map(u64::from),
                "threads of a warp, which post in turn",
                "from NVSHMEM's kernel: a thread for each peer, 256 threads",
                "none: one thread posts in ring order",
            ),
            told(
                "turn",
                Some(self.turn_ppm),
                "millionths: the chance that after a put another warp goes on",
                FITTED,
                "no effect",
            ),
            told(
                "crowd",
                Some(self.crowd_ps),
                "ps that a put which begins costs its sending NIC, for each put to another PE that this has to send",
                FITTED,
                NO_LOSS,
            ),
            told(
                "again",
                Some(self.most_again),
                "times what the put's own bytes take: no put costs its NIC more than that in a crowd",
                ASSUMED,
                NO_LOSS,
            ),
        ]
    }
}

const ASSUMED: &str = "assumed: neither measured nor fitted";

const FITTED: &str = "fitted: all-to-all of 256 MiB on 4, 8 and 16 nodes (examples/fit_sim.rs)";

const NO_LOSS: &str = "none: the lab's queues hold an incast without loss (docs/performance.md)";
