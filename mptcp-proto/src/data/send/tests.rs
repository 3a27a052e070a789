use proptest::prelude::*;

use super::*;

const FIRST: Dsn = Dsn(u64::MAX - 100);
const A: SubflowId = SubflowId(0);
const B: SubflowId = SubflowId(1);
const C: SubflowId = SubflowId(2);

/// A buffer in which `sent` of `written` bytes were sent, alternating between A and B in turns of 10.
fn buffer(written: usize, sent: usize) -> SendBuffer {
    let mut buffer = SendBuffer::new(FIRST, 1 << 20);
    buffer.set_window(FIRST, 1 << 20);
    assert_eq!(buffer.write(&pattern(0, written)), written);
    let mut done = 0;
    for on in [A, B].into_iter().cycle() {
        if done >= sent {
            break;
        }
        done += buffer.take_new(on, (sent - done).min(10)).unwrap().1.len();
    }
    buffer
}

/// What the application writes: a byte tells its place.
fn pattern(place: u64, len: usize) -> Vec<u8> {
    (place..place + len as u64)
        .map(|place| (place % 251) as u8)
        .collect()
}

#[track_caller]
fn check_taken(taken: Option<(Dsn, Payload)>, place: u64, len: usize) {
    let (dsn, payload) = taken.expect("something to send");
    assert_eq!(dsn, FIRST.add(place));
    assert_eq!(payload.as_slice(), pattern(place, len));
}

#[test]
fn nothing_is_sent_before_the_window_is_known_nor_beyond_it() {
    let mut buffer = SendBuffer::new(FIRST, 1000);
    assert_eq!(buffer.write(&pattern(0, 300)), 300);
    assert_eq!(buffer.take_new(A, 100), None);
    assert!(buffer.set_window(FIRST, 150));
    check_taken(buffer.take_new(A, 100), 0, 100);
    check_taken(buffer.take_new(A, 100), 100, 50);
    assert!(buffer.is_window_blocked());
    check_taken(buffer.take_probe(A), 150, 1);
}

#[test]
fn the_right_edge_of_the_window_never_moves_back() {
    let mut buffer = buffer(300, 50);
    buffer = SendBuffer { edge: 0, ..buffer };
    assert!(buffer.set_window(FIRST.add(20), 100));
    assert!(!buffer.set_window(FIRST.add(40), 0));
    assert!(!buffer.set_window(FIRST, 110));
    assert_eq!(buffer.window_left(), 70);
    assert!(
        !buffer.set_window(FIRST.add(52), 1000),
        "acknowledges what was not sent"
    );
}

#[test]
fn the_capacity_bounds_what_is_kept_until_it_is_data_acked() {
    let mut buffer = SendBuffer::new(FIRST, 100);
    assert_eq!(buffer.write(&[1; 70]), 70);
    assert_eq!(buffer.write(&[2; 70]), 30);
    assert_eq!(buffer.write(&[3; 70]), 0);
    buffer.set_window(FIRST, 60);
    buffer.take_new(A, 60);
    buffer.on_data_ack(FIRST.add(60));
    assert_eq!((buffer.used(), buffer.free()), (40, 60));
    buffer.set_capacity(10);
    assert_eq!((buffer.used(), buffer.free()), (40, 0));
}

#[test]
fn data_acks_of_the_past_and_the_future_change_nothing() {
    let mut buffer = buffer(100, 50);
    let fin = false;
    assert_eq!(
        buffer.on_data_ack(FIRST.add(30)),
        DataAcked::Advanced { bytes: 30, fin }
    );
    assert_eq!(buffer.on_data_ack(FIRST.add(30)), DataAcked::Repeated);
    assert_eq!(buffer.on_data_ack(FIRST), DataAcked::Repeated);
    assert_eq!(buffer.on_data_ack(Dsn(FIRST.0 - 5)), DataAcked::Repeated);
    assert_eq!(buffer.on_data_ack(FIRST.add(51)), DataAcked::Beyond);
    assert_eq!(
        buffer.on_data_ack(FIRST.add(50)),
        DataAcked::Advanced { bytes: 20, fin }
    );
}

