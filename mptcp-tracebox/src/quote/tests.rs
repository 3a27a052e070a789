use super::extension::MplsLabel;
use super::*;

fn sent(is_v4: bool, payload: usize) -> Vec<u8> {
    let (source, destination) = if is_v4 {
        ("10.0.0.1:9", "10.0.0.2:80")
    } else {
        ("[fd00::1]:9", "[fd00::2]:80")
    };
    let mut packet = crate::packet::tests::sample(source, destination);
    packet.payload = vec![7; payload];
    packet.emit().unwrap()
}

/// An ICMP message in an IP packet, as RFC 791 and RFC 8200 lay them out.
fn in_ip(is_v4: bool, message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap();
    let mut packet = if is_v4 {
        let mut header = vec![0x45, 0xc0];
        header.extend((len + 20).to_be_bytes());
        header.extend([0, 0, 0, 0, 61, 1, 0, 0, 10, 3, 3, 3, 10, 0, 0, 1]);
        header
    } else {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(len.to_be_bytes());
        header.extend([58, 61]);
        header.extend([0xfd, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
        header.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        header
    };
    let at = packet.len();
    packet.extend(message);
    let fields = Fields::parse(&packet).unwrap();
    let sum = checksum(fields.ip.source, fields.ip.destination, message);
    packet[at + 2..at + 4].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[test]
fn the_checksum_is_as_computed_by_hand() {
    // 0x0800 + 1 + 1 = 0x0802.
    let echo = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    let v4 = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(checksum(v4, v4, &echo), 0);
    let mut none = [128, 0, 0, 0, 0, 1, 0, 1];
    let v6: IpAddr = "::1".parse().unwrap();
    // 0x8000 + 1 + 1 + 58 + 8 + 1 + 1 = 0x8046.
    assert_eq!(checksum(v6, v6, &none), !0x8046);
    none[2..4].copy_from_slice(&(!0x8046_u16).to_be_bytes());
    assert_eq!(checksum(v6, v6, &none), 0);
}

#[test]
fn an_error_whose_checksum_does_not_hold_is_none() {
    for is_v4 in [true, false] {
        let packet = with_extension(is_v4, true, &sent(is_v4, 0));
        assert!(IcmpError::parse(&packet).is_some());
        let icmp = if is_v4 { 20 } else { 40 };
        for at in icmp..packet.len() {
            let mut packet = packet.clone();
            packet[at] ^= 0x10;
            assert_eq!(IcmpError::parse(&packet), None, "{is_v4} {at}");
        }
    }
}

fn with_extension(is_v4: bool, says_so: bool, quote: &[u8]) -> Vec<u8> {
    let mut message = vec![if is_v4 { 11 } else { 3 }, 0, 0, 0, 0, 0, 0, 0];
    message.extend(quote);
    message.resize(8 + 128, 0);
    if says_so {
        message[if is_v4 { 5 } else { 4 }] = if is_v4 { 32 } else { 16 };
    }
    // RFC 4950 §3, its checksum computed by hand: 0x2000 + 8 + 0x0101 + 0x03f3 + 0xc101.
    message.extend([0x20, 0, 0x1a, 0x02, 0, 8, 1, 1, 0x03, 0xf3, 0xc1, 1]);
    in_ip(is_v4, &message)
}

#[test]
fn the_kinds_of_errors_of_both_families() {
    for (is_v4, head, kind) in [
        (true, [11, 0, 0, 0], Some(ErrorKind::TimeExceeded)),
        (true, [11, 1, 0, 0], None),
        (true, [3, 13, 0, 0], Some(ErrorKind::Unreachable(13))),
        (true, [3, 4, 5, 0x78], Some(ErrorKind::TooBig(1400))),
        (true, [8, 0, 0, 0], None),
        (false, [3, 0, 0, 0], Some(ErrorKind::TimeExceeded)),
        (false, [1, 1, 0, 0], Some(ErrorKind::Unreachable(1))),
        (false, [2, 0, 5, 0x78], Some(ErrorKind::TooBig(1400))),
        (false, [128, 0, 0, 0], None),
    ] {
        let [kind_byte, code, mtu @ ..] = head;
        let mut message = vec![kind_byte, code, 0, 0, 0, 0];
        message.extend(mtu);
        message.extend(sent(is_v4, 0));
        let packet = in_ip(is_v4, &message);
        let error = IcmpError::parse(&packet);
        assert_eq!(error.as_ref().map(|error| error.kind), kind, "{head:?}");
        if let Some(error) = error {
            assert_eq!(error.quote, sent(is_v4, 0));
            assert_eq!(error.ttl, 61);
        }
    }
}

#[test]
fn a_prohibition_is_told_from_other_reasons() {
    assert!(ErrorKind::Unreachable(13).is_prohibition(true));
    assert!(ErrorKind::Unreachable(1).is_prohibition(false));
    assert!(!ErrorKind::Unreachable(1).is_prohibition(true));
    assert!(!ErrorKind::Unreachable(3).is_prohibition(true));
    assert!(!ErrorKind::TimeExceeded.is_prohibition(true));
}

#[test]
fn labels_are_read_and_padding_is_no_quote() {
    for is_v4 in [true, false] {
        for says_so in [true, false] {
            let whole = sent(is_v4, 0);
            let header = if is_v4 { 20 } else { 40 };
            for len in [header + 8, header + 16, whole.len()] {
                let packet = with_extension(is_v4, says_so, &whole[..len]);
                let error = IcmpError::parse(&packet).unwrap();
                assert!(error.quote.len() <= len, "{is_v4} {says_so} {len}");
                assert!(whole.starts_with(error.quote));
                assert!(error.quote.len() >= header + 8);
                let label = MplsLabel {
                    label: 16_188,
                    traffic_class: 0,
                    ttl: 1,
                };
                assert_eq!(error.extension, [Object::Mpls(vec![label])]);
            }
        }
    }
}

#[test]
fn a_long_quote_without_extension_is_whole() {
    for is_v4 in [true, false] {
        let mut message = vec![if is_v4 { 11 } else { 3 }, 0, 0, 0, 0, 0, 0, 0];
        let quote = &sent(is_v4, 600)[..528];
        message.extend(quote);
        let packet = in_ip(is_v4, &message);
        let error = IcmpError::parse(&packet).unwrap();
        assert_eq!(error.quote, quote);
        assert!(error.extension.is_empty());
    }
}

#[test]
fn cut_and_garbled_errors_do_not_panic() {
    for is_v4 in [true, false] {
        let packet = with_extension(is_v4, true, &sent(is_v4, 0));
        for len in 0..packet.len() {
            IcmpError::parse(&packet[..len]);
        }
        for at in 0..packet.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut packet = packet.clone();
                packet[at] = value;
                IcmpError::parse(&packet);
            }
        }
    }
}
