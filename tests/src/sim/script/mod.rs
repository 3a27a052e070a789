//! Applications as a list of steps: send, wait, close; and how to read meanwhile.
//!
//! ```
//! use mptcp_tests::sim::{Script, ms};
//!
//! let upload = Script::new("upload").send(1_000_000).close();
//! let server = Script::new("server").echo();
//! let voice = Script::new("voice").send_at(64_000, 80_000).wait(ms(500)).close();
//! # drop((upload, server, voice));
//! ```

mod outcome;
mod stream;

use std::collections::VecDeque;
use std::time::Duration;

use mptcp_proto::time::Instant;

use super::application::{Application, Socket, SocketState};

pub use outcome::{Block, MAX_BLOCKS, Outcome};
pub use stream::Stream;

use outcome::Inbox;

/// An application made of steps. What it sends is [`Stream`] of its name, in blocks with the time
/// where it was told so.
#[derive(Debug)]
pub struct Script {
    text: String,
    steps: VecDeque<Step>,
    reading: Reading,
    outbox: Outbox,
    inbox: Inbox,
    wakes: Option<Instant>,
    state: Option<SocketState>,
    is_closed: bool,
    is_early: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Send {
        left: u64,
    },
    SendAt {
        bits_per_second: u64,
        bytes: u64,
        begun: Option<(Instant, u64)>,
    },
    Blocks {
        size: usize,
        left: u64,
    },
    Wait {
        time: Duration,
        until: Option<Instant>,
    },
    WaitFor {
        bytes: u64,
    },
    WaitForEnd,
    Close,
    Abort,
}

/// How an application reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    AtOnce,
    NotBefore(Instant),
    Slowly { bits_per_second: u64 },
    Echo,
}

/// What was made and not yet taken by the socket.
#[derive(Debug)]
struct Outbox {
    stream: Stream,
    pending: Vec<u8>,
    sent: u64,
    hash: outcome::Hash,
}

