//! A peer made by hand: it says what a test tells it to, right or wrong.

use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::conn::{Config, Connection, Event, FallbackReason, State, Violation};
use mptcp_proto::endpoint::{self, ConnId, Endpoint, Handled};
use mptcp_proto::hmac::{JoinHmac, join_hmac};
use mptcp_proto::key::{AddressId, Key, Nonce, Token};
use mptcp_proto::seq::{Dsn, Ssn, TcpSeq};
use mptcp_proto::time::Instant;
use mptcp_proto::version::Version;
use mptcp_proto::wire::checksum::{PartialSum, dss_checksum};
use mptcp_proto::wire::mptcp::dss::StrayWidths;
use mptcp_proto::wire::mptcp::{
    Capable, CapableData, CapableFlags, DataAck, Dss, DssMapping, Join, MptcpOption, Priority,
    WireDsn,
};
use mptcp_proto::wire::segment::{Ecn, Flags, Segment};
use mptcp_proto::wire::writer::OptionArea;

use crate::endpoint::pair::{CLIENT, SERVER, Seeded, address, check_queues, path, read_all};

/// A TCP connection of the puppet with the host under test.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) near: SocketAddr,
    pub(super) far: SocketAddr,
    pub(super) isn: u32,
    /// What the puppet expects next of the host.
    pub(super) expected: u32,
    /// Relative number of the next byte of the puppet.
    pub(super) next: u32,
}

/// A segment that the host sent.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) at: Instant,
    pub(super) packet: Vec<u8>,
}

impl Reply {
    pub(super) fn segment(&self) -> Segment<'_> {
        Segment::parse(&self.packet, false).unwrap()
    }

    pub(super) fn options(&self) -> ReceivedOptions {
        ReceivedOptions::parse(Some(Version::V1), self.segment().options)
    }

    pub(super) fn mapping(&self) -> Option<DssMapping> {
        self.options().dss.and_then(|dss| dss.mapping)
    }
}

pub(super) struct Puppet {
    pub(super) host: Endpoint,
    pub(super) now: Instant,
    pub(super) key: Key,
    pub(super) host_key: Key,
    pub(super) has_checksums: bool,
    /// Bytes of the host that the puppet DATA_ACKs.
    pub(super) got: u64,
    pub(super) window: u16,
    /// Options of TCP in the puppet's SYNs, its MSS aside.
    pub(super) syn_options: Vec<u8>,
    pub(super) lines: Vec<Line>,
    pub(super) events: Vec<(ConnId, Event)>,
}

/// The key of most puppets.
pub(super) const KEY: Key = Key([1, 2, 3, 4, 5, 6, 7, 8]);
/// The random number of the puppet's joins.
pub(super) const NONCE: Nonce = Nonce(0x1122_3344);

impl Puppet {
    pub(super) fn with_host(host: Endpoint, key: Key) -> Self {
        Self {
            host,
            now: Instant::from_millis(1000),
            key,
            host_key: Key([0; 8]),
            has_checksums: false,
            got: 0,
            window: 65_535,
            syn_options: Vec::new(),
            lines: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A puppet that has nothing said yet to a server.
    pub(super) fn before(config: Config, key: Key) -> Self {
        let host = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(3)));
        let mut puppet = Self::with_host(host, key);
        puppet.has_checksums = config.wishes.checksum;
        puppet.host.listen(address(SERVER), 16, config).unwrap();
        puppet.line(CLIENT, SERVER);
        puppet
    }

    /// A client that has sent its SYN and heard the SYN/ACK.
    pub(super) fn begun(config: Config, key: Key) -> Self {
        let mut puppet = Self::before(config, key);
        let replies = puppet.syn();
        puppet.host_key = replies[0].options().capable.unwrap().sender_key.unwrap();
        puppet
    }

    /// A client whose connection is fully established, without a byte sent.
    pub(super) fn established(config: Config) -> Self {
        Self::established_with(config, KEY)
    }

    pub(super) fn established_with(config: Config, key: Key) -> Self {
        let mut puppet = Self::begun(config, key);
        puppet.third_ack();
        let option = puppet.data_ack();
        puppet.ack(0, &[option]);
        assert!(puppet.conn().session().is_some());
        puppet
    }

