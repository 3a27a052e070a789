//! The policies that need no commands.

use super::*;
use crate::wire::mptcp::{ResetFlags, ResetReason, TcpReset};

fn script(kind: Kind) -> Script {
    Script::new(kind, limits(8, 8))
}

#[test]
fn fullmesh_opens_from_each_local_to_each_remote_address() {
    let mut script = script(Kind::Fullmesh).with_locals(&[1, 2]).established();
    assert_eq!(script.mesh(), "1>1 2>1");
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 2>1 1>2 2>2");
    script.event(PmEvent::LocalUp(client(3)));
    assert_eq!(script.mesh(), "1>1 2>1 1>2 2>2 3>1 3>2");
    script.event(PmEvent::LocalDown(client(2)));
    assert_eq!(script.mesh(), "1>1 1>2 3>1 3>2");
    script.event(PmEvent::LocalUp(client(2)));
    assert_eq!(script.mesh(), "1>1 1>2 3>1 3>2 2>1 2>2");
}

#[test]
fn fullmesh_keeps_within_the_limits() {
    let mut script = Script::new(Kind::Fullmesh, limits(2, 1))
        .with_locals(&[1, 2])
        .established();
    script.announce(remote(1, 2));
    script.announce(remote(2, 3));
    assert_eq!(script.mesh(), "1>1 2>1 1>2");
}

#[test]
fn a_fullmesh_server_advertises_instead() {
    let mut script = script(Kind::Fullmesh)
        .on_server()
        .with_locals(&[1, 2])
        .established();
    script.announce(RemoteAddress {
        id: AddressId(1),
        address: SocketAddr::new(client(2), 40_000),
    });
    assert_eq!(script.mesh(), "1>1");
    let announced = script.announced();
    assert_eq!(announced.len(), 1);
    assert_eq!(
        (announced[0].id, announced[0].address),
        (AddressId(1), server(2))
    );
}

#[test]
fn a_fullmesh_subflow_closed_by_the_peer_stays_closed() {
    let mut script = script(Kind::Fullmesh).with_locals(&[1, 2]).established();
    script.down(1, DownReason::PeerClosed);
    assert_eq!(script.manager.poll_timeout(), None);
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 1>2 2>2");
}

#[test]
fn ndiffports_opens_between_the_initial_addresses() {
    let mut script = script(Kind::Ndiffports(4))
        .with_locals(&[1, 2])
        .established();
    assert_eq!(script.mesh(), "1>1 1>1 1>1 1>1");
    // One that times out is opened again, and no other beside it.
    script.down(2, DownReason::TimedOut);
    assert_eq!(script.mesh(), "1>1 1>1 1>1");
    script.wait();
    assert_eq!(script.mesh(), "1>1 1>1 1>1 1>1");
}

#[test]
fn ndiffports_of_one_or_on_a_server_opens_nothing() {
    assert_eq!(script(Kind::Ndiffports(1)).established().log, []);
    assert_eq!(
        script(Kind::Ndiffports(4)).on_server().established().log,
        []
    );
    assert_eq!(script(Kind::Ndiffports(4)).denied().established().log, []);
}

