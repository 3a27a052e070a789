//! Anything may come: nothing panics, nothing runs for ever, nothing grows without bound.

use std::time::Duration;

use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::conn::{Config, FallbackReason};
use mptcp_proto::random::RandomSource;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::mptcp::Priority;
use mptcp_proto::wire::segment::{Flags, Segment};

use super::handshake::fallback;
use super::join::{SECOND, established};
use super::pair::{Pair, Seeded, address, pattern, read_all};

/// Changes a packet at random in one way or another; the checksum is made to hold.
fn garble(random: &mut Seeded, packet: &[u8]) -> Vec<u8> {
    let segment = Segment::parse(packet, false).unwrap();
    let (mut options, mut payload) = (segment.options.to_vec(), segment.payload.to_vec());
    let mut changed = segment;
    match random.next() % 8 {
        0 | 1 if !options.is_empty() => {
            let at = usize::try_from(random.next()).unwrap() % options.len();
            options[at] = random.next().to_be_bytes()[0];
        }
        2 if !options.is_empty() => random.fill(&mut options),
        3 => changed.flags = Flags(random.next().to_be_bytes()[0]),
        4 => changed.seq = TcpSeq(changed.seq.0.wrapping_add(small(random))),
        5 => changed.ack = TcpSeq(changed.ack.0.wrapping_add(small(random))),
        6 => changed.window = u16::from_be_bytes([random.next().to_be_bytes()[0], 0]),
        _ => payload.truncate(payload.len() / 2),
    }
    changed.options = &options;
    changed.payload = &payload;
    let mut out = Vec::new();
    changed.emit(&mut out).unwrap();
    out
}

fn small(random: &mut Seeded) -> u32 {
    match random.next() % 3 {
        0 => 1,
        1 => u32::MAX,
        _ => u32::try_from(random.next() & 0xffff_ffff).unwrap(),
    }
}

#[test]
fn garbled_packets_neither_panic_nor_stop_the_clock() {
    for seed in 0..60 {
        let config = Config {
            wishes: Wishes {
                checksum: seed % 2 == 0,
                ..Wishes::default()
            },
            ..Config::default()
        };
        let mut pair = Pair::new(seed);
        let mut random = Seeded(seed);
        pair.hook = Some(Box::new(move |_, _, packet| {
            if random.happens(4) {
                let mut out = vec![garble(&mut random, &packet)];
                if random.happens(50) {
                    out.push(packet);
                }
                out
            } else {
                vec![packet]
            }
        }));
        let ours = pair.connect(config.clone(), config);
        pair.client(ours).write(&pattern(200_000, seed)).unwrap();
        for round in 0..40 {
            pair.run_for(Duration::from_millis(100));
            for host in [&mut pair.client, &mut pair.server] {
                let ids: Vec<_> = host.connection_ids().collect();
                for id in ids {
                    let Some(connection) = host.connection_mut(id) else {
                        continue;
                    };
                    read_all(connection, &mut Vec::new());
                    let _ = connection.write(&[7; 5000]);
                    match round {
                        3 => {
                            let ends = (address(SECOND), address(super::pair::SERVER));
                            let _ = connection.open_subflow(ends.0, ends.1, Priority::Regular);
                        }
                        35 => connection.shutdown_write(),
                        _ => {}
                    }
                }
            }
        }
        pair.hook = None;
        pair.run_for(Duration::from_secs(400));
        let info = |host: &mptcp_proto::endpoint::Endpoint| {
            host.connections()
                .map(mptcp_proto::conn::Connection::info)
                .collect::<Vec<_>>()
        };
        for infos in [info(&pair.client), info(&pair.server)] {
            for info in infos {
                assert!(info.receive_buffer.1 <= info.receive_buffer.0, "{info:?}");
            }
        }
    }
}

#[test]
fn a_segment_that_nobody_waits_for_changes_nothing() {
    let (mut pair, ids) = established(&Config::default());
    let mut random = Seeded(9);
    let packets: Vec<Vec<u8>> = pair.log.iter().map(|sent| sent.packet.clone()).collect();
    for _ in 0..3000 {
        let at = usize::try_from(random.next()).unwrap() % packets.len();
        let segment = Segment::parse(&packets[at], false).unwrap();
        // Far from every window.
        let far = Segment {
            seq: segment.seq.add(0x4000_0000),
            ack: segment.ack.add(0x4000_0000),
            flags: Flags(segment.flags.0 & !Flags::SYN.0),
            ..segment
        };
        let mut packet = Vec::new();
        far.emit(&mut packet).unwrap();
        pair.server.handle_packet(pair.now, &packet);
        pair.client.handle_packet(pair.now, &packet);
    }
    pair.exchange(ids, &pattern(100_000, 1), &pattern(100_000, 2));
    let reasons: Vec<FallbackReason> = pair.picked(0, fallback);
    assert!(reasons.is_empty());
}
