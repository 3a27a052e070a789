//! Figures of Raiciu et al., "How Hard Can It Be? Designing and Implementing a Deployable Multipath
//! TCP", NSDI 2012: what the four mechanisms bring where buffers are small.

use std::fmt::Write;

use mptcp_proto::conn::config::Mechanisms;
use mptcp_proto::conn::config::Switch::{self, Off, On};
use mptcp_proto::time::Instant;
use mptcp_tests::sim::secs;

use super::bulk::{Bulk, Rates};

/// The paper's paths: base round-trip times of 20 and 150 ms, queues of 80 ms and 2 s.
const WIFI: &str = "8mbit 10ms queue=80kB";
const SLOW_WIFI: &str = "2mbit 10ms queue=20kB";
const MOBILE: &str = "2mbit 75ms queue=500kB";
const WEAK_MOBILE: &str = "50kbit 75ms queue=12500B";

const SECONDS: u64 = 25;

const KILOBYTES: [usize; 6] = [50, 100, 200, 400, 1000, 2000];

/// M1 and M2.
fn fixed_buffers(opportunistic_retransmission: Switch, penalisation: Switch) -> Mechanisms {
    Mechanisms {
        opportunistic_retransmission,
        penalisation,
        autotuning: Off,
        capping: Off,
    }
}

/// What one size of all buffers gives.
struct Point {
    kilobytes: usize,
    /// TCP over each path.
    tcp: [u64; 2],
    regular: Rates,
    /// With M1.
    opportunistic: Rates,
    /// With M1 and M2.
    penalising: Rates,
}

