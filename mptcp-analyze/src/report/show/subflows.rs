//! Tables of subflows and addresses.

use std::io::{self, Write};

use mptcp_cli::quantity::duration;
use mptcp_cli::table::{Cell, Column, Table};
use mptcp_proto::key::AddressId;

use super::heading;
use crate::model::{
    Address, CheckResult, Close, CloseKind, CloseSide, Connection, Side, Subflow, SubflowKind,
};
use crate::report::endpoints::{self, Ends};
use crate::report::{check_style, word};

/// Writes who the subflows are, then how they began and ended.
pub(super) fn write(
    out: &mut dyn Write,
    connection: &Connection,
    width: Option<usize>,
) -> io::Result<()> {
    heading(out, "Subflows")?;
    ends(connection, width).write(out)?;
    writeln!(out)?;
    course(connection).write(out)
}

fn ends(connection: &Connection, width: Option<usize>) -> Table {
    let titles = vec![
        Column::right("sf"),
        Column::right("stream"),
        Column::left("kind"),
        Column::left("ids"),
        Column::left("priority"),
        Column::left("client > server"),
    ];
    let mut table = Table::new(2, titles);
    let mut rows = Vec::new();
    for subflow in &connection.subflows {
        let cells = vec![
            subflow.id.to_string().into(),
            subflow.tcp_stream.to_string().into(),
            kind(subflow).into(),
            format!(
                "{}/{}",
                id(subflow.client_address_id),
                id(subflow.server_address_id)
            )
            .into(),
            priority(subflow).into(),
        ];
        rows.push((cells, Some(Ends::of(subflow))));
    }
    endpoints::fill(&mut table, rows, width);
    table
}

fn course(connection: &Connection) -> Table {
    let titles = vec![
        Column::right("sf"),
        Column::right("packets"),
        Column::left("frames"),
        Column::left("hmac S/A"),
        Column::left("ack"),
        Column::right("syn rtt"),
        Column::left("end"),
    ];
    let mut table = Table::new(2, titles);
    for subflow in &connection.subflows {
        let hmacs = subflow.join.as_ref();
        table.row(vec![
            subflow.id.to_string().into(),
            subflow.packets.to_string().into(),
            format!("{}-{}", subflow.first_frame, subflow.last_frame).into(),
            hmacs.map_or_else(|| "-".into(), |join| check(join.syn_ack_hmac)),
            hmacs.map_or_else(|| "-".into(), |join| check(join.ack_hmac)),
            subflow
                .syn_rtt_ns
                .map_or_else(|| "-".to_owned(), duration)
                .into(),
            end(subflow).into(),
        ]);
    }
    table
}

/// Writes the addresses announced, if any.
pub(super) fn write_addresses(out: &mut dyn Write, connection: &Connection) -> io::Result<()> {
    if connection.addresses.is_empty() {
        return Ok(());
    }
    heading(out, "Addresses announced")?;
    let mut table = Table::new(
        2,
        vec![
            Column::left("by"),
            Column::right("id"),
            Column::left("address"),
            Column::right("frame"),
            Column::right("times"),
            Column::right("echo"),
            Column::right("removed"),
            Column::left("hmac"),
            Column::left("used by sf"),
        ],
    );
    for address in &connection.addresses {
        table.row(vec![
            word::side(address.owner).into(),
            address.id.to_string().into(),
            announced(address).into(),
            address.advertised_frame.to_string().into(),
            address.advertised_count.to_string().into(),
            frame(address.echo_frame).into(),
            frame(address.removed_frame).into(),
            add_addr_hmac(address, connection.version),
            used_by(address).into(),
        ]);
    }
    table.write(out)
}

fn check(result: CheckResult) -> Cell {
    let text = match result {
        CheckResult::Unverifiable(_) => "?",
        known => word::check(known),
    };
    Cell::new(text, check_style(result))
}

/// ADD_ADDR of version 0 has no HMAC, which is nothing to wonder about.
fn add_addr_hmac(address: &Address, version: Option<u8>) -> Cell {
    match (address.hmac, version) {
        (CheckResult::Unverifiable(_), Some(0)) => "-".into(),
        (result, _) => check(result),
    }
}

fn id(id: Option<AddressId>) -> String {
    id.map_or_else(|| "?".to_owned(), |id| id.to_string())
}

fn frame(frame: Option<u64>) -> String {
    frame.map_or_else(|| "-".to_owned(), |frame| frame.to_string())
}

/// How the subflow came into the connection; that the client opened it needs no mention.
fn kind(subflow: &Subflow) -> String {
    let kind = word::subflow_kind(subflow.kind);
    match (subflow.kind, subflow.initiator) {
        (SubflowKind::Join, Some(Side::Server)) => format!("{kind} by server"),
        _ => kind.to_owned(),
    }
}

/// What the subflow was opened as, and what the last MP_PRIO made of it.
fn priority(subflow: &Subflow) -> String {
    let word = |backup| if backup { "backup" } else { "regular" };
    let (first, last) = (subflow.backup, subflow.priority_changes.last());
    match last {
        Some(last) if last.backup != first => format!("{}->{}", word(first), word(last.backup)),
        _ => word(first).to_owned(),
    }
}

fn end(subflow: &Subflow) -> String {
    let Close {
        kind,
        by,
        reset_reason,
        frame,
    } = subflow.close;
    if kind == CloseKind::None {
        return if subflow.established {
            "open"
        } else {
            "not established"
        }
        .to_owned();
    }
    let by = match by {
        CloseSide::Unknown => String::new(),
        known => format!(" by {}", word::close_side(known)),
    };
    let reason = reset_reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    let frame = frame.map_or_else(String::new, |frame| format!(", frame {frame}"));
    format!("{}{by}{reason}{frame}", word::close_kind(kind))
}

fn announced(address: &Address) -> String {
    match address.port {
        Some(port) => std::net::SocketAddr::new(address.address, port).to_string(),
        None => address.address.to_string(),
    }
}

fn used_by(address: &Address) -> String {
    if address.used_by.is_empty() {
        return "-".to_owned();
    }
    address
        .used_by
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}
