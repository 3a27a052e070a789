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
