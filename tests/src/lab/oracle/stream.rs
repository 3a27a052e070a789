//! The data as the applications at both ends counted them.

use anyhow::Context;
use serde::{Deserialize, Serialize};

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
    fn both_ends_of_a_stream_are_reported() {
        let stream = stream(&lines("ok\nsent 5 aa -"), &lines("received 4 bb eof")).unwrap();
        assert_eq!((stream.sent_bytes, stream.received_bytes), (5, 4));
        assert_eq!(
            (stream.send_error.as_str(), stream.end.as_str()),
            ("-", "eof")
        );
    }
}
