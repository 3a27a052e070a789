//! One direction with its subflows, driven by hand.

mod checksums;
mod hostile;
mod naive;
mod semantics;

use mptcp_proto::seq::{Dsn, Ssn, TcpSeq};
use mptcp_proto::wire::checksum::{PartialSum, dss_checksum};

use super::direction::Merged;
use super::*;
use crate::model::{ByteClass, Piece};

const ISN: u32 = 0xffff_fff0;
const IDSN: Dsn = Dsn(0x1234_5678_ffff_ff00);

/// A direction with subflows whose SYNs were seen.
pub(super) struct Rig {
    pub(super) data: DataDirection,
    pub(super) subflows: Vec<SubflowDirection>,
    pub(super) frame: u64,
}

impl Rig {
    pub(super) fn new(subflows: usize) -> Self {
        let mut rig = Self::without_handshake(subflows);
        rig.data.set_idsn(IDSN);
        for subflow in &mut rig.subflows {
            subflow.on_syn(TcpSeq(ISN));
        }
        rig
    }

    pub(super) fn without_handshake(subflows: usize) -> Self {
        Self {
            data: DataDirection::new(DataOptions {
                verify_checksums: true,
                assemble: Assemble::Keep,
                name_frames: true,
            }),
            subflows: (0..subflows).map(|_| SubflowDirection::default()).collect(),
            frame: 0,
        }
    }

    /// Tells the subflows of a merge; those from `moved` on belonged to the other half.
    pub(super) fn follow_merge(&mut self, merged: &Merged, moved: usize) {
        for subflow in self.subflows.iter_mut().skip(moved) {
            subflow.follow_merge(merged);
        }
        for lost in &merged.lost {
            self.subflows[lost.subflow as usize].lose(lost);
        }
    }

    /// A mapping in a segment whose payload has `segment` (SSN and length).
    pub(super) fn map_in(
        &mut self,
        subflow: usize,
        (dsn, ssn, len): (i64, i64, u16),
        segment: (i64, u32),
        checksum: Option<u16>,
        data_fin: bool,
    ) -> MappingOutcome {
        self.frame += 1;
        let input = MappingInput {
            dsn,
            ssn: low(ssn),
            len,
            data_fin,
            checksum,
            segment_seq: seq(segment.0),
            segment_len: segment.1,
            frame: self.frame,
            at: Timestamp(self.frame.cast_signed()),
        };
        let id = u32::try_from(subflow).unwrap();
        self.subflows[subflow].on_mapping(&mut self.data, id, &input)
    }

    /// A mapping in a segment that begins where the mapping does.
    pub(super) fn map(&mut self, subflow: usize, dsn: i64, ssn: i64, len: u16) -> MappingOutcome {
        self.map_in(subflow, (dsn, ssn, len), (ssn, u32::from(len)), None, false)
    }

    /// Payload in the frame of the last mapping.
    pub(super) fn pay(&mut self, subflow: usize, ssn: i64, bytes: &[u8]) -> Vec<Piece> {
        self.pay_cut(subflow, ssn, bytes, u32::try_from(bytes.len()).unwrap())
    }

    /// Payload of which only `bytes` were captured.
    pub(super) fn pay_cut(
        &mut self,
        subflow: usize,
        ssn: i64,
        bytes: &[u8],
        len: u32,
    ) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let input = PayloadInput {
            sum: None,
            seq: seq(ssn),
            bytes,
            len,
            frame: self.frame,
            at: Timestamp(self.frame.cast_signed()),
        };
        let id = u32::try_from(subflow).unwrap();
        self.subflows[subflow].on_payload(&mut self.data, id, &input, &mut pieces);
        pieces
    }

    /// Mapping and payload in one segment, with bytes of the test stream.
    pub(super) fn send(&mut self, subflow: usize, dsn: i64, ssn: i64, len: u16) -> Vec<Piece> {
        self.map(subflow, dsn, ssn, len);
        self.pay(subflow, ssn, &stream(dsn, len))
    }

    pub(super) fn ack(&mut self, dsn: i64) {
        let ack = self
            .data
            .base()
            .unwrap()
            .0
            .wrapping_add(dsn.cast_unsigned());
        self.data
            .on_data_ack(mptcp_proto::wire::mptcp::DataAck::Long(ack));
    }

    pub(super) fn finish(&mut self) -> crate::model::DirectionTotals {
        for (id, subflow) in (0u32..).zip(&mut self.subflows) {
            subflow.finish(&mut self.data, id);
        }
        self.data.finish();
        self.data.totals()
    }
}

/// The byte at each relative DSN of the test stream.
pub(super) fn stream(dsn: i64, len: u16) -> Vec<u8> {
    (dsn..dsn + i64::from(len))
        .map(|at| u8::try_from((at * 7 + (at >> 8)).rem_euclid(251)).unwrap())
        .collect()
}

/// The right checksum of a mapping of the test stream.
pub(super) fn checksum(dsn: i64, ssn: i64, len: u16, data_fin: bool) -> u16 {
    let bytes = stream(dsn, len - u16::from(data_fin));
    let full = Dsn(IDSN.0.wrapping_add(dsn.cast_unsigned()));
    dss_checksum(full, Ssn(low(ssn)), len, PartialSum::of(&bytes))
}

pub(super) fn classes(pieces: &[Piece]) -> Vec<(u32, u32, Option<i64>, ByteClass, bool)> {
    pieces
        .iter()
        .map(|p| (p.offset, p.len, p.dsn, p.class, p.spurious))
        .collect()
}

pub(super) fn low(number: i64) -> u32 {
    u32::try_from(number & 0xffff_ffff).unwrap()
}

pub(super) fn seq(ssn: i64) -> TcpSeq {
    TcpSeq(ISN.wrapping_add(low(ssn)))
}
