//! Data in the SYN (RFC 7413, RFC 8684 appendix B).

use std::time::Duration;

use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::conn::{Config, Event, FallbackReason};
use mptcp_proto::endpoint::{self, ConnId, Endpoint, SynCookies, TableSizes};
use mptcp_proto::tcp::{FastOpen, FastOpenCookie};
use mptcp_proto::wire::mptcp::{Capable, Dss, MptcpOption, Priority, Subtype};
use mptcp_proto::wire::segment::Segment;
use mptcp_proto::wire::tcp_option::{KIND_FAST_OPEN, TcpOptions};

use super::handshake::{fallback, version};
use super::meddle::{drop_if, meddle, strip, subtypes};
use super::pair::{Hook, Pair, SERVER, Seeded, Way, address, path, pattern, read_all};
use mptcp_proto::conn::config::Offer;

const EARLY: usize = 300;

fn client(offer: Offer, fast_open: FastOpen, checksum: bool) -> Config {
    let mut config = version(offer);
    config.tcp.fast_open = fast_open;
    config.wishes = Wishes {
        checksum,
        ..Wishes::default()
    };
    config
}

fn server() -> Config {
    let mut config = Config::default();
    config.tcp.fast_open = FastOpen::Accept(None);
    config
}

/// The cookie that the server grants, from a connection of its own.
#[track_caller]
fn cookie(pair: &mut Pair, offer: Offer) -> FastOpenCookie {
    let ours = pair.connect(client(offer, FastOpen::Request, false), server());
    pair.run_for(Duration::from_millis(100));
    let connection = pair.client(ours);
    assert_eq!(connection.session().is_some(), offer != Offer::Off);
    let info = connection.subflows().next().unwrap();
    info.tcp.fast_open_cookie.expect("a cookie was granted")
}

/// A second connection, whose SYN carries data.
struct Early {
    pair: Pair,
    ours: ConnId,
    /// Packets that were sent before it.
    before: usize,
    data: Vec<u8>,
}

impl Early {
    fn begin(offer: Offer, checksum: bool, hook: Option<Hook>) -> Self {
        let mut pair = Pair::new(5);
        let cookie = cookie(&mut pair, offer);
        Self::with(
            pair,
            client(offer, FastOpen::Cookie(cookie), checksum),
            hook,
        )
    }

    fn with(mut pair: Pair, config: Config, hook: Option<Hook>) -> Self {
        pair.events = [Vec::new(), Vec::new()];
        let before = pair.log.len();
        pair.hook = hook;
        let path = path("10.0.0.1:40001", SERVER);
        let ours = pair.client.connect(pair.now, path, config).unwrap();
        let data = pattern(EARLY, 9);
        pair.client(ours).write(&data).unwrap();
        Self {
            pair,
            ours,
            before,
            data,
        }
    }

    /// Everything arrives, in both directions and once.
    #[track_caller]
    fn check_whole(&mut self) -> ConnId {
        self.pair.run_for(Duration::from_secs(8));
        let theirs = self.pair.accepted();
        let mut got = Vec::new();
        read_all(self.pair.server(theirs), &mut got);
        assert!(got == self.data, "{} bytes", got.len());
        let ids = [self.ours, theirs];
        let (up, down) = (pattern(100_000, 1), pattern(100_000, 2));
        self.pair.transfer(ids, &up, &down, Duration::from_secs(60));
        theirs
    }

    fn fallbacks(&self) -> [Vec<FallbackReason>; 2] {
        [0, 1].map(|side| self.pair.picked(side, fallback))
    }

