//! SYNs that are answered without remembering them (RFC 4987 §3.6), and the third ACKs that bring back
//! what is needed.

use std::time::Duration;

use crate::conn::handshake::{Offer, SynReceived};
use crate::conn::open::Begin;
use crate::conn::received::ReceivedOptions;
use crate::conn::{self, Connection, Counter, FallbackReason, Role};
use crate::endpoint::cookie::{Cookie, Ends, SpentCookies, SynKind, SynOptions};
use crate::endpoint::{ConnId, Endpoint, Handled, SynCookies};
use crate::seq::TcpSeq;
use crate::tcp::{self, FastOpen, Negotiated, Path, Tcp, WindowScale};
use crate::time::Instant;
use crate::wire::mptcp::MptcpOption;
use crate::wire::segment::{Ecn, Flags, Segment};
use crate::wire::tcp_option::{TcpOptionValue, TcpOptions};
use crate::wire::writer::OptionArea;

/// What the TCP options of a segment say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub(super) mss: u16,
    window_scale: Option<u8>,
    sack: bool,
    /// The peer's clock, and the echo of ours.
    timestamps: Option<(u32, u32)>,
}

impl Plain {
    pub(super) fn parse(area: &[u8]) -> Self {
        let mut plain = Self {
            mss: DEFAULT_MSS,
            window_scale: None,
            sack: false,
            timestamps: None,
        };
        for option in TcpOptions::new(area).flatten() {
            match option.value() {
                TcpOptionValue::MaximumSegmentSize(mss) => plain.mss = mss,
                TcpOptionValue::WindowScale(shift) => plain.window_scale = Some(shift.min(14)),
                TcpOptionValue::SackPermitted => plain.sack = true,
                TcpOptionValue::Timestamps { value, echo } => {
                    plain.timestamps = Some((value, echo));
                }
                _ => {}
            }
        }
        plain
    }
}

pub(super) const fn ends(segment: &Segment<'_>) -> Ends {
    Ends {
        local: segment.destination,
        remote: segment.source,
    }
}

impl Endpoint {
    /// Answers a SYN with a cookie.
    pub(super) fn answer_with_cookie(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
        config: &conn::Config,
    ) -> Handled {
        let plain = Plain::parse(segment.options);
        let is_ipv4 = segment.destination.is_ipv4();
        let mut area = self.cookie_options(now, &plain, is_ipv4, &config.tcp);
        if let Some(capable) = self.cookie_capable(now, segment, options, config) {
            let _ = MptcpOption::Capable(capable).emit(&mut area);
        }
        self.reply_with_cookie(now, segment, SynKind::Connection, area, &config.tcp)
    }

    /// The SYN/ACK whose number is the cookie.
    pub(super) fn reply_with_cookie(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        kind: SynKind,
        mut area: OptionArea,
        config: &tcp::Config,
    ) -> Handled {
        let mss = Plain::parse(segment.options).mss;
        let iss = self.jar.bake(now, ends(segment), segment.seq, kind, mss);
        self.last_cookie = Some(now);
        area.pad();
        let window = config.initial_window.min(u32::from(u16::MAX));
        let answer = Segment {
            source: segment.destination,
            destination: segment.source,
            seq: iss,
            ack: segment.seq.add(1),
            flags: Flags::SYN.with(Flags::ACK),
            window: u16::try_from(window).unwrap_or(u16::MAX),
            urgent: 0,
            ecn: Ecn::NotCapable,
            options: area.as_bytes(),
            payload: &[],
            payload_sum: None,
        };
        self.dropped.cookies = self.dropped.cookies.saturating_add(1);
        self.reply(&answer, config.ip, Handled::Cookie)
    }

