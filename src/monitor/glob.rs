//! Device name patterns: `*` any text, `?` one character.

use std::str::FromStr;

/// A pattern such as `mlx5_*` or `rdmap7?s0`. Without `*` or `?` it matches exactly that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    pattern: Vec<char>,
}

/// An empty pattern, which would match nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an empty pattern matches no device; use * for all")]
pub struct EmptyPattern;

impl FromStr for Glob {
    type Err = EmptyPattern;

    fn from_str(text: &str) -> Result<Self, EmptyPattern> {
        if text.is_empty() { Err(EmptyPattern) } else { Ok(Self { pattern: text.chars().collect() }) }
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pattern.iter().try_for_each(|c| write!(f, "{c}"))
    }
}

impl Glob {
    /// Whether the whole of `name` matches. Linear in practice: only the last `*` is ever retried.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut p, mut n) = (0, 0);
        let mut retry = None;
        while n < name.len() {
            match self.pattern.get(p) {
                Some('*') => {
                    retry = Some((p, n));
                    p += 1;
                }
                Some(&c) if c == '?' || c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => match retry {
                    // The last star takes one character more.
                    Some((star, taken)) => {
                        retry = Some((star, taken + 1));
                        (p, n) = (star + 1, taken + 1);
                    }
                    None => return false,
                },
            }
        }
        self.pattern[p..].iter().all(|&c| c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("*", "mlx5_0", true)]
    #[test_case("mlx5_*", "mlx5_10", true)]
    #[test_case("mlx5_?", "mlx5_10", false)]
    #[test_case("mlx5_?", "mlx5_1", true)]
    #[test_case("*p7*s0", "rdmap79s0", true)]
    #[test_case("*s1", "rdmap79s0", false)]
    #[test_case("mlx5", "mlx5_0", false)]
    #[test_case("a*b*c", "aXbXbXc", true)]
    #[test_case("***", "", true)]
    fn matches(pattern: &str, name: &str, expected: bool) {
        assert_eq!(pattern.parse::<Glob>().map(|g| g.matches(name)), Ok(expected));
    }

    #[test]
    fn many_stars_end_in_time() {
        let pattern = "*a".repeat(50) + "b";
        assert!(!pattern.parse::<Glob>().unwrap().matches(&"a".repeat(5000)));
    }
}