    /// What was sent of this connection one way.
    fn sent(&self, way: Way) -> Vec<Segment<'_>> {
        let log = self.pair.log.iter().skip(self.before);
        log.filter(|sent| sent.way == way)
            .map(|sent| Segment::parse(&sent.packet, false).unwrap())
            .collect()
    }

    /// SSN and length of the first mapping, and how far its DSN is from the IDSN of the client.
    #[track_caller]
    fn first_mapping(&mut self) -> (u32, u16, u64) {
        let session = *self.pair.client(self.ours).session().unwrap();
        let version = session.version;
        let sent = self.sent(Way::ToServer);
        let data = sent
            .iter()
            .find(|segment| !segment.flags.syn() && !segment.payload.is_empty())
            .unwrap();
        let mut options = TcpOptions::new(data.options)
            .flatten()
            .filter_map(|option| MptcpOption::parse(version, option.bytes).ok());
        options
            .find_map(|option| match option {
                MptcpOption::Capable(Capable {
                    data: Some(data), ..
                }) => Some((1, data.len, 1)),
                MptcpOption::Dss(Dss {
                    mapping: Some(mapping),
                    ..
                }) => {
                    let dsn = mapping.dsn.expand(session.local_idsn);
                    Some((
                        mapping.ssn.0,
                        mapping.len,
                        dsn.distance_from(session.local_idsn).unwrap(),
                    ))
                }
                _ => None,
            })
            .expect("the first data have a mapping")
    }
}

#[test]
fn data_of_the_syn_begin_the_stream_and_numbers_count_from_behind_them() {
    for (offer, checksum) in [
        (Offer::V1, false),
        (Offer::V1, true),
        (Offer::V0, false),
        (Offer::V0, true),
    ] {
        let mut early = Early::begin(offer, checksum, None);
        early.check_whole();
        assert_eq!(early.fallbacks(), [vec![], vec![]], "{offer:?}");
        let syn = early.sent(Way::ToServer)[0];
        assert_eq!(syn.payload, early.data);
        assert_eq!(subtypes(&syn), [Subtype::CAPABLE]);
        let answer = early.sent(Way::ToClient)[0];
        assert_eq!(answer.ack, syn.seq.add(1 + 300), "{offer:?}");
        let (ssn, _, from_idsn) = early.first_mapping();
        assert_eq!((ssn, from_idsn), (1, 1), "{offer:?}");
    }
}

#[test]
fn data_that_the_server_did_not_take_come_again_with_the_first_mapping() {
    for offer in [Offer::V1, Offer::V0] {
        let cookie = FastOpenCookie::new(&[7; 6]).unwrap();
        let mut pair = Pair::new(5);
        pair.server
            .listen(SERVER.parse().unwrap(), 16, server())
            .unwrap();
        let config = client(offer, FastOpen::Cookie(cookie), true);
        let mut early = Early::with(pair, config, None);
        early.check_whole();
        assert_eq!(early.fallbacks(), [vec![], vec![]], "{offer:?}");
        let syn = early.sent(Way::ToServer)[0];
        let answer = early.sent(Way::ToClient)[0];
        assert_eq!((syn.payload.len(), answer.ack), (EARLY, syn.seq.add(1)));
        // The wrong cookie is answered with the right one (RFC 7413 §4.2.2).
        let mut options = TcpOptions::new(answer.options).flatten();
        assert!(options.any(|option| option.kind == KIND_FAST_OPEN));
        assert_eq!(early.first_mapping(), (1, 300, 1), "{offer:?}");
    }
}

#[test]
fn a_part_of_the_data_that_was_taken_does_not_come_again() {
    for offer in [Offer::V1, Offer::V0] {
        let hook = meddle(|seen, _, payload| {
            if seen.is_syn() {
                payload.truncate(100);
            }
            true
        });
        let mut early = Early::begin(offer, true, Some(hook));
        early.check_whole();
        assert_eq!(early.fallbacks(), [vec![], vec![]]);
        assert_eq!(early.first_mapping(), (1, 200, 1));
    }
}

#[test]
fn segments_of_the_handshake_may_be_lost() {
    for offer in [Offer::V1, Offer::V0] {
        let losses: [(Way, usize); 4] = [
            (Way::ToServer, 0),
            (Way::ToClient, 0),
            (Way::ToServer, 1),
            (Way::ToServer, 2),
        ];
        for (way, number) in losses {
            let hook = drop_if(move |seen| seen.way == way && seen.number == number);
            let mut early = Early::begin(offer, false, Some(hook));
            early.check_whole();
            // A SYN that comes again has neither cookie nor data (RFC 7413 §4.2.1).
            let syns = early.sent(Way::ToServer);
            let again = syns.iter().filter(|segment| segment.flags.syn()).nth(1);
            assert!(again.is_none_or(|syn| syn.payload.is_empty()));
            assert_eq!(early.fallbacks(), [vec![], vec![]], "{offer:?} {number}");
        }
    }
}

