//! Both versions, each box at each place, one path and two, three rates of loss: what becomes of the
//! data, of MPTCP and of the connection, and what the analyzer makes of it. The outcomes are one
//! snapshot, reviewed row by row.

mod beyond_tcp;
mod boxes;
mod effect;
mod named;
mod reasons;
mod run;
mod signals;
mod table;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mptcp_analyze::model::Blame;
use mptcp_proto::conn::ConnectionEnd;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::time::Instant;
use mptcp_tests::middlebox::spec;
use mptcp_tests::sim::{Seed, Stop, secs};

use boxes::{CASES, Case};
use run::{Data, Host, Outcome, Place, Setup};
use table::Column;

/// A line of the matrix.
struct Row {
    case: Case,
    place: Place,
    /// Plain TCP over the same boxes.
    tcp: [Outcome; LOSSES.len()],
    /// By version and number of paths; none where the box would stand on no path.
    mptcp: Vec<(Column, Option<[Outcome; LOSSES.len()]>)>,
}

impl Row {
    fn run(case: Case, place: Place, seed: Seed, columns: &[Column]) -> Self {
        let all = |column: Column| {
            LOSSES.map(|loss_percent| {
                let setup = Setup {
                    case,
                    place,
                    offer: column.offer,
                    paths: column.paths,
                    loss_percent,
                    is_early: false,
                    seed,
                    signals: column.signals,
                };
                setup.run()
            })
        };
        let mptcp = columns.iter().map(|column| {
            let has_place = column.paths == 2 || place == Place::Initial;
            (*column, has_place.then(|| all(*column)))
        });
        // Plain TCP has one path: that with the box.
        let tcp = LOSSES.map(|loss_percent| {
            let setup = Setup {
                case,
                place: Place::Initial,
                offer: Offer::Off,
                paths: 1,
                loss_percent,
                is_early: false,
                seed,
                signals: false,
            };
            setup.run()
        });
        Self {
            case,
            place,
            tcp,
            mptcp: mptcp.collect(),
        }
    }

