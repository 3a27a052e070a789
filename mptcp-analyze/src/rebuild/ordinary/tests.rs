//! Random transfers: both ways find the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mptcp_proto::hmac::join_hmac;
use mptcp_proto::key::{Key, Nonce};
use mptcp_proto::seq::{Ssn, TcpSeq};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{Dss, MptcpOption, WireDsn};
use mptcp_proto::wire::writer::OptionArea;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::{Analysis, IpFacts, Segment, TcpFlags, Timestamp};
use crate::rebuild::{Limits, RebuildOptions};

const KEYS: [Key; 2] = [Key([1; 8]), Key([0x81; 8])];
const NONCES: [Nonce; 2] = [Nonce(7), Nonce(8)];
const ISNS: [u32; 2] = [0xffff_fe00, 77];

/// What a host does next on one of two subflows.
#[derive(Debug, Clone, Copy)]
struct Step {
    subflow: usize,
    host: usize,
    what: What,
    /// How wide the numbers are, and whether there is a checksum.
    form: u8,
    len: u16,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// Sends the next bytes of its mapping, or of a new one, which every segment repeats.
    Data,
    /// The same without the mapping.
    Unmapped,
    Ack,
    /// Leaves out bytes of the subflow and of the data.
    Lose,
    /// Sends its latest segment again.
    Repeat,
    /// The latest segment was captured twice.
    Copy,
    /// Sends data of the other subflow again.
    Reinject,
    DataFin,
    Infinite,
    /// Maps bytes to other data than before.
    Contradict,
    /// The mapping comes in a segment without data.
    MapOnly,
    Bare,
    Prio,
    Reset,
    Fin,
}

fn step() -> impl Strategy<Value = Step> {
    use What::*;
    let what = prop_oneof![
        24 => Just(Data),
        8 => Just(Ack),
        3 => prop::sample::select(vec![Unmapped, Lose, Repeat, Copy, Reinject, MapOnly]),
        1 => prop::sample::select(vec![DataFin, Infinite, Contradict, Bare, Prio, Reset, Fin]),
    ];
    (0..2usize, 0..2usize, what, any::<u8>(), 1..200u16).prop_map(
        |(subflow, host, what, form, len)| Step {
            subflow,
            host,
            what,
            form,
            len,
        },
    )
}

/// What the capture begins with.
#[derive(Debug, Clone, Copy)]
enum Begin {
    Handshake { checksums: bool },
    Middle,
}

fn begin() -> impl Strategy<Value = Begin> {
    prop_oneof![
        any::<bool>().prop_map(|checksums| Begin::Handshake { checksums }),
        Just(Begin::Middle),
    ]
}

/// DSN, SSN, length.
type Mapped = (u64, u32, u16);

/// One host's end of one subflow.
#[derive(Debug, Clone, Copy, Default)]
struct Sender {
    /// Relative number of the next byte.
    ssn: u32,
    /// The mapping at hand.
    mapping: Mapped,
    latest: Option<(u32, u16, Option<Mapped>)>,
}

/// Two hosts and a rebuilder that sees their segments.
struct Rig {
    rebuilder: Rebuilder,
    frame: u64,
    senders: [[Sender; 2]; 2],
    /// Relative number of the next byte of the data of each host.
    dsns: [u64; 2],
}

impl Rig {
    fn new(takes_long_way: bool, begin: Begin) -> Self {
        let mut rebuilder = Rebuilder::new(RebuildOptions {
            verify_checksums: true,
            verify_tcp_checksums: true,
            ..RebuildOptions::default()
        });
        rebuilder.takes_long_way = takes_long_way;
        let mut rig = Rig {
            rebuilder,
            frame: 0,
            senders: [[Sender {
                ssn: 1,
                ..Sender::default()
            }; 2]; 2],
            dsns: [1, 1],
        };
        match begin {
            Begin::Handshake { checksums } => rig.shake_hands(checksums),
            Begin::Middle => {}
        }
        rig
    }

