//! A TCP connection, segment by segment in virtual time.

mod attack;
mod close;
mod hostile;
mod open;
mod options;
mod recovery;
mod timers;
mod window;

use std::time::Duration;

use mptcp_proto::data::Payload;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::{
    AckSample, Config, CongestionHook, Outgoing, Path, Received, SendLimits, State, Tcp, TimedOut,
};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::{Ecn, Flags, Segment};
use mptcp_proto::wire::tcp_option::{TcpOptionValue, TcpOptions};

const FIN: Flags = Flags::FIN;
const SYN: Flags = Flags::SYN;
const RST: Flags = Flags::RST;
const ACK: Flags = Flags::ACK;
/// Number of our SYN: our first byte is 1001.
const ISS: u32 = 1000;
/// Number of the peer's SYN: its first byte is 5001.
const IRS: u32 = 5000;
const MSS: usize = 1000;

/// A window that only a test moves, and a count of what is told.
#[derive(Debug)]
struct Hook {
    cwnd: u64,
    acked: u64,
    losses: u32,
    recoveries: u32,
    timeouts: u32,
    undone: u32,
}

impl CongestionHook for Hook {
    fn on_ack(&mut self, _now: Instant, sample: &AckSample) {
        self.acked += sample.acked;
    }

    fn on_loss(&mut self, _now: Instant, _in_flight: u64) {
        self.losses += 1;
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.recoveries += 1;
    }

    fn on_timeout(&mut self, _now: Instant, _in_flight: u64, _is_first: bool) {
        self.timeouts += 1;
    }

    fn on_undo(&mut self, _now: Instant) {
        self.undone += 1;
    }

    fn cwnd(&self) -> u64 {
        self.cwnd
    }

    fn ssthresh(&self) -> u64 {
        u64::MAX
    }
}

/// A segment of the peer, which announces 64,000 bytes unless it says otherwise.
#[derive(Debug, Clone, Copy)]
struct Peer<'a> {
    seq: u32,
    ack: u32,
    flags: Flags,
    payload: &'a [u8],
    window: u16,
    options: &'a [u8],
    ecn: Ecn,
}

const fn peer(seq: u32, ack: u32, flags: Flags) -> Peer<'static> {
    Peer {
        seq,
        ack,
        flags,
        payload: &[],
        window: 64_000,
        options: &[],
        ecn: Ecn::NotCapable,
    }
}

impl<'a> Peer<'a> {
    const fn data(self, payload: &'a [u8]) -> Self {
        Self { payload, ..self }
    }

    const fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }

    const fn options(self, options: &'a [u8]) -> Self {
        Self { options, ..self }
    }
}

/// A connection and its clock.
struct Bench {
    tcp: Tcp,
    now: Instant,
    hook: Hook,
    limits: SendLimits,
}

fn path() -> Path {
    Path {
        local: "10.0.0.1:40000".parse().unwrap(),
        remote: "10.0.0.2:80".parse().unwrap(),
    }
}

/// No options but the segment size, so that segments have 1000 bytes.
fn plain() -> Config {
    Config {
        mtu: 1040,
        window_scale: None,
        timestamps: None,
        sack: false,
        nagle: false,
        ..Config::default()
    }
}

fn with_sack() -> Config {
    Config {
        sack: true,
        ..plain()
    }
}

const MSS_OPTION: [u8; 4] = [2, 4, 3, 232];
const MSS_AND_SACK: [u8; 8] = [2, 4, 3, 232, 1, 1, 4, 2];

impl Bench {
    fn with(tcp: impl FnOnce(Instant) -> Tcp) -> Self {
        let now = Instant::from_millis(1000);
        Self {
            tcp: tcp(now),
            now,
            hook: Hook {
                cwnd: 100_000,
                acked: 0,
                losses: 0,
                recoveries: 0,
                timeouts: 0,
                undone: 0,
            },
            limits: SendLimits {
                cwnd: 100_000,
                window: 65_535,
                reserve: 0,
                reserve_ack: 0,
                not_before: Instant::ZERO,
            },
        }
    }