    /// What must hold whatever the box does.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (column, outcomes) in &self.mptcp {
            for (loss, outcome) in outcomes.iter().flatten().enumerate() {
                let complaint = self.complaint(outcome, column.paths, loss);
                complaints.extend(complaint.map(|what| {
                    let (place, name) = (self.place, column.name());
                    format!("{what}: {place:?} {name} # {}", outcome.scenario)
                }));
            }
        }
        for outcome in &self.tcp {
            let complaint = never_ends(outcome).or_else(|| {
                let fails = !outcome.is_good() && !self.is_lost_for_tcp(outcome, true);
                fails.then(|| format!("plain TCP: {:?} {:?}", outcome.received, outcome.hosts))
            });
            complaints.extend(complaint.map(|what| format!("{what} # {}", outcome.scenario)));
        }
        complaints
    }

    /// Where the analyzer says that a host did what the box did, or warns where there is no box.
    fn blamed(&self) -> Vec<String> {
        let mut blamed = Vec::new();
        for outcome in self
            .mptcp
            .iter()
            .filter_map(|(_, outcomes)| outcomes.as_ref())
            .flatten()
        {
            for seen in [&outcome.seen, &outcome.seen_by_server] {
                let is_host = matches!(seen.by, Some(Blame::Client | Blame::Server));
                let is_clean = self.case.spec.is_empty() && seen.findings.is_empty();
                if is_host || self.case.spec.is_empty() && !is_clean {
                    blamed.push(format!("{:?} # {}", seen.texts, outcome.scenario));
                }
            }
        }
        blamed
    }

    /// Whether the box did in this run what no TCP can live with, and its subflow was all there was: plain TCP
    /// would fail over the same packets.
    fn is_lost_for_tcp(&self, outcome: &Outcome, is_tcp: bool) -> bool {
        let is_alone = outcome.hosts.iter().any(|host| host.fallback.is_some());
        let lies = ["proactive", "mirror"]
            .iter()
            .any(|name| self.case.spec.starts_with(name));
        // No host of the matrix aborts: what resets both is the box.
        let is_reset = |host: &Host| host.end == Some(ConnectionEnd::ResetByPeer);
        let is_forged = is_tcp && self.case.spec.contains("how=rst");
        lies && (is_tcp || is_alone) && outcome.beyond_tcp
            || is_forged && outcome.hosts.iter().all(is_reset)
    }

    /// Whether plain TCP delivers other bytes than were sent, and MPTCP sees that on all its subflows: each is
    /// closed with MP_FAIL (RFC 8684 §3.7), and what the last one has to carry need not lie on it without a gap.
    fn garbles_tcp(&self, paths: usize, loss: usize) -> bool {
        let is_seen = self.case.checksum && self.place == Place::Both && paths > 1;
        is_seen && self.tcp[loss].received.contains(&Data::Changed)
    }

    /// Whether the option that is lost on all paths is that of a DATA_FIN. RFC 8684 §3.3.3, §3.7: the FIN of a
    /// subflow ends no data, so that a host which waits for a DATA_FIN gives up though it has all data.
    fn loses_every_data_fin(&self) -> bool {
        let specs = ["strip:from=60", "strip:on=pure_ack"];
        self.place == Place::Both && specs.iter().any(|spec| self.case.spec.starts_with(spec))
    }

    /// Whether a mapping was changed on the path, and no checksum can tell (RFC 8684 §3.3.1).
    fn hides_a_mapping(&self) -> bool {
        let fields = ["dsn", "ssn", "data_len"];
        let is_mapping = |field: &&str| self.case.spec.contains(&format!("field={field},"));
        !self.case.checksum && fields.iter().any(is_mapping)
    }

    fn complaint(&self, outcome: &Outcome, paths: usize, loss: usize) -> Option<String> {
        let tcp = &self.tcp[loss];
        let has_good_path = self.place == Place::Second;
        if let Some(hang) = never_ends(outcome) {
            return Some(hang);
        }
        if !has_good_path && (self.is_lost_for_tcp(outcome, false) || self.garbles_tcp(paths, loss))
        {
            return None;
        }
        if outcome.received.contains(&Data::Short) {
            return Some(format!("data are missing, {:?}", outcome.hosts));
        }
        let may_change = !self.case.checksum || paths == 1 || !has_good_path;
        if outcome.received.contains(&Data::Changed)
            && !(may_change && tcp.received.contains(&Data::Changed) || self.hides_a_mapping())
        {
            return Some("data are not those that were sent".into());
        }
        let ends = outcome.hosts.map(|host| host.end);
        let is_fair = |end: &Option<ConnectionEnd>| match end {
            Some(ConnectionEnd::Closed) => true,
            Some(ConnectionEnd::TimedOut) => self.loses_every_data_fin() || self.hides_a_mapping(),
            _ => false,
        };
        (!ends.iter().all(is_fair)).then(|| format!("ended {ends:?}"))
    }
}

/// Whether a host does not end by itself, or long before it may (RFC 9293 §3.8.3), or keeps something.
fn never_ends(outcome: &Outcome) -> Option<String> {
    if outcome.stop != Stop::Done {
        return Some(format!("{:?} {:?}", outcome.stop, outcome.hosts));
    }
    if outcome.left > 0 {
        return Some(format!("{} connections are left", outcome.left));
    }
    let gave_up = outcome
        .hosts
        .iter()
        .filter_map(|host| host.gave_up_at)
        .min();
    let is_hasty = gave_up.is_some_and(|at| at < Instant::ZERO + LEAST_PATIENCE);
    is_hasty.then(|| format!("given up at {gave_up:?}"))
}

impl Outcome {
    /// Whether both hosts have all data and closed.
    fn is_good(&self) -> bool {
        let ends = self.hosts.map(|host| host.end);
        !self.received.contains(&Data::Short) && ends == [Some(ConnectionEnd::Closed); 2]
    }
}

