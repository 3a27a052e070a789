use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::hmac::AddAddrHmac;
use crate::key::{AddressId, Nonce, Token};
use crate::seq::Ssn;
use crate::wire::mptcp::{CapableFlags, Priority, ResetFlags, ResetReason};
use crate::wire::tcp_option::{KIND_MPTCP, TcpOptions};

/// NOP, NOP, timestamps: what TCP itself has in an established connection.
const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

fn mapping(checksum: Option<u16>) -> DssMapping {
    DssMapping {
        dsn: WireDsn::Long(1 << 40),
        ssn: Ssn(1),
        len: 1400,
        checksum,
    }
}

fn dss(mapping: Option<DssMapping>) -> WantedDss {
    WantedDss {
        data_ack: Some(Dsn(1 << 50)),
        mapping,
        ..WantedDss::default()
    }
}

fn add_addr(address: &str, port: Option<u16>) -> AddAddr {
    AddAddr {
        version: Version::V1,
        echo: false,
        address_id: AddressId(3),
        address: address.parse().unwrap(),
        port,
        hmac: Some(AddAddrHmac::from_bytes([9; 8])),
        reserved: 0,
    }
}

fn area(bytes: &[u8]) -> OptionArea {
    let mut area = OptionArea::new();
    area.push(bytes).unwrap();
    area
}

/// The MPTCP options in an area, parsed by the codec.
fn parsed(version: Version, area: &OptionArea) -> Vec<MptcpOption> {
    TcpOptions::new(area.as_bytes())
        .map(|option| option.expect("well-formed options"))
        .filter(|option| option.kind == KIND_MPTCP)
        .map(|option| {
            MptcpOption::parse(version, option.bytes).expect("a well-formed MPTCP option")
        })
        .collect()
}

#[test]
fn the_widest_dss_and_timestamps_fill_the_area_exactly() {
    let mut area = area(&TIMESTAMPS);
    let wanted = Wanted {
        dss: Some(dss(Some(mapping(Some(7))))),
        ..Wanted::default()
    };
    let done = compose(Version::V1, &wanted, &mut area);
    assert!(done.has(Subtype::DSS) && done.has_data_ack);
    assert_eq!(area.room(), 0);
    assert_eq!(room_for(Version::V1, &wanted), 28);
}

#[test]
fn a_data_ack_yields_where_the_mapping_would_not_fit() {
    for (taken, expected) in [
        (12, Some(DataAck::Long(1 << 50))),
        (16, Some(DataAck::Short(0))),
        (20, None),
    ] {
        let mut area = area(&vec![1; taken]);
        let wanted = Wanted {
            dss: Some(dss(Some(mapping(None)))),
            ..Wanted::default()
        };
        compose(Version::V1, &wanted, &mut area);
        let [MptcpOption::Dss(sent)] = parsed(Version::V1, &area)[..] else {
            panic!("one DSS");
        };
        assert_eq!(
            (sent.data_ack, sent.mapping),
            (expected, Some(mapping(None)))
        );
    }
}

#[test]
fn the_width_of_the_data_ack_mirrors_the_peer() {
    assert!(ack_is_short(Some(WireDsn::Short(1))));
    assert!(!ack_is_short(Some(WireDsn::Long(1))));
    assert!(!ack_is_short(None));
    let mut area = OptionArea::new();
    let short_ack = true;
    let dss = Some(WantedDss {
        short_ack,
        ..dss(None)
    });
    compose(
        Version::V1,
        &Wanted {
            dss,
            ..Wanted::default()
        },
        &mut area,
    );
    assert_eq!(area.as_bytes().len(), 8);
}

