use proptest::prelude::*;

use super::*;
use crate::wire::mptcp::CapableFlags;

struct Counting(u8);

impl RandomSource for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

fn jar() -> CookieJar {
    CookieJar::new(&mut Counting(0))
}

fn ends() -> Ends {
    let local = "10.0.0.1:80".parse().unwrap();
    let remote = "[fd00::2]:4242".parse().unwrap();
    Ends { local, remote }
}

fn seconds(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

#[test]
fn a_cookie_is_good_for_two_minutes_after_its_own() {
    let made = seconds(255 * 60 + 59);
    let cookie = jar().bake(made, ends(), TcpSeq(7), SynKind::Connection, 1460);
    let check = |at| {
        jar()
            .check(at, ends(), TcpSeq(7), cookie)
            .map(|known| known.mss)
    };
    assert_eq!(check(made), Some(1460));
    assert_eq!(check(seconds(257 * 60 + 59)), Some(1460));
    assert_eq!(check(seconds(258 * 60)), None);
    assert_eq!(check(seconds(254 * 60)), None);
}

#[test]
fn a_cookie_names_the_next_smaller_mss() {
    for (mss, known) in [
        (0, 536),
        (1219, 536),
        (1220, 1220),
        (1459, 1440),
        (9000, 1460),
    ] {
        let cookie = jar().bake(seconds(5), ends(), TcpSeq(7), SynKind::Connection, mss);
        let checked = jar().check(seconds(6), ends(), TcpSeq(7), cookie).unwrap();
        assert_eq!(checked.mss, known, "{mss}");
    }
}

#[test]
fn a_cookie_tells_a_join_from_a_connection() {
    for kind in [SynKind::Connection, SynKind::Join] {
        for mss in [536, 1460] {
            let cookie = jar().bake(seconds(5), ends(), TcpSeq(7), kind, mss);
            let checked = jar().check(seconds(6), ends(), TcpSeq(7), cookie).unwrap();
            assert_eq!((checked.kind, checked.mss), (kind, mss));
        }
    }
}

#[test]
fn a_cookie_for_other_ends_is_none() {
    let cookie = jar().bake(seconds(5), ends(), TcpSeq(7), SynKind::Connection, 1460);
    let mut other = ends();
    other.remote.set_port(4243);
    assert_eq!(jar().check(seconds(5), other, TcpSeq(7), cookie), None);
    let other_jar = CookieJar::new(&mut Counting(1));
    assert_eq!(other_jar.check(seconds(5), ends(), TcpSeq(7), cookie), None);
}

#[test]
fn a_cookie_is_none_for_data_whose_beginning_was_lost() {
    for mss in [536, 1220, 1440, 1460] {
        let cookie = jar().bake(seconds(5), ends(), TcpSeq(7), SynKind::Connection, mss);
        for lost in 1..2000 {
            let later = TcpSeq(7).add(lost);
            assert_eq!(jar().check(seconds(5), ends(), later, cookie), None);
        }
    }
}

#[test]
fn few_guesses_are_taken_for_a_cookie() {
    let guesses = (0..50_000_u32).map(|n| TcpSeq(n.wrapping_mul(0x9e37_79b1)));
    let taken = guesses.filter(|iss| jar_check(*iss)).count();
    // Three of 256 periods and four of 2^24 codes are good: one guess in 358 million.
    assert_eq!(taken, 0);
}

fn jar_check(iss: TcpSeq) -> bool {
    thread_local! { static JAR: CookieJar = jar(); }
    JAR.with(|jar| jar.check(seconds(5), ends(), TcpSeq(7), iss).is_some())
}

#[test]
fn the_third_ack_gives_the_keys_back_in_both_versions() {
    for (version, in_syn) in [(0, Some(Key([5; 8]))), (1, None)] {
        let irs = TcpSeq(u32::MAX);
        let iss = jar().bake(seconds(59), ends(), irs, SynKind::Connection, 1460);
        let own = jar().fresh_server_key(seconds(59), ends(), irs, in_syn);
        let cookie = jar().check(seconds(61), ends(), irs, iss).unwrap();
        let mut ack = Capable {
            version,
            flags: CapableFlags::HMAC_SHA,
            sender_key: Some(Key([5; 8])),
            receiver_key: Some(own),
            data: None,
        };
        assert_eq!(
            jar().keys(cookie, ends(), irs, &ack),
            Some((own, Key([5; 8])))
        );
        ack.receiver_key = Some(Key([6; 8]));
        assert_eq!(jar().keys(cookie, ends(), irs, &ack), None);
        ack.receiver_key = None;
        assert_eq!(jar().keys(cookie, ends(), irs, &ack), None);
    }
}

#[test]
fn every_syn_has_another_server_key() {
    let key = |irs, ends| jar().fresh_server_key(seconds(0), ends, TcpSeq(irs), None);
    let mut other = ends();
    other.local.set_port(81);
    assert_ne!(key(1, ends()), key(2, ends()));
    assert_ne!(key(1, ends()), key(1, other));
}

proptest! {
    #[test]
    fn the_timestamp_brings_the_options_back_and_is_not_ahead_of_the_clock(
        clock in 64_u32..,
        scale in prop::option::of(0_u8..15),
        sack: bool,
        ecn: bool,
    ) {
        let options = SynOptions { window_scale: scale, sack, ecn };
        let timestamp = options.timestamp(clock);
        prop_assert!(timestamp <= clock && clock - timestamp < 64);
        prop_assert_eq!(SynOptions::from_timestamp(timestamp), Some(options));
    }
}

#[test]
fn a_secret_lasts_an_hour_and_its_cookies_for_the_lifetime_of_the_next() {
    let mut random = Counting(0);
    let mut jar = CookieJar::new(&mut random);
    let client = ends().remote.ip();
    jar.rotate(seconds(100), &mut random);
    let made = seconds(100 + 3599);
    jar.rotate(made, &mut random);
    let bake = |jar: &CookieJar, at| jar.bake(at, ends(), TcpSeq(7), SynKind::Connection, 1460);
    let first = bake(&jar, made);
    let key = jar.fresh_server_key(made, ends(), TcpSeq(7), None);
    let fast_open = jar.fast_open(client).unwrap();
    // A second later it is the older one.
    let later = seconds(100 + 3600);
    jar.rotate(later, &mut random);
    assert_ne!(bake(&jar, later), first);
    assert_ne!(jar.fast_open(client), Some(fast_open));
    assert!(jar.has_given(client, fast_open.as_bytes()));
    let cookie = jar.check(later, ends(), TcpSeq(7), first).unwrap();
    assert_eq!((cookie.mss, cookie.kind), (1460, SynKind::Connection));
    let capable = Capable {
        version: 1,
        flags: CapableFlags::HMAC_SHA,
        sender_key: Some(Key([9; 8])),
        receiver_key: Some(key),
        data: None,
    };
    let keys = jar.keys(cookie, ends(), TcpSeq(7), &capable);
    assert_eq!(keys, Some((key, Key([9; 8]))));
    // And those of the new one are good beside it.
    let second = bake(&jar, later);
    assert!(jar.check(later, ends(), TcpSeq(7), second).is_some());
    // Another hour, and nothing is left of the first.
    jar.rotate(seconds(100 + 7200), &mut random);
    assert!(!jar.has_given(client, fast_open.as_bytes()));
    assert_eq!(jar.check(later, ends(), TcpSeq(7), first), None);
    assert!(jar.check(later, ends(), TcpSeq(7), second).is_some());
}

#[test]
fn after_two_hours_without_use_both_secrets_are_new() {
    let mut random = Counting(0);
    let mut jar = CookieJar::new(&mut random);
    let client = ends().remote.ip();
    jar.rotate(seconds(0), &mut random);
    let old = jar.fast_open(client).unwrap();
    jar.rotate(seconds(7200), &mut random);
    assert!(!jar.has_given(client, old.as_bytes()));
}