    /// A server that a host has sent its SYN to.
    pub(super) fn calling(config: Config) -> Self {
        let host = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(3)));
        let mut puppet = Self::with_host(host, KEY);
        let ends = path(CLIENT, SERVER);
        puppet.host.connect(puppet.now, ends, config).unwrap();
        puppet.line(SERVER, CLIENT);
        puppet.hear();
        puppet
    }

    /// A server without MPTCP that a host has connected to.
    pub(super) fn called_by_plain(config: Config) -> Self {
        let mut puppet = Self::calling(config);
        puppet.send(0, 0, Flags::SYN.with(Flags::ACK), &[], &[]);
        puppet
    }

    /// A server that a host has connected to; the third ACK has come.
    pub(super) fn called(config: Config) -> Self {
        let mut puppet = Self::calling(config);
        let answer = puppet.capable_answer();
        let replies = puppet.send(0, 0, Flags::SYN.with(Flags::ACK), &[answer], &[]);
        let capable = replies[0].options().capable.unwrap();
        puppet.host_key = capable.sender_key.unwrap();
        assert_eq!(capable.receiver_key, Some(KEY));
        puppet
    }

    /// A TCP connection that has nothing said yet.
    pub(super) fn line(&mut self, near: &str, far: &str) -> usize {
        let isn = 0x7000_0000 + 0x1000 * u32::try_from(self.lines.len()).unwrap();
        self.lines.push(Line {
            near: address(near),
            far: address(far),
            isn,
            expected: 0,
            next: 1,
        });
        self.lines.len() - 1
    }

    pub(super) fn syn(&mut self) -> Vec<Reply> {
        let option = self.capable_syn();
        self.send(0, 0, Flags::SYN, &[option], &[])
    }

    fn flags(&self) -> CapableFlags {
        let checksum = if self.has_checksums {
            CapableFlags::CHECKSUM
        } else {
            CapableFlags(0)
        };
        CapableFlags::HMAC_SHA.with(checksum)
    }

    pub(super) fn capable_syn(&self) -> MptcpOption {
        MptcpOption::Capable(Capable {
            version: 1,
            flags: self.flags(),
            sender_key: None,
            receiver_key: None,
            data: None,
        })
    }

    pub(super) fn capable_answer(&self) -> MptcpOption {
        MptcpOption::Capable(Capable {
            version: 1,
            flags: self.flags(),
            sender_key: Some(self.key),
            receiver_key: None,
            data: None,
        })
    }

    /// MP_CAPABLE of the third ACK, or of the first data.
    pub(super) fn capable_keys(&self, payload: &[u8]) -> MptcpOption {
        let len = u16::try_from(payload.len()).unwrap();
        let sum = dss_checksum(self.dsn(0), Ssn(1), len, PartialSum::of(payload));
        let data = CapableData {
            len,
            checksum: self.has_checksums.then_some(sum),
        };
        MptcpOption::Capable(Capable {
            version: 1,
            flags: self.flags(),
            sender_key: Some(self.key),
            receiver_key: Some(self.host_key),
            data: (len > 0).then_some(data),
        })
    }

    pub(super) fn third_ack(&mut self) -> Vec<Reply> {
        let option = self.capable_keys(&[]);
        self.ack(0, &[option])
    }

    /// DSN of the puppet's byte with this place, from 0.
    pub(super) fn dsn(&self, place: u64) -> Dsn {
        self.key.idsn(Version::V1).add(1).add(place)
    }

    /// DSN of the host's byte with this place, from 0.
    pub(super) fn host_dsn(&self, place: u64) -> Dsn {
        self.host_key.idsn(Version::V1).add(1).add(place)
    }

    pub(super) fn dss(&self, mapping: Option<DssMapping>, data_fin: bool) -> MptcpOption {
        MptcpOption::Dss(Dss {
            data_ack: Some(DataAck::Long(self.host_dsn(self.got).0)),
            mapping,
            data_fin,
            reserved: 0,
            stray: StrayWidths::default(),
        })
    }

    pub(super) fn data_ack(&self) -> MptcpOption {
        self.dss(None, false)
    }

    /// A mapping of the place `dsn` to `ssn`; the checksum, if agreed on, is that of `payload`.
    pub(super) fn map(&self, dsn: u64, ssn: u32, payload: &[u8]) -> DssMapping {
        let len = u16::try_from(payload.len()).unwrap();
        self.map_len(dsn, ssn, len, payload)
    }

    pub(super) fn map_len(&self, dsn: u64, ssn: u32, len: u16, payload: &[u8]) -> DssMapping {
        let sum = dss_checksum(self.dsn(dsn), Ssn(ssn), len, PartialSum::of(payload));
        DssMapping {
            dsn: WireDsn::Long(self.dsn(dsn).0),
            ssn: Ssn(ssn),
            len,
            checksum: self.has_checksums.then_some(sum),
        }
    }

    pub(super) fn mapped(&self, dsn: u64, ssn: u32, payload: &[u8]) -> MptcpOption {
        self.dss(Some(self.map(dsn, ssn, payload)), false)
    }

    /// DATA_FIN without data, with the number of this place.
    pub(super) fn data_fin(&self, dsn: u64) -> MptcpOption {
        self.dss(Some(self.map_len(dsn, 0, 1, &[])), true)
    }

    pub(super) fn send(
        &mut self,
        line: usize,
        ssn: u32,
        flags: Flags,
        options: &[MptcpOption],
        payload: &[u8],
    ) -> Vec<Reply> {
        let mut area = OptionArea::new();
        if flags.syn() {
            // MSS 1460.
            area.push(&[2, 4, 5, 180]).unwrap();
            area.push(&self.syn_options).unwrap();
        }
        for option in options {
            option.emit(&mut area).unwrap();
        }
        area.pad();
        self.send_raw(line, ssn, flags, area.as_bytes(), payload)
    }

    pub(super) fn send_raw(
        &mut self,
        line: usize,
        ssn: u32,
        flags: Flags,
        options: &[u8],
        payload: &[u8],
    ) -> Vec<Reply> {
        let end = &mut self.lines[line];
        let segment = Segment {
            source: end.near,
            destination: end.far,
            seq: TcpSeq(end.isn.wrapping_add(ssn)),
            ack: TcpSeq(if flags.ack() { end.expected } else { 0 }),
            flags,
            window: self.window,
            urgent: 0,
            ecn: Ecn::default(),
            options,
            payload,
            payload_sum: None,
        };
        let len = u32::try_from(payload.len()).unwrap() + u32::from(flags.fin());
        end.next = end.next.max(ssn + len).max(1);
        self.inject(&segment);
        self.hear()
    }

    /// Gives the host a segment.
    pub(super) fn inject(&mut self, segment: &Segment<'_>) -> Handled {
        let mut packet = Vec::new();
        segment.emit(&mut packet).unwrap();
        self.host.handle_packet(self.now, &packet)
    }

    /// A segment without payload.
    pub(super) fn ack(&mut self, line: usize, options: &[MptcpOption]) -> Vec<Reply> {
        let next = self.lines[line].next;
        self.send(line, next, Flags::ACK, options, &[])
    }

    /// Data with their mapping at the next place of the line.
    pub(super) fn data(&mut self, line: usize, dsn: u64, payload: &[u8]) -> Vec<Reply> {
        let ssn = self.lines[line].next;
        let option = self.mapped(dsn, ssn, payload);
        self.send(line, ssn, Flags::ACK, &[option], payload)
    }

    /// Data with these options at this place.
    pub(super) fn at(
        &mut self,
        line: usize,
        ssn: u32,
        options: &[MptcpOption],
        payload: &[u8],
    ) -> Vec<Reply> {
        self.send(line, ssn, Flags::ACK, options, payload)
    }

    /// What the host has to send now.
    pub(super) fn hear(&mut self) -> Vec<Reply> {
        let (mut packet, mut replies) = (Vec::new(), Vec::new());
        while self.host.poll_transmit(self.now, &mut packet) {
            let reply = Reply {
                at: self.now,
                packet: packet.clone(),
            };
            let segment = reply.segment();
            let ends = (segment.destination, segment.source);
            let line = self.lines.iter_mut();
            let end = segment.seq.0.wrapping_add(segment.seq_len());
            for line in line.filter(|line| (line.near, line.far) == ends) {
                if segment.flags.syn() || segment.seq.0 == line.expected {
                    line.expected = end;
                }
            }
            replies.push(reply);
            assert!(replies.len() < 10_000, "the host sends without end");
        }
        while let Some(event) = self.host.poll_event() {
            self.events.push(event);
        }
        check_queues(&self.host);
        replies
    }

    /// Time passes, and the puppet is silent.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Reply> {
        let until = self.now + time;
        let mut replies = self.hear();
        while let Some(at) = self.host.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.host.handle_timeout(self.now);
            replies.extend(self.hear());
        }
        self.now = until;
        replies
    }

    pub(super) fn id(&self) -> ConnId {
        self.host.connection_ids().next().expect("a connection")
    }

    pub(super) fn conn(&mut self) -> &mut Connection {
        let id = self.id();
        self.host.connection_mut(id).expect("a connection")
    }

    pub(super) fn read(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        read_all(self.conn(), &mut out);
        out
    }

    /// What the application of the host writes leaves now.
    pub(super) fn write(&mut self, data: &[u8]) -> Vec<Reply> {
        let written = self.conn().write(data).unwrap();
        assert_eq!(written, data.len());
        self.hear()
    }

    pub(super) fn state(&mut self) -> State {
        self.conn().state()
    }

    pub(super) fn picked<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.events
            .iter()
            .filter_map(|(_, event)| pick(event))
            .collect()
    }

    pub(super) fn fallbacks(&self) -> Vec<FallbackReason> {
        self.picked(crate::endpoint::handshake::fallback)
    }

    pub(super) fn violations(&self) -> Vec<Violation> {
        self.picked(crate::endpoint::join::violation)
    }

    pub(super) fn token(&self) -> Token {
        self.host_key.token(Version::V1)
    }

    /// Begins a join.
    pub(super) fn join_syn(&mut self, line: usize, id: u8, nonce: Nonce) -> Vec<Reply> {
        let token = self.token();
        self.join_syn_to(line, id, nonce, token)
    }

    pub(super) fn join_syn_to(
        &mut self,
        line: usize,
        id: u8,
        nonce: Nonce,
        token: Token,
    ) -> Vec<Reply> {
        let option = MptcpOption::Join(Join::Syn {
            priority: Priority::Regular,
            address_id: AddressId(id),
            token,
            nonce,
            reserved: 0,
        });
        self.send(line, 0, Flags::SYN, &[option], &[])
    }

    /// The HMAC of the third ACK that answers this SYN/ACK.
    pub(super) fn join_hmac(&self, syn_ack: &Reply, nonce: Nonce) -> JoinHmac {
        let Some(Join::SynAck { nonce: theirs, .. }) = syn_ack.options().join else {
            panic!("a SYN/ACK with MP_JOIN");
        };
        join_hmac(Version::V1, self.key, self.host_key, nonce, theirs)
    }

    pub(super) fn join_ack(&mut self, line: usize, hmac: JoinHmac) -> Vec<Reply> {
        let option = MptcpOption::Join(Join::Ack { hmac, reserved: 0 });
        self.ack(line, &[option])
    }

    /// A whole join from here.
    pub(super) fn join(&mut self, near: &str, id: u8) -> usize {
        let line = self.line(near, SERVER);
        let replies = self.join_syn(line, id, NONCE);
        let hmac = self.join_hmac(&replies[0], NONCE);
        self.join_ack(line, hmac);
        let option = self.data_ack();
        self.ack(line, &[option]);
        line
    }
}

/// Whether a segment among these is a reset.
pub(super) fn reset(replies: &[Reply]) -> Option<&Reply> {
    replies.iter().find(|reply| reply.segment().flags.rst())
}

/// Bytes of payload in these segments.
pub(super) fn payload(replies: &[Reply]) -> usize {
    replies
        .iter()
        .map(|reply| reply.segment().payload.len())
        .sum()
}
