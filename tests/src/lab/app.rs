//! The application of the lab: one kernel MPTCP (or TCP) connection that obeys commands on its
//! standard input. It runs inside a namespace of the lab.
//!
//! ```text
//! PROGRAM app listen|connect mptcp|tcp read|hold ADDRESS
//! ```
//!
//! It prints `listening`, then `connected LOCAL REMOTE`, then `ok COMMAND` after each of:
//!
//! | command | does |
//! |---|---|
//! | `send N` | writes the next N bytes of its payload stream |
//! | `read N` | waits until N bytes have arrived in total |
//! | `eof` | waits for the peer's end of data, or its reset |
//! | `shutdown` | ends its own data |
//! | `report` | prints `sent N SHA256 ERROR` and `received N SHA256 END` |
//! | `abort` | closes at once with a linger time of 0: MPTCP sends `MP_FASTCLOSE` |

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::payload::{Payload, hex};

/// How long a command may wait for the peer: a run of the lab must end, also when a path is dead.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes per write, small enough that the scheduler decides anew many times in a short transfer.
const CHUNK: usize = 4096;

/// Runs the application described by its arguments until its standard input ends.
pub(super) fn run(args: &[&str]) -> anyhow::Result<()> {
    let [role, protocol, reading, address] = args else {
        bail!("usage: PROGRAM app listen|connect mptcp|tcp read|hold ADDRESS");
    };
    let protocol = match *protocol {
        "mptcp" => Protocol::MPTCP,
        "tcp" => Protocol::TCP,
        other => bail!("{other}: no such protocol"),
    };
    let address: SocketAddr = address
        .parse()
        .with_context(|| format!("address {address}"))?;
    // Kept to the end: the kernel refuses joins to a port where nobody listens any more.
    let listener = (*role == "listen")
        .then(|| listen(protocol, address))
        .transpose()?;
    let (stream, label) = match (*role, &listener) {
        (_, Some(listener)) => (listener.accept()?.0, "s2c"),
        ("connect", _) => (connect(protocol, address)?, "c2s"),
        (other, _) => bail!("{other}: neither listen nor connect"),
    };
    print(&format!(
        "connected {} {}",
        stream.local_addr()?,
        stream.peer_addr()?
    ))?;
    let inbox = Arc::new(Inbox::default());
    if *reading == "read" {
        let (stream, inbox) = (stream.try_clone()?, Arc::clone(&inbox));
        std::thread::spawn(move || inbox.fill(stream));
    }
    Session {
        stream,
        inbox,
        payload: Payload::new(label),
        sent: Sum::default(),
        error: None,
    }
    .obey()
}

fn listen(protocol: Protocol, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = socket(protocol, address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(8)?;
    print("listening")?;
    Ok(socket.into())
}

fn connect(protocol: Protocol, address: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = socket(protocol, address)?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

fn socket(protocol: Protocol, address: SocketAddr) -> anyhow::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM, Some(protocol))
        .context("opening a socket (does this kernel speak MPTCP?)")
}

fn print(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
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
        let waiting =
            |state: &mut (Sum, Option<String>)| state.0.bytes < bytes && state.1.is_none();
        let (state, timeout) = self
            .news
            .wait_timeout_while(self.lock(), PATIENCE, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            bail!("{} of {bytes} bytes after {PATIENCE:?}", state.0.bytes);
        }
        Ok(())
    }
}

struct Session {
    stream: TcpStream,
    inbox: Arc<Inbox>,
    payload: Payload,
    sent: Sum,
    error: Option<ErrorKind>,
}

impl Session {
    fn obey(mut self) -> anyhow::Result<()> {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["send", bytes] => self.send(bytes.parse()?),
                ["read", bytes] => self.inbox.wait(bytes.parse()?)?,
                ["eof"] => self.inbox.wait(u64::MAX)?,
                ["shutdown"] => self.stream.shutdown(Shutdown::Write)?,
                ["report"] => self.report()?,
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
            match self.stream.write_all(&piece) {
                Ok(()) => self.sent.add(&piece),
                Err(error) => self.error = Some(error.kind()),
            }
            left = left.saturating_sub(piece.len());
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
