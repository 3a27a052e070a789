//! Head of `show`: hosts, state, fallback.

use std::io::{self, Write};

use jiff::Timestamp as Instant;
use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::duration;
use mptcp_cli::style::{self, paint};

use crate::model::{Connection, Grouping, Side, SubflowKind};
use crate::report::endpoints::PIPE_WIDTH;
use crate::report::{state_style, word};

pub(super) fn write(
    out: &mut dyn Write,
    connection: &Connection,
    keys: bool,
    width: Option<usize>,
) -> io::Result<()> {
    let title = format!("Connection {}", connection.id);
    let version = match connection.version {
        Some(version) => format!("MPTCP version {version}"),
        None => "MPTCP of unknown version".to_owned(),
    };
    let state = paint(state_style(connection.state), word::state(connection.state));
    writeln!(out, "{}  {version}  {state}", paint(style::HEADING, title))?;
    for side in [Side::Client, Side::Server] {
        write_host(out, connection, side, keys, width)?;
    }
    let began = Instant::from_nanosecond(i128::from(connection.first_at.0))
        .map_or_else(|_| "?".to_owned(), |instant| instant.to_string());
    let span = duration(connection.last_at.since(connection.first_at));
    line(out, "began", &format!("{began}, lasted {span}"))?;
    line(
        out,
        "frames",
        &format!("{} to {}", connection.first_frame, connection.last_frame),
    )?;
    line(out, "grouping", grouping_sentence(connection))?;
    line(out, "checksum", checksum_sentence(connection.checksum))?;
    if let Some(fallback) = &connection.fallback {
        let text = format!(
            "frame {}, {}: {} (by {}, confidence {})",
            fallback.frame,
            word::fallback_reason(fallback.reason),
            escape(&fallback.text),
            word::blame(fallback.by),
            word::confidence(fallback.confidence),
        );
        line(out, "fallback", &wrap(&text, width, LABEL + 3))?;
    }
    Ok(())
}

fn write_host(
    out: &mut dyn Write,
    connection: &Connection,
    side: Side,
    keys: bool,
    width: Option<usize>,
) -> io::Result<()> {
    let address = connection.subflows.first().map_or_else(
        || "?".to_owned(),
        |subflow| match side {
            Side::Client => subflow.client.to_string(),
            Side::Server => subflow.server.to_string(),
        },
    );
    let token = known(*connection.tokens.of(side));
    let idsn = known(
        connection
            .idsns
            .of(side)
            .map(|idsn| format!("{:#018x}", idsn.0)),
    );
    let names = format!("token {token}  IDSN {idsn}");
    if LABEL + 5 + address.len() + names.len() <= width.unwrap_or(PIPE_WIDTH) {
        line(out, word::side(side), &format!("{address}  {names}"))?;
    } else {
        line(out, word::side(side), &address)?;
        line(out, "", &names)?;
    }
    if keys {
        let key = known(
            connection
                .keys
                .of(side)
                .map(|key| format!("0x{}", key.to_hex())),
        );
        line(out, "", &format!("key {key}"))?;
    }
    Ok(())
}

fn known(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}

fn grouping_sentence(connection: &Connection) -> &'static str {
    let mut kinds = connection.subflows.iter().map(|subflow| subflow.kind);
    match connection.grouping {
        Grouping::Token if kinds.all(|kind| kind == SubflowKind::Capable) => {
            "token: its handshake is in the capture"
        }
        Grouping::Token => "token: joins name this connection",
        Grouping::Hmac => "hmac: a join was recognised by its HMAC",
        Grouping::AddressId => "address_id: a subflow was recognised by an announced address",
        Grouping::Dsn => "dsn: a subflow was recognised by its data sequence numbers",
        Grouping::Guess => "guess: same hosts at the same time, nothing better",
    }
}

fn checksum_sentence(checksum: Option<bool>) -> &'static str {
    match checksum {
        Some(true) => "negotiated",
        Some(false) => "not negotiated",
        None => "unknown, the handshake is not in the capture",
    }
}

pub(super) fn line(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(
        out,
        "  {} {text}",
        paint(style::FAINT, format!("{label:<LABEL$}"))
    )
}

/// Width of the labels.
pub(super) const LABEL: usize = 9;
