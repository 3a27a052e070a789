//! Body for the rebuilder, the checks and the reports of `mptcp-analyze`.
//!
//! A mutated capture hardly ever has a right HMAC or a DSN near the others. Here the bytes are a
//! program instead, eight bytes a segment, whose keys, tokens and numbers are mostly right, so that
//! mutations reach what lies behind a handshake.

#![expect(clippy::missing_panics_doc, reason = "to panic is how a body speaks")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mptcp_analyze::check;
use mptcp_analyze::model::{
    Analysis, ByteClass, Connection, Direction, IpFacts, PacketNote, Segment, TcpFlags, Timestamp,
};
use mptcp_analyze::rebuild::{FollowPlan, RebuildOptions, Rebuilder};
use mptcp_analyze::report::json::{self, Detail};
use mptcp_analyze::report::{findings, list, show};
use mptcp_proto::hmac::{add_addr_hmac, join_hmac};
use mptcp_proto::key::{AddressId, Key, Nonce};
use mptcp_proto::seq::{Ssn, TcpSeq};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{
    AddAddr, Capable, CapableData, CapableFlags, DataAck, Dss, DssMapping, Fail, FastClose, Join,
    MptcpOption, Priority, WireDsn,
};
use mptcp_proto::wire::writer::OptionArea;

/// Rebuilds what the program sends, twice: the books balance, and both times everything is the same.
pub fn rebuild(data: &[u8]) {
    let steps: Vec<Step> = data
        .chunks_exact(8)
        .take(MAX_STEPS)
        .map(Step::new)
        .collect();
    let first = run(&steps, FollowPlan::default());
    for connection in &first.connections {
        for direction in Direction::BOTH {
            check_direction(connection, direction);
        }
    }
    let report = report(&first);
    assert_eq!(report, self::report(&run(&steps, FollowPlan::default())));
    let mut follow = FollowPlan::default();
    follow.keep = true;
    for connection in &first.connections {
        follow.add(connection);
    }
    check_followed(&first, &run(&steps, follow));
}

/// What the hosts do in one segment.
#[derive(Debug, Clone, Copy)]
struct Step {
    what: u8,
    flags: u8,
    flow: u8,
    form: u8,
    /// Relative subflow sequence number.
    ssn: u16,
    /// Relative DSN.
    dsn: u16,
    len: u8,
}

impl Step {
    fn new(bytes: &[u8]) -> Self {
        let at = |index: usize| bytes.get(index).copied().unwrap_or_default();
        Step {
            what: at(0) & 15,
            flags: FLAGS[usize::from(at(0) >> 4)],
            flow: at(1),
            form: at(2),
            ssn: u16::from_be_bytes([0, at(3)]) << (at(7) & 3),
            dsn: u16::from_be_bytes([at(4), at(5)]),
            len: at(6),
        }
    }

    fn is_client(self) -> bool {
        self.flow & 4 == 0
    }

    /// The keys of the connection, the sender's first.
    fn keys(self) -> (Key, Key) {
        let pair = self.flow >> 3 & 3;
        let (client, server) = (Key([pair + 1; 8]), Key([pair.wrapping_sub(7); 8]));
        if self.is_client() {
            (client, server)
        } else {
            (server, client)
        }
    }

    fn version(self) -> Version {
        if self.flow & 32 == 0 {
            Version::V1
        } else {
            Version::V0
        }
    }

