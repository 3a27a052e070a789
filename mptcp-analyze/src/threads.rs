//! Two threads for one pass: one reads and decodes, the other rebuilds.
//!
//! Segments reach the rebuilder in the order of the capture, so the result does not depend on the
//! number of threads.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::capture::{Batch, Captures, Content};
use crate::progress::Progress;
use crate::rebuild::Rebuilder;

/// Batches on their way; the faster thread waits when so many are.
const MAX_BATCHES: usize = 8;

/// Packets that one thread reads before it is decided whether two are better: a small capture is
/// done by then.
const TRIAL_PACKETS: u64 = 20_000;

/// Captured bytes of TCP in an average packet, above which copying packets from one thread to the other
/// costs more than it gains.
const MAX_AVERAGE_BYTES: u64 = 400;

/// How many threads to use when the user does not say it.
pub(crate) fn available() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Gives all segments of `captures` to `rebuilder`, with at most `threads` threads.
pub(crate) fn rebuild(
    mut captures: Captures,
    rebuilder: &mut Rebuilder,
    progress: &mut Progress,
    threads: usize,
) -> Captures {
    let mut packets = 0;
    let mut bytes = 0;
    let mut due = false;
    while captures.read_some(|content| {
        packets += 1;
        if let Content::Tcp(segment) = content {
            bytes += segment.bytes.len() as u64;
            rebuilder.push(segment);
        }
        due = progress.is_due();
        packets != TRIAL_PACKETS && !due
    }) {
        if due {
            progress.show(captures.bytes_read());
        }
        if threads > 1 && packets == TRIAL_PACKETS && bytes / packets <= MAX_AVERAGE_BYTES {
            return in_two(captures, rebuilder, progress);
        }
    }
    captures
}

fn in_two(captures: Captures, rebuilder: &mut Rebuilder, progress: &mut Progress) -> Captures {
    thread::scope(|scope| {
        let (filled, take) = sync_channel::<Batch>(MAX_BATCHES);
        let (give_back, emptied) = sync_channel::<Batch>(MAX_BATCHES);
        let decoder = scope.spawn(move || decode(captures, &filled, &emptied));
        for mut batch in take {
            for segment in batch.segments() {
                rebuilder.push(&segment);
                if progress.is_due() {
                    progress.show(batch.bytes_read);
                }
            }
            batch.clear();
            // The decoder may be done already and want no more of them.
            let _ = give_back.try_send(batch);
        }
        decoder.join().expect("the decoder does not panic")
    })
}

/// Decodes until the end; the batches that come back are filled again.
fn decode(
    mut captures: Captures,
    filled: &SyncSender<Batch>,
    emptied: &Receiver<Batch>,
) -> Captures {
    let mut batch = Batch::default();
    while captures.read_some(|content| {
        if let Content::Tcp(segment) = content {
            batch.push(segment);
        }
        !batch.is_full()
    }) {
        if batch.is_full() {
            batch.bytes_read = captures.bytes_read();
            if filled.send(batch).is_err() {
                return captures;
            }
            batch = emptied.try_recv().unwrap_or_default();
        }
    }
    if !batch.is_empty() {
        batch.bytes_read = captures.bytes_read();
        // An error means that nobody rebuilds any more.
        let _ = filled.send(batch);
    }
    captures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rebuild::RebuildOptions;

    /// A capture of the project, its packets over and over: more than any batch holds.
    fn many_times(times: usize) -> Captures {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../testdata/captures/v1-any-sll2.pcap"
        );
        let file = std::fs::read(path).unwrap();
        let (header, records) = file.split_at(24);
        let bytes = [header, &records.repeat(times)].concat();
        Captures::from_reader("many", std::io::Cursor::new(bytes)).unwrap()
    }

    fn rebuilder() -> Rebuilder {
        Rebuilder::new(RebuildOptions {
            verify_checksums: true,
            verify_tcp_checksums: true,
            ..RebuildOptions::default()
        })
    }

    #[test]
    fn two_threads_find_what_one_finds() {
        let mut progress = Progress::silent();
        let (mut alone, mut together) = (rebuilder(), rebuilder());
        let one = rebuild(many_times(60), &mut alone, &mut progress, 1);
        let two = in_two(many_times(60), &mut together, &mut progress);
        assert_eq!(format!("{:?}", one.finish()), format!("{:?}", two.finish()));
        let (alone, together) = (alone.finish(), together.finish());
        assert!(!alone.connections.is_empty());
        assert_eq!(format!("{alone:?}"), format!("{together:?}"));
    }

    #[test]
    fn a_small_capture_is_read_by_one_thread() {
        let mut progress = Progress::silent();
        let (mut alone, mut together) = (rebuilder(), rebuilder());
        rebuild(many_times(1), &mut alone, &mut progress, 1);
        rebuild(many_times(1), &mut together, &mut progress, 2);
        assert_eq!(
            format!("{:?}", alone.finish()),
            format!("{:?}", together.finish())
        );
    }
}
