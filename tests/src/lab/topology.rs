//! Networks as plain values: which hosts and routers there are, how they are linked, how fast.
//!
//! ```text
//! paths(&[2, 1])   client ─c1──near─r11─far──near─r12─far──s1─ server
//!                        ─c2──near─r21─far────────────────s2─
//!
//! ecmp(2)          client ─c1──near─r01─far1──near─r12─far──near1─r03─far──s1─ server
//!                                      └far2──near─r22─far──near2─┘
//! ```
//!
//! The interface `near` of a router points to the client, `far` to the server. A path belongs to an
//! address of the client: what has the address of `c2` goes over path 2, whatever address of the
//! server it is sent to, and comes back that way.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use anyhow::{Context, bail};

/// A host or a router; one network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// Opens connections.
    Client,
    /// `hop` counts from the client, from 1; `path` from 1 too, 0 where paths meet.
    Router {
        /// The path that it belongs to.
        path: u8,
        /// Its distance from the client.
        hop: u8,
    },
    /// Accepts connections.
    Server,
}

impl Node {
    /// The router `hop` steps from the client on path `path`.
    pub const fn router(path: u8, hop: u8) -> Self {
        Self::Router { path, hop }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Router { path, hop } => write!(f, "r{path}{hop}"),
            Self::Server => f.write_str("server"),
        }
    }
}

/// The networks 10.a.b.0/24 and `fd00:a:b::/64` (a and b in decimal digits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    a: u8,
    b: u8,
}

impl Net {
    /// The IPv4 address of host number `host` in it.
    pub fn v4(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, self.a, self.b, host)
    }

    /// The IPv6 address of host number `host` in it.
    pub fn v6(self, host: u8) -> Ipv6Addr {
        // The digits are those of the IPv4 address, so that a person can read one from the other.
        let digits = |number: u8| {
            u16::from(number / 100) << 8 | u16::from(number / 10 % 10) << 4 | u16::from(number % 10)
        };
        Ipv6Addr::new(
            0xfd00,
            digits(self.a),
            digits(self.b),
            0,
            0,
            0,
            0,
            digits(host),
        )
    }
}

/// Reads a name as it is displayed; a number alone is the router so far from the client on path 1.
impl FromStr for Node {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let wrong = || format!("{text}: `client`, `server`, a router like r12, or a hop like 2");
        match text {
            "client" => return Ok(Self::Client),
            "server" => return Ok(Self::Server),
            _ => {}
        }
        let Some(digits) = text.strip_prefix('r') else {
            return Ok(Self::router(1, text.parse().with_context(wrong)?));
        };
        let (path, hop) = digits.split_at_checked(1).with_context(wrong)?;
        Ok(Self::router(
            path.parse().with_context(wrong)?,
            hop.parse().with_context(wrong)?,
        ))
    }
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Whose it is.
    pub node: Node,
    /// Its interface.
    pub interface: String,
    /// The last part of its addresses.
    pub host: u8,
}

/// A veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The end nearer to the client.
    pub down: End,
    /// The end nearer to the server.
    pub up: End,
    /// The network of both ends.
    pub net: Net,
    /// What the routers at its ends send at most, each way; `None` is as fast as the machine.
    pub rate: Option<Rate>,
}

/// How fast a router sends (token bucket, since this kernel has no netem).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Megabits (10⁶) a second.
    pub mbit: u32,
    /// The longest time that a packet may wait in the queue before it is dropped.
    pub queue_ms: u32,
}

/// How often a router answers with ICMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpLimit {
    /// Always.
    Off,
    /// As Linux does unless told otherwise: one answer a second per destination after six at once
    /// (IPv4), one per 100 ms (IPv6).
    LinuxDefault,
}

/// A network between one client and one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Every host and router.
    pub nodes: Vec<Node>,
    /// Every link.
    pub links: Vec<Link>,
    /// For all routers.
    pub icmp_limit: IcmpLimit,
    /// This router translates the client's addresses to its own; nothing beyond it has a route to
    /// the client's networks.
    pub nat: Option<Node>,
}

