//! The handshake of a further subflow, MP_JOIN (RFC 8684 §3.2): one type a step.

use crate::conn::handshake::Session;
use crate::conn::violation::Violation;
use crate::hmac::{JoinHmac, join_hmac};
use crate::key::{AddressId, Nonce, Token};
use crate::wire::mptcp::{Join, Priority};

/// The peer knows both keys: made only where its HMAC was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAuthenticated(());

/// The initiator has sent its SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinSynSent {
    session: Session,
    nonce: Nonce,
    address_id: AddressId,
    priority: Priority,
}

impl JoinSynSent {
    /// Begins a join from the address with this id.
    pub const fn new(
        session: Session,
        nonce: Nonce,
        address_id: AddressId,
        priority: Priority,
    ) -> Self {
        Self {
            session,
            nonce,
            address_id,
            priority,
        }
    }

    /// The option of the SYN.
    pub const fn option(&self) -> Join {
        Join::Syn {
            priority: self.priority,
            address_id: self.address_id,
            token: self.session.remote_token,
            nonce: self.nonce,
            reserved: 0,
        }
    }

    /// The SYN/ACK came.
    ///
    /// # Errors
    /// When the peer does not prove that it knows both keys.
    pub fn handle_syn_ack(self, join: Option<&Join>) -> Result<JoinAckSent, Violation> {
        let Some(&Join::SynAck {
            priority,
            address_id,
            hmac,
            nonce,
            ..
        }) = join
        else {
            return Err(Violation::JoinSynAckMissing);
        };
        let session = &self.session;
        let (own, peer) = (session.local_key, session.remote_key);
        let expected = join_hmac(session.version, peer, own, nonce, self.nonce);
        if expected.truncated() != hmac {
            return Err(Violation::JoinSynAckHmac);
        }
        Ok(JoinAckSent {
            hmac: join_hmac(session.version, own, peer, self.nonce, nonce),
            remote_address_id: address_id,
            remote_priority: priority,
            proof: PeerAuthenticated(()),
        })
    }
}

/// The initiator has sent the third ACK, and waits for the fourth before it sends data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinAckSent {
    hmac: JoinHmac,
    /// Id of the address that the peer answered from.
    pub remote_address_id: AddressId,
    /// What the peer wants the subflow for.
    pub remote_priority: Priority,
    /// The peer's HMAC held.
    pub proof: PeerAuthenticated,
}

impl JoinAckSent {
    /// The option of the third ACK.
    pub const fn option(&self) -> Join {
        Join::Ack {
            hmac: self.hmac,
            reserved: 0,
        }
    }
}

/// The listener has answered the SYN of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinSynReceived {
    session: Session,
    nonce: Nonce,
    remote_nonce: Nonce,
    address_id: AddressId,
    priority: Priority,
}

/// What the SYN of a join says, its token aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinRequest {
    /// Id of the address that the SYN came from.
    pub address_id: AddressId,
    /// What the peer wants the subflow for.
    pub priority: Priority,
    /// The peer's random number.
    pub nonce: Nonce,
}

impl JoinSynReceived {
    /// Answers from the address with this id.
    pub const fn new(
        session: Session,
        request: JoinRequest,
        nonce: Nonce,
        address_id: AddressId,
        priority: Priority,
    ) -> Self {
        Self {
            session,
            nonce,
            remote_nonce: request.nonce,
            address_id,
            priority,
        }
    }

    /// Id of the address that it is answered from, and what we want the subflow for.
    pub const fn local_end(&self) -> (AddressId, Priority) {
        (self.address_id, self.priority)
    }

    /// Whether a SYN with this token and nonce begins the same join anew.
    pub fn is_older_than(&self, token: Token, nonce: Nonce) -> bool {
        self.session.local_token == token && self.remote_nonce != nonce
    }

    /// The option of the SYN/ACK.
    pub fn option(&self) -> Join {
        let session = &self.session;
        let (own, peer) = (session.local_key, session.remote_key);
        let hmac = join_hmac(session.version, own, peer, self.nonce, self.remote_nonce);
        Join::SynAck {
            priority: self.priority,
            address_id: self.address_id,
            hmac: hmac.truncated(),
            nonce: self.nonce,
            reserved: 0,
        }
    }

