//! For the tests of whatever has colours: contrast, and how colours look to people who see fewer of them.

/// Relative luminance of an sRGB colour (WCAG 2.1).
pub(crate) fn luminance(rgb: [u8; 3]) -> f64 {
    let [red, green, blue] = linear(rgb);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Contrast ratio from 1 to 21 (WCAG 2.1): 3 is enough for graphics and bold text, 4.5 for text, 7 for everybody.
pub(crate) fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Kinds of colour blindness that are common.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sight {
    Protanopia,
    Deuteranopia,
}

/// The colour as such a person sees it, in linear RGB (Viénot, Brettel and Mollon 1999, the matrices for sRGB).
pub(crate) fn seen(rgb: [u8; 3], sight: Sight) -> [f64; 3] {
    let rows = match sight {
        Sight::Protanopia => {
            [[0.112_38, 0.887_62, 0.0], [0.112_38, 0.887_62, 0.0], [0.004_01, -0.004_01, 1.0]]
        }
        Sight::Deuteranopia => {
            [[0.292_75, 0.707_25, 0.0], [0.292_75, 0.707_25, 0.0], [-0.022_34, 0.022_34, 1.0]]
        }
    };
    let from = linear(rgb);
    rows.map(|row| row.iter().zip(from).map(|(weight, value)| weight * value).sum::<f64>().clamp(0.0, 1.0))
}

/// Distance of two colours of linear RGB in CIE L*a*b*: 2 is just visible side by side, 20 is plain.
pub(crate) fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    lab(a).iter().zip(lab(b)).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

fn linear(rgb: [u8; 3]) -> [f64; 3] {
    rgb.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
}

/// sRGB primaries, D65.
fn lab([red, green, blue]: [f64; 3]) -> [f64; 3] {
    let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let x = f((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505);
    let y = f(0.2126 * red + 0.7152 * green + 0.0722 * blue);
    let z = f((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}
