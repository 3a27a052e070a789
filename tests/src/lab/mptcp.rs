//! The kernel's MPTCP on the hosts: limits, endpoints, sysctls (`ip-mptcp(8)`, kernel documentation
//! `networking/mptcp-sysctl`).

use std::fmt;
use std::net::IpAddr;

use super::{Lab, Node};

/// An address that the kernel's path manager may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; it must be one of the host's.
    pub address: IpAddr,
    /// Its address identifier; the kernel chooses one if there is none.
    pub id: Option<u8>,
    /// Announced with the address instead of the port of the connection.
    pub port: Option<u16>,
    /// What it is for.
    pub flags: EndpointFlags,
}

/// What an endpoint is for; several at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointFlags {
    bits: u8,
}

impl EndpointFlags {
    /// Announced to the peer with ADD_ADDR.
    pub const SIGNAL: Self = Self { bits: 1 };
    /// Used to open subflows.
    pub const SUBFLOW: Self = Self { bits: 2 };
    /// Its subflows are for use only when no other works.
    pub const BACKUP: Self = Self { bits: 4 };
    /// With `SUBFLOW`: one subflow to each address that the peer announces.
    pub const FULLMESH: Self = Self { bits: 8 };

    const WORDS: [(Self, &'static str); 4] = [
        (Self::SIGNAL, "signal"),
        (Self::SUBFLOW, "subflow"),
        (Self::BACKUP, "backup"),
        (Self::FULLMESH, "fullmesh"),
    ];

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
        }
    }

    const fn has(self, other: Self) -> bool {
        self.bits & other.bits == other.bits
    }
}

impl Endpoint {
    /// An endpoint without identifier and port.
    pub fn new(address: impl Into<IpAddr>, flags: EndpointFlags) -> Self {
        Self {
            address: address.into(),
            id: None,
            port: None,
            flags,
        }
    }
}

/// As the words that follow `ip mptcp endpoint add`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(id) = self.id {
            write!(f, " id {id}")?;
        }
        if let Some(port) = self.port {
            write!(f, " port {port}")?;
        }
        for (flag, word) in EndpointFlags::WORDS {
            if self.flags.has(flag) {
                write!(f, " {word}")?;
            }
        }
        Ok(())
    }
}

impl Lab {
    /// How many additional subflows a connection of this host may have (8 at most), and how many
    /// announced addresses it takes.
    pub fn limit_subflows(&self, host: Node, subflows: u8, add_addr: u8) -> anyhow::Result<()> {
        let command =
            format!("ip mptcp limits set subflow {subflows} add_addr_accepted {add_addr}");
        self.run(host, &command).map(drop)
    }

    /// Gives the path manager of a host an address. Its interface must be named, or packets of the
    /// address would leave through the one of the default route.
    pub fn add_endpoint(
        &self,
        host: Node,
        interface: &str,
        endpoint: &Endpoint,
    ) -> anyhow::Result<()> {
        let command = format!("ip mptcp endpoint add {endpoint} dev {interface}");
        self.run(host, &command).map(drop)
    }

    /// Writes `net.mptcp.NAME`: `checksum_enabled`, `allow_join_initial_addr_port`, `pm_type`, ….
    pub fn set_mptcp(&self, host: Node, name: &str, value: u32) -> anyhow::Result<()> {
        let command = format!("echo {value} > /proc/sys/net/mptcp/{name}");
        self.run(host, &command).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_as_ip_wants_it() {
        let endpoint = Endpoint {
            id: Some(5),
            port: Some(5002),
            ..Endpoint::new(
                [10, 2, 2, 1],
                EndpointFlags::SIGNAL.and(EndpointFlags::BACKUP),
            )
        };
        assert_eq!(
            endpoint.to_string(),
            "10.2.2.1 id 5 port 5002 signal backup"
        );
    }
}
