//! Every size, offset and constant of the interface, as the library has it.

use std::mem::offset_of;

use railtop_c::abi;

/// A structure of the header, one of its fields (none: the whole), and where that begins (how long it is).
pub struct Row {
    pub structure: &'static str,
    pub field: Option<&'static str>,
    pub bytes: usize,
}

pub fn rows() -> Vec<Row> {
    macro_rules! rows {
        ($($structure:literal $rust:ty { $($field:ident)* })*) => {
            vec![$(
                Row { structure: $structure, field: None, bytes: size_of::<$rust>() },
                $(Row {
                    structure: $structure,
                    field: Some(stringify!($field)),
                    bytes: offset_of!($rust, $field),
                },)*
            )*]
        };
    }
    rows! {
        "railtop_options" abi::Options { size sysfs_root devices source interval_ns capacity }
        "railtop_status" abi::Status {
            size interval_ns ticks missed_ticks samples lost_samples lost_balances nics groups running reserved
        }
        "railtop_nic" abi::Nic { size key device driver source pci netdev link_bits_per_s numa port group reserved }
        "railtop_group" abi::Group { size key name kind node gpu numa pe }
        "railtop_sample" abi::Sample {
            nic flags mono_ns wall_minus_mono_ns dt_ns tx_bytes rx_bytes tx_bytes_per_s rx_bytes_per_s
        }
        "railtop_balance" abi::Balance {
            group nics mono_ns wall_minus_mono_ns tx_bytes_per_s rx_bytes_per_s tx_max_over_mean rx_max_over_mean
        }
    }
}

/// The header's constants, without `RAILTOP_`.
pub fn constants() -> Vec<(&'static str, i64)> {
    macro_rules! constants {
        ($($name:ident)*) => { vec![$((stringify!($name), i64::from(abi::$name))),*] };
    }
    constants! {
        ABI_MAJOR ABI_MINOR
        OK E_ARGUMENT E_SYSTEM E_FORKED E_TIMEOUT E_ENDED E_BUG
        HAS_TX_BYTES HAS_RX_BYTES NEW RESET STALE DEAD STALLED TORN GONE DOWN UNSURE
        CLOCK_MONOTONIC CLOCK_REALTIME
    }
}