    fn connect(config: &Config) -> Self {
        Self::with(|now| Tcp::connect(config, path(), TcpSeq(ISS), now))
    }

    fn accept(config: &Config, syn: Peer<'_>) -> Self {
        Self::with(|now| Tcp::accept(config, path(), TcpSeq(ISS), &segment(syn), now))
    }

    /// An active open that the peer answered after 100 ms.
    #[track_caller]
    fn established(config: &Config) -> Self {
        let mut bench = Self::connect(config);
        assert_eq!(bench.sent_flags(), [SYN]);
        bench.wait(100);
        let options: &[u8] = if config.sack {
            &MSS_AND_SACK
        } else {
            &MSS_OPTION
        };
        let syn_ack = peer(IRS, ISS + 1, SYN.with(ACK)).options(options);
        assert!(bench.receive(syn_ack).accepted);
        assert_eq!(bench.sent_flags(), [ACK]);
        assert_eq!(bench.tcp.state(), State::Established);
        bench
    }

    fn receive(&mut self, from: Peer<'_>) -> Received {
        self.tcp
            .handle_segment(self.now, &segment(from), &mut self.hook)
    }

    /// All that is to be sent now.
    fn sent(&mut self) -> Vec<Outgoing> {
        let all = std::iter::from_fn(|| self.tcp.poll_transmit(self.now, &self.limits));
        let sent: Vec<Outgoing> = all.take(1000).collect();
        assert!(sent.len() < 1000, "it does not stop sending");
        sent
    }

    fn sent_flags(&mut self) -> Vec<Flags> {
        self.sent().iter().map(|sent| sent.flags).collect()
    }

    /// Where the data lies that is to be sent now, in our stream.
    fn sent_data(&mut self) -> Vec<(u64, u64)> {
        let sent = self.sent();
        let data = sent.into_iter().filter(|sent| !sent.payload.is_empty());
        data.map(|sent| (sent.stream.start, sent.stream.end))
            .collect()
    }

    /// Sends nothing.
    #[track_caller]
    fn silent(&mut self) {
        let sent = self.sent();
        assert!(sent.is_empty(), "{sent:?}");
    }

    fn push(&mut self, len: usize) {
        self.tcp.push(Payload::from(vec![7; len]), 0);
    }

    /// Lets time go by, without deadlines.
    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// Moves on to the next deadline; how long that took, in milliseconds, and what it brought.
    #[track_caller]
    fn deadline(&mut self) -> (u64, TimedOut) {
        let at = self.tcp.poll_timeout().expect("nothing is due");
        let took = at.since(self.now);
        self.now = self.now.max(at);
        let result = self.tcp.handle_timeout(self.now, &mut self.hook);
        (u64::try_from(took.as_millis()).unwrap(), result)
    }

    /// A SACK of these ranges of our stream, and an acknowledgement of what is before `until`.
    fn sack(&mut self, until: u32, blocks: &[(u32, u32)]) -> Received {
        let mut options = vec![1, 1, 5, u8::try_from(2 + 8 * blocks.len()).unwrap()];
        for (from, to) in blocks {
            options.extend((ISS + 1 + from).to_be_bytes());
            options.extend((ISS + 1 + to).to_be_bytes());
        }
        self.receive(peer(IRS + 1, ISS + 1 + until, ACK).options(&options))
    }
}

fn segment(from: Peer<'_>) -> Segment<'_> {
    let Path { local, remote } = path();
    Segment {
        source: remote,
        destination: local,
        seq: TcpSeq(from.seq),
        ack: TcpSeq(from.ack),
        flags: from.flags,
        window: from.window,
        urgent: 0,
        ecn: from.ecn,
        options: from.options,
        payload: from.payload,
        payload_sum: None,
    }
}

/// The SACK blocks of a segment of ours.
fn sack_blocks(sent: &Outgoing) -> Vec<(u32, u32)> {
    let options = TcpOptions::new(sent.area.as_bytes()).flatten();
    options
        .filter_map(|option| match option.value() {
            TcpOptionValue::Sack(blocks) => Some(blocks.iter().collect::<Vec<_>>()),
            _ => None,
        })
        .flatten()
        .collect()
}
