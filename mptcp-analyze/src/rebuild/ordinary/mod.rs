//! The short way for the segments that nearly all of a transfer consists of: on a known subflow, with
//! ACK and perhaps PSH set, and one DSS as hosts send it beside options that are not ours.
//!
//! It does what the long way does, with everything looked up once, and hands over to it where a
//! segment turns out to be of another kind; the long way stays the definition, and the tests
//! compare both.

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::checksum::PartialSum;
use mptcp_proto::wire::mptcp::{DataAck, Dss, DssMapping, Subtype};

use super::Rebuilder;
use super::checksums::ChecksumCounts;
use super::connection::ConnectionBuilder;
use super::data::PayloadInput;
use super::follow::FollowPlan;
use super::glance::{Glance, Whole};
use super::stream::{MptcpStream, Place};
use super::transfer::{enter_payload, take_mapping};
use crate::model::{Piece, Segment};

impl Rebuilder {
    /// Takes a segment if it is an ordinary one; `false` when it is not, and nothing was done.
    #[inline]
    pub(super) fn take_ordinary<'a>(
        &mut self,
        glance: &Glance,
        whole: &impl Whole<'a>,
        place: Place,
    ) -> bool {
        if self.takes_long_way {
            return false;
        }
        let stream = &mut self.streams[place.stream];
        let Some(mptcp) = stream.mptcp.as_deref_mut() else {
            return false;
        };
        // Looked at where it was made: to copy what has just been written in parts takes long.
        let Some(dss) = &whole.plain_dss() else {
            return false;
        };
        let builder = &mut self.connections[mptcp.connection];
        // A DATA_FIN may end the connection.
        if dss.data_fin || mptcp.may_be_regrouped(builder, place.stream) {
            return false;
        }
        let mut payload_sum = None;
        if self.options.verify_tcp_checksums {
            let tally = &mut mptcp.ends[place.end].tcp_checksums;
            if glance.is_cut {
                tally.miss();
            } else if is_verified(tally, self.options.tcp_checksum_samples, dss) {
                payload_sum = verify(tally, &whole.segment(), dss);
            } else {
                tally.skip();
            }
        }
        stream.ends[place.end].ttl = Some(glance.ip.ttl);
        let payload = (glance.seq, glance.payload_len);
        let input = || payload_of(glance, whole, payload_sum);
        let scratch = (&self.options.follow, &mut self.pieces);
        enter(scratch, (mptcp, builder), place, dss, payload, input);
        true
    }
}

/// Enters an ordinary segment: its option, and its payload, of which the first number and the length are
/// given. The TCP checksum and what counts of any segment are left to the caller.
#[inline]
pub(super) fn enter<'a>(
    (follow, pieces): (&FollowPlan, &mut Vec<Piece>),
    (mptcp, builder): (&mut MptcpStream, &mut ConnectionBuilder),
    place: Place,
    dss: &Dss,
    payload: (TcpSeq, u32),
    input: impl FnOnce() -> PayloadInput<'a>,
) {
    mptcp.packets_with_option += 1;
    mptcp.note_answer(place.end);
    let end = &mut mptcp.ends[place.end];
    end.options.count(Subtype::DSS.0);
    end.end_bare_run(dss.data_ack.is_some());
    end.had_option = true;
    end.sent_dss = true;
    if let Some(ack) = dss.data_ack {
        take_data_ack(mptcp, builder, place, ack);
    }
    if let Some(mapping) = &dss.mapping
        && !take_next_mapping(mptcp, builder, payload.0, place, mapping)
    {
        let parts = (&mut *mptcp, &mut *builder);
        take_mapping(follow, parts, payload, place, (dss, *mapping), None);
    }
    if payload.1 > 0 {
        let input = input();
        let data = builder.data.of_mut(mptcp.direction(place.end));
        let end = &mut mptcp.ends[place.end];
        if end.data.append(data, place.stream_number(), &input) {
            end.excess = false;
        } else {
            pieces.clear();
            enter_payload(mptcp, data, &input, place, pieces);
        }
    }
}

/// Whether the TCP checksum of a segment that is not cut is to be judged. Where the checksum of the
/// mapping wants the sum of the payload, that of TCP costs next to nothing more.
#[inline]
fn is_verified(tally: &ChecksumCounts, samples: Option<u64>, dss: &Dss) -> bool {
    !samples.is_some_and(|samples| tally.are_enough(samples)) || has_checksum(dss)
}

/// Whether its mapping has a checksum.
#[inline]
pub(super) fn has_checksum(dss: &Dss) -> bool {
    dss.mapping.as_ref().is_some_and(|m| m.checksum.is_some())
}

/// Judges the TCP checksum of a segment that is not cut. Gives the sum of the payload if the checksum
/// of the mapping will want it too.
fn verify(tally: &mut ChecksumCounts, segment: &Segment<'_>, dss: &Dss) -> Option<PartialSum> {
    if has_checksum(dss) {
        let sum = PartialSum::of(segment.payload());
        tally.verify_with(segment, sum);
        return Some(sum);
    }
    tally.verify(segment);
    None
}

#[inline]
fn payload_of<'a>(
    glance: &Glance,
    whole: &impl Whole<'a>,
    sum: Option<PartialSum>,
) -> PayloadInput<'a> {
    PayloadInput {
        seq: glance.seq,
        bytes: if glance.has_payload {
            whole.segment().payload()
        } else {
            &[]
        },
        sum,
        len: glance.payload_len,
        frame: glance.frame,
        at: glance.at,
    }
}

#[inline]
fn take_data_ack(
    mptcp: &mut MptcpStream,
    builder: &mut ConnectionBuilder,
    place: Place,
    ack: DataAck,
) {
    let is_long = matches!(ack, DataAck::Long(_));
    mptcp.ends[place.end].options.count_data_ack(is_long);
    let acked = mptcp.direction(place.end).reverse();
    builder.data.of_mut(acked).on_data_ack(ack);
}

/// Takes a mapping if only the data level has to look at it; otherwise nothing is done.
#[inline]
fn take_next_mapping(
    mptcp: &mut MptcpStream,
    builder: &mut ConnectionBuilder,
    seq: TcpSeq,
    place: Place,
    mapping: &DssMapping,
) -> bool {
    let direction = mptcp.direction(place.end);
    let is_known =
        builder.idsn_is_checked(direction) && !builder.lacks_checksum(mapping.checksum.is_some());
    let end = &mut mptcp.ends[place.end].data;
    is_known && end.take_next_mapping(builder.data.of_mut(direction), mapping, seq, place.frame)
}

#[cfg(test)]
mod tests;