    fn shake_hands(&mut self, checksums: bool) {
        let flags = if checksums { 0x81 } else { 1 };
        let [ours, theirs] = KEYS;
        let capable = |keys: &[u8]| {
            let len = u8::try_from(4 + keys.len()).unwrap();
            [&[30, len, 1, flags], keys].concat()
        };
        let both = [ours.0, theirs.0].concat();
        self.push(0, 0, TcpFlags::SYN, 0, &capable(&[]), 0);
        self.push(
            0,
            1,
            TcpFlags::SYN | TcpFlags::ACK,
            0,
            &capable(&theirs.0),
            0,
        );
        self.push(0, 0, TcpFlags::ACK, 1, &capable(&both), 0);
        let token = theirs.token(Version::V1).0.to_be_bytes();
        let nonces = NONCES.map(|nonce| nonce.0.to_be_bytes());
        let syn = [&[30, 12, 0x10, 1], &token[..], &nonces[0]].concat();
        let hmac = join_hmac(Version::V1, theirs, ours, NONCES[1], NONCES[0]);
        let hmac = &hmac.as_bytes()[..8];
        let answer = [&[30, 16, 0x10, 1], hmac, &nonces[1]].concat();
        let hmac = join_hmac(Version::V1, ours, theirs, NONCES[0], NONCES[1]);
        let ack = [&[30, 24, 0x10, 0], &hmac.as_bytes()[..20]].concat();
        self.push(1, 0, TcpFlags::SYN, 0, &syn, 0);
        self.push(1, 1, TcpFlags::SYN | TcpFlags::ACK, 0, &answer, 0);
        self.push(1, 0, TcpFlags::ACK, 1, &ack, 0);
    }

    fn push(&mut self, subflow: usize, host: usize, flags: u8, ssn: u32, area: &[u8], len: u16) {
        self.frame += 1;
        let at = |host: usize| {
            let port = if host == 0 { 40_000 + subflow } else { 80 };
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(host).unwrap()));
            SocketAddr::new(address, u16::try_from(port).unwrap())
        };
        let mut area = area.to_vec();
        area.resize(area.len().next_multiple_of(4), 1);
        let mut bytes = [0; 20].to_vec();
        bytes[4..8].copy_from_slice(&ssn.to_be_bytes());
        bytes.extend(&area);
        // Some payloads are cut, and do not tell whether checksums hold.
        bytes.extend((0..len / 2 * 2).map(|n| n.to_be_bytes()[1]));
        self.rebuilder.push(&Segment {
            frame: self.frame,
            at: Timestamp(i64::try_from(self.frame).unwrap() * 1_000),
            interface: 0,
            source: at(host),
            destination: at(1 - host),
            ip: IpFacts {
                ttl: 64,
                id: Some(u16::try_from(self.frame).unwrap()),
                ..IpFacts::default()
            },
            seq: TcpSeq(ISNS[host]).add(ssn),
            ack: TcpSeq(ISNS[1 - host]).add(1),
            flags: TcpFlags(flags),
            window: 0,
            checksum: 0,
            header_len: u8::try_from(20 + area.len()).unwrap(),
            bytes: &bytes,
            payload_len: u32::from(len),
        });
    }

    /// A segment with a DSS.
    fn send(&mut self, step: Step, ssn: u32, len: u16, mapping: Option<Mapped>, fin: bool) {
        let Step {
            subflow,
            host,
            form,
            ..
        } = step;
        let [own, peer] = [KEYS[host], KEYS[1 - host]].map(|key| key.idsn(Version::V1));
        let acked = peer.add(self.dsns[1 - host]);
        let dss = Dss {
            data_ack: match form & 3 {
                0 => None,
                1 => Some(DataAck::Short(acked.low())),
                _ => Some(DataAck::Long(acked.0)),
            },
            mapping: mapping.map(|(dsn, ssn, len)| DssMapping {
                dsn: match form & 4 {
                    0 => WireDsn::Short(own.add(dsn).low()),
                    _ => WireDsn::Long(own.add(dsn).0),
                },
                ssn: Ssn(ssn),
                len,
                checksum: (form & 0x38 == 0).then_some(1),
            }),
            data_fin: fin,
            ..Dss::default()
        };
        let mut area = OptionArea::default();
        let option = MptcpOption::Dss(dss).emit(&mut area).unwrap().to_vec();
        let before: &[u8] = match form >> 6 {
            0 => &[],
            1 => &[1, 1],
            _ => &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        };
        let push = if len > 100 { TcpFlags::PSH } else { 0 };
        let options = [before, &option].concat();
        self.push(subflow, host, TcpFlags::ACK | push, ssn, &options, len);
        self.senders[subflow][host].latest = Some((ssn, len, mapping));
    }

    /// The mapping that the next `len` bytes lie in, at most as many as it has left.
    fn mapping(&mut self, step: Step) -> (Mapped, u16) {
        let Step { subflow, host, .. } = step;
        let sender = &mut self.senders[subflow][host];
        let (_, first, mapped) = sender.mapping;
        let end = first + u32::from(mapped);
        if sender.ssn < first || sender.ssn >= end {
            let mapped = step.len * if step.form & 0x40 == 0 { 1 } else { 3 };
            sender.mapping = (self.dsns[host], sender.ssn, mapped);
            self.dsns[host] += u64::from(mapped);
        }
        let (_, first, mapped) = sender.mapping;
        let left = first + u32::from(mapped) - sender.ssn;
        (sender.mapping, step.len.min(u16::try_from(left).unwrap()))
    }

    fn take(&mut self, step: Step) {
        let Step {
            subflow, host, len, ..
        } = step;
        let ssn = self.senders[subflow][host].ssn;
        let dsn = self.dsns[host];
        match step.what {
            What::Data | What::Unmapped => {
                let (mapping, len) = self.mapping(step);
                self.senders[subflow][host].ssn += u32::from(len);
                let told = matches!(step.what, What::Data).then_some(mapping);
                self.send(step, ssn, len, told, false);
            }
            What::MapOnly => {
                let (mapping, _) = self.mapping(step);
                self.send(step, ssn, 0, Some(mapping), false);
            }
            What::Ack => self.send(step, ssn, 0, None, false),
            What::Lose => {
                let (_, len) = self.mapping(step);
                self.senders[subflow][host].ssn += u32::from(len);
            }
            What::Repeat | What::Copy => {
                if let Some((ssn, len, mapping)) = self.senders[subflow][host].latest {
                    self.frame -= u64::from(matches!(step.what, What::Copy));
                    self.send(step, ssn, len, mapping, false);
                }
            }
            What::Reinject => {
                let (dsn, _, mapped) = self.senders[1 - subflow][host].mapping;
                let mapped = mapped.max(1);
                self.senders[subflow][host].ssn += u32::from(mapped);
                self.send(step, ssn, mapped, Some((dsn, ssn, mapped)), false);
            }
            What::DataFin => self.send(step, ssn, 0, Some((dsn, 0, 1)), true),
            What::Infinite => self.send(step, ssn, len, Some((dsn, ssn, 0)), false),
            What::Contradict => self.send(step, ssn, len, Some((dsn + 9, 1, len)), false),
            What::Bare => self.push(subflow, host, TcpFlags::ACK, ssn, &[1, 1], len),
            What::Prio => self.push(subflow, host, TcpFlags::ACK, ssn, &[30, 3, 0x51], 0),
            What::Reset => self.push(subflow, host, TcpFlags::RST, ssn, &[], 0),
            What::Fin => self.push(subflow, host, TcpFlags::ACK | TcpFlags::FIN, ssn, &[], 0),
        }
    }
}

