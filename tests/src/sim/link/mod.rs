//! What a path consists of: links with their accidents, and middleboxes, in a row.
//!
//! ```text
//! path  = stage *( "|" stage )          from the client's end to the server's
//! stage = link / box                    box as in `middlebox::spec`; `nat:ADDRESS`, `nat:ADDRESS/30s`
//! link  = word *( " " word )            a word for both directions, `>word` to the server, `<word`
//! word  = 10mbit / 40ms / queue=80ms / queue=64kB / queue=50p / mark=5ms
//!       / loss=1% / burst=0.5%/25% / drop=3/17 / every=100 / jitter=5ms / overtake
//!       / reorder=1%/10ms / duplicate=1% / corrupt=1% / mtu=1400 / mtu=1400/silent
//!       / down=1s..2s/5s..6s
//! ```

mod lane;
mod nat;
mod pipe;
mod quantity;
mod too_big;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::seed::Seed;
use crate::middlebox::flow_table::PerDirection;
use crate::middlebox::spec::{self, Spec, SpecError};
use crate::middlebox::{Departure, Direction, Middlebox};

pub use lane::{Burst, Lane, Mtu, Queue};
pub use nat::{MAX_NAT_FLOWS, Nat, NatPlan};
pub use pipe::MAX_WAITING;

/// What stands on a path: a middlebox that may have a queue.
pub trait Element: Middlebox {
    /// What waits in it now.
    fn backlog(&self, _now: Duration, _direction: Direction) -> Backlog {
        Backlog::default()
    }

    /// What it has dropped, as far as it tells.
    fn drops(&self, _direction: Direction) -> Drops {
        Drops::default()
    }
}

/// What waits in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Whole packets, IP headers included.
    pub bytes: u64,
    /// How many.
    pub packets: u64,
}

/// Packets that a link dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// The link was down.
    pub down: u64,
    /// They were larger than its MTU.
    pub too_big: u64,
    /// The queue was full.
    pub queue: u64,
    /// They were lost on their way.
    pub lost: u64,
}

/// A path between two hosts, from the client's end to the server's.
#[derive(Default)]
pub struct Link {
    stages: Vec<Stage>,
}

enum Stage {
    Pipe(Box<PerDirection<Lane>>),
    Boxes(Spec),
    Nat(NatPlan),
    Own(String, Box<dyn Middlebox>),
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No word of a link.
    #[error("`{0}` is no word of a link")]
    Word(String),
    /// The value does not fit its key.
    #[error("`{word}` should be {allowed}")]
    Value {
        /// What was given.
        word: String,
        /// What is possible.
        allowed: &'static str,
    },
    /// A NAT without an address.
    #[error("`{0}` should be nat:ADDRESS or nat:ADDRESS/TIME")]
    Nat(String),
    /// A middlebox that does not parse.
    #[error(transparent)]
    Box(#[from] SpecError),
}

impl Link {
    /// A link with this propagation delay in each direction and nothing else.
    pub fn new(delay: Duration) -> Self {
        let lane = Lane {
            delay,
            ..Lane::default()
        };
        Self::lanes(lane.clone(), lane)
    }

    /// A link with different directions.
    pub fn lanes(to_server: Lane, to_client: Lane) -> Self {
        let lanes = PerDirection {
            to_server,
            to_client,
        };
        Self {
            stages: vec![Stage::Pipe(Box::new(lanes))],
        }
    }

