//! Urgent data (RFC 9293 §3.8.5, RFC 8684 §3.3.1).

use std::time::Duration;

use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, Event};
use mptcp_proto::tcp::{FastOpen, FastOpenCookie};
use mptcp_proto::wire::mptcp::{Priority, Subtype};
use mptcp_proto::wire::segment::{Flags, Segment};

use super::handshake::version;
use super::join::{established, join};
use super::meddle::{drop_if, subtypes};
use super::pair::{CLIENT, Pair, SERVER, Sent, Way, address, path, pattern, read_all};

fn is_urgent(event: &Event) -> Option<()> {
    matches!(event, Event::Urgent).then_some(())
}

/// Where the pointers of what was sent to the server point to, as offsets from the first number of all.
fn pointers(log: &[Sent], first: u32) -> Vec<(u32, u32)> {
    let to_server = log.iter().filter(|sent| sent.way == Way::ToServer);
    let segments = to_server.map(|sent| Segment::parse(&sent.packet, true).unwrap());
    segments
        .filter(|segment| segment.flags.contains(Flags::URG))
        .map(|segment| {
            let at = segment.seq.0.wrapping_sub(first);
            (at, at + u32::from(segment.urgent))
        })
        .collect()
}

#[test]
fn urgent_data_are_told_and_read_in_their_place() {
    for offer in [Offer::Off, Offer::V1, Offer::V0] {
        let (mut pair, ours, theirs) = Pair::established(version(offer), Config::default());
        let before = pair.log.len();
        let data = pattern(5000, 1);
        let client = pair.client(ours);
        assert_eq!(client.write(&data[..2000]), Ok(2000));
        assert_eq!(client.write_urgent(&data[2000..3000]), Ok(1000));
        assert_eq!(client.write(&data[3000..]), Ok(2000));
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.picked(1, is_urgent), [()], "{offer:?}");
        assert_eq!(pair.server(theirs).urgent(), Some(3000), "{offer:?}");
        let mut got = vec![0; 2500];
        assert_eq!(pair.server(theirs).read(&mut got), Read::Data(2500));
        assert_eq!(pair.server(theirs).urgent(), Some(500));
        read_all(pair.server(theirs), &mut got);
        assert!(got == data, "{offer:?}");
        assert_eq!(pair.server(theirs).urgent(), None);
        // Every segment before the end says where that is, and none behind it.
        let first = Segment::parse(&pair.log[before].packet, true).unwrap().seq;
        let pointers = pointers(&pair.log, first.0);
        assert!(pointers.len() >= 2, "{offer:?}");
        for (at, end) in pointers {
            assert!(at < 3000 && end == 3000, "{offer:?}: {at} {end}");
        }
        // More of them is told anew.
        assert_eq!(pair.client(ours).write_urgent(b"again"), Ok(5));
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.picked(1, is_urgent), [(), ()], "{offer:?}");
        assert_eq!(pair.server(theirs).urgent(), Some(5));
    }
}

#[test]
fn the_end_of_urgent_data_may_lie_beyond_what_the_pointer_can_say() {
    let (mut pair, ours, theirs) = Pair::established(version(Offer::Off), Config::default());
    let data = pattern(100_000, 2);
    assert_eq!(pair.client(ours).write_urgent(&data), Ok(100_000));
    let mut got = Vec::new();
    for _ in 0..100 {
        pair.run_for(Duration::from_millis(20));
        let is_told = !pair.picked(1, is_urgent).is_empty();
        let server = pair.server(theirs);
        // As long as some are missing, there is always something urgent ahead of what was read.
        assert!(server.readable() == 0 || is_told && server.urgent() >= Some(1));
        read_all(server, &mut got);
    }
    assert!(got == data);
    assert_eq!(pair.server(theirs).urgent(), None);
}

#[test]
fn a_peer_whose_window_is_shut_hears_of_urgent_data() {
    let mut server = Config::default();
    server.buffers.receive = 4000;
    server.buffers.max_receive = 4000;
    let (mut pair, ours, theirs) = Pair::established(version(Offer::Off), server);
    let sent = pattern(20_000, 3);
    assert_eq!(pair.client(ours).write(&sent), Ok(20_000));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.server(theirs).urgent(), None);
    assert_eq!(pair.client(ours).write_urgent(b"stop"), Ok(4));
    // At the latest with the next acknowledgement or probe.
    assert_eq!(pair.server(theirs).write(b"x"), Ok(1));
    pair.run_for(Duration::from_millis(200));
    let waiting = pair.server(theirs).urgent();
    assert_eq!(waiting, Some(20_004));
}

