//! The user's manager: the `userspace` group of `mptcp_join.sh` and `userspace_pm.sh`.

use super::*;

fn user() -> Script {
    Script::new(Kind::User, limits(8, 8)).established()
}

fn address(id: u8, net: u8) -> LocalAddress {
    LocalAddress {
        id: AddressId(id),
        address: client(net),
        port: None,
    }
}

fn join(local_id: u8, net: u8) -> Join {
    Join {
        local: SocketAddr::new(client(net), 0),
        local_id: AddressId(local_id),
        remote: SocketAddr::new(server(1), 10_001),
        remote_id: AddressId(0),
        priority: Priority::Regular,
    }
}

#[test]
fn events_alone_do_nothing() {
    let mut script = user().with_locals(&[1, 2, 3]);
    script.announce(remote(1, 2));
    script.event(PmEvent::Timeout);
    assert_eq!(script.log, []);
}

#[test]
fn announce_and_withdraw() {
    let mut script = user();
    script.command(Command::Announce(address(3, 2))).unwrap();
    assert_eq!(script.announced(), [address(3, 2)]);
    script.command(Command::Withdraw(AddressId(3))).unwrap();
    assert_eq!(script.withdrawn(), [3]);
    let again = script.command(Command::Withdraw(AddressId(3)));
    assert_eq!(again, Err(CommandError::NotFound));
}

#[test]
fn announcements_do_not_contradict_each_other() {
    let mut script = user();
    let mut announce = |address| script.command(Command::Announce(address));
    assert_eq!(announce(address(0, 2)), Err(CommandError::ReservedId));
    assert_eq!(announce(address(3, 2)), Ok(()));
    assert_eq!(announce(address(3, 2)), Ok(()));
    assert_eq!(announce(address(3, 4)), Err(CommandError::InUse));
    assert_eq!(announce(address(4, 2)), Err(CommandError::InUse));
    let mut results = (5..20).map(|n| announce(address(n, n)));
    assert!(results.any(|result| result == Err(CommandError::LimitReached)));
}

#[test]
fn create_and_destroy_a_subflow() {
    let mut script = user();
    script.command(Command::Create(join(7, 3))).unwrap();
    assert_eq!(script.mesh(), "1>1 3>1");
    let PmSubflow { local, remote, .. } = script.subflows[1];
    script.command(Command::Destroy { local, remote }).unwrap();
    assert_eq!(script.mesh(), "1>1");
    let again = script.command(Command::Destroy { local, remote });
    assert_eq!(again, Err(CommandError::NotFound));
}

#[test]
fn withdrawing_an_address_closes_its_subflows() {
    let mut script = user();
    script.command(Command::Create(join(7, 3))).unwrap();
    script.command(Command::Withdraw(AddressId(7))).unwrap();
    assert_eq!(
        (script.mesh().as_str(), script.withdrawn()),
        ("1>1", vec![7])
    );
}

#[test]
fn withdraw_id_0() {
    let mut script = user();
    script.command(Command::Create(join(7, 3))).unwrap();
    script.command(Command::Withdraw(AddressId(0))).unwrap();
    assert_eq!(
        (script.mesh().as_str(), script.withdrawn()),
        ("3>1", vec![0])
    );
    // And a subflow from the initial address again.
    script.command(Command::Create(join(0, 1))).unwrap();
    assert_eq!(script.mesh(), "3>1 1>1");
}

#[test]
fn subflows_that_are_not_possible_are_refused() {
    let mut script = user();
    let create = |script: &mut Script, join| script.command(Command::Create(join));
    assert_eq!(
        create(&mut script, join(0, 3)),
        Err(CommandError::ReservedId)
    );
    let mixed = Join {
        remote: "[fd00::1]:80".parse().unwrap(),
        ..join(1, 3)
    };
    assert_eq!(create(&mut script, mixed), Err(CommandError::NotJoinable));
    let taken = Join {
        local: SocketAddr::new(client(1), 40_000),
        ..join(0, 1)
    };
    assert_eq!(create(&mut script, taken), Err(CommandError::InUse));
    script.is_denied = true;
    assert_eq!(
        create(&mut script, join(1, 3)),
        Err(CommandError::NotJoinable)
    );
    script.is_denied = false;
    script.command(Command::SetLimits(limits(1, 0))).unwrap();
    assert_eq!(create(&mut script, join(1, 3)), Ok(()));
    assert_eq!(
        create(&mut script, join(2, 4)),
        Err(CommandError::LimitReached)
    );
}

#[test]
fn set_priority() {
    let mut script = user();
    let PmSubflow { local, remote, .. } = script.subflows[0];
    let command = Command::SetPriority {
        local,
        remote,
        priority: Priority::Backup,
    };
    script.command(command).unwrap();
    assert_eq!(script.mesh(), "1>1b");
}

#[test]
fn endpoints_are_for_the_kernel_manager() {
    let result = user().command(Command::FlushEndpoints);
    assert_eq!(result, Err(CommandError::NotSupported(Kind::User)));
}
