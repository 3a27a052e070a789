//! Opening (RFC 9293 §3.5, RFC 7413).

use mptcp_proto::tcp::{FastOpen, FastOpenCookie, TcpEvent, reset_reply};

use super::*;

#[test]
fn the_third_segment_of_the_handshake_leaves_at_once() {
    let mut bench = Bench::connect(&plain());
    let syn = bench.sent().remove(0);
    assert_eq!((syn.seq, syn.flags, syn.window), (TcpSeq(ISS), SYN, 65_535));
    assert_eq!(syn.area.as_bytes(), MSS_OPTION);
    let received = bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&MSS_OPTION));
    assert!(received.events.contains(TcpEvent::Connected));
    let ack = bench.sent().remove(0);
    assert_eq!((ack.seq, ack.ack), (TcpSeq(ISS + 1), TcpSeq(IRS + 1)));
    bench.silent();
}

#[test]
fn data_goes_with_the_third_segment_when_there_is_some() {
    let mut bench = Bench::connect(&plain());
    bench.push(10);
    assert_eq!(bench.sent_flags(), [SYN]);
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&MSS_OPTION));
    assert_eq!(bench.sent_data(), [(0, 10)]);
    bench.silent();
}

#[test]
fn a_passive_open_is_complete_with_the_third_segment() {
    let mut bench = Bench::accept(&plain(), peer(IRS, 0, SYN).options(&MSS_OPTION));
    let syn_ack = bench.sent().remove(0);
    assert_eq!(syn_ack.flags, SYN.with(ACK));
    assert_eq!((syn_ack.seq, syn_ack.ack), (TcpSeq(ISS), TcpSeq(IRS + 1)));
    let received = bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"hi"));
    assert!(received.events.contains(TcpEvent::Connected));
    assert_eq!(received.delivered, Some(0..2));
    assert_eq!(bench.tcp.state(), State::Established);
}

#[test]
fn a_syn_that_comes_again_is_answered_again() {
    let mut bench = Bench::accept(&plain(), peer(IRS, 0, SYN));
    assert_eq!(bench.sent_flags(), [SYN.with(ACK)]);
    let received = bench.receive(peer(IRS, 0, SYN));
    assert!(received.events.contains(TcpEvent::DuplicateSyn));
    assert_eq!(bench.sent_flags(), [SYN.with(ACK)]);
    assert_eq!(bench.tcp.state(), State::SynReceived);
}

#[test]
fn both_syns_cross() {
    let mut bench = Bench::connect(&plain());
    assert_eq!(bench.sent_flags(), [SYN]);
    bench.receive(peer(IRS, 0, SYN).options(&MSS_OPTION));
    let answer = bench.sent().remove(0);
    assert_eq!((answer.flags, answer.seq), (SYN.with(ACK), TcpSeq(ISS)));
    let received = bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)));
    assert!(received.events.contains(TcpEvent::Connected));
    assert_eq!(bench.tcp.state(), State::Established);
}

#[test]
fn an_old_answer_is_reset_and_the_open_goes_on() {
    // RFC 9293 §3.5, figure 9.
    let mut bench = Bench::connect(&plain());
    bench.sent();
    bench.receive(peer(IRS, ISS - 7, SYN.with(ACK)));
    let reset = bench.sent().remove(0);
    assert_eq!((reset.flags, reset.seq), (RST, TcpSeq(ISS - 7)));
    assert_eq!(bench.tcp.state(), State::SynSent);
}

#[test]
fn a_reset_without_the_right_acknowledgement_refuses_nothing() {
    let mut bench = Bench::connect(&plain());
    bench.sent();
    for (ack, flags) in [(0, RST), (ISS, RST.with(ACK)), (ISS + 2, RST.with(ACK))] {
        bench.receive(peer(0, ack, flags));
        assert_eq!(bench.tcp.state(), State::SynSent, "{flags:?} {ack}");
    }
    let received = bench.receive(peer(0, ISS + 1, RST.with(ACK)));
    assert!(received.events.contains(TcpEvent::Refused));
    assert_eq!(bench.tcp.state(), State::Closed);
    bench.silent();
}

#[test]
fn a_cookie_server_goes_on_from_the_third_segment() {
    let negotiated = Bench::established(&with_sack()).tcp.info().negotiated;
    let mut bench = Bench::with(|now| {
        let (irs, iss) = (TcpSeq(IRS), TcpSeq(ISS));
        Tcp::from_cookie(&with_sack(), path(), irs, iss, negotiated, now)
    });
    bench.silent();
    let received = bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"abc"));
    assert!(received.events.contains(TcpEvent::Connected));
    assert_eq!(received.delivered, Some(0..3));
    bench.push(5);
    assert_eq!(bench.sent_data(), [(0, 5)]);
}

