use super::*;
use crate::diff::{Field, How};
use crate::trace::{CellState, Code, Interval, Place, Trace};
use crate::verdict::judge;

const MILLI: Instant = Instant::from_millis(1);

fn route() -> Route {
    Route {
        target: "10.0.9.9:80".parse().unwrap(),
        source: "10.0.0.1:0".parse().unwrap(),
        interface: None,
    }
}

/// A SYN as the kernel sends it, from the TCP header on; `number` is what differs by connection.
fn syn(number: u8, timestamps: [u8; 2]) -> Vec<u8> {
    let mut segment = vec![0x30, number, 0, 80];
    segment.extend([
        number, number, number, number, 0, 0, 0, 0, 0xa0, 2, 0xfa, 0xf0,
    ]);
    segment.extend([number, number, 0, 0, 2, 4, 5, 0xb4, 4, 2]);
    segment.extend(timestamps);
    let value = if timestamps == [1, 1] {
        [1; 8]
    } else {
        [0, 0, 9, number, 0, 0, 0, 0]
    };
    segment.extend(value);
    segment.extend([1, 3, 3, 7]);
    segment
}

fn attempt(ttl: u8, quote: Option<Vec<u8>>) -> Attempt {
    let source = SocketAddr::new([10, 0, 0, 1].into(), u16::from_be_bytes([0x30, ttl]));
    let error = |quote| {
        Reply::Error(QueuedError {
            from: [10, 0, ttl, 254].into(),
            icmp_type: 11,
            icmp_code: 0,
            info: 0,
            quote,
        })
    };
    Attempt {
        probe: Probe::Syn,
        role: Role::Ladder,
        ttl,
        source,
        sent_at: Instant::ZERO,
        answer: quote.map(|quote| (MILLI, error(quote))),
    }
}

fn found(rungs: Vec<Option<Vec<u8>>>) -> Trace {
    let ttls = 1..;
    let mut attempts: Vec<Attempt> = ttls
        .zip(rungs)
        .map(|(ttl, quote)| attempt(ttl, quote))
        .collect();
    let mut end = attempt(9, None);
    end.role = Role::End;
    end.answer = Some((MILLI, Reply::Connected));
    attempts.push(end);
    let evidence = evidence(&route(), &attempts);
    judge(&evidence, route().target)
}

#[test]
fn numbers_that_differ_by_connection_are_no_change() {
    let trace = found((1..4).map(|ttl| Some(syn(ttl, [8, 10]))).collect());
    assert_eq!(trace.flows[0].changes, []);
    assert_eq!(trace.verdict.code, Code::PathClean);
    let states = trace.flows[0].hops.iter().map(|hop| hop.cells[0].state);
    assert_eq!(states.collect::<Vec<_>>(), [CellState::Same; 3]);
}

#[test]
fn an_option_that_is_lost_is_found_behind_the_last_hop_that_quotes_it() {
    let short = syn(2, [8, 10])[..8].to_vec();
    let trace = found(vec![
        Some(syn(1, [8, 10])),
        Some(short),
        None,
        Some(syn(4, [1, 1])),
    ]);
    let [located] = &trace.flows[0].changes[..] else {
        panic!("{:?}", trace.flows[0].changes);
    };
    assert!(matches!(located.change.field, Field::Option(_)));
    assert_eq!(located.change.how, How::Nopped);
    let between = Interval {
        after: 1,
        until: Place::Hop(4),
    };
    assert_eq!(located.between, between);
    assert_eq!(trace.verdict.code, Code::PathChanges);
}

#[test]
fn short_quotes_alone_show_no_change() {
    let short = |ttl| Some(syn(ttl, [8, 10])[..8].to_vec());
    let trace = found(vec![short(1), short(2)]);
    assert_eq!(trace.flows[0].changes, []);
    assert_eq!(trace.flows[0].hops.len(), 2);
    assert_eq!(trace.flows[0].hops[1].routers[0].quoted, 8);
}

#[test]
fn a_port_that_is_rewritten_is_a_change() {
    let mut quote = syn(2, [8, 10]);
    quote[0] = 0x99;
    let trace = found(vec![Some(syn(1, [8, 10])), Some(quote)]);
    assert_eq!(trace.flows[0].changes[0].change.field, Field::SourcePort);
}

/// A SYN with a signature: what is signed differs by connection.
fn signed(number: u8, option: [u8; 2]) -> Vec<u8> {
    let mut segment = syn(number, [8, 10])[..20].to_vec();
    segment[12] = 0xb0;
    segment.extend(option);
    segment.extend([if option == [1, 1] { 1 } else { number }; 16]);
    segment.extend([1, 1, 2, 4, 5, 0xb4]);
    segment
}

#[test]
fn a_signature_that_is_lost_is_found_by_its_own_probe() {
    let plain = (1..5).map(|ttl| attempt(ttl, Some(syn(ttl, [8, 10]))));
    let quotes = [[19, 18], [19, 18], [1, 1], [1, 1]];
    let signed = (1..).zip(quotes).map(|(ttl, option)| Attempt {
        probe: Probe::md5(),
        ..attempt(ttl, Some(signed(ttl, option)))
    });
    let evidence = evidence(&route(), &plain.chain(signed).collect::<Vec<_>>());
    let trace = judge(&evidence, route().target);
    let [located] = &trace.flows[0].changes[..] else {
        panic!("{:?}", trace.flows[0].changes);
    };
    assert_eq!(located.change.how, How::Nopped);
    assert_eq!(located.probes, [Probe::md5()]);
    let between = Interval {
        after: 2,
        until: Place::Hop(3),
    };
    assert_eq!(located.between, between);
}

#[test]
fn whoever_wants_the_end_is_not_told_of_silence() {
    // Nothing ever becomes of a socket that listens.
    let nothing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stop = Stop::default();
    let clock = Clock::start();
    assert!(!wait(&nothing, Duration::from_millis(30), &stop).unwrap());
    assert!(clock.now().since(Instant::ZERO) >= Duration::from_millis(30));
    stop.want();
    assert!(!wait(&nothing, Duration::from_secs(3600), &stop).unwrap());
    // A port that answers, and nobody who waits for it.
    let route = Route {
        target: nothing.local_addr().unwrap(),
        source: "127.0.0.1:0".parse().unwrap(),
        interface: None,
    };
    assert_eq!(kernel::ask(&route, &stop).unwrap_or(None), None);
    let climbed = trace(&route, (&[Probe::Syn], 3), clock, &stop).unwrap();
    assert!(matches!(climbed.ended, Ended::Interrupted));
    assert_eq!(climbed.kernel_mptcp, None);
    assert!(climbed.evidence.all().is_empty(), "what was not waited for");
}
