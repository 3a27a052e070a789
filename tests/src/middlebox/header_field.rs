//! A field of the IP or TCP header changes on its way.

use std::time::Duration;

use super::segment::Segment;
use super::select::{Selection, Selector};
use super::spec::{Fields, words};
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

words! {
    /// What changes.
    pub enum Field {
        /// Identification of IPv4.
        IpId = "ip_id",
        /// Don't fragment of IPv4.
        DontFragment = "df",
        /// Flow label of IPv6.
        FlowLabel = "flow_label",
        /// Type of service of IPv4 or traffic class of IPv6, with the ECN bits.
        TrafficClass = "traffic_class",
        /// Time to live or hop limit.
        TimeToLive = "ttl",
        /// Window, not scaled.
        Window = "window",
        /// The four bits between data offset and CWR, `8` is the first one.
        Reserved = "reserved",
        /// The bits CWR and ECE.
        EcnFlags = "ecn_flags",
        /// Urgent pointer.
        Urgent = "urgent",
        /// Sequence number. No acknowledgment follows, so that the connection breaks.
        Sequence = "sequence",
    }
}

/// Which field changes, to what, and in which segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The field.
    pub field: Field,
    /// The new value; of one that the field has no room for only the last bits.
    pub set: Option<u32>,
    /// Bits that flip, when no value is set.
    pub xor: u32,
    /// The segments.
    pub select: Selector,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            field: Field::IpId,
            set: None,
            xor: 1,
            select: Selector::default(),
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("field", &mut self.field, &default.field);
        fields.field("set", &mut self.set, &default.set);
        fields.field("xor", &mut self.xor, &default.xor);
        self.select.fields(fields, &default.select);
    }

    /// The box.
    pub fn build(&self) -> HeaderField {
        HeaderField {
            plan: self.clone(),
            selection: Selection::new(self.select.clone()),
        }
    }

    fn change(&self, bytes: [u8; 4], mask: u32) -> [u8; 4] {
        let word = u32::from_be_bytes(bytes);
        let place = |value: u32| value << mask.trailing_zeros() & mask;
        let word = match self.set {
            Some(value) => word & !mask | place(value),
            None => word ^ place(self.xor),
        };
        word.to_be_bytes()
    }
}

/// The box.
#[derive(Debug)]
pub struct HeaderField {
    plan: Plan,
    selection: Selection,
}

impl TcpBox for HeaderField {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let spot = spot(self.plan.field, segment.source().is_ipv4());
        if self.selection.picks(direction, &segment, spot.is_some())
            && let Some(spot) = spot
        {
            let header = match spot.header {
                Header::Ip => segment.ip_header_mut(),
                Header::Tcp => segment.tcp_header_mut(),
            };
            if let Some(bytes) = header
                .get_mut(spot.at..)
                .and_then(|rest| rest.first_chunk_mut())
            {
                *bytes = self.plan.change(*bytes, spot.mask);
            }
        }
        forward(now, direction, segment, out);
    }
}

/// Where a field lies: in which word of which header, and its bits there.
struct Spot {
    header: Header,
    at: usize,
    mask: u32,
}

enum Header {
    Ip,
    Tcp,
}

