//! The end of connections (RFC 8684 §3.3.3, §3.5, appendix D).

use std::time::Duration;

use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::config::{FastCloseForm, Offer};
use mptcp_proto::conn::{Config, ConnectionEnd, Event, State, SubflowEnd, Violation};
use mptcp_proto::path::SubflowId;
use mptcp_proto::wire::mptcp::{Priority, Subtype};

use super::handshake::fallback;
use super::join::{down, established, join, violation};
use super::meddle::{drop_if, flip, meddle, subtypes};
use super::pair::{Pair, Way, pattern, read_all};

fn closed(event: &Event) -> Option<ConnectionEnd> {
    match event {
        Event::Closed { how } => Some(*how),
        _ => None,
    }
}

fn configs() -> Vec<Config> {
    [Offer::Off, Offer::V0, Offer::V1]
        .map(|mptcp| Config {
            mptcp,
            ..Config::default()
        })
        .to_vec()
}

#[test]
fn half_a_connection_stays_open_for_the_other_direction() {
    for config in configs() {
        for closer in 0..2 {
            let (mut pair, ours, theirs) = Pair::established(config.clone(), config.clone());
            let data = pattern(100_000, 1);
            if closer == 0 {
                pair.client(ours).shutdown_write();
            } else {
                pair.server(theirs).shutdown_write();
            }
            pair.run_for(Duration::from_secs(1));
            let mut done = 0;
            let mut got = Vec::new();
            pair.run_until(Duration::from_secs(20), |pair| {
                let sides = [
                    pair.client.connection_mut(ours),
                    pair.server.connection_mut(theirs),
                ];
                let [Some(client), Some(server)] = sides else {
                    return false;
                };
                let (from, to) = if closer == 0 {
                    (server, client)
                } else {
                    (client, server)
                };
                done += from.write(&data[done..]).unwrap();
                read_all(to, &mut got);
                got.len() == data.len()
            });
            assert!(got == data);
            pair.client(ours).shutdown_write();
            pair.server(theirs).shutdown_write();
            pair.run_for(Duration::from_secs(3));
            for side in 0..2 {
                assert_eq!(
                    pair.picked(side, closed),
                    [ConnectionEnd::Closed],
                    "{config:?}"
                );
            }
        }
    }
}

#[test]
fn the_states_are_those_of_appendix_d() {
    let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
    pair.transfer([ours, theirs], b"a", b"b", Duration::from_secs(1));
    pair.client(ours).shutdown_write();
    assert_eq!(pair.client(ours).state(), State::FinWait1);
    pair.run_for(Duration::from_millis(15));
    assert_eq!(pair.server(theirs).state(), State::CloseWait);
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.client(ours).state(), State::FinWait2);
    assert_eq!(pair.server(theirs).read(&mut [0; 9]), Read::End);
    pair.server(theirs).shutdown_write();
    assert_eq!(pair.server(theirs).state(), State::LastAck);
    pair.run_for(Duration::from_millis(200));
    assert_eq!(pair.picked(1, closed), [ConnectionEnd::Closed]);
    // RFC 8041 §3.6: who closed second has no TIME-WAIT, and nothing is left of it.
    assert_eq!(pair.server.connection_count(), 0);
    assert_eq!(pair.client.connection_count(), 1);
}

#[test]
fn a_lost_data_fin_is_sent_again() {
    let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
    pair.transfer([ours, theirs], b"a", b"b", Duration::from_secs(1));
    let mut left = 3;
    pair.hook = Some(drop_if(move |seen| {
        let is_due = seen.way == Way::ToServer && left > 0;
        left -= i32::from(is_due);
        is_due
    }));
    pair.exchange([ours, theirs], b"", b"");
}

#[test]
fn closing_at_once_from_both_sides_ends_well() {
    for config in configs() {
        let (mut pair, ours, theirs) = Pair::established(config.clone(), config);
        pair.client(ours).close();
        pair.server(theirs).close();
        pair.run_for(Duration::from_secs(3));
        for side in 0..2 {
            assert_eq!(pair.picked(side, closed), [ConnectionEnd::Closed]);
        }
        pair.run_for(Duration::from_secs(130));
        assert_eq!(
            pair.client.connection_count() + pair.server.connection_count(),
            0
        );
    }
}

#[test]
fn a_connection_may_close_right_after_the_handshake_with_data_on_their_way() {
    for config in configs() {
        let mut pair = Pair::new(4);
        let ours = pair.connect(config.clone(), config.clone());
        pair.client(ours).write(b"question").unwrap();
        pair.client(ours).shutdown_write();
        pair.run_for(Duration::from_millis(300));
        let theirs = pair.accepted();
        let mut got = Vec::new();
        read_all(pair.server(theirs), &mut got);
        assert_eq!(got, b"question");
        pair.server(theirs).write(b"answer").unwrap();
        pair.server(theirs).shutdown_write();
        pair.run_for(Duration::from_secs(1));
        let mut got = Vec::new();
        read_all(pair.client(ours), &mut got);
        assert_eq!(got, b"answer", "{config:?}");
        assert_eq!(pair.picked(0, fallback), []);
        assert_eq!(pair.picked(0, closed), [ConnectionEnd::Closed]);
    }
}

