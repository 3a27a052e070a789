use mptcp_proto::version::Version;

use crate::craft::{Connection, Host, option_bytes};
use crate::middlebox::bench::{Tcp, check_untouched, pass_one};
use crate::middlebox::spec::Spec;

/// That the box changes exactly these bytes of the option.
#[track_caller]
fn check_changes(text: &str, option: &[u8], changed: &[usize]) {
    let mut rewrite = text.parse::<Spec>().unwrap().build();
    for tcp in [Tcp::to_server(), Tcp::to_client().v6()] {
        // An option before it, so that offsets count from the option and not from the area.
        let area = [&[3, 3, 7, 1], option].concat();
        let tcp = tcp.area(&area).payload(b"abc");
        let segment = pass_one(rewrite.as_mut(), &tcp);
        let before = tcp.segment();
        let differs: Vec<usize> = (0..segment.options().len())
            .filter(|at| segment.options()[*at] != before.options()[*at])
            .map(|at| at - 4)
            .collect();
        assert_eq!(differs, changed, "{text}");
    }
}

#[test]
fn keys_are_where_both_versions_have_them() {
    let old = Connection::new(Version::V0);
    let new = Connection::new(Version::V1);
    check_changes("rewrite", &option_bytes(&old.capable_syn()), &[11]);
    check_changes("rewrite", &option_bytes(&new.capable_syn()), &[]);
    for connection in [&old, &new] {
        let syn_ack = option_bytes(&connection.capable_syn_ack());
        check_changes("rewrite:xor=0xff00000000000000", &syn_ack, &[4]);
        let ack = option_bytes(&connection.capable_ack());
        check_changes("rewrite:field=peer_key", &ack, &[19]);
    }
}

#[test]
fn version_and_flags_change_alone() {
    let capable = option_bytes(&Connection::new(Version::V1).capable_syn());
    check_changes("rewrite:field=version,set=0", &capable, &[2]);
    check_changes("rewrite:field=version,xor=0x10", &capable, &[]);
    check_changes("rewrite:field=capable_flags,xor=0x80", &capable, &[3]);
}

#[test]
fn a_join_has_its_fields_where_its_length_says() {
    let connection = Connection::new(Version::V1);
    let syn = option_bytes(&connection.join_syn(Host::Client, 3, false));
    let syn_ack = option_bytes(&connection.join_syn_ack(Host::Client, 3, false));
    let ack = option_bytes(&connection.join_ack(Host::Client));
    check_changes("rewrite:field=token", &syn, &[7]);
    check_changes("rewrite:field=token", &syn_ack, &[]);
    check_changes("rewrite:field=nonce", &syn, &[11]);
    check_changes("rewrite:field=nonce", &syn_ack, &[15]);
    check_changes("rewrite:field=join_hmac", &syn_ack, &[11]);
    check_changes("rewrite:field=join_hmac", &ack, &[23]);
    check_changes("rewrite:field=join_id", &syn, &[3]);
    check_changes("rewrite:field=backup,set=1", &syn_ack, &[2]);
}

#[test]
fn fields_of_a_dss_move_with_the_widths_before_them() {
    let long = [
        30, 28, 0x20, 0x0f, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 3, 9, 9,
    ];
    let short = [30, 16, 0x20, 0x04, 0, 0, 0, 2, 0, 0, 0, 1, 0, 3, 9, 9];
    let ack = [30, 8, 0x20, 0x01, 0, 0, 0, 1];
    for (field, in_long, in_short) in [
        ("dsn", 19, 7),
        ("ssn", 23, 11),
        ("data_len", 25, 13),
        ("data_checksum", 27, 15),
    ] {
        let text = format!("rewrite:field={field}");
        check_changes(&text, &long, &[in_long]);
        check_changes(&text, &short, &[in_short]);
        check_changes(&text, &ack, &[]);
    }
    check_changes("rewrite:field=data_ack", &long, &[11]);
    check_changes("rewrite:field=data_ack", &ack, &[7]);
    check_changes("rewrite:field=data_ack", &short, &[]);
}

#[test]
fn an_option_too_short_for_the_field_stays_as_it_is() {
    check_changes("rewrite:field=data_checksum", &[30, 4, 0x20, 0x04], &[]);
    check_changes("rewrite:field=mss", &[2, 3, 9], &[]);
    check_changes("rewrite:field=dsn", &[30, 3, 0x20], &[]);
    check_changes("rewrite:field=key", &[30, 2], &[]);
}

#[test]
fn an_announced_address_and_its_hmac_change_in_either_family() {
    let connection = Connection::new(Version::V1);
    let bytes = |address| option_bytes(&connection.add_addr(Host::Server, 2, address, None));
    check_changes("rewrite:field=address", &bytes("10.0.2.1"), &[7]);
    check_changes("rewrite:field=address", &bytes("fd77::1"), &[19]);
    check_changes("rewrite:field=address_hmac", &bytes("10.0.2.1"), &[15]);
    check_changes("rewrite:field=address_id", &bytes("10.0.2.1"), &[3]);
    let old = Connection::new(Version::V0).add_addr(Host::Server, 2, "10.0.2.1", None);
    check_changes("rewrite:field=address_hmac", &option_bytes(&old), &[]);
}

#[test]
fn options_of_plain_tcp_change_too() {
    let stamps = [8, 10, 0, 0, 0, 9, 0, 0, 0, 8];
    check_changes("rewrite:field=mss,set=1200", &[2, 4, 5, 180], &[2, 3]);
    check_changes("rewrite:field=ts_value,set=1", &stamps, &[5]);
    check_changes("rewrite:field=ts_echo", &stamps, &[9]);
}

#[test]
fn other_phases_pass() {
    let mut rewrite = "rewrite:on=synack".parse::<Spec>().unwrap().build();
    let option = option_bytes(&Connection::new(Version::V1).capable_ack());
    check_untouched(rewrite.as_mut(), &Tcp::to_server().area(&option));
}
