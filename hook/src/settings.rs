//! What the environment says, read once.

use std::env;

use crate::first::First;

/// Which of the layers of a provider on top of another counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// What the program opens.
    Top,
    /// What the provider opens below.
    Inner,
}

#[derive(Debug)]
struct Settings {
    off: bool,
    layer: Layer,
    keep: bool,
    fault: u64,
    idle_ms: u32,
}

/// Read at the first call, which is in a call of the program's: reading the environment in a thread of ours while the program
/// changes it in C would not be safe.
fn settings() -> &'static Settings {
    static SETTINGS: First<Settings> = First::new();
    SETTINGS.get_or_make(|| Settings {
        off: is_on("RAILTOP_HOOK_OFF"),
        layer: match env::var_os("RAILTOP_HOOK_LAYER") {
            Some(value) if value == "inner" => Layer::Inner,
            _ => Layer::Top,
        },
        keep: is_on("RAILTOP_HOOK_KEEP"),
        fault: env::var("RAILTOP_HOOK_FAULT").ok().and_then(|n| n.parse().ok()).unwrap_or(0),
        idle_ms: env::var("RAILTOP_HOOK_IDLE_MS")
            .ok()
            .and_then(|n| n.parse().ok())
            .map_or(250, |ms: u32| ms.max(10)),
    })
}

fn is_on(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// `RAILTOP_HOOK_OFF=1`: nothing is hooked.
pub(crate) fn off() -> bool {
    settings().off
}

/// `RAILTOP_HOOK_LAYER=inner`: the layers below are counted, and the top one is not.
pub(crate) fn layer() -> Layer {
    settings().layer
}

/// `RAILTOP_HOOK_KEEP=1`: the page stays after the end, for 30 s.
pub(crate) fn keep() -> bool {
    settings().keep
}

/// `RAILTOP_HOOK_IDLE_MS=N`: how long the thread that publishes rests while nothing is counted. For a test: pages promise a heartbeat each second.
pub(crate) fn idle_ms() -> u32 {
    settings().idle_ms
}

/// `RAILTOP_HOOK_FAULT=N`; see [`crate::guard`].
pub(crate) fn fault() -> u64 {
    settings().fault
}
