//! Values that other implementations made: `testdata/vectors`.

use std::net::IpAddr;

use mptcp_proto::hmac::{add_addr_hmac, join_hmac};
use mptcp_proto::key::{AddressId, Key, Nonce};
use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::version::Version;
use mptcp_proto::wire::checksum::{PartialSum, dss_checksum, dss_checksum_holds};
use mptcp_proto::wire::mptcp::MptcpOption;
use mptcp_proto::wire::writer::OptionArea;
use serde::Deserialize;

#[derive(Deserialize)]
struct Keys {
    key: Vec<KeyVector>,
}

#[derive(Deserialize)]
struct KeyVector {
    source: String,
    version: u8,
    key: String,
    token: String,
    idsn: String,
}

#[test]
fn tokens_and_idsns_follow_from_keys() {
    let Keys { key } = toml::from_str(include_str!("../../../testdata/vectors/keys.toml")).unwrap();
    assert!(key.len() > 30, "only {} vectors", key.len());
    for vector in key {
        let version = Version::from_number(vector.version).unwrap();
        let (token, idsn) = Key(octets(&vector.key)).token_and_idsn(version);
        assert_eq!(
            format!("{:08x}", token.0),
            vector.token,
            "{}",
            vector.source
        );
        assert_eq!(format!("{:016x}", idsn.0), vector.idsn, "{}", vector.source);
        assert_eq!(Key(octets(&vector.key)).token(version), token);
        assert_eq!(Key(octets(&vector.key)).idsn(version), idsn);
    }
}

#[derive(Deserialize)]
struct Hmacs {
    join: Vec<JoinVector>,
    raw: Vec<RawVector>,
    add_addr: Vec<AddAddrVector>,
}

#[derive(Deserialize)]
struct JoinVector {
    source: String,
    version: u8,
    initiator_key: String,
    listener_key: String,
    initiator_nonce: String,
    listener_nonce: String,
    syn_ack_hmac: String,
    ack_hmac: String,
}

#[derive(Deserialize)]
struct RawVector {
    source: String,
    version: u8,
    key: String,
    message: String,
    hmac: String,
}

#[derive(Deserialize)]
struct AddAddrVector {
    source: String,
    sender_key: String,
    receiver_key: String,
    id: u8,
    address: IpAddr,
    port: Option<u16>,
    hmac: String,
}

fn hmacs() -> Hmacs {
    toml::from_str(include_str!("../../../testdata/vectors/hmacs.toml")).unwrap()
}

#[test]
fn join_hmacs_follow_from_keys_and_nonces() {
    let vectors = hmacs().join;
    assert!(vectors.len() > 8, "only {} vectors", vectors.len());
    for vector in vectors {
        let version = Version::from_number(vector.version).unwrap();
        let initiator = Key(octets(&vector.initiator_key));
        let listener = Key(octets(&vector.listener_key));
        let initiator_nonce = nonce(&vector.initiator_nonce);
        let listener_nonce = nonce(&vector.listener_nonce);
        let from_listener = join_hmac(
            version,
            listener,
            initiator,
            listener_nonce,
            initiator_nonce,
        )
        .truncated();
        let from_initiator = join_hmac(
            version,
            initiator,
            listener,
            initiator_nonce,
            listener_nonce,
        );
        assert_eq!(
            from_listener.as_bytes(),
            &octets(&vector.syn_ack_hmac),
            "{}",
            vector.source
        );
        assert_eq!(
            from_initiator.as_bytes(),
            &octets(&vector.ack_hmac),
            "{}",
            vector.source
        );
    }
}

#[test]
fn join_hmacs_are_hmacs_of_the_hash_of_the_version() {
    for vector in hmacs().raw {
        let version = Version::from_number(vector.version).unwrap();
        let key: [u8; 16] = octets(&vector.key);
        let message: [u8; 8] = octets(&vector.message);
        let (keys, nonces) = (key.as_chunks::<8>().0, message.as_chunks::<4>().0);
        let hmac = join_hmac(
            version,
            Key(keys[0]),
            Key(keys[1]),
            Nonce(u32::from_be_bytes(nonces[0])),
            Nonce(u32::from_be_bytes(nonces[1])),
        );
        assert_eq!(hmac.as_bytes(), &octets(&vector.hmac), "{}", vector.source);
    }
}

