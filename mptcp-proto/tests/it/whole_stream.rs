//! The way of the data from one host's send buffer over the mappings of several subflows, through
//! options as they are on the wire, into the other host's receive buffer.

use std::collections::VecDeque;

use mptcp_proto::conn::options::{Wanted, WantedDss, compose};
use mptcp_proto::data::receive::FinNoted;
use mptcp_proto::data::send::{DataAcked, Reinject};
use mptcp_proto::data::subflow_receive::Delivered;
use mptcp_proto::data::{Payload, ReceiveBuffer, SendBuffer, SentMappings, SubflowMappings};
use mptcp_proto::path::SubflowId;
use mptcp_proto::seq::Dsn;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{DssMapping, MptcpOption};
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, TcpOptions};
use mptcp_proto::wire::writer::OptionArea;
use proptest::prelude::*;

/// What each host knows of one subflow. TCP itself is a queue: it delivers in order.
struct Subflow {
    id: SubflowId,
    sent: SentMappings,
    received: SubflowMappings,
    in_transit: VecDeque<Segment>,
}

struct Segment {
    position: u64,
    options: Vec<u8>,
    payload: Payload,
}

struct Hosts {
    config: Config,
    sender: SendBuffer,
    receiver: ReceiveBuffer,
    subflows: Vec<Subflow>,
    next_id: u32,
    written: Vec<u8>,
    read: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Config {
    first: Dsn,
    checksum: bool,
    short: bool,
    send_capacity: usize,
    receive_capacity: usize,
    mss: usize,
    /// Segments of one mapping; the option is on the one with this number only, or on all.
    segments: usize,
    option_on: Option<usize>,
}

#[derive(Debug, Clone)]
enum Step {
    Write(u16),
    Send(prop::sample::Index),
    Deliver(prop::sample::Index),
    Read(u16),
    Ack,
    Kill(prop::sample::Index),
    ReinjectFrom(prop::sample::Index),
}

impl Hosts {
    fn new(config: Config) -> Self {
        let mut hosts = Self {
            config,
            sender: SendBuffer::new(config.first, config.send_capacity),
            receiver: ReceiveBuffer::new(config.first, config.receive_capacity),
            subflows: Vec::new(),
            next_id: 0,
            written: Vec::new(),
            read: Vec::new(),
        };
        (0..3).for_each(|_| hosts.join());
        hosts.ack();
        hosts
    }

    fn join(&mut self) {
        self.subflows.push(Subflow {
            id: SubflowId(self.next_id),
            sent: SentMappings::new(self.config.checksum),
            received: SubflowMappings::new(self.config.checksum, 1 << 20),
            in_transit: VecDeque::new(),
        });
        self.next_id += 1;
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Write(len) => self.write(usize::from(*len)),
            Step::Send(which) => self.send(which.index(self.subflows.len())),
            Step::Deliver(which) => self.deliver(which.index(self.subflows.len())),
            Step::Read(max) => self.read(usize::from(*max)),
            Step::Ack => self.ack(),
            Step::Kill(which) => {
                let gone = self.subflows.remove(which.index(self.subflows.len()));
                self.sender.forget_subflow(gone.id);
                self.join();
            }
            Step::ReinjectFrom(which) => {
                let id = self.subflows[which.index(self.subflows.len())].id;
                self.sender.reinject_from(id, Reinject::All);
            }
        }
        let held = self.receiver.readable() as u64 + self.receiver.out_of_order();
        assert!(held <= self.config.receive_capacity as u64);
        assert!(self.sender.used() <= self.config.send_capacity);
    }

    fn write(&mut self, len: usize) {
        let start = self.written.len();
        let bytes: Vec<u8> = (start..start + len)
            .map(|place| (place * 31 % 251).to_le_bytes()[0])
            .collect();
        let taken = self.sender.write(&bytes);
        self.written.extend_from_slice(&bytes[..taken]);
    }

    fn send(&mut self, index: usize) {
        let id = self.subflows[index].id;
        let max = self.config.mss * self.config.segments;
        let taken = self
            .sender
            .take_reinjection(id, max, false)
            .or_else(|| self.sender.take_new(id, max));
        let fin_dsn = self.sender.fin_dsn();
        let Some((dsn, payload)) = taken else {
            if self.sender.is_fin_due() || self.sender.is_fin_unacked() {
                self.send_fin(index);
            }
            return;
        };
        let has_fin = fin_dsn == Some(dsn.add(payload.len() as u64));
        let subflow = &mut self.subflows[index];
        let tag = subflow
            .sent
            .push(dsn, &payload, has_fin)
            .expect("a mapping holds it");
        if has_fin {
            self.sender.on_fin_sent();
        }
        let mapping = *subflow.sent.by_tag(tag).expect("just declared");
        let option = options(mapping.option(self.config.short), has_fin);
        let chunks: Vec<&[u8]> = payload.chunks(self.config.mss).collect();
        let count = chunks.len();
        let mut position = mapping.position;
        for (number, chunk) in chunks.into_iter().enumerate() {
            let carries = self
                .config
                .option_on
                .is_none_or(|on| on.min(count - 1) == number);
            subflow.in_transit.push_back(Segment {
                position,
                options: if carries { option.clone() } else { Vec::new() },
                payload: Payload::from_slice(chunk),
            });
            position += chunk.len() as u64;
        }
    }

