//! Whatever a peer sends, nothing panics, loops, grows without end or forgets its deadlines.

use mptcp_proto::tcp::{IcmpError, KeepAlive};
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Segment {
        seq: u32,
        ack: u32,
        flags: u8,
        window: u16,
        len: usize,
        options: Vec<u8>,
    },
    Push(usize),
    Wait(u64),
    Deadline,
    Close,
    AckNow,
    Shared(bool),
    Icmp(u32, u32),
    Window(u64),
    Reserve(usize),
}

/// Numbers near the ones that matter, and any.
fn number(around: u32) -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => (0_u32..30_000).prop_map(move |n| around.wrapping_add(n)),
        2 => (0_u32..3).prop_map(move |n| around.wrapping_add(n)),
        1 => any::<u32>(),
    ]
}

fn options() -> impl Strategy<Value = Vec<u8>> {
    let sack = prop::collection::vec((number(ISS), number(ISS)), 1..4).prop_map(|blocks| {
        let mut bytes = vec![1, 1, 5, u8::try_from(2 + 8 * blocks.len()).unwrap()];
        for (from, to) in blocks {
            bytes.extend(from.to_be_bytes());
            bytes.extend(to.to_be_bytes());
        }
        bytes
    });
    let stamp = (0_u32..5000, 0_u32..5000).prop_map(|(value, echo)| {
        let mut bytes = vec![1, 1, 8, 10];
        bytes.extend(value.to_be_bytes());
        bytes.extend(echo.to_be_bytes());
        bytes
    });
    prop_oneof![
        3 => Just(Vec::new()),
        3 => sack,
        2 => stamp,
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![6 => Just(0x10_u8), 1 => Just(0x11), 1 => Just(0x18), 1 => any::<u8>()];
    let segment = (
        number(IRS),
        number(ISS),
        flags,
        any::<u16>(),
        prop_oneof![Just(0), 0_usize..3000],
        options(),
    );
    let segment = segment.prop_map(|(seq, ack, flags, window, len, options)| Step::Segment {
        seq,
        ack,
        flags,
        window,
        len,
        options,
    });
    prop_oneof![
        12 => segment,
        3 => (0_usize..5000).prop_map(Step::Push),
        2 => (0_u64..3000).prop_map(Step::Wait),
        4 => Just(Step::Deadline),
        1 => Just(Step::Close),
        1 => Just(Step::AckNow),
        1 => any::<bool>().prop_map(Step::Shared),
        1 => (number(ISS), 0_u32..2000).prop_map(|(seq, mtu)| Step::Icmp(seq, mtu)),
        1 => (0_u64..100_000).prop_map(Step::Window),
        1 => (0_usize..41).prop_map(Step::Reserve),
    ]
}

impl Bench {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Segment {
                seq,
                ack,
                flags,
                window,
                len,
                options,
            } => {
                let payload = vec![1; *len];
                let from = peer(*seq, *ack, Flags(*flags))
                    .window(*window)
                    .data(&payload)
                    .options(options);
                let before = self.tcp.next_position();
                let received = self.receive(from);
                if let Some(range) = received.delivered {
                    assert!(range.end <= *len);
                    assert!(self.tcp.next_position() >= before + (range.len() as u64));
                }
                let mut position = None;
                while let Some((start, bytes)) = self.tcp.next_received() {
                    assert!(position.is_none_or(|position| position == start));
                    position = Some(start + bytes.len() as u64);
                }
                assert!(position.is_none_or(|position| position == self.tcp.next_position()));
            }
            Step::Push(len) => self.push(*len),
            Step::Wait(millis) => self.wait(*millis),
            Step::Deadline => {
                if let Some(at) = self.tcp.poll_timeout() {
                    self.now = self.now.max(at);
                    self.tcp.handle_timeout(self.now, &mut self.hook);
                    assert!(self.tcp.poll_timeout().is_none_or(|at| at > self.now));
                }
            }
            Step::Close => self.tcp.close(),
            Step::AckNow => self.tcp.ack_now(),
            Step::Shared(is_shared) => self.tcp.set_shared_window(*is_shared),
            Step::Icmp(seq, mtu) => {
                let error = IcmpError::PacketTooBig { mtu: *mtu };
                self.tcp.handle_icmp(self.now, TcpSeq(*seq), error);
            }
            Step::Window(window) => self.limits.window = *window,
            Step::Reserve(reserve) => {
                self.limits.reserve = *reserve;
                self.limits.reserve_ack = *reserve;
            }
        }
    }
}

fn config() -> impl Strategy<Value = Config> {
    (any::<[bool; 3]>(), any::<bool>()).prop_map(|([sack, timestamps, ecn], keeps_alive)| Config {
        sack,
        ecn,
        timestamps: timestamps.then_some(0),
        window_scale: sack.then_some(7),
        user_timeout: ecn.then_some(Duration::from_secs(20)),
        keep_alive: keeps_alive.then_some(KeepAlive {
            idle: Duration::from_secs(5),
            interval: Duration::from_secs(1),
            probes: 3,
        }),
        ..plain()
    })
}

const SYN_OPTIONS: [u8; 20] = [
    2, 4, 3, 232, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 2,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_segments_confuse_a_connection(
        config in config(),
        begins in 0_usize..3,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut bench = match begins {
            0 => Bench::connect(&config),
            1 => Bench::accept(&config, peer(IRS, 0, SYN).options(&SYN_OPTIONS)),
            _ => {
                let mut bench = Bench::connect(&config);
                bench.sent();
                bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&SYN_OPTIONS));
                bench
            }
        };
        for step in &steps {
            bench.take(step);
            for mut sent in bench.sent() {
                sent.area.pad();
                let mut packet = Vec::new();
                sent.segment().emit(&mut packet).unwrap();
                prop_assert!(packet.len() <= 1040, "{} bytes", packet.len());
            }
            prop_assert!(bench.tcp.in_flight() <= bench.tcp.queued() + 1);
            prop_assert!(bench.tcp.out_of_order() <= 65_535 << 7);
            if bench.tcp.state() == State::Closed {
                prop_assert_eq!(bench.tcp.poll_timeout(), None);
            }
        }
    }
}
