//! A router: one less of the TTL, or an error.

use std::net::IpAddr;
use std::time::Duration;

use mptcp_proto::time::Instant;

use super::plan::{Quotes, Rate, RouterPlan};
use crate::middlebox::quote::{Plan as QuotePlan, Quote};
use crate::middlebox::{Direction, Middlebox as _, header};

/// A router and how it speaks of packets that it drops.
pub(super) struct Router {
    pub(super) address: IpAddr,
    is_silent: bool,
    loss: f64,
    bucket: Option<Bucket>,
    quote: Quote,
    random: fastrand::Rng,
}

struct Bucket {
    rate: Rate,
    level: f64,
    at: Instant,
}

impl Router {
    pub(super) fn new(plan: &RouterPlan, address: IpAddr, random: fastrand::Rng) -> Self {
        let tcp_bytes = match plan.quotes {
            Quotes::All => None,
            Quotes::Tcp(bytes) => Some(bytes),
        };
        Self {
            address,
            is_silent: plan.silent,
            loss: plan.loss,
            bucket: plan.rate.map(Bucket::new),
            quote: QuotePlan {
                tcp_bytes,
                mpls: plan.mpls,
            }
            .build(),
            random,
        }
    }

    /// The error about a packet whose TTL ran out, if the router sends one and it is not lost.
    pub(super) fn time_exceeded(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
        let source = source(packet)?;
        if self.is_silent || is_icmp(packet) || source.is_ipv4() != self.address.is_ipv4() {
            return None;
        }
        let is_allowed = self.bucket.as_mut().is_none_or(|bucket| bucket.take(now));
        if !is_allowed || self.random.f64() < self.loss {
            return None;
        }
        let (kind, most) = match source {
            IpAddr::V4(_) => (11, V4_MOST),
            IpAddr::V6(_) => (3, V6_MOST),
        };
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        message.extend(&packet[..packet.len().min(most)]);
        let error = header::icmp(self.address, source, message);
        let mut out = Vec::new();
        let now = now.since_start();
        self.quote
            .handle_packet(now, Direction::ToClient, error, &mut out);
        out.pop().map(|departure| departure.packet)
    }
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            level: f64::from(rate.burst),
            at: Instant::ZERO,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.since(self.at);
        let filled = self.level + passed.as_secs_f64() * self.rate.per_second;
        self.level = filled.min(f64::from(self.rate.burst));
        self.at = now;
        let has_one = self.level >= 1.0;
        if has_one {
            self.level -= 1.0;
        }
        has_one
    }
}

/// Takes one off the TTL. False when the packet goes no further.
pub(super) fn forward(packet: &mut [u8]) -> bool {
    let at = match packet.first().map(|byte| byte >> 4) {
        Some(4) => 8,
        Some(6) => 7,
        _ => return false,
    };
    let Some(ttl) = packet.get_mut(at) else {
        return false;
    };
    if *ttl <= 1 {
        return false;
    }
    *ttl -= 1;
    header::fix_ip(packet);
    true
}

fn source(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(IpAddr::from(*packet.get(12..)?.first_chunk::<4>()?)),
        6 => Some(IpAddr::from(*packet.get(8..)?.first_chunk::<16>()?)),
        _ => None,
    }
}

/// Errors about errors there are not (RFC 1122 §3.2.2, RFC 4443 §2.4).
fn is_icmp(packet: &[u8]) -> bool {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => packet.get(9) == Some(&1),
        _ => packet.get(6) == Some(&58),
    }
}

/// Errors of Linux have 576 bytes at most (RFC 1812 §4.3.2.3).
const V4_MOST: usize = 576 - 28;
/// Errors of IPv6 stay within its minimum MTU (RFC 4443 §2.4).
const V6_MOST: usize = 1280 - 48;