impl Script {
    /// One that does nothing but read.
    pub fn new(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            steps: VecDeque::new(),
            reading: Reading::AtOnce,
            outbox: Outbox {
                stream: Stream::new(name),
                pending: Vec::new(),
                sent: 0,
                hash: outcome::Hash::default(),
            },
            inbox: Inbox::default(),
            wakes: None,
            state: None,
            is_closed: false,
            is_early: false,
        }
    }

    /// It does not wait until it is connected, so that its first data may go with the SYN.
    #[must_use]
    pub fn early(mut self) -> Self {
        self.text.push_str(" early");
        self.is_early = true;
        self
    }

    fn then(mut self, text: &str, step: Step) -> Self {
        self.text = format!("{} {text}", self.text);
        self.steps.push_back(step);
        self
    }

    fn reads(mut self, text: &str, reading: Reading) -> Self {
        self.text = format!("{} {text}", self.text);
        self.reading = reading;
        self
    }

    /// Sends so many bytes as fast as the connection takes them.
    #[must_use]
    pub fn send(self, bytes: u64) -> Self {
        self.then(&format!("send={bytes}"), Step::Send { left: bytes })
    }

    /// Sends so many bytes at this rate.
    #[must_use]
    pub fn send_at(self, bits_per_second: u64, bytes: u64) -> Self {
        let step = Step::SendAt {
            bits_per_second,
            bytes,
            begun: None,
        };
        self.then(&format!("send={bytes}@{bits_per_second}bit"), step)
    }

    /// Sends so many blocks of this size as fast as the connection takes them. Each begins with its
    /// time, for [`Script::expect_blocks`] at the other host.
    #[must_use]
    pub fn blocks(self, size: usize, count: u64) -> Self {
        let size = size.max(outcome::STAMP);
        self.then(
            &format!("blocks={count}x{size}"),
            Step::Blocks { size, left: count },
        )
    }

    /// Waits for this time.
    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        self.then(&format!("wait={time:?}"), Step::Wait { time, until: None })
    }

    /// Waits until so many bytes have been read, all steps counted together.
    #[must_use]
    pub fn wait_for(self, bytes: u64) -> Self {
        self.then(&format!("wait-for={bytes}"), Step::WaitFor { bytes })
    }

    /// Waits until the other host has sent all.
    #[must_use]
    pub fn wait_for_end(self) -> Self {
        self.then("wait-for-end", Step::WaitForEnd)
    }

    /// Sends nothing more.
    #[must_use]
    pub fn close(self) -> Self {
        self.then("close", Step::Close)
    }

    /// Resets the connection.
    #[must_use]
    pub fn abort(self) -> Self {
        self.then("abort", Step::Abort)
    }

    /// Sends back what it reads, and closes when the other host did. Its steps come before that.
    #[must_use]
    pub fn echo(self) -> Self {
        self.reads("echo", Reading::Echo)
    }

    /// Does not read before this time.
    #[must_use]
    pub fn read_from(self, at: Instant) -> Self {
        self.reads(&format!("read-from={at}"), Reading::NotBefore(at))
    }

    /// Reads no faster than this.
    #[must_use]
    pub fn read_at(self, bits_per_second: u64) -> Self {
        self.reads(
            &format!("read-at={bits_per_second}bit"),
            Reading::Slowly { bits_per_second },
        )
    }

    /// Takes what it reads for blocks of this size and notes when each one is complete.
    #[must_use]
    pub fn expect_blocks(mut self, size: usize) -> Self {
        self.text = format!("{} expect-blocks={size}", self.text);
        self.inbox.block_size = Some(size.max(outcome::STAMP));
        self
    }

    /// The script as one line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it has seen so far.
    pub fn outcome(&self) -> Outcome {
        self.inbox
            .outcome(self.state, self.outbox.sent, &self.outbox.hash)
    }

    /// A stack may forget a connection that has ended.
    fn note_state(&mut self, socket: &dyn Socket) {
        if self.state != Some(SocketState::Closed) {
            self.state = Some(socket.state());
        }
    }

    fn read(&mut self, now: Instant, socket: &mut dyn Socket) {
        let mut buffer = [0; READ_SIZE];
        loop {
            let most = self.may_read(now).min(READ_SIZE);
            let len = socket.read(&mut buffer[..most]);
            let bytes = &buffer[..len];
            if len == 0 {
                break;
            }
            self.inbox.take(now, bytes);
            if self.reading == Reading::Echo {
                self.outbox.pending.extend(bytes);
            }
        }
        if socket.is_at_end() {
            self.inbox.end(now);
        }
    }

    /// How much may be read now; zero sets the time to wake up.
    fn may_read(&mut self, now: Instant) -> usize {
        match self.reading {
            Reading::AtOnce => READ_SIZE,
            Reading::Echo if self.outbox.pending.len() < READ_SIZE => READ_SIZE,
            Reading::Echo => 0,
            Reading::NotBefore(at) if now >= at => READ_SIZE,
            Reading::NotBefore(at) => {
                self.wake(at);
                0
            }
            Reading::Slowly { bits_per_second } => {
                let since = now.since(self.inbox.opened_at.unwrap_or(now));
                let due = bytes_in(since, bits_per_second);
                let room = due.saturating_sub(self.inbox.received);
                if room == 0 {
                    self.wake(now + TICK);
                }
                usize::try_from(room).unwrap_or(READ_SIZE)
            }
        }
    }

    /// What was read goes back, and makes room to read more.
    fn echo_back(&mut self, now: Instant, socket: &mut dyn Socket) {
        while self.flush(socket) {
            let before = self.inbox.received;
            self.read(now, socket);
            if self.inbox.received > before {
                continue;
            }
            if self.inbox.ended_at.is_some() && !self.is_closed {
                self.is_closed = true;
                socket.shutdown_write();
            }
            break;
        }
    }

    fn wake(&mut self, at: Instant) {
        self.wakes = Some(self.wakes.map_or(at, |wakes| wakes.min(at)));
    }

    /// Hands over what is pending; whether all of it was taken.
    fn flush(&mut self, socket: &mut dyn Socket) -> bool {
        let outbox = &mut self.outbox;
        while !outbox.pending.is_empty() {
            let taken = socket.write(&outbox.pending).min(outbox.pending.len());
            if taken == 0 {
                return false;
            }
            outbox.hash.add(&outbox.pending[..taken]);
            outbox.sent += taken as u64;
            outbox.pending.drain(..taken);
        }
        true
    }

    /// Works on the first step; whether it is done.
    fn work(&mut self, now: Instant, step: &mut Step, socket: &mut dyn Socket) -> bool {
        match step {
            Step::Send { left } => {
                while *left > 0 {
                    self.outbox.make(left);
                    if !self.flush(socket) {
                        return false;
                    }
                }
                true
            }
            Step::SendAt {
                bits_per_second,
                bytes,
                begun,
            } => {
                let (start, made) = begun.get_or_insert((now, 0));
                // A device has a clock of its own: what arrives does not make it send.
                let ticks = now.since(*start).as_nanos() / TICK.as_nanos();
                let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
                let due = bytes_in(TICK * ticks, *bits_per_second).min(*bytes);
                let mut left = due.saturating_sub(*made);
                *made = due;
                let over = due == *bytes;
                if !over {
                    self.wake(*start + TICK * ticks.saturating_add(1));
                }
                while left > 0 {
                    self.outbox.make(&mut left);
                    // What the connection does not take now waits here, as in a device.
                }
                self.flush(socket) && over
            }
            Step::Blocks { size, left } => {
                while *left > 0 {
                    self.outbox.make_block(now, *size);
                    *left -= 1;
                    if !self.flush(socket) {
                        return false;
                    }
                }
                true
            }
            Step::Wait { time, until } => {
                let until = *until.get_or_insert(now + *time);
                if until > now {
                    self.wake(until);
                }
                until <= now
            }
            Step::WaitFor { bytes } => self.inbox.received >= *bytes,
            Step::WaitForEnd => self.inbox.ended_at.is_some(),
            Step::Close => {
                socket.shutdown_write();
                true
            }
            Step::Abort => {
                socket.abort();
                true
            }
        }
    }
}