#[test]
fn add_addr_hmacs_follow_from_keys_and_address() {
    for vector in hmacs().add_addr {
        let sender = Key(octets(&vector.sender_key));
        let receiver = Key(octets(&vector.receiver_key));
        let id = AddressId(vector.id);
        let hmac = add_addr_hmac(sender, receiver, id, vector.address, vector.port);
        assert_eq!(hmac.as_bytes(), &octets(&vector.hmac), "{}", vector.source);
    }
}

#[derive(Deserialize)]
struct Checksums {
    dss: Vec<DssVector>,
}

#[derive(Deserialize)]
struct DssVector {
    source: String,
    dsn: String,
    ssn: u32,
    len: u16,
    payload: String,
    checksum: String,
}

#[test]
fn dss_checksums_cover_pseudo_header_and_payload() {
    let Checksums { dss } =
        toml::from_str(include_str!("../../../testdata/vectors/checksums.toml")).unwrap();
    for vector in dss {
        let dsn = Dsn(u64::from_be_bytes(octets(&vector.dsn)));
        let checksum = u16::from_be_bytes(octets(&vector.checksum));
        let payload = PartialSum::of(&bytes(&vector.payload));
        let (ssn, len) = (Ssn(vector.ssn), vector.len);
        assert_eq!(
            dss_checksum(dsn, ssn, len, payload),
            checksum,
            "{}",
            vector.source
        );
        assert!(
            dss_checksum_holds(dsn, ssn, len, payload, checksum),
            "{}",
            vector.source
        );
        assert!(!dss_checksum_holds(dsn.add(1), ssn, len, payload, checksum));
    }
}

#[derive(Deserialize)]
struct Options {
    option: Vec<OptionVector>,
}

#[derive(Deserialize)]
struct OptionVector {
    source: String,
    version: u8,
    bytes: String,
    text: String,
}

fn options() -> Vec<OptionVector> {
    let text = include_str!("../../../testdata/vectors/options.toml");
    toml::from_str::<Options>(text).unwrap().option
}

#[test]
fn options_read_as_others_read_them_and_come_out_unchanged() {
    for OptionVector {
        source,
        version,
        bytes: hex,
        text,
    } in options()
    {
        let version = Version::from_number(version).unwrap();
        let option = MptcpOption::parse(version, &bytes(&hex));
        let option = option.unwrap_or_else(|error| panic!("{source} {hex}: {error}"));
        assert_eq!(option.to_string(), text, "{source} {hex}");
        let mut area = OptionArea::new();
        assert_eq!(
            option.emit(&mut area).unwrap(),
            bytes(&hex),
            "{source} {hex}"
        );
    }
}

#[test]
fn the_form_of_an_option_tells_its_version() {
    for OptionVector {
        source,
        version,
        bytes: hex,
        ..
    } in options()
    {
        // Subtype 8 is the one thing that only the version of the connection can tell.
        if version == 0 && hex.starts_with("1e0481") {
            continue;
        }
        let version = Version::from_number(version).unwrap();
        let known = MptcpOption::parse(version, &bytes(&hex));
        assert_eq!(
            MptcpOption::parse_unversioned(&bytes(&hex)),
            known,
            "{source} {hex}"
        );
    }
}

#[test]
fn no_secret_shows_in_a_listing() {
    for OptionVector {
        source,
        version,
        bytes: hex,
        ..
    } in options()
    {
        let version = Version::from_number(version).unwrap();
        let bytes = bytes(&hex);
        let option = MptcpOption::parse(version, &bytes).unwrap();
        let secrets: &[usize] = match option {
            MptcpOption::Capable(_) => &[4, 12],
            MptcpOption::FastClose(_) => &[4],
            MptcpOption::Join(_) if bytes.len() == 24 => &[4, 12],
            MptcpOption::Join(_) if bytes.len() == 16 => &[4],
            _ => continue,
        };
        for secret in secrets
            .iter()
            .filter_map(|&start| bytes.get(start..start + 8))
        {
            let number = u64::from_be_bytes(secret.try_into().unwrap());
            for shown in [option.to_string(), format!("{option:?}")] {
                let shown = shown.to_lowercase();
                assert!(!shown.contains(&format!("{number:x}")), "{source}: {shown}");
                assert!(!shown.contains(&number.to_string()), "{source}: {shown}");
                let list = secret
                    .iter()
                    .map(u8::to_string)
                    .collect::<Vec<_>>()
                    .join(", ");
                assert!(!shown.contains(&list), "{source}: {shown}");
            }
        }
    }
}

fn nonce(hex: &str) -> Nonce {
    Nonce(u32::from_be_bytes(octets(hex)))
}

fn octets<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().as_chunks::<2>().0;
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.iter().map(byte).collect()
}