    /// Without timestamps a cookie cannot remember window scale and SACK.
    pub(super) fn cookie_options(
        &self,
        now: Instant,
        plain: &Plain,
        is_ipv4: bool,
        config: &tcp::Config,
    ) -> OptionArea {
        let mut area = OptionArea::new();
        let headers = if is_ipv4 { HEADERS_V4 } else { HEADERS_V6 };
        let mss = u16::try_from(config.mtu.saturating_sub(headers)).unwrap_or(u16::MAX);
        let [high, low] = mss.to_be_bytes();
        let _ = area.push(&[2, 4, high, low]);
        let (Some((peer, _)), Some(_)) = (plain.timestamps, config.timestamps) else {
            return area;
        };
        let kept = SynOptions {
            window_scale: plain.window_scale.filter(|_| config.window_scale.is_some()),
            sack: plain.sack && config.sack,
            ecn: false,
        };
        if kept.sack {
            let _ = area.push(&[4, 2]);
        }
        let mut timestamps = [8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        let value = kept.timestamp(clock(now, self.cookie_clock));
        timestamps[2..6].copy_from_slice(&value.to_be_bytes());
        timestamps[6..].copy_from_slice(&peer.to_be_bytes());
        let _ = area.push(&timestamps);
        if let (Some(_), Some(own)) = (kept.window_scale, config.window_scale) {
            let _ = area.push(&[1, 3, 3, own]);
        }
        area
    }

    fn cookie_capable(
        &self,
        now: Instant,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
        config: &conn::Config,
    ) -> Option<crate::wire::mptcp::Capable> {
        if options.join.is_some() || options.is_signed {
            return None;
        }
        let versions = config.mptcp.versions();
        let offer = Offer::from_syn(options.capable.as_ref(), versions).ok()?;
        let (ends, irs) = (ends(segment), segment.seq);
        let key = self
            .jar
            .fresh_server_key(now, ends, irs, offer.remote_key());
        let is_free = self.tokens.is_free(offer.version(), key);
        is_free.then(|| offer.accept(key, config.wishes).option())
    }

    /// A third ACK, or the first data in its place, that answers a cookie begins a connection.
    pub(super) fn accept_cookie(&mut self, now: Instant, segment: &Segment<'_>) -> Option<Handled> {
        let flags = segment.flags;
        let is_off = self.config.syn_cookies == SynCookies::Never;
        // Where none was given, none can be good: it would be a guess.
        let is_given = self.last_cookie.is_some_and(|at| now.since(at) <= LIFETIME);
        if is_off || !is_given || !flags.ack() || flags.syn() || flags.rst() {
            return None;
        }
        let listener = self.listeners.find(segment.destination)?;
        let (listener_id, mut config) = (listener.id, listener.config.clone());
        let irs = TcpSeq(segment.seq.0.wrapping_sub(1));
        let iss = TcpSeq(segment.ack.0.wrapping_sub(1));
        let cookie = self.jar.check(now, ends(segment), irs, iss)?;
        if self.spent.is_spent(ends(segment), iss) {
            return None;
        }
        let options = ReceivedOptions::parse(None, segment.options);
        // A join that has lost its option on the way must not become a connection.
        if cookie.kind == SynKind::Join || options.join.is_some() {
            return Some(self.accept_cookie_join(now, segment, cookie, options.join.as_ref()));
        }
        let negotiated = negotiated(segment, cookie, &config.tcp);
        config.tcp.timestamps = negotiated.timestamps.then_some(self.cookie_clock);
        config.tcp.fast_open = FastOpen::Off;
        let id = self.reserve()?;
        let begin = self.cookie_begin(id, segment, &options, cookie, &config);
        let path = Path {
            local: segment.destination,
            remote: segment.source,
        };
        let tcp = Tcp::from_cookie(&config.tcp, path, irs, iss, negotiated, now);
        let connection = Connection::new(Role::Server, config, begin, tcp);
        if let Some(listener) = self.listeners.find(segment.destination) {
            listener.half_open = listener.half_open.saturating_add(1);
        }
        self.insert(id, connection, path, Some(listener_id));
        self.spent.spend(now, ends(segment), iss);
        self.handle_segment(now, segment);
        Some(Handled::Began(id))
    }

    fn cookie_begin(
        &mut self,
        id: ConnId,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
        cookie: Cookie,
        config: &conn::Config,
    ) -> Begin {
        let Some(capable) = &options.capable else {
            return Begin::Tcp(FallbackReason::ThirdAckOptionMissing);
        };
        let Some(version) = capable.known_version() else {
            return Begin::Tcp(FallbackReason::Version);
        };
        let irs = TcpSeq(segment.seq.0.wrapping_sub(1));
        let Some((key, _)) = self.jar.keys(cookie, ends(segment), irs, capable) else {
            return Begin::Tcp(FallbackReason::KeyMismatch);
        };
        if self.tokens.take(version, key, id).is_err() {
            self.counters.count(Counter::FallbackTokenInit);
            return Begin::Tcp(FallbackReason::NoToken);
        }
        Begin::Answer(SynReceived::rebuilt(capable, version, key, config.wishes))
    }
}

/// What a cookie and the timestamp that comes back say that both SYNs agreed on.
pub(super) fn negotiated(
    segment: &Segment<'_>,
    cookie: Cookie,
    config: &tcp::Config,
) -> Negotiated {
    let timestamps = Plain::parse(segment.options).timestamps;
    let kept = timestamps.and_then(|(_, echo)| SynOptions::from_timestamp(echo));
    let peer_shift = kept.and_then(|kept| kept.window_scale);
    Negotiated {
        peer_mss: cookie.mss,
        window_scale: peer_shift
            .zip(config.window_scale)
            .map(|(peer, own)| WindowScale { peer, own }),
        sack: kept.is_some_and(|kept| kept.sack),
        timestamps: kept.is_some(),
        ecn: false,
    }
}

/// The timestamp clock of TCP: milliseconds from an offset.
#[expect(
    clippy::cast_possible_truncation,
    reason = "timestamps wrap (RFC 7323 §5.4)"
)]
const fn clock(now: Instant, offset: u32) -> u32 {
    (now.as_millis() as u32).wrapping_add(offset)
}

/// How long a cookie is good at most.
const LIFETIME: Duration = SpentCookies::LIFETIME;
/// RFC 9293 §3.7.1.
const DEFAULT_MSS: u16 = 536;
/// IP and TCP headers without options.
const HEADERS_V4: u32 = 40;
const HEADERS_V6: u32 = 60;
