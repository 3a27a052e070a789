//! Puts a [`Middlebox`] into a router: packets come through NFQUEUE, what the box makes of them goes
//! back with the verdict, or through a raw socket when it is more, less, later or elsewhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};
use nfq::{Queue, Verdict};
use socket2::{Domain, Protocol, Socket, Type};

use crate::middlebox::{Departure, Direction, Middlebox};

/// Packets that the kernel may hold for us; beyond it drops, as a slow box would.
const QUEUE_PACKETS: u32 = 16_384;

/// Packets that wait here for their time; what the box makes beyond is dropped, as on a full link.
const MAX_WAITING: usize = 16_384;

/// What we send bears this mark, so that the rules do not bring it to the box again.
pub(super) const MARK: u32 = 0x6d70;

/// Exit code; one of a panic in another thread is 101.
const TIMER_ENDED: i32 = 1;

/// `IPPROTO_RAW`: what is sent has its IP header already.
const WITH_HEADER: i32 = 255;

/// Runs the box until the process is ended. Packets that come from an interface of `near` travel to
/// the server, those that leave through it to the client. Prints `ready` once no packet can miss it.
pub(super) fn run(number: u16, middlebox: Box<dyn Middlebox>, near: &[&str]) -> anyhow::Result<()> {
    let near: Vec<u32> = near
        .iter()
        .map(|name| interface_index(name))
        .collect::<Result<_, _>>()?;
    let mut queue = Queue::open().context("opening NFQUEUE")?;
    queue
        .bind(number)
        .with_context(|| format!("binding NFQUEUE {number}, which another box of the router may have (A+B puts two in a row)"))?;
    queue.set_queue_max_len(number, QUEUE_PACKETS)?;
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            middlebox,
            waiting: Waiting::default(),
            wire: Wire::open()?,
        }),
        news: Condvar::new(),
        start: Instant::now(),
    });
    let timer = Arc::clone(&shared);
    start_timer(move || timer.keep_time())?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "ready")?;
        out.flush()?;
    }
    loop {
        let mut message = queue.recv().context("receiving from NFQUEUE")?;
        let from_near = near.contains(&message.get_indev());
        let made_here = message.get_indev() == 0;
        let to_client = made_here && near.contains(&message.get_outdev());
        let direction = if from_near || (made_here && !to_client) {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        let packet = message.get_payload().to_vec();
        match shared.pass(direction, packet) {
            Some(packet) => {
                if packet != message.get_payload() {
                    message.set_payload(packet);
                }
                message.set_verdict(Verdict::Accept);
            }
            None => message.set_verdict(Verdict::Drop),
        }
        queue.verdict(message).context("giving a verdict")?;
    }
}

/// Runs `keep_time`, whose end ends the process: packets would wait here for ever without it, while
/// those that need not wait still pass.
fn start_timer(keep_time: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let timer = std::thread::Builder::new().name("timer".to_owned());
    timer.spawn(move || {
        // What it shares is not used any more. The panic has been reported already.
        let _ = catch_unwind(AssertUnwindSafe(keep_time));
        let _ = writeln!(std::io::stderr(), "the box ends with its timer");
        std::process::exit(TIMER_ENDED)
    })
}

fn interface_index(name: &str) -> anyhow::Result<u32> {
    let path = format!("/sys/class/net/{name}/ifindex");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    Ok(text.trim().parse()?)
}

struct Shared {
    state: Mutex<State>,
    /// Something was put into `waiting`, or the box wants to be called at another time.
    news: Condvar,
    start: Instant,
}

struct State {
    middlebox: Box<dyn Middlebox>,
    waiting: Waiting,
    wire: Wire,
}

/// Packets that leave later.
#[derive(Default)]
struct Waiting {
    /// By time, then by arrival.
    packets: BTreeMap<(Duration, u64), Vec<u8>>,
    arrivals: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the box a packet. Returns what is to go on in its place; everything else is sent apart.
    fn pass(&self, direction: Direction, packet: Vec<u8>) -> Option<Vec<u8>> {
        let mut state = self.lock();
        let now = self.start.elapsed();
        state.send_due(now);
        let mut out = Vec::new();
        state
            .middlebox
            .handle_packet(now, direction, packet, &mut out);
        if let [only] = out.as_slice()
            && only.at <= now
            && only.direction == direction
        {
            self.news.notify_one();
            return out.pop().map(|only| only.packet);
        }
        state.waiting.hold(out);
        state.send_due(now);
        self.news.notify_one();
        None
    }

