//! One byte of the stream arrives with flipped bits, in every copy of it.

use std::time::Duration;

use super::flow_table::{FlowTable, PerDirection};
use super::segment::{SYN, Segment};
use super::select::Toward;
use super::spec::Fields;
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

/// Which byte, and which bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Offset of the byte in the stream, the first one at 0.
    pub at: u32,
    /// Bits that flip.
    pub xor: u8,
    /// The direction of the stream.
    pub toward: Toward,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            at: 0,
            xor: 1,
            toward: Toward::Both,
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("at", &mut self.at, &default.at);
        fields.field("xor", &mut self.xor, &default.xor);
        fields.field("toward", &mut self.toward, &default.toward);
    }

    /// The box.
    pub fn build(&self) -> Flip {
        Flip {
            plan: self.clone(),
            starts: FlowTable::new(),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Flip {
    plan: Plan,
    /// The sequence number of the first byte of each stream.
    starts: FlowTable<PerDirection<Option<u32>>>,
}

impl TcpBox for Flip {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let start = self.starts.entry(segment.flow()).of_mut(direction);
        if segment.has(SYN) {
            *start = Some(segment.data_seq());
        }
        let first = *start.get_or_insert(segment.data_seq());
        let target = first.wrapping_add(self.plan.at);
        let inside = usize::try_from(target.wrapping_sub(segment.data_seq()));
        if self.plan.toward.includes(direction)
            && let Ok(inside) = inside
            && inside < segment.payload().len()
        {
            let mut payload = segment.payload().to_vec();
            payload[inside] ^= self.plan.xor;
            segment.set_payload(payload);
        }
        forward(now, direction, segment, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass_one};
    use super::*;

    #[test]
    fn every_copy_of_the_byte_is_changed_the_same_way() {
        let mut flip = Plan {
            at: 4,
            xor: 0x20,
            toward: Toward::Server,
        }
        .build();
        check_untouched(&mut flip, &Tcp::syn());
        check_untouched(&mut flip, &Tcp::to_server().payload(b"abcd"));
        let at = |seq, bytes| Tcp::to_server().seq(seq).payload(bytes);
        assert_eq!(pass_one(&mut flip, &at(1004, b"efgh")).payload(), b"Efgh");
        assert_eq!(pass_one(&mut flip, &at(1002, b"cdef")).payload(), b"cdEf");
        check_untouched(&mut flip, &at(1005, b"fgh"));
        check_untouched(&mut flip, &Tcp::to_client().payload(b"abcdefgh"));
    }
}