    fn sockets(self) -> (SocketAddr, SocketAddr) {
        let at = |host, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), port);
        let number = self.flow & 3;
        let (client, server) = (at(1 + (number >> 1), 4000 + u16::from(number)), at(9, 80));
        if self.is_client() {
            (client, server)
        } else {
            (server, client)
        }
    }

    /// Initial sequence number of one side of every stream; the client's wraps soon.
    fn isn(from_client: bool) -> TcpSeq {
        TcpSeq(if from_client { 0xffff_ff00 } else { 77 })
    }

    fn payload_len(self) -> u32 {
        if self.flags & TcpFlags::SYN != 0 {
            0
        } else {
            u32::from(self.len)
        }
    }

    fn option(self) -> Option<MptcpOption> {
        let (own, peer) = self.keys();
        Some(match self.what {
            1 | 2 => MptcpOption::Capable(self.capable()),
            3 | 4 => MptcpOption::Join(self.join()),
            5..=9 => MptcpOption::Dss(self.dss()),
            10 => MptcpOption::AddAddr(self.add_addr()),
            11 => MptcpOption::Fail(Fail {
                dsn: peer.idsn(self.version()).add(u64::from(self.dsn)),
                reserved: 0,
            }),
            12 => MptcpOption::FastClose(FastClose {
                receiver_key: if self.form & 1 == 0 { peer } else { own },
                reserved: 0,
            }),
            _ => return None,
        })
    }

    fn capable(self) -> Capable {
        let (own, peer) = self.keys();
        let syn = self.flags & TcpFlags::SYN != 0;
        let answer = self.flags & TcpFlags::ACK != 0;
        let keyless = syn && !answer && self.version() == Version::V1;
        let len = u16::from(self.len);
        Capable {
            version: u8::from(self.version() == Version::V1),
            flags: CapableFlags(1 | (self.form & 0x80)),
            sender_key: (!keyless).then_some(own),
            receiver_key: (!syn).then_some(peer),
            data: (!syn && self.version() == Version::V1 && self.form & 2 != 0).then_some(
                CapableData {
                    len,
                    checksum: (self.form & 4 != 0).then_some(len),
                },
            ),
        }
    }

    fn join(self) -> Join {
        let (own, peer) = self.keys();
        let (mine, theirs) = (
            Nonce(u32::from(self.flow & 7)),
            Nonce(u32::from(self.flow & 7 ^ 4)),
        );
        let wrong = u32::from(self.form & 1);
        let hmac = join_hmac(self.version(), own, peer, Nonce(mine.0 + wrong), theirs);
        let address_id = AddressId(self.form >> 4);
        let priority = Priority::Regular;
        match (
            self.flags & TcpFlags::SYN != 0,
            self.flags & TcpFlags::ACK != 0,
        ) {
            (true, false) => Join::Syn {
                priority,
                address_id,
                token: peer.token(self.version()),
                nonce: mine,
                reserved: 0,
            },
            (true, true) => Join::SynAck {
                priority,
                address_id,
                hmac: hmac.truncated(),
                nonce: mine,
                reserved: 0,
            },
            _ => Join::Ack { hmac, reserved: 0 },
        }
    }

    fn dss(self) -> Dss {
        let (own, peer) = self.keys();
        let base = own.idsn(self.version());
        let dsn = match self.form >> 6 {
            3 => base.add(u64::from(self.dsn) << 47),
            2 => base.add(u64::from(self.dsn) << 20),
            _ => base.add(u64::from(self.dsn)),
        };
        let ack = peer.idsn(self.version()).add(u64::from(self.ssn));
        let data_fin = self.form & 1 != 0;
        let infinite = self.form & 0x3e == 0x3e;
        Dss {
            data_ack: match self.form & 6 {
                0 => None,
                2 => Some(DataAck::Short(ack.low())),
                _ => Some(DataAck::Long(ack.0)),
            },
            mapping: (self.form & 8 == 0 || infinite).then_some(DssMapping {
                dsn: if self.form & 16 == 0 {
                    WireDsn::Long(dsn.0)
                } else {
                    WireDsn::Short(dsn.low())
                },
                ssn: Ssn(u32::from(self.ssn)),
                len: if infinite {
                    0
                } else {
                    u16::from(self.len) + u16::from(data_fin) + u16::from(self.flow >> 6) * 50
                },
                checksum: (self.form & 32 != 0).then_some(self.dsn),
            }),
            data_fin,
            ..Dss::default()
        }
    }

    fn add_addr(self) -> AddAddr {
        let (own, peer) = self.keys();
        let address_id = AddressId(self.form >> 4);
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.form & 3));
        let port = (self.form & 4 != 0).then_some(80);
        let echo = self.form & 8 != 0 && self.version() == Version::V1;
        let signed = !echo && self.version() == Version::V1;
        AddAddr {
            version: self.version(),
            echo,
            address_id,
            address,
            port,
            hmac: signed.then(|| add_addr_hmac(own, peer, address_id, address, port)),
            reserved: 0,
        }
    }

    /// The option area: an option that is right, or a few bytes of the program.
    fn options(self) -> Vec<u8> {
        let mut area = OptionArea::new();
        if let Some(option) = self.option() {
            return match option.emit(&mut area) {
                Ok(bytes) => bytes.to_vec(),
                Err(_) => Vec::new(),
            };
        }
        match self.what {
            13 => vec![30, 4, 0x80 | self.form & 15, self.len],
            14 => vec![30, 4, 0x40, self.form >> 4, 30, 3, 0x50 | self.form & 1, 1],
            15 => vec![30, self.form, self.len, 1, 1, 1, 1, 1],
            _ => Vec::new(),
        }
    }
}

