//! Segments behind a hole: whether they are acknowledged before they are sent again. One that is not may have been
//! lost by chance, so it is tried again.

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::tcp_option::{KIND_SACK, TcpOptions};

use crate::packet::Packet;
use crate::packet::fields::Fields;

/// The holes of a connection.
#[derive(Debug, Default)]
pub(super) struct Holes {
    tried: u8,
    /// The segment behind the hole, while it was sent once.
    open: Option<(TcpSeq, TcpSeq)>,
    has_passed: bool,
}

impl Holes {
    /// A segment goes out behind a hole.
    pub(super) fn begin(&mut self, later: &Packet) {
        let len = u32::try_from(later.payload.len()).unwrap_or(0);
        self.tried = self.tried.saturating_add(1);
        self.open = Some((later.seq, later.seq.add(len)));
    }

    /// A segment with data is sent once more.
    pub(super) fn note_again(&mut self, seq: TcpSeq) {
        if self.open.is_some_and(|(known, _)| known == seq) {
            self.open = None;
        }
    }

    /// A packet of the target came.
    pub(super) fn handle_segment(&mut self, packet: &[u8]) {
        let Some((_, end)) = self.open else { return };
        let Some(Fields { tcp, .. }) = Fields::parse(packet) else {
            return;
        };
        let is_ack = tcp.flags().is_some_and(Flags::ack);
        let is_beyond = tcp.ack().and_then(|ack| ack.distance_from(end)).is_some();
        let mut options = TcpOptions::new(tcp.options()).map_while(Result::ok);
        let has_sack = options.any(|option| option.kind == KIND_SACK);
        self.has_passed |= is_ack && (is_beyond || has_sack);
    }

    /// Whether it is worth to try once more.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.tried > 0 && self.tried < HOLES && !self.has_passed
    }
}

/// Holes in vain after which it is no chance any more.
pub(crate) const HOLES: u8 = 4;
