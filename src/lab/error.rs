//! What can go wrong in a lab, each with what to do about it.
//!
//! The kernel's answer is part of the message and so not `source()`: a reader of the whole chain would
//! see it twice.

use std::io;

use super::spec::SpecError;

/// A lab that could not be built or a command that could not be started on it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The shape asked for is impossible.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A program of iproute2 is missing.
    #[error(
        "the lab needs the program `{0}` of iproute2: install it (Debian, Ubuntu: apt install iproute2; \
         Fedora, RHEL: dnf install iproute iproute-tc), or use --loopback"
    )]
    ToolMissing(&'static str),
    /// This process may not make namespaces, nor may it as the root of a user namespace.
    #[error(
        "cannot make namespaces: {step}: {cause}. Run as root (in a container: --privileged), or allow user \
         namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0, on Ubuntu also \
         kernel.apparmor_restrict_unprivileged_userns=0), or use --loopback, which needs neither"
    )]
    NotPermitted {
        /// The step that was refused.
        step: String,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// A step of the set-up failed for another reason than permission.
    #[error("cannot set up the lab: {step}: {cause}")]
    Setup {
        /// The step that failed.
        step: String,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// `ip` or `tc` refused a command.
    #[error("cannot set up the lab: {place}: `{tool} {line}`: {message}")]
    Configure {
        /// `ip` or `tc`.
        tool: &'static str,
        /// `node0`, `switch`.
        place: String,
        /// The command that failed, if the tool said which.
        line: String,
        /// What the tool said.
        message: String,
    },
    /// The command could not be started for a PE.
    #[error("cannot start {program:?} as PE {rank} on node{node}: {cause}")]
    Spawn {
        /// The program asked for.
        program: std::ffi::OsString,
        /// The PE's rank.
        rank: u32,
        /// The PE's node.
        node: u16,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// A system call failed while the command ran.
    #[error("cannot {what}: {cause}")]
    Run {
        /// What was being done.
        what: &'static str,
        /// The kernel's answer.
        cause: io::Error,
    },
}

impl LabError {
    /// True if [`LabMode::Loopback`](super::LabMode::Loopback) would work where this lab does not.
    #[must_use]
    pub fn is_cured_by_loopback(&self) -> bool {
        matches!(
            self,
            Self::ToolMissing(_) | Self::NotPermitted { .. } | Self::Setup { .. } | Self::Configure { .. }
        )
    }

    pub(super) fn run(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Run { what, cause }
    }
}
