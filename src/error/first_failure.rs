//! What many threads fail with: of several errors, the one whose place comes first, so that
//! what is told does not hang on which thread came first.

use std::sync::{Mutex, PoisonError};

/// Of several failures, each at a place, the first in the order of their places.
#[derive(Debug)]
pub(crate) struct FirstFailure<P, E>(Mutex<Option<(P, E)>>);

impl<P: Ord, E> FirstFailure<P, E> {
    /// Something failed at `place`.
    pub(crate) fn add(&self, place: P, error: E) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(earlier, _)| place < *earlier) {
            *first = Some((place, error));
        }
    }

    /// Whether something failed before `place`.
    pub(crate) fn stands_before(&self, place: &P) -> bool {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.as_ref().is_some_and(|(earlier, _)| earlier < place)
    }

    pub(crate) fn into_result(self) -> Result<(), E> {
        let first = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map_or(Ok(()), |(_, error)| Err(error))
    }
}

impl<P, E> Default for FirstFailure<P, E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
