//! Several inputs, several interfaces, and inputs that are no captures.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use mptcp_analyze::capture::{Captures, Input, OpenError};

use super::craft::{Order, enhanced, interface, pcap_header, pcap_record, section, syn_v4};
use super::{Found, drain, read, try_read};

/// A file that is gone when the test is over.
fn save(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

/// A raw IP capture with packets at these seconds.
fn at_seconds(seconds: &[u32]) -> Vec<u8> {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 101);
    let packet = syn_v4();
    for second in seconds {
        let at = (*second, 0);
        file.extend(pcap_record(Order::Little, at, packet.len(), &[], &packet));
    }
    file
}

/// A raw IP pcapng with packets of interfaces at these microseconds.
fn interleaved(interfaces: u32, packets: &[(u32, u64)]) -> Vec<u8> {
    let order = Order::Little;
    let mut file = section(order);
    for _ in 0..interfaces {
        file.extend(interface(order, 101, &[]));
    }
    for at in packets {
        file.extend(enhanced(order, *at, &syn_v4(), &[(1, b"note")]));
    }
    file
}

#[test]
fn several_files_are_merged_by_time_and_numbered_in_that_order() {
    let files = [
        save(&at_seconds(&[1, 4, 6])),
        save(&at_seconds(&[])),
        save(&at_seconds(&[2, 3, 4, 9])),
    ];
    let inputs: Vec<Input> = files
        .iter()
        .map(|file| Input::File(file.path().to_owned()))
        .collect();
    let mut captures = Captures::open(&inputs).unwrap();
    let order: Vec<_> = drain(&mut captures)
        .iter()
        .map(|seen| (seen.frame, seen.at.0 / 1_000_000_000, seen.interface))
        .collect();
    let expected = [
        (1, 1, 0),
        (2, 2, 1),
        (3, 3, 1),
        (4, 4, 0),
        (5, 4, 1),
        (6, 6, 0),
        (7, 9, 1),
    ];
    assert_eq!(order, expected);
    let of: Vec<u16> = captures.interfaces().map(|(file, _)| file).collect();
    assert_eq!(of, [0, 2]);
    assert_eq!(captures.bytes_total(), Some(captures.bytes_read()));
    let packets: Vec<u64> = captures.finish().iter().map(|s| s.packets).collect();
    assert_eq!(packets, [3, 0, 4]);
}

#[test]
fn a_file_of_one_interface_keeps_its_order_even_when_its_clock_goes_back() {
    let (seen, _) = read(&at_seconds(&[5, 3, 4]));
    let order: Vec<_> = seen
        .iter()
        .map(|s| (s.frame, s.at.0 / 1_000_000_000))
        .collect();
    assert_eq!(order, [(1, 5), (2, 3), (3, 4)]);
    let (seen, _) = read(&interleaved(1, &[(0, 5), (0, 3)]));
    let order: Vec<_> = seen.iter().map(|s| (s.frame, s.at.0)).collect();
    assert_eq!(order, [(1, 5000), (2, 3000)]);
}

#[test]
fn packets_of_several_interfaces_are_put_in_time_order_but_not_those_of_one() {
    let (seen, _) = read(&interleaved(
        2,
        &[(0, 10), (0, 40), (1, 20), (1, 15), (0, 50)],
    ));
    let order: Vec<_> = seen.iter().map(|s| (s.frame, s.at.0 / 1000)).collect();
    assert_eq!(order, [(1, 10), (3, 20), (4, 15), (2, 40), (5, 50)]);
    assert!(seen.iter().all(|s| s.comments == ["note"]));
    assert!(seen.iter().all(|s| matches!(s.found, Found::Tcp { .. })));
}

#[test]
fn a_packet_more_than_a_second_late_stays_where_it_is() {
    let (seen, _) = read(&interleaved(
        2,
        &[(0, 3_000_000), (0, 5_000_000), (1, 1), (0, 5_000_001)],
    ));
    let order: Vec<u64> = seen.iter().map(|s| s.frame).collect();
    assert_eq!(order, [1, 3, 2, 4]);
}

#[test]
fn what_is_no_capture_is_called_by_its_name() {
    for (bytes, words) in [
        (&b""[..], "it is empty"),
        (b"\xd4\xc3", "it has 2 bytes only"),
        (b"hello world", "the text \"hello wo\""),
        (b"PK\x03\x04....", "a zip archive"),
        (b"\x00\x01\x02\x03\x04", "the bytes 00 01 02 03 04"),
        (b"\xfd7zXZ\x00", "xz compression, which is not read"),
    ] {
        let error = try_read(bytes).expect_err("no capture").to_string();
        assert!(error.starts_with("memory is not a capture: "), "{error}");
        assert!(error.contains(words), "{error}");
        assert!(
            error.ends_with("expected pcap or pcapng, possibly gzip or zstd"),
            "{error}"
        );
    }
    let text = super::craft::gzip(b"hello world");
    let error = try_read(&text).expect_err("no capture").to_string();
    assert!(error.contains("the text \"hello wo\""), "{error}");
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_with_its_name() {
    let Err(error) = Captures::open(&[Input::File(PathBuf::from("/nonexistent/x.pcap"))]) else {
        panic!("opened");
    };
    assert!(matches!(error, OpenError::Io { .. }));
    assert_eq!(error.to_string(), "opening /nonexistent/x.pcap");
}

#[test]
fn more_inputs_than_the_limit_are_refused() {
    let file = save(&at_seconds(&[1]));
    let inputs = vec![Input::File(file.path().to_owned()); 1001];
    let result = Captures::open(&inputs);
    assert!(matches!(
        result,
        Err(OpenError::TooMany {
            given: 1001,
            limit: 1000
        })
    ));
}

#[test]
fn a_dash_is_standard_input() {
    assert_eq!(Input::from_argument("-"), Input::Stdin);
    assert_eq!(Input::from_argument("a-b").name(), "a-b");
}

#[test]
fn a_source_that_gives_one_byte_at_a_time_is_read_like_any_other() {
    struct Drip(Cursor<Vec<u8>>);
    impl std::io::Read for Drip {
        fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
            let one = target.len().min(1);
            self.0.read(&mut target[..one])
        }
    }
    for file in [
        at_seconds(&[1, 2]),
        interleaved(2, &[(0, 1), (1, 2)]),
        super::craft::gzip(&at_seconds(&[1, 2])),
        super::craft::zstd(&at_seconds(&[1, 2])),
    ] {
        let source = Drip(Cursor::new(file.clone()));
        let mut captures = Captures::from_reader("memory", source).unwrap();
        assert_eq!(drain(&mut captures), read(&file).0);
    }
}
