//! Runs made by hand, packet by packet.

use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Flags;

use super::craft;
use crate::evidence::{Evidence, Purpose, Role, SentId};
use crate::packet::Packet;
use crate::probe::Probe;
use crate::run::{Extent, Names, Run, Tier};
use crate::trace::Trace;
use crate::verdict::judge;

/// A run, and the packets that it is made of.
pub(crate) struct Sample {
    pub(crate) run: Run,
    pub(crate) extent: Option<Extent>,
    pub(crate) source: SocketAddr,
    pub(crate) evidence: Evidence,
    /// What was sent, with its purpose, and what came.
    pub(crate) packets: Vec<(Instant, Option<Purpose>, Vec<u8>)>,
    now: Instant,
    seq: u32,
}

/// What a hop does in a sample.
#[derive(Clone, Copy)]
pub(crate) struct HopOf {
    pub(crate) address: &'static str,
    /// Bytes from the TCP header on that it quotes.
    pub(crate) quotes: usize,
    pub(crate) strips: bool,
}

pub(crate) const ALL: usize = usize::MAX;

impl Sample {
    pub(crate) fn new(source: &str, target: &str) -> Self {
        Self {
            run: Run {
                host: "example.net".to_owned(),
                target: target.parse().unwrap(),
                tier: Tier::Raw,
                epoch_ns: 1_795_180_615_798_454_321,
                kernel_mptcp: None,
            },
            extent: None,
            source: source.parse().unwrap(),
            evidence: Evidence::default(),
            packets: Vec::new(),
            now: Instant::from_millis(5),
            seq: 0x1000,
        }
    }

    pub(crate) fn trace(&self) -> Trace {
        judge(&self.evidence, self.run.target)
    }

    pub(crate) fn send(&mut self, probe: &Probe, role: Role, ttl: u8) -> Packet {
        self.seq += 0x1111;
        let packet = Packet {
            source: self.source,
            destination: self.run.target,
            ttl,
            tos: 0,
            ip_id: u16::try_from(self.seq & 0xffff).unwrap(),
            flow_label: 0xabcde,
            seq: TcpSeq(self.seq),
            ack: TcpSeq(0),
            flags: Flags::SYN,
            window: 64_240,
            options: craft::options(probe, self.seq),
            payload: Vec::new(),
        };
        let earlier = self.evidence.all().iter().filter(|sent| {
            let purpose = &sent.purpose;
            (&purpose.probe, purpose.role, purpose.ttl) == (probe, role, ttl)
        });
        let purpose = Purpose {
            flow: 0,
            probe: probe.clone(),
            role,
            ttl,
            attempt: u8::try_from(earlier.count()).unwrap(),
        };
        let bytes = packet.emit().unwrap();
        self.now += Duration::from_micros(100);
        self.packets
            .push((self.now, Some(purpose.clone()), bytes.clone()));
        self.evidence.note_sent(self.now, purpose, bytes);
        packet
    }

    fn receive(&mut self, after: Duration, bytes: &[u8]) -> Option<SentId> {
        self.now += after;
        self.packets.push((self.now, None, bytes.to_vec()));
        self.evidence.note_received(self.now, bytes)
    }

    /// The TTL runs out there.
    pub(crate) fn expire(&mut self, packet: &Packet, hop: HopOf) {
        let after = Duration::from_micros(310 * u64::from(packet.ttl));
        let error = self.expired(packet, hop);
        let known = self.receive(after, &error);
        assert!(known.is_some(), "the quote is recognized");
    }

    /// The error that tells so.
    pub(crate) fn expired(&self, packet: &Packet, hop: HopOf) -> Vec<u8> {
        let mut quoted = packet.clone();
        quoted.ttl = 1;
        if hop.strips {
            quoted.options = craft::without_mptcp(&quoted.options);
        }
        let mut quote = quoted.emit().unwrap();
        let ip = if self.source.is_ipv4() { 20 } else { 40 };
        quote.truncate(ip + hop.quotes.min(quote.len() - ip));
        let kind = if self.source.is_ipv4() { 11 } else { 3 };
        let from = hop.address.parse().unwrap();
        craft::icmp(from, self.source.ip(), [kind, 0], &quote)
    }

    /// The target answers.
    pub(crate) fn answer(&mut self, packet: &Packet, options: Vec<u8>) {
        let bytes = Self::answered(packet, options);
        let known = self.receive(Duration::from_micros(12_400), &bytes);
        assert!(known.is_some(), "the answer is recognized");
    }

