//! Addresses that the hosts told each other about.

use std::net::IpAddr;

use mptcp_proto::key::AddressId;

use super::{CheckResult, Side};

/// An address that one host announced with ADD_ADDR (RFC 8684 §3.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Host that announced it.
    pub owner: Side,
    /// Its address id.
    pub id: AddressId,
    /// The address.
    pub address: IpAddr,
    /// The port, if one was announced.
    pub port: Option<u16>,
    /// The ADD_ADDR HMAC against the keys (v1); `Unverifiable` in v0, which has none.
    pub hmac: CheckResult,
    /// First ADD_ADDR.
    pub advertised_frame: u64,
    /// How many ADD_ADDR for it were seen, repetitions included.
    pub advertised_count: u64,
    /// First matching echo (v1).
    pub echo_frame: Option<u64>,
    /// REMOVE_ADDR of the id, if any.
    pub removed_frame: Option<u64>,
    /// Subflows that used the address at its owner's end, by subflow id.
    pub used_by: Vec<u32>,
}

/// An event of address management, in packet order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressEvent {
    /// ADD_ADDR for an id already in use with another address.
    IdReused {
        /// Frame of the second ADD_ADDR.
        frame: u64,
        /// Host that sent it.
        owner: Side,
        /// The id.
        id: AddressId,
        /// The address announced first.
        before: IpAddr,
        /// The address announced now.
        after: IpAddr,
    },
    /// An echo that matches no ADD_ADDR seen.
    UnmatchedEcho {
        /// Frame of the echo.
        frame: u64,
        /// Host that sent the echo.
        sender: Side,
        /// The id echoed.
        id: AddressId,
        /// The address echoed.
        address: IpAddr,
    },
    /// REMOVE_ADDR for an id that nothing else in the capture explains.
    UnknownRemoved {
        /// Frame of the REMOVE_ADDR.
        frame: u64,
        /// Host that sent it.
        owner: Side,
        /// The id.
        id: AddressId,
    },
}
