//! Scripts of events, and the subflows and addresses that come of them.
//!
//! The cases are those of the kernel's `mptcp_join.sh`, with its addresses: the client is
//! `10.0.N.2`, the server `10.0.N.1`.

mod kernel;
mod policies;
mod random;
mod user;

use std::time::Duration;

use super::*;
use crate::wire::mptcp::ResetFlags;

const RESET: TcpReset = TcpReset {
    flags: ResetFlags(0),
    reason: ResetReason::UNACCEPTABLE_PERFORMANCE,
};

const TRANSIENT_RESET: TcpReset = TcpReset {
    flags: ResetFlags::TRANSIENT,
    reason: ResetReason::LACK_OF_RESOURCES,
};

fn client(net: u8) -> IpAddr {
    IpAddr::from([10, 0, net, 2])
}

fn server(net: u8) -> IpAddr {
    IpAddr::from([10, 0, net, 1])
}

fn remote(id: u8, net: u8) -> RemoteAddress {
    RemoteAddress {
        id: AddressId(id),
        address: SocketAddr::new(server(net), 10_001),
    }
}

fn limits(subflows: u8, add_addr_accepted: u8) -> Limits {
    Limits {
        subflows,
        add_addr_accepted,
    }
}

/// A connection as far as a path manager knows one: it opens and closes what is asked for at once.
struct Script {
    manager: Manager,
    now: Instant,
    role: Role,
    subflows: Vec<PmSubflow>,
    remotes: Vec<RemoteAddress>,
    is_denied: bool,
    is_joinable: bool,
    next_id: u32,
    /// What a subflow to this address meets instead of an answer.
    obstacle: Option<(IpAddr, DownReason)>,
    /// All that was asked for.
    log: Vec<PmAction>,
}

impl Script {
    fn new(kind: Kind, limits: Limits) -> Self {
        let initial = PmSubflow {
            id: SubflowId(0),
            local: SocketAddr::new(client(1), 40_000),
            remote: SocketAddr::new(server(1), 10_001),
            local_id: AddressId(0),
            remote_id: AddressId(0),
            priority: Priority::Regular,
            is_established: true,
            is_half_open: false,
        };
        Self {
            manager: Manager::new(kind, limits),
            now: Instant::ZERO,
            role: Role::Client,
            subflows: vec![initial],
            remotes: Vec::new(),
            is_denied: false,
            is_joinable: false,
            next_id: 1,
            obstacle: None,
            log: Vec::new(),
        }
    }

    fn on_server(mut self) -> Self {
        self.role = Role::Server;
        let initial = &mut self.subflows[0];
        std::mem::swap(&mut initial.local, &mut initial.remote);
        self
    }

    fn with_endpoint(mut self, address: IpAddr, flags: EndpointFlags) -> Self {
        self.add_endpoint(address, flags).unwrap();
        self
    }

    fn add_endpoint(&mut self, address: IpAddr, flags: EndpointFlags) -> Result<(), CommandError> {
        self.command(Command::AddEndpoint(Endpoint {
            id: AddressId(0),
            address,
            port: None,
            flags,
        }))
    }

    /// The server sets the C flag.
    fn denied(mut self) -> Self {
        self.is_denied = true;
        self
    }

    fn established(mut self) -> Self {
        self.is_joinable = true;
        self.event(PmEvent::Established);
        self
    }

    fn with_locals(mut self, nets: &[u8]) -> Self {
        for net in nets {
            let address = match self.role {
                Role::Client => client(*net),
                Role::Server => server(*net),
            };
            self.event(PmEvent::LocalUp(address));
        }
        self
    }

    fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let (mut manager, mut actions) = (self.take_manager(), Vec::new());
        let result = manager.handle_command(&self.view(), &command, &mut actions);
        self.manager = manager;
        self.carry_out(&actions);
        result
    }

    fn event(&mut self, event: PmEvent) {
        let (mut manager, mut actions) = (self.take_manager(), Vec::new());
        manager.handle_event(&self.view(), &event, &mut actions);
        self.manager = manager;
        self.carry_out(&actions);
    }

    fn take_manager(&mut self) -> Manager {
        let other = Manager::new(Kind::User, Limits::default());
        std::mem::replace(&mut self.manager, other)
    }

    fn view(&self) -> PmView<'_> {
        let initial = match self.role {
            Role::Client => (client(1), 40_000, server(1), 10_001),
            Role::Server => (server(1), 10_001, client(1), 40_000),
        };
        PmView {
            now: self.now,
            role: self.role,
            initial_local: SocketAddr::new(initial.0, initial.1),
            initial_remote: SocketAddr::new(initial.2, initial.3),
            subflows: &self.subflows,
            remotes: &self.remotes,
            is_join_to_initial_denied: self.is_denied,
            is_joinable: self.is_joinable,
        }
    }

    fn carry_out(&mut self, actions: &[PmAction]) {
        self.log.extend(actions);
        let opens = actions.iter().filter_map(|action| match action {
            PmAction::Open(join) => Some(*join),
            _ => None,
        });
        let opened: Vec<PmSubflow> = opens.map(|join| self.open(join)).collect();
        for action in actions {
            match action {
                PmAction::Close(id) | PmAction::Reset(id, _) => {
                    self.down(id.0, DownReason::Closed);
                }
                PmAction::SetPriority(id, priority) => {
                    let of_id = |subflow: &&mut PmSubflow| subflow.id == *id;
                    self.subflows.iter_mut().find(of_id).unwrap().priority = *priority;
                }
                _ => {}
            }
        }
        for subflow in opened {
            match self.obstacle {
                Some((address, why)) if address == subflow.remote.ip() => {
                    self.down(subflow.id.0, why);
                }
                _ => self.event(PmEvent::SubflowUp(subflow.id)),
            }
        }
    }

    fn open(&mut self, join: Join) -> PmSubflow {
        let id = SubflowId(self.next_id);
        self.next_id += 1;
        let port = 40_000 + u16::try_from(id.0).unwrap();
        let subflow = PmSubflow {
            id,
            local: SocketAddr::new(join.local.ip(), port),
            remote: join.remote,
            local_id: join.local_id,
            remote_id: join.remote_id,
            priority: join.priority,
            is_established: true,
            is_half_open: false,
        };
        self.subflows.push(subflow);
        subflow
    }

    fn down(&mut self, id: u32, why: DownReason) {
        let of_id = |subflow: &PmSubflow| subflow.id.0 == id;
        let index = self.subflows.iter().position(of_id).unwrap();
        let subflow = self.subflows.remove(index);
        self.event(PmEvent::SubflowDown { subflow, why });
    }

    fn announce(&mut self, remote: RemoteAddress) {
        self.remotes.push(remote);
        self.event(PmEvent::AddressAnnounced(remote));
    }

    /// The peer says that an address is gone.
    fn remove(&mut self, id: u8) {
        self.remotes.retain(|remote| remote.id.0 != id);
        self.event(PmEvent::AddressRemoved(AddressId(id)));
    }

    /// And closes its subflows, which is up to it (RFC 8684 §3.4.2).
    fn withdraw(&mut self, id: u8) {
        self.remove(id);
        let of_id = |subflow: &&PmSubflow| subflow.remote_id.0 == id;
        let affected = self.subflows.iter().filter(of_id);
        for id in affected.map(|subflow| subflow.id.0).collect::<Vec<_>>() {
            self.down(id, DownReason::PeerClosed);
        }
    }

    /// Waits for the time at which the manager wants to be called, and calls it.
    fn wait(&mut self) -> Duration {
        let at = self.manager.poll_timeout().unwrap();
        let waited = at.since(self.now);
        self.now = at;
        self.event(PmEvent::Timeout);
        waited
    }

    /// The last parts of the ends of all subflows: `"1>1 2>1"`, with the priority of backups.
    fn mesh(&self) -> String {
        let ends = |subflow: &PmSubflow| {
            let net = |end: SocketAddr| match end.ip() {
                IpAddr::V4(address) => address.octets()[2],
                IpAddr::V6(_) => 6,
            };
            let mark = match subflow.priority {
                Priority::Regular => "",
                Priority::Backup => "b",
            };
            format!("{}>{}{mark}", net(subflow.local), net(subflow.remote))
        };
        let all: Vec<String> = self.subflows.iter().map(ends).collect();
        all.join(" ")
    }

    fn announced(&self) -> Vec<LocalAddress> {
        let announced = self.log.iter().filter_map(|action| match action {
            PmAction::Announce(address) => Some(*address),
            _ => None,
        });
        announced.collect()
    }

    fn withdrawn(&self) -> Vec<u8> {
        let withdrawn = self.log.iter().filter_map(|action| match action {
            PmAction::Withdraw(id) => Some(id.0),
            _ => None,
        });
        withdrawn.collect()
    }
}

#[test]
fn names_are_read_back() {
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(Manager::new(kind, Limits::default()).kind(), kind);
    }
    assert_eq!("ndiffports:5".parse(), Ok(Kind::Ndiffports(5)));
    assert_eq!("ndiffports:x".parse::<Kind>(), Err(UnknownKind));
    assert_eq!("netlink".parse::<Kind>(), Err(UnknownKind));
}

