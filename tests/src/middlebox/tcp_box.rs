//! Boxes that look at TCP segments and pass everything else.

use std::time::Duration;

use super::segment::Segment;
use super::{Departure, Direction, Middlebox};

/// A [`Middlebox`] for TCP. What is no TCP segment passes it untouched.
pub trait TcpBox: Send {
    /// A segment arrives at `now`.
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        segment: Segment,
        out: &mut Vec<Departure>,
    );

    /// As [`Middlebox::poll_timeout`].
    fn poll_deadline(&self) -> Option<Duration> {
        None
    }

    /// As [`Middlebox::handle_timeout`].
    fn handle_deadline(&mut self, _now: Duration, _out: &mut Vec<Departure>) {}
}

impl<T: TcpBox> Middlebox for T {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        match Segment::parse(&packet) {
            Some(segment) => self.handle_segment(now, direction, segment, out),
            None => out.push(Departure {
                at: now,
                direction,
                packet,
            }),
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.poll_deadline()
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut Vec<Departure>) {
        self.handle_deadline(now, out);
    }
}

/// Lets a segment leave at once.
pub fn forward(now: Duration, direction: Direction, segment: Segment, out: &mut Vec<Departure>) {
    out.push(Departure {
        at: now,
        direction,
        packet: segment.into_packet(),
    });
}