impl Point {
    fn measure(paths: [&'static str; 2], kilobytes: usize) -> Self {
        let over = |paths: &[&'static str], mechanisms| {
            let bulk = Bulk::over(paths).lasting(SECONDS).mechanisms(mechanisms);
            bulk.buffers(kilobytes * 1000)
        };
        let tcp = |path| over(&[path], fixed_buffers(Off, Off)).tcp().run().goodput;
        Self {
            kilobytes,
            tcp: paths.map(tcp),
            regular: over(&paths, fixed_buffers(Off, Off)).run(),
            opportunistic: over(&paths, fixed_buffers(On, Off)).run(),
            penalising: over(&paths, fixed_buffers(On, On)).run(),
        }
    }

    /// What of TCP over the better path is left beside the DSS options.
    fn best_tcp(&self) -> f64 {
        mbit(self.tcp[0].max(self.tcp[1])) * 1420.0 / 1448.0
    }

    /// Goodput of M1 and M2 in parts of that.
    fn gain(&self) -> f64 {
        mbit(self.penalising.goodput) / self.best_tcp()
    }

    fn row(&self) -> String {
        let rates = [&self.regular, &self.opportunistic, &self.penalising];
        let rates = rates.map(|rates| {
            let (goodput, throughput) = (mbit(rates.goodput), mbit(rates.throughput));
            format!("{goodput:5.2} of {throughput:5.2}")
        });
        let [wifi, mobile] = self.tcp.map(mbit);
        let rates = rates.join(" | ");
        format!("{:7} | {wifi:4.2} {mobile:4.2} | {rates}\n", self.kilobytes)
    }
}

fn measure(figure: &str, paths: [&'static str; 2]) -> Vec<Point> {
    let points = KILOBYTES.map(|kilobytes| Point::measure(paths, kilobytes));
    let mut table = format!("{} + {}\n", paths[0], paths[1]);
    table += "buffers | TCP       | regular        | M1             | M1, M2\n";
    for point in &points {
        let _ = table.write_str(&point.row());
    }
    insta::assert_snapshot!(figure, table);
    points.into()
}

/// Of whole packets, the part that brought nothing new: 1420 of 1500 bytes are data.
fn waste(rates: &Rates) -> f64 {
    1.0 - mbit(rates.goodput) / (mbit(rates.throughput) * 1420.0 / 1500.0)
}

#[test]
fn figure_4_small_buffers_over_wifi_and_mobile_need_both_mechanisms() {
    let points = measure("nsdi_figure_4", [WIFI, MOBILE]);
    for point in &points {
        let gain = point.gain();
        // With 50 kB, three segments in twenty are on the slow path and hold up the rest.
        let least = if point.kilobytes == 50 { 0.95 } else { 1.0 };
        assert!(gain >= least, "{} kB: {gain}", point.kilobytes);
        let waste = waste(&point.penalising);
        assert!(waste < 0.05, "{} kB: {waste}", point.kilobytes);
        if point.kilobytes >= 200 {
            assert!(point.penalising.goodput >= 9_000_000, "{}", point.kilobytes);
        }
    }
    let regular = |kilobytes| {
        let mut points = points.iter();
        let point = points.find(|point| point.kilobytes == kilobytes).unwrap();
        mbit(point.regular.goodput) / point.best_tcp()
    };
    assert!(regular(400) < 0.8, "without them, two paths are worse");
    assert!(regular(2000) >= 1.2, "a large buffer does without");
    // M1 alone sends much twice, and nothing where the buffer is large enough.
    assert!(waste(&points[2].opportunistic) > 0.1);
    assert!(waste(&points[5].opportunistic) < 0.02);
}

#[test]
fn figure_6_a_very_weak_path_does_not_stall_the_good_one() {
    let points = measure("nsdi_figure_6a", [WIFI, WEAK_MOBILE]);
    for point in &points {
        // A segment takes 240 ms on the weak path, and 50 kB last for 50 ms on the other.
        let least = if point.kilobytes == 50 { 0.75 } else { 0.9 };
        let gain = point.gain();
        assert!(gain >= least, "{} kB: {gain}", point.kilobytes);
    }
    assert!(points[1].penalising.goodput > 3 * points[1].regular.goodput);
}

#[test]
fn figure_9_two_equal_rates_are_nearly_added() {
    for point in measure("nsdi_figure_9", [SLOW_WIFI, MOBILE]) {
        let least = if point.kilobytes == 50 { 1.5 } else { 1.9 };
        let gain = point.gain();
        assert!(gain >= least, "{} kB: {gain}", point.kilobytes);
    }
}

#[test]
fn figure_5_memory_follows_the_paths_and_not_the_limit() {
    let run = |paths: &[&'static str], capping| {
        let mechanisms = Mechanisms {
            capping,
            ..Mechanisms::default()
        };
        let bulk = Bulk::over(paths).lasting(SECONDS);
        bulk.mechanisms(mechanisms).buffers(2_000_000)
    };
    let wifi = run(&[WIFI], Off).tcp().run();
    let mobile = run(&[MOBILE], Off).tcp().run();
    let both = run(&[WIFI, MOBILE], Off).run();
    let capped = run(&[WIFI, MOBILE], On).run();
    assert!(wifi.sender_memory < mobile.sender_memory);
    assert!(mobile.sender_memory < both.sender_memory);
    assert!(both.sender_memory < 1_000_000, "{}", both.sender_memory);
    assert!(capped.sender_memory < both.sender_memory);
    assert!(capped.goodput >= both.goodput / 100 * 97);
    // One path keeps the order.
    assert!(wifi.receiver_memory < 5_000 && mobile.receiver_memory < 5_000);
    assert!(both.receiver_memory > 5_000);
}

#[test]
fn figure_7_both_mechanisms_cut_the_tail_of_the_delays() {
    let delays = |bulk: Bulk, switch| {
        let bulk = bulk.lasting(SECONDS).blocks(8192);
        let bulk = bulk.mechanisms(fixed_buffers(switch, switch));
        let outcome = bulk.buffers(200_000).run().outcome;
        let begin = Instant::ZERO + secs(5);
        let blocks = outcome.blocks.iter().filter(|block| block.sent_at > begin);
        let mut delays: Vec<u128> = blocks.map(|block| block.delay().as_millis()).collect();
        delays.sort_unstable();
        [50, 90].map(|percent| delays[delays.len() * percent / 100])
    };
    let tcp = delays(Bulk::over(&[WIFI]).tcp(), Off);
    let regular = delays(Bulk::over(&[WIFI, MOBILE]), Off);
    let both = delays(Bulk::over(&[WIFI, MOBILE]), On);
    let text = format!("TCP {tcp:?}, regular {regular:?}, M1 and M2 {both:?} ms");
    assert!(both[1] * 10 < regular[1] * 6, "{text}");
    // With the same buffer, data wait longer before the one path.
    assert!(tcp[0] > both[0], "{text}");
}

#[expect(
    clippy::cast_precision_loss,
    reason = "rates of links are small numbers"
)]
fn mbit(bits: u64) -> f64 {
    bits as f64 / 1e6
}
