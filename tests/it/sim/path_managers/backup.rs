//! A second subflow that carries nothing until the first one fails.

use mptcp_proto::conn::Event;
use mptcp_proto::pm;
use mptcp_proto::wire::mptcp::Priority;
use mptcp_tests::sim::{ms, secs};

use super::{Data, Plan, Run, VERSIONS};

const LINKS: [&str; 2] = ["10mbit 10ms queue=100kB", "10mbit 40ms queue=100kB"];

fn begin(offer: mptcp_proto::conn::config::Offer, lasts: u64) -> Run {
    let plan = Plan {
        data: Data::at(1_000_000, secs(lasts)),
        ..Plan::new(offer, &LINKS, pm::Kind::Backup)
    };
    let mut run = plan.run();
    run.lasting(ms(500));
    let priorities = run
        .client()
        .subflows()
        .map(|subflow| subflow.local_priority);
    let priorities: Vec<Priority> = priorities.collect();
    assert_eq!(priorities, [Priority::Regular, Priority::Backup]);
    run
}

/// Whether the data of this second, 125 kB each way, take this path alone. Acknowledgements of an open window go over
/// both.
#[track_caller]
fn check_path(run: &mut Run, path: usize) {
    let before = [0, 1].map(|path| run.carried(path));
    run.lasting(secs(1));
    let carried = [0, 1].map(|path| run.carried(path) - before[path]);
    assert!(carried[path] > 115_000, "{carried:?}");
    assert!(carried[1 - path] < 15_000, "{carried:?}");
}

#[test]
fn a_backup_carries_data_while_the_path_of_the_first_subflow_is_silent_and_not_longer() {
    for offer in VERSIONS {
        let mut run = begin(offer, 20);
        check_path(&mut run, 0);
        run.cut(0, true);
        run.lasting(secs(4));
        check_path(&mut run, 1);
        run.cut(0, false);
        // Until the next repetition of what was lost.
        run.lasting(secs(8));
        check_path(&mut run, 0);
        let ended = run.finish();
        let recovered = |event: &Event| matches!(event, Event::SubflowRecovered { .. });
        assert!(ended.server.count(recovered) >= 1, "{offer:?}");
        assert_eq!([ended.client.ups(), ended.server.ups()], [2, 2]);
        for seen in &ended.seen {
            assert_eq!([false, true], [0, 1].map(|id| seen.subflows[id].backup));
        }
    }
}

#[test]
fn a_backup_carries_data_while_the_first_address_is_gone_and_not_longer() {
    for offer in VERSIONS {
        let mut run = begin(offer, 20);
        check_path(&mut run, 0);
        let first = run.client_address(0);
        run.cut(0, true);
        run.hosts.client.stack.endpoint.address_down(first);
        run.lasting(secs(2));
        check_path(&mut run, 1);
        run.cut(0, false);
        run.hosts.client.stack.endpoint.address_up(first);
        run.lasting(secs(1));
        check_path(&mut run, 0);
        let ended = run.finish();
        assert_eq!([ended.client.ups(), ended.server.ups()], [3, 3]);
        assert_eq!(ended.removed(), [0; 2]);
        for seen in &ended.seen {
            let backups: Vec<bool> = seen.subflows.iter().map(|subflow| subflow.backup).collect();
            assert_eq!(backups, [false, true, false]);
        }
    }
}

#[test]
fn a_backup_saves_the_connection_when_the_first_subflow_has_timed_out() {
    for offer in VERSIONS {
        let plan = Plan {
            data: Data::messages(secs(10), secs(3600)),
            ..Plan::new(offer, &LINKS, pm::Kind::Backup)
        };
        let mut run = plan.run();
        run.lasting(secs(10));
        run.cut(0, true);
        let mut silent = 0;
        while run.ends().len() == 2 {
            run.lasting(secs(10));
            silent += 10;
            assert!(silent < 3000, "{offer:?}");
        }
        run.lasting(secs(60));
        assert_eq!(run.ends().len(), 1);
        run.cut(0, false);
        run.lasting(secs(150));
        // There is a first path again.
        let before = run.carried(1);
        let carried = run.carries(0, secs(100));
        assert!(carried > 9_000, "{offer:?}: {carried}");
        assert!(run.carried(1) - before < 5_000, "{offer:?}");
        let ended = run.finish();
        assert_eq!([ended.client.ups(), ended.server.ups()], [3, 3]);
    }
}
