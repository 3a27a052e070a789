//! A server of many connections at the same time. It prints `listening`, and when its standard
//! input ends `served connections=N mptcp=N failed=N received=BYTES sent=BYTES`; at a terminal it serves
//! until it is interrupted.
//!
//! | job | with each connection |
//! |---|---|
//! | `echo` | sends back what comes, until the peer's end of data |
//! | `respond` | reads 8 bytes, a number N in network order, sends N bytes, and closes first |
//! | `sink` | reads until the peer's end of data |
//! | `source` | sends until the peer resets the connection |

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;

use super::pool::Busy;
use super::socket::{self, Listening, PATIENCE, Protocol};
use super::{pool, print, wait_for_end_of_input};
use crate::payload::Payload;

/// Connections served at the same time; more wait in the backlog.
const MOST_CONNECTIONS: usize = 256;

/// Bytes per read and write.
const CHUNK: usize = 65_536;

/// Bytes of the number that asks for an answer.
pub(super) const REQUEST_BYTES: usize = 8;

/// What the server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Echo,
    Respond,
    Sink,
    Source,
}

impl FromStr for Job {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        match word {
            "echo" => Ok(Self::Echo),
            "respond" => Ok(Self::Respond),
            "sink" => Ok(Self::Sink),
            "source" => Ok(Self::Source),
            other => bail!("{other}: no such job"),
        }
    }
}

/// Serves until standard input ends.
pub(super) fn run(job: Job, protocol: Protocol, address: SocketAddr) -> anyhow::Result<()> {
    let listener = Arc::new(socket::listen(protocol, address, Listening::Plain)?);
    let totals = Arc::new(Totals::default());
    let shared = Arc::clone(&totals);
    // Every thread waits in `accept`: the kernel gives a connection to one of them.
    pool::start(MOST_CONNECTIONS, move || serve(job, &listener, &shared))?;
    print("listening")?;
    wait_for_end_of_input(&totals.busy)?;
    print(&format!(
        "served connections={} mptcp={} failed={} received={} sent={}",
        totals.connections.load(Ordering::Relaxed),
        totals.mptcp.load(Ordering::Relaxed),
        totals.failed.load(Ordering::Relaxed),
        totals.received.load(Ordering::Relaxed),
        totals.sent.load(Ordering::Relaxed),
    ))
}

#[derive(Default)]
struct Totals {
    busy: Busy,
    /// Those that have ended.
    connections: AtomicU64,
    /// Those that were MPTCP at their end.
    mptcp: AtomicU64,
    failed: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

fn serve(job: Job, listener: &TcpListener, totals: &Totals) {
    let mut buffer = vec![0; CHUNK];
    // The content of the answers to `respond`, made once: short connections must be cheap.
    let answer = Payload::new("s2c").take(CHUNK);
    while let Ok((stream, _)) = listener.accept() {
        let _work = totals.busy.begin();
        let mut connection = Connection { stream, totals };
        let outcome = connection.do_job(job, &mut buffer, &answer);
        let mptcp = socket::is_mptcp(&connection.stream).unwrap_or(false);
        totals.mptcp.fetch_add(mptcp.into(), Ordering::Relaxed);
        totals
            .failed
            .fetch_add(outcome.is_err().into(), Ordering::Relaxed);
        drop(connection);
        totals.connections.fetch_add(1, Ordering::Relaxed);
    }
}

struct Connection<'a> {
    stream: TcpStream,
    totals: &'a Totals,
}

impl Connection<'_> {
    fn do_job(&mut self, job: Job, buffer: &mut [u8], answer: &[u8]) -> io::Result<()> {
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.stream.set_write_timeout(Some(PATIENCE))?;
        match job {
            Job::Echo => loop {
                match self.receive(buffer)? {
                    [] => return Ok(()),
                    data => self.send(data)?,
                }
            },
            Job::Sink => while !self.receive(buffer)?.is_empty() {},
            Job::Respond => return self.respond(answer),
            Job::Source => {
                let mut payload = Payload::new("s2c");
                // The reset of a client that has enough is the usual end.
                while self.send(&payload.take(CHUNK)).is_ok() {}
            }
        }
        Ok(())
    }

    fn respond(&mut self, answer: &[u8]) -> io::Result<()> {
        let mut request = [0; REQUEST_BYTES];
        let mut filled = 0;
        while let Some(room @ [_, ..]) = request.get_mut(filled..) {
            match self.receive(room)?.len() {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => filled += len,
            }
        }
        let mut left = u64::from_be_bytes(request);
        while left > 0 {
            let len = usize::try_from(left).unwrap_or(CHUNK).min(answer.len());
            self.send(answer.get(..len).unwrap_or_default())?;
            left = left.saturating_sub(len as u64);
        }
        Ok(())
    }

    /// What the next read brings; nothing at the end of data.
    fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let len = self.stream.read(buffer)?;
        self.totals
            .received
            .fetch_add(len as u64, Ordering::Relaxed);
        Ok(buffer.get(..len).unwrap_or_default())
    }

    fn send(&mut self, data: &[u8]) -> io::Result<()> {
        self.stream.write_all(data)?;
        self.totals
            .sent
            .fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
