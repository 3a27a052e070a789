use super::*;
use proptest::prelude::*;

fn drain(receiver: &mut Receiver) -> Vec<u8> {
    std::iter::from_fn(|| receiver.pop())
        .flat_map(|(_, bytes)| bytes)
        .collect()
}

#[test]
fn a_gap_that_is_filled_delivers_all_in_order() {
    let mut receiver = Receiver::new(1000);
    assert_eq!(receiver.insert(0, b"ab").delivered, Some(0..2));
    let early = receiver.insert(4, b"ef");
    assert_eq!((early.delivered, early.is_urgent), (None, true));
    assert_eq!(receiver.insert(1, b"bcdef").delivered, Some(1..3));
    assert_eq!(receiver.next(), 6);
    assert_eq!(drain(&mut receiver), b"ef");
}

#[test]
fn the_block_that_grew_last_comes_first() {
    let mut receiver = Receiver::new(1000);
    for start in [10, 20, 30, 11] {
        receiver.insert(start, b"x");
    }
    let blocks: Vec<_> = receiver.sack_blocks(3).collect();
    assert_eq!(blocks, [10..12, 30..31, 20..21]);
}

#[test]
fn a_duplicate_is_reported_once_and_first() {
    let mut receiver = Receiver::new(1000);
    receiver.insert(0, b"abc");
    receiver.insert(5, b"f");
    receiver.insert(0, b"ab");
    assert_eq!(receiver.sack_blocks(4).collect::<Vec<_>>(), [0..2, 5..6]);
    receiver.clear_duplicate();
    assert_eq!(receiver.sack_blocks(4).next(), Some(5..6));
}

#[test]
fn a_fin_before_data_that_came_is_not_believed() {
    let mut receiver = Receiver::new(1000);
    receiver.insert(10, b"abc");
    assert!(!receiver.set_fin(0));
    assert!(!receiver.set_fin(12));
    assert!(receiver.set_fin(13));
}

#[test]
fn one_byte_segments_cannot_fill_the_memory() {
    let mut receiver = Receiver::new(1_000_000);
    for index in 0..10_000 {
        receiver.insert(2 + index * 2, b"x");
    }
    assert_eq!(receiver.waiting.len(), MAX_OUT_OF_ORDER_PIECES);
    assert_eq!(receiver.insert(40_000, b"x").dropped, 1);
}

#[test]
fn the_right_edge_never_moves_back_unless_the_window_is_shared() {
    let mut receiver = Receiver::new(1000);
    assert_eq!(receiver.announce(1000, 0, false), 1000);
    receiver.insert(0, &[0; 100]);
    assert_eq!(receiver.announce(500, 0, false), 900);
    assert_eq!(receiver.announce(500, 0, true), 500);
    assert_eq!(receiver.window(), 900);
}

#[test]
fn rounding_by_the_scale_does_not_move_the_edge_back() {
    let mut receiver = Receiver::new(1000);
    assert_eq!(receiver.announce(1000, 7, false), 8);
    receiver.insert(0, &[0; 10]);
    assert_eq!(u64::from(receiver.announce(990, 7, false)) << 7, 1024);
}

#[test]
fn what_rounding_adds_does_not_add_up() {
    let mut receiver = Receiver::new(10_000);
    receiver.announce(10_000, 7, false);
    for index in 0..900 {
        receiver.insert(index * 11, &[0; 11]);
        receiver.announce(10_000 - index * 11 - 11, 7, false);
    }
    assert!(receiver.edge < 10_000 + 128, "{}", receiver.edge);
}

#[test]
fn a_small_opening_of_the_window_is_not_announced() {
    let mut receiver = Receiver::new(1000);
    receiver.insert(0, &[0; 1000]);
    assert_eq!(receiver.announce(499, 0, false), 0);
    assert_eq!(receiver.announce(500, 0, false), 500);
}

proptest! {
    #[test]
    fn any_order_of_pieces_gives_the_stream(
        pieces in prop::collection::vec((0_usize..200, 1_usize..30), 1..200),
    ) {
        let stream: Vec<u8> = (0..=255).collect();
        let mut receiver = Receiver::new(1000);
        let mut got = Vec::new();
        let mut known = vec![false; 256];
        for (start, len) in pieces {
            let payload = &stream[start..start + len];
            known[start..start + len].fill(true);
            let intake = receiver.insert(start as u64, payload);
            got.extend_from_slice(&payload[intake.delivered.unwrap_or(0..0)]);
            got.extend(drain(&mut receiver));
            let contiguous = known.iter().take_while(|known| **known).count();
            prop_assert_eq!(usize::try_from(receiver.next()), Ok(contiguous));
            prop_assert_eq!(&got[..], &stream[..contiguous]);
            let waiting: usize = receiver.waiting.values().map(Vec::len).sum();
            prop_assert_eq!(usize::try_from(receiver.waiting_bytes()), Ok(waiting));
        }
    }
}
