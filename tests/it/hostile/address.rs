//! Announced addresses: HMACs, echoes, withdrawals, priorities.

use mptcp_analyze::model::{CheckResult, Severity, Side};
use mptcp_proto::hmac::AddAddrHmac;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::MptcpOption;
use mptcp_tests::craft::{Flow, Host, JoinPlan, prio, remove_addr};

use super::{check_findings, connected, findings, lte, read_one};

#[test]
fn an_announcement_with_echo_use_and_withdrawal_is_one_row() {
    for address in ["10.0.9.2", "2001:db8::9"] {
        let (mut capture, mut connection) = connected(Version::V1);
        let option = connection.add_addr(Host::Server, 4, address, None);
        connection.say(&mut capture, 0, Host::Server, &[option]);
        let advertised = capture.last_frame();
        let echo = connection.add_addr_echo(4, address, None);
        connection.say(&mut capture, 0, Host::Client, &[echo]);
        let echoed = capture.last_frame();
        connection.say(&mut capture, 0, Host::Server, &[remove_addr(&[4])]);
        let removed = capture.last_frame();
        let read = read_one(&capture);
        assert_eq!(read.addresses.len(), 1);
        let row = &read.addresses[0];
        assert_eq!((row.owner, row.id.0), (Side::Server, 4));
        assert_eq!(row.address.to_string(), address);
        assert_eq!(row.hmac, CheckResult::Ok);
        assert_eq!(row.advertised_frame, advertised);
        assert_eq!(row.echo_frame, Some(echoed));
        assert_eq!(row.removed_frame, Some(removed));
        check_findings(&read, &[]);
    }
}

#[test]
fn the_port_is_part_of_the_hmac() {
    let (mut capture, mut connection) = connected(Version::V1);
    let option = connection.add_addr(Host::Client, 3, "10.0.2.1", Some(8080));
    connection.say(&mut capture, 0, Host::Client, &[option]);
    let read = read_one(&capture);
    let row = &read.addresses[0];
    assert_eq!((row.owner, row.port), (Side::Client, Some(8080)));
    assert_eq!(row.hmac, CheckResult::Ok);
}

#[test]
fn a_wrong_hmac_and_a_lost_echo_are_reported() {
    let (mut capture, mut connection) = connected(Version::V1);
    let MptcpOption::AddAddr(mut forged) = connection.add_addr(Host::Server, 4, "10.0.9.2", None)
    else {
        unreachable!("ADD_ADDR was asked for");
    };
    forged.hmac = Some(AddAddrHmac::from_bytes([7; 8]));
    connection.say(
        &mut capture,
        0,
        Host::Server,
        &[MptcpOption::AddAddr(forged)],
    );
    let frame = capture.last_frame();
    let read = read_one(&capture);
    let row = &read.addresses[0];
    assert_eq!(row.hmac, CheckResult::Bad);
    assert_eq!(row.echo_frame, None);
    check_findings(&read, &["MPT050"]);
    let finding = read.findings.iter().find(|f| f.id == "MPT050").unwrap();
    assert_eq!(finding.frames, [frame]);
    assert!(findings(&read, Severity::Note).contains(&"MPT051"));
}

#[test]
fn an_announcement_of_version_0_has_neither_hmac_nor_echo() {
    let (mut capture, mut connection) = connected(Version::V0);
    let option = connection.add_addr(Host::Server, 4, "10.0.9.2", None);
    connection.say(&mut capture, 0, Host::Server, &[option]);
    let read = read_one(&capture);
    assert!(matches!(
        read.addresses[0].hmac,
        CheckResult::Unverifiable(_)
    ));
    assert_eq!(findings(&read, Severity::Note), Vec::<&str>::new());
}

#[test]
fn an_id_with_two_addresses_is_reported() {
    let (mut capture, mut connection) = connected(Version::V1);
    for address in ["10.0.9.2", "10.0.9.3"] {
        let option = connection.add_addr(Host::Server, 4, address, None);
        connection.say(&mut capture, 0, Host::Server, &[option]);
    }
    let read = read_one(&capture);
    check_findings(&read, &["MPT052"]);
}

#[test]
fn a_backup_and_its_change_of_priority_are_kept() {
    let (mut capture, mut connection) = connected(Version::V1);
    let plan = JoinPlan {
        backup: true,
        ..JoinPlan::by(Host::Client)
    };
    let second = connection.join_as(&mut capture, lte(), &plan);
    connection.say(&mut capture, second, Host::Server, &[prio(false)]);
    let frame = capture.last_frame();
    let read = read_one(&capture);
    let subflow = &read.subflows[1];
    assert!(subflow.backup);
    assert_eq!(subflow.priority_changes.len(), 1);
    let change = subflow.priority_changes[0];
    assert_eq!(
        (change.frame, change.sender, change.backup),
        (frame, Side::Server, false)
    );
}

#[test]
fn an_address_knows_the_subflows_that_use_it() {
    let (mut capture, mut connection) = connected(Version::V1);
    let option = connection.add_addr(Host::Server, 4, "10.0.9.2", None);
    connection.say(&mut capture, 0, Host::Server, &[option]);
    let echo = connection.add_addr_echo(4, "10.0.9.2", None);
    connection.say(&mut capture, 0, Host::Client, &[echo]);
    let flow = Flow::new("10.0.1.1:45000", "10.0.9.2:80");
    connection.join(&mut capture, flow, Host::Client);
    let read = read_one(&capture);
    assert_eq!(read.addresses[0].used_by, [1]);
}
