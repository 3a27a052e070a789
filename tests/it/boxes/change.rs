//! What a box should do to a packet, written apart from the box.

use crate::seen::Seen;

/// Which packets change, and how.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) when: When,
    pub(super) what: What,
    /// The TCP checksum is wrong afterwards.
    pub(super) stale: bool,
}

/// Which packets.
#[derive(Clone, Copy)]
pub(super) enum When {
    All,
    Syn,
    SynAck,
    /// The client's first segment after its SYN, and its copies.
    ThirdAck,
    Data,
    /// From this packet of the connection on, counted from 1.
    From(usize),
    ToServer,
}

/// Whether an option is meant, by its kind and value.
pub(super) type Which = fn(u8, &[u8]) -> bool;

/// How they change.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// Not at all.
    Nothing,
    /// Options become NOPs.
    Nop(Which),
    /// They go, the padding too, and the header gets shorter.
    Remove(Which),
    /// The first one and what follows become zeros.
    Cut(Which),
    /// Otherwise.
    Edit(fn(&mut Seen)),
    /// They become none or several.
    Replace(fn(&Seen) -> Vec<Seen>),
}

/// Where a packet stands.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// Of the connection, from 1, as the box saw them.
    pub(super) number: usize,
    pub(super) to_server: bool,
    /// It is the third ACK, or a copy.
    pub(super) third_ack: bool,
}

impl Change {
    pub(super) const NONE: Self = Self::new(When::All, What::Nothing);

    pub(super) const fn new(when: When, what: What) -> Self {
        Self {
            when,
            what,
            stale: false,
        }
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self.what, What::Nothing)
    }

    /// What the packet should become; none if it stays.
    pub(super) fn of(&self, packet: &Seen, position: Position) -> Option<Vec<Seen>> {
        let meant = match self.when {
            When::All => true,
            When::Syn => packet.is_syn(),
            When::SynAck => packet.is_syn_ack(),
            When::ThirdAck => position.third_ack,
            When::Data => !packet.payload.is_empty(),
            When::From(first) => position.number >= first,
            When::ToServer => position.to_server,
        };
        let changed = match self.what {
            _ if !meant => return None,
            What::Replace(replace) => replace(packet),
            what => {
                let mut changed = packet.clone();
                what.apply(&mut changed);
                vec![changed]
            }
        };
        (changed != [packet.clone()]).then_some(changed)
    }
}

impl What {
    fn apply(self, packet: &mut Seen) {
        match self {
            Self::Nothing | Self::Replace(_) => {}
            Self::Edit(edit) => edit(packet),
            Self::Nop(which) => {
                let pieces = pieces(&packet.options).into_iter();
                let pieces = pieces.map(|piece| match piece {
                    [kind, _, value @ ..] if which(*kind, value) => vec![1; piece.len()],
                    _ => piece.to_vec(),
                });
                packet.options = pieces.collect::<Vec<_>>().concat();
            }
            Self::Remove(which) => {
                let all = pieces(&packet.options);
                let meant =
                    |piece: &&[u8]| matches!(piece, [kind, _, value @ ..] if which(*kind, value));
                if all.iter().any(meant) {
                    let kept = all.iter().filter(|piece| piece.len() > 1 && !meant(piece));
                    let mut kept = kept.copied().collect::<Vec<_>>().concat();
                    kept.resize(kept.len().next_multiple_of(4), 1);
                    packet.options = kept;
                }
            }
            Self::Cut(which) => {
                let mut at = 0;
                for piece in pieces(&packet.options) {
                    if matches!(piece, [kind, _, value @ ..] if which(*kind, value)) {
                        break;
                    }
                    at += piece.len();
                }
                packet.options[at..].fill(0);
            }
        }
    }
}

/// The options with their NOPs, one piece each; what follows an end of the list is one piece.
fn pieces(mut area: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let [kind, rest @ ..] = area {
        let len = match (kind, rest.first()) {
            (1, _) => 1,
            (2.., Some(len)) if (2..=area.len()).contains(&usize::from(*len)) => usize::from(*len),
            _ => area.len(),
        };
        let (piece, after) = area.split_at(len);
        pieces.push(piece);
        area = after;
    }
    pieces
}

/// Any option of MPTCP.
pub(super) fn mptcp(kind: u8, _: &[u8]) -> bool {
    kind == 30
}

/// The value of an option and its kind.
pub(super) type Options<'a> = Vec<(u8, &'a mut [u8])>;

/// The options of a packet, to be written.
pub(super) fn options(packet: &mut Seen) -> Options<'_> {
    let lengths: Vec<usize> = pieces(&packet.options)
        .iter()
        .map(|piece| piece.len())
        .collect();
    let mut rest = packet.options.as_mut_slice();
    let mut found = Vec::new();
    for len in lengths {
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(len);
        rest = after;
        if let [kind @ 2..=u8::MAX, _, value @ ..] = piece {
            found.push((*kind, value));
        }
    }
    found
}

/// Flips the last bit of the byte at `at` in the values of MPTCP options of this subtype that are
/// so long, kind and length not counted.
pub(super) fn flip(
    packet: &mut Seen,
    subtype: u8,
    len: std::ops::RangeInclusive<usize>,
    at: usize,
) {
    for (kind, value) in options(packet) {
        if kind == 30 && value[0] >> 4 == subtype && len.contains(&value.len()) {
            value[at] ^= 1;
        }
    }
}
