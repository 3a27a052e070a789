//! The events of the kernel's path manager, of `ip mptcp monitor`.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::lab::{Lab, Node, Process};

/// How long `ip mptcp monitor` may take to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks whether it did.
const PAUSE: Duration = Duration::from_millis(2);

/// `NETLINK_GENERIC` of the kernel's `linux/netlink.h`, as a column of `/proc/net/netlink`.
const GENERIC: &str = "16";

/// Bit of `flags`: we did not begin the connection.
const FLAG_SERVER_SIDE: u32 = 2;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first subflow has begun.
    Created(Connection),
    /// Further subflows are possible from now on.
    Established(Connection),
    /// The connection has ended.
    Closed {
        /// Of the connection.
        token: u32,
    },
    /// The peer advertised an address.
    Announced {
        /// Of the connection.
        token: u32,
        /// The address's identifier.
        address_id: u8,
        /// The address, and the port, if the kernel says one.
        address: SocketAddr,
    },
    /// The peer withdrew an address.
    Removed {
        /// Of the connection.
        token: u32,
        /// The address's identifier.
        address_id: u8,
    },
    /// A further subflow was joined.
    SubflowEstablished(SubflowEvent),
    /// A further subflow ended, or could not be joined.
    SubflowClosed(SubflowEvent),
    /// The peer changed a subflow's priority.
    SubflowPriority(SubflowEvent),
    /// Somebody listens; iproute2 before 6.3 does not say where.
    ListenerCreated,
    /// Nobody listens there any more.
    ListenerClosed,
    /// An event that is not known here, or lacks a part.
    Unknown(String),
}

/// A connection as its events describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This host's token.
    pub token: u32,
    /// This host's end of the first subflow.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Whether the peer began it.
    pub server_side: bool,
}

/// A subflow as its events describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubflowEvent {
    /// Of the connection.
    pub token: u32,
    /// This host's end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Identifier of this host's address.
    pub local_address_id: u8,
    /// Identifier of the peer's address.
    pub remote_address_id: u8,
    /// Whether it is for use only when no other works.
    pub backup: bool,
    /// The error number with which it ended.
    pub error: Option<u32>,
    /// The reason in the peer's `MP_TCPRST`.
    pub reset_reason: Option<u32>,
}

/// A subflow in the manifest of the captures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subflow {
    /// Address and port at the client.
    pub client: String,
    /// Address and port at the server.
    pub server: String,
    /// The client's address identifier.
    pub client_address_id: u8,
    /// The server's address identifier.
    pub server_address_id: u8,
    /// Whether it is for use only when no other works.
    pub backup: bool,
}

impl Event {
    /// Reads one line.
    pub fn parse(line: &str) -> Self {
        parts(line).unwrap_or_else(|| Self::Unknown(line.to_owned()))
    }

    /// The token of the connection, if the event belongs to one.
    pub fn token(&self) -> Option<u32> {
        match self {
            Self::Created(connection) | Self::Established(connection) => Some(connection.token),
            Self::Closed { token }
            | Self::Announced { token, .. }
            | Self::Removed { token, .. } => Some(*token),
            Self::SubflowEstablished(subflow)
            | Self::SubflowClosed(subflow)
            | Self::SubflowPriority(subflow) => Some(subflow.token),
            Self::ListenerCreated | Self::ListenerClosed | Self::Unknown(_) => None,
        }
    }
}

/// Starts `ip mptcp monitor` on `node` and waits until it misses nothing any more, which it does
/// not say itself.
pub fn start(lab: &Lab, node: Node) -> anyhow::Result<Process> {
    let count =
        || -> anyhow::Result<usize> { Ok(subscribers(&lab.run(node, "cat /proc/net/netlink")?)) };
    let before = count()?;
    let mut command = lab.command(node, "ip");
    let process = Process::start("monitor", command.args(["mptcp", "monitor"]))?;
    let started = Instant::now();
    while count()? <= before {
        ensure!(
            started.elapsed() < PATIENCE,
            "no monitor after {PATIENCE:?}"
        );
        std::thread::sleep(PAUSE);
    }
    Ok(process)
}

