//! What NVML says, in the forms the rest of the monitor uses.

/// The type tags of NVML's values (`nvmlValueType_t` in nvml.h).
mod tag {
    pub(super) const DOUBLE: u32 = 0;
    pub(super) const UNSIGNED_INT: u32 = 1;
    pub(super) const UNSIGNED_LONG: u32 = 2;
    pub(super) const UNSIGNED_LONG_LONG: u32 = 3;
    pub(super) const SIGNED_LONG_LONG: u32 = 4;
    pub(super) const SIGNED_INT: u32 = 5;
    pub(super) const UNSIGNED_SHORT: u32 = 6;
}

/// The number in a field's value, of which `raw` are the eight bytes (unused ones zero); `None` for a type that is not
/// known, for what is negative or no number, and for NVML's "not available" (all ones).
pub(super) fn number(value_type: u32, raw: u64) -> Option<u64> {
    let [a, b, c, d, ..] = raw.to_ne_bytes();
    match value_type {
        tag::DOUBLE => {
            let value = f64::from_bits(raw);
            if !(0.0..2_f64.powi(64)).contains(&value) {
                return None;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be in range"
            )]
            let whole = value as u64;
            Some(whole)
        }
        tag::UNSIGNED_INT => Some(u32::from_ne_bytes([a, b, c, d])).filter(|&v| v != u32::MAX).map(u64::from),
        tag::UNSIGNED_LONG | tag::UNSIGNED_LONG_LONG => Some(raw).filter(|&v| v != u64::MAX),
        tag::SIGNED_LONG_LONG => u64::try_from(i64::from_ne_bytes(raw.to_ne_bytes())).ok(),
        tag::SIGNED_INT => u64::try_from(i32::from_ne_bytes([a, b, c, d])).ok(),
        tag::UNSIGNED_SHORT => Some(u64::from(u16::from_ne_bytes([a, b]))),
        _ => None,
    }
}

/// Bytes from the KiB that NVLink's throughput fields count in.
pub(super) fn kib(value: u64) -> Option<u64> {
    value.checked_mul(1024)
}

/// A PCI address as sysfs writes it, from NVML's `00000000:53:00.0`. `None` for what is no address, and for the
/// `FFFFFFFF:FF:FF.F` of a device that a virtual machine does not show.
pub(super) fn sysfs_address(nvml: &str) -> Option<String> {
    let (domain, rest) = nvml.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let hex = |text: &str, most: usize| {
        let digits = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_hexdigit());
        if digits { u32::from_str_radix(text, 16).ok() } else { None }
    };
    let (domain, bus) = (hex(domain, 8)?, hex(bus, 2)?);
    let (device, function) = (hex(device, 2)?, hex(function, 1)?);
    let real = domain != u32::MAX && device < 32 && function < 8;
    real.then(|| format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("00000000:53:00.0", Some("0000:53:00.0"))]
    #[test_case("0000:9A:1C.0", Some("0000:9a:1c.0"))]
    #[test_case("00010000:E1:00.0", Some("10000:e1:00.0"); "a domain beyond 16 bits")]
    #[test_case("FFFFFFFF:FF:FF.F", None; "hidden by a virtual machine")]
    #[test_case("", None)]
    #[test_case("53:00.0", None)]
    #[test_case("00000000:53:20.0", None; "no such slot")]
    #[test_case("00000000:53:00.8", None; "no such function")]
    #[test_case("0000:+5:00.0", None)]
    #[test_case("0000:53:00.0\u{1b}[2J", None)]
    fn addresses(nvml: &str, sysfs: Option<&str>) {
        assert_eq!(sysfs_address(nvml).as_deref(), sysfs);
    }

    #[test]
    fn numbers_by_type() {
        let int = |v: i32| {
            u64::from_ne_bytes({
                let [a, b, c, d] = v.to_ne_bytes();
                [a, b, c, d, 0, 0, 0, 0]
            })
        };
        assert_eq!(number(tag::UNSIGNED_INT, int(18)), Some(18));
        assert_eq!(number(tag::UNSIGNED_INT, int(-1)), None, "not available");
        assert_eq!(number(tag::SIGNED_INT, int(-5)), None);
        assert_eq!(number(tag::UNSIGNED_LONG_LONG, 1 << 50), Some(1 << 50));
        assert_eq!(number(tag::UNSIGNED_LONG_LONG, u64::MAX), None);
        assert_eq!(number(tag::SIGNED_LONG_LONG, u64::MAX), None);
        assert_eq!(number(tag::DOUBLE, 12.7_f64.to_bits()), Some(12));
        assert_eq!(number(tag::DOUBLE, f64::NAN.to_bits()), None);
        assert_eq!(number(99, 5), None);
        assert_eq!((kib(3), kib(u64::MAX)), (Some(3072), None));
    }

    proptest! {
        #[test]
        fn no_text_and_no_bits_do_harm(text in "\\PC*", value_type: u32, raw: u64) {
            let _any = sysfs_address(&text);
            let _any = number(value_type, raw).and_then(kib);
        }

        #[test]
        fn every_address_that_sysfs_can_have_comes_back(domain in 0..0x2_0000_u32, bus: u8, device in 0..32_u8, function in 0..8_u8) {
            let nvml = format!("{domain:08X}:{bus:02X}:{device:02X}.{function:X}");
            let sysfs = format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}");
            prop_assert_eq!(sysfs_address(&nvml), Some(sysfs.clone()));
            prop_assert_eq!(sysfs_address(&sysfs), Some(sysfs));
        }

        #[test]
        fn a_number_is_never_more_than_its_bits(value_type in 1..7_u32, raw: u64) {
            if let Some(number) = number(value_type, raw) {
                prop_assert!(number <= raw);
            }
        }
    }
}