#[test]
fn signal_advertises_and_withdraws() {
    let mut script = script(Kind::Signal)
        .on_server()
        .with_locals(&[1, 2, 3])
        .established();
    let ids: Vec<u8> = script
        .announced()
        .iter()
        .map(|address| address.id.0)
        .collect();
    assert_eq!(ids, [1, 2]);
    script.event(PmEvent::LocalDown(server(2)));
    assert_eq!(script.withdrawn(), [1]);
    script.event(PmEvent::LocalUp(server(4)));
    assert_eq!(script.announced().len(), 3);
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn an_id_stands_for_one_address_as_long_as_there_are_others() {
    let mut script = script(Kind::Signal)
        .on_server()
        .with_locals(&[1, 2, 3])
        .established();
    let announced = |script: &Script| {
        let all = script.announced();
        let last = all.last().unwrap();
        (all.len(), last.id.0, last.address)
    };
    script.event(PmEvent::LocalDown(server(2)));
    script.event(PmEvent::LocalUp(server(4)));
    assert_eq!(announced(&script), (3, 3, server(4)));
    script.event(PmEvent::LocalUp(server(2)));
    assert_eq!(announced(&script), (4, 1, server(2)));
    // More than there are ids: those of the addresses that have been gone for longest come again.
    for round in 0..1000_u16 {
        let [high, low] = round.to_be_bytes();
        let address = IpAddr::from([10, 1, high, low]);
        script.event(PmEvent::LocalUp(address));
        assert_eq!(announced(&script).2, address);
        script.event(PmEvent::LocalDown(address));
    }
}

#[test]
fn no_more_addresses_than_the_limit_are_advertised() {
    let nets: Vec<u8> = (1..60).collect();
    let script = script(Kind::Signal)
        .on_server()
        .with_locals(&nets)
        .established();
    // The initial one is the eighth.
    assert_eq!(script.announced().len(), MAX_ADDRESSES - 1);
}

#[test]
fn backup_opens_one_backup_from_each_other_address() {
    let mut script = script(Kind::Backup).with_locals(&[1, 2, 3]).established();
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 2>1b 3>1b");
    let mut denied = self::script(Kind::Backup)
        .denied()
        .with_locals(&[1, 2])
        .established();
    assert_eq!(denied.mesh(), "1>1");
    denied.announce(remote(1, 2));
    assert_eq!(denied.mesh(), "1>1 2>2b");
}

#[test]
fn backup_opens_the_first_subflow_again_as_a_regular_one() {
    let mut script = script(Kind::Backup).with_locals(&[1, 2]).established();
    script.down(0, DownReason::TimedOut);
    assert_eq!(script.mesh(), "2>1b");
    script.wait();
    assert_eq!(script.mesh(), "2>1b 1>1");
    script.event(PmEvent::LocalDown(client(1)));
    assert_eq!(script.mesh(), "2>1b");
    script.event(PmEvent::LocalUp(client(1)));
    assert_eq!(script.mesh(), "2>1b 1>1");
    // Who closed it did not want it.
    let id = script.subflows[1].id.0;
    script.down(id, DownReason::PeerClosed);
    assert_eq!(script.mesh(), "2>1b");
    assert_eq!(script.manager.poll_timeout(), None);
}

#[test]
fn break_before_make_opens_a_subflow_when_the_last_is_gone() {
    let mut script = script(Kind::BreakBeforeMake)
        .with_locals(&[1, 2])
        .established();
    assert_eq!(script.mesh(), "1>1");
    script.event(PmEvent::LocalDown(client(1)));
    assert_eq!(script.mesh(), "2>1");
    assert_eq!(script.withdrawn(), [0]);
    script.event(PmEvent::LocalUp(client(1)));
    assert_eq!(script.mesh(), "2>1");
    let id = script.subflows[0].id.0;
    script.down(id, DownReason::TimedOut);
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn break_before_make_goes_on_trying() {
    let mut script = script(Kind::BreakBeforeMake)
        .with_locals(&[1])
        .established();
    script.obstacle = Some((server(1), DownReason::TimedOut));
    script.down(0, DownReason::TimedOut);
    assert_eq!(script.mesh(), "");
    script.wait();
    assert_eq!(script.mesh(), "");
    script.obstacle = None;
    script.wait();
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn when_the_last_subflow_broke_a_new_one_is_tried_though_its_reset_was_final() {
    let mut script = script(Kind::Fullmesh).with_locals(&[1, 2]).established();
    let reset = DownReason::Reset(Some(TcpReset {
        flags: ResetFlags::default(),
        reason: ResetReason::MIDDLEBOX_INTERFERENCE,
    }));
    script.down(0, reset);
    // There is another one: RFC 8684 §3.6 holds.
    assert_eq!(script.manager.poll_timeout(), None);
    script.down(1, DownReason::Broken);
    assert_eq!(script.mesh(), "");
    script.wait();
    assert_eq!(script.mesh(), "1>1 2>1");
}

#[test]
fn they_take_no_commands() {
    for kind in [
        Kind::Fullmesh,
        Kind::Signal,
        Kind::Backup,
        Kind::BreakBeforeMake,
    ] {
        let mut script = script(kind).established();
        let result = script.command(Command::FlushEndpoints);
        assert_eq!(result, Err(CommandError::NotSupported(kind)));
    }
}
