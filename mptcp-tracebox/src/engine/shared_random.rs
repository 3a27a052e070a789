//! One source of randomness for two.

use std::sync::{Arc, Mutex, PoisonError};

use mptcp_proto::random::RandomSource;

/// A handle on a source.
#[derive(Clone)]
pub(super) struct SharedRandom(Arc<Mutex<Box<dyn RandomSource + Send>>>);

impl SharedRandom {
    pub(super) fn new(random: Box<dyn RandomSource + Send>) -> Self {
        Self(Arc::new(Mutex::new(random)))
    }
}

impl RandomSource for SharedRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(bytes);
    }
}
