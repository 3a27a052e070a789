//! One connection that obeys commands on standard input.
//!
//! It prints `connected LOCAL REMOTE`, then `ok COMMAND` after each of:
//!
//! | command | does |
//! |---|---|
//! | `send N` | writes the next N bytes of its payload stream |
//! | `say TEXT` | writes TEXT and CR LF, for boxes that read a protocol of lines |
//! | `urge TEXT` | writes TEXT as urgent data (plain TCP) |
//! | `urgent` | waits for the last byte of urgent data, prints `urgent BYTE` |
//! | `read N` | waits until N bytes have arrived in total |
//! | `read N MS` | the same for so long at most; prints `arrived N` |
//! | `eof` | waits for the peer's end of data, or its reset |
//! | `eof MS` | the same for so long at most |
//! | `shutdown` | ends its own data |
//! | `report` | prints `sent N SHA256 ERROR` and `received N SHA256 END` |
//! | `info` | prints `info KEY=VALUE …`, or `info fallback …`: see [`super::info`] |
//! | `subflows` | prints `subflow LOCAL REMOTE KEY=VALUE …` for each |
//! | `abort` | closes at once with a linger time of 0: MPTCP sends `MP_FASTCLOSE` |

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use rustix::net::{RecvFlags, recv};
use sha2::{Digest, Sha256};
use socket2::SockRef;

use super::socket::PATIENCE;
use super::{info, print};
use crate::payload::{Payload, hex};

/// Bytes per write, small enough that the scheduler decides anew many times in a short transfer.
const CHUNK: usize = 4096;

/// Whether the application takes what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Read,
    /// Lets the receive buffer fill.
    Hold,
}

impl FromStr for Reading {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        match word {
            "read" => Ok(Self::Read),
            "hold" => Ok(Self::Hold),
            other => bail!("{other}: neither read nor hold"),
        }
    }
}

/// Bytes counted and hashed.
#[derive(Default)]
struct Sum {
    bytes: u64,
    hash: Sha256,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.hash.update(bytes);
    }

    fn shown(&self) -> String {
        format!("{} {}", self.bytes, hex(&self.hash.clone().finalize()))
    }
}

