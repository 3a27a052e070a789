//! Data in the SYN (RFC 7413, RFC 8684 appendix B).
//!
//! They have no DSS, as the keys are not known. The receiver takes them as the begin of the stream, before
//! the byte with the DSN IDSN plus one, and subflow sequence numbers count from the byte after them. Data
//! that the peer did not take are sent again as the first ones that have a mapping.

use crate::conn::handshake::Session;
use crate::conn::open::{Begin, FIRST_DSN};
use crate::conn::timer::Timer;
use crate::conn::{Connection, Role};
use crate::data::send::DataAcked;
use crate::data::{Payload, ReceiveBuffer, SentMappings, SubflowMappings};
use crate::seq::Dsn;
use crate::tcp::{FastOpen, Tcp};
use crate::time::Instant;
use crate::wire::mptcp::MptcpOption;
use crate::wire::writer::OptionArea;

/// Fast Open as it fits beside MP_CAPABLE in the SYN or SYN/ACK that `tcp` would send.
pub(super) fn fitting(fast_open: FastOpen, begin: &Begin, tcp: &Tcp, now: Instant) -> FastOpen {
    let option = match begin {
        Begin::Offer(step) => step.option(),
        Begin::Answer(step) => step.option(),
        Begin::Tcp(_) => return fast_open,
    };
    let mut area = OptionArea::new();
    let is_whole = MptcpOption::Capable(option).emit(&mut area).is_ok();
    if is_whole && area.as_bytes().len() <= tcp.syn_option_room(now) {
        return fast_open;
    }
    // RFC 8684 appendix B.1 leaves it to the hosts what to leave out. MPTCP lasts for the connection, a
    // cookie saves one round trip of the next.
    match fast_open {
        FastOpen::Accept(_) => FastOpen::Accept(None),
        _ => FastOpen::Off,
    }
}

impl Connection {
    /// Gives the SYN what it can carry, if it is to carry data.
    pub(super) fn schedule_early(&mut self, now: Instant) {
        let Some(subflow) = self.subflows.first_mut() else {
            return;
        };
        let room = subflow.tcp.syn_room(now, super::transmit::MAX_RESERVE);
        if room == 0 || !self.early.is_empty() {
            return;
        }
        self.send.set_window(self.send.unacked_dsn(), room as u64);
        let Some((dsn, payload)) = self.send.take_new(subflow.id, room) else {
            return;
        };
        let len = payload.len() as u64;
        subflow.outgoing.skip(len);
        if let Some(position) = subflow.tcp.push(payload.clone(), EARLY_TAG) {
            self.early = payload;
            self.mark_urgent(0, position, dsn, len);
        }
    }

    /// The same for a connection that is TCP from the begin: no number depends on what the peer takes.
    pub(super) fn schedule_syn_of_tcp(&mut self, now: Instant) {
        let Some(subflow) = self.subflows.first_mut() else {
            return;
        };
        let room = subflow.tcp.syn_room(now, 0);
        if room == 0 || subflow.tcp.queued() > 0 {
            return;
        }
        self.send.set_window(self.send.unacked_dsn(), room as u64);
        let Some((dsn, payload)) = self.send.take_new(subflow.id, room) else {
            return;
        };
        let len = payload.len() as u64;
        subflow.outgoing.skip(len);
        if let Some(position) = subflow.tcp.push(payload, TCP_TAG) {
            self.mark_urgent(0, position, dsn, len);
        }
    }

    /// Gives the application what came with the SYN, before the handshake is complete (RFC 7413 §4.2.2). Only
    /// the numbers of these data wait for the keys.
    pub(super) fn take_early(&mut self, now: Instant) {
        let Some(subflow) = self.subflows.first_mut() else {
            return;
        };
        if subflow.tcp.early_received() == 0 {
            return;
        }
        subflow.incoming.fall_back(0, FIRST_DSN);
        while let Some((position, bytes)) = subflow.tcp.next_received() {
            subflow.incoming.push(position, Payload::from_vec(bytes));
        }
        self.take_mapped(now, 0);
    }

