//! A model made by hand, with something of everything that a report prints.

use mptcp_proto::key::{AddressId, Key, Token};
use mptcp_proto::seq::Dsn;

use crate::model::{
    Address, Analysis, Blame, CapableSeen, CaptureEnd, CaptureSummary, CheckResult, CheckTally,
    Close, CloseKind, CloseSide, Compression, Confidence, Connection, ConnectionState,
    DirectionTotals, Event, EventKind, Fallback, FallbackReason, FileFormat, Finding, Grouping,
    Interface, JoinSeen, LimitHit, OptionTally, PerDirection, PerSide, PriorityChange, Severity,
    Side, Subflow, SubflowKind, SubflowTotals, TcpChecksums, Timestamp,
};

/// Two connections: one of two subflows that ended well, one of which little is known.
pub(super) fn analysis() -> Analysis {
    Analysis {
        captures: vec![capture()],
        tcp_streams: 4,
        plain_tcp_streams: 1,
        connections: vec![closed(), fallen_back()],
        findings: vec![
            cut(),
            Finding {
                id: "MPT075",
                severity: Severity::Note,
                frames: vec![],
                count: 1,
                text: "2 packets were captured more than once".to_owned(),
            },
        ],
        limits: vec![LimitHit {
            limit: "open connections",
            value: 10,
            dropped: 3,
        }],
    }
}

fn cut() -> Finding {
    Finding {
        id: "MPT070",
        severity: Severity::Warn,
        frames: vec![],
        count: 1,
        text: "evil\u{1b}[2J\nname.pcapng is cut at byte 123456: the record needs 90 bytes"
            .to_owned(),
    }
}

/// The file name and the interface name try to take over the terminal.
fn capture() -> CaptureSummary {
    CaptureSummary {
        file: "evil\u{1b}[2J\nname.pcapng".to_owned(),
        format: FileFormat::PcapNg,
        compression: Compression::Gzip,
        packets: 798,
        link_types: vec![1, 276],
        interfaces: vec![Interface {
            name: Some("eth0\u{202e}".to_owned()),
            link_type: 1,
            drops: Some(7),
        }],
        truncated_packets: 5,
        undecoded_packets: 0,
        incomplete_fragments: 1,
        first_at: Some(Timestamp(START)),
        last_at: Some(Timestamp(START + 12_345_678_901)),
        end: CaptureEnd::Cut {
            at_byte: 123_456,
            reason: "the record needs 90 bytes".to_owned(),
        },
    }
}

fn closed() -> Connection {
    Connection {
        id: 0,
        version: Some(1),
        grouping: Grouping::Token,
        checksum: Some(true),
        keys: PerSide {
            client: Some(Key([1; 8])),
            server: Some(Key([2; 8])),
        },
        tokens: PerSide {
            client: Some(Token(0x09ab_09ea)),
            server: Some(Token(0x7817_f887)),
        },
        idsns: PerSide {
            client: Some(Dsn(0x1122)),
            server: Some(Dsn(u64::MAX)),
        },
        capable: CapableSeen {
            syn: Some((1, 1, 0x81)),
            syn_ack: Some((2, 1, 0x81)),
            ack: Some((3, 1, 0x81)),
            syns: 1,
        },
        echoed_keys: CheckResult::Ok,
        token_of_unknown: None,
        idsn_check: PerDirection {
            to_server: CheckResult::Ok,
            to_client: CheckResult::Bad,
        },
        fast_close_key: None,
        fail_dsn: None,
        state: ConnectionState::Closed,
        fallback: None,
        subflows: vec![capable(), join()],
        addresses: vec![address()],
        events: vec![Event {
            frame: 20,
            at: Timestamp(START + 1_500_000_000),
            subflow: 0,
            sender: Side::Server,
            kind: EventKind::AddAddr {
                id: AddressId(1),
                echo: false,
                hmac: CheckResult::Ok,
            },
        }],
        address_events: vec![],
        totals: PerDirection {
            to_server: data(),
            to_client: DirectionTotals::default(),
        },
        first_frame: 1,
        last_frame: 798,
        first_at: Timestamp(START),
        last_at: Timestamp(START + 12_000_000_000),
        findings: vec![payload_changed()],
    }
}

fn payload_changed() -> Finding {
    Finding {
        id: "MPT012",
        severity: Severity::Error,
        frames: vec![456, 457, 458, 459, 460, 461],
        count: 9,
        text: "the path \u{7} changed the payload of this connection on subflow 1 so that the \
                   checksum does not hold any more"
            .to_owned(),
    }
}

