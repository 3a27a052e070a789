//! The steps of a session.

use std::time::Duration;

use mptcp_proto::conn::command::SubflowClose;
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::tcp::{IcmpError, Path};
use mptcp_proto::wire::mptcp::{Priority, ResetReason};
use mptcp_proto::wire::segment::Segment;

use super::{Session, network, setup};

/// Three bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    what: u8,
    pub(super) side: usize,
    pub(super) a: u8,
    pub(super) b: u8,
}

impl Step {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let at = |index: usize| bytes.get(index).copied().unwrap_or_default();
        Self {
            what: at(0) >> 1,
            side: usize::from(at(0) & 1),
            a: at(1),
            b: at(2),
        }
    }

    const fn priority(self) -> Priority {
        if self.b & 1 == 0 {
            Priority::Regular
        } else {
            Priority::Backup
        }
    }
}

impl Session {
    pub(super) fn step(&mut self, step: Step) {
        let Step { what, side, a, b } = step;
        match what {
            111..=114 if self.setup.is_honest() => self.command(step),
            0..=43 => self.deliver(side, usize::from(a & 15), 0),
            44..=51 => self.deliver(side, usize::from(a & 3), usize::from(b & 7)),
            52..=55 => drop(self.network.take(side, usize::from(b & 3))),
            56..=57 => self.repeat(side, b),
            58..=67 => self.now += Duration::from_millis(u64::from(a & 63)),
            68..=73 => self.wait(side),
            74 => self.now += Duration::from_millis(1 << (a & 15)),
            75..=86 => self.write(side, usize::from(a) << (b & 7)),
            87..=98 => self.read(side, usize::from(a) << (b & 7)),
            99..=106 => self.application(step),
            107 => self.command(step),
            108..=110 => self.meddle(side, network::strip, false),
            111 => self.meddle(side, |packet| network::change(packet, false, a, b), true),
            112 => self.meddle(side, |packet| network::change(packet, true, a, b), true),
            113 => self.meddle(side, |packet| network::forge(packet, a, b), true),
            114 => self.inject(side, a, b),
            115..=116 => self.network.toggle(a),
            117..=118 => self.icmp(step),
            // A few bytes: less than the step of a scaled window.
            119..=122 => self.read(side, usize::from(b & 15)),
            _ => self.deliver(side, 1, 0),
        }
    }

    /// Lets packets of a host through, from some place of the queue on.
    fn deliver(&mut self, side: usize, count: usize, place: usize) {
        for _ in 0..=count {
            let Some(packet) = self.network.take(side, place) else {
                return;
            };
            self.arrive(1 - side, &packet);
        }
    }

    /// A packet comes again.
    fn repeat(&mut self, side: usize, b: u8) {
        if let Some(packet) = self.network.old(side, usize::from(b)) {
            self.arrive(1 - side, &packet);
        }
    }

    /// Until something is due.
    fn wait(&mut self, side: usize) {
        if let Some(at) = self.hosts[side].endpoint.poll_timeout() {
            self.now = self.now.max(at);
        }
    }

    /// The next packet of a host arrives as someone else made it.
    fn meddle(
        &mut self,
        side: usize,
        change: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
        is_forged: bool,
    ) {
        let Some(packet) = self.network.take(side, 0) else {
            return;
        };
        if let Some(changed) = change(&packet) {
            self.is_forged |= is_forged;
            self.is_stripped = true;
            self.arrive(1 - side, &changed);
        }
    }

    /// Bytes that nobody sent.
    fn inject(&mut self, side: usize, a: u8, b: u8) {
        self.is_forged = true;
        let mut packet = self.network.old(side, usize::from(a)).unwrap_or_default();
        let place = usize::from(b) % packet.len().max(1);
        if let Some(byte) = packet.get_mut(place) {
            *byte = a;
        }
        if a & 1 == 0 {
            packet.truncate(place);
        }
        self.arrive(1 - side, &packet);
    }

    fn application(&mut self, step: Step) {
        let Step { side, a, b, .. } = step;
        let id = SubflowId(u32::from(b >> 1 & 3));
        match a % 24 {
            0..=5 => {
                let local = setup::address(side, b, 4000 + u16::from(b >> 6));
                let remote = setup::address(1 - side, b >> 2, setup::PORT);
                self.with(side, |c| {
                    // Whether it may is for the endpoint to say.
                    let _ = c.open_subflow(local, remote, step.priority());
                });
            }
            6..=7 => {
                let how = if b & 1 == 0 {
                    SubflowClose::Fin
                } else {
                    SubflowClose::Reset(ResetReason::UNSPECIFIED)
                };
                self.with(side, |c| _ = c.close_subflow(id, how));
            }
            8..=9 => self.with(side, |c| _ = c.set_priority(id, step.priority())),
            10..=11 => {
                let address = setup::address(side, b, setup::PORT);
                self.with(side, |c| c.announce(AddressId(b & 7), address));
            }
            12 => self.with(side, |c| c.remove_address(AddressId(b & 7))),
            13..=14 => self.hosts[side]
                .endpoint
                .address_up(setup::address(side, b, 0).ip()),
            15 => self.hosts[side]
                .endpoint
                .address_down(setup::address(side, b, 0).ip()),
            16..=17 if b.is_multiple_of(4) => {
                self.with(side, mptcp_proto::conn::Connection::shutdown_write);
            }
            18 if b.is_multiple_of(8) => {
                self.is_abandoned = true;
                self.with(side, mptcp_proto::conn::Connection::close);
            }
            19 if b.is_multiple_of(8) => {
                self.is_abandoned = true;
                self.with(side, mptcp_proto::conn::Connection::abort);
            }
            _ => self.read(side, usize::from(b)),
        }
    }

    /// A router answers what a host has sent.
    fn icmp(&mut self, step: Step) {
        let Step { side, a, b, .. } = step;
        let Some(packet) = self.network.old(side, usize::from(b)) else {
            return;
        };
        let Ok(segment) = Segment::parse(&packet, true) else {
            return;
        };
        let path = Path {
            local: segment.source,
            remote: segment.destination,
        };
        let error = match a % 8 {
            0 => IcmpError::HardUnreachable,
            1..=3 => IcmpError::SoftUnreachable,
            _ => IcmpError::PacketTooBig {
                mtu: u32::from(a) * 8,
            },
        };
        let host = &mut self.hosts[side].endpoint;
        host.handle_icmp(self.now, path, segment.seq, error);
    }
}
