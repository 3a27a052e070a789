//! The stream that is to be sent, from the first byte not acknowledged on.

use std::collections::VecDeque;

use crate::data::Payload;

/// Runs of payload in the order of the stream.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    runs: VecDeque<Run>,
    end: u64,
}

#[derive(Debug)]
struct Run {
    start: u64,
    payload: Payload,
    tag: u64,
}

impl Run {
    fn end(&self) -> u64 {
        self.start.saturating_add(len(&self.payload))
    }
}

/// What one segment may hold.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) payload: Payload,
    pub(super) tag: u64,
    /// Bytes with another tag follow: the piece will not grow.
    pub(super) is_cut_by_tag: bool,
}

impl SendQueue {
    /// Appends a run and gives its position.
    pub(super) fn push(&mut self, payload: Payload, tag: u64) -> u64 {
        let start = self.end;
        self.end = start.saturating_add(len(&payload));
        if payload.is_empty() {
            return start;
        }
        let joined = self
            .runs
            .back_mut()
            .is_some_and(|last| last.tag == tag && last.payload.try_join(&payload));
        if !joined {
            self.runs.push_back(Run {
                start,
                payload,
                tag,
            });
        }
        start
    }

    /// Position after the last byte.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Forgets all before `position`.
    pub(super) fn release(&mut self, position: u64) {
        while self
            .runs
            .front()
            .is_some_and(|first| first.end() <= position)
        {
            self.runs.pop_front();
        }
    }

    /// At most `max` bytes from `position` on, all of one tag.
    pub(super) fn read(&self, position: u64, max: usize) -> Option<Piece> {
        let index = match self.runs.front() {
            Some(first) if position < first.end() => 0,
            _ => self.runs.partition_point(|run| run.end() <= position),
        };
        let run = self.runs.get(index)?;
        let offset = usize::try_from(position.checked_sub(run.start)?).ok()?;
        let payload = run.payload.slice(offset..offset.saturating_add(max));
        let is_whole = offset.saturating_add(payload.len()) == run.payload.len();
        let next = self.runs.get(index.saturating_add(1)).filter(|_| is_whole);
        Some(match next {
            Some(next) if next.tag == run.tag && payload.len() < max => {
                self.gather(index, offset, max)
            }
            next => Piece {
                payload,
                tag: run.tag,
                is_cut_by_tag: next.is_some_and(|next| next.tag != run.tag),
            },
        })
    }

    /// Small writes make one segment, which costs a copy.
    fn gather(&self, index: usize, offset: usize, max: usize) -> Piece {
        let mut bytes = Vec::with_capacity(max);
        let mut runs = self.runs.range(index..).peekable();
        let tag = runs.peek().map_or(0, |run| run.tag);
        let mut skip = offset;
        let mut is_cut_by_tag = false;
        for run in runs {
            let room = max.saturating_sub(bytes.len());
            if room == 0 {
                break;
            }
            if run.tag != tag {
                is_cut_by_tag = true;
                break;
            }
            bytes.extend_from_slice(&run.payload.slice(skip..skip.saturating_add(room)));
            skip = 0;
        }
        Piece {
            payload: Payload::from(bytes),
            tag,
            is_cut_by_tag,
        }
    }
}

fn len(payload: &Payload) -> u64 {
    u64::try_from(payload.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(runs: &[(&[u8], u64)]) -> SendQueue {
        let mut queue = SendQueue::default();
        for (bytes, tag) in runs {
            queue.push(Payload::from(*bytes), *tag);
        }
        queue
    }

    #[track_caller]
    fn check_read(queue: &SendQueue, position: u64, max: usize, expected: (&[u8], u64, bool)) {
        let piece = queue.read(position, max).unwrap();
        assert_eq!(
            (&*piece.payload, piece.tag, piece.is_cut_by_tag),
            expected,
            "{max} bytes at {position}"
        );
    }

    #[test]
    fn a_segment_spans_runs_of_one_tag_only() {
        let queue = queue(&[(b"ab", 1), (b"cd", 1), (b"ef", 2)]);
        check_read(&queue, 0, 10, (b"abcd", 1, true));
        check_read(&queue, 1, 2, (b"bc", 1, false));
        check_read(&queue, 4, 10, (b"ef", 2, false));
        check_read(&queue, 2, 2, (b"cd", 1, true));
        assert!(queue.read(6, 10).is_none());
    }

    #[test]
    fn acknowledged_bytes_are_gone_and_positions_stay() {
        let mut queue = queue(&[(b"ab", 1), (b"cd", 1), (b"ef", 1)]);
        queue.release(3);
        assert!(queue.read(1, 4).is_none());
        check_read(&queue, 3, 10, (b"def", 1, false));
        assert_eq!(queue.push(Payload::from(&b"g"[..]), 1), 6);
        queue.release(7);
        assert!(queue.runs.is_empty());
        assert_eq!(queue.end(), 7);
    }

    #[test]
    fn neighbours_of_one_block_are_not_copied() {
        let block = Payload::from(&b"abcdef"[..]);
        let mut queue = SendQueue::default();
        queue.push(block.slice(0..3), 4);
        queue.push(block.slice(3..6), 4);
        assert_eq!(queue.runs.len(), 1);
        check_read(&queue, 0, 10, (b"abcdef", 4, false));
    }
}
