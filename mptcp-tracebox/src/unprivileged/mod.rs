//! Without raw sockets: the kernel sends the SYNs, and hands over what routers quote of them.
//!
//! A connection that is begun with a small TTL fails with an ICMP error, and `IP_RECVERR` makes the kernel
//! keep the error with its quote from the TCP header on. What the kernel sent is not known, so the first
//! quote with all options is what the others are compared with. MPTCP sockets have neither option; the
//! rarest options that a plain socket can be made to send stand in: Fast Open's and the signature of MD5.
//! The target itself is asked with a plain SYN, and by the kernel's own MPTCP.

mod kernel;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::tcp_option::{KIND_TIMESTAMPS, TcpOptions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::diff::{Comparison, compare_tcp};
use crate::evidence::{Answer, AnswerKind, Evidence, Purpose, Role, SegmentAnswer};
use crate::net::{
    Clock, NetError, QueuedError, Route, ask_fast_open, queued_error, report_errors, sign,
};
use crate::packet::Packet;
use crate::packet::fields::{FIXED_LEN, TcpFields};
use crate::probe::Probe;
use crate::quote::ErrorKind;
use crate::run::KernelMptcp;
use crate::session::{Ended, LONGEST_WAIT, Stop};

/// What the user must know of such a run.
pub(crate) const NOTE: &str = "\
without CAP_NET_RAW only the options of plain TCP can be asked about at each hop: not MPTCP's, not the IP \
header, and nothing that happens before the first hop that quotes all options. For all of it use sudo, or \
`setcap cap_net_raw+ep` on the program";

/// An attempt to connect.
struct Attempt {
    probe: Probe,
    role: Role,
    ttl: u8,
    source: SocketAddr,
    sent_at: Instant,
    /// When the answer came, and what it was.
    answer: Option<(Instant, Reply)>,
}

enum Reply {
    Connected,
    Refused,
    Error(QueuedError),
}

/// What a run without raw sockets brought.
pub(crate) struct Climbed {
    pub(crate) evidence: Evidence,
    pub(crate) ended: Ended,
    /// None if a plain SYN does not get a connection, or the run was ended before.
    pub(crate) kernel_mptcp: Option<KernelMptcp>,
}

/// Climbs the ladder with connections: with each of `probes` that a plain socket can send.
pub(crate) fn trace(
    route: &Route,
    (probes, max_ttl): (&[Probe], u8),
    clock: Clock,
    stop: &Stop,
) -> Result<Climbed, NetError> {
    let mut attempts = vec![connect(
        route,
        (&Probe::Syn, Role::End, FULL_TTL),
        clock,
        stop,
    )?];
    // Nobody waited for an answer that does not come before the end of a run: it is no silence.
    attempts.retain(|attempt| attempt.answer.is_some() || !stop.is_wanted());
    let is_there = attempts.iter().any(Attempt::is_final);
    let top = climb(
        route,
        (&Probe::Syn, max_ttl, is_there),
        clock,
        stop,
        &mut attempts,
    )?;
    for probe in probes.iter().filter(|probe| **probe != Probe::Syn) {
        // Below the target only: there these options would begin something.
        climb(route, (probe, top, false), clock, stop, &mut attempts)?;
    }
    let mut kernel_mptcp = None;
    if attempts.iter().any(Attempt::is_connected) && !stop.is_wanted() {
        kernel_mptcp = kernel::ask(route, stop)?;
    }
    Ok(Climbed {
        evidence: evidence(route, &attempts),
        ended: if stop.is_wanted() {
            Ended::Interrupted
        } else {
            Ended::Complete
        },
        kernel_mptcp,
    })
}

/// Asks hop after hop; returns the last one below the target, or that answers.
fn climb(
    route: &Route,
    (probe, max_ttl, is_there): (&Probe, u8, bool),
    clock: Clock,
    stop: &Stop,
    attempts: &mut Vec<Attempt>,
) -> Result<u8, NetError> {
    let mut silent = 0;
    let mut top = 0;
    for ttl in 1..=max_ttl {
        if stop.is_wanted() {
            break;
        }
        let attempt = match connect(route, (probe, Role::Ladder, ttl), clock, stop) {
            // This kernel cannot send it, or has a cookie already and waits for data.
            Err(_) if *probe != Probe::Syn => break,
            Ok(attempt) if attempt.is_connected() && *probe != Probe::Syn => break,
            other => other?,
        };
        if attempt.answer.is_none() && stop.is_wanted() {
            break;
        }
        silent = if attempt.answer.is_some() {
            0
        } else {
            silent + 1
        };
        let is_final = attempt.is_final();
        if attempt.answer.is_some() && !is_final {
            top = ttl;
        }
        attempts.push(attempt);
        if is_final || (silent >= GIVE_UP && !is_there) {
            break;
        }
    }
    Ok(top)
}

impl Attempt {
    fn is_final(&self) -> bool {
        match &self.answer {
            None => false,
            Some((_, Reply::Error(error))) => {
                kind(error, self.source.is_ipv4()) != Some(ErrorKind::TimeExceeded)
            }
            Some(_) => true,
        }
    }