fn run(steps: &[Step], takes_long_way: bool, begin: Begin) -> Analysis {
    take_all(Rig::new(takes_long_way, begin), steps).finish()
}

fn take_all(mut rig: Rig, steps: &[Step]) -> Rebuilder {
    for &step in steps {
        rig.take(step);
    }
    rig.rebuilder
}

/// The same, with the connection packed whenever its latest segments were ordinary, and those that come
/// then noted.
fn run_noted(steps: &[Step], begin: Begin) -> Analysis {
    take_all(rig_with_journal(begin), steps).finish()
}

fn rig_with_journal(begin: Begin) -> Rig {
    let mut rig = Rig::new(false, begin);
    rig.rebuilder.limits = Limits {
        awake: 0,
        rest_frames: 0,
        idle_frames: 2,
        vain_frames: 0,
        ..Limits::default()
    };
    // The handshake came before the limits.
    (rig.rebuilder.next_rest, rig.rebuilder.quiet_until) = (0, 0);
    rig
}

proptest! {
    #[test]
    fn the_short_way_finds_what_the_long_way_finds(
        steps in vec(step(), 1..160),
        begin in begin(),
    ) {
        let short = run(&steps, false, begin);
        let long = run(&steps, true, begin);
        prop_assert_eq!(format!("{short:?}"), format!("{long:?}"));
    }

    #[test]
    fn segments_that_are_noted_come_out_as_if_they_had_been_entered(
        steps in vec(step(), 1..160),
        begin in begin(),
    ) {
        let noted = run_noted(&steps, begin);
        let long = run(&steps, true, begin);
        prop_assert_eq!(format!("{noted:?}"), format!("{long:?}"));
    }
}

