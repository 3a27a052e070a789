//! Two threads for one pass: one reads and decodes, the other rebuilds. Then both report.
//!
//! Segments reach the rebuilder in the order of the capture, so the result does not depend on the
//! number of threads.

use std::num::NonZero;
use std::ops::Range;
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

/// Makes something of each part of `ids` and gives it to `take` in order. Where there are many, two
/// threads take turns.
pub(crate) fn in_parts<T: Send>(
    ids: Range<u32>,
    threads: usize,
    make: impl Fn(Range<u32>) -> anyhow::Result<T> + Sync,
    mut take: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let end = ids.end;
    let mut parts = ids
        .step_by(PART as usize)
        .map(|start| start..end.min(start.saturating_add(PART)));
    if threads < 2 || parts.len() < MIN_SHARED_PARTS {
        return parts.try_for_each(|part| take(make(part)?));
    }
    thread::scope(|scope| {
        let (to_this, from_other) = sync_channel(MAX_PARTS_AHEAD);
        let make = &make;
        let others = parts.clone().skip(1).step_by(2);
        scope.spawn(move || {
            for part in others {
                if to_this.send(make(part)).is_err() {
                    return;
                }
            }
        });
        for part in parts.step_by(2) {
            take(make(part)?)?;
            // The other thread ends when it has made its last part.
            if let Ok(part) = from_other.recv() {
                take(part?)?;
            }
        }
        Ok(())
    })
}

/// Connections of a part: enough to make up for handing it over.
const PART: u32 = 64;

/// Fewer parts are not worth a thread.
const MIN_SHARED_PARTS: usize = 16;

/// Parts that one thread may be ahead of the other.
const MAX_PARTS_AHEAD: usize = 4;

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
    fn parts_come_in_order_whoever_makes_them() {
        for threads in [1, 2] {
            for count in [0, 1, PART, PART * 15 + 1, PART * 16, PART * 31 + 7] {
                let mut taken = Vec::new();
                let take = |part| {
                    taken.extend::<Vec<u32>>(part);
                    Ok(())
                };
                in_parts(0..count, threads, |part| Ok(part.collect()), take).unwrap();
                assert_eq!(taken, (0..count).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_error_ends_both_threads() {
        let refuse = |_: Range<u32>| anyhow::bail!("no more");
        assert!(in_parts::<()>(0..PART * 40, 2, refuse, |()| Ok(())).is_err());
        let full = |()| anyhow::bail!("the disk is full");
        assert!(in_parts(0..PART * 40, 2, |_| Ok(()), full).is_err());
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