#[test]
fn an_abort_ends_all_subflows_on_both_sides() {
    for form in [FastCloseForm::Reset, FastCloseForm::Ack] {
        let config = Config {
            fast_close: form,
            ..Config::default()
        };
        let (mut pair, ids) = established(&config);
        join(&mut pair, ids[0], Priority::Regular);
        pair.client(ids[0]).write(&pattern(100_000, 1)).unwrap();
        pair.run_for(Duration::from_millis(5));
        pair.client(ids[0]).abort();
        pair.run_for(Duration::from_secs(10));
        assert_eq!(pair.picked(0, closed), [ConnectionEnd::Aborted]);
        assert_eq!(pair.picked(1, closed), [ConnectionEnd::ResetByPeer]);
        pair.run_for(Duration::from_secs(130));
        assert_eq!(pair.client.connection_count(), 0, "{form:?}");
        assert_eq!(pair.server.connection_count(), 0, "{form:?}");
    }
}

#[test]
fn an_abort_whose_answer_is_lost_is_repeated_and_ends() {
    let config = Config {
        fast_close: FastCloseForm::Ack,
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    pair.hook = Some(drop_if(|seen| seen.way == Way::ToClient));
    pair.client(ids[0]).abort();
    pair.run_for(Duration::from_secs(30));
    let count = pair.log.iter().filter(|sent| {
        let segment = mptcp_proto::wire::segment::Segment::parse(&sent.packet, false).unwrap();
        subtypes(&segment).contains(&Subtype::FAST_CLOSE)
    });
    assert!((3..=5).contains(&count.count()));
    assert_eq!(pair.picked(1, closed), [ConnectionEnd::ResetByPeer]);
    assert_eq!(pair.client.connection_count(), 0);
}

#[test]
fn a_fast_close_with_another_key_is_ignored() {
    let config = Config {
        fast_close: FastCloseForm::Ack,
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    pair.hook = Some(meddle(|_, options, _| {
        flip(options, Subtype::FAST_CLOSE);
        true
    }));
    pair.client(ids[0]).abort();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.picked(1, violation), [Violation::FastCloseKey]);
    assert!(pair.picked(1, closed).is_empty());
}

#[test]
fn closing_with_unread_data_is_an_abort() {
    let (mut pair, ids) = established(&Config::default());
    pair.client(ids[0]).write(b"nobody reads this").unwrap();
    pair.run_for(Duration::from_millis(100));
    pair.server(ids[1]).close();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.picked(0, closed), [ConnectionEnd::ResetByPeer]);
}

#[test]
fn a_fin_without_data_fin_closes_the_subflow_and_not_the_connection() {
    let (mut pair, ids) = established(&Config::default());
    let fin = mptcp_proto::conn::command::SubflowClose::Fin;
    pair.client(ids[0])
        .close_subflow(SubflowId(0), fin)
        .unwrap();
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.picked(1, down), [(SubflowId(0), SubflowEnd::Closed)]);
    assert_eq!(pair.server(ids[1]).state(), State::Established);
    assert!(pair.picked(1, closed).is_empty());
    join(&mut pair, ids[0], Priority::Regular);
    pair.exchange(ids, &pattern(1000, 1), &pattern(1000, 2));
}

#[test]
fn a_connection_whose_subflows_are_all_gone_ends_after_a_while() {
    let (mut pair, ids) = established(&Config::default());
    let fin = mptcp_proto::conn::command::SubflowClose::Fin;
    pair.client(ids[0])
        .close_subflow(SubflowId(0), fin)
        .unwrap();
    pair.run_for(Duration::from_secs(200));
    for side in 0..2 {
        assert_eq!(pair.picked(side, closed), [ConnectionEnd::TimedOut]);
    }
    assert_eq!(
        pair.client.connection_count() + pair.server.connection_count(),
        0
    );
}

#[test]
fn a_refused_connection_says_so() {
    let mut pair = Pair::new(4);
    let path = super::pair::path(super::pair::CLIENT, "10.9.0.1:81");
    pair.client
        .connect(pair.now, path, Config::default())
        .unwrap();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.picked(0, closed), [ConnectionEnd::Refused]);
    assert_eq!(pair.client.connection_count(), 0);
}

#[test]
fn a_connection_may_close_without_data_though_the_third_ack_is_lost() {
    for config in configs() {
        for lost in 0..3 {
            let mut pair = Pair::new(4);
            pair.hook = Some(drop_if(move |seen| {
                seen.way == Way::ToServer && (1..=lost).contains(&seen.number)
            }));
            let ours = pair.connect(config.clone(), config.clone());
            pair.client(ours).shutdown_write();
            pair.run_for(Duration::from_secs(20));
            let theirs = pair.accepted();
            pair.server(theirs).shutdown_write();
            pair.run_for(Duration::from_secs(20));
            for side in 0..2 {
                assert_eq!(
                    pair.picked(side, closed),
                    [ConnectionEnd::Closed],
                    "{lost} {config:?}"
                );
            }
        }
    }
}
