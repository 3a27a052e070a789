//! Mutations of a corpus, the same ones for the same seed.

/// Runs a body over `runs` mutated inputs of the corpus.
///
/// When the body panics, the input is printed before the panic goes on, so that it can go into the
/// corpus.
pub fn run_mutated(body: fn(&[u8]), corpus: &[Vec<u8>], runs: u64, seed: u64) {
    let mut random = XorShift::new(seed);
    let longest = corpus.iter().map(Vec::len).max().unwrap_or_default();
    let mut input = Culprit {
        run: 0,
        bytes: Vec::new(),
    };
    for run in 0..runs {
        input.run = run;
        input.bytes.clear();
        input
            .bytes
            .extend_from_slice(random.pick(corpus).map_or(&[], Vec::as_slice));
        for _ in 0..=random.below(MAX_MUTATIONS) {
            mutate(&mut input.bytes, corpus, &mut random);
        }
        input.bytes.truncate(longest.saturating_add(MAX_GROWTH));
        body(&input.bytes);
    }
}

/// Runs a body over `runs` inputs of `len` random bytes.
///
/// When the body panics, the input is printed before the panic goes on.
pub fn run_generated(mut body: impl FnMut(&[u8]), len: usize, runs: u64, seed: u64) {
    let mut random = XorShift::new(seed);
    let mut input = Culprit {
        run: 0,
        bytes: Vec::new(),
    };
    for run in 0..runs {
        input.run = run;
        input.bytes.clear();
        while input.bytes.len() < len {
            input.bytes.extend_from_slice(&random.next().to_be_bytes());
        }
        input.bytes.truncate(len);
        body(&input.bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut XorShift) {
    let position = random.below(bytes.len());
    match random.below(8) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(position) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 | 3 => {
            if let Some(byte) = bytes.get_mut(position) {
                *byte = random.byte();
            }
        }
        4 => bytes.insert(position, random.byte()),
        5 => {
            let end = position + random.below(bytes.len() - position);
            bytes.drain(position..end);
        }
        6 => {
            let end = position + random.below((bytes.len() - position).min(MAX_GROWTH));
            bytes.extend_from_within(position..end);
        }
        _ => {
            let other = random.pick(corpus).map_or(&[][..], Vec::as_slice);
            let start = random.below(other.len());
            bytes.truncate(position);
            bytes.extend_from_slice(&other[start..]);
        }
    }
}

/// The input that is being run; prints itself when it made the body panic.
struct Culprit {
    run: u64,
    bytes: Vec<u8>,
}

impl Drop for Culprit {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows it beside the panic"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run {} panicked on {:02x?}", self.run, self.bytes);
        }
    }
}

/// Marsaglia's xorshift64*: small, and the same on every machine.
struct XorShift(u64);

impl XorShift {
    /// Zero is the one state that xorshift never leaves.
    fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; zero when there is none.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        // The high bits are the better ones.
        let number = (self.next() >> 32).checked_rem(end).unwrap_or_default();
        usize::try_from(number).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Half of the time a byte at which parsers tend to change their mind.
    fn byte(&mut self) -> u8 {
        match self.below(2) {
            0 => self.pick(&TELLING_BYTES).copied().unwrap_or_default(),
            _ => self.next().to_be_bytes()[0],
        }
    }
}

/// Mutations of one input: enough to leave the corpus, few enough to stay near.
const MAX_MUTATIONS: usize = 6;

/// Bytes by which an input may outgrow the longest one of the corpus.
const MAX_GROWTH: usize = 64;

const TELLING_BYTES: [u8; 16] = [
    0, 1, 2, 3, 4, 8, 10, 12, 20, 24, 30, 0x7f, 0x80, 0xf0, 0xfe, 0xff,
];

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static SEEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }

    fn remember(data: &[u8]) {
        SEEN.with_borrow_mut(|seen| seen.push(data.to_vec()));
    }

    fn inputs(seed: u64, corpus: &[Vec<u8>]) -> Vec<Vec<u8>> {
        run_mutated(remember, corpus, 200, seed);
        SEEN.take()
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let corpus = [b"one option".to_vec(), b"another one".to_vec()];
        assert_eq!(inputs(7, &corpus), inputs(7, &corpus));
        assert_ne!(inputs(7, &corpus), inputs(8, &corpus));
    }

    #[test]
    fn inputs_differ_and_stay_within_the_limit() {
        let corpus = [vec![0; 30]];
        let mut inputs = inputs(0, &corpus);
        assert!(inputs.iter().all(|input| input.len() <= 30 + MAX_GROWTH));
        inputs.sort();
        inputs.dedup();
        assert!(inputs.len() > 100, "only {} different inputs", inputs.len());
    }

    #[test]
    fn an_empty_corpus_still_makes_inputs() {
        assert_eq!(inputs(1, &[]).len(), 200);
    }
}
