//! What is wrong with files among the counter pages, in few words.

use std::collections::BTreeMap;
use std::path::Path;

use super::MAX_OPEN;
use crate::counters::{PageEntry, ReadError};
use crate::monitor::model::view::Notice;
use crate::text::printable;

/// Files among the pages that are none, by directory: how many, and what is wrong with the first.
#[derive(Debug, Default)]
pub(super) struct Unusable<'a>(BTreeMap<&'a Path, (usize, Notice)>);

impl<'a> Unusable<'a> {
    pub(super) fn add(&mut self, entry: &'a PageEntry, problem: &ReadError) {
        let dir = entry.path.parent().unwrap_or(&entry.path);
        let first = || (0, about(&entry.path.to_string_lossy(), problem));
        self.0.entry(dir).or_insert_with(first).0 += 1;
    }

    /// A notice for each directory: a thousand stray files must not bury what else is wrong.
    pub(super) fn notices(self) -> impl Iterator<Item = Notice> {
        self.0.into_iter().map(|(dir, (count, first))| match count {
            1 => first,
            count => Notice {
                subject: printable(&dir.to_string_lossy()),
                text: format!(
                    "{count} files are no usable counter pages, the first: {}: {}",
                    first.subject, first.text
                ),
            },
        })
    }
}

/// There are more pages than are read.
pub(super) fn too_many(entry: &PageEntry) -> Notice {
    let dir = entry.path.parent().unwrap_or(&entry.path);
    Notice {
        subject: format!("pages in {}", printable(&dir.to_string_lossy())),
        text: format!("there are more than {MAX_OPEN} counter pages; those from {} on are not shown", {
            printable(&entry.path.file_name().unwrap_or_default().to_string_lossy())
        }),
    }
}

/// Nobody looks at short windows, for a while.
pub(super) fn windows_ended() -> Notice {
    Notice {
        subject: "counter pages".to_owned(),
        text: "the thread that looks at short windows ended by a bug; it is started again after a while"
            .to_owned(),
    }
}

pub(super) fn about(subject: &str, problem: &dyn std::error::Error) -> Notice {
    Notice { subject: printable(subject), text: printable(&problem.to_string()) }
}