#[test]
fn boxes_that_strip_options_leave_tcp_with_all_data() {
    type Case = (&'static str, fn(&super::meddle::Seen<'_>) -> bool);
    let cases: [Case; 5] = [
        ("syn", |seen| seen.is_syn()),
        ("syn/ack", |seen| seen.is_syn_ack()),
        ("third ack", |seen| {
            seen.way == Way::ToServer && !seen.is_syn()
        }),
        ("to client", |seen| {
            seen.way == Way::ToClient && !seen.is_syn_ack()
        }),
        ("all", |_| true),
    ];
    for offer in [Offer::V1, Offer::V0] {
        for (what, is_due) in cases {
            let mut early = Early::begin(offer, false, Some(strip(is_due)));
            let theirs = early.check_whole();
            let ours = early.ours;
            assert!(early.pair.client(ours).session().is_none(), "{what}");
            assert!(early.pair.server(theirs).session().is_none(), "{what}");
        }
    }
}

#[test]
fn mp_capable_goes_before_a_cookie_for_which_there_is_no_room() {
    // Eight bytes and timestamps leave room for the four bytes of version 1, not for the twelve of 0.
    let long = FastOpenCookie::new(&[7; 8]).unwrap();
    for (offer, len) in [(Offer::V1, EARLY), (Offer::V0, 0)] {
        let mut pair = Pair::new(5);
        let mut listener = Config::default();
        listener.tcp.fast_open = FastOpen::Accept(Some(long));
        pair.server
            .listen(SERVER.parse().unwrap(), 16, listener)
            .unwrap();
        let config = client(offer, FastOpen::Cookie(long), false);
        let mut early = Early::with(pair, config, None);
        early.check_whole();
        assert_eq!(early.fallbacks(), [vec![], vec![]]);
        assert_eq!(early.sent(Way::ToServer)[0].payload.len(), len);
    }
    let mut pair = Pair::new(5);
    let mut listener = Config::default();
    listener.tcp.fast_open = FastOpen::Accept(Some(long));
    let ours = pair.connect(client(Offer::V1, FastOpen::Request, false), listener);
    pair.run_for(Duration::from_millis(100));
    let connection = pair.client(ours);
    assert!(connection.session().is_some());
    let info = connection.subflows().next().unwrap();
    assert_eq!(info.tcp.fast_open_cookie, None);
}

#[test]
fn a_cookie_is_good_for_the_address_that_it_was_given_to() {
    let mut pair = Pair::new(5);
    let cookie = cookie(&mut pair, Offer::V1);
    let config = client(Offer::V1, FastOpen::Cookie(cookie), false);
    let other = path("10.0.0.2:40001", SERVER);
    let ours = pair.client.connect(pair.now, other, config).unwrap();
    pair.client(ours).write(b"early").unwrap();
    let before = pair.log.len();
    pair.run_for(Duration::from_millis(100));
    let answer = Segment::parse(&pair.log[before + 1].packet, false).unwrap();
    let syn = Segment::parse(&pair.log[before].packet, false).unwrap();
    assert_eq!((syn.payload, answer.ack), (&b"early"[..], syn.seq.add(1)));
    assert!(pair.client(ours).session().is_some());
}

/// A server that answers every SYN with a cookie of its own.
fn stateless() -> Pair {
    let config = endpoint::Config {
        syn_cookies: SynCookies::Always,
        ..endpoint::Config::default()
    };
    let client = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
    Pair::with_hosts(client, Endpoint::new(config, Box::new(Seeded(2))))
}