/// All rows, by as many threads as there are processors.
fn run_all(cases: &[Case], seed: Seed, columns: &[Column]) -> Vec<Row> {
    let places = [Place::Initial, Place::Second, Place::Both];
    let jobs: Vec<(Case, Place)> = cases
        .iter()
        .flat_map(|case| places.map(|place| (*case, place)))
        .filter(|(case, place)| !case.spec.is_empty() || *place == Place::Initial)
        .collect();
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && let Some((case, place)) = jobs.get(number)
                {
                    let row = Row::run(*case, *place, seed, columns);
                    rows.lock().unwrap().push((number, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(number, _)| *number);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// What must hold with every seed.
#[track_caller]
fn check(rows: &[Row]) {
    let all = [
        Row::complaints,
        Row::unreasonable,
        Row::blamed,
        Row::unnamed,
    ];
    for complaints in all {
        let complaints: Vec<String> = rows.iter().flat_map(complaints).collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}

#[test]
fn data_arrive_over_every_box_at_every_place() {
    let seed = Seed::from_env_or(SEED.0);
    let rows = run_all(CASES, seed, &table::COLUMNS);
    check(&rows);
    if seed == SEED {
        insta::assert_snapshot!("outcomes", table::outcomes(&rows));
        insta::assert_snapshot!("findings", table::findings(&rows));
        insta::assert_snapshot!("findings_at_server", table::findings_at_server(&rows));
    }
}

#[test]
fn data_arrive_over_every_box_with_other_seeds_as_well() {
    for seed in MORE_SEEDS {
        check(&run_all(CASES, Seed(seed), &table::COLUMNS));
    }
}

#[test]
fn data_in_the_syn_arrive_over_every_box_as_well() {
    let mut complaints = Vec::new();
    for case in CASES {
        for offer in [Offer::V0, Offer::V1] {
            let setup = Setup {
                case: *case,
                place: Place::Initial,
                offer,
                paths: 1,
                loss_percent: 0,
                is_early: true,
                seed: Seed::from_env_or(SEED.0),
                signals: false,
            };
            let late = Setup {
                is_early: false,
                ..setup
            };
            let late = late.run();
            if !late.is_good() {
                continue;
            }
            let outcome = setup.run();
            let is_hidden = late.received.contains(&Data::Changed);
            let ends = [&outcome.seen, &outcome.seen_by_server];
            let is_host = ends
                .iter()
                .any(|seen| matches!(seen.by, Some(Blame::Client | Blame::Server)));
            let warns = ends.iter().any(|seen| !seen.findings.is_empty());
            let is_whole = outcome.received == [Data::Whole; 2] || is_hidden;
            let fails = !is_whole || outcome.left > 0 || outcome.stop != Stop::Done;
            if fails || is_host || case.spec.is_empty() && warns {
                complaints.push(format!("{setup:?}: {outcome:?}"));
            }
            if let Some(found) = outcome.unnamed(*case, 1, 0) {
                complaints.push(format!("{found} found # {}", outcome.scenario));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_box_of_the_kit_is_in_the_matrix() {
    let tried: BTreeSet<&str> = CASES
        .iter()
        .flat_map(|case| case.spec.split('+'))
        .map(|text| text.split(':').next().unwrap_or(text))
        .collect();
    let missing: Vec<&str> = spec::ALL
        .iter()
        .map(|entry| entry.name)
        .filter(|name| !tried.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The one of the snapshots.
const SEED: Seed = Seed(7);

const MORE_SEEDS: [u64; 5] = [8, 9, 10, 14, 15];

/// RFC 9293 §3.8.3: R2 is 100 s at least.
const LEAST_PATIENCE: Duration = secs(100);

/// In percent, each way.
const LOSSES: [u32; 3] = [0, 1, 5];
