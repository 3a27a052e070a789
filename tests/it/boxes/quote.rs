//! ICMP errors with shorter quotes, and with MPLS labels.

use mptcp_tests::lab::{self, Node, Recording, Tap};

use super::ground::{Ground, PLACE, Plan};

/// A datagram and a SYN of each family that expire at the router with the box.
const PROBES: &str = "
    echo 2 > /proc/sys/net/ipv4/ip_default_ttl
    echo 2 > /proc/sys/net/ipv6/conf/c1/hop_limit
    for to in 10.2.1.1 fd00:2:1::1; do
      bash -c \"head -c 40 /dev/zero > /dev/udp/$to/9\"
      timeout 0.3 bash -c \": > /dev/tcp/$to/5001\" 2> /dev/null || true
    done";

const FILTER: &str = "udp or icmp or tcp or (icmp6 and ip6[40] == 3)";

/// An error, and the packet that it is about, each from its IP header on.
struct Report {
    error: Vec<u8>,
    probe: Vec<u8>,
}

impl Report {
    fn is_v4(&self) -> bool {
        self.error[0] >> 4 == 4
    }

    fn header_len(&self) -> usize {
        if self.is_v4() { 20 } else { 40 }
    }

    /// The ICMP message.
    fn message(&self) -> &[u8] {
        &self.error[self.header_len()..]
    }

    /// The quote as it must begin: the packet with the TTL that was left to it.
    fn expected_quote(&self) -> Vec<u8> {
        let mut quote = self.probe.clone();
        if self.is_v4() {
            quote[8] = 1;
            let sum = u16::from_be_bytes([quote[10], quote[11]]);
            // One less in the high byte of a word is one more in the sum (RFC 1141).
            let (sum, carry) = sum.overflowing_add(0x100);
            quote[10..12].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
        } else {
            quote[7] = 1;
        }
        quote
    }

    #[track_caller]
    fn check_checksums(&self) {
        if self.is_v4() {
            assert_eq!(sum(&self.error[..20]), 0xffff);
            assert_eq!(sum(self.message()), 0xffff);
        } else {
            let len = u32::try_from(self.message().len()).unwrap().to_be_bytes();
            let pseudo = [&self.error[8..40], &len, &[0, 0, 0, 58]].concat();
            assert_eq!(sum(&[&pseudo, self.message()].concat()), 0xffff);
        }
        let declared = if self.is_v4() {
            u16::from_be_bytes([self.error[2], self.error[3]])
        } else {
            u16::from_be_bytes([self.error[4], self.error[5]]) + 40
        };
        assert_eq!(usize::from(declared), self.error.len());
    }

    /// Where RFC 4884 §4 has the length of the quote, and what it counts.
    fn quoted_units(&self) -> (u8, usize) {
        if self.is_v4() {
            (self.message()[5], 4)
        } else {
            (self.message()[4], 8)
        }
    }
}

/// The sum of the Internet checksum; 0xffff if it is right.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    let words = words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum
}

/// What four probes bring with this box; without one if there is no specification.
fn reports(ground: &Ground, spec: Option<&str>) -> Vec<Report> {
    let lab = &ground.lab;
    let _box = spec.map(|spec| lab.place(PLACE, spec).unwrap());
    let path = lab.directory().join("quotes.pcap");
    let tap = Tap {
        filter: FILTER,
        ..Tap::tcp(Node::Client, &["c1"])
    };
    let recording = Recording::start(lab, &tap, &path).unwrap();
    lab.run(Node::Client, PROBES).unwrap();
    recording.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let capture = pcap_parser::parse_pcap(&bytes).unwrap().1;
    let packets = capture.blocks.iter().map(|block| block.data[14..].to_vec());
    let is_error = |packet: &Vec<u8>| match packet[0] >> 4 {
        4 => packet[9] == 1,
        _ => packet[6] == 58,
    };
    let (errors, probes): (Vec<_>, Vec<_>) = packets.partition(is_error);
    assert_eq!((errors.len(), probes.len()), (4, 4));
    // They come one by one.
    let pairs = errors.into_iter().zip(probes);
    pairs
        .map(|(error, probe)| Report { error, probe })
        .collect()
}

#[track_caller]
fn check_kind(report: &Report) {
    report.check_checksums();
    let expected = if report.is_v4() { [11, 0] } else { [3, 0] };
    assert_eq!(report.message()[..2], expected);
}

/// The boxes of this file.
pub(super) const SPECS: [&str; 3] = [
    "quote:tcp_bytes=8",
    "quote:tcp_bytes=28",
    "quote:mpls=16188",
];

/// A box for TCP before it does its own work; a link behind it delays the router's errors only once.
#[test]
fn quotes_are_cut_by_one_of_several_boxes() {
    if !lab::works() {
        return;
    }
    let ground = Ground::new("");
    let trial = ground.attempt("strip:on=syn+quote:tcp_bytes=8", &Plan::USUAL);
    assert_eq!(trial.hosts[0].incidents(), ["MPCapableFallbackSYNACK"]);
    for report in reports(&ground, Some("quote:tcp_bytes=8+impair:delay_ms=5")) {
        check_kind(&report);
        assert_eq!(report.message().len(), 8 + report.header_len() + 8);
    }
}

#[test]
fn quotes_are_cut_or_get_a_label() {
    if !lab::works() {
        return;
    }
    let ground = Ground::new("");
    for report in reports(&ground, None) {
        check_kind(&report);
        assert_eq!(report.message()[8..], report.expected_quote());
        assert_eq!(report.quoted_units().0, 0);
    }
    for (spec, len) in [(SPECS[0], 8), (SPECS[1], 28)] {
        for report in reports(&ground, Some(spec)) {
            check_kind(&report);
            let expected = &report.expected_quote()[..report.header_len() + len];
            assert_eq!(&report.message()[8..], expected, "{spec}");
            assert_eq!(report.quoted_units().0, 0);
        }
    }
    for report in reports(&ground, Some(SPECS[2])) {
        check_kind(&report);
        let (length, unit) = report.quoted_units();
        assert_eq!(usize::from(length) * unit, 128);
        let (quote, extension) = report.message()[8..].split_at(128);
        let mut expected = report.expected_quote();
        expected.resize(128, 0);
        assert_eq!(quote, expected);
        // RFC 4884 §7: version 2 and a checksum; RFC 4950 §3: one label, the last of the stack, with
        // the time to live that expired.
        assert_eq!(sum(extension), 0xffff);
        assert_eq!(extension[..2], [0x20, 0]);
        assert_eq!(extension[4..], [0, 8, 1, 1, 0x03, 0xf3, 0xc1, 1]);
    }
}
