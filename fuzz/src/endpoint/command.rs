//! What an application asks of its path manager.

use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::pm::{Command, Endpoint, EndpointFlags, Join, Limits, LocalAddress};
use mptcp_proto::wire::mptcp::Priority;

use super::step::Step;
use super::{Session, setup};

impl Session {
    /// Gives the path manager of a host a command, which may refuse it.
    pub(super) fn command(&mut self, step: Step) {
        let command = self.choose(step);
        self.with(step.side, |c| _ = c.command(&command));
    }

    fn choose(&self, step: Step) -> Command {
        let Step { side, a, b, .. } = step;
        let id = AddressId(b & 7);
        let address = setup::address(side, b >> 3, 0).ip();
        let port = (b & 64 != 0).then_some(setup::PORT);
        let priority = if b & 128 == 0 {
            Priority::Regular
        } else {
            Priority::Backup
        };
        let (local, remote) = self.ends(side, b);
        match a % 16 {
            0 | 1 => Command::AddEndpoint(Endpoint {
                id,
                address,
                port,
                flags: EndpointFlags(a >> 4),
            }),
            2 => Command::RemoveEndpoint(id),
            3 if a < 64 => Command::FlushEndpoints,
            3 | 4 => Command::SetFlags(id, EndpointFlags(a >> 4)),
            5 | 6 => Command::SetLimits(Limits {
                subflows: a >> 4,
                add_addr_accepted: b & 15,
            }),
            7 | 8 => Command::Announce(LocalAddress { id, address, port }),
            9 => Command::Withdraw(id),
            10..=12 => Command::Create(Join {
                local: setup::address(side, b >> 3, 5000 + u16::from(a >> 6)),
                local_id: id,
                remote: setup::address(1 - side, b >> 5, setup::PORT),
                remote_id: AddressId(a >> 4 & 7),
                priority,
            }),
            13 => Command::Destroy { local, remote },
            _ => Command::SetPriority {
                local,
                remote,
                priority,
            },
        }
    }

    /// Ends of a subflow that is there, or else those of the first one.
    fn ends(&self, side: usize, b: u8) -> (std::net::SocketAddr, std::net::SocketAddr) {
        let host = &self.hosts[side];
        let connection = host.id.and_then(|id| host.endpoint.connection(id));
        let id = SubflowId(u32::from(b & 3));
        let known = connection.and_then(|c| c.subflows().find(|subflow| subflow.id == id));
        known.map_or_else(
            || {
                let port = if side == 0 { 40_000 } else { setup::PORT };
                let remote = if side == 0 { setup::PORT } else { 40_000 };
                (
                    setup::address(side, 0, port),
                    setup::address(1 - side, 0, remote),
                )
            },
            |subflow| (subflow.path.local, subflow.path.remote),
        )
    }
}