/// What has arrived so far, and how it ended (`eof` or the error's name).
#[derive(Default)]
struct Inbox {
    state: Mutex<(Sum, Option<String>)>,
    news: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, (Sum, Option<String>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the end of data or an error.
    fn fill(&self, mut stream: TcpStream) {
        let mut buffer = vec![0; 65_536];
        loop {
            let outcome = stream.read(&mut buffer);
            let mut state = self.lock();
            match outcome {
                Ok(0) => state.1 = Some("eof".to_owned()),
                Ok(len) => state.0.add(buffer.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => state.1 = Some(format!("{:?}", error.kind())),
            }
            self.news.notify_all();
            if state.1.is_some() {
                return;
            }
        }
    }

    /// Waits until `bytes` have arrived or the data have ended.
    fn wait(&self, bytes: u64) -> anyhow::Result<()> {
        let (arrived, in_time) = self.wait_within(bytes, PATIENCE);
        if !in_time {
            bail!("{arrived} of {bytes} bytes after {PATIENCE:?}");
        }
        Ok(())
    }

    /// The same for so long at most: how many bytes have arrived, and whether it was in time.
    fn wait_within(&self, bytes: u64, patience: Duration) -> (u64, bool) {
        let waiting =
            |state: &mut (Sum, Option<String>)| state.0.bytes < bytes && state.1.is_none();
        let (state, timeout) = self
            .news
            .wait_timeout_while(self.lock(), patience, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        (state.0.bytes, !timeout.timed_out())
    }
}

/// A connection and what went through it.
pub(super) struct Session {
    stream: TcpStream,
    inbox: Arc<Inbox>,
    payload: Payload,
    sent: Sum,
    error: Option<ErrorKind>,
}

impl Session {
    /// Announces the connection, and begins to read if that is wanted.
    pub(super) fn start(
        stream: TcpStream,
        payload: Payload,
        reading: Reading,
    ) -> anyhow::Result<Self> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        print(&format!("connected {local} {remote}"))?;
        let inbox = Arc::new(Inbox::default());
        if reading == Reading::Read {
            let (stream, inbox) = (stream.try_clone()?, Arc::clone(&inbox));
            std::thread::spawn(move || inbox.fill(stream));
        }
        Ok(Self {
            stream,
            inbox,
            payload,
            sent: Sum::default(),
            error: None,
        })
    }

    /// The kernel took the first `taken` bytes of `data` together with the SYN; sends the rest.
    pub(super) fn sent_already(&mut self, data: &[u8], taken: usize) {
        let (done, rest) = data.split_at(taken.min(data.len()));
        self.sent.add(done);
        self.write(rest);
    }

    /// Does what standard input asks for, until it ends.
    pub(super) fn obey(mut self) -> anyhow::Result<()> {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["send", bytes] => self.send(bytes.parse()?),
                ["read", bytes] => self.inbox.wait(bytes.parse()?)?,
                ["read", bytes, ms] => {
                    let (arrived, _) = self.inbox.wait_within(bytes.parse()?, millis(ms)?);
                    print(&format!("arrived {arrived}"))?;
                }
                ["eof"] => self.inbox.wait(u64::MAX)?,
                ["eof", ms] => {
                    self.inbox.wait_within(u64::MAX, millis(ms)?);
                }
                ["say", ..] => {
                    let text = line.strip_prefix("say ").unwrap_or_default();
                    self.write(format!("{text}\r\n").as_bytes());
                }
                ["urge", text] => {
                    let taken = SockRef::from(&self.stream).send_out_of_band(text.as_bytes())?;
                    self.sent
                        .add(text.as_bytes().get(..taken).unwrap_or_default());
                }
                ["urgent"] => print(&format!("urgent {}", char::from(self.urgent()?)))?,
                ["shutdown"] => self.stream.shutdown(Shutdown::Write)?,
                ["report"] => self.report()?,
                ["info"] => print(&info::connection(&self.stream)?)?,
                ["subflows"] => {
                    for line in info::subflows(&self.stream)? {
                        print(&line)?;
                    }
                }
                ["abort"] => {
                    SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    self.report()?;
                    // The reader holds the socket too; only the end of the process closes it.
                    return print("ok abort");
                }
                _ => bail!("{line}: no such command"),
            }
            print(&format!("ok {line}"))?;
        }
        Ok(())
    }

    /// Sends what the peer takes; a reset is an outcome to report, not a failure.
    fn send(&mut self, bytes: usize) {
        let mut left = bytes;
        while left > 0 && self.error.is_none() {
            let piece = self.payload.take(left.min(CHUNK));
            self.write(&piece);
            left = left.saturating_sub(piece.len());
        }
    }

    /// The last byte of urgent data, which the kernel keeps apart.
    fn urgent(&self) -> anyhow::Result<u8> {
        let since = Instant::now();
        let mut byte = [0];
        while since.elapsed() < PATIENCE {
            // An error for as long as there is none.
            if let Ok((1, _)) = recv(&self.stream, &mut byte, RecvFlags::OOB) {
                return Ok(byte[0]);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("no urgent data after {PATIENCE:?}")
    }

    fn write(&mut self, piece: &[u8]) {
        match self.stream.write_all(piece) {
            Ok(()) => self.sent.add(piece),
            Err(error) => self.error = Some(error.kind()),
        }
    }

    fn report(&self) -> anyhow::Result<()> {
        let error = self
            .error
            .map_or_else(|| "-".to_owned(), |kind| format!("{kind:?}"));
        print(&format!("sent {} {error}", self.sent.shown()))?;
        let inbox = self.inbox.lock();
        print(&format!(
            "received {} {}",
            inbox.0.shown(),
            inbox.1.as_deref().unwrap_or("open")
        ))
    }
}

fn millis(word: &str) -> anyhow::Result<Duration> {
    Ok(Duration::from_millis(word.parse()?))
}
