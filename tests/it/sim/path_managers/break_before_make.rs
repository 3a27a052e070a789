//! One subflow at a time (RFC 8684 §3.9.1).

use mptcp_proto::conn::Counter;
use mptcp_proto::pm;
use mptcp_tests::sim::{ms, secs};

use super::{Data, Plan, VERSIONS};

const LINKS: [&str; 2] = ["10mbit 10ms queue=100kB", "10mbit 40ms queue=100kB"];

#[test]
fn the_old_address_goes_nothing_is_left_and_the_transfer_goes_on_over_the_new_one() {
    for offer in VERSIONS {
        let plan = Plan {
            has_one_client_address: true,
            data: Data::at(1_000_000, secs(20)),
            ..Plan::new(offer, &LINKS, pm::Kind::BreakBeforeMake)
        };
        let mut run = plan.run();
        let remote = run.server_address(0);
        let [first, second] = [0, 1].map(|path| run.client_address(path));
        let mut here = (0, first, 1, second);
        for _ in 0..3 {
            run.lasting(secs(2));
            let (path, address, next_path, next) = here;
            assert_eq!(run.ends(), [(address, remote)], "{offer:?}");
            run.cut(path, true);
            run.hosts.client.stack.endpoint.address_down(address);
            run.lasting(ms(1500));
            assert_eq!(run.ends(), [], "{offer:?}");
            assert!(run.client().is_connected());
            run.cut(next_path, false);
            run.hosts.client.stack.endpoint.address_up(next);
            run.lasting(ms(500));
            assert_eq!(run.ends(), [(next, remote)], "{offer:?}");
            let carried = run.carries(next_path, secs(1));
            assert!(carried > 115_000, "{offer:?}: {carried}");
            here = (next_path, next, path, address);
        }
        let ended = run.finish();
        assert_eq!([ended.client.ups(), ended.server.ups()], [4, 4]);
        assert_eq!(ended.client.value(Counter::RmAddrTx), 3);
        assert_eq!(ended.removed(), [0, 1, 0].repeat(2));
        // Never two at once.
        for seen in &ended.seen {
            let subflows = seen.subflows.windows(2);
            let mut pairs = subflows.map(|pair| (&pair[0], &pair[1]));
            assert!(pairs.all(|(old, new)| old.first_at < new.first_at));
        }
    }
}

#[test]
fn an_address_that_waits_takes_over_at_once_and_not_before() {
    for offer in VERSIONS {
        let plan = Plan {
            data: Data::at(1_000_000, secs(10)),
            ..Plan::new(offer, &LINKS, pm::Kind::BreakBeforeMake)
        };
        let mut run = plan.run();
        run.lasting(secs(3));
        assert_eq!(run.carried(1), 0);
        let gone = run.client_address(0);
        run.cut(0, true);
        run.hosts.client.stack.endpoint.address_down(gone);
        run.lasting(ms(200));
        let now = (run.client_address(1), run.server_address(0));
        assert_eq!(run.ends(), [now], "{offer:?}");
        let ended = run.finish();
        assert_eq!([ended.client.ups(), ended.server.ups()], [2, 2]);
        assert_eq!(ended.removed(), [0; 2]);
    }
}
