//! The extension structure behind a quote (RFC 4884 §7), and MPLS labels in it (RFC 4950).

use mptcp_proto::wire::checksum::PartialSum;

/// An object of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The labels with which the packet arrived, the outermost first.
    Mpls(Vec<MplsLabel>),
    /// Another object.
    Other {
        /// Class number.
        class: u8,
        /// Type within the class.
        kind: u8,
        /// Bytes without the object's header.
        len: usize,
    },
}

/// An entry of an MPLS label stack (RFC 3032 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MplsLabel {
    /// 20 bits.
    pub label: u32,
    /// Traffic class: 3 bits.
    pub traffic_class: u8,
    /// TTL of the entry.
    pub ttl: u8,
}

/// The objects of a structure. None when there is no structure whose version and checksum are right; an
/// object that is cut ends the list.
pub fn parse(bytes: &[u8]) -> Option<Vec<Object>> {
    let (&[version, _, sum @ ..], mut rest) = bytes.split_first_chunk::<4>()?;
    let is_checked = sum != [0; 2];
    if version >> 4 != VERSION || (is_checked && PartialSum::of(bytes).complement() != 0) {
        return None;
    }
    let mut objects = Vec::new();
    while objects.len() < MAX_OBJECTS
        && let Some((&[l0, l1, class, kind], _)) = rest.split_first_chunk::<4>()
    {
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((object, after)) = rest.split_at_checked(len).filter(|_| len >= 4) else {
            break;
        };
        objects.push(self::object(
            class,
            kind,
            object.get(4..).unwrap_or_default(),
        ));
        rest = after;
    }
    Some(objects)
}

fn object(class: u8, kind: u8, data: &[u8]) -> Object {
    if (class, kind) != MPLS_INCOMING {
        let len = data.len();
        return Object::Other { class, kind, len };
    }
    let entries = data.chunks_exact(4).take(MAX_LABELS);
    let entries = entries.filter_map(|entry| entry.first_chunk().copied());
    Object::Mpls(entries.map(label).collect())
}

fn label(bytes: [u8; 4]) -> MplsLabel {
    let word = u32::from_be_bytes(bytes);
    MplsLabel {
        label: word >> 12,
        traffic_class: u8::try_from(word >> 9 & 7).unwrap_or(0),
        ttl: bytes[3],
    }
}

const VERSION: u8 = 2;
const MPLS_INCOMING: (u8, u8) = (1, 1);
/// Objects that are read.
const MAX_OBJECTS: usize = 16;
/// Entries of a label stack that are read.
const MAX_LABELS: usize = 16;