#[test]
fn an_add_addr_takes_the_place_of_the_data_ack_on_a_pure_ack_only() {
    let wanted = |segment| Wanted {
        segment,
        dss: Some(dss(None)),
        add_addr: Some(add_addr("fd00::1", None)),
        ..Wanted::default()
    };
    let mut pure = area(&TIMESTAMPS);
    let done = compose(Version::V1, &wanted(SegmentKind::PureAck), &mut pure);
    assert!(done.has(Subtype::ADD_ADDR) && !done.has(Subtype::DSS));
    assert_eq!(done.add_addr_needs, None);
    let mut with_data = area(&TIMESTAMPS);
    let done = compose(Version::V1, &wanted(SegmentKind::Other), &mut with_data);
    assert!(!done.has(Subtype::ADD_ADDR) && done.has(Subtype::DSS));
    assert_eq!(done.add_addr_needs, Some(28));
}

#[test]
fn an_add_addr_that_timestamps_leave_no_room_for_says_what_it_needs() {
    let wanted = Wanted {
        segment: SegmentKind::PureAck,
        dss: Some(dss(None)),
        add_addr: Some(add_addr("fd00::1", Some(4000))),
        ..Wanted::default()
    };
    let mut full = area(&TIMESTAMPS);
    let done = compose(Version::V1, &wanted, &mut full);
    assert!(done.has(Subtype::DSS));
    assert_eq!(done.add_addr_needs, Some(32));
    let done = compose(Version::V1, &wanted, &mut OptionArea::new());
    assert!(done.has(Subtype::ADD_ADDR));
}

#[test]
fn an_ipv4_add_addr_and_the_data_ack_share_a_pure_ack() {
    let wanted = Wanted {
        segment: SegmentKind::PureAck,
        dss: Some(dss(None)),
        add_addr: Some(add_addr("10.0.0.1", None)),
        ..Wanted::default()
    };
    let done = compose(Version::V1, &wanted, &mut area(&TIMESTAMPS));
    assert!(done.has(Subtype::ADD_ADDR) && done.has(Subtype::DSS));
}

#[test]
fn a_reset_says_why_and_nothing_else() {
    let mut wanted = everything();
    wanted.segment = SegmentKind::Reset;
    let subtypes = |version, wanted: &Wanted| -> Vec<Subtype> {
        let mut area = area(&TIMESTAMPS);
        compose(version, wanted, &mut area);
        parsed(version, &area)
            .iter()
            .map(MptcpOption::subtype)
            .collect()
    };
    let fast_close = [Subtype::FAST_CLOSE, Subtype::TCP_RESET];
    assert_eq!(subtypes(Version::V1, &wanted), fast_close);
    assert_eq!(subtypes(Version::V0, &wanted), [Subtype::FAST_CLOSE]);
    wanted.fast_close = None;
    assert_eq!(
        subtypes(Version::V1, &wanted),
        [Subtype::FAIL, Subtype::TCP_RESET]
    );
}

#[test]
fn the_order_is_that_of_linux() {
    let wanted = Wanted {
        fast_close: None,
        add_addr: None,
        ..everything()
    };
    let subtypes = |wanted: &Wanted| -> Vec<Subtype> {
        let mut area = OptionArea::new();
        compose(Version::V1, wanted, &mut area);
        parsed(Version::V1, &area)
            .iter()
            .map(MptcpOption::subtype)
            .collect()
    };
    assert_eq!(
        subtypes(&wanted)[..2],
        [Subtype::CAPABLE, Subtype::REMOVE_ADDR]
    );
    let joining = Wanted {
        capable: None,
        ..wanted
    };
    assert_eq!(subtypes(&joining)[0], Subtype::JOIN);
    let running = Wanted {
        join: None,
        dss: Some(dss(None)),
        ..joining
    };
    let all = [
        Subtype::DSS,
        Subtype::FAIL,
        Subtype::REMOVE_ADDR,
        Subtype::PRIO,
    ];
    assert_eq!(subtypes(&running), all);
}