#[test]
fn the_data_fin_takes_the_dsn_after_the_last_byte() {
    let mut buffer = buffer(30, 20);
    buffer.shut_down();
    assert_eq!(buffer.write(b"more"), 0);
    assert_eq!(buffer.fin_dsn(), Some(FIRST.add(30)));
    assert!(!buffer.is_fin_due());
    buffer.on_fin_sent();
    assert!(!buffer.is_fin_unacked(), "data are left to send");
    check_taken(buffer.take_new(A, 100), 20, 10);
    assert!(buffer.is_fin_due());
    assert_eq!(buffer.on_data_ack(FIRST.add(31)), DataAcked::Beyond);
    buffer.on_fin_sent();
    assert!(buffer.is_fin_unacked());
    let done = buffer.on_data_ack(FIRST.add(31));
    assert_eq!(
        done,
        DataAcked::Advanced {
            bytes: 30,
            fin: true
        }
    );
    assert!(buffer.is_finished());
    assert_eq!(buffer.on_data_ack(FIRST.add(31)), DataAcked::Repeated);
}

#[test]
fn the_oldest_data_are_those_that_the_same_subflows_carry() {
    let mut buffer = buffer(100, 40);
    buffer.assign(C, FIRST.add(4), 100);
    buffer.on_data_ack(FIRST.add(2));
    let oldest = |buffer: &SendBuffer| {
        let oldest = buffer.oldest().unwrap();
        (oldest.dsn, oldest.len, oldest.subflows)
    };
    assert_eq!(oldest(&buffer), (FIRST.add(2), 2, vec![A]));
    buffer.on_data_ack(FIRST.add(4));
    assert_eq!(oldest(&buffer), (FIRST.add(4), 6, vec![A, C]));
    buffer.forget_subflow(A);
    buffer.forget_subflow(C);
    assert_eq!(oldest(&buffer), (FIRST.add(4), 6, vec![]));
    buffer.on_data_ack(FIRST.add(40));
    assert_eq!(buffer.oldest(), None);
}

#[test]
fn data_of_a_lost_subflow_go_to_another_in_order_and_once() {
    let mut buffer = buffer(100, 40);
    buffer.on_data_ack(FIRST.add(5));
    assert_eq!(buffer.reinject_from(A, Reinject::All), 15);
    assert_eq!(buffer.reinject_from(A, Reinject::All), 15);
    assert_eq!(buffer.reinjections(), 15);
    assert_eq!(buffer.take_reinjection(A, 100, false), None);
    check_taken(buffer.take_reinjection(B, 3, false), 5, 3);
    buffer.on_data_ack(FIRST.add(9));
    check_taken(buffer.take_reinjection(B, 100, false), 9, 1);
    check_taken(buffer.take_reinjection(A, 100, true), 20, 10);
    assert_eq!(buffer.take_reinjection(B, 100, false), None);
}

#[test]
fn what_another_subflow_carries_as_well_need_not_be_reinjected() {
    let mut buffer = buffer(100, 40);
    buffer.assign(B, FIRST, 8);
    assert_eq!(buffer.reinject_from(A, Reinject::OnlyHere), 12);
    let next = buffer.next_reinjection().unwrap();
    assert_eq!(
        (next.dsn, next.len, next.subflows),
        (FIRST.add(8), 2, vec![A])
    );
    assert_eq!(buffer.carried_by(B), 28);
}

#[test]
fn a_segment_is_filled_across_the_border_of_two_blocks() {
    let mut buffer = SendBuffer::new(FIRST, 1 << 20);
    buffer.set_window(FIRST, 1 << 20);
    buffer.write(&pattern(0, BLOCK));
    buffer.write(&pattern(BLOCK as u64, BLOCK));
    check_taken(buffer.take_new(A, BLOCK - 10), 0, BLOCK - 10);
    check_taken(buffer.take_new(A, 1400), BLOCK as u64 - 10, 1400);
}

/// What the application and the peer may do.
#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    New(u8, usize),
    Ack(u64),
    Window(u64, u64),
    Reinject(u8, Reinject),
    Again(u8, usize, bool),
    Forget(u8),
    Capacity(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..40_000).prop_map(Step::Write),
        (0_usize..20).prop_map(Step::Write),
        (0_u8..3, 0_usize..3000).prop_map(|(on, max)| Step::New(on, max)),
        (0_u8..3, 0_usize..3000).prop_map(|(on, max)| Step::New(on, max)),
        (0_u64..60_000).prop_map(Step::Ack),
        (0_u64..60_000, 0_u64..60_000).prop_map(|(at, len)| Step::Window(at, len)),
        (0_u8..3).prop_map(|from| Step::Reinject(from, Reinject::All)),
        (0_u8..3).prop_map(|from| Step::Reinject(from, Reinject::OnlyHere)),
        (0_u8..3, 0_usize..3000, any::<bool>())
            .prop_map(|(on, max, same)| Step::Again(on, max, same)),
        (0_u8..3).prop_map(Step::Forget),
        (0_usize..60_000).prop_map(Step::Capacity),
    ]
}

