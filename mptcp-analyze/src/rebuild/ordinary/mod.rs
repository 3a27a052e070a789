//! The short way for the segments that nearly all of a transfer consists of: on a known subflow, with
//! ACK and perhaps PSH set, and one DSS as hosts send it beside options that are not ours.
//!
//! It does what the long way does, with everything looked up once, and hands over to it where a
//! segment turns out to be of another kind; the long way stays the definition, and the tests
//! compare both.

use mptcp_proto::wire::mptcp::{DataAck, Dss, DssMapping, Subtype};
use mptcp_proto::wire::tcp_option::{KIND_END_OF_LIST, KIND_MPTCP, KIND_NO_OPERATION};

use super::Rebuilder;
use super::connection::ConnectionBuilder;
use super::data::PayloadInput;
use super::observe::verify_tcp_checksum;
use super::stream::{MptcpStream, Place};
use super::transfer::{enter_payload, take_mapping};
use crate::model::{Segment, SubflowKind, TcpFlags};

impl Rebuilder {
    /// Takes a segment if it is an ordinary one; `false` when it is not, and nothing was done.
    #[inline]
    pub(super) fn take_ordinary(&mut self, segment: &Segment<'_>, place: Place) -> bool {
        if self.takes_long_way
            || segment.flags.0 & !TcpFlags::PSH != TcpFlags::ACK
            || segment.are_options_cut()
        {
            return false;
        }
        let stream = &mut self.streams[place.stream];
        let seen = |mptcp: &&mut MptcpStream| mptcp.kind != SubflowKind::Unseen;
        let Some(mptcp) = stream.mptcp.as_deref_mut().filter(seen) else {
            return false;
        };
        let Some(bytes) = only_mptcp_option(segment.options()) else {
            return false;
        };
        // Looked at where it was made: to copy what has just been written in parts takes long.
        let Some(dss) = &Dss::parse_plain(bytes) else {
            return false;
        };
        if dss.data_fin {
            // It may end the connection.
            return false;
        }
        let builder = &mut self.connections[mptcp.connection];
        stream.ends[place.end].ttl = Some(segment.ip.ttl);
        mptcp.packets_with_option += 1;
        mptcp.note_answer(place.end);
        let end = &mut mptcp.ends[place.end];
        end.options.count(Subtype::DSS.0);
        end.bare_since = None;
        end.had_option = true;
        end.sent_dss = true;
        if self.options.verify_tcp_checksums {
            if segment.is_cut() {
                end.tcp_checksums.unverifiable += 1;
            } else {
                verify_tcp_checksum(&mut end.tcp_checksums, segment);
            }
        }
        if let Some(ack) = dss.data_ack {
            take_data_ack(mptcp, builder, place, ack);
        }
        if let Some(mapping) = &dss.mapping
            && !take_next_mapping(mptcp, builder, segment, place, mapping)
        {
            let parts = (&mut *mptcp, &mut *builder);
            let follow = &self.options.follow;
            take_mapping(follow, parts, segment, place, (dss, *mapping), None);
        }
        if segment.payload_len == 0 {
            return true;
        }
        let data = builder.data.of_mut(mptcp.direction(place.end));
        let end = &mut mptcp.ends[place.end];
        let input = PayloadInput::of(segment);
        if end.data.append(data, place.stream_number(), &input) {
            end.excess = false;
        } else {
            self.pieces.clear();
            enter_payload(mptcp, data, segment, place, &mut self.pieces);
        }
        true
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
    segment: &Segment<'_>,
    place: Place,
    mapping: &DssMapping,
) -> bool {
    let direction = mptcp.direction(place.end);
    let is_known =
        builder.idsn_is_checked(direction) && !builder.lacks_checksum(mapping.checksum.is_some());
    let end = &mut mptcp.ends[place.end].data;
    is_known
        && end.take_next_mapping(
            builder.data.of_mut(direction),
            mapping,
            segment.seq,
            place.frame,
        )
}

/// The one MPTCP option of an area that is as it should be.
#[inline]
fn only_mptcp_option(area: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    // Linux puts the timestamps first, with two fillers before them (RFC 7323 appendix A).
    let mut rest = match area {
        [1, 1, 8, 10, _, _, _, _, _, _, _, _, after @ ..] => after,
        _ => area,
    };
    loop {
        rest = match *rest {
            [] | [KIND_END_OF_LIST, ..] => return found,
            [KIND_NO_OPERATION, ref after @ ..] => after,
            [kind, len, ..] if len >= 2 => {
                let (option, after) = rest.split_at_checked(usize::from(len))?;
                if kind == KIND_MPTCP && found.replace(option).is_some() {
                    return None;
                }
                after
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests;
