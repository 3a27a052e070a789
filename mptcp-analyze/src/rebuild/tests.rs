//! Limits: each is hit, reported, and keeps what came before it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mptcp_proto::seq::TcpSeq;

use super::*;
use crate::model::{Analysis, IpFacts, TcpFlags, Timestamp};

const SERVER: (u32, u16) = (0x0a00_0002, 80);
const SYN: u8 = TcpFlags::SYN;
const SYN_ACK: u8 = TcpFlags::SYN | TcpFlags::ACK;
const ACK: u8 = TcpFlags::ACK;

/// A rebuilder that is fed with bare headers.
struct Rig {
    rebuilder: Rebuilder,
    frame: u64,
}

impl Rig {
    fn new(limits: Limits) -> Self {
        Rig {
            rebuilder: Rebuilder::new(RebuildOptions {
                limits,
                ..RebuildOptions::default()
            }),
            frame: 0,
        }
    }

    fn push(&mut self, from: (u32, u16), to: (u32, u16), flags: u8, options: &[u8]) {
        self.frame += 1;
        // Each packet is another one, none a copy.
        let mut bytes = [0; 20].to_vec();
        bytes[..8].copy_from_slice(&self.frame.to_be_bytes());
        bytes.extend(options);
        self.rebuilder.push(&Segment {
            frame: self.frame,
            at: Timestamp(0),
            interface: 0,
            source: socket(from),
            destination: socket(to),
            ip: IpFacts::default(),
            seq: TcpSeq(7),
            ack: TcpSeq(8),
            flags: TcpFlags(flags),
            window: 0,
            checksum: 0,
            header_len: u8::try_from(bytes.len()).unwrap(),
            bytes: &bytes,
            payload_len: 0,
        });
    }

    /// An MP_CAPABLE handshake with keys made from `seed`.
    fn connect(&mut self, client: (u32, u16), seed: u8) {
        let (ours, theirs) = ([seed; 8], [seed ^ 0x80; 8]);
        self.push(client, SERVER, SYN, &[30, 4, 1, 1]);
        self.push(SERVER, client, SYN_ACK, &capable(&[theirs]));
        self.push(client, SERVER, ACK, &capable(&[ours, theirs]));
    }

    /// The first two steps of a join with a forged HMAC.
    fn forge_join(&mut self, client: (u32, u16)) {
        let syn = [30, 12, 0x10, 1, 9, 9, 9, 9, 0, 0, 0, 1];
        self.push(client, SERVER, SYN, &syn);
        let syn_ack = [30, 16, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        self.push(SERVER, client, SYN_ACK, &syn_ack);
    }

    fn finish(self) -> Analysis {
        self.rebuilder.finish()
    }
}

fn socket((address, port): (u32, u16)) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(address)), port)
}

fn capable(keys: &[[u8; 8]]) -> Vec<u8> {
    let len = u8::try_from(4 + 8 * keys.len()).expect("two keys at most");
    [&[30, len, 1, 1], keys.as_flattened()].concat()
}

fn client(number: u16) -> (u32, u16) {
    (0x0a00_0100, 1024 + number)
}

/// What was left out for a limit.
#[track_caller]
fn check_hit(analysis: &Analysis, limit: &str, dropped: u64) {
    let hits: Vec<_> = analysis.limits.iter().collect();
    let [hit] = hits[..] else {
        panic!("{hits:?}");
    };
    assert_eq!((hit.limit, hit.dropped), (limit, dropped));
}

#[test]
fn streams_beyond_the_limit_are_left_out_and_counted() {
    let mut rig = Rig::new(Limits {
        streams: 2,
        ..Limits::default()
    });
    for number in 0..5 {
        rig.push(client(number), SERVER, SYN, &[]);
    }
    let analysis = rig.finish();
    assert_eq!(analysis.tcp_streams, 2);
    check_hit(&analysis, "TCP streams", 3);
}

#[test]
fn connections_beyond_the_limit_are_left_out_and_counted() {
    let mut rig = Rig::new(Limits {
        connections: 2,
        ..Limits::default()
    });
    for number in 0..5 {
        rig.push(client(number), SERVER, SYN, &[30, 4, 1, 1]);
    }
    let analysis = rig.finish();
    assert_eq!(analysis.connections.len(), 2);
    check_hit(&analysis, "MPTCP connections", 3);
}

