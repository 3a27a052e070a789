//! Connections begin.

use std::net::SocketAddr;

use crate::conn::handshake::{Offer, SynSent};
use crate::conn::open::Begin;
use crate::conn::received::ReceivedOptions;
use crate::conn::{self, Connection, Counter, FallbackReason, ListenerId};
use crate::endpoint::{ConnId, Endpoint, Entry, Handled, Slot, SynCookies};
use crate::seq::TcpSeq;
use crate::tcp::{FastOpen, Path};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::Capable;
use crate::wire::segment::Segment;
use crate::wire::tcp_option::{TcpOptionValue, TcpOptions};

/// Why no connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is a connection between these ends.
    #[error("there is a connection between these ends")]
    InUse,
    /// The addresses are of two families.
    #[error("the addresses are of two families")]
    Families,
    /// No host has the address: it is that of many, or of none (RFC 9293 §3.9.2.3).
    #[error("{0} is no address of a host")]
    NoHost(std::net::IpAddr),
    /// There are too many connections.
    #[error("the limit of {0} connections is reached")]
    LimitReached(usize),
}

impl Endpoint {
    /// Begins a connection; the SYN leaves at the next `poll_transmit`.
    ///
    /// # Errors
    /// When the ends cannot be used, or there are too many connections.
    pub fn connect(
        &mut self,
        now: Instant,
        path: Path,
        config: conn::Config,
    ) -> Result<ConnId, ConnectError> {
        self.begin(now, path, config, None)
    }

    /// The same with an initial sequence number: one behind those of earlier connections between the same ends,
    /// which somebody may remember (RFC 9293 §3.4.1). It must be hard to guess (RFC 6528).
    ///
    /// # Errors
    /// As [`Endpoint::connect`].
    pub fn connect_from(
        &mut self,
        now: Instant,
        path: Path,
        config: conn::Config,
        isn: TcpSeq,
    ) -> Result<ConnId, ConnectError> {
        self.begin(now, path, config, Some(isn))
    }

    fn begin(
        &mut self,
        now: Instant,
        path: Path,
        mut config: conn::Config,
        isn: Option<TcpSeq>,
    ) -> Result<ConnId, ConnectError> {
        if path.local.is_ipv4() != path.remote.is_ipv4() {
            return Err(ConnectError::Families);
        }
        if let Some(end) = [path.local, path.remote]
            .into_iter()
            .find(|end| !is_host(*end))
        {
            return Err(ConnectError::NoHost(end.ip()));
        }
        if self.paths.contains_key(&path) {
            return Err(ConnectError::InUse);
        }
        let id = self
            .reserve()
            .ok_or(ConnectError::LimitReached(self.config.max_connections))?;
        self.now = now;
        let begin = self.choose_offer(id, path, &config);
        self.randomize(&mut config);
        let isn = isn.unwrap_or_else(|| TcpSeq(self.random.next_u32()));
        let connection = Connection::connect(config, path, begin, isn, now);
        self.insert(id, connection, path, None);
        Ok(id)
    }

    fn choose_offer(&mut self, id: ConnId, path: Path, config: &conn::Config) -> Begin {
        let versions = config.mptcp.versions();
        let Some(newest) = versions.last().copied() else {
            return Begin::Tcp(FallbackReason::Disabled);
        };
        let destination = path.remote.ip();
        if self.destinations.is_blackhole(self.now, destination) {
            self.counters.count(Counter::CapableSynTxDisabled);
            return Begin::Tcp(FallbackReason::Blackhole);
        }
        let known = self.destinations.version(destination);
        let version = known
            .filter(|known| versions.contains(known))
            .unwrap_or(newest);
        let fresh = self.tokens.fresh_key(version, &mut *self.random, id);
        if let Ok(fresh) = fresh {
            Begin::Offer(SynSent::new(version, fresh.key, config.wishes))
        } else {
            self.counters.count(Counter::FallbackTokenInit);
            Begin::Tcp(FallbackReason::NoToken)
        }
    }

    /// A SYN without MP_JOIN for a listener.
    pub(super) fn accept_syn(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
    ) -> Option<Handled> {
        let by_cookie = self.answers_with_cookies(segment.destination);
        let listener = self.listeners.find(segment.destination)?;
        if is_of_the_future(options, &listener.config) {
            self.dropped.extended = self.dropped.extended.saturating_add(1);
            return Some(Handled::Dropped);
        }
        if by_cookie {
            let config = listener.config.clone();
            return Some(self.answer_with_cookie(now, segment, options, &config));
        }
        if listener.half_open >= listener.backlog {
            self.dropped.backlog = self.dropped.backlog.saturating_add(1);
            return Some(Handled::Dropped);
        }
        let (listener_id, mut config) = (listener.id, listener.config.clone());
        let Some(id) = self.reserve() else {
            self.dropped.backlog = self.dropped.backlog.saturating_add(1);
            return Some(Handled::Dropped);
        };
        if let Some(listener) = self.listeners.find(segment.destination) {
            listener.half_open = listener.half_open.saturating_add(1);
        }
        let begin = self.choose_answer(id, options, &config);
        self.randomize(&mut config);
        config.tcp.fast_open = self.judge_fast_open(segment, config.tcp.fast_open);
        let path = Path {
            local: segment.destination,
            remote: segment.source,
        };
        let isn = TcpSeq(self.random.next_u32());
        let connection = Connection::accept(config, path, begin, isn, segment, now);
        self.insert(id, connection, path, Some(listener_id));
        Some(Handled::Began(id))
    }