#[test]
fn data_of_a_syn_that_is_answered_with_a_syn_cookie_come_again() {
    for offer in [Offer::V1, Offer::V0, Offer::Off] {
        let mut pair = stateless();
        pair.server.listen(address(SERVER), 16, server()).unwrap();
        let cookie = FastOpenCookie::new(&[7; 6]).unwrap();
        let config = client(offer, FastOpen::Cookie(cookie), false);
        let mut early = Early::with(pair, config, None);
        early.check_whole();
        let (ours, is_mptcp) = (early.ours, offer != Offer::Off);
        assert_eq!(early.pair.client(ours).session().is_some(), is_mptcp);
        assert_eq!(early.fallbacks()[1].is_empty(), is_mptcp, "{offer:?}");
    }
}

#[test]
fn a_connection_that_began_with_a_syn_cookie_takes_no_data_of_joins_either() {
    let mut pair = stateless();
    let ours = pair.connect(client(Offer::V1, FastOpen::Off, false), server());
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    pair.transfer([ours, theirs], b"hello", b"you", Duration::from_secs(5));
    pair.hook = Some(meddle(|seen, _, payload| {
        if seen.is_syn() {
            payload.extend_from_slice(b"forged");
        }
        true
    }));
    // Nobody listens there, so that SYNs are remembered.
    let (local, remote) = (address("10.0.1.1:40001"), address("10.9.1.1:80"));
    pair.client(ours)
        .open_subflow(local, remote, Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    assert_eq!(pair.server(theirs).subflows().count(), 2);
    let (up, down) = (pattern(100_000, 1), pattern(100_000, 2));
    pair.exchange([ours, theirs], &up, &down);
}

#[test]
fn data_and_the_end_of_the_stream_may_be_written_before_the_syn_leaves() {
    for offer in [Offer::V1, Offer::V0, Offer::Off] {
        for len in [1, EARLY, 3000] {
            for is_refused in [false, true] {
                let mut pair = Pair::new(5);
                pair.server.listen(address(SERVER), 16, server()).unwrap();
                let cookie = if is_refused {
                    FastOpenCookie::new(&[7; 6]).unwrap()
                } else {
                    let asks = client(Offer::V1, FastOpen::Request, false);
                    let first = path("10.0.0.1:40009", SERVER);
                    let first = pair.client.connect(pair.now, first, asks).unwrap();
                    pair.run_for(Duration::from_millis(100));
                    let info = pair.client(first).subflows().next().unwrap();
                    pair.client(first).abort();
                    info.tcp.fast_open_cookie.unwrap()
                };
                pair.events = [Vec::new(), Vec::new()];
                let config = client(offer, FastOpen::Cookie(cookie), true);
                let ours = pair
                    .client
                    .connect(pair.now, path("10.0.0.1:40001", SERVER), config);
                let (ours, data) = (ours.unwrap(), pattern(len, 4));
                pair.client(ours).write(&data).unwrap();
                pair.client(ours).shutdown_write();
                pair.run_for(Duration::from_secs(3));
                let theirs = pair.accepted();
                let mut got = Vec::new();
                read_all(pair.server(theirs), &mut got);
                assert!(got == data, "{offer:?} {len} {is_refused}: {}", got.len());
                assert_eq!(pair.server(theirs).read(&mut [0]), Read::End);
                pair.server(theirs).close();
                pair.run_for(Duration::from_secs(200));
                assert_eq!(pair.client.table_sizes(), TableSizes::default());
                assert_eq!(pair.server.table_sizes(), TableSizes::default());
            }
        }
    }
}

#[test]
fn a_syn_without_data_that_overtakes_the_one_with_data_leaves_the_data_to_the_first_mapping() {
    for offer in [Offer::V1, Offer::V0] {
        let mut held: Option<Vec<u8>> = None;
        let hook: Hook = Box::new(move |_, way, packet| {
            let segment = Segment::parse(&packet, false).unwrap();
            if way == Way::ToServer && segment.flags.syn() && held.is_none() {
                held = Some(packet);
                return Vec::new();
            }
            if way == Way::ToServer && segment.flags.syn() {
                return vec![packet, held.clone().unwrap()];
            }
            vec![packet]
        });
        let mut early = Early::begin(offer, true, Some(hook));
        early.check_whole();
        assert_eq!(early.fallbacks(), [vec![], vec![]], "{offer:?}");
    }
}

#[test]
fn data_of_a_syn_that_the_buffer_has_no_room_for_are_not_lost() {
    for offer in [Offer::V1, Offer::V0, Offer::Off] {
        let mut pair = Pair::new(5);
        let mut listener = server();
        let cookie = FastOpenCookie::new(&[7; 6]).unwrap();
        listener.tcp.fast_open = FastOpen::Accept(Some(cookie));
        // With a window scale, an answer could not name a window this small.
        listener.tcp.window_scale = None;
        listener.buffers.receive = 200;
        listener.buffers.max_receive = 200;
        pair.server.listen(address(SERVER), 16, listener).unwrap();
        let config = client(offer, FastOpen::Cookie(cookie), false);
        let ours = pair
            .client
            .connect(pair.now, path("10.0.0.1:40001", SERVER), config);
        let (ours, data) = (ours.unwrap(), pattern(EARLY, 4));
        pair.client(ours).write(&data).unwrap();
        pair.run_for(Duration::from_secs(1));
        let theirs = pair.accepted();
        let mut got = Vec::new();
        for _ in 0..100 {
            read_all(pair.server(theirs), &mut got);
            pair.run_for(Duration::from_secs(1));
        }
        assert!(got == data, "{offer:?}: {} bytes", got.len());
    }
}

#[test]
fn data_of_the_syn_may_be_longer_than_the_segments_of_the_connection() {
    for offer in [Offer::V1, Offer::V0] {
        for lost in [None, Some(1), Some(2), Some(3)] {
            let mut pair = Pair::new(5);
            let mut listener = server();
            listener.tcp.mtu = 180;
            pair.server.listen(address(SERVER), 16, listener).unwrap();
            let cookie = FastOpenCookie::new(&[7; 6]).unwrap();
            let config = client(offer, FastOpen::Cookie(cookie), true);
            let hook = drop_if(move |seen| seen.way == Way::ToServer && Some(seen.number) == lost);
            let mut early = Early::with(pair, config, Some(hook));
            early.check_whole();
            assert!(early.fallbacks().iter().all(Vec::is_empty), "{offer:?}");
        }
    }
}

#[test]
fn data_of_the_syn_survive_that_the_option_is_given_up() {
    for offer in [Offer::V1, Offer::V0] {
        let hook = drop_if(|seen| seen.is_syn_ack() && seen.has(Subtype::CAPABLE));
        let mut early = Early::begin(offer, false, Some(hook));
        early.pair.run_for(Duration::from_secs(30));
        early.check_whole();
        assert_eq!(early.fallbacks()[0], [FallbackReason::Blackhole]);
    }
}

/// Nothing comes from the client but its SYN, for a while.
fn only_syns() -> Hook {
    drop_if(|seen| seen.way == Way::ToServer && !seen.is_syn())
}

#[test]
fn an_application_reads_the_data_of_a_syn_before_the_third_ack() {
    for offer in [Offer::V1, Offer::V0, Offer::Off] {
        for reads in [EARLY, 100] {
            let mut early = Early::begin(offer, offer != Offer::Off, Some(only_syns()));
            early.pair.run_for(Duration::from_millis(15));
            let theirs = early.pair.accepted();
            let server = early.pair.server(theirs);
            assert!(!server.is_connected(), "{offer:?}");
            let mut got = vec![0; reads];
            assert_eq!(server.read(&mut got), Read::Data(reads), "{offer:?}");
            early.pair.run_for(Duration::from_millis(50));
            early.pair.hook = None;
            early.pair.run_for(Duration::from_secs(8));
            read_all(early.pair.server(theirs), &mut got);
            assert!(got == early.data, "{offer:?} {reads}: {}", got.len());
            let ids = [early.ours, theirs];
            let (up, down) = (pattern(100_000, 1), pattern(100_000, 2));
            early
                .pair
                .transfer(ids, &up, &down, Duration::from_secs(60));
            let is_mptcp = early.pair.server(theirs).session().is_some();
            assert_eq!(is_mptcp, offer != Offer::Off);
            assert!(early.fallbacks()[0].is_empty(), "{offer:?}");
        }
    }
}

#[test]
fn data_of_a_syn_that_were_read_early_begin_the_stream_of_a_connection_that_falls_back() {
    let hook = meddle(|seen, options, _| {
        if seen.way == Way::ToServer && !seen.is_syn() {
            super::meddle::blank(options, |_| true);
        }
        true
    });
    let mut early = Early::begin(Offer::V1, false, Some(hook));
    early.pair.run_for(Duration::from_millis(15));
    let theirs = early.pair.accepted();
    let mut got = vec![0; 100];
    assert_eq!(early.pair.server(theirs).read(&mut got), Read::Data(100));
    early.pair.run_for(Duration::from_secs(1));
    read_all(early.pair.server(theirs), &mut got);
    assert!(got == early.data);
    let ids = [early.ours, theirs];
    let (up, down) = (pattern(10_000, 1), pattern(10_000, 2));
    early
        .pair
        .transfer(ids, &up, &down, Duration::from_secs(60));
    assert!(early.pair.server(theirs).session().is_none());
}

#[test]
fn a_tcp_server_answers_the_data_of_a_syn_before_the_third_ack() {
    for (offer, is_early) in [(Offer::Off, true), (Offer::V1, false), (Offer::V0, false)] {
        let mut early = Early::begin(offer, false, Some(only_syns()));
        early.pair.run_for(Duration::from_millis(12));
        let theirs = early.pair.accepted();
        let answer = pattern(5000, 3);
        let server = early.pair.server(theirs);
        assert_eq!(server.write(&answer), Ok(5000));
        server.shutdown_write();
        early.pair.run_for(Duration::from_millis(15));
        let client = early.ours;
        // A host that speaks MPTCP takes no data before it has heard both keys.
        let readable = if is_early { answer.len() } else { 0 };
        assert_eq!(early.pair.client(client).readable(), readable, "{offer:?}");
        early.pair.hook = None;
        early.pair.run_for(Duration::from_secs(5));
        let mut got = Vec::new();
        read_all(early.pair.client(client), &mut got);
        assert!(got == answer, "{offer:?}: {}", got.len());
        assert_eq!(early.pair.client(client).read(&mut [0]), Read::End);
        assert!(early.fallbacks()[0].is_empty(), "{offer:?}");
    }
}

#[test]
fn an_application_that_was_given_the_data_of_a_syn_hears_that_nothing_follows() {
    for offer in [Offer::V1, Offer::Off] {
        let mut early = Early::begin(offer, false, Some(only_syns()));
        early.pair.run_for(Duration::from_millis(15));
        let theirs = early.pair.accepted();
        early.pair.client(early.ours).abort();
        early.pair.hook = None;
        early.pair.run_for(Duration::from_secs(400));
        let closed = |event: &Event| matches!(event, Event::Closed { .. }).then_some(());
        assert_eq!(early.pair.picked(1, closed), [()], "{offer:?}");
        assert!(early.pair.server.connection(theirs).is_none());
        // That of the connection that asked for the cookie.
        assert_eq!(early.pair.server.table_sizes().paths, 1);
    }
}

#[test]
fn the_window_of_a_syn_ack_leaves_the_room_to_the_data_of_the_syn() {
    for offer in [Offer::V1, Offer::Off] {
        let cookie = FastOpenCookie::new(&[7; 6]).unwrap();
        let mut listener = server();
        listener.tcp.fast_open = FastOpen::Accept(Some(cookie));
        listener.buffers.receive = 4000;
        listener.buffers.max_receive = 4000;
        let mut pair = Pair::new(5);
        pair.server.listen(address(SERVER), 16, listener).unwrap();
        let config = client(offer, FastOpen::Cookie(cookie), false);
        let early = Early::with(pair, config, None);
        let Early { mut pair, .. } = early;
        pair.run_for(Duration::from_millis(15));
        let answer = &pair.log.last().unwrap().packet;
        let answer = Segment::parse(answer, false).unwrap();
        assert!(answer.flags.syn());
        assert_eq!(usize::from(answer.window), 4000 - EARLY, "{offer:?}");
    }
}
