//! The handshake of a connection, MP_CAPABLE (RFC 8684 §3.1, RFC 6824 §3.1): one type a step, each
//! made by the one before.

use crate::conn::fallback::FallbackReason;
use crate::key::{Key, Token};
use crate::seq::{Dsn, Ssn};
use crate::version::Version;
use crate::wire::mptcp::{Capable, CapableData, CapableFlags, Dss};

/// What this host wants of a connection, as its MP_CAPABLE says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Checksums on all data (flag A).
    pub checksum: bool,
    /// No joins to the address and port of the initial subflow (flag C, version 1).
    pub no_join_to_initial: bool,
}

impl Wishes {
    fn flags(self, version: Version) -> CapableFlags {
        let mut flags = CapableFlags::HMAC_SHA;
        if self.checksum {
            flags = flags.with(CapableFlags::CHECKSUM);
        }
        if self.no_join_to_initial && version == Version::V1 {
            flags = flags.with(CapableFlags::NO_JOIN_TO_INITIAL);
        }
        flags
    }
}

/// What both hosts know once keys are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Version of the connection.
    pub version: Version,
    /// Our key.
    pub local_key: Key,
    /// The peer's key.
    pub remote_key: Key,
    /// Our token, which the peer's joins name.
    pub local_token: Token,
    /// The peer's token, which our joins name.
    pub remote_token: Token,
    /// Number before our first byte.
    pub local_idsn: Dsn,
    /// Number before the peer's first byte.
    pub remote_idsn: Dsn,
    /// Whether mappings have checksums: either host asked for it (RFC 8684 §3.1).
    pub checksum: bool,
    /// Whether the peer lets joins come to the address and port of its initial subflow.
    pub may_join_initial: bool,
    wishes: Wishes,
}

impl Session {
    fn new(version: Version, keys: [Key; 2], wishes: Wishes, theirs: CapableFlags) -> Self {
        let [local_key, remote_key] = keys;
        let (local_token, local_idsn) = local_key.token_and_idsn(version);
        let (remote_token, remote_idsn) = remote_key.token_and_idsn(version);
        Self {
            version,
            local_key,
            remote_key,
            local_token,
            remote_token,
            local_idsn,
            remote_idsn,
            checksum: wishes.checksum || theirs.checksum(),
            may_join_initial: version == Version::V0 || !theirs.no_join_to_initial(),
            wishes,
        }
    }

    /// The option of the third ACK, and of the initiator's data until it hears of the peer.
    pub fn third_ack(&self, data: Option<CapableData>) -> Capable {
        let mut flags = self.wishes.flags(self.version);
        if self.checksum {
            flags = flags.with(CapableFlags::CHECKSUM);
        }
        Capable {
            version: self.version.number(),
            flags,
            sender_key: Some(self.local_key),
            receiver_key: Some(self.remote_key),
            data,
        }
    }
}

/// The initiator has sent its SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SynSent {
    version: Version,
    key: Key,
    wishes: Wishes,
}

impl SynSent {
    /// Begins a handshake.
    pub const fn new(version: Version, key: Key, wishes: Wishes) -> Self {
        Self {
            version,
            key,
            wishes,
        }
    }

    /// The version offered.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Our token, which the host must not give to another connection.
    pub fn token(&self) -> Token {
        self.key.token(self.version)
    }

    /// Number before our first byte.
    pub fn idsn(&self) -> Dsn {
        self.key.idsn(self.version)
    }

    /// The option of the SYN.
    pub fn option(&self) -> Capable {
        Capable {
            version: self.version.number(),
            flags: self.wishes.flags(self.version),
            // Version 1 tells the key in the third ACK, when the peer's is known.
            sender_key: (self.version == Version::V0).then_some(self.key),
            receiver_key: None,
            data: None,
        }
    }

    /// The SYN/ACK came.
    ///
    /// # Errors
    /// Why the connection goes on as TCP.
    pub fn handle_syn_ack(self, capable: Option<&Capable>) -> Result<Session, FallbackReason> {
        let capable = capable.ok_or(FallbackReason::SynAckOptionMissing)?;
        if capable.known_version() != Some(self.version) {
            return Err(FallbackReason::Version);
        }
        check_flags(capable.flags)?;
        let remote_key = match (capable.sender_key, capable.receiver_key, capable.data) {
            // Our own key comes back where a box copies the options of the SYN.
            (Some(key), None, None) if key != self.key => key,
            _ => return Err(FallbackReason::Form),
        };
        let keys = [self.key, remote_key];
        Ok(Session::new(self.version, keys, self.wishes, capable.flags))
    }
}

/// A SYN with which MPTCP is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    version: Version,
    remote_key: Option<Key>,
    flags: CapableFlags,
}

