//! Time and chance of the real world.

use std::time::Instant as SystemInstant;

use mptcp_proto::random::RandomSource;
use mptcp_proto::time::Instant;
use rustix::rand::{GetRandomFlags, getrandom};

use super::NetError;

/// The monotonic clock, from the start of the run on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(SystemInstant);

impl Clock {
    /// The run begins.
    pub(crate) fn start() -> Self {
        Self(SystemInstant::now())
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }
}

/// The kernel's random numbers, good enough for keys.
#[derive(Debug)]
pub(crate) struct KernelRandom(());

impl KernelRandom {
    /// Asks for a byte: a kernel that gives one gives all.
    pub(crate) fn open() -> Result<Self, NetError> {
        let asked = getrandom(&mut [0_u8; 1][..], GetRandomFlags::empty());
        asked.map_err(|source| NetError::Socket {
            doing: "asking the kernel for random numbers",
            source: source.into(),
        })?;
        Ok(Self(()))
    }
}

impl RandomSource for KernelRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            // A signal may come in between; nothing else can fail after `open`.
            filled += getrandom(rest, GetRandomFlags::empty()).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_fill_all_bytes_and_differ() {
        let mut random = KernelRandom::open().unwrap();
        let mut bytes = [0; 64];
        random.fill(&mut bytes);
        // A chance of 2^-64 for each.
        assert!(bytes.chunks(8).all(|word| word != [0; 8]));
        assert_ne!(random.next_u64(), random.next_u64());
    }

    #[test]
    fn the_clock_goes_forward_from_zero() {
        let clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second);
        assert!(second.as_millis() < 60_000);
    }
}
