//! Both versions, each box at each place, one path and two, three rates of loss: what becomes of the
//! data, of MPTCP and of the connection, and what the analyzer makes of it. The outcomes are one
//! snapshot, reviewed row by row.

mod boxes;
mod named;
mod reasons;
mod run;
mod table;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mptcp_analyze::model::Blame;
use mptcp_proto::conn::ConnectionEnd;
use mptcp_proto::conn::config::Offer;
use mptcp_tests::middlebox::spec;
use mptcp_tests::sim::Stop;

use boxes::{CASES, Case};
use run::{Data, Outcome, Place, Setup};
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
    fn run(case: Case, place: Place) -> Self {
        let all = |offer, paths| {
            LOSSES.map(|loss_percent| {
                let setup = Setup {
                    case,
                    place,
                    offer,
                    paths,
                    loss_percent,
                    is_early: false,
                };
                setup.run()
            })
        };
        let mptcp = table::COLUMNS.map(|column| {
            let has_place = column.paths == 2 || place == Place::Initial;
            (column, has_place.then(|| all(column.offer, column.paths)))
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
            };
            setup.run()
        });
        Self {
            case,
            place,
            tcp,
            mptcp: mptcp.into(),
        }
    }

    /// What must hold whatever the box does.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (column, outcomes) in &self.mptcp {
            for (loss, outcome) in outcomes.iter().flatten().enumerate() {
                let complaint = self.complaint(outcome, column.paths, loss);
                complaints.extend(complaint.map(|what| {
                    format!(
                        "{what}: {} {:?} {} {}% # {}",
                        self.case.spec,
                        self.place,
                        column.name(),
                        LOSSES[loss],
                        outcome.scenario
                    )
                }));
            }
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

    fn complaint(&self, outcome: &Outcome, paths: usize, loss: usize) -> Option<String> {
        let tcp = &self.tcp[loss];
        let has_good_path = self.place == Place::Second;
        if !has_good_path && !self.tcp.iter().take(loss + 2).all(Outcome::is_good) {
            // Plain TCP fails too, if not with this seed then with a little more loss: a box that
            // acknowledges what it then loses, or one that claims options for the server.
            return (!matches!(outcome.stop, Stop::Done | Stop::Time))
                .then(|| format!("{:?}", outcome.stop));
        }
        if outcome.stop != Stop::Done {
            return Some(format!("{:?}", outcome.stop));
        }
        if outcome.left > 0 {
            return Some(format!("{} connections are left", outcome.left));
        }
        if outcome.received.contains(&Data::Short) {
            return Some(format!("data are missing, {:?}", outcome.hosts));
        }
        let may_change = !self.case.checksum || paths == 1 || !has_good_path;
        if outcome.received.contains(&Data::Changed)
            && !(may_change && tcp.received.contains(&Data::Changed))
        {
            return Some("data are not those that were sent".into());
        }
        let ends = outcome.hosts.map(|host| host.end);
        (ends != [Some(ConnectionEnd::Closed); 2]).then(|| format!("ended {ends:?}"))
    }
}

impl Outcome {
    /// Whether both hosts have all data and closed.
    fn is_good(&self) -> bool {
        let ends = self.hosts.map(|host| host.end);
        self.stop == Stop::Done
            && !self.received.contains(&Data::Short)
            && ends == [Some(ConnectionEnd::Closed); 2]
    }
}

/// All rows, by as many threads as there are processors.
fn run_all(cases: &[Case]) -> Vec<Row> {
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
                    let row = Row::run(*case, *place);
                    rows.lock().unwrap().push((number, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(number, _)| *number);
    rows.into_iter().map(|(_, row)| row).collect()
}

#[test]
fn data_arrive_over_every_box_at_every_place() {
    let rows = run_all(CASES);
    let complaints: Vec<String> = rows.iter().flat_map(Row::complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let unreasonable: Vec<String> = rows.iter().flat_map(Row::unreasonable).collect();
    assert!(unreasonable.is_empty(), "{}", unreasonable.join("\n"));
    let table = table::outcomes(&rows);
    let findings = table::findings(&rows);
    insta::assert_snapshot!("outcomes", table);
    insta::assert_snapshot!("findings", findings);
    let blamed: Vec<String> = rows.iter().flat_map(Row::blamed).collect();
    assert!(blamed.is_empty(), "{}", blamed.join("\n"));
    let unnamed: Vec<String> = rows.iter().flat_map(Row::unnamed).collect();
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
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
            let is_host = matches!(outcome.seen.by, Some(Blame::Client | Blame::Server));
            let is_whole = outcome.received == [Data::Whole; 2] || is_hidden;
            let fails = !is_whole || outcome.left > 0 || outcome.stop != Stop::Done;
            if fails || is_host || case.spec.is_empty() && !outcome.seen.findings.is_empty() {
                complaints.push(format!("{setup:?}: {outcome:?}"));
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

/// In percent, each way.
const LOSSES: [u32; 3] = [0, 1, 5];
