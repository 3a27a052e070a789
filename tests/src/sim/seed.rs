//! Where all randomness of a simulated run comes from.

use std::fmt;

use mptcp_proto::random::RandomSource;

/// The environment variable from which [`Seed::from_env_or`] reads.
pub const SEED_VARIABLE: &str = "MPTCP_SIM_SEED";

/// The number that a run is reproduced by. Whoever needs random numbers gets a generator of its own,
/// derived from the seed and from the user's name, so that a new user does not change the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the environment, with which a failed run is repeated, or else this one.
    pub fn from_env_or(seed: u64) -> Self {
        let Ok(text) = std::env::var(SEED_VARIABLE) else {
            return Self(seed);
        };
        let number = text.parse();
        Self(number.unwrap_or_else(|_| panic!("{SEED_VARIABLE}={text} is no number")))
    }

    /// A seed that belongs to this name.
    #[must_use]
    pub fn derive(self, name: &str) -> Self {
        let hash = name
            .bytes()
            .fold(self.0 ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(mix(hash))
    }

    /// The generator that belongs to this name.
    pub fn generator(self, name: &str) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.derive(name).0)
    }

    /// The same as a source for keys, nonces and sequence numbers of an endpoint.
    pub fn random_source(self, name: &str) -> SeededRandom {
        SeededRandom(self.generator(name))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A generator that an endpoint takes. Good for tests only: it can be predicted.
#[derive(Debug, Clone)]
pub struct SeededRandom(fastrand::Rng);

impl RandomSource for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

/// Spreads a number over all bits: the finalizer of `SplitMix64`.
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_seeds_give_different_generators() {
        let first = |seed: u64, name: &str| Seed(seed).generator(name).u64(..);
        assert_eq!(first(7, "loss"), first(7, "loss"));
        assert_ne!(first(7, "loss"), first(7, "jitter"));
        assert_ne!(first(7, "loss"), first(8, "loss"));
    }

    #[test]
    fn an_endpoint_gets_the_same_keys_again() {
        let key = || Seed(7).random_source("client").next_u64();
        assert_eq!(key(), key());
    }
}
