//! The kernel-like manager: groups of `mptcp_join.sh`.

use super::*;

const SUBFLOW: EndpointFlags = EndpointFlags::SUBFLOW;
const SIGNAL: EndpointFlags = EndpointFlags::SIGNAL;
const MESH: EndpointFlags = SUBFLOW.with(EndpointFlags::FULLMESH);
const BACKUP: EndpointFlags = SUBFLOW.with(EndpointFlags::BACKUP);

fn kernel(subflows: u8, add_addr_accepted: u8) -> Script {
    Script::new(Kind::Kernel, limits(subflows, add_addr_accepted))
}

// subflows

#[test]
fn no_endpoint_no_join() {
    assert_eq!(kernel(8, 8).established().mesh(), "1>1");
}

#[test]
fn single_subflow_limited_by_client() {
    let script = kernel(0, 0).with_endpoint(client(3), SUBFLOW).established();
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn single_subflow() {
    let script = kernel(1, 0).with_endpoint(client(3), SUBFLOW).established();
    assert_eq!(script.mesh(), "1>1 3>1");
    assert_eq!(script.subflows[1].local_id, AddressId(1));
}

#[test]
fn multiple_subflows() {
    let both = |limit| {
        kernel(limit, 0)
            .with_endpoint(client(3), SUBFLOW)
            .with_endpoint(client(2), SUBFLOW)
            .established()
            .mesh()
    };
    assert_eq!(both(2), "1>1 3>1 2>1");
    assert_eq!(both(1), "1>1 3>1");
}

#[test]
fn no_reuse_of_the_initial_address() {
    let script = kernel(8, 8).with_endpoint(client(1), SUBFLOW).established();
    assert_eq!(script.mesh(), "1>1");
}

// subflows_error

#[test]
fn a_reset_subflow_is_not_tried_again() {
    let mut script = kernel(8, 8).with_endpoint(client(3), SUBFLOW);
    script.obstacle = Some((server(1), DownReason::Reset(Some(RESET))));
    script.is_joinable = true;
    script.event(PmEvent::Established);
    assert_eq!((script.mesh().as_str(), script.log.len()), ("1>1", 1));
    assert_eq!(script.manager.poll_timeout(), None);
    script.obstacle = None;
    script.event(PmEvent::Timeout);
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn a_transient_reset_is_tried_again_ever_more_rarely() {
    for why in [
        DownReason::Reset(Some(TRANSIENT_RESET)),
        DownReason::TimedOut,
        DownReason::Unreachable,
    ] {
        let mut script = kernel(8, 8).with_endpoint(client(3), SUBFLOW);
        script.obstacle = Some((server(1), why));
        let mut script = script.established();
        let waits: Vec<u64> = (0..7).map(|_| script.wait().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64]);
        // And then no more.
        assert_eq!(script.manager.poll_timeout(), None);
        assert_eq!((script.mesh().as_str(), script.log.len()), ("1>1", 8));
    }
}

#[test]
fn a_retry_that_works_forgets_the_failures() {
    let mut script = kernel(8, 8).with_endpoint(client(3), SUBFLOW);
    script.obstacle = Some((server(1), DownReason::TimedOut));
    let mut script = script.established();
    script.wait();
    script.obstacle = None;
    assert_eq!(script.wait(), Duration::from_secs(2));
    assert_eq!(script.mesh(), "1>1 3>1");
    let id = script.subflows[1].id.0;
    script.down(id, DownReason::TimedOut);
    assert_eq!(script.wait(), Duration::from_secs(1));
    assert_eq!(script.mesh(), "1>1 3>1");
}

// signal_address

#[test]
fn unused_signal_address() {
    // The client's limit has it that no address is accepted.
    let mut script = kernel(8, 0).established();
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn signal_address() {
    let mut script = kernel(1, 1).established();
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 1>2");
    let join = script.subflows[1];
    assert_eq!(
        (join.local_id, join.remote_id),
        (AddressId(0), AddressId(1))
    );
}

#[test]
fn the_server_announces_its_signal_endpoints_once() {
    let mut script = kernel(0, 0)
        .on_server()
        .with_endpoint(server(2), SIGNAL)
        .with_endpoint(server(1), SIGNAL)
        .established();
    script.event(PmEvent::AddressEchoed(AddressId(1)));
    let announced = LocalAddress {
        id: AddressId(1),
        address: server(2),
        port: None,
    };
    // The initial address is known to the peer.
    assert_eq!(script.announced(), [announced]);
    script.add_endpoint(server(3), SIGNAL).unwrap();
    assert_eq!(script.announced().len(), 2);
}

#[test]
fn subflow_and_signal() {
    let mut script = kernel(2, 1).with_endpoint(client(3), SUBFLOW).established();
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 3>1 1>2");
}

#[test]
fn multiple_subflows_and_signal() {
    let mut script = kernel(3, 1)
        .with_endpoint(client(3), SUBFLOW)
        .with_endpoint(client(4), SUBFLOW)
        .established();
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 3>1 4>1 1>2");
}

#[test]
fn signal_addresses_up_to_the_limit() {
    let mut script = kernel(8, 2).established();
    for (id, net) in [(1, 2), (2, 3), (3, 4)] {
        script.announce(remote(id, net));
    }
    assert_eq!(script.mesh(), "1>1 1>2 1>3");
    // A withdrawn one makes room for the next.
    script.withdraw(1);
    assert_eq!(script.mesh(), "1>1 1>3 1>4");
}

#[test]
fn unreachable_signal_addresses_do_not_keep_the_others_out() {
    let mut script = kernel(3, 3).established();
    script.obstacle = Some((server(12), DownReason::TimedOut));
    script.announce(remote(1, 12));
    script.announce(remote(2, 3));
    assert_eq!(script.mesh(), "1>1 1>3");
}

#[test]
fn an_address_of_the_other_family_is_not_joined_from_here() {
    let mut script = kernel(8, 8).established();
    script.announce(RemoteAddress {
        id: AddressId(1),
        address: "[fd00::1]:10001".parse().unwrap(),
    });
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn mapped_addresses_are_those_that_they_map() {
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
        IpAddr::V6(_) => address,
    };
    let mut script = kernel(8, 8)
        .with_endpoint(mapped(client(1)), SUBFLOW)
        .with_endpoint(mapped(client(2)), SUBFLOW)
        .established();
    assert_eq!(script.mesh(), "1>1 2>1");
    assert_eq!(
        script.add_endpoint(client(2), SUBFLOW),
        Err(CommandError::InUse)
    );
}

// remove, add

fn id_of(script: &Script, net: u8) -> AddressId {
    let from_net = |subflow: &&PmSubflow| subflow.local.ip() == client(net);
    script.subflows.iter().find(from_net).unwrap().local_id
}

#[test]
fn remove_single_subflow() {
    let mut script = kernel(1, 0).with_endpoint(client(3), SUBFLOW).established();
    let id = id_of(&script, 3);
    script.command(Command::RemoveEndpoint(id)).unwrap();
    assert_eq!(
        (script.mesh().as_str(), script.withdrawn()),
        ("1>1", vec![1])
    );
    let again = script.command(Command::RemoveEndpoint(id));
    assert_eq!(again, Err(CommandError::NotFound));
}

#[test]
fn remove_single_address() {
    let mut server = kernel(0, 0)
        .on_server()
        .with_endpoint(server(2), SIGNAL)
        .established();
    server
        .command(Command::RemoveEndpoint(AddressId(1)))
        .unwrap();
    assert_eq!(server.withdrawn(), [1]);

    let mut client = kernel(1, 1).established();
    client.announce(remote(1, 2));
    client.withdraw(1);
    assert_eq!(client.mesh(), "1>1");
}

#[test]
fn an_endpoint_that_was_never_used_goes_in_silence() {
    let mut script = kernel(0, 0).with_endpoint(client(3), SUBFLOW).established();
    script
        .command(Command::RemoveEndpoint(AddressId(1)))
        .unwrap();
    assert_eq!(script.log, []);
}

#[test]
fn flush_subflows_and_signal() {
    let mut script = kernel(3, 3)
        .with_endpoint(client(2), SIGNAL)
        .with_endpoint(client(3), SUBFLOW)
        .with_endpoint(client(4), SUBFLOW)
        .established();
    assert_eq!(script.mesh(), "1>1 3>1 4>1");
    script.command(Command::FlushEndpoints).unwrap();
    assert_eq!(
        (script.mesh().as_str(), script.withdrawn()),
        ("1>1", vec![1, 2, 3])
    );
    // Flush and add again.
    script.add_endpoint(client(3), SUBFLOW).unwrap();
    assert_eq!(script.mesh(), "1>1 3>1");
}

#[test]
fn remove_id_0_subflow() {
    let mut script = kernel(1, 0).with_endpoint(client(3), SUBFLOW).established();
    script
        .command(Command::RemoveEndpoint(AddressId(0)))
        .unwrap();
    assert_eq!(
        (script.mesh().as_str(), script.withdrawn()),
        ("3>1", vec![0])
    );
}

#[test]
fn remove_id_0_address() {
    let mut script = kernel(1, 1).established();
    script.announce(remote(1, 2));
    script.withdraw(0);
    assert_eq!(script.mesh(), "1>2");
}

#[test]
fn add_subflow_during_the_connection() {
    let mut script = kernel(2, 0).established();
    script.add_endpoint(client(3), SUBFLOW).unwrap();
    script.add_endpoint(client(4), SUBFLOW).unwrap();
    script.add_endpoint(client(5), SUBFLOW).unwrap();
    assert_eq!(script.mesh(), "1>1 3>1 4>1");
    script.command(Command::SetLimits(limits(3, 0))).unwrap();
    assert_eq!(script.mesh(), "1>1 3>1 4>1 5>1");
}

#[test]
fn delete_and_add_again() {
    let mut script = kernel(1, 0).with_endpoint(client(3), SUBFLOW).established();
    for _ in 0..3 {
        let id = id_of(&script, 3);
        script.command(Command::RemoveEndpoint(id)).unwrap();
        assert_eq!(script.mesh(), "1>1");
        script.add_endpoint(client(3), SUBFLOW).unwrap();
        assert_eq!(script.mesh(), "1>1 3>1");
    }
}

#[test]
fn an_address_withdrawn_and_advertised_again_is_joined_again() {
    let mut script = kernel(1, 1).established();
    for _ in 0..3 {
        script.announce(remote(1, 2));
        assert_eq!(script.mesh(), "1>1 1>2");
        script.withdraw(1);
        assert_eq!(script.mesh(), "1>1");
    }
}

// backup

#[test]
fn backup_endpoint() {
    let script = kernel(1, 0).with_endpoint(client(3), BACKUP).established();
    assert_eq!(script.mesh(), "1>1 3>1b");
}

#[test]
fn backup_for_the_initial_subflow() {
    let script = kernel(1, 0).with_endpoint(client(1), BACKUP).established();
    assert_eq!(script.mesh(), "1>1b");
}

#[test]
fn switch_to_backup_and_back() {
    let mut script = kernel(1, 0).with_endpoint(client(3), SUBFLOW).established();
    let id = id_of(&script, 3);
    script.command(Command::SetFlags(id, BACKUP)).unwrap();
    assert_eq!(script.mesh(), "1>1 3>1b");
    script.command(Command::SetFlags(id, SUBFLOW)).unwrap();
    assert_eq!(script.mesh(), "1>1 3>1");
}

// add_addr_ports

#[test]
fn signal_address_with_port() {
    let mut script = kernel(0, 0).on_server();
    let endpoint = Endpoint {
        id: AddressId(9),
        address: server(2),
        port: Some(10_100),
        flags: SIGNAL,
    };
    script.command(Command::AddEndpoint(endpoint)).unwrap();
    let script = script.established();
    let announced = LocalAddress {
        id: AddressId(9),
        address: server(2),
        port: Some(10_100),
    };
    assert_eq!(script.announced(), [announced]);
}

#[test]
fn the_port_of_an_advertised_address_is_joined() {
    let mut script = kernel(1, 1).established();
    let address = SocketAddr::new(server(2), 10_100);
    script.announce(RemoteAddress {
        id: AddressId(1),
        address,
    });
    assert_eq!(script.subflows[1].remote, address);
}

// deny_join_id0

#[test]
fn no_subflow_to_a_denied_initial_address() {
    let script = kernel(1, 1)
        .denied()
        .with_endpoint(client(3), SUBFLOW)
        .established();
    assert_eq!(script.mesh(), "1>1");
}

#[test]
fn a_denied_initial_address_leaves_the_advertised_ones() {
    let mut script = kernel(2, 1)
        .denied()
        .with_endpoint(client(3), SUBFLOW)
        .established();
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 1>2");
    let mut mesh = kernel(8, 1)
        .denied()
        .with_endpoint(client(3), MESH)
        .established();
    mesh.announce(remote(1, 2));
    assert_eq!(mesh.mesh(), "1>1 3>2");
}

// fullmesh

#[test]
fn fullmesh_2x1() {
    let mut script = kernel(4, 1)
        .with_endpoint(client(2), MESH)
        .with_endpoint(client(3), MESH)
        .established();
    script.announce(remote(1, 2));
    assert_eq!(script.mesh(), "1>1 2>1 3>1 2>2 3>2");
}

#[test]
fn fullmesh_1x1() {
    let mut script = kernel(3, 1).established();
    script.announce(remote(1, 2));
    script.add_endpoint(client(3), MESH).unwrap();
    assert_eq!(script.mesh(), "1>1 1>2 3>1 3>2");
}

#[test]
fn fullmesh_1x2() {
    let two = |limit| {
        let mut script = kernel(limit, 1).established();
        script.announce(remote(1, 2));
        script.add_endpoint(client(3), MESH).unwrap();
        script.add_endpoint(client(4), MESH).unwrap();
        script.mesh()
    };
    assert_eq!(two(5), "1>1 1>2 3>1 3>2 4>1 4>2");
    assert_eq!(two(4), "1>1 1>2 3>1 3>2 4>1");
}

#[test]
fn set_and_unset_fullmesh() {
    let mut script = kernel(8, 8).with_endpoint(client(3), SUBFLOW).established();
    script.announce(remote(1, 2));
    let id = id_of(&script, 3);
    for _ in 0..2 {
        assert_eq!(script.mesh(), "1>1 3>1 1>2");
        script.command(Command::SetFlags(id, MESH)).unwrap();
        assert_eq!(script.mesh(), "1>1 3>1 1>2 3>2");
        script.command(Command::SetFlags(id, SUBFLOW)).unwrap();
    }
}

#[test]
fn set_backup_and_fullmesh() {
    let mut script = kernel(8, 8).with_endpoint(client(3), SUBFLOW).established();
    script.announce(remote(1, 2));
    let id = id_of(&script, 3);
    let flags = MESH.with(EndpointFlags::BACKUP);
    script.command(Command::SetFlags(id, flags)).unwrap();
    assert_eq!(script.mesh(), "1>1 3>1b 1>2 3>2b");
}

// endpoint

#[test]
fn an_address_found_by_the_peer_gets_an_implicit_endpoint() {
    let mut script = kernel(8, 8).on_server().established();
    script.subflows.push(PmSubflow {
        id: SubflowId(20),
        local: SocketAddr::new(server(2), 10_001),
        remote: SocketAddr::new(client(2), 50_000),
        local_id: AddressId(1),
        remote_id: AddressId(5),
        priority: Priority::Regular,
        is_established: true,
        is_half_open: false,
    });
    script.event(PmEvent::SubflowUp(SubflowId(20)));
    // Its id is taken; an explicit endpoint for the address takes it over.
    script.add_endpoint(server(3), SIGNAL).unwrap();
    assert_eq!(script.announced()[0].id, AddressId(2));
    script.add_endpoint(server(2), SIGNAL).unwrap();
    assert_eq!(script.announced()[1].id, AddressId(1));
}

#[test]
fn endpoints_that_make_no_sense_are_refused() {
    let mut script = kernel(8, 8);
    let endpoint = Endpoint {
        id: AddressId(5),
        address: client(3),
        port: None,
        flags: SUBFLOW,
    };
    let mut add = |endpoint| script.command(Command::AddEndpoint(endpoint));
    let with_flags = |flags| Endpoint { flags, ..endpoint };
    for flags in [SIGNAL.with(MESH), EndpointFlags::IMPLICIT] {
        assert_eq!(add(with_flags(flags)), Err(CommandError::BadFlags));
    }
    let with_port = Endpoint {
        port: Some(7),
        ..endpoint
    };
    assert_eq!(add(with_port), Err(CommandError::BadFlags));
    assert_eq!(add(endpoint), Ok(()));
    assert_eq!(add(endpoint), Err(CommandError::InUse));
    let same_id = Endpoint {
        address: client(4),
        ..endpoint
    };
    assert_eq!(add(same_id), Err(CommandError::InUse));
}

#[test]
fn there_are_no_more_endpoints_than_the_kernel_has() {
    let mut script = kernel(64, 8);
    for net in 2..10 {
        assert_eq!(script.add_endpoint(client(net), SUBFLOW), Ok(()));
    }
    let full = Err(CommandError::LimitReached);
    assert_eq!(script.add_endpoint(client(10), SUBFLOW), full);
    let script = script.established();
    assert_eq!(script.subflows.len(), 1 + MAX_ADDRESSES);
}

#[test]
fn what_is_for_the_user_manager_is_not_supported() {
    let mut script = kernel(8, 8).established();
    let result = script.command(Command::Withdraw(AddressId(1)));
    assert_eq!(result, Err(CommandError::NotSupported(Kind::Kernel)));
}

#[test]
fn a_second_port_of_the_initial_address_goes_by_its_own_id() {
    let mut script = kernel(8, 8).established();
    let port = |id, port, flags| {
        Command::AddEndpoint(Endpoint {
            id: AddressId(id),
            address: client(1),
            port,
            flags,
        })
    };
    script.command(port(0, Some(9_000), SIGNAL)).unwrap();
    script
        .command(port(2, None, EndpointFlags::default()))
        .unwrap();
    let ids: Vec<u8> = script.announced().iter().map(|one| one.id.0).collect();
    assert_eq!(ids, [1]);
    script.command(Command::FlushEndpoints).unwrap();
    // The initial subflow goes with its own endpoint, once.
    let closes = |action: &&PmAction| matches!(action, PmAction::Close(SubflowId(0)));
    assert_eq!(script.log.iter().filter(closes).count(), 1);
    assert_eq!(script.withdrawn(), [1, 0]);
    assert_eq!(script.mesh(), "");
}

#[test]
fn removing_a_second_port_of_the_initial_address_leaves_the_initial_subflow() {
    let mut script = kernel(8, 8).established();
    script
        .command(Command::AddEndpoint(Endpoint {
            id: AddressId(3),
            address: client(1),
            port: Some(9_000),
            flags: SIGNAL,
        }))
        .unwrap();
    script
        .command(Command::RemoveEndpoint(AddressId(3)))
        .unwrap();
    assert_eq!(script.withdrawn(), [3]);
    assert_eq!(script.mesh(), "1>1");
}