    /// A path by its text.
    ///
    /// # Panics
    /// When it is none: the text stands in a test.
    pub fn of(text: &str) -> Self {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Behind it, as seen from the client, the stages of this text.
    ///
    /// # Panics
    /// When the text is no path.
    #[must_use]
    pub fn through(mut self, text: &str) -> Self {
        self.stages.extend(Self::of(text).stages);
        self
    }

    /// Behind it a box of the test's own.
    #[must_use]
    pub fn through_box(mut self, name: &str, middlebox: impl Middlebox + 'static) -> Self {
        let stage = Stage::Own(name.to_owned(), Box::new(middlebox));
        self.stages.push(stage);
        self
    }

    /// Behind it a place where each packet is lost for which the test says so.
    #[must_use]
    pub fn drop_if(
        self,
        name: &str,
        is_lost: impl FnMut(Direction, &[u8]) -> bool + Send + 'static,
    ) -> Self {
        self.through_box(name, DropIf(is_lost))
    }

    /// The addresses behind which its NATs hide the near end.
    pub(super) fn nat_addresses(&self) -> Vec<IpAddr> {
        let address = |stage: &Stage| match stage {
            Stage::Nat(plan) => Some(plan.address),
            _ => None,
        };
        self.stages.iter().filter_map(address).collect()
    }

    /// Makes the elements, each with its name.
    pub(super) fn build(self, seed: Seed) -> Vec<(String, Box<dyn Element>)> {
        // A generator is known by how many links come before, so that a box changes no link.
        let mut pipes = 0;
        let build = |stage: Stage| {
            let name = stage.to_string();
            let element: Box<dyn Element> = match stage {
                Stage::Pipe(lanes) => {
                    pipes += 1;
                    Box::new(pipe::Pipe::new(
                        &lanes,
                        seed.derive(&format!("link {pipes}")),
                    ))
                }
                Stage::Boxes(spec) => Box::new(Plain(spec.build())),
                Stage::Nat(plan) => Box::new(Plain(Box::new(Nat::new(plan)))),
                Stage::Own(_, middlebox) => Box::new(Plain(middlebox)),
            };
            (name, element)
        };
        self.stages.into_iter().map(build).collect()
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let stages = text.split('|').map(|stage| stage.trim().parse());
        Ok(Self {
            stages: stages.collect::<Result<_, _>>()?,
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<String> = self.stages.iter().map(ToString::to_string).collect();
        f.write_str(&stages.join(" | "))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Stage {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let name = text.split([':', '+']).next().unwrap_or_default();
        if name == "nat" {
            let error = || LinkError::Nat(text.to_owned());
            return nat_plan(text).map(Self::Nat).ok_or_else(error);
        }
        if spec::ALL.iter().any(|entry| entry.name == name) {
            return Ok(Self::Boxes(text.parse()?));
        }
        let mut lanes = PerDirection::<Lane>::default();
        for word in text.split_whitespace() {
            if let Some(word) = word.strip_prefix('>') {
                lanes.to_server.set(word)?;
            } else if let Some(word) = word.strip_prefix('<') {
                lanes.to_client.set(word)?;
            } else {
                lanes.to_server.set(word)?;
                lanes.to_client.set(word)?;
            }
        }
        Ok(Self::Pipe(Box::new(lanes)))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipe(lanes) => f.write_str(&pipe_text(lanes)),
            Self::Boxes(spec) => spec.fmt(f),
            Self::Nat(plan) => {
                write!(f, "nat:{}", plan.address)?;
                plan.timeout
                    .map_or(Ok(()), |time| write!(f, "/{}", lane::nanos(time)))
            }
            Self::Own(name, _) => f.write_str(name),
        }
    }
}

fn nat_plan(text: &str) -> Option<NatPlan> {
    let (_, text) = text.split_once(':')?;
    let (address, timeout) = match text.split_once('/') {
        Some((address, timeout)) => (address, Some(lane::time(timeout)?)),
        None => (text, None),
    };
    let address = address.parse().ok()?;
    Some(NatPlan { address, timeout })
}

fn pipe_text(lanes: &PerDirection<Lane>) -> String {
    let [there, back] = [&lanes.to_server, &lanes.to_client].map(Lane::words);
    let text = |(key, value): &(&'static str, String)| match *key {
        "" | "delay" | "overtake" => value.clone(),
        key => format!("{key}={value}"),
    };
    let mut words = Vec::new();
    for word in &there {
        let way = if back.contains(word) { "" } else { ">" };
        words.push(format!("{way}{}", text(word)));
    }
    let only_back = back.iter().filter(|word| !there.contains(word));
    words.extend(only_back.map(|word| format!("<{}", text(word))));
    if words.is_empty() {
        words.push("0s".to_owned());
    }
    words.join(" ")
}

/// A box of the kit, which has no queue to look into.
struct Plain(Box<dyn Middlebox>);

impl Middlebox for Plain {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        self.0.handle_packet(now, direction, packet, out);
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.0.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut Vec<Departure>) {
        self.0.handle_timeout(now, out);
    }
}

impl Element for Plain {}

struct DropIf<F>(F);

impl<F: FnMut(Direction, &[u8]) -> bool + Send> Middlebox for DropIf<F> {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        if !(self.0)(direction, &packet) {
            out.push(Departure {
                at: now,
                direction,
                packet,
            });
        }
    }
}

#[cfg(test)]
mod tests;
