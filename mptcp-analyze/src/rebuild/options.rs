//! The options of one segment, decoded once for all that look at them.

use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{Dss, MptcpOption, ParseError, Subtype};
use mptcp_proto::wire::tcp_option::{KIND_END_OF_LIST, KIND_MPTCP, KIND_NO_OPERATION, TcpOptions};

use super::pack::{Pack, Packer, Unpacker};
use crate::model::Segment;

/// MPTCP options of one segment; the option area has room for no more than thirteen.
pub(super) const MAX_OPTIONS: usize = 13;

/// The options of one segment. The value is used again for the next one, so that an ordinary segment
/// costs no allocation.
#[derive(Debug, Default)]
pub(super) struct SegmentOptions {
    parsed: Vec<MptcpOption>,
    /// Subtypes of the options that parse, a bit each.
    subtypes: u16,
    /// Whether something about them is odd: malformed, reserved bits, an unknown subtype.
    odd: bool,
    /// MPTCP options that do not parse: subtype and what is wrong.
    pub(super) malformed: Vec<(Option<u8>, String)>,
    /// What is wrong with the option area as a whole, and whether an MPTCP option is at fault.
    pub(super) area_error: Option<(bool, String)>,
    /// Length of the longest run of NOPs.
    pub(super) longest_nop_run: u8,
    /// Raw bytes of the first MPTCP option of a SYN, to recognise a mirror.
    pub(super) first_raw: Option<RawOption>,
}

/// The bytes of an option. Those of MP_CAPABLE on a SYN are four or twelve, and take no allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawOption {
    Short { bytes: [u8; MAX_SHORT], len: u8 },
    Long(Box<[u8]>),
}

/// Longest option that is kept in place.
const MAX_SHORT: usize = 14;

impl Pack for RawOption {
    fn pack(&self, to: &mut Packer<'_>) {
        self.bytes().to_vec().pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        RawOption::new(&Vec::unpack(from))
    }
}

impl RawOption {
    fn new(source: &[u8]) -> Self {
        let mut bytes = [0; MAX_SHORT];
        match (bytes.get_mut(..source.len()), u8::try_from(source.len())) {
            (Some(start), Ok(len)) => {
                start.copy_from_slice(source);
                RawOption::Short { bytes, len }
            }
            _ => RawOption::Long(source.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            RawOption::Short { bytes, len } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            RawOption::Long(bytes) => bytes,
        }
    }
}

impl SegmentOptions {
    /// Decodes the captured option area. `version` is that of the connection, if it is known.
    pub(super) fn decode(&mut self, segment: &Segment<'_>, version: Option<Version>) {
        self.clear();
        let mut nops = 0u8;
        let mut rest = segment.options();
        loop {
            rest = match *rest {
                [] | [KIND_END_OF_LIST, ..] => return,
                [KIND_NO_OPERATION, ref after @ ..] => {
                    nops = nops.saturating_add(1);
                    self.longest_nop_run = self.longest_nop_run.max(nops);
                    after
                }
                [kind, len, ..] if len >= 2 => {
                    let Some((option, after)) = rest.split_at_checked(usize::from(len)) else {
                        break;
                    };
                    nops = 0;
                    if kind == KIND_MPTCP {
                        if segment.flags.syn() {
                            self.first_raw.get_or_insert_with(|| RawOption::new(option));
                        }
                        self.take(option, version);
                    }
                    after
                }
                _ => break,
            };
        }
        if segment.options().len() >= segment.options_len() {
            self.note_area_error(segment.options());
        }
    }

    fn clear(&mut self) {
        self.parsed.clear();
        self.subtypes = 0;
        self.longest_nop_run = 0;
        self.first_raw = None;
        if self.odd {
            self.odd = false;
            self.malformed.clear();
            self.area_error = None;
        }
    }

    /// Notes which option of the area cannot be delimited.
    #[cold]
    fn note_area_error(&mut self, area: &[u8]) {
        if let Some(error) = TcpOptions::new(area).find_map(Result::err) {
            let mptcp = error.kind() == KIND_MPTCP;
            self.area_error = Some((mptcp, error.to_string()));
            self.odd = true;
        }
    }

    #[inline]
    fn take(&mut self, bytes: &[u8], version: Option<Version>) {
        match Dss::parse_plain(bytes) {
            Some(dss) if self.parsed.len() < MAX_OPTIONS => {
                self.subtypes |= 1 << Subtype::DSS.0;
                self.parsed.push(MptcpOption::Dss(dss));
            }
            _ => self.take_any(bytes, version),
        }
    }

    fn take_any(&mut self, bytes: &[u8], version: Option<Version>) {
        let parsed = match version {
            Some(version) => MptcpOption::parse(version, bytes),
            None => MptcpOption::parse_unversioned(bytes),
        };
        match parsed {
            Ok(option) => {
                if self.parsed.len() < MAX_OPTIONS {
                    self.subtypes |= 1 << (option.subtype().0 & 15);
                    self.odd |=
                        option.reserved_bits() != 0 || matches!(option, MptcpOption::Unknown(_));
                    self.parsed.push(option);
                }
            }
            Err(error) => self.note_malformed(bytes, error),
        }
    }

    #[cold]
    fn note_malformed(&mut self, bytes: &[u8], error: ParseError) {
        let subtype = bytes.get(2).map(|byte| byte >> 4);
        self.malformed.push((subtype, error.to_string()));
        self.odd = true;
    }

    /// Whether there is nothing but well-formed DSS options, or no MPTCP option at all: only data
    /// are to be looked at.
    pub(super) fn are_plain(&self) -> bool {
        !self.odd && self.subtypes & !(1 << Subtype::DSS.0) == 0
    }

    /// The options that parse, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &MptcpOption> {
        self.parsed.iter()
    }

    /// Whether there is a DATA_ACK, and no MP_FAIL, with which a host gives up its mappings.
    pub(super) fn has_data_ack_alone(&self) -> bool {
        let is_ack = |option: &MptcpOption| matches!(option, MptcpOption::Dss(dss) if dss.data_ack.is_some());
        !self.has(Subtype::FAIL) && self.iter().any(is_ack)
    }

    /// Whether there is an MPTCP option, well formed or not.
    pub(super) fn has_mptcp(&self) -> bool {
        !self.parsed.is_empty()
            || !self.malformed.is_empty()
            || self.area_error.as_ref().is_some_and(|(mptcp, _)| *mptcp)
    }

    /// Whether there is an MP_CAPABLE that does not parse.
    pub(super) fn has_malformed_capable(&self) -> bool {
        let capable = Subtype::CAPABLE.0;
        self.malformed
            .iter()
            .any(|(subtype, _)| *subtype == Some(capable))
    }

    /// Whether there is a well-formed option of this subtype.
    pub(super) fn has(&self, subtype: Subtype) -> bool {
        self.subtypes & (1 << (subtype.0 & 15)) != 0
    }
}
