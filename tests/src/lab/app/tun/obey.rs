//! What the endpoint is told on standard input, one order at a time.

use std::io::BufRead;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Instant as Clock;

use anyhow::{Context, bail};
use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::{Connection, ConnectionEnd, Event};
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::wire::mptcp::Priority;
use sha2::{Digest, Sha256};

use super::Machine;
use crate::lab::app::print;
use crate::lab::app::socket::PATIENCE;
use crate::payload::{Payload, hex};

/// Orders and what they have led to.
pub(super) struct Orders {
    lines: Receiver<std::io::Result<String>>,
    current: Option<(String, Clock)>,
    payload: Payload,
    /// Made, and not taken by the connection yet.
    pending: Vec<u8>,
    sent: (u64, Sha256),
    received: (u64, Sha256),
    end: Option<&'static str>,
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
            pending: Vec::new(),
            sent: (0, Sha256::new()),
            received: (0, Sha256::new()),
            end: None,
        }
    }

    /// Does what can be done now; true when there is nothing more to do, ever.
    pub(super) fn obey(&mut self, machine: &mut Machine) -> anyhow::Result<bool> {
        self.read(machine);
        self.flush(machine);
        loop {
            if let Some((line, since)) = &self.current {
                if !self.is_done(machine, line)? {
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
    fn is_done(&self, machine: &Machine, line: &str) -> anyhow::Result<bool> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["send", _] => self.pending.is_empty() || self.end.is_some(),
            ["read", bytes] => self.received.0 >= bytes.parse()? || self.end.is_some(),
            ["eof"] => self.end.is_some(),
            ["wait", name] => machine.events.iter().any(|event| name_of(event) == *name),
            _ => true,
        })
    }

    fn begin(&mut self, machine: &mut Machine, line: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["read", _] | ["eof"] | ["wait", _] => Ok(()),
            ["send", bytes] => {
                self.pending.extend(self.payload.take(bytes.parse()?));
                self.flush(machine);
                Ok(())
            }
            ["report"] => self.report(),
            ["events"] => machine
                .events
                .iter()
                .try_for_each(|event| print(&format!("event {event:?}"))),
            ["counters"] => {
                let counters = machine.endpoint.counters();
                let mut found = counters.snapshot().filter(|(_, value)| *value > 0);
                found.try_for_each(|(name, value)| print(&format!("counter {name} {value}")))
            }
            ["join" | "announce" | "withdraw", number] => {
                let number: u8 = number.parse()?;
                let local = machine.local(usize::from(number))?;
                let connection = connection(machine)?;
                let path = connection.initial();
                let at = SocketAddr::new(local, path.local.port());
                match words.first() {
                    Some(&"join") => connection.open_subflow(at, path.remote, Priority::Regular)?,
                    Some(&"announce") => connection.announce(AddressId(number), at),
                    _ => connection.remove_address(AddressId(number)),
                }
                Ok(())
            }
            ["backup", id] => {
                let id = SubflowId(id.parse()?);
                Ok(connection(machine)?.set_priority(id, Priority::Backup)?)
            }
            _ => tell(connection(machine)?, line),
        }
    }

    /// Takes what has arrived.
    fn read(&mut self, machine: &mut Machine) {
        let Ok(connection) = connection(machine) else {
            return;
        };
        let mut buffer = [0; 16_384];
        loop {
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
        let Ok(connection) = connection(machine) else {
            return;
        };
        if self.pending.is_empty() || !connection.is_connected() {
            return;
        }
        let taken = connection.write(&self.pending).unwrap_or(0);
        let done: Vec<u8> = self
            .pending
            .drain(..taken.min(self.pending.len()))
            .collect();
        self.sent.0 += done.len() as u64;
        self.sent.1.update(done);
    }

    fn report(&self) -> anyhow::Result<()> {
        let shown =
            |(bytes, hash): &(u64, Sha256)| format!("{bytes} {}", hex(&hash.clone().finalize()));
        print(&format!("sent {} -", shown(&self.sent)))?;
        let end = self.end.unwrap_or("open");
        print(&format!("received {} {end}", shown(&self.received)))
    }
}

fn connection(machine: &mut Machine) -> anyhow::Result<&mut Connection> {
    let id = machine.id()?;
    let connection = machine.endpoint.connection_mut(id);
    connection.context("nothing is left of the connection")
}

/// Orders that concern the connection alone.
fn tell(connection: &mut Connection, line: &str) -> anyhow::Result<()> {
    match line {
        "shutdown" => connection.shutdown_write(),
        "abort" => connection.abort(),
        "info" => {
            let info = connection.info();
            print(&format!(
                "info is_mptcp={} token={:#010x} write_seq={:#018x} snd_una={:#018x} rcv_nxt={:#018x} \
                 fallback={} csum_enabled={} subflows_total={}",
                u8::from(info.version.is_some()),
                info.token.map_or(0, |token| token.0),
                info.write_seq.0,
                info.snd_una.0,
                info.rcv_nxt.0,
                info.fallback
                    .map_or("-".to_owned(), |reason| format!("{reason:?}")),
                u8::from(info.has_checksums),
                info.subflows_total,
            ))?;
        }
        "subflows" => {
            for subflow in connection.subflows() {
                print(&format!(
                    "subflow {} {} id={} up={}",
                    subflow.path.local,
                    subflow.path.remote,
                    subflow.id,
                    u8::from(subflow.is_up)
                ))?;
            }
        }
        _ => bail!("{line}: no such order"),
    }
    Ok(())
}

/// Name of an event, without its fields.
fn name_of(event: &Event) -> String {
    let text = format!("{event:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