    fn send_fin(&mut self, index: usize) {
        let dsn = self.sender.fin_dsn().expect("shut down");
        let subflow = &mut self.subflows[index];
        subflow.in_transit.push_back(Segment {
            position: subflow.sent.end(),
            options: options(subflow.sent.fin_option(dsn, self.config.short), true),
            payload: Payload::default(),
        });
        self.sender.on_fin_sent();
    }

    fn deliver(&mut self, index: usize) {
        let subflow = &mut self.subflows[index];
        let Some(segment) = subflow.in_transit.pop_front() else {
            return;
        };
        if let Some((mapping, data_fin)) = parse(&segment.options) {
            let near = self.receiver.data_ack();
            subflow
                .received
                .map(&mapping, data_fin, near)
                .expect("a good mapping");
        }
        subflow.received.push(segment.position, segment.payload);
        while let Some(delivered) = subflow.received.poll().expect("no fault") {
            match delivered {
                Delivered::Data { dsn, payload } => {
                    let done = self.receiver.insert(subflow.id, dsn, payload);
                    assert_eq!((done.differing, done.beyond), (0, 0));
                }
                Delivered::Fin(dsn) => assert_ne!(self.receiver.set_fin(dsn), FinNoted::Conflict),
            }
        }
        subflow.sent.on_ack(subflow.received.received());
    }

    fn read(&mut self, max: usize) {
        let mut buffer = vec![0; max];
        let len = self.receiver.read(&mut buffer);
        self.read.extend_from_slice(&buffer[..len]);
    }

    fn ack(&mut self) {
        let (data_ack, window) = (self.receiver.data_ack(), self.receiver.announce());
        let done = self.sender.on_data_ack(data_ack);
        assert_ne!(done, DataAcked::Beyond);
        self.sender.set_window(data_ack, window);
    }

    /// Whatever happened, the rest arrives once nothing more happens.
    fn finish(&mut self) {
        self.sender.shut_down();
        for _ in 0..20_000 {
            if self.sender.is_finished() && self.receiver.readable() == 0 {
                return;
            }
            for index in 0..self.subflows.len() {
                self.send(index);
                self.deliver(index);
            }
            self.read(usize::from(u16::MAX));
            self.ack();
        }
        panic!("not finished: {:?}", self.config);
    }
}

/// The option area of a segment with this mapping.
fn options(mapping: DssMapping, data_fin: bool) -> Vec<u8> {
    let wanted = Wanted {
        dss: Some(WantedDss {
            mapping: Some(mapping),
            data_fin,
            ..WantedDss::default()
        }),
        ..Wanted::default()
    };
    let mut area = OptionArea::new();
    compose(Version::V1, &wanted, &mut area);
    area.as_bytes().to_vec()
}

fn parse(options: &[u8]) -> Option<(DssMapping, bool)> {
    let option = TcpOptions::new(options)
        .flatten()
        .find(|option| option.kind == KIND_MPTCP)?;
    match MptcpOption::parse(Version::V1, option.bytes) {
        Ok(MptcpOption::Dss(dss)) => Some((dss.mapping?, dss.data_fin)),
        other => panic!("{other:?}"),
    }
}

fn config() -> impl Strategy<Value = Config> {
    let first = prop_oneof![
        Just(Dsn(u64::MAX - 3000)),
        Just(Dsn((7 << 32) - 3000)),
        any::<u64>().prop_map(Dsn),
    ];
    let sizes = (1_usize..20_000, 1_usize..20_000, 1_usize..1500);
    let mapping = (1_usize..5, prop::option::of(0_usize..5));
    (first, any::<(bool, bool)>(), sizes, mapping).prop_map(
        |(first, (checksum, short), sizes, (segments, option_on))| Config {
            first,
            checksum,
            short,
            send_capacity: sizes.0,
            receive_capacity: sizes.1,
            mss: sizes.2,
            segments,
            option_on,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        2 => (0_u16..9000).prop_map(Step::Write),
        6 => which().prop_map(Step::Send),
        8 => which().prop_map(Step::Deliver),
        2 => (0_u16..9000).prop_map(Step::Read),
        3 => Just(Step::Ack),
        1 => which().prop_map(Step::Kill),
        1 => which().prop_map(Step::ReinjectFrom),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_stream_arrives_whole_whatever_subflows_do(
        config in config(),
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut hosts = Hosts::new(config);
        for step in &steps {
            hosts.apply(step);
        }
        hosts.finish();
        prop_assert!(hosts.receiver.is_fin_reached());
        prop_assert_eq!(hosts.read, hosts.written);
    }
}