/// More would not fit into the addresses and names.
const MAX_PATHS: usize = 9;
const MAX_HOPS: u8 = 99;

/// The second byte of the networks at the client, at the server, and (plus the path) between routers.
const CLIENT_NET: u8 = 1;
const SERVER_NET: u8 = 2;
const INNER_NET: u8 = 100;

impl Topology {
    /// What [`Topology::from_str`] reads.
    pub const GRAMMAR: &str =
        "chain:ROUTERS, paths:ROUTERS,ROUTERS,… (up to 9), ecmp:BRANCHES (2 to 9) or nat";

    /// One path with `routers` routers.
    pub fn chain(routers: u8) -> Self {
        Self::paths(&[routers])
    }

    /// Disjoint paths, each with its number of routers (at least one).
    ///
    /// # Panics
    ///
    /// Without a path, with a path without router, or with more than 9 paths or 99 routers on one.
    pub fn paths(routers: &[u8]) -> Self {
        assert!((1..=MAX_PATHS).contains(&routers.len()), "1 to 9 paths");
        let mut topology = Self::empty();
        for (path, &hops) in (1..).zip(routers) {
            assert!((1..=MAX_HOPS).contains(&hops), "1 to 99 routers on a path");
            let router = |hop| Node::router(path, hop);
            topology.nodes.extend((1..=hops).map(router));
            topology.access_client(path, router(1), "near");
            for hop in 1..hops {
                let ends = [(router(hop), "far"), (router(hop + 1), "near")];
                topology.inner(
                    ends,
                    Net {
                        a: INNER_NET + path,
                        b: hop,
                    },
                );
            }
            topology.access_server(path, router(hops), "far");
        }
        topology
    }

    /// One router that spreads flows over `branches` equally long ways by their addresses and ports,
    /// and one where they meet again.
    ///
    /// # Panics
    ///
    /// With less than two branches or more than 9.
    pub fn ecmp(branches: u8) -> Self {
        let most = 2..=MAX_PATHS;
        assert!(most.contains(&usize::from(branches)), "2 to 9 branches");
        let (fork, merge) = (Node::router(0, 1), Node::router(0, 3));
        let mut topology = Self::empty();
        topology.nodes.push(fork);
        topology.access_client(1, fork, "near");
        for branch in 1..=branches {
            let router = Node::router(branch, 2);
            topology.nodes.push(router);
            let (up, down) = (format!("far{branch}"), format!("near{branch}"));
            let net = |b| Net {
                a: INNER_NET + branch,
                b,
            };
            topology.inner([(fork, &up), (router, "near")], net(1));
            topology.inner([(router, "far"), (merge, &down)], net(2));
        }
        topology.nodes.push(merge);
        topology.access_server(1, merge, "far");
        topology
    }

    /// A chain of two routers; the first translates addresses, as a home router does.
    pub fn nat() -> Self {
        Self {
            nat: Some(Node::router(1, 1)),
            ..Self::chain(2)
        }
    }

    /// The same network with this rate on every link.
    #[must_use]
    pub fn with_rate(mut self, rate: Rate) -> Self {
        for link in &mut self.links {
            link.rate = Some(rate);
        }
        self
    }

    /// The same network with this limit on every router.
    #[must_use]
    pub fn with_icmp_limit(self, icmp_limit: IcmpLimit) -> Self {
        Self { icmp_limit, ..self }
    }

    /// The interfaces of `node` that point to the client.
    pub fn toward_client(&self, node: Node) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.up.node == node)
    }

    /// The interfaces of `node` that point to the server.
    pub fn toward_server(&self, node: Node) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.down.node == node)
    }

    fn empty() -> Self {
        Self {
            nodes: vec![Node::Client, Node::Server],
            links: Vec::new(),
            icmp_limit: IcmpLimit::Off,
            nat: None,
        }
    }

    fn access_client(&mut self, path: u8, router: Node, interface: &str) {
        self.links.push(Link {
            down: end(Node::Client, &format!("c{path}"), 1),
            up: end(router, interface, 254),
            net: Net {
                a: CLIENT_NET,
                b: path,
            },
            rate: None,
        });
    }

    fn access_server(&mut self, path: u8, router: Node, interface: &str) {
        self.links.push(Link {
            down: end(router, interface, 254),
            up: end(Node::Server, &format!("s{path}"), 1),
            net: Net {
                a: SERVER_NET,
                b: path,
            },
            rate: None,
        });
    }

    fn inner(&mut self, [down, up]: [(Node, &str); 2], net: Net) {
        self.links.push(Link {
            down: end(down.0, down.1, 1),
            up: end(up.0, up.1, 2),
            net,
            rate: None,
        });
    }
}

