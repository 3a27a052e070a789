//! The packed form of a direction whose connection is over.

use mptcp_proto::data::SenderMap;

use super::counters::Counters;
use super::{DataDirection, RareData};
use crate::rebuild::pack::{Pack, Packer, Unpacker};

impl Counters {
    /// Most bytes are sent once, and in many captures each mapping too.
    fn pack(&self, unique_bytes: u64, to: &mut Packer<'_>) {
        let Counters {
            wire_bytes,
            mappings,
            mapping_options,
            first_at,
            last_at,
        } = self;
        wire_bytes.wrapping_sub(unique_bytes).pack(to);
        mappings.pack(to);
        mapping_options.wrapping_sub(*mappings).pack(to);
        first_at.pack(to);
        last_at.pack(to);
    }

    fn unpack(unique_bytes: u64, from: &mut Unpacker<'_>) -> Self {
        let wire_bytes = u64::unpack(from).wrapping_add(unique_bytes);
        let mappings = u32::unpack(from);
        Counters {
            wire_bytes,
            mappings,
            mapping_options: u32::unpack(from).wrapping_add(mappings),
            first_at: Pack::unpack(from),
            last_at: Pack::unpack(from),
        }
    }
}

impl Pack for DataDirection {
    fn pack(&self, to: &mut Packer<'_>) {
        let DataDirection {
            options,
            scale,
            senders,
            highest,
            acked,
            data_fin,
            discarding,
            has_discarded,
            totals,
            first_frame,
            first_frames,
            last_sender,
            assembler,
            rare,
        } = self;
        to.require(assembler.is_none());
        options.pack(to);
        scale.pack(to);
        senders.pack(to);
        to.place(*highest);
        to.place(*acked);
        to.place(data_fin.0);
        data_fin.1.pack(to);
        discarding.pack(to);
        has_discarded.pack(to);
        totals.pack(senders.unique_bytes(), to);
        first_frame.pack(to);
        first_frames.pack(to);
        last_sender.is_some().pack(to);
        if let Some(sender) = last_sender {
            to.stream(u64::from(*sender));
        }
        rare.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let (options, scale) = Pack::unpack(from);
        let senders = SenderMap::unpack(from);
        let unique_bytes = senders.unique_bytes();
        DataDirection {
            options,
            scale,
            senders,
            highest: from.place(),
            acked: from.place(),
            data_fin: (from.place(), Pack::unpack(from)),
            discarding: Pack::unpack(from),
            has_discarded: Pack::unpack(from),
            totals: Counters::unpack(unique_bytes, from),
            first_frame: Pack::unpack(from),
            first_frames: Pack::unpack(from),
            last_sender: bool::unpack(from)
                .then(|| u32::try_from(from.stream()).unwrap_or_default()),
            assembler: None,
            rare: Pack::unpack(from),
        }
    }
}

impl Pack for RareData {
    fn pack(&self, to: &mut Packer<'_>) {
        let RareData {
            bad_mappings,
            rejected,
            spare,
            spare_bytes: _,
            recent,
            reinjected_bytes,
            data_retransmitted_bytes,
            spurious_bytes,
            checksums,
            out_of_range,
        } = self;
        to.require(rejected.is_empty() && spare.is_empty() && recent.is_empty());
        to.require(*out_of_range == 0);
        bad_mappings.pack(to);
        reinjected_bytes.pack(to);
        data_retransmitted_bytes.pack(to);
        spurious_bytes.pack(to);
        checksums.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        RareData {
            bad_mappings: Pack::unpack(from),
            reinjected_bytes: Pack::unpack(from),
            data_retransmitted_bytes: Pack::unpack(from),
            spurious_bytes: Pack::unpack(from),
            checksums: Pack::unpack(from),
            ..Self::default()
        }
    }
}
