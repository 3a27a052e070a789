//! What a path looks like, as a scenario says it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;

/// A path.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathPlan {
    /// The hops, the first one first.
    pub hops: Vec<HopPlan>,
    /// What is at the end.
    #[serde(default)]
    pub target: TargetPlan,
    /// How packets are spread where a hop has more than one router.
    #[serde(default)]
    pub balance: Spread,
    /// Milliseconds from one hop to the next.
    #[serde(default = "default_latency")]
    pub latency_ms: f64,
}

/// One router, or several among which packets are spread.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum HopPlan {
    /// One.
    One(RouterPlan),
    /// Several at the same TTL.
    Several(Vec<RouterPlan>),
}

/// A router.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouterPlan {
    /// Its address; one that tells the hop if none is given.
    pub addr: Option<IpAddr>,
    /// Milliseconds from the hop before; that of the first router counts for its hop.
    pub latency_ms: Option<f64>,
    /// How much it quotes.
    pub quotes: Quotes,
    /// An MPLS label behind each quote (RFC 4950).
    pub mpls: Option<u32>,
    /// It sends no errors.
    pub silent: bool,
    /// Share of its errors that are lost.
    pub loss: f64,
    /// How many errors it sends.
    pub rate: Option<Rate>,
    /// A box before it looks at the TTL.
    pub before: Option<String>,
    /// A box behind that.
    pub after: Option<String>,
}

/// How much a router quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(untagged)]
pub enum Quotes {
    /// What Linux does: all, as far as the error stays within 576 bytes, or 1280 of IPv6.
    #[default]
    All,
    /// So many bytes behind the IP header.
    Tcp(u16),
}

/// How many errors a router sends to one host: a bucket of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Errors at once.
    pub burst: u32,
    /// Errors in a second.
    pub per_second: f64,
}

/// How packets are spread among the routers of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// By the 5-tuple and the flow label: all of a flow go one way.
    #[default]
    Flow,
    /// By chance.
    Packet,
}

/// What is at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetPlan {
    /// Our endpoint, with version 1.
    #[default]
    V1,
    /// Our endpoint, with version 0.
    V0,
    /// Our endpoint, with both.
    Both,
    /// Our endpoint as plain TCP.
    Tcp,
    /// Our endpoint, and nobody listens.
    Closed,
    /// A SYN/ACK with the options of the SYN.
    Mirror,
    /// Nothing.
    Silent,
}

/// A family of addresses, and those of a path in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// `10.77.0.0/16`.
    V4,
    /// `fd77::/16`.
    V6,
}

impl PathPlan {
    /// Reads a plan in TOML.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }
}

impl HopPlan {
    /// The routers.
    pub fn routers(&self) -> &[RouterPlan] {
        match self {
            Self::One(router) => std::slice::from_ref(router),
            Self::Several(routers) => routers,
        }
    }
}

impl Rate {
    /// What Linux allows by itself: six at once, and one a second in IPv4, ten in IPv6.
    pub const fn linux(family: Family) -> Self {
        let per_second = match family {
            Family::V4 => 1.0,
            Family::V6 => 10.0,
        };
        let burst = 6;
        Self { burst, per_second }
    }
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The prober's end.
    pub const fn client(self) -> SocketAddr {
        SocketAddr::new(self.address(0, 9), 40_000)
    }

    /// The target.
    pub const fn target(self) -> SocketAddr {
        SocketAddr::new(self.address(200, 1), 80)
    }

    /// A router: TTLs count from 1, ways from 0.
    pub fn router(self, ttl: usize, way: usize) -> IpAddr {
        let [net, host] = [ttl, way + 1].map(|number| u8::try_from(number).unwrap_or(u8::MAX));
        self.address(net, host)
    }

    const fn address(self, net: u8, host: u8) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::new(10, 77, net, host)),
            Self::V6 => {
                let bits = (0xfd77 << 112) | ((net as u128) << 96) | host as u128;
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
        }
    }
}

const fn default_latency() -> f64 {
    5.0
}