    /// The third ACK came.
    ///
    /// # Errors
    /// When the peer does not prove that it knows both keys.
    pub fn handle_ack(self, join: Option<&Join>) -> Result<PeerAuthenticated, Violation> {
        let Some(Join::Ack { hmac, .. }) = join else {
            return Err(Violation::JoinAckMissing);
        };
        let session = &self.session;
        let (own, peer) = (session.local_key, session.remote_key);
        let expected = join_hmac(session.version, peer, own, self.remote_nonce, self.nonce);
        if expected != *hmac {
            return Err(Violation::JoinAckHmac);
        }
        Ok(PeerAuthenticated(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::handshake::{Offer, SynSent, Wishes};
    use crate::hmac::TruncatedHmac;
    use crate::key::Key;
    use crate::version::Version;

    fn sessions() -> (Session, Session) {
        let client = Key([1, 2, 3, 4, 5, 6, 7, 8]);
        let server = Key([0x95, 0xf1, 0xc0, 0xad, 0xfd, 0x12, 0xd8, 0x6d]);
        let syn = SynSent::new(Version::V1, client, Wishes::default());
        let offer = Offer::from_syn(Some(&syn.option()), &Version::ALL).unwrap();
        let received = offer.accept(server, Wishes::default());
        let ours = syn.handle_syn_ack(Some(&received.option())).unwrap();
        let ack = ours.third_ack(None);
        (ours, received.handle_third_ack(Some(&ack)).unwrap())
    }

    /// The nonces, and the HMACs that Linux made of them and of these keys (`endpoint.md` §0.5).
    const INITIATOR_NONCE: Nonce = Nonce(0x1122_3344);
    const LISTENER_NONCE: Nonce = Nonce(0x5ede_8824);
    const LISTENER_HMAC: [u8; 8] = [0x5e, 0xb2, 0xcc, 0x6b, 0x38, 0x66, 0x17, 0xeb];

    fn steps() -> (JoinSynSent, JoinSynReceived) {
        let (client, server) = sessions();
        let syn = JoinSynSent::new(client, INITIATOR_NONCE, AddressId(1), Priority::Backup);
        let request = JoinRequest {
            address_id: AddressId(1),
            priority: Priority::Backup,
            nonce: INITIATOR_NONCE,
        };
        let received = JoinSynReceived::new(
            server,
            request,
            LISTENER_NONCE,
            AddressId(7),
            Priority::Regular,
        );
        (syn, received)
    }

    #[test]
    fn a_join_completes_with_the_hmacs_that_linux_computes() {
        let (syn, received) = steps();
        let answer = received.option();
        let Join::SynAck { hmac, .. } = answer else {
            panic!("a SYN/ACK has this form");
        };
        assert_eq!(hmac, TruncatedHmac::from_bytes(LISTENER_HMAC));
        let sent = syn.handle_syn_ack(Some(&answer)).unwrap();
        assert_eq!(sent.remote_address_id, AddressId(7));
        let Join::Ack { hmac, .. } = sent.option() else {
            panic!("a third ACK has this form");
        };
        assert_eq!(hmac.as_bytes()[..4], [0x90, 0x4e, 0x0c, 0x44]);
        assert!(received.handle_ack(Some(&sent.option())).is_ok());
    }

    #[test]
    fn a_host_that_answers_with_our_own_hmac_is_not_the_peer() {
        let (syn, received) = steps();
        let sent = syn.handle_syn_ack(Some(&received.option())).unwrap();
        let Join::Ack { hmac, .. } = sent.option() else {
            panic!("a third ACK has this form");
        };
        let reflected = Join::SynAck {
            priority: Priority::Regular,
            address_id: AddressId(7),
            hmac: hmac.truncated(),
            nonce: LISTENER_NONCE,
            reserved: 0,
        };
        let answer = syn.handle_syn_ack(Some(&reflected));
        assert_eq!(answer, Err(Violation::JoinSynAckHmac));
    }

    #[test]
    fn a_missing_or_wrong_option_fails_the_join() {
        let (syn, received) = steps();
        assert_eq!(syn.handle_syn_ack(None), Err(Violation::JoinSynAckMissing));
        assert_eq!(received.handle_ack(None), Err(Violation::JoinAckMissing));
        let zeros = Join::Ack {
            hmac: JoinHmac::from_bytes([0; 20]),
            reserved: 0,
        };
        assert_eq!(
            received.handle_ack(Some(&zeros)),
            Err(Violation::JoinAckHmac)
        );
    }
}
