//! An application, or a daemon for it, that decides: events and commands, as with the kernel's userspace path manager.

use std::net::{IpAddr, SocketAddr};

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Counter, Event, SubflowEnd};
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::pm::{self, Command, CommandError, Join, LocalAddress};
use mptcp_proto::wire::mptcp::Priority;
use mptcp_tests::sim::secs;

use super::{Data, Ended, Log, PORT, Plan, Run, VERSIONS};

const LINKS: [&str; 2] = ["10mbit 10ms queue=100kB", "10mbit 20ms queue=100kB"];

/// The events of the kernel's userspace path manager (`enum mptcp_event_type` of `linux/mptcp_pm.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KernelEvent {
    Created,
    Established,
    Announced,
    Removed,
    SubEstablished,
    SubPriority,
    SubClosed,
    Closed,
}

fn kernel_events(log: &Log) -> Vec<KernelEvent> {
    let initial = SubflowId(0);
    let events = log.events.iter().filter_map(|event| match event {
        Event::Connected { .. } => Some(KernelEvent::Created),
        Event::FullyEstablished => Some(KernelEvent::Established),
        Event::AddressAnnounced { .. } => Some(KernelEvent::Announced),
        Event::AddressRemoved { .. } => Some(KernelEvent::Removed),
        // Linux tells of the initial subflow with CREATED and CLOSED.
        Event::SubflowUp { id } if *id != initial => Some(KernelEvent::SubEstablished),
        Event::SubflowDown { id, .. } if *id != initial => Some(KernelEvent::SubClosed),
        Event::PriorityChanged { .. } => Some(KernelEvent::SubPriority),
        Event::Closed { .. } => Some(KernelEvent::Closed),
        _ => None,
    });
    events.collect()
}

/// The connection with what a daemon has learnt and decided.
struct Daemon {
    run: Run,
    first: (IpAddr, IpAddr),
    /// The second subflow.
    local: SocketAddr,
    remote: SocketAddr,
}

/// Of the server's second address.
const ID: AddressId = AddressId(7);

impl Daemon {
    fn new(offer: Offer) -> Self {
        let plan = Plan {
            has_server_addresses: true,
            server: pm::Kind::User,
            data: Data::at(1_000_000, secs(20)),
            ..Plan::new(offer, &LINKS, pm::Kind::User)
        };
        let run = plan.run();
        Self {
            first: (run.client_address(0), run.server_address(0)),
            local: SocketAddr::new(run.client_address(1), 4001),
            remote: SocketAddr::new(run.server_address(1), PORT),
            run,
        }
    }

    fn second(&self) -> (IpAddr, IpAddr) {
        (self.local.ip(), self.remote.ip())
    }

    /// The client carries out a command, and a second later there are these subflows.
    #[track_caller]
    fn client(&mut self, command: &Command, ends: &[(IpAddr, IpAddr)]) {
        assert_eq!(self.run.client().command(command), Ok(()));
        self.run.lasting(secs(1));
        assert_eq!(self.run.ends(), ends);
    }

    #[track_caller]
    fn server(&mut self, command: &Command, ends: &[(IpAddr, IpAddr)]) {
        assert_eq!(self.run.server().command(command), Ok(()));
        self.run.lasting(secs(1));
        assert_eq!(self.run.ends(), ends);
    }

    fn announces_and_creates(&mut self) {
        let (first, second) = (self.first, self.second());
        self.run.lasting(secs(1));
        // By itself it does nothing, also when it hears of an address.
        assert_eq!(self.run.ends(), [first]);
        let announced = LocalAddress {
            id: ID,
            address: second.1,
            port: None,
        };
        self.server(&Command::Announce(announced), &[first]);
        let create = Command::Create(Join {
            local: self.local,
            local_id: AddressId(3),
            remote: self.remote,
            remote_id: ID,
            priority: Priority::Regular,
        });
        self.client(&create, &[first, second]);
        let again = self.run.client().command(&create);
        assert_eq!(again, Err(CommandError::InUse));
    }

    /// The second subflow becomes a backup and ceases to be one.
    fn sets_priorities(&mut self) {
        let both = [self.first, self.second()];
        let (local, remote) = (self.local, self.remote);
        let set = |priority| Command::SetPriority {
            local,
            remote,
            priority,
        };
        self.client(&set(Priority::Backup), &both);
        let carried = self.run.carries(1, secs(1));
        assert!(carried < 15_000, "{carried}");
        self.client(&set(Priority::Regular), &both);
    }

    /// The first subflow goes and comes back, and then the second one goes.
    fn destroys_and_withdraws(&mut self) {
        let (first, second) = (self.first, self.second());
        let initial = self.run.client().initial();
        let destroy = Command::Destroy {
            local: initial.local,
            remote: initial.remote,
        };
        self.client(&destroy, &[second]);
        let carried = self.run.carries(1, secs(1));
        assert!(carried > 115_000, "{carried}");
        let create = Command::Create(Join {
            local: SocketAddr::new(first.0, 0),
            local_id: AddressId(0),
            remote: SocketAddr::new(first.1, PORT),
            remote_id: AddressId(0),
            priority: Priority::Regular,
        });
        self.client(&create, &[first, second]);
        self.server(&Command::Withdraw(ID), &[first]);
        let gone = Command::Destroy {
            local: self.local,
            remote: self.remote,
        };
        let result = self.run.client().command(&gone);
        assert_eq!(result, Err(CommandError::NotFound));
    }
}

#[test]
fn a_daemon_hears_of_everything_in_order_and_its_commands_are_carried_out() {
    for offer in VERSIONS {
        let mut daemon = Daemon::new(offer);
        daemon.announces_and_creates();
        daemon.sets_priorities();
        daemon.destroys_and_withdraws();
        check(offer, &daemon.run.finish());
    }
}

fn check(offer: Offer, ended: &Ended) {
    use KernelEvent as K;
    assert_eq!(ended.warnings(), [""; 0]);
    let client = [
        K::Created,
        K::Established,
        K::Announced,
        K::SubEstablished,
        K::SubEstablished,
        K::Removed,
        K::SubClosed,
        K::SubClosed,
        K::Closed,
    ];
    assert_eq!(kernel_events(&ended.client), client, "{offer:?}");
    let server = [
        K::Created,
        K::Established,
        K::SubEstablished,
        K::SubPriority,
        K::SubPriority,
        K::SubEstablished,
        K::SubClosed,
        K::SubClosed,
        K::Closed,
    ];
    assert_eq!(kernel_events(&ended.server), server, "{offer:?}");
    let closed = [0, 1, 2].map(|id| (SubflowId(id), SubflowEnd::Closed));
    assert_eq!(ended.client.downs(), closed);
    assert_eq!(ended.server.downs(), closed);
    assert_eq!(ended.client.value(Counter::PrioTx), 2);
    assert_eq!(ended.removed(), [ID.0; 2]);
    for seen in &ended.seen {
        let changes = seen.subflows[1].priority_changes.iter();
        let backup: Vec<bool> = changes.map(|change| change.backup).collect();
        assert_eq!(backup, [true, false]);
        let ids = (
            seen.subflows[1].client_address_id,
            seen.subflows[1].server_address_id,
        );
        assert_eq!(ids, (Some(AddressId(3)), Some(ID)));
    }
}
