//! `HOST[:PORT]`, and the address behind it.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// What the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Which addresses are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// What the resolver puts first.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// What is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No host is named.
    #[error("no host in `{0}`: write HOST, HOST:PORT or [ADDRESS]:PORT")]
    NoHost(String),
    /// The part behind the colon is no port.
    #[error("`{0}` is no port: a number from 1 to 65535")]
    Port(String),
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The resolver failed.
    #[error("cannot resolve `{host}`: check the spelling and the resolver, or give an address")]
    Resolver {
        /// The name.
        host: String,
        /// What it said.
        source: io::Error,
    },
    /// It has addresses of the other family only.
    #[error("`{0}` has no address of the family that -4, -6 or --source asks for")]
    Family(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let no_host = || TargetError::NoHost(text.to_owned());
        let (host, port) = if let Some(inside) = text.strip_prefix('[') {
            let (host, behind) = inside.split_once(']').ok_or_else(no_host)?;
            match behind {
                "" => (host, None),
                _ => (host, Some(behind.strip_prefix(':').ok_or_else(no_host)?)),
            }
        } else if is_v6(text) {
            (text, None)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| TargetError::Port(digits.to_owned()))?,
        };
        if host.is_empty() {
            return Err(no_host());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// An IPv6 address without brackets, perhaps with a zone.
fn is_v6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

impl Target {
    /// The first address of the family.
    pub fn resolve(&self, family: Family) -> Result<SocketAddr, ResolveError> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found = found.map_err(|source| ResolveError::Resolver {
            host: self.host.clone(),
            source,
        })?;
        let mut found = found.map(|address| match address.ip().to_canonical() {
            // An IPv4 address in IPv6 notation (RFC 4291 §2.5.5.2) has no IPv6 path.
            IpAddr::V4(inside) => SocketAddr::new(inside.into(), address.port()),
            IpAddr::V6(_) => address,
        });
        let address = found.find(|address| family.includes(address.ip()));
        address.ok_or_else(|| ResolveError::Family(self.host.clone()))
    }
}

impl Family {
    const fn includes(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Where most servers answer that speak MPTCP.
pub const DEFAULT_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: u16) {
        let host = host.to_owned();
        assert_eq!(text.parse(), Ok(Target { host, port }));
    }

    #[test]
    fn host_and_port_are_told_apart_in_all_forms() {
        check("example.org", "example.org", DEFAULT_PORT);
        check("example.org:80", "example.org", 80);
        check("192.0.2.1:8080", "192.0.2.1", 8080);
        check("2001:db8::1", "2001:db8::1", DEFAULT_PORT);
        check("fe80::1%eth0", "fe80::1%eth0", DEFAULT_PORT);
        check("[2001:db8::1]", "2001:db8::1", DEFAULT_PORT);
        check("[2001:db8::1]:80", "2001:db8::1", 80);
    }

    #[test]
    fn what_is_no_target_is_refused_with_the_reason() {
        let check = |text: &str| text.parse::<Target>().unwrap_err();
        for text in ["", ":80", "[]:80", "[::1", "[::1]80"] {
            assert_eq!(check(text), TargetError::NoHost(text.to_owned()));
        }
        for (text, port) in [("a:0", "0"), ("a:b", "b"), ("a:70000", "70000"), ("a:", "")] {
            assert_eq!(check(text), TargetError::Port(port.to_owned()));
        }
    }

    #[test]
    fn the_family_decides_which_address_is_taken() {
        let target: Target = "127.0.0.1:80".parse().unwrap();
        assert_eq!(
            target.resolve(Family::V4).unwrap().to_string(),
            "127.0.0.1:80"
        );
        let mapped: Target = "[::ffff:127.0.0.1]:80".parse().unwrap();
        assert_eq!(
            mapped.resolve(Family::Any).unwrap().to_string(),
            "127.0.0.1:80"
        );
        let wrong = target.resolve(Family::V6).unwrap_err();
        assert!(matches!(wrong, ResolveError::Family(_)), "{wrong}");
    }
}