const ORDINARY: Step = Step {
    subflow: 1,
    host: 0,
    what: What::Data,
    form: 0xff,
    len: 100,
};

#[test]
fn a_journal_that_is_full_is_entered_and_begun_anew() {
    for count in [1, 10, 30, 60, 500] {
        let steps = vec![ORDINARY; count];
        let begin = Begin::Handshake { checksums: false };
        let noted = take_all(rig_with_journal(begin), &steps);
        let journal = noted.connections.journal(0);
        assert_eq!(journal.is_some(), count > 1);
        assert_eq!(noted.in_vain, 0);
        let long = run(&steps, true, begin);
        assert_eq!(format!("{:?}", noted.finish()), format!("{long:?}"));
    }
}

/// Checks what becomes of the TCP checksums of ten ordinary segments when two are asked for, after two
/// good ones and perhaps a bad one; how many are judged then, and how many are not.
#[track_caller]
fn check_sampled(form: u8, is_bad: bool, [judged, unchecked]: [u64; 2]) {
    let mut rig = Rig::new(false, Begin::Handshake { checksums: false });
    rig.rebuilder.options.tcp_checksum_samples = Some(2);
    let mptcp = rig.rebuilder.streams[1].mptcp.as_mut().unwrap();
    mptcp.ends[0].tcp_checksums = ChecksumCounts::judged(2, u32::from(is_bad));
    for _ in 0..10 {
        rig.take(Step {
            subflow: 1,
            host: 0,
            what: What::Data,
            form,
            len: 100,
        });
    }
    let mptcp = rig.rebuilder.streams[1].mptcp.as_ref().unwrap();
    let tally = mptcp.ends[0].tcp_checksums.tally();
    assert_eq!([tally.ok + tally.bad, tally.unchecked], [judged, unchecked]);
}

#[test]
fn after_enough_good_tcp_checksums_ordinary_segments_are_not_verified() {
    check_sampled(0xff, false, [2, 10]);
}

#[test]
fn after_a_bad_tcp_checksum_all_segments_are_verified() {
    check_sampled(0xff, true, [13, 0]);
}

#[test]
fn a_segment_whose_mapping_has_a_checksum_is_verified_in_any_case() {
    check_sampled(0xc7, false, [12, 0]);
}

#[test]
fn a_plain_transfer_takes_the_short_way() {
    let mut rig = Rig::new(false, Begin::Handshake { checksums: false });
    let step = |what| Step {
        subflow: 1,
        host: 0,
        what,
        form: 0xff,
        len: 100,
    };
    for _ in 0..10 {
        rig.take(step(What::Data));
    }
    let place = Place {
        stream: 1,
        end: 0,
        frame: 99,
        at: Timestamp(0),
    };
    let segment = |area: &[u8]| [&[0; 20], area].concat();
    let check = |rig: &mut Rig, area: &[u8], expected: bool| {
        let bytes = segment(area);
        let segment = Segment {
            frame: 99,
            at: Timestamp(0),
            interface: 0,
            source: (Ipv4Addr::new(10, 0, 0, 0), 40_001).into(),
            destination: (Ipv4Addr::new(10, 0, 0, 1), 80).into(),
            ip: IpFacts::default(),
            seq: TcpSeq(0),
            ack: TcpSeq(0),
            flags: TcpFlags(TcpFlags::ACK),
            window: 0,
            checksum: 0,
            header_len: u8::try_from(bytes.len()).unwrap(),
            bytes: &bytes,
            payload_len: 0,
        };
        let glance = rig.rebuilder.lookout().glance(&segment);
        let taken = rig.rebuilder.take_ordinary(&glance, &segment, place);
        assert_eq!(taken, expected, "{area:?}");
    };
    let ack = [30, 8, 0x20, 1, 0, 0, 0, 1];
    check(&mut rig, &ack, true);
    check(
        &mut rig,
        &[&[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0], &ack[..]].concat(),
        true,
    );
    check(&mut rig, &[&ack[..], &ack].concat(), false);
    check(&mut rig, &[&ack[..], &[30, 3, 0x51, 0]].concat(), false);
    check(&mut rig, &[&ack[..], &[8, 9, 0, 0]].concat(), false);
    check(&mut rig, &[1, 1, 1, 1], false);
}
