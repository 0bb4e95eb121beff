//! Slurm's lists of hosts: `gpu[01-04,7],login1`, expanded here, so that no program of Slurm's is needed to read one.
//!
//! Source: scontrol(1), "show hostnames"; slurm.conf(5), `NodeName`. Leading zeros are kept, several brackets in one name
//! are combined, and the whole is bounded: a list of a few characters can stand for any number of hosts.

/// Most hosts that one list may stand for.
pub const MAX_HOSTS: usize = 4096;

/// Why a text is no list of hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostlistError {
    /// A bracket is not closed, or closed without having been opened.
    #[error("the brackets do not match")]
    Brackets,
    /// What stands in a bracket is neither a number nor a range of them.
    #[error("{0:?} is neither a number nor a range such as 01-16")]
    Range(String),
    /// It stands for more hosts than anybody looks at.
    #[error("it stands for more than {MAX_HOSTS} hosts")]
    TooMany,
}

/// Cuts a text at its commas, but not at those in brackets.
///
/// # Errors
/// When the brackets do not match.
pub fn split(text: &str) -> Result<Vec<&str>, HostlistError> {
    let (mut parts, mut begin, mut inside) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '[' if inside => return Err(HostlistError::Brackets),
            '[' => inside = true,
            ']' if !inside => return Err(HostlistError::Brackets),
            ']' => inside = false,
            ',' if !inside => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    if inside { Err(HostlistError::Brackets) } else { Ok(parts) }
}

/// The hosts that a part without commas outside of brackets stands for, in its order.
///
/// # Errors
/// When it is none.
pub fn expand(part: &str) -> Result<Vec<String>, HostlistError> {
    let mut hosts = vec![String::new()];
    let mut rest = part;
    while let Some((before, tail)) = rest.split_once('[') {
        let (inside, after) = tail.split_once(']').ok_or(HostlistError::Brackets)?;
        let numbers = numbers(inside)?;
        if hosts.len().saturating_mul(numbers.len()) > MAX_HOSTS {
            return Err(HostlistError::TooMany);
        }
        let with = |host: &String| {
            let host = format!("{host}{before}");
            numbers.iter().map(move |number| format!("{host}{number}")).collect::<Vec<_>>()
        };
        hosts = hosts.iter().flat_map(with).collect();
        rest = after;
    }
    if rest.contains(']') {
        return Err(HostlistError::Brackets);
    }
    for host in &mut hosts {
        host.push_str(rest);
    }
    Ok(hosts)
}

/// What stands in a bracket, number by number.
fn numbers(inside: &str) -> Result<Vec<String>, HostlistError> {
    let mut all = Vec::new();
    for part in inside.split(',') {
        let wrong = || HostlistError::Range(crate::text::printable(part));
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| -> Option<u64> {
            let digits = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        let (from, to) = number(first).zip(number(last)).ok_or_else(wrong)?;
        if from > to {
            return Err(wrong());
        }
        // Both ends are below 10^12, so this is no overflow.
        if to - from >= MAX_HOSTS as u64
            || all.len() + usize::try_from(to - from).unwrap_or(MAX_HOSTS) >= MAX_HOSTS
        {
            return Err(HostlistError::TooMany);
        }
        let width = first.len();
        all.extend((from..=to).map(|n| format!("{n:0width$}")));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("node0", &["node0"])]
    #[test_case("node[1-4,7]", &["node1", "node2", "node3", "node4", "node7"])]
    #[test_case("p5-gpu-[08-11]", &["p5-gpu-08", "p5-gpu-09", "p5-gpu-10", "p5-gpu-11"]; "leading zeros")]
    #[test_case("rack[1-2]n[0-1].x", &["rack1n0.x", "rack1n1.x", "rack2n0.x", "rack2n1.x"]; "two brackets")]
    #[test_case("[9-10]", &["9", "10"])]
    fn stands_for(list: &str, hosts: &[&str]) {
        assert_eq!(expand(list).unwrap(), hosts);
    }

    #[test]
    fn commas_in_brackets_are_no_ends() {
        assert_eq!(split("a[1,2],b,c[3-4]").unwrap(), ["a[1,2]", "b", "c[3-4]"]);
    }

    #[test_case("a[1-2"; "open")]
    #[test_case("a]"; "never opened")]
    #[test_case("a[]"; "empty")]
    #[test_case("a[2-1]"; "backwards")]
    #[test_case("a[x]"; "no number")]
    #[test_case("a[0-4096]"; "too many")]
    #[test_case("a[0-99]b[0-99]"; "too many together")]
    #[test_case("a[0-18446744073709551615]"; "far too many")]
    #[test_case("a[1-2-3]"; "two dashes")]
    fn is_none(list: &str) {
        assert!(
            split(list)
                .and_then(|parts| parts.iter().map(|p| expand(p)).collect::<Result<Vec<_>, _>>())
                .is_err()
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_takes_more_than_the_bound(text in "[a\\[\\]0-9,\\-]{0,40}") {
            if let Ok(parts) = split(&text) {
                for part in parts {
                    proptest::prop_assert!(expand(part).map_or(0, |hosts| hosts.len()) <= MAX_HOSTS);
                }
            }
        }
    }
}
