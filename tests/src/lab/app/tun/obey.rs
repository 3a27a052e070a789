//! What the endpoint is told on standard input, one order at a time.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant as Clock};

use anyhow::bail;
use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::{ConnectionEnd, Event};
use mptcp_proto::endpoint::ConnId;
use sha2::{Digest, Sha256};

use super::Machine;
use super::tell::name_of;
use crate::lab::app::print;
use crate::lab::app::socket::PATIENCE;
use crate::payload::{Payload, hex};

/// Orders and what they have led to.
pub(super) struct Orders {
    lines: Receiver<std::io::Result<String>>,
    current: Option<(String, Clock)>,
    payload: Payload,
    /// Bytes that are still to be made.
    owed: usize,
    /// Made, and not taken by the connection yet.
    pending: Vec<u8>,
    /// The connection is not read.
    holds: bool,
    sent: (u64, Sha256),
    received: (u64, Sha256),
    end: Option<&'static str>,
    /// The connection that all this is about.
    subject: Option<ConnId>,
}

impl Orders {
    /// Begins to listen to standard input.
    pub(super) fn listen() -> Self {
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            lines,
            current: None,
            payload: Payload::new("c2s"),
            owed: 0,
            pending: Vec::new(),
            holds: false,
            sent: (0, Sha256::new()),
            received: (0, Sha256::new()),
            end: None,
            subject: None,
        }
    }

    /// Does what can be done now; true when there is nothing more to do, ever.
    pub(super) fn obey(&mut self, machine: &mut Machine) -> anyhow::Result<bool> {
        self.read(machine);
        self.flush(machine);
        loop {
            if let Some((line, since)) = &self.current {
                if !self.is_done(machine, line, *since)? {
                    if since.elapsed() > PATIENCE {
                        bail!(
                            "{line}: not done after {PATIENCE:?}, {}",
                            self.standing(machine)
                        );
                    }
                    return Ok(false);
                }
                print(&format!("ok {line}"))?;
                self.current = None;
            }
            match self.lines.try_recv() {
                Ok(line) => {
                    let line = line?;
                    self.begin(machine, &line)?;
                    self.current = Some((line, Clock::now()));
                }
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => return Ok(true),
            }
        }
    }

    fn standing(&self, machine: &Machine) -> String {
        let events: Vec<String> = machine.events.iter().map(name_of).collect();
        format!(
            "{} sent, {} received, {}",
            self.sent.0,
            self.received.0,
            events.join(" ")
        )
    }

    /// Whether an order that was begun is carried out.
    fn is_done(&self, machine: &Machine, line: &str, since: Clock) -> anyhow::Result<bool> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let told = |name: &str| {
            let events = machine.events.iter();
            events.filter(|event| name_of(event) == name).count()
        };
        Ok(match words.as_slice() {
            ["send", _] => (self.pending.is_empty() && self.owed == 0) || self.end.is_some(),
            ["read", bytes] => self.received.0 >= bytes.parse()? || self.end.is_some(),
            ["eof"] => self.end.is_some(),
            ["wait", name] => told(name) > 0,
            ["wait", name, count] => told(name) >= count.parse()?,
            ["pause", ms] => since.elapsed() >= Duration::from_millis(ms.parse()?),
            _ => true,
        })
    }

    fn begin(&mut self, machine: &mut Machine, line: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["read" | "wait" | "pause", ..] | ["eof"] => {}
            ["send", bytes] => {
                self.owed += bytes.parse::<usize>()?;
                self.flush(machine);
            }
            ["urge", text] => {
                let taken = machine.connection()?.write_urgent(text.as_bytes())?;
                self.sent.0 += taken as u64;
                self.sent
                    .1
                    .update(text.as_bytes().get(..taken).unwrap_or_default());
            }
            ["hold"] => self.holds = true,
            ["take"] => self.holds = false,
            ["report"] => self.report()?,
            ["go"] => machine.connect()?,
            ["again", bytes] => {
                machine.connect_again()?;
                let data = self.payload.take(bytes.parse()?);
                let taken = machine.connection()?.write(&data)?;
                self.sent.0 += taken as u64;
                self.sent.1.update(data.get(..taken).unwrap_or_default());
            }
            _ => machine.tell(&words)?,
        }
        Ok(())
    }

    /// Takes what has arrived.
    fn read(&mut self, machine: &mut Machine) {
        let subject = machine.connection;
        let Ok(connection) = machine.connection() else {
            return;
        };
        let mut buffer = [0; 16_384];
        if subject != self.subject {
            self.subject = subject;
            self.end = None;
        }
        while !self.holds {
            match connection.read(&mut buffer) {
                Read::Data(0) | Read::Blocked => break,
                Read::Data(len) => {
                    self.received.0 += len as u64;
                    self.received
                        .1
                        .update(buffer.get(..len).unwrap_or_default());
                }
                Read::End => {
                    self.end = Some("eof");
                    break;
                }
                Read::Reset => {
                    self.end = Some("ConnectionReset");
                    break;
                }
            }
        }
        let ended = machine.events.iter().find_map(|event| match event {
            Event::Closed { how } => Some(*how),
            _ => None,
        });
        if let (None, Some(how)) = (self.end, ended) {
            self.end = Some(match how {
                ConnectionEnd::Closed => "eof",
                _ => "ConnectionReset",
            });
        }
    }

    /// Gives the connection what it takes.
    fn flush(&mut self, machine: &mut Machine) {
        let Ok(connection) = machine.connection() else {
            return;
        };
        while connection.is_connected() {
            if self.pending.is_empty() {
                let len = self.owed.min(CHUNK);
                self.pending = self.payload.take(len);
                self.owed -= len;
            }
            let taken = connection.write(&self.pending).unwrap_or(0);
            if taken == 0 {
                return;
            }
            let done: Vec<u8> = self.pending.drain(..taken).collect();
            self.sent.0 += done.len() as u64;
            self.sent.1.update(done);
        }
    }

    fn report(&self) -> anyhow::Result<()> {
        let shown =
            |(bytes, hash): &(u64, Sha256)| format!("{bytes} {}", hex(&hash.clone().finalize()));
        print(&format!("sent {} -", shown(&self.sent)))?;
        let end = self.end.unwrap_or("open");
        print(&format!("received {} {end}", shown(&self.received)))
    }
}

/// Bytes that are made at a time.
const CHUNK: usize = 65_536;
