use super::*;
use crate::hmac::AddAddrHmac;

const OWN: Key = Key([1; 8]);
const PEER: Key = Key([2; 8]);

fn config() -> AddressConfig {
    AddressConfig {
        echo_timeout: Duration::from_secs(1),
        max_remote: 2,
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn book(version: Version) -> AddressBook {
    let (local, remote) = (socket("10.0.0.1:4000"), socket("10.9.0.1:80"));
    AddressBook::new(version, OWN, PEER, local, remote, config())
}

/// An ADD_ADDR as the peer sends it.
fn from_peer(id: u8, address: &str, port: Option<u16>) -> AddAddr {
    let (address_id, address) = (AddressId(id), ip(address));
    AddAddr {
        version: Version::V1,
        echo: false,
        address_id,
        address,
        port,
        hmac: Some(add_addr_hmac(PEER, OWN, address_id, address, port)),
        reserved: 0,
    }
}

fn local(id: u8, address: &str, port: Option<u16>) -> LocalAddress {
    LocalAddress {
        id: AddressId(id),
        address: ip(address),
        port,
    }
}

fn at_ms(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

#[track_caller]
fn check_refused(book: &mut AddressBook, option: &AddAddr, why: AddAddrRefusal) {
    assert_eq!(book.handle_add_addr(option), Err(why));
}

#[track_caller]
fn check_new(book: &mut AddressBook, option: &AddAddr, target: &str) {
    let Ok(Advertised::New(remote)) = book.handle_add_addr(option) else {
        panic!("not taken: {option:?}");
    };
    assert_eq!(remote.address, socket(target));
}

#[test]
fn an_advertised_address_is_joined_at_its_port_or_at_the_initial_one() {
    let mut book = book(Version::V1);
    check_new(&mut book, &from_peer(1, "10.9.1.1", None), "10.9.1.1:80");
    check_new(
        &mut book,
        &from_peer(2, "fd00::2", Some(81)),
        "[fd00::2]:81",
    );
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
    let mut book = book(Version::V1);
    check_new(
        &mut book,
        &from_peer(1, "::ffff:10.9.1.1", None),
        "10.9.1.1:80",
    );
    assert_eq!(book.local_id(ip("::ffff:10.0.0.1")), Some(AddressId(0)));
}

#[test]
fn an_add_addr_of_someone_without_the_keys_is_ignored() {
    let mut book = book(Version::V1);
    let good = from_peer(1, "10.9.1.1", Some(81));
    let other_sender = add_addr_hmac(OWN, PEER, AddressId(1), ip("10.9.1.1"), Some(81));
    for forged in [
        AddAddr { hmac: None, ..good },
        AddAddr {
            hmac: Some(AddAddrHmac::from_bytes([0; 8])),
            ..good
        },
        AddAddr {
            hmac: Some(other_sender),
            ..good
        },
        AddAddr {
            address_id: AddressId(2),
            ..good
        },
        AddAddr {
            port: Some(82),
            ..good
        },
        AddAddr {
            version: Version::V0,
            ..good
        },
    ] {
        check_refused(&mut book, &forged, AddAddrRefusal::Hmac);
    }
    assert_eq!(book.next_add_addr(at_ms(0)), None, "no echo");
    check_new(&mut book, &good, "10.9.1.1:81");
}

#[test]
fn version_0_has_neither_hmac_nor_echo() {
    let mut book = book(Version::V0);
    let option = AddAddr {
        version: Version::V0,
        hmac: None,
        ..from_peer(1, "10.9.1.1", None)
    };
    check_new(&mut book, &option, "10.9.1.1:80");
    assert_eq!(book.next_add_addr(at_ms(0)), None);
    book.announce(at_ms(0), local(1, "10.0.1.1", None)).unwrap();
    let sent = book.next_add_addr(at_ms(0)).unwrap();
    assert_eq!((sent.version, sent.hmac), (Version::V0, None));
    book.on_add_addr_sent(at_ms(0), &sent);
    assert_eq!(book.poll_timeout(), None);
}

#[test]
fn addresses_that_no_host_can_have_are_ignored() {
    let mut book = book(Version::V1);
    for address in [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "127.0.0.1",
        "::",
        "ff02::1",
        "::1",
        "::ffff:127.0.0.1",
    ] {
        check_refused(
            &mut book,
            &from_peer(1, address, None),
            AddAddrRefusal::Unusable,
        );
    }
    check_refused(
        &mut book,
        &from_peer(1, "10.0.0.1", None),
        AddAddrRefusal::Own,
    );
}

#[test]
fn a_host_may_talk_to_itself() {
    let (local, remote) = (socket("127.0.0.1:4000"), socket("127.0.0.1:80"));
    let mut book = AddressBook::new(Version::V1, OWN, PEER, local, remote, config());
    check_new(
        &mut book,
        &from_peer(1, "127.0.0.1", Some(81)),
        "127.0.0.1:81",
    );
}

#[test]
fn an_id_whose_address_has_a_subflow_keeps_it() {
    let mut book = book(Version::V1);
    check_new(&mut book, &from_peer(1, "10.9.1.1", None), "10.9.1.1:80");
    book.on_subflow(AddressId(1), socket("10.9.1.1:80"));
    check_refused(
        &mut book,
        &from_peer(1, "10.9.2.1", None),
        AddAddrRefusal::IdInUse,
    );
    check_refused(
        &mut book,
        &from_peer(0, "10.9.2.1", None),
        AddAddrRefusal::IdInUse,
    );
    book.on_subflow_closed(AddressId(1));
    check_new(&mut book, &from_peer(1, "10.9.2.1", None), "10.9.2.1:80");
    assert_eq!(book.remotes().len(), 2);
}

#[test]
fn addresses_beyond_the_limit_are_echoed_and_not_taken() {
    let mut book = book(Version::V1);
    check_new(&mut book, &from_peer(1, "10.9.1.1", None), "10.9.1.1:80");
    check_new(&mut book, &from_peer(2, "10.9.2.1", None), "10.9.2.1:80");
    let third = from_peer(3, "10.9.3.1", None);
    check_refused(&mut book, &third, AddAddrRefusal::Limit);
    let mut echoes = 0;
    while let Some(echo) = book.next_add_addr(at_ms(0)) {
        assert!(echo.echo && echo.hmac.is_none());
        echoes += 1;
        book.on_add_addr_sent(at_ms(0), &echo);
    }
    assert_eq!(echoes, 3);
    book.handle_remove_addr(&AddressIds::new(&[AddressId(1)]).unwrap());
    check_new(&mut book, &third, "10.9.3.1:80");
}

#[test]
fn echoes_are_bounded_and_the_same_one_waits_once() {
    let mut book = book(Version::V1);
    for id in 1..100 {
        let option = from_peer(id, &format!("10.9.{id}.1"), None);
        let _ = book.handle_add_addr(&option);
        let _ = book.handle_add_addr(&option);
    }
    assert_eq!(book.echoes.len(), AddressBook::MAX_ECHOES);
}

#[test]
fn an_add_addr_is_sent_again_in_doubling_intervals_until_it_is_given_up() {
    let mut book = book(Version::V1);
    book.announce(at_ms(50), local(1, "10.0.1.1", Some(81)))
        .unwrap();
    let mut times = Vec::new();
    while let Some(due) = book.poll_timeout() {
        assert_eq!(book.next_add_addr(at_ms(due.as_millis() - 1)), None);
        let option = book.next_add_addr(due).unwrap();
        let expected = add_addr_hmac(OWN, PEER, AddressId(1), ip("10.0.1.1"), Some(81));
        assert_eq!(option.hmac, Some(expected));
        book.on_add_addr_sent(due, &option);
        times.push(due.as_millis());
    }
    assert_eq!(times, [50, 1050, 3050, 7050]);
}

#[test]
fn only_the_echo_of_what_was_sent_stops_it() {
    let mut book = book(Version::V1);
    book.announce(at_ms(0), local(1, "10.0.1.1", Some(81)))
        .unwrap();
    let sent = book.next_add_addr(at_ms(0)).unwrap();
    let echo = AddAddr {
        echo: true,
        hmac: None,
        ..sent
    };
    check_refused(&mut book, &echo, AddAddrRefusal::StrayEcho);
    book.on_add_addr_sent(at_ms(0), &sent);
    for wrong in [
        AddAddr {
            port: Some(82),
            ..echo
        },
        AddAddr { port: None, ..echo },
        AddAddr {
            address: ip("10.0.2.1"),
            ..echo
        },
        AddAddr {
            address_id: AddressId(2),
            ..echo
        },
    ] {
        check_refused(&mut book, &wrong, AddAddrRefusal::StrayEcho);
    }
    assert_eq!(
        book.handle_add_addr(&echo),
        Ok(Advertised::Echo(AddressId(1)))
    );
    assert_eq!(book.poll_timeout(), None);
    check_refused(&mut book, &echo, AddAddrRefusal::StrayEcho);
}

#[test]
fn a_withdrawn_address_is_no_longer_advertised() {
    let mut book = book(Version::V1);
    book.announce(at_ms(0), local(1, "10.0.1.1", None)).unwrap();
    book.withdraw(&[AddressId(1), AddressId(9)]);
    assert_eq!(book.next_add_addr(at_ms(0)), None);
    let ids = book.next_removal().unwrap();
    assert_eq!(ids.iter().collect::<Vec<_>>(), [AddressId(1)]);
    book.on_removal_sent(&ids);
    assert_eq!(book.next_removal(), None);
    // Once withdrawn, the id may have another address; then the REMOVE_ADDR is out of date.
    book.announce(at_ms(0), local(1, "10.0.2.1", None)).unwrap();
    book.withdraw(&[AddressId(1)]);
    book.announce(at_ms(0), local(1, "10.0.3.1", None)).unwrap();
    assert_eq!(book.next_removal(), None);
    assert_eq!(
        book.next_add_addr(at_ms(0)).unwrap().address,
        ip("10.0.3.1")
    );
}

#[test]
fn many_withdrawn_addresses_take_several_options() {
    let mut book = book(Version::V1);
    let ids: Vec<AddressId> = (1..=20).map(AddressId).collect();
    for id in &ids {
        book.set_local(local(id.0, &format!("10.0.{id}.1"), None))
            .unwrap();
    }
    book.withdraw(&ids);
    let mut sizes = Vec::new();
    while let Some(ids) = book.next_removal() {
        sizes.push(ids.iter().count());
        book.on_removal_sent(&ids);
    }
    assert_eq!(sizes, [8, 8, 4]);
}

#[test]
fn removing_unknown_ids_changes_nothing() {
    let mut book = book(Version::V1);
    check_new(&mut book, &from_peer(1, "10.9.1.1", None), "10.9.1.1:80");
    let ids = AddressIds::new(&[AddressId(7), AddressId(1), AddressId(1), AddressId(0)]).unwrap();
    let (removed, unknown) = book.handle_remove_addr(&ids);
    let removed: Vec<AddressId> = removed.iter().map(|known| known.id).collect();
    assert_eq!((removed, unknown), (vec![AddressId(1), AddressId(0)], 2));
    // Later addresses still have the port of the initial subflow.
    check_new(&mut book, &from_peer(1, "10.9.3.1", None), "10.9.3.1:80");
}

#[test]
fn an_id_that_is_withdrawn_keeps_its_meaning_while_a_subflow_has_it() {
    let mut book = book(Version::V1);
    check_new(&mut book, &from_peer(1, "10.9.1.1", None), "10.9.1.1:80");
    book.on_subflow(AddressId(1), socket("10.9.1.1:80"));
    let ids = AddressIds::new(&[AddressId(1), AddressId(0)]).unwrap();
    assert_eq!(book.handle_remove_addr(&ids).0.len(), 2);
    let mut known = book.remotes().iter();
    assert!(known.all(|known| known.origin == Origin::Withdrawn));
    // It comes again for the same subflow, and is no unknown id.
    assert_eq!(book.handle_remove_addr(&ids).1, 0);
    // The same address may come back, and then it can be joined again.
    check_new(&mut book, &from_peer(1, "10.9.1.1", None), "10.9.1.1:80");
    assert_eq!(book.remote(AddressId(1)).unwrap().subflows, 1);
    book.on_subflow_closed(AddressId(0));
    assert!(book.remote(AddressId(0)).is_none());
}

#[test]
fn add_remove_and_add_of_one_id_leave_the_last_address() {
    let mut book = book(Version::V1);
    check_new(&mut book, &from_peer(1, "10.9.1.1", None), "10.9.1.1:80");
    book.handle_remove_addr(&AddressIds::new(&[AddressId(1)]).unwrap());
    check_new(&mut book, &from_peer(1, "10.9.2.1", None), "10.9.2.1:80");
    let again = book.handle_add_addr(&from_peer(1, "10.9.2.1", None));
    assert_eq!(again, Ok(Advertised::Repeated));
    assert_eq!(
        book.remote(AddressId(1)).unwrap().address,
        socket("10.9.2.1:80")
    );
}

#[test]
fn the_source_of_a_join_is_known_while_it_has_a_subflow() {
    let mut book = book(Version::V1);
    book.on_subflow(AddressId(5), socket("192.0.2.1:50000"));
    let known = book.remote(AddressId(5)).unwrap();
    assert_eq!((known.origin, known.subflows), (Origin::Joined, 1));
    book.on_subflow(AddressId(5), socket("192.0.2.1:50001"));
    book.on_subflow_closed(AddressId(5));
    assert!(book.remote(AddressId(5)).is_some());
    book.on_subflow_closed(AddressId(5));
    assert_eq!(book.remote(AddressId(5)), None);
}

#[test]
fn our_addresses_keep_their_ids_and_get_the_lowest_free_one() {
    let mut book = book(Version::V1);
    book.set_local(local(1, "10.0.1.1", None)).unwrap();
    assert_eq!(
        book.set_local(local(1, "10.0.2.1", None)),
        Err(AnnounceError::IdTaken)
    );
    assert_eq!(book.local_id(ip("10.0.2.1")), Some(AddressId(2)));
    assert_eq!(book.local_id(ip("10.0.1.1")), Some(AddressId(1)));
    for n in 3..=255 {
        assert_eq!(
            book.local_id(ip(&format!("10.1.0.{n}"))),
            Some(AddressId(n))
        );
    }
    assert_eq!(book.local_id(ip("10.2.0.1")), None);
}

#[test]
fn advertisements_are_bounded() {
    let mut book = book(Version::V1);
    let max = u8::try_from(AddressBook::MAX_ANNOUNCEMENTS).unwrap();
    for id in 1..=max {
        book.announce(at_ms(0), local(id, &format!("10.0.{id}.1"), None))
            .unwrap();
    }
    let one_more = book.announce(at_ms(0), local(max + 1, "10.1.0.1", None));
    assert_eq!(one_more, Err(AnnounceError::TooMany));
}
