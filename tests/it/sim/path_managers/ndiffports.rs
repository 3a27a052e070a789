//! Several subflows between the same two addresses, over routers that spread flows by their ports.

use mptcp_proto::conn::Counter;
use mptcp_proto::{pm, sched};
use mptcp_tests::sim::{Link, ms, secs};

use super::{Plan, VERSIONS};

const LINK: &str = "10mbit 10ms queue=100kB";

#[test]
fn four_subflows_of_one_pair_of_addresses_use_both_ways_of_the_network() {
    for offer in VERSIONS {
        let links = [LINK];
        let mut run = Plan::new(offer, &links, pm::Kind::Ndiffports(4)).run();
        let beside = run.net.path_beside(run.paths[0], Link::of(LINK));
        run.paths.push(beside);
        run.lasting(ms(500));
        let pair = (run.client_address(0), run.server_address(0));
        assert_eq!(run.ends(), [pair; 4], "{offer:?}");
        // Each way is 10 Mbit/s fast.
        let carried = [0, 1].map(|path| run.carried(path));
        assert!(carried.iter().all(|bytes| *bytes > 300_000), "{carried:?}");
        let ended = run.finish();
        assert_eq!(ended.warnings(), [""; 0]);
        assert_eq!(ended.client.value(Counter::JoinSynTx), 3);
        for seen in &ended.seen {
            let ports = seen.subflows.iter().map(|subflow| subflow.client.port());
            let mut ports: Vec<u16> = ports.collect();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), 4);
            let mut totals = seen.subflows.iter().map(|subflow| &subflow.totals);
            assert!(totals.all(|totals| totals.to_client.unique_bytes > 0));
        }
    }
}

#[test]
fn a_subflow_that_timed_out_is_opened_anew_and_may_find_the_way_that_works() {
    for offer in VERSIONS {
        let links = [LINK];
        let mut plan = Plan::new(offer, &links, pm::Kind::Ndiffports(4));
        plan.data = super::Data::messages(secs(10), secs(3000));
        plan.scheduler = sched::Kind::RoundRobin;
        let mut run = plan.run();
        let beside = run.net.path_beside(run.paths[0], Link::of(LINK));
        run.paths.push(beside);
        run.lasting(secs(10));
        assert_eq!(run.ends().len(), 4);
        // That of the initial subflow may be either.
        run.cut(1, true);
        run.lasting(secs(2500));
        let carried = run.carries(0, secs(100));
        assert!(carried > 9_000, "{offer:?}: {carried}");
        // Those over the way that is gone have timed out; all that were opened since go over the other one.
        let stale = run.client().subflows().filter(|subflow| subflow.is_stale);
        assert_eq!(stale.count(), 0, "{offer:?}");
        assert_eq!(run.ends().len(), 4, "{offer:?}");
        let ended = run.finish();
        assert!(ended.client.ups() > 4, "{offer:?}");
    }
}
