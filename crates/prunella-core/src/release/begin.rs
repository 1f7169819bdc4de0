//! The only door to production for a repair.

use crate::id::{BlobId, CommitId};
use crate::policy::Permit;
use crate::verify::VerifiedPatch;

/// A repair on its way to production. Only [`begin`] makes one.
#[derive(Debug)]
pub struct Shipment {
    commit: CommitId,
    report: BlobId,
}

impl Shipment {
    /// The commit that ships.
    #[must_use]
    pub fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// The content address of the report that proves it.
    #[must_use]
    pub fn report(&self) -> &BlobId {
        &self.report
    }
}

/// A permit, patch and commit that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The permit is for another candidate.
    #[error("the permit is for candidate {permit}, the patch is {patch}")]
    Candidate {
        /// What was permitted.
        permit: String,
        /// What was verified.
        patch: String,
    },
    /// The commit has another tree than the one that was proven.
    #[error("commit {commit} has tree {tree}; tree {proven} was proven")]
    Tree {
        /// The commit that was to ship.
        commit: CommitId,
        /// Its tree.
        tree: String,
        /// The tree in the run report.
        proven: String,
    },
}

/// Lets a verified and permitted patch through, as the commit that carries exactly the tree that was proven.
///
/// # Errors
/// If the patch, the permit and the commit do not belong together.
pub fn begin(patch: VerifiedPatch, permit: Permit, commit: CommitId, tree: &str) -> Result<Shipment, Mismatch> {
    if permit.candidate() != patch.candidate() || permit.base() != patch.base() {
        return Err(Mismatch::Candidate {
            permit: permit.candidate().to_owned(),
            patch: patch.candidate().to_owned(),
        });
    }
    if tree != patch.tree() {
        return Err(Mismatch::Tree {
            commit,
            tree: tree.to_owned(),
            proven: patch.tree().to_owned(),
        });
    }
    let report = patch.report().clone();
    // Both are spent: one verdict and one permit ship once.
    drop((patch, permit));
    Ok(Shipment { commit, report })
}