#[test]
fn a_cookie_server_believes_any_first_timestamp() {
    let mut negotiated = Bench::established(&plain()).tcp.info().negotiated;
    negotiated.timestamps = true;
    let config = Config {
        timestamps: Some(0),
        ..plain()
    };
    let mut bench = Bench::with(|now| {
        let (irs, iss) = (TcpSeq(IRS), TcpSeq(ISS));
        Tcp::from_cookie(&config, path(), irs, iss, negotiated, now)
    });
    let stamp = [1, 1, 8, 10, 0xf0, 0, 0, 0, 0, 0, 0, 1];
    assert!(
        bench
            .receive(peer(IRS + 1, ISS + 1, ACK).options(&stamp))
            .accepted
    );
    let older = [1, 1, 8, 10, 0xef, 0, 0, 0, 0, 0, 0, 1];
    assert!(
        !bench
            .receive(peer(IRS + 1, ISS + 1, ACK).options(&older))
            .accepted
    );
}

#[test]
fn the_syn_is_sent_again_with_growing_patience() {
    let mut bench = Bench::connect(&plain());
    assert_eq!(bench.sent_flags(), [SYN]);
    for wait in [1000, 2000, 4000] {
        let (took, _) = bench.deadline();
        assert_eq!(took, wait);
        assert_eq!(bench.sent_flags(), [SYN]);
    }
    for _ in 0..4 {
        bench.deadline();
        bench.sent();
    }
    let (_, result) = bench.deadline();
    assert!(result.events.contains(TcpEvent::TimedOut));
    assert_eq!(bench.tcp.syn_transmissions(), 8);
}

#[test]
fn nobody_at_home_is_a_reset() {
    let from_ack = peer(IRS, ISS, ACK);
    let reset = reset_reply(&segment(from_ack)).unwrap();
    assert_eq!((reset.flags, reset.seq), (RST, TcpSeq(ISS)));
    let from_syn = peer(IRS, 0, SYN).data(b"abc");
    let reset = reset_reply(&segment(from_syn)).unwrap();
    assert_eq!((reset.flags, reset.ack), (RST.with(ACK), TcpSeq(IRS + 4)));
    assert!(reset_reply(&segment(peer(IRS, 0, RST))).is_none());
}

fn cookie() -> FastOpenCookie {
    FastOpenCookie::new(&[9; 8]).unwrap()
}

#[test]
fn a_cookie_lets_data_go_with_the_syn() {
    let config = Config {
        fast_open: FastOpen::Cookie(cookie()),
        ..plain()
    };
    let mut bench = Bench::connect(&config);
    bench.push(100);
    let syn = bench.sent().remove(0);
    assert_eq!((syn.flags, syn.stream.clone()), (SYN, 0..100));
    let answer = peer(IRS, ISS + 101, SYN.with(ACK)).options(&MSS_OPTION);
    let received = bench.receive(answer);
    assert_eq!(received.acked.map(|acked| acked.bytes), Some(100));
    assert_eq!(bench.sent_flags(), [ACK]);
}

#[test]
fn data_of_the_syn_that_was_not_taken_goes_again() {
    let config = Config {
        fast_open: FastOpen::Cookie(cookie()),
        ..plain()
    };
    let mut bench = Bench::connect(&config);
    bench.push(100);
    bench.sent();
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&MSS_OPTION));
    assert_eq!(bench.sent_data(), [(0, 100)]);
    assert_eq!(bench.hook.losses, 0);
}

#[test]
fn a_server_takes_data_of_a_syn_and_grants_a_cookie() {
    let syn = peer(IRS, 0, SYN).data(b"early").options(&[34, 2, 0, 0]);
    let config = Config {
        fast_open: FastOpen::Accept(Some(cookie())),
        ..plain()
    };
    let mut bench = Bench::accept(&config, syn);
    assert_eq!(bench.tcp.next_received(), Some((0, b"early".to_vec())));
    bench.push(10);
    let sent = bench.sent();
    assert_eq!(sent[0].ack, TcpSeq(IRS + 6));
    assert!(
        sent[0]
            .area
            .as_bytes()
            .ends_with(&[34, 10, 9, 9, 9, 9, 9, 9, 9, 9, 1, 1])
    );
    assert_eq!(sent[1].stream, 0..10);
    // Without leave, it is as if the data had not come.
    let mut bench = Bench::accept(&plain(), syn);
    assert_eq!(bench.tcp.next_received(), None);
    assert_eq!(bench.sent()[0].ack, TcpSeq(IRS + 1));
}

#[test]
fn a_granted_cookie_is_kept() {
    let config = Config {
        fast_open: FastOpen::Request,
        ..plain()
    };
    let mut bench = Bench::connect(&config);
    assert!(bench.sent()[0].area.as_bytes().ends_with(&[34, 2, 1, 1]));
    let options = [34, 10, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0];
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&options));
    assert_eq!(bench.tcp.info().fast_open_cookie, Some(cookie()));
}
