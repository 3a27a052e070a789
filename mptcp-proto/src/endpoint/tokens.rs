//! Which connection a token means (RFC 8684 §3.2).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::key::{Key, Token};
use crate::random::RandomSource;
use crate::seq::Dsn;
use crate::version::Version;

/// The tokens of a host, each taken by one owner from the moment its key is chosen: a SYN/ACK that
/// is on its way already binds it.
#[derive(Debug, Clone)]
pub struct TokenTable<T> {
    owners: HashMap<Token, T, BuildHasherDefault<TokenHasher>>,
    max: usize,
}

/// A key that no other connection of the host has, with what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshKey {
    /// The key.
    pub key: Key,
    /// Its token, now taken.
    pub token: Token,
    /// Its initial data sequence number.
    pub idsn: Dsn,
}

/// Why there is no key for a connection: it has to be TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The table is full.
    #[error("all {0} tokens are taken")]
    Full(usize),
    /// Every key that was tried has a token that is taken.
    #[error("{0} keys in a row had a token that is taken")]
    Collision(u32),
}

impl<T: Copy> TokenTable<T> {
    /// Keys that are tried for one connection, as many as in Linux.
    pub const MAX_TRIES: u32 = 4;

    /// An empty table for up to `max` tokens.
    pub fn new(max: usize) -> Self {
        Self {
            owners: HashMap::default(),
            max,
        }
    }

    /// Chooses a key whose token is free, and takes it for `owner` (RFC 8684 §3.1: the key is random,
    /// and its token unique on the host).
    ///
    /// # Errors
    /// When the table is full, or too many keys in a row collide.
    pub fn fresh_key(
        &mut self,
        version: Version,
        random: &mut dyn RandomSource,
        owner: T,
    ) -> Result<FreshKey, TokenError> {
        for _ in 0..Self::MAX_TRIES {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            match self.take(version, Key(bytes), owner) {
                Err(TokenError::Collision(_)) => {}
                result => return result,
            }
        }
        Err(TokenError::Collision(Self::MAX_TRIES))
    }

    /// Takes the token of a key that was derived rather than chosen, for `owner`.
    ///
    /// # Errors
    /// When the table is full, or the token is taken.
    pub fn take(&mut self, version: Version, key: Key, owner: T) -> Result<FreshKey, TokenError> {
        if self.owners.len() >= self.max {
            return Err(TokenError::Full(self.max));
        }
        let (token, idsn) = key.token_and_idsn(version);
        if self.owners.contains_key(&token) {
            return Err(TokenError::Collision(1));
        }
        self.owners.insert(token, owner);
        Ok(FreshKey { key, token, idsn })
    }

    /// Whose token it is.
    pub fn owner(&self, token: Token) -> Option<T> {
        self.owners.get(&token).copied()
    }

    /// Whether nobody has the token of this key.
    pub fn is_free(&self, version: Version, key: Key) -> bool {
        !self.owners.contains_key(&key.token(version))
    }

    /// Gives a token that is taken to another owner.
    pub fn set_owner(&mut self, token: Token, owner: T) {
        if let Some(known) = self.owners.get_mut(&token) {
            *known = owner;
        }
    }

    /// Frees a token.
    pub fn release(&mut self, token: Token) -> Option<T> {
        self.owners.remove(&token)
    }

    /// Tokens that are taken.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether no token is taken.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }
}

/// A token is part of a hash of a key that we chose, so nobody can fill the table with tokens that
/// collide, and hashing it again would gain nothing but the upper bits, which the table wants too.
#[derive(Debug, Clone, Copy, Default)]
struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, token: u32) {
        self.0 = u64::from(token).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the same keys in turn.
    struct Keys(Vec<[u8; 8]>);

    impl RandomSource for Keys {
        fn fill(&mut self, bytes: &mut [u8]) {
            let key = self.0.remove(0);
            bytes.copy_from_slice(&key);
        }
    }

    #[test]
    fn a_key_whose_token_is_taken_is_not_used() {
        let mut table = TokenTable::new(10);
        let first = table.take(Version::V1, Key([1; 8]), 'a').unwrap();
        let mut random = Keys(vec![[1; 8], [1; 8], [2; 8]]);
        let fresh = table.fresh_key(Version::V1, &mut random, 'b').unwrap();
        assert_eq!(fresh.key, Key([2; 8]));
        assert_eq!(
            (table.owner(first.token), table.owner(fresh.token)),
            (Some('a'), Some('b'))
        );
    }

    #[test]
    fn after_some_collisions_the_connection_must_be_tcp() {
        let mut table = TokenTable::new(10);
        table.take(Version::V0, Key([1; 8]), 'a').unwrap();
        let mut random = Keys(vec![[1; 8]; 5]);
        assert_eq!(
            table.fresh_key(Version::V0, &mut random, 'b'),
            Err(TokenError::Collision(4))
        );
        assert_eq!(random.0.len(), 1);
    }

    #[test]
    fn a_full_table_takes_no_token_until_one_is_released() {
        let mut table = TokenTable::new(2);
        let first = table.take(Version::V1, Key([1; 8]), 1).unwrap();
        table.take(Version::V1, Key([2; 8]), 2).unwrap();
        assert_eq!(
            table.take(Version::V1, Key([3; 8]), 3),
            Err(TokenError::Full(2))
        );
        assert_eq!(table.release(first.token), Some(1));
        assert!(table.take(Version::V1, Key([3; 8]), 3).is_ok());
        assert_eq!(table.owner(first.token), None);
    }

    #[test]
    fn a_hundred_thousand_connections_each_find_their_own() {
        let mut table = TokenTable::new(100_000);
        let tokens: Vec<Token> = (0..100_000_u64)
            .map(|n| {
                table
                    .take(Version::V1, Key(n.to_be_bytes()), n)
                    .unwrap_or_else(|_| {
                        table
                            .take(Version::V1, Key((n | 1 << 63).to_be_bytes()), n)
                            .unwrap()
                    })
                    .token
            })
            .collect();
        assert_eq!(table.len(), 100_000);
        assert!(
            (0..)
                .zip(&tokens)
                .all(|(n, token)| table.owner(*token) == Some(n))
        );
    }
}
