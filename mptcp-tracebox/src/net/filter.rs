//! A program for the kernel that drops what is not for us, so that a busy host does not drown the
//! socket. What it lets through is looked at again.

use std::net::IpAddr;

use socket2::SockFilter;

/// TCP from or to `target`, and all ICMP of its family. The program sees packets from their IP header on.
pub(super) fn of_target(target: IpAddr) -> Vec<SockFilter> {
    match target {
        IpAddr::V4(target) => {
            let word = u32::from_be_bytes(target.octets());
            let mut program = beginning(0x40, 9, &[ICMP]);
            program.extend(address(12, &[word]));
            program.extend(address(16, &[word]));
            program.push(verdict(DROP));
            program
        }
        IpAddr::V6(target) => {
            let octets = target.octets();
            let (words, _) = octets.as_chunks::<4>();
            let words: Vec<u32> = words.iter().copied().map(u32::from_be_bytes).collect();
            let mut program = beginning(0x60, 6, &[ICMPV6, HOP_BY_HOP, DESTINATION_OPTIONS]);
            program.extend(address(8, &words));
            program.extend(address(24, &words));
            program.push(verdict(DROP));
            program
        }
    }
}

/// Another version is dropped; these protocols are let through; TCP goes on.
fn beginning(version: u32, protocol_at: u32, pass: &[u32]) -> Vec<SockFilter> {
    let mut program = vec![
        SockFilter::new(LOAD_BYTE, 0, 0, 0),
        SockFilter::new(AND, 0, 0, 0xf0),
        SockFilter::new(JUMP_EQUAL, 1, 0, version),
        verdict(DROP),
        SockFilter::new(LOAD_BYTE, 0, 0, protocol_at),
    ];
    for &protocol in pass {
        program.push(SockFilter::new(JUMP_EQUAL, 0, 1, protocol));
        program.push(verdict(PASS));
    }
    program.push(SockFilter::new(JUMP_EQUAL, 1, 0, TCP));
    program.push(verdict(DROP));
    program
}

/// A packet with this address at this place is let through; the next instruction gets the others.
fn address(mut at: u32, words: &[u32]) -> Vec<SockFilter> {
    let mut program = Vec::new();
    let mut left = u8::try_from(words.len()).unwrap_or(0);
    for &word in words {
        left = left.saturating_sub(1);
        program.push(SockFilter::new(LOAD_WORD, 0, 0, at));
        // Behind the other words and the verdict.
        program.push(SockFilter::new(JUMP_EQUAL, 0, left * 2 + 1, word));
        at += 4;
    }
    program.push(verdict(PASS));
    program
}

const fn verdict(len: u32) -> SockFilter {
    SockFilter::new(RETURN, 0, 0, len)
}

// Classic BPF, as in `linux/bpf_common.h`.
const LOAD_BYTE: u16 = 0x30;
const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
/// Ends a program; its number is how many bytes of the packet are let through.
pub(super) const RETURN: u16 = 0x06;
const PASS: u32 = u32::MAX;
const DROP: u32 = 0;

const ICMP: u32 = 1;
const TCP: u32 = 6;
const ICMPV6: u32 = 58;
const HOP_BY_HOP: u32 = 0;
const DESTINATION_OPTIONS: u32 = 60;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::SocketAddr;

    use mptcp_proto::seq::TcpSeq;
    use mptcp_proto::wire::segment::Flags;
    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::packet::Packet;

    /// Whether the kernel, with the program for `target`, lets a packet through.
    fn passes(target: &str, packet: &[u8]) -> bool {
        let (mut sender, mut receiver) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        receiver
            .attach_filter(&of_target(target.parse().unwrap()))
            .unwrap();
        receiver.set_nonblocking(true).unwrap();
        // What a filter takes is an error for some kernels, and none for others.
        let _ = sender.write(packet);
        let mut buffer = [0; 2048];
        receiver
            .read(&mut buffer)
            .is_ok_and(|len| len == packet.len())
    }

    fn tcp(source: &str, destination: &str) -> Vec<u8> {
        let end = |text: &str| SocketAddr::new(text.parse().unwrap(), 80);
        let packet = Packet {
            source: end(source),
            destination: end(destination),
            ttl: 1,
            tos: 0,
            ip_id: 1,
            flow_label: 1,
            seq: TcpSeq(1),
            ack: TcpSeq(0),
            flags: Flags::SYN,
            window: 1,
            options: Vec::new(),
            payload: Vec::new(),
        };
        packet.emit().unwrap()
    }

    /// The same packet with another protocol, or another version.
    fn with(mut packet: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
        packet[at] = value;
        packet
    }

    #[test]
    fn only_tcp_of_the_target_and_errors_pass() {
        let (us, them, other) = ("10.0.0.1", "10.0.0.2", "10.0.0.3");
        assert!(passes(them, &tcp(us, them)));
        assert!(passes(them, &tcp(them, us)));
        assert!(!passes(them, &tcp(us, other)));
        assert!(passes(them, &with(tcp(other, us), 9, 1)), "ICMP");
        assert!(!passes(them, &with(tcp(them, us), 9, 17)), "UDP");
        assert!(
            !passes(them, &tcp("fd00::1", "fd00::2")),
            "the other family"
        );
    }

    #[test]
    fn the_same_holds_for_all_words_of_a_longer_address() {
        let (us, them) = ("fd00::1", "fd00:1:2::3:4");
        assert!(passes(them, &tcp(us, them)));
        assert!(passes(them, &tcp(them, us)));
        for other in [
            "fd01:1:2::3:4",
            "fd00:1:3::3:4",
            "fd00:1:2:0:1::3:4",
            "fd00:1:2::3:5",
        ] {
            assert!(!passes(them, &tcp(us, other)), "{other}");
            assert!(!passes(them, &tcp(other, us)), "{other}");
        }
        assert!(passes(them, &with(tcp("fd00::9", us), 6, 58)), "ICMPv6");
        assert!(!passes(them, &tcp("10.0.0.1", "10.0.0.2")));
    }
}
