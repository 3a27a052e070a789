//! BALIA: balanced linked adaptation (Peng, Walid, Hwang, Low, draft-walid-mptcp-congestion-control).

use super::Kind;
use super::flow::{Flow, whole_bytes};
use super::flows::{Coupled, Rule};
use crate::time::Instant;

/// Increase and decrease depend on how a subflow's rate compares with the best one's.
#[derive(Debug)]
pub(super) struct Balia;

impl Rule for Balia {
    const KIND: Kind = Kind::Balia;

    type State = ();

    fn avoid(_now: Instant, flows: &mut [Flow<()>], me: usize, acked: u64) {
        let linked = increase(flows, me, acked);
        if let Some(flow) = flows.get_mut(me) {
            flow.grow(linked.unwrap_or_else(|| flow.reno_increase(acked)));
        }
    }

    /// `w_r / 2 · min(alpha_r, 1.5)` less, of what is used of the window.
    fn reduced(flows: &[Flow<()>], me: usize, flight_size: u64) -> u64 {
        let Some(flow) = flows.get(me) else { return 0 };
        let half = flow.half(flight_size, 2);
        let Some(rates) = Rates::of(flows, me) else {
            return half;
        };
        let used = super::flow::real(flight_size.min(flow.cwnd));
        let rest = used - used / 2.0 * rates.alpha().min(1.5);
        // The lower bound is one segment when there are several paths.
        whole_bytes(rest).max(flow.mss)
    }
}

/// `x_r = w_r / rtt_r`, in bytes a second.
struct Rates {
    rtt: f64,
    mine: f64,
    most: f64,
    sum: f64,
}

impl Rates {
    fn of(flows: &[Flow<()>], me: usize) -> Option<Self> {
        let me = Coupled::new(flows, me)?;
        let (mut most, mut sum) = (0.0_f64, 0.0);
        for (other, rtt) in me.all() {
            most = most.max(other.window() / rtt);
            sum += other.window() / rtt;
        }
        Some(Self {
            rtt: me.rtt,
            mine: me.flow.window() / me.rtt,
            most,
            sum,
        })
    }

    /// `alpha_r = MAX(x_k) / x_r`: 1 on the path with the highest rate, more elsewhere.
    fn alpha(&self) -> f64 {
        self.most / self.mine
    }
}

/// For each segment acknowledged:
/// `x_r / rtt_r / (SUM(x_k))² · (1 + alpha_r) / 2 · (4 + alpha_r) / 5`.
fn increase(flows: &[Flow<()>], me: usize, acked: u64) -> Option<f64> {
    let rates = Rates::of(flows, me)?;
    let flow = flows.get(me)?;
    let alpha = rates.alpha();
    let linked = rates.mine / rates.rtt / (rates.sum * rates.sum);
    let balanced = linked * (1.0 + alpha) / 2.0 * (4.0 + alpha) / 5.0;
    Some(balanced * flow.counted(acked) * flow.segment())
}