/// The sockets of a namespace that subscribed to events of generic netlink, in the text of
/// `/proc/net/netlink`. Its columns: address, protocol, port, groups.
fn subscribers(netlink: &str) -> usize {
    let subscribed = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1) == Some(&GENERIC) && words.get(3).is_some_and(|groups| *groups != "00000000")
    };
    netlink.lines().filter(subscribed).count()
}

/// The token of the first connection that `monitor` reported, as in the analyzer's output.
pub fn token(monitor: &[String]) -> Option<String> {
    monitor.iter().find_map(|line| match Event::parse(line) {
        Event::Created(connection) => Some(format!("0x{:08x}", connection.token)),
        _ => None,
    })
}

/// The subflows that the client's kernel established, in the order of the events.
pub fn subflows(monitor: &[String]) -> Vec<Subflow> {
    let established = |line: &String| match Event::parse(line) {
        Event::Established(first) => Some(Subflow {
            client: first.local.to_string(),
            server: first.remote.to_string(),
            client_address_id: 0,
            server_address_id: 0,
            backup: false,
        }),
        Event::SubflowEstablished(subflow) => Some(Subflow {
            client: subflow.local.to_string(),
            server: subflow.remote.to_string(),
            client_address_id: subflow.local_address_id,
            server_address_id: subflow.remote_address_id,
            backup: subflow.backup,
        }),
        _ => None,
    };
    monitor.iter().filter_map(established).collect()
}

/// The same subflows, in the order in which the server's kernel established them.
pub fn subflows_at_server(monitor: &[String]) -> Vec<Subflow> {
    let turned = |subflow: Subflow| Subflow {
        client: subflow.server,
        server: subflow.client,
        client_address_id: subflow.server_address_id,
        server_address_id: subflow.client_address_id,
        backup: subflow.backup,
    };
    subflows(monitor).into_iter().map(turned).collect()
}

fn parts(line: &str) -> Option<Event> {
    let (name, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    let fields = Fields(rest);
    match name.trim() {
        "CREATED" => Some(Event::Created(fields.connection()?)),
        "ESTABLISHED" => Some(Event::Established(fields.connection()?)),
        "CLOSED" => Some(Event::Closed {
            token: fields.token()?,
        }),
        "ANNOUNCED" => Some(Event::Announced {
            token: fields.token()?,
            address_id: fields.number("remid")?,
            address: fields.address('d')?,
        }),
        "REMOVED" => Some(Event::Removed {
            token: fields.token()?,
            address_id: fields.number("remid")?,
        }),
        "SF_ESTABLISHED" => Some(Event::SubflowEstablished(fields.subflow()?)),
        "SF_CLOSED" => Some(Event::SubflowClosed(fields.subflow()?)),
        "SF_PRIO" => Some(Event::SubflowPriority(fields.subflow()?)),
        "LISTENER_CREATED" | "UNKNOWN 15" => Some(Event::ListenerCreated),
        "LISTENER_CLOSED" | "UNKNOWN 16" => Some(Event::ListenerClosed),
        _ => None,
    }
}

/// The `key=value` words of a line.
struct Fields<'a>(&'a str);