    /// Both keys are known: numbers begin after what went with the SYNs.
    pub(super) fn number_streams(&mut self, now: Instant, session: &Session, index: usize) {
        let first = session.remote_idsn.add(1);
        let window = self.config.buffers.max_receive as u64;
        let subflow = &mut self.subflows[index];
        let received = subflow.tcp.early_received();
        let checksum = session.checksum;
        if self.role == Role::Server {
            self.receive.number(first);
            subflow.incoming = SubflowMappings::behind_early(checksum, window, received, first);
        } else {
            let capacity = self.receive.capacity();
            self.receive = ReceiveBuffer::new(Dsn(first.0.wrapping_sub(received)), capacity);
            subflow.incoming = SubflowMappings::after_early(checksum, window, received, first);
        }
        let early = self.early.clone();
        let taken = subflow.tcp.acked_until().min(early.len() as u64);
        subflow.outgoing = SentMappings::after_early(session.checksum, taken);
        if self.role == Role::Server || early.is_empty() {
            return;
        }
        let first = session.local_idsn.add(1);
        self.send.set_early(taken);
        let urgent = &mut self.progress.urgent;
        *urgent = urgent.map(|end| Dsn(end.0.wrapping_sub(taken)));
        subflow.linear.note(taken, first);
        let rest = early.slice(usize::try_from(taken).unwrap_or(usize::MAX)..early.len());
        // They lie in the queue of TCP, and need a mapping only.
        if subflow.outgoing.push(first, &rest, false).is_some() {
            let due = now + self.retransmission_wait();
            self.timers.set_if_stopped(Timer::DataRetransmit, due);
        }
        if let DataAcked::Advanced { bytes, fin } = self.send.on_data_ack(first) {
            self.on_data_acked(now, bytes, fin);
        }
    }
}

/// Tag of the data in the SYN. It is no number of a mapping, so that they share no segment with others.
pub(super) const EARLY_TAG: u64 = u64::MAX - 1;
/// Tag of all data of a connection that is TCP: runs of one tag may share segments.
pub(super) const TCP_TAG: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::handshake::SynSent;
    use crate::conn::{Config, Context, FallbackReason};
    use crate::key::Key;
    use crate::path::SubflowId;
    use crate::random::RandomSource;
    use crate::seq::TcpSeq;
    use crate::tcp::{FastOpenCookie, Path};
    use crate::version::Version;
    use crate::wire::segment::{Ecn, Flags, Segment};

    struct Zeros;

    impl RandomSource for Zeros {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn a_connection_that_falls_back_keeps_no_copy_of_the_data_of_its_syn() {
        let now = Instant::from_millis(1);
        let path = Path {
            local: "10.0.0.1:40000".parse().unwrap(),
            remote: "10.9.0.1:80".parse().unwrap(),
        };
        let mut config = Config::default();
        config.tcp.fast_open = FastOpen::Cookie(FastOpenCookie::new(&[1; 6]).unwrap());
        let begin = Begin::Offer(SynSent::new(Version::V1, Key([1; 8]), config.wishes));
        let mut connection = Connection::connect(config, path, begin, TcpSeq(7), now);
        connection.write(&[5; 300]).unwrap();
        let mut context = Context {
            random: &mut Zeros,
            is_free: &|_| true,
        };
        let mut out = Vec::new();
        assert!(connection.poll_transmit(now, &mut out, &mut context));
        let syn = Segment::parse(&out, false).unwrap();
        assert_eq!((syn.payload.len(), connection.early.len()), (300, 300));
        let answer = Segment {
            source: path.remote,
            destination: path.local,
            seq: TcpSeq(1000),
            ack: TcpSeq(8),
            flags: Flags::SYN.with(Flags::ACK),
            window: 65_535,
            urgent: 0,
            ecn: Ecn::NotCapable,
            options: &[],
            payload: &[],
            payload_sum: None,
        };
        connection.handle_segment(now, SubflowId(0), &answer);
        let expected = Some(FallbackReason::SynAckOptionMissing);
        assert_eq!(connection.fallback(), expected);
        assert!(connection.early.is_empty());
        // TCP sends them again by itself.
        assert!(connection.poll_transmit(now, &mut out, &mut context));
        let again = Segment::parse(&out, false).unwrap();
        assert_eq!(again.payload, [5; 300]);
    }
}
