//! A box that forgets the TCP checksum of what it changed.

use std::time::Duration;

use super::segment::Segment;
use super::spec::words;
use super::{Departure, Direction, Middlebox};

words! {
    /// What happens to the TCP checksum of a changed segment.
    pub enum Checksum {
        /// It is made right.
        Fix = "fix",
        /// It stays as it was and is wrong.
        Stale = "stale",
    }
}

/// A box around a box: what the inner one changes has a wrong TCP checksum.
///
/// What the inner box holds back and lets go later, and what it sends the other way, is not the
/// packet that came and stays right.
pub struct Stale {
    inner: Box<dyn Middlebox>,
}

impl Stale {
    /// Around this box.
    pub fn new(inner: Box<dyn Middlebox>) -> Self {
        Self { inner }
    }
}

impl Middlebox for Stale {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        let before = packet.clone();
        let first = out.len();
        self.inner.handle_packet(now, direction, packet, out);
        for departure in out.iter_mut().skip(first) {
            if departure.direction == direction && departure.packet != before {
                spoil(&before, &mut departure.packet);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.inner.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut Vec<Departure>) {
        self.inner.handle_timeout(now, out);
    }
}

fn spoil(before: &[u8], after: &mut [u8]) {
    let (Some(old), Some(new)) = (Segment::parse(before), Segment::parse(after)) else {
        return;
    };
    let (from, to) = (old.checksum_range(), new.checksum_range());
    if let (Some(stale), Some(field)) = (before.get(from), after.get_mut(to)) {
        if field == stale {
            // Some changes leave the sum as it was; the box is to be caught all the same.
            field[0] ^= 1;
        } else {
            field.copy_from_slice(stale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Tcp;
    use super::super::spec::Spec;
    use super::*;

    #[track_caller]
    fn check(text: &str, tcp: &Tcp, is_wrong: bool) {
        let mut middlebox = text.parse::<Spec>().unwrap().build();
        let mut out = Vec::new();
        middlebox.handle_packet(Duration::ZERO, tcp.direction(), tcp.packet(), &mut out);
        let segment = Segment::parse(&out[0].packet).unwrap();
        let wrong = segment.emit() != out[0].packet;
        assert_eq!(wrong, is_wrong);
    }

    #[test]
    fn a_changed_segment_keeps_its_old_checksum() {
        for tcp in [Tcp::syn(), Tcp::syn().v6()] {
            let tcp = tcp.area(&[30, 4, 1, 0x81]);
            check("strip:checksum=stale", &tcp, true);
            check("strip:checksum=stale,how=remove", &tcp, true);
            check("strip", &tcp, false);
        }
    }

    #[test]
    fn a_segment_that_is_not_changed_stays_right() {
        check("strip:checksum=stale", &Tcp::syn(), false);
    }

    #[test]
    fn a_change_that_the_sum_does_not_see_is_spoiled_too() {
        let tcp = Tcp::to_server().payload(b"abcdab");
        check(
            "payload:find=61626364,put=63646162,checksum=stale",
            &tcp,
            true,
        );
    }
}
