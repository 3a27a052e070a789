//! What a segment of a connection says, and what copies of it ask.

use mptcp_proto::conn::config::{Config, Offer};
use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::tcp_option::{KIND_TIMESTAMPS, TcpOptions};

use crate::packet::Packet;
use crate::packet::fields::Fields;
use crate::probe::Probe;

/// Whether it is a RST.
pub(super) fn is_reset(packet: &[u8]) -> bool {
    let fields = Fields::parse(packet).filter(|it| it.ip.protocol == TCP);
    fields.is_some_and(|it| it.tcp.flags().is_some_and(Flags::rst))
}

/// What a segment of the target acknowledges.
pub(super) fn acknowledged(fields: &Fields<'_>) -> Option<TcpSeq> {
    let tcp = (fields.ip.protocol == TCP).then_some(fields.tcp)?;
    let flags = tcp.flags()?;
    (flags.ack() && !flags.syn() && !flags.rst()).then(|| tcp.ack())?
}

/// Version 1, with checksums: the target then notices what happens to the payload.
pub(super) fn connection_config() -> Config {
    Config {
        mptcp: Offer::V1,
        wishes: Wishes {
            checksum: true,
            ..Wishes::default()
        },
        ..Config::default()
    }
}

/// The options of an ACK: timestamps as in the model, and the one that is asked about.
pub(super) fn data_options(model: &Packet, probe: &Probe) -> Vec<u8> {
    let mut options = vec![1, 1];
    let known = TcpOptions::new(&model.options).map_while(Result::ok);
    let timestamps = known.filter(|option| option.kind == KIND_TIMESTAMPS);
    for option in timestamps {
        options.extend(option.bytes);
    }
    match probe {
        // Address 0.0.0.0 would be answered by nobody; the copy does not arrive anyway.
        Probe::AddAddr => {
            options.extend([30, 16, 0x30, 9, 192, 0, 2, 1]);
            options.extend([0xa5; 8]);
        }
        Probe::Prio => options.extend([30, 3, 0x51, 1]),
        Probe::FastClose => {
            options.extend([30, 12, 0x70, 0]);
            options.extend([0xa5; 8]);
        }
        _ => {}
    }
    options.resize(options.len().next_multiple_of(4), 1);
    options
}

pub(super) const TCP: u8 = 6;
