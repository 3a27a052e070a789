//! Tunnels over IP: GRE, VXLAN, GTP-U.

use etherparse::UdpHeaderSlice;

use super::{Layer, NoTcp, Step, Wire, undecoded};

/// Registered port of VXLAN (RFC 7348 §5).
const VXLAN_PORT: u16 = 4789;
/// Registered port of GTP-U (3GPP TS 29.281 §4.4.2).
const GTP_U_PORT: u16 = 2152;
/// Extension headers of one GTP-U packet; the specification has five kinds.
const MAX_GTP_EXTENSIONS: usize = 16;

/// GRE with optional checksum, key and sequence number (RFC 2784, RFC 2890), and the version of
/// PPTP, which carries PPP (RFC 2637 §4.1).
pub(super) fn gre(wire: Wire<'_>) -> Step<'_> {
    let (Some(flags), Some(number)) = (wire.u16(0), wire.u16(2)) else {
        return undecoded("GRE header cut");
    };
    let field = |bit: u16| usize::from(flags & bit != 0) * 4;
    let len = match flags & 7 {
        0 if flags & 0x4000 != 0 => return undecoded("GRE with source routing"),
        0 => 4 + field(0x8000) + field(0x2000) + field(0x1000),
        1 => 4 + field(0x2000) + field(0x1000) + field(0x0080),
        _ => return undecoded("GRE version neither 0 nor 1"),
    };
    match wire.after(len) {
        Some(rest) => Step::Tunnel(Layer::EtherType(number), rest),
        None => undecoded("GRE header cut"),
    }
}

/// UDP: only the tunnels in it matter. Traffic that merely uses their ports is no error.
pub(super) fn udp(wire: Wire<'_>) -> Step<'_> {
    let other = || Step::Done(NoTcp::OtherIp);
    let (Ok(header), Some(rest)) = (UdpHeaderSlice::from_slice(wire.bytes), wire.after(8)) else {
        return other();
    };
    // Length 0 is that of a jumbogram or a super-segment (RFC 2675 §4).
    let payload = match usize::from(header.length()) {
        0 => rest,
        len => rest.of_len(len.saturating_sub(8)),
    };
    match header.destination_port() {
        VXLAN_PORT => vxlan(payload).unwrap_or_else(other),
        GTP_U_PORT => gtp_u(payload).unwrap_or_else(other),
        _ => other(),
    }
}

/// VXLAN header (RFC 7348 §5): the I flag, then a network identifier.
fn vxlan(wire: Wire<'_>) -> Option<Step<'_>> {
    if wire.u8(0)? & 0x08 == 0 {
        return None;
    }
    Some(Step::Tunnel(Layer::Ethernet, wire.after(8)?))
}

/// GTP-U header (3GPP TS 29.281 §5.1): a T-PDU carries IP, behind any extension headers.
fn gtp_u(wire: Wire<'_>) -> Option<Step<'_>> {
    const T_PDU: u8 = 255;
    let flags = wire.u8(0)?;
    if flags & 0xf0 != 0x30 || wire.u8(1)? != T_PDU {
        return None;
    }
    let length = usize::from(wire.u16(2)?);
    let mut rest = wire.after(8)?.of_len(length);
    if flags & 0x07 != 0 {
        let mut next = if flags & 0x04 == 0 { 0 } else { rest.u8(3)? };
        rest = rest.after(4)?;
        for _ in 0..MAX_GTP_EXTENSIONS {
            if next == 0 {
                break;
            }
            let len = usize::from(rest.u8(0)?) * 4;
            next = rest.u8(len.checked_sub(1)?)?;
            rest = rest.after(len)?;
        }
        if next != 0 {
            return None;
        }
    }
    match rest.u8(0)? >> 4 {
        4 | 6 => Some(Step::Tunnel(Layer::Ip, rest)),
        _ => None,
    }
}
