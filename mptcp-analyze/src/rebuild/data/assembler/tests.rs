use proptest::prelude::*;

use super::*;

fn kept(assembler: &mut Assembler) -> Vec<(i64, Vec<u8>)> {
    let chunks = assembler.take();
    chunks.into_iter().map(|c| (c.dsn, c.bytes)).collect()
}

#[test]
fn pieces_in_any_order_make_the_stream() {
    let mut assembler = Assembler::new(true);
    assembler.begin_at(1);
    assembler.push(4, b"lo wor");
    assembler.push(10, b"ld");
    assert_eq!(kept(&mut assembler), []);
    assembler.push(1, b"hel");
    assert_eq!(kept(&mut assembler), [(1, b"hello world".to_vec())]);
    let expected: [u8; 32] = Sha256::digest(b"hello world").into();
    assert_eq!(assembler.sha256(), Some(expected));
}

#[test]
fn a_hole_is_reported_and_spoils_the_hash() {
    let mut assembler = Assembler::new(true);
    assembler.begin_at(1);
    assembler.push(1, b"ab");
    assembler.push(6, b"cd");
    assert_eq!(assembler.sha256(), None);
    assembler.finish();
    assert_eq!(
        kept(&mut assembler),
        [(1, b"ab".to_vec()), (6, b"cd".to_vec())]
    );
    assert_eq!(assembler.holes().first(), Some(&(3..6)));
    assert_eq!(assembler.sha256(), None);
}

#[test]
fn a_stream_without_bytes_has_no_hash() {
    assert_eq!(Assembler::new(false).sha256(), None);
}

#[test]
fn too_much_behind_a_hole_makes_it_given_up() {
    let mut assembler = Assembler::new(false);
    assembler.begin_at(1);
    let block = vec![0u8; 1 << 20];
    for step in 0..33 {
        assembler.push(10 + (step << 20), &block);
        assert!(assembler.island_bytes <= MAX_OUT_OF_ORDER_BYTES);
    }
    assert_eq!(assembler.gave_up(), 1);
    assert_eq!(assembler.holes().first(), Some(&(1..10)));
}

#[test]
fn tiny_pieces_behind_a_hole_count_with_their_overhead() {
    let mut assembler = Assembler::new(false);
    assembler.begin_at(1);
    let enough = i64::try_from(MAX_OUT_OF_ORDER_BYTES / 65 + 2).unwrap();
    for step in 0..enough {
        assembler.push(10 + step * 2, b"x");
    }
    assert!(assembler.islands.len() * 65 <= MAX_OUT_OF_ORDER_BYTES);
    assert!(assembler.gave_up() > 0);
}

proptest! {
    #[test]
    fn overlapping_pieces_of_one_stream_give_it_back(
        stream in prop::collection::vec(any::<u8>(), 1..200),
        cuts in prop::collection::vec((0usize..200, 1usize..50), 0..60),
    ) {
        let mut assembler = Assembler::new(true);
        assembler.begin_at(1);
        for (from, len) in cuts {
            let from = from.min(stream.len() - 1);
            let to = (from + len).min(stream.len());
            assembler.push(1 + i64::try_from(from).unwrap(), &stream[from..to]);
        }
        assembler.push(1, &stream);
        let joined: Vec<u8> = kept(&mut assembler).into_iter().flat_map(|(_, b)| b).collect();
        let expected: [u8; 32] = Sha256::digest(&stream).into();
        prop_assert_eq!(joined, stream);
        prop_assert_eq!(assembler.sha256(), Some(expected));
    }
}
