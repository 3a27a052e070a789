//! How the hosts of a session are set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mptcp_proto::conn::Config;
use mptcp_proto::conn::config::{Buffers, FastCloseForm, Offer, Switch};
use mptcp_proto::endpoint::{self, Endpoint, SynCookies};
use mptcp_proto::random::RandomSource;
use mptcp_proto::tcp::{FastOpen, FastOpenCookie};
use mptcp_proto::{cc, pm, sched};

/// The first bytes of a session.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    bytes: [u8; super::SETUP_LEN],
}

impl Setup {
    pub(super) fn new(head: &[u8]) -> Self {
        let mut bytes = [0; super::SETUP_LEN];
        for (to, from) in bytes.iter_mut().zip(head) {
            *to = *from;
        }
        Self { bytes }
    }

    /// Whether the window of a segment says all: no data wait for their checksum, and no cookie forgets
    /// that windows are scaled.
    pub(super) const fn has_plain_windows(&self) -> bool {
        let has_checksums = (self.bytes[2] | self.bytes[3]) & 1 != 0;
        let has_timestamps = self.bytes[9] & 0x38 != 0;
        !has_checksums && has_timestamps
    }

    pub(super) fn endpoint(&self, side: usize) -> Endpoint {
        let config = endpoint::Config {
            syn_cookies: match self.bytes[1] % 4 {
                0 => SynCookies::Always,
                1 => SynCookies::Never,
                _ => SynCookies::WhenFull,
            },
            ..endpoint::Config::default()
        };
        let seed = self.bytes[0];
        let seed = u64::from(seed) << 8 | side as u64;
        let mut host = Endpoint::new(config, Box::new(Seeded(seed)));
        for path in 0..=self.bytes[4] % PATHS {
            host.address_up(address(side, path, 0).ip());
        }
        host
    }

    pub(super) fn config(&self, side: usize) -> Config {
        let mine = self.bytes[2 + side];
        let shared = &self.bytes;
        let (receive, send) = (buffer(shared[5]), buffer(shared[6]));
        let mut config = Config {
            mptcp: match mine >> 1 & 7 {
                0 => Offer::Off,
                1 | 2 => Offer::V0,
                3 | 4 => Offer::Both,
                _ => Offer::V1,
            },
            congestion: CONGESTION[usize::from(shared[7]) % CONGESTION.len()],
            scheduler: SCHEDULERS[usize::from(shared[7] >> 4) % SCHEDULERS.len()],
            path_manager: MANAGERS[usize::from(shared[8] >> side) % MANAGERS.len()],
            buffers: Buffers {
                receive,
                max_receive: MAX_BUFFER,
                send,
                max_send: MAX_BUFFER,
            },
            fast_close: if mine & 16 == 0 {
                FastCloseForm::Reset
            } else {
                FastCloseForm::Ack
            },
            ..Config::default()
        };
        config.wishes.checksum = mine & 1 != 0;
        config.wishes.no_join_to_initial = mine & 0xe0 == 0xe0;
        config.tcp.sack = shared[9] & 7 != 0;
        config.tcp.timestamps = (shared[9] & 0x38 != 0).then_some(0);
        let scale = if shared[5] & 128 == 0 {
            shared[9] >> 6
        } else {
            shared[6] % 15
        };
        config.tcp.window_scale = (shared[9] & 0xc0 != 0).then_some(scale);
        config.tcp.nagle = shared[10].is_multiple_of(8);
        config.tcp.ecn = shared[10] & 8 != 0;
        config.tcp.mtu = 600 + u32::from(shared[11]) * 8;
        if shared[10] & 16 != 0 {
            config.tcp.ack_delay = Duration::ZERO;
        }
        if shared[10] & 32 != 0 {
            config.mechanisms.autotuning = Switch::Off;
        }
        if self.is_early() {
            config.tcp.fast_open = self.fast_open(side);
        }
        config
    }

    /// Whether nobody forges a segment, whatever the steps say: all that is read can be compared.
    pub(super) const fn is_honest(&self) -> bool {
        self.bytes[1] & 4 != 0
    }

    /// Whether data go with the SYN.
    pub(super) const fn is_early(&self) -> bool {
        self.bytes[10] & 64 != 0
    }

    /// Fast Open, with a cookie that the server knows or does not.
    fn fast_open(&self, side: usize) -> FastOpen {
        let known = self.bytes[10] & 128 == 0;
        let byte = if known { 0 } else { u8::from(side == 0) };
        let Some(cookie) = FastOpenCookie::new(&[byte; 6]) else {
            return FastOpen::Off;
        };
        if side == 0 {
            FastOpen::Cookie(cookie)
        } else {
            FastOpen::Accept(Some(cookie))
        }
    }
}

/// Size of a buffer: some have less room than the step of a scaled window, or than a segment.
fn buffer(byte: u8) -> usize {
    let size = usize::from(byte & 63);
    if byte & 64 == 0 {
        size * 1024 + 2048
    } else {
        size * 32 + 16
    }
}

/// Address of a host on a path.
pub(super) fn address(side: usize, path: u8, port: u16) -> SocketAddr {
    let net = if side == 0 { 0 } else { 9 };
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, net, path % PATHS, 1)), port)
}

/// Splitmix64, which decides about keys and numbers.
struct Seeded(u64);

impl RandomSource for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = mixed.to_be_bytes()[0];
        }
    }
}

/// Port of the server.
pub(super) const PORT: u16 = 80;
/// Paths between the hosts.
pub(super) const PATHS: u8 = 3;
/// Largest buffer.
pub(super) const MAX_BUFFER: usize = 128 * 1024;

const CONGESTION: [cc::Kind; 6] = [
    cc::Kind::Lia,
    cc::Kind::Reno,
    cc::Kind::Cubic,
    cc::Kind::Olia,
    cc::Kind::Balia,
    cc::Kind::Wvegas,
];
const SCHEDULERS: [sched::Kind; 5] = [
    sched::Kind::LowestRtt,
    sched::Kind::RoundRobin,
    sched::Kind::Redundant,
    sched::Kind::Blest,
    sched::Kind::Ecf,
];
const MANAGERS: [pm::Kind; 7] = [
    pm::Kind::Kernel,
    pm::Kind::Fullmesh,
    pm::Kind::Ndiffports(3),
    pm::Kind::Signal,
    pm::Kind::Backup,
    pm::Kind::BreakBeforeMake,
    pm::Kind::User,
];
