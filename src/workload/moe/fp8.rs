//! E4M3: numbers of 8 bits with 4 of exponent and 3 of mantissa, without infinities ("FP8 Formats for Deep Learning",
//! arXiv 2209.05433, table 1; `float8_e4m3fn` in `PyTorch`).

/// The number that a code stands for; NaN for 0x7f and 0xff, the only two.
#[must_use]
pub const fn decode(code: u8) -> f32 {
    let (exponent, mantissa) = ((code >> 3) & 15, code & 7);
    let magnitude = if code & 0x7f == 0x7f {
        f32::NAN
    } else if exponent == 0 {
        // Without a leading one: units of 2^-9.
        mantissa as f32 / 512.0
    } else {
        // The exponent's bias is 7, that of an f32 127.
        f32::from_bits((exponent as u32 + 120) << 23 | (mantissa as u32) << 20)
    };
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

/// All 256.
pub const VALUES: [f32; 256] = {
    let mut values = [0.0; 256];
    let mut code = 0_u8;
    loop {
        values[code as usize] = decode(code);
        if code == u8::MAX {
            break values;
        }
        code += 1;
    }
};

/// The code, but for the two of NaN their neighbour.
#[must_use]
pub const fn finite(code: u8) -> u8 {
    if code & 0x7f == 0x7f { code ^ 1 } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_what_the_format_says() {
        for code in 0..=u8::MAX {
            let sign = if code & 0x80 == 0 { 1.0 } else { -1.0 };
            let (exponent, mantissa) = (i32::from(code >> 3 & 15), f64::from(code & 7));
            let wanted = match (exponent, code & 7) {
                (15, 7) => f64::NAN,
                (0, _) => sign * mantissa / 8.0 * 2_f64.powi(-6),
                _ => sign * (1.0 + mantissa / 8.0) * 2_f64.powi(exponent - 7),
            };
            let got = f64::from(decode(code));
            assert!(got.total_cmp(&wanted).is_eq() || got.is_nan() && wanted.is_nan(), "{code:#04x}: {got}");
            assert_eq!(got.is_sign_negative(), code & 0x80 != 0, "{code:#04x}");
            assert_eq!(VALUES[usize::from(code)].to_bits(), decode(code).to_bits());
            assert!(!decode(finite(code)).is_nan());
            assert!(finite(code) == code || got.is_nan());
        }
    }

    /// Table 1 of the paper.
    #[test]
    fn the_ends_of_the_format() {
        let ends =
            [(0x7e, 448.0), (0x08, 2_f32.powi(-6)), (0x07, 0.875 * 2_f32.powi(-6)), (0x01, 2_f32.powi(-9))];
        for (code, value) in ends {
            assert_eq!(decode(code).to_bits(), value.to_bits(), "{code:#04x}");
        }
        assert_eq!((0..=u8::MAX).filter(|&code| decode(code).is_nan()).count(), 2);
    }
}
