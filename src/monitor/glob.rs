//! Device name patterns: `*` any text, `?` one character, a comma between several patterns.

use std::str::FromStr;

/// A pattern such as `mlx5_*` or `rdmap7?s0`, or several: `mlx5_0,mlx5_2`. Without `*` or `?` it matches exactly that
/// name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// A name that matches one of them matches.
    patterns: Vec<Vec<char>>,
}

/// An empty pattern, which would match nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an empty pattern matches no device; use * for all")]
pub struct EmptyPattern;

impl FromStr for Glob {
    type Err = EmptyPattern;

    fn from_str(text: &str) -> Result<Self, EmptyPattern> {
        let patterns: Vec<Vec<char>> = text.split(',').map(|pattern| pattern.chars().collect()).collect();
        if patterns.iter().any(Vec::is_empty) { Err(EmptyPattern) } else { Ok(Self { patterns }) }
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns: Vec<String> = self.patterns.iter().map(|p| p.iter().collect()).collect();
        f.write_str(&patterns.join(","))
    }
}

impl Glob {
    /// Whether the whole of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        self.patterns.iter().any(|pattern| matches(pattern, &name))
    }
}

/// Whether the whole of `name` matches `pattern`. Linear in practice: only the last `*` is ever retried.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
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
    pattern[p..].iter().all(|&c| c == '*')
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
    #[test_case("mlx5_0,mlx5_2", "mlx5_2", true)]
    #[test_case("mlx5_0,mlx5_2", "mlx5_1", false)]
    #[test_case("efa*,mlx5_?", "mlx5_1", true)]
    fn matches(pattern: &str, name: &str, expected: bool) {
        assert_eq!(pattern.parse::<Glob>().map(|g| g.matches(name)), Ok(expected));
    }

    #[test_case("")]
    #[test_case("mlx5_0,")]
    #[test_case(",")]
    fn an_empty_pattern_is_an_error(pattern: &str) {
        assert_eq!(pattern.parse::<Glob>(), Err(EmptyPattern));
    }

    #[test]
    fn several_are_shown_as_they_were_given() {
        assert_eq!("mlx5_0,efa*".parse::<Glob>().unwrap().to_string(), "mlx5_0,efa*");
    }

    #[test]
    fn many_stars_end_in_time() {
        let pattern = "*a".repeat(50) + "b";
        assert!(!pattern.parse::<Glob>().unwrap().matches(&"a".repeat(5000)));
    }
}
