//! Byte counts and checks of `show`.

use std::io::{self, Write};

use anstyle::Style;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::{bits_per_second, bytes, counted, shares};
use mptcp_cli::style::{self, paint};
use mptcp_cli::table::{Cell, Column, Table};

use super::heading;
use crate::model::{CheckResult, CheckTally, Connection, Direction, DirectionTotals, TcpChecksums};
use crate::report::{check_style, goodput_bps, word};

/// Writes bytes by subflow and direction, then what the data level says of each direction.
pub(super) fn write(out: &mut dyn Write, connection: &Connection) -> io::Result<()> {
    heading(out, "Bytes")?;
    byte_table(connection).write(out)?;
    for direction in Direction::BOTH {
        write_direction(out, arrow(direction), connection.totals.of(direction))?;
    }
    Ok(())
}

fn byte_table(connection: &Connection) -> Table {
    let mut table = Table::new(
        2,
        vec![
            Column::left("to"),
            Column::right("sf"),
            Column::right("wire"),
            Column::right("unique"),
            Column::right("share"),
            Column::right("tcp rtx"),
            Column::right("data rtx"),
            Column::right("reinjected"),
            Column::right("unmapped"),
        ],
    );
    for direction in Direction::BOTH {
        let whole = connection.totals.of(direction);
        let mut sums = (0_u64, 0_u64);
        let unique: Vec<u64> = connection
            .subflows
            .iter()
            .map(|subflow| subflow.totals.of(direction).unique_bytes)
            .collect();
        let shares = shares(&unique, whole.unique_bytes);
        for (subflow, share) in connection.subflows.iter().zip(shares) {
            let part = subflow.totals.of(direction);
            sums.0 = sums.0.saturating_add(part.tcp_retransmitted_bytes);
            sums.1 = sums.1.saturating_add(part.unmapped_bytes);
            table.row(vec![
                arrow(direction).into(),
                subflow.id.to_string().into(),
                count(part.wire_bytes, style::PLAIN),
                count(part.unique_bytes, style::PLAIN),
                share.into(),
                count(part.tcp_retransmitted_bytes, style::PLAIN),
                count(part.data_retransmitted_bytes, style::PLAIN),
                count(part.reinjected_bytes, style::PLAIN),
                count(part.unmapped_bytes, style::WARN),
            ]);
        }
        if connection.subflows.len() > 1 {
            table.row(vec![
                arrow(direction).into(),
                "all".into(),
                count(whole.wire_bytes, style::HEADING),
                count(whole.unique_bytes, style::HEADING),
                "".into(),
                count(sums.0, style::HEADING),
                count(whole.data_retransmitted_bytes, style::HEADING),
                count(whole.reinjected_bytes, style::HEADING),
                count(sums.1, style::WARN),
            ]);
        }
    }
    table
}

/// A size; a dot stands for none, so that the eye finds what is there.
fn count(size: u64, style: Style) -> Cell {
    match size {
        0 => Cell::new(".", style::FAINT),
        size => Cell::new(bytes(size).replace(' ', ""), style),
    }
}

fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "server",
        Direction::ToClient => "client",
    }
}

