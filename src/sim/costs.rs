//! What bytes and puts cost: the parameters of the model, each with where its value is from.
//!
//! A preset is a set of values that were measured, published or fitted together. Nothing else in the model is adjustable.
//! What was fitted on what stands in docs/scale.md; `examples/fit_sim.rs` fits it again.

use serde::Serialize;

/// A set of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// AWS p5 with NVSHMEM's proxy, as "NVSHMEM Multi-NIC Support with AWS EFA" measured it.
    EfaP5,
    /// Nodes of `railtop lab` with railtop's transport.
    Lab,
}

impl Preset {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EfaP5 => "efa-p5",
            Self::Lab => "lab",
        }
    }
}

/// Everything the model takes from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costs {
    /// Where the values are from.
    pub preset: Preset,
    /// What payload gets of a NIC's line rate, in millionths.
    pub goodput_ppm: u64,
    /// That what a put costs was given on the command line.
    pub(super) given: bool,
    /// What one message costs the proxy of a PE, picoseconds.
    pub put_ps: u64,
    /// From the sending NIC to the receiving one, picoseconds.
    pub latency_ps: u64,
    /// Segments that a NIC has on the way at most; one more waits until one of them has arrived.
    pub window: u16,
    /// Puts that a NIC has to do at most; the proxy waits with one more, and with all that follow it.
    pub queue: u16,
    /// A NIC takes turns among its puts, this many bytes at a time.
    pub segment_bytes: u64,
    /// Of the time that a sender with a full window waits for a receiving NIC, the share that this NIC loses to what is sent
    /// again, in millionths.
    pub stall_ppm: u64,
    /// Bytes per second at which a PE copies what stays in its node; `None`: in no time.
    pub copy_bytes_per_s: Option<u64>,
    /// Threads of a warp, which post to their peers in turn. `None`: one thread posts to all in turn.
    pub warp: Option<u32>,
    /// The chance that after a put another warp goes on, in millionths.
    pub turn_ppm: u64,
    /// What a put that begins costs its sending NIC for each put to another PE that this NIC has to send, picoseconds.
    pub crowd_ps: u64,
    /// That is at most so many times what the put's own bytes take.
    pub most_again: u64,
    /// A NIC takes its waiting puts in random turns and not one after the other: connections share it unequally.
    pub random_turns: bool,
}

impl Costs {
    /// The values of a preset.
    #[must_use]
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::EfaP5 => Self {
                preset,
                goodput_ppm: 978_000,
                given: false,
                put_ps: 8_600_000,
                latency_ps: 10_000_000,
                window: 32,
                queue: 256,
                segment_bytes: 64 << 10,
                stall_ppm: 90_000,
                copy_bytes_per_s: Some(9_730_000_000),
                warp: Some(32),
                turn_ppm: 5_300,
                crowd_ps: 3_000_000,
                most_again: 3,
                random_turns: false,
            },
            Preset::Lab => Self {
                preset,
                goodput_ppm: 993_500,
                given: false,
                put_ps: 5_000_000,
                latency_ps: 20_000_000,
                window: 32,
                queue: 256,
                segment_bytes: 64 << 10,
                stall_ppm: 0,
                copy_bytes_per_s: None,
                warp: None,
                turn_ppm: 0,
                crowd_ps: 0,
                most_again: 0,
                random_turns: true,
            },
        }
    }

    /// Has a put cost the proxy something else.
    pub fn set_put(&mut self, put_ps: u64) {
        self.put_ps = put_ps;
        self.given = true;
    }

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
                "known: what the kernel gives a NIC at a time, 64 KiB at most",
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
            told(
                "random turns",
                Some(self.random_turns.into()),
                "1: a NIC takes the next segment of any of its puts, by chance; 0: of each in turn",
                ASSUMED,
                "fitted: all-to-all of 2 MiB on 4 nodes (docs/scale.md)",
            ),
        ]
    }
}

const ASSUMED: &str = "assumed: neither measured nor fitted";

const FITTED: &str = "fitted: all-to-all of 256 MiB on 4, 8 and 16 nodes (examples/fit_sim.rs)";

const NO_LOSS: &str = "none: the lab's queues hold an incast without loss (docs/performance.md)";

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
