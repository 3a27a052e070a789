//! One direction of a link: what it does to packets, and how that is written.

use std::time::Duration;

use super::LinkError;
use super::quantity::{self, RATE, SHARE, SIZE, TIME, Units};
use crate::middlebox::spec::Probability;

/// What one direction of a link does to packets, in this order: outage, MTU, queue and rate, loss,
/// corruption, delay with jitter, reordering, duplication. The default does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Bits per second of whole IP packets; none is infinitely fast, without a queue.
    pub rate: Option<u64>,
    /// Propagation delay.
    pub delay: Duration,
    /// What waits at most for its turn; the packet that is being sent does not count.
    pub queue: Queue,
    /// ECN-capable packets that wait longer are marked (RFC 3168 §5).
    pub mark: Option<Duration>,
    /// Loss of each packet, after it took its time on the link.
    pub loss: Probability,
    /// The bad state of Gilbert's model, in which everything is lost.
    pub burst: Option<Burst>,
    /// Numbers of the packets that are lost, counted from 1.
    pub drop: Vec<u64>,
    /// Each packet is lost whose number is a multiple.
    pub every: Option<u64>,
    /// Further delay, uniform between nothing and this.
    pub jitter: Duration,
    /// Whether packets overtake each other by jitter.
    pub overtake: bool,
    /// A packet waits so long that later ones pass it.
    pub reorder: Option<(Probability, Duration)>,
    /// A packet arrives twice.
    pub duplicate: Probability,
    /// A bit behind the IP header flips, and no checksum is mended.
    pub corrupt: Probability,
    /// Largest packet.
    pub mtu: Option<Mtu>,
    /// When nothing passes, from and to, since the start.
    pub down: Vec<(Duration, Duration)>,
}

/// How much waits for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// So many bytes.
    Bytes(u64),
    /// So many packets.
    Packets(u64),
    /// As many bytes as the link sends in this time.
    Time(Duration),
}

/// When packets are lost in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// A burst begins, asked at every packet.
    pub start: Probability,
    /// It ends, asked at every packet.
    pub end: Probability,
}

/// The largest packet, and what becomes of larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mtu {
    /// Its bytes, IP header included.
    pub bytes: usize,
    /// Whether the sender of a larger one hears nothing (RFC 2923 §2.1).
    pub is_silent: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            queue: Queue::Packets(USUAL_QUEUE),
            mark: None,
            loss: Probability::NEVER,
            burst: None,
            drop: Vec::new(),
            every: None,
            jitter: Duration::ZERO,
            overtake: false,
            reorder: None,
            duplicate: Probability::NEVER,
            corrupt: Probability::NEVER,
            mtu: None,
            down: Vec::new(),
        }
    }
}

impl Lane {
    /// Whether nothing passes at this time.
    pub fn is_down(&self, now: Duration) -> bool {
        self.down.iter().any(|(from, to)| *from <= now && now < *to)
    }

    /// Takes one word of the text form.
    pub(super) fn set(&mut self, word: &str) -> Result<(), LinkError> {
        let Some((key, value)) = word.split_once('=') else {
            return self.set_bare(word);
        };
        let allowed = match self.set_value(key, value) {
            Some(Ok(())) => return Ok(()),
            Some(Err(allowed)) => allowed,
            None => return Err(LinkError::Word(word.to_owned())),
        };
        Err(LinkError::Value {
            word: word.to_owned(),
            allowed,
        })
    }

    fn set_bare(&mut self, word: &str) -> Result<(), LinkError> {
        if let Some(rate) = quantity::read(word, RATE).filter(|rate| *rate > 0) {
            self.rate = Some(rate);
        } else if let Some(delay) = time(word) {
            self.delay = delay;
        } else if word == "overtake" {
            self.overtake = true;
        } else {
            return Err(LinkError::Word(word.to_owned()));
        }
        Ok(())
    }

