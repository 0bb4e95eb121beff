//! What bytes and puts cost: the parameters of the model, each with where its value is from.
//!
//! A preset is a set of values that were measured, published or fitted together. Nothing else in the model is adjustable.
//! What was fitted on what stands in docs/scale.md; `examples/fit_sim.rs` fits it again.

mod told;

pub use told::Told;

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
    /// What one message costs the proxy of a PE, picoseconds.
    pub put_ps: u64,
    /// That this was given on the command line.
    pub(super) given: bool,
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
}

impl Costs {
    /// The values of a preset.
    #[must_use]
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::EfaP5 => Self {
                preset,
                goodput_ppm: 978_000,
                put_ps: 8_600_000,
                given: false,
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
            },
            Preset::Lab => Self {
                preset,
                goodput_ppm: 993_500,
                put_ps: 5_000_000,
                given: false,
                latency_ps: 20_000_000,
                window: 32,
                queue: 256,
                segment_bytes: 89_480,
                stall_ppm: 0,
                copy_bytes_per_s: None,
                warp: None,
                turn_ppm: 0,
                crowd_ps: 0,
                most_again: 0,
            },
        }
    }

    /// Has a put cost the proxy something else.
    pub fn set_put(&mut self, put_ps: u64) {
        self.put_ps = put_ps;
        self.given = true;
    }
}