#[test]
fn subflows_beyond_the_limit_are_left_out_and_counted() {
    let mut rig = Rig::new(Limits {
        subflows: 3,
        ..Limits::default()
    });
    for number in 0..5 {
        rig.push(
            client(number),
            SERVER,
            SYN,
            &[30, 12, 0x10, 1, 9, 9, 9, 9, 0, 0, 0, 1],
        );
    }
    let analysis = rig.finish();
    assert_eq!(analysis.connections.len(), 1);
    assert_eq!(analysis.connections[0].subflows.len(), 3);
    check_hit(&analysis, "MPTCP subflows", 2);
}

#[test]
fn forged_joins_cost_a_limited_number_of_hmacs() {
    let mut rig = Rig::new(Limits {
        hmac_tries: 20,
        ..Limits::default()
    });
    for seed in 1..5 {
        rig.connect(client(u16::from(seed)), seed);
    }
    for number in 0..5 {
        rig.forge_join(client(100 + number));
    }
    assert_eq!(rig.rebuilder.hmac_tries, 20);
    let limit = "HMACs computed to find the connection of a join";
    check_hit(&rig.finish(), limit, 3);
}

#[test]
fn addresses_beyond_the_limit_are_left_out_and_counted() {
    let mut rig = Rig::new(Limits::default());
    rig.connect(client(0), 1);
    for number in 0..1100_u16 {
        let [high, low] = number.to_be_bytes();
        let add = [30, 16, 0x30, low, 10, 9, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
        rig.push(client(0), SERVER, ACK, &add);
    }
    assert_eq!(rig.rebuilder.index.announced_addresses(), 1024);
    let analysis = rig.finish();
    assert_eq!(analysis.connections[0].addresses.len(), 1024);
    check_hit(&analysis, "addresses of one connection", 1100 - 1024);
}

#[test]
fn an_address_names_a_limited_number_of_its_users() {
    let mut rig = Rig::new(Limits::default());
    rig.connect(client(0), 1);
    let add = [30, 16, 0x30, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    rig.push(SERVER, client(0), ACK, &add);
    let token = mptcp_proto::key::Key([0x81; 8]).token(mptcp_proto::version::Version::V1);
    let mut syn = [30, 12, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    syn[4..8].copy_from_slice(&token.0.to_be_bytes());
    for number in 1..300 {
        rig.push(client(number), SERVER, SYN, &syn);
    }
    let analysis = rig.finish();
    assert_eq!(analysis.connections[0].subflows.len(), 300);
    assert_eq!(analysis.connections[0].addresses[0].used_by.len(), 256);
    check_hit(&analysis, "addresses of one connection", 44);
}

#[test]
fn events_beyond_the_limit_are_left_out_and_counted() {
    let mut rig = Rig::new(Limits::default());
    rig.connect(client(0), 1);
    for _ in 0..10_010 {
        rig.push(client(0), SERVER, ACK, &[30, 3, 0x51]);
    }
    let analysis = rig.finish();
    let connection = &analysis.connections[0];
    assert_eq!(connection.events.len(), 10_000);
    assert_eq!(connection.subflows[0].priority_changes.len(), 1000);
    check_hit(&analysis, "events of one connection", 10);
}

/// What an open connection takes grows with these, 20,000 times in a capture of a busy server.
#[test]
fn what_is_kept_of_a_connection_is_small() {
    assert!(size_of::<ConnectionBuilder>() <= 1440);
    assert!(size_of::<stream::MptcpStream>() <= 1568);
    assert!(size_of::<Stream>() <= 432);
    assert!(size_of::<flow::FlowEnds>() <= 104);
}

#[test]
fn the_state_of_an_ordinary_connection_is_small() {
    use super::connection::ConnectionBuilder;
    use super::stream::{MptcpEnd, MptcpStream};
    let sizes = [
        ("ConnectionBuilder", size_of::<ConnectionBuilder>(), 816),
        ("DataDirection", size_of::<data::DataDirection>(), 216),
        ("Stream", size_of::<Stream>(), 384),
        ("MptcpStream", size_of::<MptcpStream>(), 560),
        ("MptcpEnd", size_of::<MptcpEnd>(), 256),
        ("FlowEnds", size_of::<flow::FlowEnds>(), 48),
    ];
    for (name, size, most) in sizes {
        assert!(size <= most, "{name} takes {size} bytes");
    }
}
