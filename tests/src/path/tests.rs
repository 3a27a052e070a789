use super::*;
use crate::middlebox::bench::{Tcp, check_checksums};

/// A SYN with this TTL, from the prober to the target.
fn syn(family: Family, ttl: u8) -> Vec<u8> {
    let tcp = Tcp::syn().area(&[30, 4, 1, 0x81]);
    let mut packet = match family {
        Family::V4 => tcp.packet(),
        Family::V6 => tcp.v6().packet(),
    };
    let [from, to] = [family.client(), family.target()];
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet[12..16].copy_from_slice(&from.octets());
            packet[16..20].copy_from_slice(&to.octets());
            packet[8] = ttl;
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            packet[8..24].copy_from_slice(&from.octets());
            packet[24..40].copy_from_slice(&to.octets());
            packet[7] = ttl;
        }
        _ => unreachable!("one family"),
    }
    let segment = crate::middlebox::segment::Segment::parse(&packet).unwrap();
    segment.emit()
}

/// What comes back, and after how long, in milliseconds.
fn answers(path: &mut Path, packet: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
    let start = path.now;
    path.send(start, packet);
    let mut answers = Vec::new();
    // The target may try again for ever.
    while let Some(at) = path.poll_timeout().filter(|at| at.since(start) < LONG) {
        path.handle_timeout(at);
        while let Some(packet) = path.poll_arrival() {
            check_checksums(&packet);
            let after = u64::try_from(at.since(start).as_millis()).unwrap();
            answers.push((after, packet));
        }
    }
    answers
}

fn path(text: &str, family: Family) -> Path {
    Path::new(&PathPlan::parse(text).unwrap(), family, Seed(7)).unwrap()
}

/// Length of the IP header and of that in the ICMP header.
const fn headers(family: Family) -> usize {
    match family {
        Family::V4 => 20,
        Family::V6 => 40,
    }
}

#[test]
fn each_hop_quotes_what_it_got_and_the_target_answers() {
    for family in Family::ALL {
        let mut path = path("hops = [{}, { quotes = 8 }, { mpls = 16 }]", family);
        let ip = headers(family);
        for (ttl, expected) in [(1, ip + 24), (2, ip + 8), (3, 128 + 12)] {
            let sent = syn(family, ttl);
            let [(after, error)] = &answers(&mut path, sent.clone())[..] else {
                panic!("one answer at {ttl}");
            };
            assert_eq!(*after, u64::from(ttl) * 10);
            assert_eq!(error.len(), ip + 8 + expected);
            let at = if family == Family::V4 { 12 } else { 8 };
            let router = path.router(ttl, 0).unwrap();
            match router {
                IpAddr::V4(address) => assert_eq!(error[at..at + 4], address.octets()),
                IpAddr::V6(address) => assert_eq!(error[at..at + 16], address.octets()),
            }
            // TCP is quoted as it was sent.
            assert_eq!(error[2 * ip + 8..][..8], sent[ip..][..8]);
        }
        let [(40, answer), ..] = &answers(&mut path, syn(family, 4))[..] else {
            panic!("a SYN/ACK after 40 ms");
        };
        assert_eq!(answer[ip + 13], 0x12);
        assert!(answer[ip + 20..].windows(3).any(|at| at == [30, 12, 1]));
    }
}

#[test]
fn a_box_is_seen_by_its_own_router_only_when_it_stands_before_the_look_at_the_ttl() {
    let quoted = |stage: &str, ttl: u8| {
        let text = format!(r#"hops = [{{}}, {{ {stage} = "strip:option=mp_capable" }}, {{}}]"#);
        let mut path = path(&text, Family::V4);
        let error = answers(&mut path, syn(Family::V4, ttl)).remove(0).1;
        error[48 + 20..].to_vec()
    };
    let (clean, nopped) = ([30, 4, 1, 0x81], [1; 4]);
    assert_eq!(
        [1, 2, 3].map(|ttl| quoted("before", ttl)),
        [&clean[..], &nopped, &nopped]
    );
    assert_eq!(
        [1, 2, 3].map(|ttl| quoted("after", ttl)),
        [&clean[..], &clean, &nopped]
    );
}

#[test]
fn a_box_acts_on_the_way_back_and_all_it_did_is_on_record() {
    let mut path = path(
        r#"hops = [{}, { after = "strip:option=mp_capable,on=synack" }]"#,
        Family::V4,
    );
    let answer = answers(&mut path, syn(Family::V4, 9)).remove(0).1;
    assert!(answer.windows(12).any(|at| at == [1; 12]));
    let passage = path.passages().last().unwrap();
    let hop = Spot {
        hop: 2,
        way: 0,
        stage: Stage::After,
    };
    assert_eq!(
        (passage.spot, passage.direction),
        (hop, Direction::ToClient)
    );
    assert_ne!(passage.after[0].1, passage.before);
}

#[test]
fn silence_loss_and_limits_cost_errors_and_nothing_else() {
    let count = |hop: &str| {
        let mut path = path(&format!("hops = [{hop}]"), Family::V4);
        let heard = |path: &mut Path, ttl| answers(path, syn(Family::V4, ttl)).len();
        let errors: usize = (0..1000).map(|_| heard(&mut path, 1)).sum();
        assert!(heard(&mut path, 2) > 0);
        errors
    };
    assert_eq!(count("{}"), 1000);
    assert_eq!(count("{ silent = true }"), 0);
    // Each takes 5 ms, or 10 with an answer: a burst of 6, and one a second.
    assert_eq!(count("{ rate = { burst = 6, per_second = 1.0 } }"), 11);
    let kept = count("{ loss = 0.6 }");
    assert!((340..460).contains(&kept), "{kept}");
}

#[test]
fn a_flow_keeps_its_way_and_packets_take_any() {
    let ways = |balance: &str, port: u16| {
        let text = format!("balance = \"{balance}\"\nhops = [[{{}}, {{}}]]");
        let mut path = path(&text, Family::V6);
        let mut packet = syn(Family::V6, 1);
        packet[40..42].copy_from_slice(&port.to_be_bytes());
        let seen = (0..20).map(|_| answers(&mut path, packet.clone()).remove(0).1[23]);
        let seen: std::collections::BTreeSet<u8> = seen.collect();
        seen.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(ways("packet", 1), [1, 2]);
    let flows: Vec<Vec<u8>> = (1..30).map(|port| ways("flow", port)).collect();
    assert!(flows.iter().all(|ways| ways.len() == 1));
    assert!(flows.contains(&vec![1]) && flows.contains(&vec![2]));
}

#[test]
fn what_answers_at_the_end_is_what_the_plan_says() {
    for (target, flags, has_mptcp) in [
        ("v1", 0x12, true),
        ("tcp", 0x12, false),
        ("closed", 0x14, false),
        ("mirror", 0x12, true),
    ] {
        let mut path = path(&format!("target = \"{target}\"\nhops = [{{}}]"), Family::V4);
        let answer = answers(&mut path, syn(Family::V4, 2)).remove(0).1;
        assert_eq!(answer[33], flags, "{target}");
        assert_eq!(answer[40..].contains(&30), has_mptcp, "{target}");
    }
    let mut silent = path("target = \"silent\"\nhops = []", Family::V4);
    assert_eq!(answers(&mut silent, syn(Family::V4, 2)), []);
}

const LONG: Duration = Duration::from_millis(200);