/// Every option wanted at once.
fn everything() -> Wanted {
    Wanted {
        segment: SegmentKind::Other,
        capable: Some(Capable {
            version: 1,
            flags: CapableFlags::HMAC_SHA,
            sender_key: Some(Key([1; 8])),
            receiver_key: Some(Key([2; 8])),
            data: None,
        }),
        join: Some(Join::Syn {
            priority: Priority::Backup,
            address_id: AddressId(1),
            token: Token(2),
            nonce: Nonce(3),
            reserved: 0,
        }),
        dss: Some(dss(Some(mapping(Some(1))))),
        fail: Some(Dsn(4)),
        fast_close: Some(Key([5; 8])),
        tcp_reset: Some(TcpReset {
            flags: ResetFlags::TRANSIENT,
            reason: ResetReason::MPTCP_SPECIFIC,
        }),
        add_addr: Some(add_addr("10.0.0.1", Some(1))),
        remove_addr: AddressIds::new(&[AddressId(1), AddressId(2)]),
        prio: Some(Prio {
            priority: Priority::Backup,
            address_id: None,
            reserved: 0,
        }),
    }
}

proptest! {
    #[test]
    fn whatever_is_wanted_the_area_holds_well_formed_options_once_each(
        taken in 0_usize..=10,
        chosen in prop::collection::vec(any::<bool>(), 9),
        kind in 0_u8..3,
        dss_form in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        ipv6: bool,
        port in prop::option::of(any::<u16>()),
        removed in 1_u8..37,
    ) {
        let all = everything();
        let (has_ack, short_ack, has_checksum, has_mapping) = dss_form;
        let checksum = has_checksum.then_some(5);
        let address: IpAddr = if ipv6 { "fd00::1" } else { "10.0.0.1" }.parse().unwrap();
        let ids: Vec<AddressId> = (0..removed).map(AddressId).collect();
        let wanted = Wanted {
            segment: [SegmentKind::Other, SegmentKind::PureAck, SegmentKind::Reset][usize::from(kind)],
            capable: all.capable.filter(|_| chosen[0]),
            join: all.join.filter(|_| chosen[1]),
            dss: chosen[2].then_some(WantedDss {
                data_ack: has_ack.then_some(Dsn(1 << 50)),
                short_ack,
                mapping: has_mapping.then(|| mapping(checksum)),
                data_fin: false,
            }),
            fail: all.fail.filter(|_| chosen[3]),
            fast_close: all.fast_close.filter(|_| chosen[4]),
            tcp_reset: all.tcp_reset.filter(|_| chosen[5]),
            add_addr: all.add_addr.filter(|_| chosen[6]).map(|a| AddAddr { address, port, ..a }),
            remove_addr: AddressIds::new(&ids).filter(|_| chosen[7]),
            prio: all.prio.filter(|_| chosen[8]),
        };
        let own = vec![1; taken * 4];
        let mut area = area(&own);
        let done = compose(Version::V1, &wanted, &mut area);
        prop_assert!(area.as_bytes().len() <= MAX_OPTION_AREA);
        prop_assert_eq!(area.as_bytes().len() % 4, 0);
        prop_assert!(area.as_bytes().starts_with(&own));
        let options = parsed(Version::V1, &area);
        for option in &options {
            let same = options.iter().filter(|other| other.subtype() == option.subtype());
            prop_assert_eq!(same.count(), 1);
            prop_assert!(done.has(option.subtype()));
        }
        let has_mapping = options.iter().any(|o| matches!(o, MptcpOption::Dss(d) if d.mapping.is_some()));
        let could = wanted.segment != SegmentKind::Reset && !chosen[0] && !chosen[1];
        if could && taken <= 5 && wanted.dss.is_some_and(|dss| dss.mapping.is_some()) {
            prop_assert!(has_mapping, "a mapping goes with its payload");
        }
        let alone = 40 - room_for(Version::V1, &Wanted { add_addr: None, ..wanted });
        prop_assert!(alone <= 40);
    }
}