    /// Whether SYNs for this address are answered without remembering them.
    pub(super) fn answers_with_cookies(&mut self, local: SocketAddr) -> bool {
        let syn_cookies = self.config.syn_cookies;
        self.listeners
            .find(local)
            .is_some_and(|listener| match syn_cookies {
                SynCookies::Never => false,
                SynCookies::WhenFull => listener.half_open >= listener.backlog,
                SynCookies::Always => true,
            })
    }

    /// RFC 7413 §4.2.2: data are taken from whom shows the cookie of its address; others are granted it if
    /// they ask. Those who wait for their third ACK are counted by the backlog (RFC 7413 §5.1).
    fn judge_fast_open(&self, syn: &Segment<'_>, fast_open: FastOpen) -> FastOpen {
        let FastOpen::Accept(own) = fast_open else {
            return FastOpen::Off;
        };
        let client = syn.source.ip();
        let granted = own.or_else(|| self.jar.fast_open(client));
        let mut options = TcpOptions::new(syn.options).flatten();
        let shown = options.find_map(|option| match option.value() {
            TcpOptionValue::FastOpen { cookie, .. } => Some(cookie),
            _ => None,
        });
        let is_known = |shown| match own {
            Some(own) => own.is(shown),
            None => self.jar.has_given(client, shown),
        };
        match (shown, granted) {
            (Some(shown), _) if is_known(shown) => FastOpen::Accept(None),
            (Some(_), Some(granted)) => FastOpen::Grant(granted),
            _ => FastOpen::Off,
        }
    }

    fn choose_answer(
        &mut self,
        id: ConnId,
        options: &ReceivedOptions,
        config: &conn::Config,
    ) -> Begin {
        let versions: &[Version] = config.mptcp.versions();
        if options.capable.is_some() {
            self.counters.count(Counter::CapableSynRx);
        }
        if options.join.is_some() || options.is_signed {
            // Linux answers a SYN with both options as one with neither, and has no MPTCP with signatures.
            return Begin::Tcp(FallbackReason::Form);
        }
        if versions.is_empty() {
            return Begin::Tcp(FallbackReason::Disabled);
        }
        let offer = match Offer::from_syn(options.capable.as_ref(), versions) {
            Ok(offer) => offer,
            Err(reason) => return Begin::Tcp(reason),
        };
        let version = offer.version();
        let fresh = self.tokens.fresh_key(version, &mut *self.random, id);
        if let Ok(fresh) = fresh {
            Begin::Answer(offer.accept(fresh.key, config.wishes))
        } else {
            self.counters.count(Counter::FallbackTokenInit);
            Begin::Tcp(FallbackReason::NoToken)
        }
    }

    /// RFC 7323 §5.4: the timestamp clock begins anywhere.
    fn randomize(&mut self, config: &mut conn::Config) {
        let offset = self.random.next_u32();
        config.tcp.timestamps = config.tcp.timestamps.map(|_| offset);
    }

    /// A free place.
    pub(super) fn reserve(&mut self) -> Option<ConnId> {
        if let Some(slot) = self.free.pop() {
            let generation = self.slots.get(slot as usize)?.generation;
            return Some(ConnId { slot, generation });
        }
        let slot = u32::try_from(self.slots.len()).ok()?;
        if self.slots.len() >= self.config.max_connections {
            return None;
        }
        self.slots.push(Slot::default());
        Some(ConnId {
            slot,
            generation: 0,
        })
    }

    pub(super) fn insert(
        &mut self,
        id: ConnId,
        mut connection: Connection,
        initial: Path,
        incoming: Option<ListenerId>,
    ) {
        for address in &self.addresses {
            connection.local_up(*address);
        }
        if let Some(slot) = self.slots.get_mut(id.slot as usize) {
            slot.entry = Some(Box::new(Entry {
                connection,
                incoming,
                is_half_open: incoming,
                is_ready: false,
                is_talkative: false,
                deadline: None,
                initial,
            }));
        }
        self.touch(id);
        self.apply_changes(id);
    }
}

/// RFC 6824 §3.1: a SYN with flag B is ignored in silence by who speaks nothing but version 0, and the sender
/// tries again in another form. RFC 8684 §3.1 has the option ignored, and TCP spoken.
fn is_of_the_future(options: &ReceivedOptions, config: &conn::Config) -> bool {
    let is_old = config.mptcp == conn::config::Offer::V0;
    let is_extended =
        |capable: &Capable| capable.version == Version::V0.number() && capable.flags.extensible();
    is_old && options.capable.as_ref().is_some_and(is_extended)
}

/// Whether one host can be at this end: its address is neither that of many nor none (RFC 9293 §3.9.2.3).
pub(super) fn is_host(end: SocketAddr) -> bool {
    let ip = end.ip().to_canonical();
    let is_broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_multicast() || ip.is_unspecified() || is_broadcast)
}
