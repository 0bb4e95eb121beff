//! What tracks are called: no two NICs, and no two groups, may share a name, since a trace's reader takes counters of one name
//! for one counter.

use std::collections::HashMap;

use crate::store::Kept;

/// Names for the tracks of every NIC and of every group, by number.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) nics: Vec<String>,
    pub(crate) groups: Vec<String>,
}

impl Labels {
    pub(crate) fn of(kept: &Kept) -> Self {
        let groups = distinct(kept.groups.iter().map(|group| {
            let name = group.name.to_string_lossy();
            let job = group.job.as_ref().map(|job| format!("{name} of job {job}"));
            let pid = group.pid.map(|pid| format!("{name} of process {pid}"));
            let key = format!("{name} ({})", group.key.to_string_lossy());
            [Some(name.clone().into_owned()), job, pid, Some(key)].into_iter().flatten().collect()
        }));
        let nics = distinct(kept.nics.iter().map(|nic| {
            let label = nic.label();
            let group = groups.get(nic.group as usize).map_or("", String::as_str);
            let key = format!("{label} ({})", nic.key.to_string_lossy());
            vec![label.clone(), format!("{group} {label}"), key]
        }));
        Self { nics, groups }
    }
}

/// One name for each, of those it may have: the first that nobody else would have too. The last, with a key in it, always will do.
fn distinct(all: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let all: Vec<Vec<String>> = all.collect();
    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for name in all.iter().flatten() {
        *wanted.entry(name).or_default() += 1;
    }
    let free = |name: &&String| wanted.get(name.as_str()) == Some(&1);
    all.iter().map(|names| names.iter().find(free).or(names.last()).cloned().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_a_name_has_a_longer_one() {
        let names = |all: &[&[&str]]| {
            distinct(all.iter().map(|names| names.iter().map(|&name| name.to_owned()).collect()))
        };
        assert_eq!(names(&[&["a", "a 1"], &["b", "b 1"]]), ["a", "b"]);
        // The second name of the third is nobody's but its own, that of the others is shared too.
        assert_eq!(
            names(&[&["pe", "pe job", "k1"], &["pe", "pe job", "k2"], &["pe", "pe other", "k3"]]),
            ["k1", "k2", "pe other"]
        );
        // Nobody takes what another one could be called.
        assert_eq!(names(&[&["a", "a 1"], &["a", "a 2"], &["a 1", "c"]]), ["a 1", "a 2", "c"]);
    }
}
