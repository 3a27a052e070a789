//! Bytes of a stream are replaced by others, with the numbers fixed in both directions when the
//! length differs, as gateways do that write another address into FTP.

mod edits;

use std::time::Duration;

use crate::middlebox::flow_table::{FlowTable, PerDirection};
use crate::middlebox::sack::{self, Sack};
use crate::middlebox::segment::{ACK, SYN, Segment};
use crate::middlebox::select::Toward;
use crate::middlebox::spec::{Bytes, Fields};
use crate::middlebox::split;
use crate::middlebox::tcp_box::{TcpBox, forward};
use crate::middlebox::{Departure, Direction};

use edits::Edits;
pub use edits::MAX_EDITS;

/// Which bytes become which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The bytes that are looked for, within one segment; none are found if there are none.
    pub find: Bytes,
    /// What takes their place.
    pub put: Bytes,
    /// How often in each stream; 0 is as often as they come.
    pub times: u32,
    /// The stream's first bytes are not looked at.
    pub skip_bytes: u32,
    /// The direction of the stream.
    pub toward: Toward,
    /// What happens to SACK blocks.
    pub sack: Sack,
    /// A packet that has grown beyond this leaves as two.
    pub mtu: u16,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            find: Bytes::default(),
            put: Bytes::default(),
            times: 1,
            skip_bytes: 0,
            toward: Toward::Both,
            sack: Sack::Fix,
            mtu: 1500,
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("find", &mut self.find, &default.find);
        fields.field("put", &mut self.put, &default.put);
        fields.field("times", &mut self.times, &default.times);
        fields.field("skip_bytes", &mut self.skip_bytes, &default.skip_bytes);
        fields.field("toward", &mut self.toward, &default.toward);
        fields.field("sack", &mut self.sack, &default.sack);
        fields.field("mtu", &mut self.mtu, &default.mtu);
    }

    /// The box.
    pub fn build(&self) -> Payload {
        Payload {
            plan: self.clone(),
            flows: FlowTable::new(),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Payload {
    plan: Plan,
    flows: FlowTable<PerDirection<Option<Edits>>>,
}

impl TcpBox for Payload {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let streams = self.flows.entry(segment.flow());
        let len_before = segment.packet_len();
        if self.plan.toward.includes(direction) {
            let stream = streams.of_mut(direction);
            let start = segment.data_seq();
            if segment.has(SYN) && !stream.as_ref().is_some_and(|known| known.starts_at(start)) {
                *stream = None;
            }
            let stream = stream.get_or_insert_with(|| Edits::new(&self.plan, start));
            let payload = stream.apply(start, segment.payload());
            let shift = stream.map(start).wrapping_sub(start);
            segment.set_seq(segment.seq().wrapping_add(shift));
            segment.set_payload(payload);
        }
        if let Some(stream) = streams.of(direction.reverse())
            && segment.has(ACK)
        {
            segment.set_ack(stream.unmap(segment.ack()));
            if self.plan.sack == Sack::Fix {
                sack::map_blocks(&mut segment, |edge| stream.unmap(edge));
            }
        }
        let room = usize::from(self.plan.mtu).max(len_before);
        if segment.packet_len() <= room {
            return forward(now, direction, segment, out);
        }
        let size = room.saturating_sub(segment.headers_len());
        for part in split::parts(&segment, size) {
            forward(now, direction, part, out);
        }
    }
}

#[cfg(test)]
mod tests;