#[test]
fn joins_of_the_peer_are_accepted_up_to_the_limit() {
    for kind in Kind::ALL {
        let mut script = Script::new(kind, limits(1, 0)).established();
        script.subflows.truncate(1);
        let check = |script: &Script| script.manager.check_join(&script.view());
        assert_eq!(check(&script), Ok(()));
        script.subflows.push(PmSubflow {
            id: SubflowId(77),
            ..script.subflows[0]
        });
        let prohibited = Err(ResetReason::ADMINISTRATIVELY_PROHIBITED);
        assert_eq!(check(&script), prohibited, "{kind}");
        script.command(Command::SetLimits(limits(2, 0))).unwrap();
        script.subflows.truncate(2);
        assert_eq!(check(&script), Ok(()), "{kind}");
    }
}

#[test]
fn no_joins_after_a_fallback() {
    for kind in Kind::ALL {
        let mut script = Script::new(kind, limits(8, 8)).with_locals(&[1, 2, 3]);
        script.is_joinable = false;
        script.event(PmEvent::Established);
        script.announce(remote(2, 2));
        assert_eq!(script.log, [], "{kind}");
        let refused = script.manager.check_join(&script.view());
        assert_eq!(refused, Err(ResetReason::ADMINISTRATIVELY_PROHIBITED));
    }
}

#[test]
fn the_subflows_of_a_withdrawn_address_are_tested_under_every_policy() {
    for kind in Kind::ALL {
        let mut script = Script::new(kind, limits(8, 8)).established();
        script.subflows.truncate(1);
        script.subflows.push(PmSubflow {
            id: SubflowId(50),
            remote_id: AddressId(7),
            ..script.subflows[0]
        });
        script.remove(7);
        let probe = |id| Some(PmAction::Probe(SubflowId(id)));
        assert_eq!(script.log.last().copied(), probe(50), "{kind}");
        // One that is still being opened is given up.
        script.subflows[1].is_established = false;
        script.remove(7);
        let close = PmAction::Close(SubflowId(50));
        assert_eq!(script.log.last(), Some(&close), "{kind}");
        script.remove(0);
        assert_eq!(script.log.last().copied(), probe(0), "{kind}");
    }
}

#[test]
fn a_local_address_that_is_gone_is_withdrawn_and_its_subflows_given_up() {
    for kind in Kind::ALL {
        let mut script = Script::new(kind, limits(8, 8)).established();
        script.subflows.truncate(1);
        script.subflows.push(PmSubflow {
            id: SubflowId(50),
            local: SocketAddr::new(client(2), 5_000),
            local_id: AddressId(4),
            ..script.subflows[0]
        });
        script.event(PmEvent::LocalDown(client(2)));
        let expected = [
            PmAction::Withdraw(AddressId(4)),
            PmAction::Reset(SubflowId(50), ResetReason::UNSPECIFIED),
        ];
        let mut pairs = script.log.windows(2);
        assert!(
            pairs.any(|pair| pair == expected),
            "{kind}: {:?}",
            script.log
        );
    }
}

#[test]
fn addresses_that_are_no_hosts_are_not_joined() {
    for address in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "ff02::1",
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert!(!is_advertisable(address), "{address}");
        let mut script = Script::new(Kind::Kernel, limits(8, 8)).established();
        script.announce(RemoteAddress {
            id: AddressId(3),
            address: SocketAddr::new(address, 10_001),
        });
        assert_eq!(script.mesh(), "1>1");
    }
    assert!(is_advertisable("::ffff:10.0.0.1".parse().unwrap()));
}

#[test]
fn what_is_asked_for_already_is_not_asked_for_again() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::User) {
        let mut script = Script::new(kind, limits(8, 8));
        if kind == Kind::Kernel {
            let flags = EndpointFlags::SUBFLOW.with(EndpointFlags::FULLMESH);
            script.add_endpoint(client(2), flags).unwrap();
        }
        if kind == Kind::BreakBeforeMake {
            script.subflows.clear();
        }
        script.is_joinable = true;
        script.remotes.push(remote(2, 2));
        let view = PmView {
            now: script.now,
            role: Role::Client,
            initial_local: SocketAddr::new(client(1), 40_000),
            initial_remote: SocketAddr::new(server(1), 10_001),
            subflows: &script.subflows,
            remotes: &script.remotes,
            is_join_to_initial_denied: false,
            is_joinable: true,
        };
        // Nothing is carried out between the events.
        let mut actions = Vec::new();
        for net in [1, 2] {
            let event = PmEvent::LocalUp(client(net));
            script.manager.handle_event(&view, &event, &mut actions);
        }
        let first = PmEvent::Established;
        script.manager.handle_event(&view, &first, &mut actions);
        let asked = actions.len();
        for event in [
            first,
            PmEvent::Timeout,
            PmEvent::AddressAnnounced(remote(2, 2)),
        ] {
            script.manager.handle_event(&view, &event, &mut actions);
        }
        assert_eq!(actions.len(), asked, "{kind}: {actions:?}");
        assert!(asked > 0, "{kind}");
    }
}
