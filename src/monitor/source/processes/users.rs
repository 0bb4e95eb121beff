//! Names of users, from wherever this system keeps them (LDAP too), each asked for once.

use std::collections::HashMap;

use nix::unistd::{Uid, User};

use crate::text::printable;

/// Most names that are kept.
const MAX_USERS: usize = 1024;

/// Names by number. A number without a name is remembered as well: asking a directory server again takes long.
#[derive(Debug, Default)]
pub(super) struct Users(HashMap<u32, Option<String>>);

impl Users {
    /// The name of a user; `None` when the system knows none.
    pub(super) fn name(&mut self, uid: u32) -> Option<String> {
        if self.0.len() >= MAX_USERS {
            self.0.clear();
        }
        let ask = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| printable(&user.name));
        self.0.entry(uid).or_insert_with(ask).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_nobody_invents_one() {
        let mut users = Users::default();
        assert_eq!(users.name(0).as_deref(), Some("root"));
        assert_eq!(users.name(4_000_000_123), None);
        assert_eq!(users.0.len(), 2);
    }
}
