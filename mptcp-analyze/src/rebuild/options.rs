//! The options of one segment, decoded once for all that look at them.

use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{MptcpOption, Subtype};
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, KIND_NO_OPERATION, TcpOptions};

use crate::model::Segment;

/// MPTCP options of one segment; the option area has room for no more than thirteen.
pub(super) const MAX_OPTIONS: usize = 13;

/// The options of one segment.
#[derive(Debug, Clone, Default)]
pub(super) struct SegmentOptions {
    parsed: [Option<MptcpOption>; MAX_OPTIONS],
    count: usize,
    /// MPTCP options that do not parse: subtype and what is wrong.
    pub(super) malformed: Vec<(Option<u8>, String)>,
    /// What is wrong with the option area as a whole, and whether an MPTCP option is at fault.
    pub(super) area_error: Option<(bool, String)>,
    /// Length of the longest run of NOPs.
    pub(super) longest_nop_run: u8,
    /// Raw bytes of the first MPTCP option, to recognise a mirror.
    pub(super) first_raw: Option<RawOption>,
}

/// The bytes of an option, kept by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawOption {
    bytes: [u8; 40],
    len: u8,
}

impl RawOption {
    fn new(source: &[u8]) -> Self {
        let mut bytes = [0; 40];
        let len = source.len().min(bytes.len());
        bytes[..len].copy_from_slice(&source[..len]);
        RawOption {
            bytes,
            len: u8::try_from(len).unwrap_or(40),
        }
    }
}

impl SegmentOptions {
    /// Decodes the captured option area. `version` is that of the connection, if it is known.
    pub(super) fn decode(segment: &Segment<'_>, version: Option<Version>) -> Self {
        let mut options = SegmentOptions::default();
        let mut nops = 0u8;
        for item in TcpOptions::new(segment.options) {
            let option = match item {
                Ok(option) => option,
                Err(_) if segment.options.len() < segment.options_len => break,
                Err(error) => {
                    let mptcp = error.kind() == KIND_MPTCP;
                    options.area_error = Some((mptcp, error.to_string()));
                    break;
                }
            };
            nops = if option.kind == KIND_NO_OPERATION {
                nops.saturating_add(1)
            } else {
                0
            };
            options.longest_nop_run = options.longest_nop_run.max(nops);
            if option.kind == KIND_MPTCP {
                options.take(option.bytes, version);
            }
        }
        options
    }

    fn take(&mut self, bytes: &[u8], version: Option<Version>) {
        self.first_raw.get_or_insert_with(|| RawOption::new(bytes));
        let parsed = match version {
            Some(version) => MptcpOption::parse(version, bytes),
            None => MptcpOption::parse_unversioned(bytes),
        };
        match parsed {
            Ok(option) => {
                if let Some(slot) = self.parsed.get_mut(self.count) {
                    *slot = Some(option);
                    self.count += 1;
                }
            }
            Err(error) => {
                let subtype = bytes.get(2).map(|byte| byte >> 4);
                self.malformed.push((subtype, error.to_string()));
            }
        }
    }

    /// The options that parse, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &MptcpOption> {
        self.parsed.iter().take(self.count).flatten()
    }

    /// Whether there is an MPTCP option, well formed or not.
    pub(super) fn has_mptcp(&self) -> bool {
        self.count > 0
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

    /// Whether there is a well-formed option of this kind.
    pub(super) fn any(&self, is: impl Fn(&MptcpOption) -> bool) -> bool {
        self.iter().any(is)
    }
}