    /// None if there is no such key; what is possible if the value does not fit.
    fn set_value(&mut self, key: &str, value: &str) -> Option<Result<(), &'static str>> {
        fn put<T>(
            place: &mut T,
            value: Option<T>,
            allowed: &'static str,
        ) -> Result<(), &'static str> {
            value.map(|value| *place = value).ok_or(allowed)
        }
        Some(match key {
            "queue" => put(&mut self.queue, queue(value), "as 80ms, 64kB or 50p"),
            "mark" => put(&mut self.mark, time(value).map(Some), A_TIME),
            "loss" => put(&mut self.loss, share(value), A_SHARE),
            "burst" => put(&mut self.burst, burst(value).map(Some), "START%/END%"),
            "drop" => put(&mut self.drop, list(value, positive), "numbers with `/`"),
            "every" => put(&mut self.every, positive(value).map(Some), "a number"),
            "jitter" => put(&mut self.jitter, time(value), A_TIME),
            "reorder" => put(&mut self.reorder, reorder(value).map(Some), "SHARE%/TIME"),
            "duplicate" => put(&mut self.duplicate, share(value), A_SHARE),
            "corrupt" => put(&mut self.corrupt, share(value), A_SHARE),
            "mtu" => put(
                &mut self.mtu,
                mtu(value).map(Some),
                "BYTES or BYTES/silent, 68 or more",
            ),
            "down" => put(&mut self.down, list(value, span), "FROM..TO with `/`"),
            _ => return None,
        })
    }

    /// The words that make it, each with what they set.
    pub(super) fn words(&self) -> Vec<(&'static str, String)> {
        let default = Self::default();
        let mut words = Vec::new();
        let mut say = |key, value: Option<String>| words.extend(value.map(|value| (key, value)));
        let unless = |usual: bool, text: String| (!usual).then_some(text);
        say("", self.rate.map(|rate| quantity::write(rate, RATE)));
        say("delay", unless(self.delay.is_zero(), nanos(self.delay)));
        say(
            "queue",
            unless(self.queue == default.queue, self.queue.text()),
        );
        say("mark", self.mark.map(nanos));
        say(
            "loss",
            unless(self.loss == default.loss, percent(self.loss)),
        );
        let burst = self
            .burst
            .map(|burst| [burst.start, burst.end].map(percent).join("/"));
        say("burst", burst);
        let numbers: Vec<String> = self.drop.iter().map(u64::to_string).collect();
        say("drop", unless(numbers.is_empty(), numbers.join("/")));
        say("every", self.every.map(|number| number.to_string()));
        say("jitter", unless(self.jitter.is_zero(), nanos(self.jitter)));
        say("overtake", unless(!self.overtake, "overtake".to_owned()));
        let reorder = self
            .reorder
            .map(|(share, by)| format!("{}/{}", percent(share), nanos(by)));
        say("reorder", reorder);
        say(
            "duplicate",
            unless(self.duplicate == default.duplicate, percent(self.duplicate)),
        );
        say(
            "corrupt",
            unless(self.corrupt == default.corrupt, percent(self.corrupt)),
        );
        say("mtu", self.mtu.map(Mtu::text));
        let spans: Vec<String> = self
            .down
            .iter()
            .map(|(from, to)| format!("{}..{}", nanos(*from), nanos(*to)))
            .collect();
        say("down", unless(spans.is_empty(), spans.join("/")));
        words
    }
}

impl Queue {
    /// Whether so much may wait on a link of this rate.
    pub(super) fn holds(self, bytes: u64, packets: u64, rate: u64) -> bool {
        match self {
            Self::Bytes(limit) => bytes <= limit,
            Self::Packets(limit) => packets <= limit,
            Self::Time(limit) => {
                u128::from(bytes) * 8_000_000_000 <= limit.as_nanos() * u128::from(rate)
            }
        }
    }

    fn text(self) -> String {
        match self {
            Self::Bytes(bytes) => quantity::write(bytes, SIZE),
            Self::Packets(packets) => format!("{packets}p"),
            Self::Time(time) => nanos(time),
        }
    }
}

impl Mtu {
    fn text(self) -> String {
        let silent = if self.is_silent { "/silent" } else { "" };
        format!("{}{silent}", self.bytes)
    }
}

pub(super) fn time(text: &str) -> Option<Duration> {
    quantity::read(text, TIME).map(Duration::from_nanos)
}

pub(super) fn nanos(time: Duration) -> String {
    quantity::write(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), TIME)
}

fn share(text: &str) -> Option<Probability> {
    let millionths = u32::try_from(quantity::read(text, SHARE)?).ok()?;
    (millionths <= Probability::ONE).then(|| Probability::from_millionths(millionths))
}

fn percent(share: Probability) -> String {
    quantity::write(share.millionths().into(), SHARE)
}

fn positive(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number > 0)
}

fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split('/').map(one).collect()
}

fn span(text: &str) -> Option<(Duration, Duration)> {
    let (from, to) = text.split_once("..")?;
    let span = (time(from)?, time(to)?);
    (span.0 < span.1).then_some(span)
}

fn queue(text: &str) -> Option<Queue> {
    let packets = text.strip_suffix('p').and_then(|count| count.parse().ok());
    let bytes = |units: Units| quantity::read(text, units);
    packets
        .map(Queue::Packets)
        .or_else(|| bytes(SIZE).map(Queue::Bytes))
        .or_else(|| time(text).map(Queue::Time))
}

fn burst(text: &str) -> Option<Burst> {
    let (start, end) = text.split_once('/')?;
    let (start, end) = (share(start)?, share(end)?);
    Some(Burst { start, end })
}

fn reorder(text: &str) -> Option<(Probability, Duration)> {
    let (often, by) = text.split_once('/')?;
    Some((share(often)?, time(by)?))
}

fn mtu(text: &str) -> Option<Mtu> {
    let (bytes, is_silent) = match text.strip_suffix("/silent") {
        Some(bytes) => (bytes, true),
        None => (text, false),
    };
    let bytes = bytes.parse().ok().filter(|bytes| *bytes >= LEAST_MTU)?;
    Some(Mtu { bytes, is_silent })
}

/// What Linux queues on a device.
const USUAL_QUEUE: u64 = 1000;
/// RFC 791 §3.2: every link takes so much.
const LEAST_MTU: usize = 68;
const A_TIME: &str = "a time as 5ms";
const A_SHARE: &str = "from 0% to 100%, with four decimals at most";
