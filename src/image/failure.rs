//! What many threads fail with: of several errors, the one that stands first in the image.

use std::sync::{Mutex, PoisonError};

use super::WriteError;

/// Of several failures the one that stands first in the image.
#[derive(Default)]
pub(super) struct FirstFailure(Mutex<Option<(u64, WriteError)>>);

impl FirstFailure {
    /// Something failed at byte `offset`.
    pub(super) fn add(&self, offset: u64, error: WriteError) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(earlier, _)| offset < *earlier) {
            *first = Some((offset, error));
        }
    }

    /// Whether something failed before byte `offset`.
    pub(super) fn stands_before(&self, offset: u64) -> bool {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.as_ref().is_some_and(|(earlier, _)| *earlier < offset)
    }

    pub(super) fn into_result(self) -> Result<(), WriteError> {
        let first = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map_or(Ok(()), |(_, error)| Err(error))
    }
}