#[test]
fn the_subflow_that_carries_the_last_urgent_byte_says_so() {
    let (mut pair, [ours, theirs]) = established(&Config::default());
    join(&mut pair, ours, Priority::Regular);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.server(theirs).subflows().count(), 2);
    // Half of it is lost on its way, and goes again.
    let mut count = 0_u32;
    pair.hook = Some(drop_if(move |seen| {
        count += u32::from(seen.way == Way::ToServer && seen.has_data());
        seen.way == Way::ToServer && seen.has_data() && count.is_multiple_of(2) && count < 20
    }));
    let data = pattern(30_000, 4);
    assert_eq!(pair.client(ours).write_urgent(&data), Ok(30_000));
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.picked(1, is_urgent), [()]);
    assert_eq!(pair.server(theirs).urgent(), Some(30_000));
    let mut got = Vec::new();
    read_all(pair.server(theirs), &mut got);
    assert!(got == data);
}

#[test]
fn urgent_data_whose_mapping_comes_later_are_told_then() {
    let (mut pair, ours, theirs) = Pair::established(version(Offer::V1), Config::default());
    pair.transfer([ours, theirs], b"hello", b"you", Duration::from_secs(5));
    // The option of the first segment is gone; the mapping comes with the next one.
    let mut is_first = true;
    pair.hook = Some(super::meddle::strip(move |seen| {
        let is_due = seen.way == Way::ToServer && seen.has(Subtype::DSS) && seen.has_data();
        is_due && std::mem::take(&mut is_first)
    }));
    let data = pattern(2500, 5);
    assert_eq!(pair.client(ours).write(&data[..1000]), Ok(1000));
    assert_eq!(pair.client(ours).write_urgent(&data[1000..]), Ok(1500));
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.picked(1, is_urgent), [()]);
    assert_eq!(pair.server(theirs).urgent(), Some(2500));
    let stripped = pair.log.iter().filter(|sent| sent.way == Way::ToServer);
    let with_dss = stripped.filter(|sent| {
        let segment = Segment::parse(&sent.packet, true).unwrap();
        subtypes(&segment).contains(&Subtype::DSS)
    });
    assert!(with_dss.count() >= 2);
}

#[test]
fn every_step_of_the_pointer_is_told_and_copies_are_not() {
    let (mut pair, ours, theirs) = Pair::established(version(Offer::Off), Config::default());
    for (count, end) in [(1, 100), (2, 200), (3, 300)] {
        assert_eq!(pair.client(ours).write_urgent(&[7; 100]), Ok(100));
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.picked(1, is_urgent).len(), count);
        assert_eq!(pair.server(theirs).urgent(), Some(end));
    }
}

#[test]
fn of_urgent_data_written_before_the_syn_leaves_the_right_ones_are_marked() {
    for offer in [Offer::V1, Offer::V0, Offer::Off] {
        for is_refused in [false, true] {
            let mut pair = Pair::new(5);
            let mut server = Config::default();
            let cookie = FastOpenCookie::new(&[7; 6]).unwrap();
            server.tcp.fast_open = FastOpen::Accept(Some(cookie));
            pair.server.listen(address(SERVER), 16, server).unwrap();
            let mut config = version(offer);
            let shown = if is_refused { [8; 6] } else { [7; 6] };
            config.tcp.fast_open = FastOpen::Cookie(FastOpenCookie::new(&shown).unwrap());
            let ends = path(CLIENT, SERVER);
            let ours = pair.client.connect(pair.now, ends, config).unwrap();
            // More than a SYN holds, and not all of it urgent.
            let data = pattern(5000, 6);
            assert_eq!(pair.client(ours).write_urgent(&data[..3000]), Ok(3000));
            assert_eq!(pair.client(ours).write(&data[3000..]), Ok(2000));
            pair.run_for(Duration::from_secs(2));
            let theirs = pair.accepted();
            let server = pair.server(theirs);
            assert_eq!(server.urgent(), Some(3000), "{offer:?} {is_refused}");
            let mut got = Vec::new();
            read_all(server, &mut got);
            assert!(got == data, "{offer:?} {is_refused}");
        }
    }
}
