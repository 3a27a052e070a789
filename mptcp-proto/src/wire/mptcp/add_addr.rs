//! ADD_ADDR: another address of the sender (RFC 8684 §3.4.1, RFC 6824 §3.4.1).

use std::fmt;
use std::net::IpAddr;

use super::{Body, EmitError, ParseError, Subtype, Writer, begin, write_reserved};
use crate::hmac::AddAddrHmac;
use crate::key::AddressId;
use crate::version::Version;

/// ADD_ADDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddAddr {
    /// Which of the two forms: they share little but the subtype.
    pub version: Version,
    /// E: the receiver of an ADD_ADDR sends it back (version 1).
    pub echo: bool,
    /// Id of the address.
    pub address_id: AddressId,
    /// The address.
    pub address: IpAddr,
    /// The port, when it is not that of the initial subflow.
    pub port: Option<u16>,
    /// Proves that the sender knows both keys. In version 1 on everything but an echo.
    pub hmac: Option<AddAddrHmac>,
    /// Reserved bits (3; none in version 0).
    pub reserved: u8,
}

/// Which fields follow the address id.
#[derive(Debug, Clone, Copy)]
struct Layout {
    is_ipv6: bool,
    has_port: bool,
}

impl AddAddr {
    pub(super) fn parse(version: Option<Version>, body: Body<'_>) -> Result<Self, ParseError> {
        let named_ip_version = matches!(body.nibble, 4 | 6);
        let version = version.unwrap_or_else(|| match layout(body.len) {
            Some(_) if named_ip_version => Version::V0,
            _ => Version::V1,
        });
        if version.rules().add_addr_has_ip_version {
            Self::parse_v0(body)
        } else {
            Self::parse_v1(body)
        }
    }

    fn parse_v0(body: Body<'_>) -> Result<Self, ParseError> {
        let layout = layout(body.len).ok_or_else(|| body.bad_length())?;
        let ip_version = if layout.is_ipv6 { 6 } else { 4 };
        if body.nibble != ip_version {
            return Err(ParseError::BadIpVersion {
                ip_version: body.nibble,
                len: body.len,
            });
        }
        Self::parse_fields(Version::V0, layout, body)
    }

    fn parse_v1(body: Body<'_>) -> Result<Self, ParseError> {
        let is_echo = body.nibble & ECHO != 0;
        let without_hmac = if is_echo {
            body.len
        } else {
            body.len.saturating_sub(HMAC)
        };
        let layout = layout(without_hmac).ok_or_else(|| body.bad_length())?;
        Self::parse_fields(Version::V1, layout, body)
    }

    fn parse_fields(
        version: Version,
        layout: Layout,
        mut body: Body<'_>,
    ) -> Result<Self, ParseError> {
        let reader = &mut body.reader;
        let address_id = AddressId(reader.u8("address id")?);
        let address = if layout.is_ipv6 {
            IpAddr::from(reader.array::<16>("IPv6 address")?)
        } else {
            IpAddr::from(reader.array::<4>("IPv4 address")?)
        };
        let port = if layout.has_port {
            Some(reader.u16("port")?)
        } else {
            None
        };
        let (echo, reserved) = match version {
            Version::V0 => (false, 0),
            Version::V1 => (body.nibble & ECHO != 0, body.nibble >> 1),
        };
        let hmac = match version {
            Version::V1 if !echo => Some(AddAddrHmac::from_bytes(reader.array("HMAC")?)),
            _ => None,
        };
        Ok(Self {
            version,
            echo,
            address_id,
            address,
            port,
            hmac,
            reserved,
        })
    }

    pub(super) fn emit(&self) -> Result<Writer, EmitError> {
        let no_form = |what| EmitError::NoForm {
            subtype: Subtype::ADD_ADDR,
            what,
        };
        let nibble = match (self.version, self.address) {
            (Version::V0, _) if self.echo => return Err(no_form("version 0 and an echo")),
            (Version::V0, IpAddr::V4(_)) => 4,
            (Version::V0, IpAddr::V6(_)) => 6,
            (Version::V1, _) => (self.reserved << 1) | u8::from(self.echo),
        };
        let needs_hmac = self.version == Version::V1 && !self.echo;
        if needs_hmac != self.hmac.is_some() {
            return Err(no_form(
                "an HMAC in version 0 or an echo, or without one elsewhere",
            ));
        }
        let mut writer = begin(Subtype::ADD_ADDR, nibble);
        writer.put(&[self.address_id.0]);
        match self.address {
            IpAddr::V4(address) => writer.put(&address.octets()),
            IpAddr::V6(address) => writer.put(&address.octets()),
        }
        if let Some(port) = self.port {
            writer.put(&port.to_be_bytes());
        }
        if let Some(hmac) = self.hmac {
            writer.put(hmac.as_bytes());
        }
        Ok(writer)
    }
}

impl fmt::Display for AddAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ADD_ADDR")?;
        if self.echo {
            f.write_str(" echo")?;
        }
        write!(f, " id={} address={}", self.address_id, self.address)?;
        if let Some(port) = self.port {
            write!(f, " port={port}")?;
        }
        write_reserved(f, u16::from(self.reserved))
    }
}

/// What an option of this length holds, an HMAC not counted.
fn layout(len: usize) -> Option<Layout> {
    match len {
        8 => Some(Layout {
            is_ipv6: false,
            has_port: false,
        }),
        10 => Some(Layout {
            is_ipv6: false,
            has_port: true,
        }),
        20 => Some(Layout {
            is_ipv6: true,
            has_port: false,
        }),
        22 => Some(Layout {
            is_ipv6: true,
            has_port: true,
        }),
        _ => None,
    }
}

const ECHO: u8 = 1;
const HMAC: usize = 8;