fn fallen_back() -> Connection {
    let mut connection = closed();
    connection.id = 1;
    connection.version = None;
    connection.grouping = Grouping::Guess;
    connection.checksum = None;
    connection.keys = PerSide::default();
    connection.tokens = PerSide::default();
    connection.idsns = PerSide::default();
    connection.capable = CapableSeen::default();
    connection.echoed_keys = CheckResult::Unverifiable("no handshake in the capture");
    connection.idsn_check = PerDirection {
        to_server: CheckResult::Unverifiable("no handshake in the capture"),
        to_client: CheckResult::Unverifiable("no data in this direction"),
    };
    connection.state = ConnectionState::FallenBack;
    connection.fallback = Some(Fallback {
        reason: FallbackReason::StrippedMidStream,
        frame: 77,
        by: Blame::Path,
        confidence: Confidence::Likely,
        text: "frame 77 carries data without a mapping".to_owned(),
    });
    connection.addresses.clear();
    connection.events.clear();
    connection.findings.clear();
    connection.totals = PerDirection::default();
    let mut subflow = capable();
    subflow.kind = SubflowKind::Unseen;
    subflow.initiator = None;
    subflow.client = "[2001:db8::1]:40000".parse().unwrap();
    subflow.server = "[2001:db8::2]:443".parse().unwrap();
    subflow.close = Close {
        kind: CloseKind::None,
        by: CloseSide::Unknown,
        reset_reason: None,
        frame: None,
    };
    connection.subflows = vec![subflow];
    connection
}

fn capable() -> Subflow {
    let mut options = OptionTally::default();
    options.by_subtype[0] = 2;
    options.by_subtype[2] = 500;
    options.by_subtype[9] = 1;
    options.malformed = 1;
    Subflow {
        id: 0,
        tcp_stream: 0,
        kind: SubflowKind::Capable,
        grouping: Grouping::Token,
        initiator: Some(Side::Client),
        client: "10.1.1.1:41980".parse().unwrap(),
        server: "10.2.1.1:5001".parse().unwrap(),
        client_address_id: Some(AddressId(0)),
        server_address_id: Some(AddressId(0)),
        backup: false,
        priority_changes: vec![],
        established: true,
        join: None,
        interface: 0,
        packets: 527,
        duplicate_packets: 2,
        packets_with_option: 520,
        first_frame: 1,
        last_frame: 798,
        first_at: Timestamp(START),
        last_at: Timestamp(START + 12_000_000_000),
        syn_rtt_ns: Some(12_345_678),
        close: Close {
            kind: CloseKind::Fin,
            by: CloseSide::Client,
            reset_reason: None,
            frame: Some(790),
        },
        totals: PerDirection {
            to_server: SubflowTotals {
                packets: 300,
                wire_bytes: 1_300_000,
                unique_bytes: 1_000_000,
                tcp_retransmitted_bytes: 200_000,
                data_retransmitted_bytes: 50_000,
                reinjected_bytes: 49_999,
                spurious_bytes: 10,
                unmapped_bytes: 1,
                first_unmapped_frame: Some(3),
                tcp_checksums: TcpChecksums {
                    ok: 296,
                    bad: 1,
                    offloaded: 2,
                    unverifiable: 1,
                    unchecked: 0,
                    bad_frames: vec![300],
                },
                options,
                ..SubflowTotals::default()
            },
            to_client: SubflowTotals::default(),
        },
    }
}

fn join() -> Subflow {
    Subflow {
        id: 1,
        tcp_stream: 2,
        kind: SubflowKind::Join,
        initiator: Some(Side::Server),
        client: "10.1.2.1:41981".parse().unwrap(),
        client_address_id: Some(AddressId(2)),
        server_address_id: None,
        backup: true,
        priority_changes: vec![PriorityChange {
            frame: 99,
            sender: Side::Client,
            backup: false,
        }],
        join: Some(JoinSeen {
            token: Some(Token(0x7817_f887)),
            token_check: CheckResult::Ok,
            syn_frame: Some(40),
            syn_ack_frame: Some(41),
            ack_frame: None,
            syns: 2,
            syn_ack_hmac: CheckResult::Bad,
            ack_hmac: CheckResult::Unverifiable("no third ACK with MP_JOIN"),
        }),
        close: Close {
            kind: CloseKind::Reset,
            by: CloseSide::Path,
            reset_reason: Some(6),
            frame: Some(200),
        },
        totals: PerDirection::default(),
        ..capable()
    }
}

fn address() -> Address {
    Address {
        owner: Side::Server,
        id: AddressId(1),
        address: "10.2.2.1".parse().unwrap(),
        port: Some(5002),
        hmac: CheckResult::Ok,
        advertised_frame: 20,
        advertised_count: 3,
        echo_frame: Some(22),
        removed_frame: None,
        used_by: vec![1],
    }
}

fn data() -> DirectionTotals {
    DirectionTotals {
        unique_bytes: 1_000_000,
        wire_bytes: 1_300_000,
        reinjected_bytes: 49_999,
        data_retransmitted_bytes: 50_000,
        spurious_bytes: 10,
        mappings: 12,
        mapping_options: 480,
        checksums: CheckTally {
            ok: 10,
            bad: 1,
            unverifiable: 1,
        },
        bad_checksum_frames: vec![456],
        bad_checksum_dsns: Vec::new(),
        data_fin: true,
        data_fin_at: Some(1_000_501),
        range: Some((1, 1_000_501)),
        base: Some(Dsn(0x1122)),
        base_is_idsn: true,
        data_acked: Some(1_000_502),
        missing_bytes: 500,
        holes: vec![(800_001, 800_501)],
        data_times: Some((Timestamp(START), Timestamp(START + 8_000_000_000))),
        stream_sha256: Some([0xab; 32]),
    }
}

/// 2026-11-20 13:16:55.798454 UTC.
const START: i64 = 1_795_180_615_798_454_000;
