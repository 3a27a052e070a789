//! What the kernel and the applications say about a connection, read from their text.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::Context;

use serde::{Deserialize, Serialize};

/// A subflow as `ip mptcp monitor` reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subflow {
    /// Address and port at the client.
    pub client: String,
    /// Address and port at the server.
    pub server: String,
    /// The client's address identifier.
    pub client_address_id: u8,
    /// The server's address identifier.
    pub server_address_id: u8,
    /// Whether it is for use only when no other works.
    pub backup: bool,
}

/// One direction of the data, as the applications at both ends counted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Bytes that the sender's kernel took.
    pub sent_bytes: u64,
    /// Their SHA-256 in hexadecimal.
    pub sent_sha256: String,
    /// `-`, or what stopped the sender.
    pub send_error: String,
    /// Bytes that the receiver read.
    pub received_bytes: u64,
    /// Their SHA-256 in hexadecimal.
    pub received_sha256: String,
    /// `eof`, `open` (nobody read to the end), or the receiver's error.
    pub end: String,
}

/// The value of `key=…` in a line of `ip mptcp monitor`.
fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The token of the first connection that `ip mptcp monitor` reported, as in the analyzer's output.
pub fn token(monitor: &[String]) -> Option<String> {
    let line = monitor.iter().find(|line| line.contains("CREATED]"))?;
    Some(format!("0x{:0>8}", field(line, "token")?))
}

/// The subflows that the client's kernel established, in the order of the events.
pub fn subflows(monitor: &[String]) -> Vec<Subflow> {
    let established =
        |line: &&String| line.contains("[   ESTABLISHED]") || line.contains("[SF_ESTABLISHED]");
    monitor
        .iter()
        .filter(established)
        .filter_map(|line| subflow(line))
        .collect()
}

fn subflow(line: &str) -> Option<Subflow> {
    let address = |end: char| -> Option<IpAddr> {
        let v4 = field(line, &format!("{end}addr4"));
        v4.or_else(|| field(line, &format!("{end}addr6")))?
            .parse()
            .ok()
    };
    let port = |end: char| field(line, &format!("{end}port"))?.parse::<u16>().ok();
    Some(Subflow {
        client: SocketAddr::new(address('s')?, port('s')?).to_string(),
        server: SocketAddr::new(address('d')?, port('d')?).to_string(),
        client_address_id: field(line, "locid")?.parse().ok()?,
        server_address_id: field(line, "remid")?.parse().ok()?,
        backup: field(line, "backup") == Some("1"),
    })
}

/// The MPTCP counters that are not zero, of `nstat -as` in a namespace that began with zeros.
pub fn counters(nstat: &str) -> BTreeMap<String, u64> {
    let counter = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next()?, words.next()?.parse().ok()?);
        (name.starts_with("MPTcpExt") || name == "TcpRetransSegs").then(|| (name.to_owned(), value))
    };
    nstat
        .lines()
        .filter_map(counter)
        .filter(|(_, value)| *value > 0)
        .collect()
}

/// The initial data sequence numbers (client's, server's), of `ss -Mni` at the client before any
/// data: it then expects one more than the server's and has acknowledged one more than its own.
pub fn idsns(ss: &str) -> Option<(String, String)> {
    let before = |key: &str| {
        let text = ss
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key))?;
        let next = u64::from_str_radix(text, 16).ok()?;
        Some(format!("0x{:016x}", next.wrapping_sub(1)))
    };
    Some((before("snd_una:")?, before("rcv_nxt:")?))
}

/// One direction of the data, from the reports of the application that sent and of the one that
/// received.
pub fn stream(sender: &[String], receiver: &[String]) -> anyhow::Result<Stream> {
    let report = |lines: &[String], key: &str| -> anyhow::Result<(u64, String, String)> {
        let line = lines.iter().rev().find_map(|line| line.strip_prefix(key));
        let line = line.with_context(|| format!("no `{key}` report"))?;
        let [bytes, hash, end] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            anyhow::bail!("`{key}{line}`: three words expected");
        };
        Ok((bytes.parse()?, hash.to_owned(), end.to_owned()))
    };
    let (sent_bytes, sent_sha256, send_error) = report(sender, "sent ")?;
    let (received_bytes, received_sha256, end) = report(receiver, "received ")?;
    Ok(Stream {
        sent_bytes,
        sent_sha256,
        send_error,
        received_bytes,
        received_sha256,
        end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn monitor_lines_give_token_and_subflows() {
        let monitor = lines(
            "[       CREATED] token=53a6ec7 remid=0 locid=0 saddr4=10.1.1.1 daddr4=10.2.1.1 sport=5 dport=5001\n\
             [   ESTABLISHED] token=53a6ec7 remid=0 locid=0 saddr4=10.1.1.1 daddr4=10.2.1.1 sport=5 dport=5001\n\
             [SF_ESTABLISHED] token=53a6ec7 remid=0 locid=2 saddr6=fd00::1 daddr6=fd00::2 sport=6 dport=5001 backup=1 ifindex=3\n\
             [        CLOSED] token=53a6ec7",
        );
        assert_eq!(token(&monitor).as_deref(), Some("0x053a6ec7"));
        let found = subflows(&monitor);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].client, "10.1.1.1:5");
        assert!(!found[0].backup);
        assert_eq!(
            (found[1].server.as_str(), found[1].client_address_id),
            ("[fd00::2]:5001", 2)
        );
        assert!(found[1].backup);
    }

    #[test]
    fn only_mptcp_counters_above_zero_are_kept() {
        let found = counters(
            "#kernel\nMPTcpExtMPJoinSynTx 1 0.0\nMPTcpExtAddAddr 0 0.0\nIpInReceives 9 0.0\n",
        );
        assert_eq!(
            found,
            BTreeMap::from([("MPTcpExtMPJoinSynTx".to_owned(), 1)])
        );
    }

    #[test]
    fn initial_sequence_numbers_are_one_below_the_first_byte() {
        let ss = "ESTAB\n\t remote_key token:1 write_seq:11 snd_una:0 rcv_nxt:f9ad36aae7acd9cc";
        let found = idsns(ss);
        assert_eq!(
            found,
            Some(("0xffffffffffffffff".into(), "0xf9ad36aae7acd9cb".into()))
        );
    }

    #[test]
    fn both_ends_of_a_stream_are_reported() {
        let stream = stream(&lines("ok\nsent 5 aa -"), &lines("received 4 bb eof")).unwrap();
        assert_eq!((stream.sent_bytes, stream.received_bytes), (5, 4));
        assert_eq!(
            (stream.send_error.as_str(), stream.end.as_str()),
            ("-", "eof")
        );
    }
}
