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
        let told = |name, value, unit, efa, of_lab| self.tell(name, value, unit, [efa, of_lab]);
        let put = |otherwise| if self.given { "given: --put-cost" } else { otherwise };
        let mut all = vec![
            told(
                "goodput",
                Some(self.goodput_ppm),
                "millionths of the line rate",
                "published: put, 97.8 Gb/s of 100",
                "measured: 0.65 % are headers (docs/performance.md)",
            ),
            told(
                "put",
                Some(self.put_ps),
                "ps of the proxy for each message",
                put("fitted: the smallest all-to-all on 4 nodes (207 us for 24 puts)"),
                put("measured: 5 us over sockets (docs/performance.md)"),
            ),
            told(
                "latency",
                Some(self.latency_ps),
                "ps",
                ASSUMED,
                "rounded from 17.7 us, a whole one-way put over sockets with the proxy's part (docs/performance.md)",
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
        ];
        all.extend(self.told_of_queues());
        all
    }

    /// Those of which the lab's queues and its transport are the reason.
    fn told_of_queues(&self) -> Vec<Told> {
        let told = |name, value, unit, efa, of_lab| self.tell(name, value, unit, [efa, of_lab]);
        vec![
            told(
                "turn when sent",
                Some(self.turn_when_sent.into()),
                "1: a put queues for its next turn when its segment has been sent; 0: when that begins",
                ASSUMED,
                "known: the kernel queues little of a connection that has something queued (TCP small queues)",
            ),
            told(
                "burst",
                Some(self.burst_bytes),
                "bytes that a NIC which has rested sends or receives at once",
                NO_LIMITER,
                "known: the lab's limiters (src/lab/batch.rs)",
            ),
            told(
                "acknowledgement",
                self.ack_ps,
                "ps after a put was seen to have arrived; it then waits where data wait",
                "none: the NICs' own take the latency and nothing else",
                "known: the transport's delay (src/transport/group/mod.rs)",
            ),
            told(
                "along",
                Some(self.along_ppm),
                "millionths: the chance that an acknowledgement which is still owed goes along with a round's first put",
                "none: the NICs' own wait for no data",
                "measured: 118 of 199, in the lab's switch (docs/scale.md)",
            ),
            told(
                "look",
                Some(self.look_ps),
                "ps between two looks of a PE that waits; 0: it always looks",
                ASSUMED,
                "known: the longest sleep of who waits for less than half a second (src/transport/proxy/idle.rs)",
            ),
        ]
    }

    /// The value with the source that it has in this preset: of `efa-p5` or of `lab`.
    fn tell(
        &self,
        name: &'static str,
        value: Option<u64>,
        unit: &'static str,
        sources: [&'static str; 2],
    ) -> Told {
        let [efa, lab] = sources;
        Told { name, value, unit, source: if self.preset == Preset::Lab { lab } else { efa } }
    }
}

const ASSUMED: &str = "assumed: neither measured nor fitted";

const FITTED: &str = "fitted: all-to-all of 256 MiB on 4, 8 and 16 nodes (examples/fit_sim.rs)";

const NO_LIMITER: &str = "none: a NIC is never ahead of its rate";

const NO_LOSS: &str = "none: the lab's queues hold an incast without loss (docs/performance.md)";
