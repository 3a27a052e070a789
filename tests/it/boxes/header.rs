//! Fields of the IP and TCP headers change.

use std::time::Duration;

use super::change::{Change, What, When};
use super::ground::{Data, Plan};
use super::{Case, UNHARMED, check, check_with};
use crate::seen::Seen;

const fn case(spec: &'static str, when: When, edit: fn(&mut Seen)) -> Case {
    Case {
        spec,
        change: Change::new(when, What::Edit(edit)),
        ..UNHARMED
    }
}

/// Where only one version of IP has the field, a field of the other one changes too, so that there
/// is a change in each.
const HARMLESS: &[Case] = &[
    case(
        "header:field=ip_id,set=0x1234+header:field=flow_label,set=0x12345",
        When::All,
        |packet| {
            packet.ip_id = packet.ip_id.map(|_| 0x1234);
            packet.flow_label = packet.flow_label.map(|_| 0x12345);
        },
    ),
    case(
        "header:field=df+header:field=flow_label,xor=0xfffff",
        When::All,
        |packet| {
            packet.dont_fragment = packet.dont_fragment.map(|set| !set);
            packet.flow_label = packet.flow_label.map(|label| label ^ 0xfffff);
        },
    ),
    case("header:field=traffic_class,set=0x28", When::All, |packet| {
        packet.traffic_class = 0x28;
    }),
    // The router has taken its one before.
    case(
        "header:field=ttl,set=9,toward=server",
        When::ToServer,
        |packet| {
            packet.ttl = 10;
        },
    ),
    case(
        "header:field=window,set=400,on=non_syn",
        When::All,
        |packet| {
            if !packet.syn {
                packet.window = 400;
            }
        },
    ),
    case("header:field=reserved,xor=0xe", When::All, |packet| {
        packet.reserved ^= 0xe;
    }),
    // Without the URG bit it says nothing.
    case("header:field=urgent,set=7", When::All, |packet| {
        packet.urgent = 7;
    }),
];

#[test]
fn other_values_of_header_fields_do_not_matter() {
    check(HARMLESS);
}

/// Data far from where the server expects them.
const LOST: &[Case] = &[Case {
    data: Data::Stalled,
    ..case(
        "header:field=sequence,xor=0x40000000,on=data,toward=server",
        When::Data,
        |packet| {
            if packet.to_server() {
                packet.sequence ^= 0x4000_0000;
            }
        },
    )
}];

#[test]
fn data_with_a_wrong_sequence_number_stall() {
    let impatient = Plan {
        patience: Duration::from_secs(1),
        ..Plan::USUAL
    };
    check_with(LOST, &impatient, "");
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[HARMLESS, LOST];
