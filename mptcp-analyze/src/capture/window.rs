//! A sliding window of bytes over a file that is read once, from front to back.

use std::io::{ErrorKind, Read};

/// Largest record or block that is read. The formats allow 4 GiB, no capturing program writes
/// packets of more than a few hundred KiB, and a damaged length must not make us swallow a file.
pub(super) const MAX_RECORD_BYTES: usize = 16 << 20;

/// Bytes asked for in one read: where the cost of a system call no longer shows.
const READ_BYTES: usize = 256 << 10;
/// The first read, so that many small inputs do not cost much.
const FIRST_READ_BYTES: usize = 16 << 10;

/// The bytes from the current record to the end of what has been read so far.
pub(super) struct Window {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
    stopped: bool,
    failure: Option<String>,
}

impl Window {
    /// A window at the beginning of `source`.
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            position: 0,
            stopped: false,
            failure: None,
        }
    }

    /// What has been read and not consumed.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Position of the first byte of [`Window::data`] in the (decompressed) file.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Why reading stopped before the end of the file, if it did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Reads until at least `want` bytes are there; `false` when the file has fewer.
    #[inline]
    pub(super) fn fill(&mut self, want: usize) -> bool {
        self.end - self.start >= want || self.read_more(want)
    }

    /// Moves `count` bytes on, at most to the end of what has been read.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.position += count as u64;
    }

    #[cold]
    fn read_more(&mut self, want: usize) -> bool {
        if self.end == self.buffer.len() && self.end < READ_BYTES {
            self.grow();
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < want {
            if self.stopped {
                return false;
            }
            if self.end == self.buffer.len() && !self.grow() {
                return false;
            }
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(free) {
                Ok(0) => self.stopped = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.stopped = true;
                    self.failure = Some(error.to_string());
                }
            }
        }
        true
    }

    /// Doubles the buffer. It grows with the bytes that arrive, not with the length that a record
    /// claims, so a claim costs nothing.
    fn grow(&mut self) -> bool {
        let most = MAX_RECORD_BYTES + READ_BYTES;
        if self.buffer.len() >= most {
            return false;
        }
        let len = (self.buffer.len() * 2).clamp(FIRST_READ_BYTES, most);
        self.buffer.reserve_exact(len - self.buffer.len());
        self.buffer.resize(len, 0);
        true
    }

    /// Bytes that the window holds in memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_costs_no_memory_that_the_file_does_not_fill() {
        let mut window = Window::new(Box::new(std::io::Cursor::new(vec![1; 100])));
        assert!(!window.fill(MAX_RECORD_BYTES));
        assert_eq!(window.data().len(), 100);
        assert!(window.capacity() <= FIRST_READ_BYTES);
    }

    #[test]
    fn reads_grow_with_the_file() {
        let mut window = Window::new(Box::new(std::io::repeat(7)));
        for _ in 0..100_000 {
            assert!(window.fill(100));
            window.consume(100);
        }
        assert_eq!(window.capacity(), READ_BYTES);
    }

    #[test]
    fn the_window_holds_the_largest_record_and_little_more() {
        let mut window = Window::new(Box::new(std::io::repeat(7)));
        assert!(window.fill(MAX_RECORD_BYTES));
        assert!(!window.fill(MAX_RECORD_BYTES + READ_BYTES + 1));
        assert!(window.capacity() <= MAX_RECORD_BYTES + READ_BYTES);
        window.consume(MAX_RECORD_BYTES);
        assert!(
            window.fill(MAX_RECORD_BYTES),
            "what was consumed makes room"
        );
        assert_eq!(window.position(), MAX_RECORD_BYTES as u64);
    }
}
