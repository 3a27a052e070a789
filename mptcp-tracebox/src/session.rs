//! A run: the engine between the sockets and the clock.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mptcp_proto::time::Instant;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::engine::{Engine, Event, Transmit};
use crate::evidence::SentId;
use crate::leftover;
use crate::net::{Clock, Heard, NetError, Wire};

/// Who looks on: reports, screens and files.
pub trait Observer {
    /// A packet was sent.
    fn sent(&mut self, _at: Instant, _transmit: &Transmit) -> anyhow::Result<()> {
        Ok(())
    }

    /// A packet came, and answers this one.
    fn received(
        &mut self,
        _at: Instant,
        _packet: &[u8],
        _engine: &Engine,
        _answers: Option<SentId>,
    ) -> anyhow::Result<()> {
        Ok(())
    }

    /// Something happened.
    fn happened(&mut self, _engine: &Engine, _event: Event) -> anyhow::Result<()> {
        Ok(())
    }

    /// Some time went by.
    fn waited(&mut self, _engine: &Engine) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Looks on and does nothing.
#[derive(Debug)]
pub struct Nobody;

impl Observer for Nobody {}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// All was asked.
    Complete,
    /// The user wanted it to end.
    Interrupted,
    /// The network of this host failed.
    Broken(NetError),
}

/// The wish of the user to end the run: Ctrl-C. The second one ends the program at once. Copies are the
/// same wish.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on Ctrl-C is heard.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.0))?;
            flag::register(signal, Arc::clone(&stop.0))?;
        }
        Ok(stop)
    }

    /// The run is to end.
    pub fn want(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the run is to end.
    pub fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets the engine ask until it is done. If it ends before, nothing stays open at the target.
pub(crate) fn drive(
    engine: &mut Engine,
    wire: &mut Wire,
    clock: Clock,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> anyhow::Result<Ended> {
    let ended = ask(engine, wire, clock, stop, observer);
    if !matches!(ended, Ok(Ended::Complete)) {
        for transmit in leftover::resets(engine.evidence()) {
            if wire.send(&transmit.bytes).is_ok() && ended.is_ok() {
                observer.sent(clock.now(), &transmit)?;
            }
        }
    }
    ended
}

fn ask(
    engine: &mut Engine,
    wire: &mut Wire,
    clock: Clock,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> anyhow::Result<Ended> {
    loop {
        let now = clock.now();
        while let Some(transmit) = engine.poll_transmit(now) {
            if let Err(error) = wire.send(&transmit.bytes) {
                return Ok(Ended::Broken(error));
            }
            observer.sent(now, &transmit)?;
        }
        while let Some(event) = engine.poll_event() {
            observer.happened(engine, event)?;
        }
        if engine.is_done() {
            return Ok(Ended::Complete);
        }
        if stop.is_wanted() {
            return Ok(Ended::Interrupted);
        }
        let deadline = engine.poll_timeout(now);
        let patience = deadline.map_or(LONGEST_WAIT, |deadline| deadline.since(clock.now()));
        if let Err(error) = wire.wait(patience.min(LONGEST_WAIT)) {
            return Ok(Ended::Broken(error));
        }
        observer.waited(engine)?;
        if let Some(error) = take_packets(engine, wire, clock, observer)? {
            return Ok(Ended::Broken(error));
        }
        let now = clock.now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            engine.handle_timeout(now);
        }
    }
}

/// Hands over what came, and not for ever: others want to send.
fn take_packets(
    engine: &mut Engine,
    wire: &mut Wire,
    clock: Clock,
    observer: &mut dyn Observer,
) -> anyhow::Result<Option<NetError>> {
    for _ in 0..MAX_AT_ONCE {
        match wire.receive() {
            Ok(Heard::Nothing) => break,
            Ok(Heard::Other) => {}
            Ok(Heard::Packet(packet)) => {
                let now = clock.now();
                let answers = engine.handle_packet(now, &packet);
                observer.received(now, &packet, engine, answers)?;
            }
            Err(error) => return Ok(Some(error)),
        }
    }
    Ok(None)
}

/// The wish to end is looked at this often, should its signal come just before a wait.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Packets that are read before the engine may send again.
const MAX_AT_ONCE: usize = 256;
