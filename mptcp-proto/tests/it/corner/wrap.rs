//! More than 4 GiB over one subflow: every number of 32 bits wraps, that of the subflow among them.

use mptcp_proto::conn::config::{Offer, Switch};
use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::conn::{Config, command::Read};
use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::WireDsn;
use mptcp_proto::wire::segment::Segment;

use crate::endpoint::pair::{CLIENT, SERVER, Seeded, address, path, pattern};

/// Two hosts, and nothing between them but packets.
struct Joined {
    hosts: [Endpoint; 2],
    ids: [Option<ConnId>; 2],
    now: Instant,
    /// Mappings that were seen before and behind 4 GiB of the subflow, with DSNs of four octets or not.
    before: u64,
    behind: u64,
    is_short: Option<bool>,
    sent: u64,
}

impl Joined {
    fn new(config: &Config) -> Self {
        let host = |seed| Endpoint::new(endpoint::Config::default(), Box::new(Seeded(seed)));
        let [mut client, mut server] = [host(1), host(2)];
        let now = Instant::from_millis(1);
        server.listen(address(SERVER), 1, config.clone()).unwrap();
        let id = client.connect(now, path(CLIENT, SERVER), config.clone());
        Self {
            hosts: [client, server],
            ids: [id.ok(), None],
            now,
            before: 0,
            behind: 0,
            is_short: None,
            sent: 0,
        }
    }

    /// Lets both send, each packet arriving at once.
    fn turn(&mut self, packet: &mut Vec<u8>) {
        for side in [0, 1] {
            while self.hosts[side].poll_transmit(self.now, packet) {
                if side == 0 {
                    self.look_at(packet);
                }
                self.hosts[1 - side].handle_packet(self.now, packet);
            }
        }
        self.ids[1] = self.hosts[1].connection_ids().next();
        self.now += std::time::Duration::from_micros(50);
        for host in &mut self.hosts {
            if host.poll_timeout().is_some_and(|at| at <= self.now) {
                host.handle_timeout(self.now);
            }
        }
    }

    fn look_at(&mut self, packet: &[u8]) {
        let segment = Segment::parse(packet, true).unwrap();
        let options = ReceivedOptions::parse(None, segment.options);
        let Some(mapping) = options.dss.and_then(|dss| dss.mapping) else {
            return;
        };
        self.is_short = Some(matches!(mapping.dsn, WireDsn::Short(_)));
        // A number that is small although so much was sent has wrapped.
        let ssn = u64::from(mapping.ssn.0);
        if self.sent > 1 << 32 && ssn < 1 << 31 {
            self.behind += 1;
        } else {
            self.before += 1;
        }
    }
}

const BLOCK: usize = 1 << 20;

#[track_caller]
fn check(config: &Config, is_short: bool) {
    let block = pattern(2 * BLOCK, 1);
    let total = (1_u64 << 32) + 16 * BLOCK as u64;
    let mut joined = Joined::new(config);
    let (mut packet, mut buffer) = (Vec::new(), vec![0; BLOCK]);
    let mut read = 0_u64;
    // What stands at a place of the stream: the block, once more at each multiple of its length.
    let at = |place: u64| usize::try_from(place % BLOCK as u64).unwrap();
    while read < total {
        joined.turn(&mut packet);
        if let Some(client) = joined.ids[0].and_then(|id| joined.hosts[0].connection_mut(id)) {
            let from = at(joined.sent);
            let len = usize::try_from(total - joined.sent)
                .unwrap_or(BLOCK)
                .min(BLOCK - from);
            joined.sent += client.write(&block[from..from + len]).unwrap_or(0) as u64;
        }
        let server = joined.ids[1].and_then(|id| joined.hosts[1].connection_mut(id));
        if let Some(Read::Data(len)) = server.map(|server| server.read(&mut buffer)) {
            let mut rest = &buffer[..len];
            while !rest.is_empty() {
                let from = at(read);
                let (part, others) = rest.split_at(rest.len().min(BLOCK - from));
                assert!(part == &block[from..from + part.len()], "at {read}");
                (rest, read) = (others, read + part.len() as u64);
            }
        }
        assert!(joined.now < Instant::from_millis(100_000), "{read} bytes");
    }
    let server = joined.hosts[1].connections().next().unwrap();
    assert_eq!(server.fallback(), None);
    assert_eq!(server.info().bytes_received, total);
    assert_eq!(joined.is_short, Some(is_short));
    assert!(joined.before > 1000 && joined.behind > 10);
}

fn large(short_dsn: Switch, mptcp: Offer) -> Config {
    let mut config = Config {
        short_dsn,
        mptcp,
        ..Config::default()
    };
    config.tcp.mtu = 65_000;
    config
}

/// Case 10
#[test]
fn four_gib_go_over_one_subflow_with_numbers_of_8_octets() {
    check(&large(Switch::Off, Offer::V1), false);
}

/// Case 10
#[test]
fn four_gib_go_over_one_subflow_with_numbers_of_4_octets() {
    check(&large(Switch::On, Offer::V0), true);
}
