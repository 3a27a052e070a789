//! Option areas side by side, option by option.

use mptcp_proto::wire::tcp_option::{KIND_END_OF_LIST, KIND_NO_OPERATION, TcpOptions};

use super::field::{Change, Field, How, OptionId, State};

/// What became of the options: a state for each that was sent, and the changes. `is_whole` says that
/// the quote has all of the option area.
pub(super) fn compare(sent: &[u8], seen: &[u8], is_whole: bool) -> Options {
    let mut alignment = Alignment::new(sent, seen, is_whole);
    alignment.pair(|sent, seen| sent == seen);
    alignment.pair(|sent, seen| OptionId::of(sent) == OptionId::of(seen));
    alignment.judge()
}

/// Result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) states: Vec<(Field, State)>,
    pub(super) changes: Vec<Change>,
}

/// Which option that is quoted is which of those that were sent.
struct Alignment<'a> {
    area: &'a [u8],
    is_whole: bool,
    /// The quoted list ends with an end of list.
    has_end: bool,
    sent: Vec<Entry<'a>>,
    seen: Vec<Entry<'a>>,
    /// For each option that was sent, where it is in `seen`.
    pairs: Vec<Option<usize>>,
    padding_differs: bool,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> Alignment<'a> {
    fn new(sent: &'a [u8], seen: &'a [u8], is_whole: bool) -> Self {
        let (entries, _) = entries(sent);
        let (quoted, has_end) = self::entries(seen);
        Self {
            area: seen,
            is_whole,
            has_end,
            pairs: vec![None; entries.len()],
            padding_differs: is_whole && sent != seen,
            sent: entries,
            seen: quoted,
        }
    }

    /// Pairs what is alike and not paired yet, from the left.
    fn pair(&mut self, alike: impl Fn(&[u8], &[u8]) -> bool) {
        for at in 0..self.sent.len() {
            if self.pairs[at].is_none() {
                let found = (0..self.seen.len()).find(|&there| {
                    !self.is_taken(there) && alike(self.sent[at].bytes, self.seen[there].bytes)
                });
                self.pairs[at] = found;
            }
        }
    }

    fn is_taken(&self, seen: usize) -> bool {
        self.pairs.contains(&Some(seen))
    }

    fn judge(mut self) -> Options {
        let mut options = Options::default();
        for at in 0..self.sent.len() {
            let sent = self.sent[at].bytes;
            let field = Field::Option(OptionId::of(sent));
            let (how, seen) = match self.pairs[at] {
                Some(there) if self.seen[there].bytes == sent => {
                    options.states.push((field, State::Same));
                    continue;
                }
                Some(there) => (How::Rewritten, self.seen[there].bytes),
                None => {
                    let Some(missing) = self.missing(at) else {
                        options.states.push((field, State::NotQuoted));
                        continue;
                    };
                    missing
                }
            };
            options.states.push((field, State::Changed));
            options.changes.push(change(field, how, sent, seen));
        }
        self.judge_rest(&mut options);
        options
    }

    /// What became of an option that is in no place; none when the quote may end before it.
    fn missing(&mut self, at: usize) -> Option<(How, &'a [u8])> {
        let Entry { offset, bytes } = self.sent[at];
        let there = self.area.get(offset..offset + bytes.len());
        if let Some(there) = there {
            if there.iter().all(|&byte| byte == KIND_NO_OPERATION) {
                return Some((How::Nopped, there));
            }
            if there.iter().all(|&byte| byte == KIND_END_OF_LIST) {
                return Some((How::Ended, there));
            }
            let renamed = (0..self.seen.len())
                .find(|&seen| !self.is_taken(seen) && self.seen[seen].offset == offset);
            if let Some(seen) = renamed
                && there.get(1..) == bytes.get(1..)
            {
                self.pairs[at] = Some(seen);
                return Some((How::Renamed, there));
            }
        }
        let later = self.pairs.get(at + 1..).unwrap_or_default();
        let is_passed = later.iter().any(Option::is_some);
        if !self.is_whole && !is_passed {
            return None;
        }
        if self.has_end && !is_passed {
            return Some((How::Ended, &[]));
        }
        Some((How::Removed, &[]))
    }

    /// What was not sent, and what is otherwise than the options themselves.
    fn judge_rest(&self, options: &mut Options) {
        for (seen, entry) in self.seen.iter().enumerate() {
            if self.is_taken(seen) {
                continue;
            }
            let id = OptionId::of(entry.bytes);
            let is_double = self.sent.iter().any(|sent| OptionId::of(sent.bytes) == id);
            let how = if is_double {
                How::Duplicated
            } else {
                How::Added
            };
            options
                .changes
                .push(change(Field::Option(id), how, &[], entry.bytes));
        }
        let places: Vec<usize> = self.pairs.iter().flatten().copied().collect();
        let state = if places.is_sorted() {
            if self.is_whole {
                State::Same
            } else {
                State::NotQuoted
            }
        } else {
            options
                .changes
                .push(change(Field::OptionOrder, How::Rewritten, &[], self.area));
            State::Changed
        };
        options.states.push((Field::OptionOrder, state));
        if options.changes.is_empty() && self.padding_differs {
            options
                .changes
                .push(change(Field::Padding, How::Rewritten, &[], self.area));
            options.states.push((Field::Padding, State::Changed));
        }
    }
}

fn change(field: Field, how: How, sent: &[u8], seen: &[u8]) -> Change {
    Change {
        field,
        how,
        sent: sent.to_vec(),
        seen: seen.to_vec(),
    }
}

/// All options but no-operations, up to the end of the list or to what cannot be delimited; and whether
/// an end of list was there.
fn entries(area: &[u8]) -> (Vec<Entry<'_>>, bool) {
    let mut entries = Vec::new();
    for option in TcpOptions::new(area).map_while(Result::ok) {
        match option.kind {
            KIND_END_OF_LIST => return (entries, true),
            KIND_NO_OPERATION => {}
            _ => entries.push(Entry {
                offset: option.offset,
                bytes: option.bytes,
            }),
        }
    }
    (entries, false)
}

#[cfg(test)]
mod tests;