/// The places that a naive sender would know of.
#[derive(Default)]
struct Naive {
    written: u64,
    sent: u64,
    acked: u64,
    edge: u64,
    carried: [std::collections::BTreeSet<u64>; 3],
}

impl Naive {
    fn check(&self, buffer: &SendBuffer) -> Result<(), TestCaseError> {
        prop_assert_eq!(buffer.unsent(), self.written - self.sent);
        prop_assert_eq!(buffer.in_flight(), self.sent - self.acked);
        prop_assert_eq!(buffer.used() as u64, self.written - self.acked);
        for (id, carried) in (0..).zip(&self.carried) {
            prop_assert_eq!(buffer.carried_by(SubflowId(id)), carried.len() as u64);
        }
        Ok(())
    }

    /// Bytes of a payload that was taken are those that were written there.
    fn take(&mut self, on: u8, taken: &(Dsn, Payload)) -> Result<Range<u64>, TestCaseError> {
        let start = taken
            .0
            .distance_from(FIRST)
            .expect("not before the first byte");
        prop_assert_eq!(&taken.1[..], &pattern(start, taken.1.len())[..]);
        let range = start..start + taken.1.len() as u64;
        prop_assert!(range.start >= self.acked);
        self.carried[usize::from(on)].extend(range.clone());
        Ok(range)
    }

    fn apply(&mut self, buffer: &mut SendBuffer, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Write(len) => {
                let free = buffer.capacity().saturating_sub(buffer.used());
                let taken = buffer.write(&pattern(self.written, len));
                prop_assert_eq!(taken, len.min(free));
                self.written += taken as u64;
            }
            Step::New(on, max) => self.take_new(buffer, on, max)?,
            Step::Ack(place) => self.ack(buffer, place)?,
            Step::Window(at, len) => {
                buffer.set_window(FIRST.add(at), len);
                if at <= self.sent + 1 {
                    self.edge = self.edge.max(at + len);
                }
            }
            Step::Reinject(from, which) => {
                buffer.reinject_from(SubflowId(from.into()), which);
            }
            Step::Again(on, max, same) => {
                if let Some(taken) = buffer.take_reinjection(SubflowId(on.into()), max, same) {
                    let known = self.carried[usize::from(on)].clone();
                    let range = self.take(on, &taken)?;
                    prop_assert!(range.end <= self.sent);
                    prop_assert!(same || range.clone().all(|at| !known.contains(&at)));
                }
            }
            Step::Forget(on) => {
                let gone = std::mem::take(&mut self.carried[usize::from(on)]);
                let queued = buffer.forget_subflow(SubflowId(on.into()));
                let only = gone
                    .iter()
                    .filter(|at| self.carried.iter().all(|c| !c.contains(at)));
                prop_assert_eq!(queued, only.count() as u64);
            }
            Step::Capacity(capacity) => buffer.set_capacity(capacity),
        }
        self.check(buffer)
    }

    fn take_new(
        &mut self,
        buffer: &mut SendBuffer,
        on: u8,
        max: usize,
    ) -> Result<(), TestCaseError> {
        let Some(taken) = buffer.take_new(SubflowId(on.into()), max) else {
            prop_assert!(max == 0 || self.sent == self.written || self.sent >= self.edge);
            return Ok(());
        };
        let range = self.take(on, &taken)?;
        prop_assert_eq!(range.start, self.sent);
        prop_assert!(range.end <= self.edge && taken.1.len() <= max);
        self.sent = range.end;
        Ok(())
    }

    fn ack(&mut self, buffer: &mut SendBuffer, place: u64) -> Result<(), TestCaseError> {
        let done = buffer.on_data_ack(FIRST.add(place));
        if place > self.sent {
            prop_assert_eq!(done, DataAcked::Beyond);
        } else if place > self.acked {
            let (bytes, fin) = (place - self.acked, false);
            prop_assert_eq!(done, DataAcked::Advanced { bytes, fin });
            self.acked = place;
            self.carried
                .iter_mut()
                .for_each(|carried| carried.retain(|at| *at >= place));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_byte_leaves_as_it_was_written_and_only_into_the_window(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut buffer = SendBuffer::new(FIRST, 50_000);
        let mut naive = Naive::default();
        for step in steps {
            naive.apply(&mut buffer, &step)?;
        }
    }
}
