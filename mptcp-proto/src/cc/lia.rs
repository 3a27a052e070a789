//! LIA: linked increases (RFC 6356).

use super::Kind;
use super::flow::Flow;
use super::flows::{Coupled, Rule};
use crate::time::Instant;

/// The increase is linked over the subflows, the decrease is Reno's.
#[derive(Debug)]
pub(super) struct Lia;

impl Rule for Lia {
    const KIND: Kind = Kind::Lia;

    type State = ();

    fn avoid(_now: Instant, flows: &mut [Flow<()>], me: usize, acked: u64) {
        let linked = increase(flows, me, acked);
        if let Some(flow) = flows.get_mut(me) {
            // RFC 6356 §3: never more than a TCP on this path.
            let reno = flow.reno_increase(acked);
            flow.grow(linked.map_or(reno, |linked| linked.min(reno)));
        }
    }
}

/// RFC 6356 §3 and §4: `alpha · bytes_acked · MSS_i / cwnd_total`, with
/// `alpha = cwnd_total · MAX(cwnd_i / rtt_i²) / (SUM(cwnd_i / rtt_i))²`.
fn increase(flows: &[Flow<()>], me: usize, acked: u64) -> Option<f64> {
    let me = Coupled::new(flows, me)?;
    let (mut best, mut sum) = (0.0_f64, 0.0);
    for (other, rtt) in me.all() {
        best = best.max(other.window() / (rtt * rtt));
        sum += other.window() / rtt;
    }
    // `cwnd_total` stands on both sides of the fraction.
    Some(best / (sum * sum) * me.flow.counted(acked) * me.flow.segment())
}