/// Reads `chain:ROUTERS`, `paths:ROUTERS,ROUTERS…`, `ecmp:BRANCHES` or `nat`.
impl FromStr for Topology {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let wrong = || format!("{text}: {}", Self::GRAMMAR);
        let (kind, numbers) = text.split_once(':').unwrap_or((text, ""));
        let numbers = numbers
            .split(',')
            .filter(|number| !number.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<u8>, _>>()
            .with_context(wrong)?;
        let hops = |number: &u8| (1..=MAX_HOPS).contains(number);
        match (kind, numbers.as_slice()) {
            ("nat", []) => Ok(Self::nat()),
            ("chain", [routers]) if hops(routers) => Ok(Self::chain(*routers)),
            ("ecmp", [branches]) if (2..=MAX_PATHS).contains(&usize::from(*branches)) => {
                Ok(Self::ecmp(*branches))
            }
            ("paths", routers)
                if (1..=MAX_PATHS).contains(&routers.len()) && routers.iter().all(hops) =>
            {
                Ok(Self::paths(routers))
            }
            _ => bail!(wrong()),
        }
    }
}

fn end(node: Node, interface: &str, host: u8) -> End {
    End {
        node,
        interface: interface.to_owned(),
        host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(topology: &Topology) -> Vec<String> {
        let end = |end: &End| format!("{}.{}", end.node, end.interface);
        let link = |link: &Link| format!("{} {}", end(&link.down), end(&link.up));
        topology.links.iter().map(link).collect()
    }

    #[test]
    fn paths_have_their_routers_in_order() {
        assert_eq!(
            shown(&Topology::paths(&[2, 1])),
            [
                "client.c1 r11.near",
                "r11.far r12.near",
                "r12.far server.s1",
                "client.c2 r21.near",
                "r21.far server.s2",
            ]
        );
    }

    #[test]
    fn branches_meet_again() {
        assert_eq!(
            shown(&Topology::ecmp(2)),
            [
                "client.c1 r01.near",
                "r01.far1 r12.near",
                "r12.far r03.near1",
                "r01.far2 r22.near",
                "r22.far r03.near2",
                "r03.far server.s1",
            ]
        );
    }

    #[test]
    fn names_are_read_as_they_are_displayed() {
        for node in Topology::paths(&[12, 1]).nodes {
            assert_eq!(node.to_string().parse::<Node>().unwrap(), node);
        }
        assert_eq!("3".parse::<Node>().unwrap(), Node::router(1, 3));
        for wrong in ["", "r", "r1", "x1", "rä", "-1"] {
            assert!(wrong.parse::<Node>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn topologies_are_read_or_refused() {
        let read = |text: &str| text.parse::<Topology>();
        assert_eq!(read("paths:2,1").unwrap(), Topology::paths(&[2, 1]));
        assert_eq!(read("chain:3").unwrap(), Topology::chain(3));
        assert_eq!(read("ecmp:2").unwrap(), Topology::ecmp(2));
        assert_eq!(read("nat").unwrap(), Topology::nat());
        for wrong in [
            "",
            "chain",
            "chain:0",
            "chain:256",
            "paths:",
            "ecmp:1",
            "nat:1",
            "paths:1,0",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_ipv6_address_has_the_digits_of_the_ipv4_address() {
        let net = Net { a: 101, b: 12 };
        assert_eq!(net.v4(254).to_string(), "10.101.12.254");
        assert_eq!(net.v6(254).to_string(), "fd00:101:12::254");
    }
}
