//! What a connection keeps has limits ([`Connection::queues`]), which every step of every test here checks.

use std::time::Duration;

use mptcp_proto::conn::config::Buffers;
use mptcp_proto::conn::{Config, Connection, Queued};
use mptcp_proto::endpoint::ConnId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::sched;
use mptcp_proto::wire::mptcp::Priority;

use super::join::{SECOND, established, join};
use super::meddle::drop_if;
use super::pair::{Pair, address, pattern, read_all};

fn len(connection: &Connection, what: Queued, subflow: Option<u32>) -> (u64, u64) {
    let queues = connection.queues();
    let found = queues
        .iter()
        .find(|queue| queue.what == what && queue.subflow == subflow.map(SubflowId));
    found.map_or((0, 0), |queue| (queue.len, queue.limit))
}

const SMALL: usize = 40_000;

/// Data over two paths, the second of which loses all that it carries to the server, in flows of this kind;
/// the most that the second subflow had, and its limit.
fn most_given(scheduler: sched::Kind) -> (u64, u64) {
    let config = Config {
        scheduler,
        buffers: Buffers {
            receive: 400_000,
            max_receive: 400_000,
            send: SMALL,
            max_send: SMALL,
        },
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    join(&mut pair, ids[0], Priority::Regular);
    let second = address(SECOND);
    // Its window is large by then.
    send(&mut pair, ids, 500_000);
    let mut random = super::pair::Seeded(1);
    pair.hook = Some(drop_if(move |seen| {
        seen.segment.source == second && seen.has_data() && random.happens(97)
    }));
    let before = len(pair.client(ids[0]), Queued::GivenBytes, Some(1)).0;
    assert!(before < SMALL as u64);
    send(&mut pair, ids, 2_000_000)
}

/// The most that the second subflow had while so many bytes were sent.
fn send(pair: &mut Pair, ids: [ConnId; 2], bytes: usize) -> (u64, u64) {
    let (bytes, mut sent, mut got) = (pattern(bytes, 1), 0, Vec::new());
    let mut most = (0, 0);
    pair.run_until(Duration::from_secs(300), |pair| {
        let client = pair.client(ids[0]);
        sent += client.write(&bytes[sent..]).unwrap_or(0);
        most = most.max(len(client, Queued::GivenBytes, Some(1)));
        read_all(pair.server(ids[1]), &mut got);
        got.len() == bytes.len()
    });
    assert!(got == bytes);
    most
}

#[test]
fn a_subflow_keeps_data_that_others_brought_over_and_not_twice_the_send_buffer() {
    for scheduler in [sched::Kind::LowestRtt, sched::Kind::Redundant] {
        let (most, limit) = most_given(scheduler);
        assert_eq!(limit, 2 * SMALL as u64);
        assert!(most > 1000 && most <= limit, "{most} bytes of {limit}");
    }
}