impl Fields<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.0
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    fn token(&self) -> Option<u32> {
        u32::from_str_radix(self.text("token")?, 16).ok()
    }

    /// The source (`s`) or destination (`d`); an advertised address may come without a port.
    fn address(&self, end: char) -> Option<SocketAddr> {
        let v4 = self.number::<IpAddr>(&format!("{end}addr4"));
        let address = v4.or_else(|| self.number(&format!("{end}addr6")))?;
        let port = self.number(&format!("{end}port")).unwrap_or(0);
        Some(SocketAddr::new(address, port))
    }

    fn connection(&self) -> Option<Connection> {
        let flags = self
            .text("flags")
            .and_then(|flags| u32::from_str_radix(flags, 16).ok());
        Some(Connection {
            token: self.token()?,
            local: self.address('s')?,
            remote: self.address('d')?,
            server_side: flags.is_some_and(|flags| flags & FLAG_SERVER_SIDE != 0),
        })
    }

    fn subflow(&self) -> Option<SubflowEvent> {
        Some(SubflowEvent {
            token: self.token()?,
            local: self.address('s')?,
            remote: self.address('d')?,
            local_address_id: self.number("locid")?,
            remote_address_id: self.number("remid")?,
            backup: self.text("backup") == Some("1"),
            error: self.number("error"),
            reset_reason: self.number("reset_reason"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "\
[       CREATED] token=b8cd143 remid=0 locid=0 saddr4=10.1.1.1 daddr4=10.2.1.1 sport=42760 dport=5001
[   ESTABLISHED] token=b8cd143 remid=0 locid=0 saddr4=10.1.1.1 daddr4=10.2.1.1 sport=42760 dport=5001
[     ANNOUNCED] token=b8cd143 remid=5 daddr4=10.2.1.2 dport=5001
[SF_ESTABLISHED] token=b8cd143 remid=0 locid=2 saddr6=fd00::1 daddr6=fd00::2 sport=38997 dport=5001 backup=1 ifindex=2
[     SF_CLOSED] token=b8cd143 remid=5 locid=0 saddr4=10.1.1.1 daddr4=10.2.1.2 sport=56923 dport=5001 backup=0 error=111
[       REMOVED] token=b8cd143 remid=5
[        CLOSED] token=b8cd143";

    fn lines() -> Vec<String> {
        CLIENT.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_token_has_eight_digits_and_subflows_their_identifiers() {
        assert_eq!(token(&lines()).as_deref(), Some("0x0b8cd143"));
        let found = subflows(&lines());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].client, "10.1.1.1:42760");
        assert!(!found[0].backup);
        let second = (found[1].server.as_str(), found[1].client_address_id);
        assert_eq!(second, ("[fd00::2]:5001", 2));
        assert!(found[1].backup);
    }

    #[test]
    fn the_server_sees_the_same_subflows_from_the_other_end() {
        let found = subflows_at_server(&lines());
        assert_eq!(found[0].server, "10.1.1.1:42760");
        assert_eq!(
            (found[1].client_address_id, found[1].server_address_id),
            (0, 2)
        );
    }

    #[test]
    fn every_event_of_a_client_is_known() {
        let events: Vec<Event> = CLIENT.lines().map(Event::parse).collect();
        assert!(events.iter().all(|event| event.token() == Some(0xb8c_d143)));
        let Event::SubflowClosed(closed) = &events[4] else {
            panic!("{events:?}");
        };
        assert_eq!((closed.error, closed.reset_reason), (Some(111), None));
        let advertised = Event::Announced {
            token: 0xb8c_d143,
            address_id: 5,
            address: "10.2.1.2:5001".parse().unwrap(),
        };
        assert_eq!(events[2], advertised);
    }

    #[test]
    fn only_sockets_with_groups_are_subscribers() {
        let netlink = "\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
00000000afa835e2 0   30138      00000001 0        0        0     2        0        713913
000000009983e7ab 16  30138      00000100 0        0        0     2        0        713914
000000009c968904 16  0          00000000 0        0        0     2        0        713897";
        assert_eq!(subscribers(netlink), 1);
    }

    #[test]
    fn a_server_knows_its_side_and_priorities() {
        let created = "[       CREATED] token=551beed3 remid=0 locid=0 saddr4=10.2.1.1 daddr4=10.1.1.1 sport=5001 dport=42760 flags=2";
        assert!(matches!(Event::parse(created), Event::Created(c) if c.server_side));
        let prio = "[       SF_PRIO] token=551beed3 remid=2 locid=0 saddr4=10.2.1.1 daddr4=10.1.1.2 sport=5001 dport=38997 backup=1 reset_reason=3 reset_flags=0x1";
        let Event::SubflowPriority(subflow) = Event::parse(prio) else {
            panic!("{prio}");
        };
        assert_eq!((subflow.backup, subflow.reset_reason), (true, Some(3)));
        assert_eq!(Event::parse("[UNKNOWN 15]"), Event::ListenerCreated);
        assert!(matches!(Event::parse("[UNKNOWN 99]"), Event::Unknown(_)));
        assert!(matches!(
            Event::parse("[CREATED] token=1"),
            Event::Unknown(_)
        ));
    }
}