    /// Sends what waits for its time, and tells the box when its own has come.
    fn keep_time(&self) {
        let mut state = self.lock();
        loop {
            let now = self.start.elapsed();
            if state.middlebox.poll_timeout().is_some_and(|at| at <= now) {
                let mut out = Vec::new();
                state.middlebox.handle_timeout(now, &mut out);
                state.waiting.hold(out);
            }
            state.send_due(now);
            let next = state
                .waiting
                .next()
                .into_iter()
                .chain(state.middlebox.poll_timeout())
                .min();
            state = match next {
                None => self
                    .news
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let patience = at.saturating_sub(self.start.elapsed());
                    let woken = self.news.wait_timeout(state, patience);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Waiting {
    fn hold(&mut self, out: Vec<Departure>) {
        for Departure { at, packet, .. } in out {
            if self.packets.len() < MAX_WAITING {
                self.packets.insert((at, self.arrivals), packet);
                self.arrivals += 1;
            }
        }
    }

    /// The time of the first one.
    fn next(&self) -> Option<Duration> {
        self.packets.keys().next().map(|key| key.0)
    }

    /// The first one if its time has come.
    fn pop_due(&mut self, now: Duration) -> Option<Vec<u8>> {
        let entry = self.packets.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

impl State {
    fn send_due(&mut self, now: Duration) {
        while let Some(packet) = self.waiting.pop_due(now) {
            if let Err(error) = self.wire.send(&packet) {
                let _ = writeln!(std::io::stderr(), "not sent: {error:#}");
            }
        }
    }
}

/// Sends packets that have their IP header, also with an address that is not ours.
struct Wire {
    v4: Socket,
    v6: Socket,
}

impl Wire {
    fn open() -> anyhow::Result<Self> {
        let raw = |domain| {
            let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(WITH_HEADER)))?;
            socket.set_mark(MARK)?;
            Ok::<_, std::io::Error>(socket)
        };
        Ok(Self {
            v4: raw(Domain::IPV4).context("opening a raw socket")?,
            v6: raw(Domain::IPV6).context("opening a raw IPv6 socket")?,
        })
    }

    fn send(&self, packet: &[u8]) -> anyhow::Result<()> {
        let version = packet.first().map(|byte| byte >> 4);
        let (socket, to) = match version {
            Some(4) => (
                &self.v4,
                Ipv4HeaderSlice::from_slice(packet)?
                    .destination_addr()
                    .into(),
            ),
            Some(6) => (
                &self.v6,
                Ipv6HeaderSlice::from_slice(packet)?
                    .destination_addr()
                    .into(),
            ),
            other => bail!("IP version {other:?}"),
        };
        // An IPv6 raw socket wants port 0, or the number of its protocol.
        socket.send_to(packet, &SocketAddr::new(to, 0).into())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Set for the process that the test starts and that must not survive.
    const INNER: &str = "MPTCP_LAB_TEST_TIMER_PANICS";

    #[test]
    fn a_panic_of_the_timer_ends_the_process() {
        if std::env::var_os(INNER).is_some() {
            let timer = start_timer(|| panic!("the box is broken"));
            let _ = timer.unwrap().join();
            return;
        }
        let own_name = concat!(module_path!(), "::a_panic_of_the_timer_ends_the_process");
        let (_, own_name) = own_name.split_once("::").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", own_name]).env(INNER, "");
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(TIMER_ENDED));
    }

    #[test]
    fn what_waits_leaves_in_its_time_and_is_bounded() {
        let departure = |ms| Departure {
            at: Duration::from_millis(ms),
            direction: Direction::ToServer,
            packet: ms.to_be_bytes().to_vec(),
        };
        let mut waiting = Waiting::default();
        waiting.hold(vec![departure(2), departure(1)]);
        assert_eq!(waiting.next(), Some(Duration::from_millis(1)));
        assert_eq!(waiting.pop_due(Duration::ZERO), None);
        assert_eq!(
            waiting.pop_due(Duration::from_millis(1)),
            Some(departure(1).packet)
        );
        waiting.hold((0..2 * MAX_WAITING as u64).map(departure).collect());
        assert_eq!(waiting.packets.len(), MAX_WAITING);
    }
}