fn run(steps: &[Step], follow: FollowPlan) -> Analysis {
    let mut rebuilder = Rebuilder::new(RebuildOptions {
        verify_checksums: true,
        verify_tcp_checksums: true,
        note_packets: true,
        follow,
    });
    for (frame, step) in (1..).zip(steps) {
        let from_client = step.is_client();
        let (source, destination) = step.sockets();
        let options = step.options();
        // Bytes that tell their place, so that a stream put together wrongly has another hash.
        let payload: Vec<u8> = (0..step.payload_len())
            .map(|n| n.to_be_bytes()[3])
            .collect();
        let bytes = [&[0; 20], options.as_slice(), &payload].concat();
        let syn = step.flags & TcpFlags::SYN != 0;
        let seq = Step::isn(from_client).add(if syn { 0 } else { u32::from(step.ssn) });
        let segment = Segment {
            frame,
            at: Timestamp(i64::try_from(frame).unwrap_or_default() * 1_000_000),
            interface: 0,
            source,
            destination,
            ip: IpFacts {
                ttl: 64,
                id: Some(u16::try_from(frame).unwrap_or_default()),
                ..IpFacts::default()
            },
            seq,
            ack: Step::isn(!from_client).add(1),
            flags: TcpFlags(step.flags),
            window: 0,
            checksum: 0,
            header_len: u8::try_from(20 + options.len()).unwrap_or(u8::MAX),
            bytes: &bytes,
            payload_len: step.payload_len(),
        };
        let note = rebuilder.push(&segment).expect("a few streams have room");
        check_note(&note, &segment);
    }
    let mut analysis = rebuilder.finish();
    check::run(&mut analysis);
    analysis
}

/// The pieces of a segment lie side by side, and cover all of its payload or, where there is no
/// MPTCP, nothing.
#[track_caller]
fn check_note(note: &PacketNote, segment: &Segment<'_>) {
    let mut at = 0;
    for piece in &note.pieces {
        assert_eq!(piece.offset, at, "{:?}", note.pieces);
        assert!(piece.len > 0, "{:?}", note.pieces);
        assert!(piece.class != ByteClass::New || piece.dsn.is_some());
        at += piece.len;
    }
    assert!(at == 0 || at == segment.payload_len, "{:?}", note.pieces);
}

#[track_caller]
fn check_direction(connection: &Connection, direction: Direction) {
    let totals = connection.totals.of(direction);
    let (mut unique, mut reinjected, mut again, mut wire) = (0, 0, 0, 0);
    for subflow in &connection.subflows {
        let part = subflow.totals.of(direction);
        let classed = part.unique_bytes
            + part.reinjected_bytes
            + part.data_retransmitted_bytes
            + part.tcp_retransmitted_bytes
            + part.unmapped_bytes;
        assert!(
            classed <= part.wire_bytes,
            "{classed} of {} {part:?}",
            part.wire_bytes
        );
        unique += part.unique_bytes;
        reinjected += part.reinjected_bytes;
        again += part.data_retransmitted_bytes;
        wire += part.wire_bytes;
    }
    assert_eq!(unique, totals.unique_bytes);
    assert_eq!(reinjected, totals.reinjected_bytes);
    assert_eq!(again, totals.data_retransmitted_bytes);
    assert_eq!(wire, totals.wire_bytes);
    assert!(totals.spurious_bytes <= totals.wire_bytes);
    assert!(totals.mappings <= totals.mapping_options);
}

/// Following changes no count of bytes as long as all of them are mapped.
#[track_caller]
fn check_followed(first: &Analysis, second: &Analysis) {
    if first.connections.iter().any(|c| c.fallback.is_some()) {
        // Plain bytes continue the stream, which settles earlier where the subflow begins.
        return;
    }
    assert_eq!(first.connections.len(), second.connections.len());
    for (one, other) in first.connections.iter().zip(&second.connections) {
        assert_eq!(one.subflows.len(), other.subflows.len());
        for direction in Direction::BOTH {
            let counts = |connection: &Connection| {
                let totals = connection.totals.of(direction);
                (
                    totals.unique_bytes,
                    totals.wire_bytes,
                    totals.reinjected_bytes,
                )
            };
            assert_eq!(counts(one), counts(other));
        }
    }
}

/// Everything that is printed of it.
fn report(analysis: &Analysis) -> Vec<u8> {
    let mut out = Vec::new();
    let overview = analysis.overview();
    let detail = Detail {
        keys: true,
        show: true,
    };
    let written = "memory takes all that is written";
    json::write_connections(&mut out, &overview, &analysis.connections, detail).expect(written);
    json::write_findings(&mut out, &overview, &analysis.connections).expect(written);
    list::write(&mut out, &overview, &analysis.connections, Some(80)).expect(written);
    findings::write_check(&mut out, &overview, &analysis.connections, Some(80)).expect(written);
    for connection in &analysis.connections {
        show::write(&mut out, connection, true, None).expect(written);
    }
    out
}

/// Segments of one program.
const MAX_STEPS: usize = 64;

const S: u8 = TcpFlags::SYN;
const A: u8 = TcpFlags::ACK;
const FLAGS: [u8; 16] = [
    A,
    S,
    S | A,
    A,
    A | TcpFlags::PSH,
    A | TcpFlags::FIN,
    TcpFlags::RST,
    A | TcpFlags::RST,
    A,
    S,
    S | A,
    A,
    A,
    A,
    0,
    S | TcpFlags::FIN,
];