/// None if this version of IP has no such field.
fn spot(field: Field, is_v4: bool) -> Option<Spot> {
    let (header, at, mask) = match (field, is_v4) {
        (Field::IpId, true) => (Header::Ip, 4, 0xffff_0000),
        (Field::DontFragment, true) => (Header::Ip, 4, 0x4000),
        (Field::FlowLabel, false) => (Header::Ip, 0, 0x000f_ffff),
        (Field::IpId | Field::DontFragment, false) | (Field::FlowLabel, true) => return None,
        (Field::TrafficClass, true) => (Header::Ip, 0, 0x00ff_0000),
        (Field::TrafficClass, false) => (Header::Ip, 0, 0x0ff0_0000),
        (Field::TimeToLive, true) => (Header::Ip, 8, 0xff00_0000),
        (Field::TimeToLive, false) => (Header::Ip, 4, 0xff),
        (Field::Sequence, _) => (Header::Tcp, 4, 0xffff_ffff),
        (Field::Reserved, _) => (Header::Tcp, 12, 0x0f00_0000),
        (Field::EcnFlags, _) => (Header::Tcp, 12, 0x00c0_0000),
        (Field::Window, _) => (Header::Tcp, 12, 0xffff),
        (Field::Urgent, _) => (Header::Tcp, 16, 0xffff),
    };
    Some(Spot { header, at, mask })
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass};
    use super::super::spec::Spec;
    use super::*;

    const V4: bool = false;
    const V6: bool = true;

    fn tcp(is_v6: bool) -> Tcp {
        let tcp = Tcp::to_server().area(&[30, 4, 1, 0x81]).payload(b"data");
        if is_v6 { tcp.v6() } else { tcp }
    }

    /// The bytes from `at` on become `expected`; beyond them only checksums change.
    #[track_caller]
    fn check(text: &str, is_v6: bool, at: usize, expected: &[u8]) {
        let mut middlebox = format!("header:field={text}")
            .parse::<Spec>()
            .unwrap()
            .build();
        let before = tcp(is_v6).packet();
        let [departure] = pass(middlebox.as_mut(), &tcp(is_v6)).try_into().unwrap();
        let after = departure.packet;
        assert_eq!(&after[at..at + expected.len()], expected);
        assert_ne!(after, before);
        let mut allowed: Vec<usize> = (at..at + expected.len()).collect();
        if is_v6 {
            allowed.extend(56..58);
        } else {
            allowed.extend([10, 11, 36, 37]);
        }
        for index in (0..before.len()).filter(|index| !allowed.contains(index)) {
            assert_eq!(after[index], before[index], "byte {index}");
        }
    }

    #[test]
    fn fields_of_ip_are_set() {
        check("ip_id,set=0x1234", V4, 4, &[0x12, 0x34]);
        check("df,xor=1", V4, 6, &[0]);
        check("traffic_class,set=0xb9", V4, 0, &[0x45, 0xb9]);
        check("ttl,set=7", V4, 8, &[7, 6]);
        check("flow_label,set=0xabcde", V6, 0, &[0x60, 0x2a, 0xbc, 0xde]);
        check("traffic_class,set=0xb9", V6, 0, &[0x6b, 0x91, 0x23, 0x45]);
        check("ttl,set=7", V6, 6, &[6, 7]);
    }

    #[test]
    fn fields_of_tcp_are_set() {
        for (is_v6, at) in [(V4, 20), (V6, 40)] {
            check(
                "sequence,set=0x12345678",
                is_v6,
                at + 4,
                &[0x12, 0x34, 0x56, 0x78],
            );
            check("reserved,set=0xb", is_v6, at + 12, &[0x6b, 0x10]);
            check("ecn_flags,set=3", is_v6, at + 13, &[0xd0]);
            check("window,set=0x1234", is_v6, at + 14, &[0x12, 0x34]);
            check("urgent,set=0x1234", is_v6, at + 18, &[0x12, 0x34]);
        }
    }

    #[test]
    fn bits_flip_and_those_without_room_are_left_out() {
        check("ttl,xor=0x301", V4, 8, &[61]);
        check(
            "flow_label,xor=0xfff00001",
            V6,
            0,
            &[0x60, 0x21, 0x23, 0x44],
        );
        check("window,xor=0x10001", V4, 34, &[1, 0xf5]);
        check("sequence,xor=0x80000000", V6, 44, &[0x80, 0, 3, 0xe8]);
        check("df,set=2", V4, 6, &[0]);
    }

    #[test]
    fn the_other_version_of_ip_has_no_such_field() {
        for (field, is_v6) in [("ip_id", V6), ("df", V6), ("flow_label", V4)] {
            let text = format!("header:field={field}");
            let mut middlebox = text.parse::<Spec>().unwrap().build();
            check_untouched(middlebox.as_mut(), &tcp(is_v6));
        }
    }

    #[test]
    fn only_the_selected_segments_change() {
        let text = "header:field=window,set=0,on=synack";
        let mut middlebox = text.parse::<Spec>().unwrap().build();
        for other in [Tcp::syn(), Tcp::to_client(), tcp(V4), tcp(V6)] {
            check_untouched(middlebox.as_mut(), &other);
        }
        let out = pass(middlebox.as_mut(), &Tcp::syn_ack());
        assert_eq!(Segment::parse(&out[0].packet).unwrap().window(), 0);
    }

    #[test]
    fn no_field_of_what_is_no_segment_changes() {
        let whole = tcp(V4).packet();
        let mut fragment = whole.clone();
        fragment[6] |= 0x20;
        let mut udp = whole.clone();
        udp[9] = 17;
        let short = whole[..39].to_vec();
        for packet in [fragment, udp, short] {
            let mut out = Vec::new();
            let mut middlebox = "header:field=ttl,set=1".parse::<Spec>().unwrap().build();
            middlebox.handle_packet(
                Duration::ZERO,
                Direction::ToServer,
                packet.clone(),
                &mut out,
            );
            assert_eq!(out[0].packet, packet);
        }
    }
}
