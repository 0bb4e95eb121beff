//! Order of names as people expect it: `mlx5_2` before `mlx5_10`.

use std::cmp::Ordering;

/// Compares runs of digits as numbers and everything else as text.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let ((text_a, number_a, rest_a), (text_b, number_b, rest_b)) = (split(left), split(right));
        let order = text_a.cmp(text_b).then_with(|| digits(number_a, number_b));
        if order != Ordering::Equal {
            return order;
        }
        if rest_a.is_empty() && rest_b.is_empty() {
            return a.cmp(b);
        }
        (left, right) = (rest_a, rest_b);
    }
}

/// The text up to the first digit, the digits, and the rest.
fn split(name: &str) -> (&str, &str, &str) {
    let start = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (text, tail) = name.split_at(start);
    let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
    let (number, rest) = tail.split_at(end);
    (text, number, rest)
}

/// Compares numbers of any length without parsing them.
fn digits(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let mut names =
            ["mlx5_10", "rdmap79s0", "mlx5_2", "mlx5_0", "mlx5", "rdmap113s0", "efa_007", "efa_7"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(
            names,
            ["efa_007", "efa_7", "mlx5", "mlx5_0", "mlx5_2", "mlx5_10", "rdmap79s0", "rdmap113s0"]
        );
    }
}