impl Offer {
    /// Judges the MP_CAPABLE of a SYN; `supported` are the versions that this host speaks.
    ///
    /// # Errors
    /// Why the connection is TCP.
    pub fn from_syn(
        capable: Option<&Capable>,
        supported: &[Version],
    ) -> Result<Self, FallbackReason> {
        let capable = capable.ok_or(FallbackReason::SynOptionMissing)?;
        check_flags(capable.flags)?;
        // RFC 8684 §3.1: the highest version that both may speak.
        let version = supported
            .iter()
            .filter(|version| version.number() <= capable.version)
            .max()
            .copied()
            .ok_or(FallbackReason::Version)?;
        let has_key = capable.sender_key.is_some();
        if version == Version::V0 && capable.version != 0 {
            // A SYN of version 1 has no key, without which version 0 cannot begin.
            return Err(FallbackReason::Version);
        }
        if capable.receiver_key.is_some() || has_key != (version == Version::V0) {
            return Err(FallbackReason::Form);
        }
        Ok(Self {
            version,
            remote_key: capable.sender_key,
            flags: capable.flags,
        })
    }

    /// The version that the connection will have.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The initiator's key, which version 0 has in the SYN.
    pub const fn remote_key(&self) -> Option<Key> {
        self.remote_key
    }

    /// Answers with a key.
    pub const fn accept(self, key: Key, wishes: Wishes) -> SynReceived {
        SynReceived {
            version: self.version,
            local_key: key,
            remote_key: self.remote_key,
            wishes,
            flags: self.flags,
        }
    }
}

/// The listener has answered the SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SynReceived {
    version: Version,
    local_key: Key,
    /// Known from the SYN in version 0.
    remote_key: Option<Key>,
    wishes: Wishes,
    flags: CapableFlags,
}

impl SynReceived {
    /// What a server that remembered nothing knows again from a third ACK, whose flags are those of the
    /// SYN (SYN cookies).
    pub const fn rebuilt(capable: &Capable, version: Version, key: Key, wishes: Wishes) -> Self {
        Self {
            version,
            local_key: key,
            remote_key: None,
            wishes,
            flags: capable.flags,
        }
    }

    /// The version of the connection.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Our token, reserved from here on.
    pub fn token(&self) -> Token {
        self.local_key.token(self.version)
    }

    /// Number before our first byte.
    pub fn idsn(&self) -> Dsn {
        self.local_key.idsn(self.version)
    }

    /// The option of the SYN/ACK.
    pub fn option(&self) -> Capable {
        Capable {
            version: self.version.number(),
            flags: self.wishes.flags(self.version),
            sender_key: Some(self.local_key),
            receiver_key: None,
            data: None,
        }
    }

    /// The third ACK came, or the first data in its place.
    ///
    /// # Errors
    /// Why the connection goes on as TCP.
    pub fn handle_third_ack(self, capable: Option<&Capable>) -> Result<Session, FallbackReason> {
        let capable = capable.ok_or(FallbackReason::ThirdAckOptionMissing)?;
        if capable.known_version() != Some(self.version) {
            return Err(FallbackReason::Version);
        }
        let (Some(remote_key), Some(echoed)) = (capable.sender_key, capable.receiver_key) else {
            return Err(FallbackReason::Form);
        };
        // Linux does not look at the key that is echoed. A box that changed it changes more.
        let is_same = self.remote_key.is_none_or(|known| known == remote_key);
        if echoed != self.local_key || !is_same {
            return Err(FallbackReason::KeyMismatch);
        }
        Ok(self.session(remote_key))
    }

    /// Version 0 has both keys from the SYNs: a DSS in place of the third ACK will do. What the client numbers
    /// its first byte with, and what it says of ours, shows whether it has the same keys.
    ///
    /// # Errors
    /// Why the connection goes on as TCP.
    pub fn handle_dss(self, dss: &Dss) -> Result<Session, FallbackReason> {
        let remote_key = self
            .remote_key
            .ok_or(FallbackReason::ThirdAckOptionMissing)?;
        let begins = |key: Key| key.idsn(self.version).add(1);
        let (ours, theirs) = (begins(self.local_key), begins(remote_key));
        let acked = dss.data_ack.map(|data_ack| data_ack.expand(ours));
        let first = dss.mapping.filter(|mapping| mapping.ssn == Ssn(1));
        let mapped = first.map(|mapping| mapping.dsn.expand(theirs));
        if acked.is_some_and(|acked| acked != ours) || mapped.is_some_and(|dsn| dsn != theirs) {
            return Err(FallbackReason::KeyMismatch);
        }
        Ok(self.session(remote_key))
    }

    fn session(&self, remote_key: Key) -> Session {
        let keys = [self.local_key, remote_key];
        Session::new(self.version, keys, self.wishes, self.flags)
    }
}

/// RFC 8684 §3.1: no answer to an extension that nobody knows, nor without a common algorithm.
fn check_flags(flags: CapableFlags) -> Result<(), FallbackReason> {
    if flags.extensible() || !flags.hmac_sha() {
        return Err(FallbackReason::Flags);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