    const fn is_connected(&self) -> bool {
        matches!(self.answer, Some((_, Reply::Connected)))
    }

    fn quote(&self) -> Option<TcpFields<'_>> {
        match &self.answer {
            Some((_, Reply::Error(error))) => Some(TcpFields(&error.quote)),
            _ => None,
        }
    }
}

/// Begins a connection and waits for what comes of it.
fn connect(
    route: &Route,
    (probe, role, ttl): (&Probe, Role, u8),
    clock: Clock,
    stop: &Stop,
) -> Result<Attempt, NetError> {
    let doing = "opening a TCP socket";
    let is_v4 = route.target.is_ipv4();
    let domain = Domain::for_address(route.target);
    let open = || {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        report_errors(&socket, is_v4)?;
        if is_v4 {
            socket.set_ttl_v4(u32::from(ttl))?;
        } else {
            socket.set_unicast_hops_v6(u32::from(ttl))?;
        }
        if *probe == Probe::fast_open() {
            ask_fast_open(&socket)?;
        } else if *probe == Probe::md5() {
            sign(&socket, route.target)?;
        }
        // It is taken back with a RST at once, if it comes to stand.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let socket = open().map_err(NetError::while_doing(doing))?;
    route.tie(&socket)?;
    let bound = socket.bind(&route.source.into());
    bound.map_err(NetError::while_doing("binding to the source address"))?;
    let sent_at = clock.now();
    if let Err(error) = socket.connect(&route.target.into())
        && error.raw_os_error() != Some(libc::EINPROGRESS)
    {
        return Err(NetError::of_route(error, route.target.ip(), "connecting"));
    }
    let local = socket.local_addr().ok();
    let source = local.and_then(|local| local.as_socket());
    let answer = outcome(&socket, stop)?.map(|reply| (clock.now(), reply));
    Ok(Attempt {
        probe: probe.clone(),
        role,
        ttl,
        source: source.unwrap_or(route.source),
        sent_at,
        answer,
    })
}

fn outcome(socket: &Socket, stop: &Stop) -> Result<Option<Reply>, NetError> {
    let doing = "waiting for a connection";
    if !wait(socket, PATIENCE, stop).map_err(NetError::while_doing(doing))? {
        return Ok(None);
    }
    if let Some(error) = queued_error(socket).map_err(NetError::while_doing(doing))? {
        return Ok(Some(Reply::Error(error)));
    }
    let error = socket.take_error().map_err(NetError::while_doing(doing))?;
    Ok(match error.map(|error| error.kind()) {
        None => Some(Reply::Connected),
        Some(io::ErrorKind::ConnectionRefused) => Some(Reply::Refused),
        Some(_) => None,
    })
}

/// Whether something became of a connection within this time, and before the run is to end. Other signals
/// do not end it.
fn wait(socket: &impl AsFd, at_most: Duration, stop: &Stop) -> io::Result<bool> {
    let clock = Clock::start();
    loop {
        let left = at_most.saturating_sub(clock.now().since(Instant::ZERO));
        if stop.is_wanted() || left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec::try_from(left.min(LONGEST_WAIT)).ok();
        let mut polled = [PollFd::new(socket, PollFlags::OUT | PollFlags::ERR)];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What came, as evidence.
fn evidence(route: &Route, attempts: &[Attempt]) -> Evidence {
    let mut evidence = Evidence::default();
    for attempt in attempts {
        let is_same = |other: &&Attempt| other.probe == attempt.probe;
        let mut quotes = attempts.iter().filter(is_same).filter_map(Attempt::quote);
        let whole = quotes.find(|quote| quote.0.len() >= FIXED_LEN && quote.has_all_options());
        // What is quoted in part only says something of the ports.
        let sent = as_sent(attempt, whole.map(|quote| quote.0));
        let purpose = Purpose {
            flow: 0,
            probe: attempt.probe.clone(),
            role: attempt.role,
            ttl: attempt.ttl,
            attempt: 0,
        };
        let packet = as_packet(route, attempt, &sent);
        let Some(id) = evidence.note_sent(attempt.sent_at, purpose, packet) else {
            continue;
        };
        if let Some(answer) = as_answer(route, attempt, &sent) {
            evidence.note_answer(id, answer);
        }
    }
    evidence
}

/// The segment that the kernel must have sent: as the reference, but with the numbers that differ from
/// connection to connection.
fn as_sent(attempt: &Attempt, reference: Option<&[u8]>) -> Vec<u8> {
    let mut sent = reference.map_or_else(|| vec![0; FIXED_LEN], <[u8]>::to_vec);
    let ports = attempt.source.port().to_be_bytes();
    put(&mut sent, 0, &ports);
    let Some(quote) = attempt.quote() else {
        return sent;
    };
    if let Some(seq) = quote.seq() {
        put(&mut sent, SEQ_AT, &seq.0.to_be_bytes());
    }
    for (kind, len) in [(KIND_TIMESTAMPS, 4), (KIND_MD5, 16)] {
        let from = value_at(quote, kind).and_then(|at| quote.0.get(at..at + len));
        if let (Some(to), Some(value)) = (value_at(TcpFields(&sent), kind), from) {
            put(&mut sent, to, value);
        }
    }
    sent
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Where the value of an option stands in a segment.
fn value_at(tcp: TcpFields<'_>, kind: u8) -> Option<usize> {
    let mut at = FIXED_LEN;
    for option in TcpOptions::new(tcp.options()).map_while(Result::ok) {
        if option.kind == kind {
            return Some(at + 2);
        }
        at += match option.kind {
            0 | 1 => 1,
            _ => option.data().len() + 2,
        };
    }
    None
}

/// The packet around it; of its IP header only the addresses are known.
fn as_packet(route: &Route, attempt: &Attempt, sent: &[u8]) -> Vec<u8> {
    let tcp = TcpFields(sent);
    let packet = Packet {
        source: attempt.source,
        destination: route.target,
        ttl: attempt.ttl,
        tos: 0,
        ip_id: 0,
        flow_label: 0,
        seq: tcp.seq().unwrap_or(TcpSeq(0)),
        ack: TcpSeq(0),
        flags: Flags::SYN,
        window: tcp.window().unwrap_or(0),
        options: tcp.options().to_vec(),
        payload: Vec::new(),
    };
    packet.emit().unwrap_or_default()
}

fn as_answer(route: &Route, attempt: &Attempt, sent: &[u8]) -> Option<Answer> {
    let (at, reply) = attempt.answer.as_ref()?;
    let (from, kind) = match reply {
        Reply::Error(error) => (error.from, as_error(error, sent, route.target.is_ipv4())?),
        Reply::Connected => (route.target.ip(), as_segment(Flags::SYN.with(Flags::ACK))),
        Reply::Refused => (route.target.ip(), as_segment(Flags::RST.with(Flags::ACK))),
    };
    Some(Answer {
        at: *at,
        from,
        // The kernel keeps it to itself.
        ttl: 0,
        kind,
    })
}

fn as_error(error: &QueuedError, sent: &[u8], is_v4: bool) -> Option<AnswerKind> {
    let has_reference = sent.len() > FIXED_LEN;
    let comparison = if has_reference {
        compare_tcp(sent, &error.quote)
    } else {
        Comparison {
            tcp_len: error.quote.len(),
            ..Comparison::default()
        }
    };
    Some(AnswerKind::Error {
        kind: kind(error, is_v4)?,
        comparison,
        quote: error.quote.clone(),
        extension: Vec::new(),
    })
}

fn as_segment(flags: Flags) -> AnswerKind {
    AnswerKind::Segment(SegmentAnswer {
        flags,
        seq: 0,
        ack: 0,
        window: UNKNOWN_WINDOW,
        tos: 0,
        options: Vec::new(),
        payload_len: 0,
    })
}

/// RFC 792, RFC 4443.
fn kind(error: &QueuedError, is_v4: bool) -> Option<ErrorKind> {
    match (is_v4, error.icmp_type) {
        (true, 11) | (false, 3) => Some(ErrorKind::TimeExceeded),
        (true, 3) if error.icmp_code == 4 => Some(ErrorKind::TooBig(error.info)),
        (true, 3) | (false, 1) => Some(ErrorKind::Unreachable(error.icmp_code)),
        (false, 2) => Some(ErrorKind::TooBig(error.info)),
        _ => None,
    }
}

/// The kernel repeats a SYN after a second: an answer to the second one comes in time too.
const PATIENCE: Duration = Duration::from_millis(1300);
const FULL_TTL: u8 = 64;
/// Routers in a row that do not answer before the way is given up, if the target does not answer either.
const GIVE_UP: u8 = 5;
const SEQ_AT: usize = 4;
/// RFC 2385.
const KIND_MD5: u8 = 19;
/// The kernel does not tell it; zero would look like a SYN proxy.
const UNKNOWN_WINDOW: u16 = u16::MAX;

#[cfg(test)]
mod tests;
