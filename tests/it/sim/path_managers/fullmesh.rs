//! From each address to each address, and again when a path is back.

use std::time::Duration;

use mptcp_proto::conn::{Counter, SubflowEnd};
use mptcp_proto::path::SubflowId;
use mptcp_proto::wire::mptcp::ResetReason;
use mptcp_proto::{pm, sched};
use mptcp_tests::sim::{ms, secs};

use super::{Data, Plan, VERSIONS};

const LINKS: [&str; 2] = ["10mbit 10ms queue=100kB", "20mbit 20ms queue=200kB"];

#[test]
fn two_addresses_at_each_host_make_four_subflows_that_all_carry_data() {
    for offer in VERSIONS {
        let plan = Plan {
            has_server_addresses: true,
            ..Plan::new(offer, &LINKS, pm::Kind::Fullmesh)
        };
        let mut run = plan.run();
        run.lasting(ms(300));
        let all = run.all_pairs();
        assert_eq!(run.ends(), all, "{offer:?}");
        let ended = run.finish();
        assert_eq!(ended.warnings(), [""; 0]);
        assert_eq!(ended.client.value(Counter::JoinSynTx), 3);
        for seen in &ended.seen {
            let bytes = seen
                .subflows
                .iter()
                .map(|subflow| subflow.totals.to_client.unique_bytes);
            let bytes: Vec<u64> = bytes.collect();
            assert!(bytes.iter().all(|bytes| *bytes > 0), "{bytes:?}");
        }
    }
}

#[test]
fn an_address_that_comes_back_is_joined_to_each_address_again() {
    for offer in VERSIONS {
        let plan = Plan {
            has_server_addresses: true,
            scheduler: sched::Kind::RoundRobin,
            data: Data::at(1_000_000, secs(20)),
            ..Plan::new(offer, &LINKS, pm::Kind::Fullmesh)
        };
        let mut run = plan.run();
        run.lasting(secs(2));
        let all = run.all_pairs();
        assert_eq!(run.ends(), all, "{offer:?}");
        let gone = run.client_address(1);
        run.cut(1, true);
        run.hosts.client.stack.endpoint.address_down(gone);
        run.lasting(secs(5));
        let left: Vec<_> = all.iter().copied().filter(|ends| ends.0 != gone).collect();
        assert_eq!(run.ends(), left, "{offer:?}");
        // The server has heard that the address is gone, and nothing answers from there.
        assert_eq!(run.server().info().subflows_total, 2);
        run.cut(1, false);
        run.hosts.client.stack.endpoint.address_up(gone);
        run.lasting(secs(1));
        assert_eq!(run.ends(), all, "{offer:?}");
        assert_eq!(run.server().info().subflows_total, 4);
        let carried = run.carries(1, secs(5));
        assert!(carried > 100_000, "{offer:?}");
        let ended = run.finish();
        assert_eq!([ended.client.ups(), ended.server.ups()], [6, 6]);
        assert_eq!(ended.client.value(Counter::RmAddrTx), 1);
        assert_eq!(ended.removed(), [1; 2]);
    }
}

#[test]
fn an_address_of_the_server_that_comes_late_and_goes_early_has_its_subflows_meanwhile() {
    for offer in VERSIONS {
        let plan = Plan {
            data: Data::at(1_000_000, secs(15)),
            ..Plan::new(offer, &LINKS, pm::Kind::Fullmesh)
        };
        let mut run = plan.run();
        run.lasting(secs(2));
        assert_eq!(run.ends().len(), 2, "{offer:?}");
        let second = run.server_address(1);
        run.hosts.server.stack.endpoint.address_up(second);
        run.lasting(secs(2));
        let all = run.all_pairs();
        assert_eq!(run.ends(), all, "{offer:?}");
        run.hosts.server.stack.endpoint.address_down(second);
        run.lasting(secs(2));
        assert_eq!(run.ends().len(), 2, "{offer:?}");
        let ended = run.finish();
        assert_eq!([ended.client.ups(), ended.server.ups()], [4, 4]);
        assert_eq!(ended.server.value(Counter::RmAddrTx), 1);
    }
}

/// Nobody tells the hosts that the path is gone: only silence does, and only another try that it is back.
#[test]
fn a_path_that_was_silent_for_too_long_is_joined_again_once_it_is_back() {
    for offer in VERSIONS {
        let plan = Plan {
            data: Data::messages(secs(10), secs(3600)),
            ..Plan::new(offer, &LINKS, pm::Kind::Fullmesh)
        };
        let mut run = plan.run();
        run.lasting(secs(60));
        run.cut(0, true);
        let mut silent = Duration::ZERO;
        while run.ends().len() == 2 {
            run.lasting(secs(10));
            silent += secs(10);
            assert!(silent < secs(3000), "{offer:?}");
        }
        // RFC 9293 §3.8.3: R2 is 100 s at least.
        assert!(silent >= secs(100), "{silent:?}");
        run.lasting(secs(60));
        run.cut(0, false);
        run.lasting(secs(150));
        assert_eq!(run.ends().len(), 2, "{offer:?}");
        let ended = run.finish();
        assert_eq!([ended.client.ups(), ended.server.ups()], [3, 3]);
        let first = ended.client.downs()[0];
        assert_eq!(first, (SubflowId(0), SubflowEnd::TimedOut), "{offer:?}");
        let is_reset = |(_, how): &(SubflowId, SubflowEnd)| {
            *how == SubflowEnd::ResetByUs {
                reason: ResetReason::UNSPECIFIED,
            }
        };
        assert!(!ended.client.downs().iter().any(is_reset));
    }
}
