//! Policies one after another, over the same connections.

use super::WorkloadError;
use crate::transport::pe::Pe;
use crate::transport::select::PolicyKind;

/// The policies in turn, all of them so many times.
pub(super) fn turns(policies: &[PolicyKind], rounds: usize) -> impl Iterator<Item = PolicyKind> {
    std::iter::repeat_n(policies, rounds).flatten().copied()
}

/// Has all PEs go over to a policy together: nothing is sent under two.
pub(super) fn switch(pe: &mut Pe, policy: PolicyKind) -> Result<(), WorkloadError> {
    pe.barrier()?;
    pe.set_policy(policy)?;
    Ok(pe.barrier()?)
}
