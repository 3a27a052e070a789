//! The records of whole files against those that `pcap-parser` reads.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use mptcp_analyze::capture::{Captures, Input};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

/// Length on the wire, captured bytes, and nanoseconds where the other reader tells them.
type Record = (u32, Vec<u8>, Option<i64>);

/// Records by frame, as `pcap-parser` reads them. The padding of a pcapng block is cut off by us.
fn theirs(path: &Path) -> BTreeMap<u64, Record> {
    let file = Cursor::new(fs::read(path).unwrap());
    let mut reader = create_reader(1 << 20, file).unwrap();
    let mut records = BTreeMap::new();
    let mut ns_per_tick = 1000;
    loop {
        let (consumed, record) = match reader.next() {
            Ok((consumed, PcapBlockOwned::LegacyHeader(header))) => {
                ns_per_tick = if header.is_nanosecond_precision() {
                    1
                } else {
                    1000
                };
                (consumed, None)
            }
            Ok((consumed, PcapBlockOwned::Legacy(block))) => {
                let captured = usize::try_from(block.caplen).unwrap();
                let at = i64::from(block.ts_sec) * 1_000_000_000
                    + i64::from(block.ts_usec) * ns_per_tick;
                let record = (block.origlen, block.data[..captured].to_vec(), Some(at));
                (consumed, Some(record))
            }
            Ok((consumed, PcapBlockOwned::NG(Block::EnhancedPacket(block)))) => {
                let captured = usize::try_from(block.caplen).unwrap();
                (
                    consumed,
                    Some((block.origlen, block.data[..captured].to_vec(), None)),
                )
            }
            Ok((consumed, PcapBlockOwned::NG(_))) => (consumed, None),
            Err(PcapError::Eof) => return records,
            Err(PcapError::Incomplete(_)) => {
                reader.refill().unwrap();
                continue;
            }
            Err(error) => panic!("{}: {error:?}", path.display()),
        };
        if let Some(record) = record {
            records.insert(records.len() as u64 + 1, record);
        }
        reader.consume(consumed);
    }
}

fn ours(path: &Path) -> BTreeMap<u64, Record> {
    let mut captures = Captures::open(&[Input::File(path.to_owned())]).unwrap();
    let mut records = BTreeMap::new();
    while let Some(packet) = captures.next_packet() {
        let record = (
            packet.original_len,
            packet.bytes.to_vec(),
            Some(packet.at.0),
        );
        records.insert(packet.frame, record);
    }
    records
}

/// Every capture below a folder.
fn captures_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_capture = path
            .extension()
            .is_some_and(|end| end == "pcap" || end == "pcapng");
        if path.is_dir() {
            captures_below(&path, found);
        } else if is_capture {
            found.push(path);
        }
    }
}

#[test]
fn records_are_those_that_pcap_parser_reads() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/captures");
    let mut paths = Vec::new();
    captures_below(&testdata, &mut paths);
    if let Some(shared) = std::env::var_os("MPTCP_SHARED_CAPTURES") {
        captures_below(Path::new(&shared), &mut paths);
    }
    assert!(paths.len() >= 17, "{paths:?}");
    for path in paths {
        let (ours, theirs) = (ours(&path), theirs(&path));
        assert_eq!(ours.len(), theirs.len(), "{}", path.display());
        for ((frame, our), (_, their)) in ours.iter().zip(&theirs) {
            let place = format!("{} frame {frame}", path.display());
            assert_eq!((our.0, &our.1), (their.0, &their.1), "{place}");
            if their.2.is_some() {
                assert_eq!(our.2, their.2, "{place}");
            }
        }
    }
}