impl Outbox {
    fn make(&mut self, left: &mut u64) {
        let len = (*left).min(CHUNK);
        *left -= len;
        let sent = self.sent + self.pending.len() as u64;
        self.stream.append(sent, len, &mut self.pending);
    }

    fn make_block(&mut self, now: Instant, size: usize) {
        let at = self.sent + self.pending.len() as u64;
        let start = self.pending.len();
        self.stream.append(at, size as u64, &mut self.pending);
        if let Some(stamp) = self.pending[start..].first_chunk_mut() {
            *stamp = now.as_nanos().to_be_bytes();
        }
    }
}

impl Application for Script {
    fn run(&mut self, now: Instant, socket: &mut dyn Socket) {
        self.wakes = None;
        self.note_state(socket);
        self.inbox.note_state(now, socket.state());
        if socket.state() == SocketState::Connecting && !self.is_early {
            return;
        }
        self.read(now, socket);
        while self.flush(socket)
            && let Some(mut step) = self.steps.pop_front()
        {
            if !self.work(now, &mut step, socket) {
                self.steps.push_front(step);
                break;
            }
        }
        if self.reading == Reading::Echo && self.steps.is_empty() {
            self.echo_back(now, socket);
        }
        self.note_state(socket);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.wakes
    }

    fn is_done(&self) -> bool {
        let ended = self.inbox.ended_at.is_some() || self.state == Some(SocketState::Closed);
        let failed = self.state == Some(SocketState::Failed);
        failed || ended && self.steps.is_empty() && self.outbox.pending.is_empty()
    }
}

fn bytes_in(time: Duration, bits_per_second: u64) -> u64 {
    let bytes = time.as_nanos() * u128::from(bits_per_second) / 8_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

const READ_SIZE: usize = 16 * 1024;
/// How much is made at once, so that little is made for a connection that is full.
const CHUNK: u64 = 16 * 1024;
/// How often something is done that goes on at a rate.
const TICK: Duration = Duration::from_millis(10);
