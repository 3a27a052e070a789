//! A run: the engine between the sockets and the clock.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mptcp_proto::time::Instant;
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::unregister;

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
pub struct Stop {
    is_wanted: Arc<AtomicBool>,
    /// What ends the program at the second signal.
    exits: Vec<SigId>,
}

impl Stop {
    /// From now on Ctrl-C is heard.
    pub fn on_signals() -> io::Result<Self> {
        let mut stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            let is_wanted = || Arc::clone(&stop.is_wanted);
            let exit = flag::register_conditional_shutdown(signal, 128 + signal, is_wanted())?;
            flag::register(signal, is_wanted())?;
            stop.exits.push(exit);
        }
        Ok(stop)
    }

    /// From now on a second signal is like the first: who has the terminal gives it back before the program ends.
    pub(crate) fn keep_terminal(&mut self) {
        for exit in self.exits.drain(..) {
            unregister(exit);
        }
    }

    /// The run is to end.
    pub fn want(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether the run is to end.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn a_second_signal_does_not_end_who_has_to_give_the_terminal_back() {
        let mut stop = Stop::on_signals().unwrap();
        stop.keep_terminal();
        assert!(!stop.is_wanted());
        // Without that, the second one ends this process.
        for signal in [SIGTERM, SIGTERM, SIGINT] {
            raise(signal).unwrap();
            assert!(stop.is_wanted());
        }
    }
}
