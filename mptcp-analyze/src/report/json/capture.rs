//! Input files in JSON.

use serde::Serialize;

use super::text::Time;
use crate::model::{CaptureEnd, CaptureSummary, Interface, LimitHit};
use crate::report::word;

#[derive(Serialize)]
pub(super) struct CaptureView<'a> {
    file: &'a str,
    format: &'static str,
    compression: &'static str,
    packets: u64,
    link_types: &'a [u16],
    interfaces: Vec<InterfaceView<'a>>,
    truncated_packets: u64,
    undecoded_packets: u64,
    incomplete_fragments: u64,
    first_at: Option<Time>,
    last_at: Option<Time>,
    complete: bool,
    cut_at_byte: Option<u64>,
    cut_reason: Option<&'a str>,
}

impl<'a> CaptureView<'a> {
    pub(super) fn new(capture: &'a CaptureSummary) -> Self {
        let cut = match &capture.end {
            CaptureEnd::Complete => None,
            CaptureEnd::Cut { at_byte, reason } => Some((*at_byte, reason.as_str())),
        };
        CaptureView {
            file: &capture.file,
            format: word::file_format(capture.format),
            compression: word::compression(capture.compression),
            packets: capture.packets,
            link_types: &capture.link_types,
            interfaces: capture.interfaces.iter().map(InterfaceView::new).collect(),
            truncated_packets: capture.truncated_packets,
            undecoded_packets: capture.undecoded_packets,
            incomplete_fragments: capture.incomplete_fragments,
            first_at: capture.first_at.map(Time),
            last_at: capture.last_at.map(Time),
            complete: cut.is_none(),
            cut_at_byte: cut.map(|(at_byte, _)| at_byte),
            cut_reason: cut.map(|(_, reason)| reason),
        }
    }
}

#[derive(Serialize)]
struct InterfaceView<'a> {
    name: Option<&'a str>,
    link_type: u16,
    drops: Option<u64>,
}

impl<'a> InterfaceView<'a> {
    fn new(interface: &'a Interface) -> Self {
        InterfaceView {
            name: interface.name.as_deref(),
            link_type: interface.link_type,
            drops: interface.drops,
        }
    }
}

#[derive(Serialize)]
pub(super) struct LimitView {
    limit: &'static str,
    value: u64,
    dropped: u64,
}

impl LimitView {
    pub(super) fn new(hit: &LimitHit) -> Self {
        LimitView {
            limit: hit.limit,
            value: hit.value,
            dropped: hit.dropped,
        }
    }
}