    /// The SYN/ACK of the target.
    pub(crate) fn answered(packet: &Packet, options: Vec<u8>) -> Vec<u8> {
        let answer = Packet {
            source: packet.destination,
            destination: packet.source,
            ttl: 60,
            seq: packet.seq.add(0x4000_0000),
            ack: packet.seq.add(1),
            flags: Flags(0x12),
            options,
            ..packet.clone()
        };
        answer.emit().unwrap()
    }

    /// Each probe to the target, which answers as `says`.
    pub(crate) fn ends(&mut self, probes: &[Probe], says: impl Fn(&Probe) -> Vec<u8>) {
        for probe in probes {
            let packet = self.send(probe, Role::End, 64);
            self.answer(&packet, says(probe));
        }
    }

    /// Each probe to a hop, and a plain SYN behind the last one.
    pub(crate) fn ladder(&mut self, probes: &[Probe], hops: &[Option<HopOf>]) {
        for (ttl, hop) in (1..).zip(hops) {
            for probe in probes {
                let tries = if hop.is_none() && *probe == Probe::Syn {
                    3
                } else {
                    1
                };
                for _ in 0..tries {
                    let packet = self.send(probe, Role::Ladder, ttl);
                    if let Some(hop) = hop {
                        self.expire(&packet, *hop);
                    }
                }
            }
        }
        let ttl = u8::try_from(hops.len() + 1).unwrap();
        let packet = self.send(&Probe::Syn, Role::Ladder, ttl);
        self.answer(&packet, vec![2, 4, 5, 0xb4]);
    }
}

/// A path that changes nothing, to a server that speaks MPTCP.
pub(crate) fn clean() -> Sample {
    let mut sample = Sample::new("[fd00::2]:40000", "[2001:db8::7]:443");
    let probes = [Probe::Syn, Probe::CapableV1, Probe::CapableV0];
    sample.ends(&probes, |probe| match probe {
        Probe::CapableV1 => vec![30, 12, 1, 0x81, 1, 2, 3, 4, 5, 6, 7, 8],
        _ => vec![2, 4, 5, 0xa0],
    });
    let hop = |address| HopOf {
        address,
        quotes: ALL,
        strips: false,
    };
    let hops = ["fd00:1::1", "fd00:2::1"].map(|address| Some(hop(address)));
    sample.ladder(&probes, &hops);
    sample
}

/// Somebody removes MPTCP and lowers the MSS, between a router that quotes eight bytes and one that quotes
/// all; a silent one is in between.
pub(crate) fn stripped() -> Sample {
    let mut sample = Sample::new("10.0.0.2:40000", "192.0.2.7:443");
    let probes = probes();
    sample.ends(&probes, |_| vec![2, 4, 5, 0xb4]);
    sample.ladder(&probes, &stripping());
    // The second try of a packet takes another way.
    let packet = sample.send(&Probe::Syn, Role::Ladder, 2);
    let other = HopOf {
        address: "10.0.2.9",
        quotes: 8,
        strips: false,
    };
    sample.expire(&packet, other);
    sample
}

/// Its hops.
pub(crate) fn stripping() -> [Option<HopOf>; 4] {
    let hop = |address, quotes, strips| {
        Some(HopOf {
            address,
            quotes,
            strips,
        })
    };
    [
        hop("10.0.1.1", ALL, false),
        hop("10.0.2.1", 8, false),
        None,
        hop("10.0.4.1", ALL, true),
    ]
}

pub(crate) fn probes() -> Vec<Probe> {
    vec![
        Probe::Syn,
        Probe::CapableV1,
        Probe::CapableV0,
        Probe::Join,
        Probe::Options(vec![253, 4, 0xf9, 0x89]),
    ]
}

/// Nothing answers at all.
pub(crate) fn silent() -> Sample {
    let mut sample = Sample::new("10.0.0.2:40000", "192.0.2.7:443");
    for ttl in 1..=2 {
        sample.send(&Probe::Syn, Role::Ladder, ttl);
    }
    for _ in 0..3 {
        sample.send(&Probe::Syn, Role::End, 64);
    }
    sample
}

/// Names, one of them hostile.
pub(crate) fn names() -> Names {
    let names = [
        ("10.0.1.1", "home.example"),
        ("10.0.4.1", "evil\u{1b}[2J\nname"),
        ("fd00:1::1", "home.example"),
    ];
    names
        .map(|(address, name)| (address.parse().unwrap(), name.to_owned()))
        .into()
}
