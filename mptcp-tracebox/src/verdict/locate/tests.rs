use super::*;
use crate::diff::compare;
use crate::packet::tests::sample;

/// MSS, SACK permitted, two fillers, window scale, MP_CAPABLE.
const OPTIONS: [u8; 16] = [2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7, 30, 4, 1, 0x81];

fn packet(options: &[u8]) -> Vec<u8> {
    let mut packet = sample("10.0.0.1:9", "10.0.0.2:80");
    packet.ttl = 1;
    packet.options = options.to_vec();
    packet.payload = Vec::new();
    packet.emit().unwrap()
}

/// What hops quote: options as they arrive, and bytes of TCP that are quoted.
fn quotes(hops: &[(&[u8], usize)]) -> Vec<Comparison> {
    let sent = packet(&OPTIONS);
    let quote = |(options, len): &(&[u8], usize)| {
        let mut quote = packet(options);
        quote.truncate(20 + len);
        compare(&sent, &quote).unwrap()
    };
    hops.iter().map(quote).collect()
}

/// Each change as text, of hops that answer from TTL 1 on.
#[track_caller]
fn check(hops: &[(&[u8], usize)], is_balanced: bool, expected: &[&str]) {
    let quotes = quotes(hops);
    let sights = Sights {
        probe: Probe::CapableV1,
        quotes: (1..).zip(&quotes).collect(),
    };
    let found = sights.located(is_balanced);
    let texts = found.iter().map(|located| {
        let Change { field, how, .. } = &located.change;
        format!("{field} {how} {}", located.between)
    });
    assert_eq!(texts.collect::<Vec<_>>(), expected);
}

const SENT: (&[u8], usize) = (&OPTIONS, 60);
const SHORT: (&[u8], usize) = (&OPTIONS, 8);

/// MP_CAPABLE removed.
const LESS: &[u8] = &[2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7];
/// MP_CAPABLE overwritten.
const NOPPED: &[u8] = &[2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7, 1, 1, 1, 1];
/// Packed anew after MP_CAPABLE was overwritten and SACK permitted removed.
const PACKED: &[u8] = &[2, 4, 5, 0xb4, 1, 3, 3, 7];

#[test]
fn a_change_lies_between_the_last_clean_hop_and_the_first_that_shows_it() {
    check(&[SENT, SENT, SENT], false, &[]);
    let expected = "MP_CAPABLE replaced by NOPs between hop 2 and hop 3";
    check(
        &[SENT, SENT, (NOPPED, 60), (NOPPED, 60)],
        false,
        &[expected],
    );
    let expected = "MP_CAPABLE replaced by NOPs between this host and hop 1";
    check(&[(NOPPED, 60), (NOPPED, 60)], false, &[expected]);
}

#[test]
fn short_quotes_widen_what_leaves_the_length_alone() {
    let expected = "MP_CAPABLE replaced by NOPs between hop 1 and hop 4";
    check(
        &[SENT, SHORT, (NOPPED, 8), (NOPPED, 60)],
        false,
        &[expected],
    );
}

#[test]
fn the_length_tells_where_an_option_went_even_in_short_quotes() {
    let expected = "MP_CAPABLE removed between hop 2 and hop 3";
    check(&[SENT, SHORT, (LESS, 8), (LESS, 60)], false, &[expected]);
    check(&[SENT, SENT, (LESS, 60), (LESS, 8)], false, &[expected]);
    // The header tells more of its length than eight bytes do.
    check(
        &[SENT, SHORT, (LESS, 28), (LESS, 8), (LESS, 60)],
        false,
        &[expected],
    );
}

#[test]
fn a_length_that_nobody_explains_is_a_change_of_its_own() {
    let expected = "length rewritten between hop 2 and hop 3";
    check(&[SENT, SHORT, (LESS, 8), (LESS, 8)], false, &[expected]);
}

#[test]
fn an_option_is_lost_once_even_if_its_remains_go_later() {
    let hops: [(&[u8], usize); 4] = [SENT, (NOPPED, 60), (NOPPED, 60), (PACKED, 60)];
    let expected = [
        "MP_CAPABLE replaced by NOPs between hop 1 and hop 2",
        "SACK permitted removed between hop 3 and hop 4",
    ];
    check(&hops, false, &expected);
}

#[test]
fn two_losses_seen_at_once_are_not_placed_by_the_length() {
    // MP_CAPABLE was overwritten at hop 1 or 2: that the length changed at hop 3 says nothing of it.
    let expected = [
        "SACK permitted removed between this host and hop 4",
        "MP_CAPABLE removed between this host and hop 4",
    ];
    check(
        &[SHORT, (NOPPED, 8), (PACKED, 8), (PACKED, 60)],
        false,
        &expected,
    );
}

#[test]
fn where_ways_part_a_clean_hop_counts_only_with_many_that_agree() {
    let expected = "MP_CAPABLE replaced by NOPs between this host and hop 3";
    check(&[SENT, SENT, (NOPPED, 60), (NOPPED, 60)], true, &[expected]);
    // Eight of each agree by chance on one of 65,536 paths: too often.
    let mut hops = vec![SENT; 8];
    hops.extend([(NOPPED, 60); 8]);
    let expected = "MP_CAPABLE replaced by NOPs between this host and hop 9";
    check(&hops, true, &[expected]);
    let mut hops = vec![SENT; 16];
    hops.extend([(NOPPED, 60); 16]);
    let expected = "MP_CAPABLE replaced by NOPs between hop 16 and hop 17";
    check(&hops, true, &[expected]);
}

#[test]
fn a_clean_quote_behind_a_changed_one_shows_that_ways_part() {
    let expected = "MP_CAPABLE replaced by NOPs between this host and hop 2";
    check(&[SENT, (NOPPED, 60), SENT], false, &[expected]);
}

#[test]
fn intervals_of_two_probes_are_cut_where_they_agree_and_joined_where_not() {
    let located = |after, until| Located {
        change: Change {
            field: Field::Window,
            how: How::Rewritten,
            sent: Vec::new(),
            seen: Vec::new(),
        },
        probes: vec![Probe::Syn],
        between: Interval {
            after,
            until: Place::Hop(until),
        },
        witnesses: 1,
    };
    for (intervals, both) in [
        (&[(1, 4), (2, 6)][..], (2, 4)),
        (&[(0, 3), (2, 3)], (2, 3)),
        (&[(0, 2), (4, 5)], (0, 5)),
        // Whatever the order.
        (&[(2, 3), (3, 5), (3, 5)], (2, 5)),
        (&[(3, 5), (3, 5), (2, 3)], (2, 5)),
    ] {
        let group = intervals
            .iter()
            .map(|&(after, until)| located(after, until));
        let known = joined(group.collect()).unwrap();
        assert_eq!(known.between, located(both.0, both.1).between);
        assert_eq!(known.witnesses, u32::try_from(intervals.len()).unwrap());
        assert_eq!(known.probes.len(), intervals.len());
    }
}
