//! Every option that a version can say.

use std::net::IpAddr;

use mptcp_proto::hmac::{AddAddrHmac, JoinHmac, TruncatedHmac};
use mptcp_proto::key::{AddressId, Key, Nonce, Token};
use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::dss::StrayWidths;
use mptcp_proto::wire::mptcp::{
    AddAddr, AddressIds, Capable, CapableData, CapableFlags, DataAck, Dss, DssMapping, Fail,
    FastClose, Join, MptcpOption, Opaque, Prio, Priority, RemoveAddr, ResetFlags, ResetReason,
    TcpReset, WireDsn,
};
use proptest::option::of;
use proptest::prelude::*;

/// Both versions.
pub(crate) fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(&Version::ALL[..])
}

/// Any option of this version.
pub(crate) fn option(version: Version) -> BoxedStrategy<MptcpOption> {
    prop_oneof![
        capable(version).prop_map(MptcpOption::Capable),
        join().prop_map(MptcpOption::Join),
        dss().prop_map(MptcpOption::Dss),
        add_addr(version).prop_map(MptcpOption::AddAddr),
        remove_addr().prop_map(MptcpOption::RemoveAddr),
        prio(version).prop_map(MptcpOption::Prio),
        (any::<u64>(), 0..1_u16 << 12).prop_map(|(dsn, reserved)| MptcpOption::Fail(Fail {
            dsn: Dsn(dsn),
            reserved
        })),
        (any::<[u8; 8]>(), 0..1_u16 << 12).prop_map(|(key, reserved)| {
            MptcpOption::FastClose(FastClose {
                receiver_key: Key(key),
                reserved,
            })
        }),
        reset(version),
        opaque(15).prop_map(MptcpOption::Experimental),
        (9_u8..15)
            .prop_flat_map(opaque)
            .prop_map(MptcpOption::Unknown),
    ]
    .boxed()
}

fn capable(version: Version) -> BoxedStrategy<Capable> {
    let data =
        (any::<u16>(), of(any::<u16>())).prop_map(|(len, checksum)| CapableData { len, checksum });
    (
        1..=15_u8,
        any::<u8>(),
        any::<[u8; 8]>(),
        any::<[u8; 8]>(),
        data,
        0..4,
    )
        .prop_map(move |(number, flags, sender, receiver, data, form)| {
            let is_v0 = version == Version::V0;
            let form = if is_v0 { 1 + form % 2 } else { form };
            Capable {
                version: if is_v0 { 0 } else { number },
                flags: CapableFlags(flags),
                sender_key: (form >= 1).then_some(Key(sender)),
                receiver_key: (form >= 2).then_some(Key(receiver)),
                data: (form >= 3).then_some(data),
            }
        })
        .boxed()
}

fn join() -> impl Strategy<Value = Join> {
    let nonce = || any::<u32>().prop_map(Nonce);
    prop_oneof![
        (priority(), address_id(), any::<u32>(), nonce(), 0..8_u8).prop_map(
            |(priority, address_id, token, nonce, reserved)| Join::Syn {
                priority,
                address_id,
                token: Token(token),
                nonce,
                reserved
            }
        ),
        (priority(), address_id(), any::<[u8; 8]>(), nonce(), 0..8_u8).prop_map(
            |(priority, address_id, hmac, nonce, reserved)| Join::SynAck {
                priority,
                address_id,
                hmac: TruncatedHmac::from_bytes(hmac),
                nonce,
                reserved
            }
        ),
        (any::<[u8; 20]>(), 0..1_u16 << 12).prop_map(|(hmac, reserved)| Join::Ack {
            hmac: JoinHmac::from_bytes(hmac),
            reserved
        }),
    ]
}

fn dss() -> impl Strategy<Value = Dss> {
    let data_ack = of(prop_oneof![
        any::<u32>().prop_map(DataAck::Short),
        any::<u64>().prop_map(DataAck::Long)
    ]);
    let dsn = prop_oneof![
        any::<u32>().prop_map(WireDsn::Short),
        any::<u64>().prop_map(WireDsn::Long)
    ];
    let len = prop_oneof![Just(0), any::<u16>()];
    let mapping =
        (dsn, any::<u32>(), len, of(any::<u16>())).prop_map(|(dsn, ssn, len, checksum)| {
            DssMapping {
                dsn,
                ssn: Ssn(ssn),
                len,
                checksum,
            }
        });
    (
        data_ack,
        of(mapping),
        any::<bool>(),
        0..1_u8 << 7,
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(data_ack, mapping, data_fin, reserved, (stray_ack, stray_dsn))| Dss {
                data_ack,
                mapping,
                data_fin,
                reserved,
                stray: StrayWidths {
                    data_ack: stray_ack && data_ack.is_none(),
                    dsn: stray_dsn && mapping.is_none(),
                },
            },
        )
}

fn add_addr(version: Version) -> BoxedStrategy<AddAddr> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ];
    (
        any::<bool>(),
        address_id(),
        address,
        of(any::<u16>()),
        any::<[u8; 8]>(),
        0..8_u8,
    )
        .prop_map(move |(echo, address_id, address, port, hmac, reserved)| {
            let is_v1 = version == Version::V1;
            AddAddr {
                version,
                echo: echo && is_v1,
                address_id,
                address,
                port,
                hmac: (is_v1 && !echo).then_some(AddAddrHmac::from_bytes(hmac)),
                reserved: if is_v1 { reserved } else { 0 },
            }
        })
        .boxed()
}

fn remove_addr() -> impl Strategy<Value = RemoveAddr> {
    (prop::collection::vec(address_id(), 1..=37), 0..16_u8).prop_map(|(ids, reserved)| RemoveAddr {
        ids: AddressIds::new(&ids).unwrap(),
        reserved,
    })
}

fn prio(version: Version) -> BoxedStrategy<Prio> {
    (priority(), of(address_id()), 0..8_u8)
        .prop_map(move |(priority, address_id, reserved)| {
            let address_id = address_id.filter(|_| version == Version::V0);
            Prio {
                priority,
                address_id,
                reserved,
            }
        })
        .boxed()
}

fn reset(version: Version) -> BoxedStrategy<MptcpOption> {
    match version {
        Version::V0 => opaque(8).prop_map(MptcpOption::Unknown).boxed(),
        Version::V1 => (0..16_u8, any::<u8>())
            .prop_map(|(flags, reason)| {
                let (flags, reason) = (ResetFlags(flags), ResetReason(reason));
                MptcpOption::TcpReset(TcpReset { flags, reason })
            })
            .boxed(),
    }
}

fn opaque(subtype: u8) -> impl Strategy<Value = Opaque> {
    (0..16_u8, prop::collection::vec(any::<u8>(), 0..=37)).prop_map(move |(nibble, data)| {
        let len = u8::try_from(data.len() + 3).unwrap();
        Opaque::new(&[&[30, len, (subtype << 4) | nibble], &data[..]].concat()).unwrap()
    })
}

fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(&[Priority::Regular, Priority::Backup][..])
}

fn address_id() -> impl Strategy<Value = AddressId> {
    any::<u8>().prop_map(AddressId)
}