fn write_direction(out: &mut dyn Write, to: &str, totals: &DirectionTotals) -> io::Result<()> {
    let Some((first, end)) = totals.range else {
        return writeln!(out, "  to {to}: no data");
    };
    write!(out, "  to {to}: DSN {first} to {}", end.saturating_sub(1))?;
    if !totals.base_is_idsn {
        write!(out, " (from the first seen, IDSN unknown)")?;
    }
    if let Some(acked) = totals.data_acked {
        write!(out, ", DATA_ACK {acked}")?;
    }
    if totals.data_fin {
        write!(out, ", DATA_FIN")?;
    }
    writeln!(out)?;
    write!(
        out,
        "    {} in {}",
        counted(totals.mappings, "mapping", "mappings"),
        counted(totals.mapping_options, "option", "options"),
    )?;
    if let Some(rate) = goodput_bps(totals) {
        write!(out, ", goodput {}", bits_per_second(rate))?;
    }
    writeln!(out)?;
    if totals.spurious_bytes > 0 {
        writeln!(
            out,
            "    {} sent again after their DATA_ACK",
            bytes(totals.spurious_bytes)
        )?;
    }
    if totals.missing_bytes > 0 {
        let missing = format!("{} missing from the capture", bytes(totals.missing_bytes));
        writeln!(out, "    {}", paint(style::WARN, missing))?;
    }
    if let Some(digest) = &totals.stream_sha256 {
        write!(out, "    SHA-256 ")?;
        for byte in digest {
            write!(out, "{byte:02x}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Writes the checks of the connection with their outcomes.
pub(super) fn write_checks(
    out: &mut dyn Write,
    connection: &Connection,
    width: Option<usize>,
) -> io::Result<()> {
    heading(out, "Checks")?;
    let idsn = &connection.idsn_check;
    let mut checks = vec![
        ("echoed keys", connection.echoed_keys),
        ("IDSN of client", idsn.to_server),
        ("IDSN of server", idsn.to_client),
    ];
    if let Some(result) = connection.fast_close_key {
        checks.push(("FASTCLOSE key", result));
    }
    if let Some(result) = connection.fail_dsn {
        checks.push(("DSN of MP_FAIL", result));
    }
    for (name, result) in checks {
        let outcome = paint(check_style(result), word::check(result));
        match word::why(result) {
            Some(why) => {
                let used = CHECK_LABEL + 2 + UNVERIFIABLE;
                writeln!(
                    out,
                    "  {name:<CHECK_LABEL$}{outcome}: {}",
                    wrap(why, width, used)
                )?;
            }
            None => writeln!(out, "  {name:<CHECK_LABEL$}{outcome}")?,
        }
    }
    for subflow in &connection.subflows {
        let Some(join) = &subflow.join else { continue };
        for (of, result) in [("SYN/ACK", join.syn_ack_hmac), ("ACK", join.ack_hmac)] {
            if let CheckResult::Unverifiable(why) = result {
                let name = format!("HMAC sf {}", subflow.id);
                writeln!(out, "  {name:<CHECK_LABEL$}unverifiable in the {of}: {why}")?;
            }
        }
    }
    write_tcp_checksums(out, connection)?;
    for direction in Direction::BOTH {
        write_tally(out, direction, connection.totals.of(direction).checksums)?;
    }
    Ok(())
}

/// TCP checksums of all subflows; nothing when they were not looked at.
fn write_tcp_checksums(out: &mut dyn Write, connection: &Connection) -> io::Result<()> {
    let mut sums = [0_u64; 4];
    for subflow in &connection.subflows {
        for direction in Direction::BOTH {
            let TcpChecksums {
                ok,
                bad,
                offloaded,
                unverifiable,
                ..
            } = &subflow.totals.of(direction).tcp_checksums;
            for (sum, part) in sums.iter_mut().zip([ok, bad, offloaded, unverifiable]) {
                *sum = sum.saturating_add(*part);
            }
        }
    }
    if sums == [0; 4] {
        return Ok(());
    }
    let [ok, bad, offloaded, unverifiable] = sums;
    let bad = paint(
        if bad > 0 { style::ERROR } else { style::PLAIN },
        format!("{bad} bad"),
    );
    let rest = format!("{offloaded} offloaded, {unverifiable} unverifiable");
    writeln!(
        out,
        "  {:<CHECK_LABEL$}{ok} ok, {bad}, {rest}",
        "TCP checksums"
    )
}

fn write_tally(out: &mut dyn Write, direction: Direction, tally: CheckTally) -> io::Result<()> {
    let CheckTally {
        ok,
        bad,
        unverifiable,
    } = tally;
    if ok + bad + unverifiable == 0 {
        return Ok(());
    }
    let name = format!("DSS sums to {}", arrow(direction));
    let bad = paint(
        if bad > 0 { style::ERROR } else { style::PLAIN },
        format!("{bad} bad"),
    );
    writeln!(
        out,
        "  {name:<CHECK_LABEL$}{ok} ok, {bad}, {unverifiable} unverifiable"
    )
}

/// Width of the names of checks.
const CHECK_LABEL: usize = 20;
/// Width of the longest outcome with what follows it.
const UNVERIFIABLE: usize = 14;
