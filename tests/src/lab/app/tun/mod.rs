//! Our own endpoint against the kernel: it has an address behind a TUN device, where no kernel answers
//! in its place.
//!
//! It obeys the commands of [`super::session`] that make sense for it (`send`, `read`, `eof`,
//! `shutdown`, `report`, `abort`, `info`, `subflows`), and these:
//!
//! | command | does |
//! |---|---|
//! | `go` | connects, if it was told to do so `later` |
//! | `again BYTES` | connects once more, with the Fast Open cookie that it was granted and BYTES to send at once |
//! | `join N [ADDRESS]` | opens a subflow from its address behind the device N to the peer's initial address, or another |
//! | `announce N [PORT]` | advertises its address behind the device N |
//! | `withdraw N` | withdraws it |
//! | `gone N` | the address behind the device N is lost |
//! | `backup ID`, `regular ID` | says what subflow ID is for |
//! | `reset ID REASON` | resets subflow ID, with this number in MP_TCPRST |
//! | `finish ID` | closes subflow ID with FIN |
//! | `close` | closes both directions |
//! | `hold`, `take` | lets the receive buffer fill, and reads again |
//! | `pause MS` | waits |
//! | `wait EVENT [N]` | waits until the endpoint has told N events of this name |
//! | `events` | prints `event NAME …` for each so far |
//! | `counters` | prints `counter NAME VALUE` for each that is not zero |
//!
//! Its arguments end with the words of [`settings`].

mod link;
mod obey;
mod settings;
mod tell;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant as Clock};

use anyhow::Context;
use mptcp_proto::conn::{self, Event};
use mptcp_proto::endpoint::{ConnId, Endpoint};
use mptcp_proto::random::RandomSource;
use mptcp_proto::tcp::{FastOpen, Path};
use mptcp_proto::time::Instant;

use self::link::Links;
use self::obey::Orders;
use self::settings::Settings;
use self::wire::{Arrival, Wire};
use super::print;
use crate::middlebox::Direction;

/// Longest sleep: commands come from another thread.
const NAP: Duration = Duration::from_millis(2);

/// Devices of the endpoint.
const DEVICES: u8 = 2;

/// How the endpoint comes to its connection.
pub(super) enum Role {
    /// It connects to this address of the kernel.
    Connect(SocketAddr),
    /// It listens on this port of its first address.
    Listen(u16),
}

/// The endpoint, its devices and the clock.
struct Machine {
    endpoint: Endpoint,
    links: Links,
    wire: Wire,
    start: Clock,
    connection: Option<ConnId>,
    /// What is still to be connected.
    plan: Option<(Path, conn::Config)>,
    /// Whether the connection that came in last counts.
    takes_last: bool,
    events: Vec<Event>,
}

/// Runs the endpoint until its orders end. `family` is 4 or 6, `words` are [`settings`].
pub(super) fn run(role: &Role, family: &str, words: &[&str]) -> anyhow::Result<()> {
    let links = Links::create(DEVICES, family)?;
    let mut settings = Settings::parse(words)?;
    let random = Box::new(OsRandom(fastrand::Rng::new()));
    let outward = match role {
        Role::Connect(_) => Direction::ToServer,
        Role::Listen(_) => Direction::ToClient,
    };
    let mut machine = Machine {
        endpoint: Endpoint::new(settings.host, random),
        links,
        wire: Wire::new(settings.middlebox, outward),
        start: Clock::now(),
        connection: None,
        plan: None,
        takes_last: settings.is_fast,
        events: Vec::new(),
    };
    if settings.knows_addresses {
        for number in 0..DEVICES {
            let address = machine.local(usize::from(number))?;
            machine.endpoint.address_up(address);
        }
    }
    if settings.is_fast {
        settings.connection.tcp.fast_open = match role {
            Role::Connect(_) => FastOpen::Request,
            Role::Listen(_) => FastOpen::Accept(None),
        };
    }
    let local = machine.local(0)?;
    match role {
        Role::Connect(remote) => {
            let path = Path {
                local: SocketAddr::new(local, 40_000 + fastrand::u16(..20_000)),
                remote: *remote,
            };
            machine.plan = Some((path, settings.connection));
            if settings.waits {
                print("devices")?;
            } else {
                machine.connect()?;
            }
        }
        Role::Listen(port) => {
            let local = SocketAddr::new(local, *port);
            machine.endpoint.listen(local, 16, settings.connection)?;
            print(&format!("listening {local}"))?;
        }
    }
    machine.work()
}

impl Machine {
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        let (path, config) = self.plan.clone().context("nothing to connect to")?;
        let now = self.now();
        self.connection = Some(self.endpoint.connect(now, path, config)?);
        Ok(())
    }

    /// Gives up the connection for another one, whose SYN carries data if there was a cookie.
    fn connect_again(&mut self) -> anyhow::Result<()> {
        let connection = self.connection()?;
        let mut subflows = connection.subflows();
        let cookie = subflows.find_map(|subflow| subflow.tcp.fast_open_cookie);
        drop(subflows);
        connection.abort();
        let (path, config) = self.plan.as_mut().context("nothing to connect to")?;
        path.local.set_port(path.local.port() + 1);
        config.tcp.fast_open = FastOpen::Cookie(cookie.context("no cookie was granted")?);
        self.events.clear();
        self.connect()
    }

    fn work(&mut self) -> anyhow::Result<()> {
        let mut orders = Orders::listen();
        loop {
            let now = self.receive()?;
            self.hear()?;
            if orders.obey(self)? {
                return self.linger();
            }
            self.transmit(now)?;
            self.hear()?;
            self.sleep(now)?;
        }
    }

    /// Lets the connection end in its own way for a moment.
    fn linger(&mut self) -> anyhow::Result<()> {
        let end = Clock::now() + Duration::from_millis(200);
        while Clock::now() < end {
            let now = self.receive()?;
            self.transmit(now)?;
            self.sleep(now)?;
        }
        Ok(())
    }

    /// Takes a few packets, and what the clock brings.
    fn receive(&mut self) -> anyhow::Result<Instant> {
        let now = self.now();
        let elapsed = now.since(Instant::ZERO);
        let mut packet = Vec::new();
        for _ in 0..MAX_PACKETS {
            if !self.links.receive(&mut packet)? {
                break;
            }
            self.wire.enter(elapsed, std::mem::take(&mut packet));
        }
        self.deliver(now)?;
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        Ok(now)
    }

    fn transmit(&mut self, now: Instant) -> anyhow::Result<()> {
        let mut packet = Vec::new();
        while self.endpoint.poll_transmit(now, &mut packet) {
            let packet = std::mem::take(&mut packet);
            self.wire.leave(now.since(Instant::ZERO), packet);
        }
        self.deliver(now)
    }

    fn deliver(&mut self, now: Instant) -> anyhow::Result<()> {
        while let Some(arrival) = self.wire.poll(now.since(Instant::ZERO)) {
            match arrival {
                Arrival::Outside(packet) => self.links.send(&packet)?,
                Arrival::Inside(packet) => {
                    self.endpoint.handle_packet(now, &packet);
                }
            }
        }
        Ok(())
    }

    fn sleep(&self, now: Instant) -> anyhow::Result<()> {
        let wire = self.wire.poll_timeout().map(|at| Instant::ZERO + at);
        let next = self.endpoint.poll_timeout().into_iter().chain(wire).min();
        let sleep = next.map_or(NAP, |at| at.since(now));
        self.links.wait(sleep.min(NAP))
    }

    /// Takes note of what the endpoint tells.
    fn hear(&mut self) -> anyhow::Result<()> {
        while let Some((id, event)) = self.endpoint.poll_event() {
            let is_wanted = self.takes_last || self.connection.is_none();
            if matches!(event, Event::Incoming { .. }) && is_wanted {
                self.connection = Some(id);
                self.events.clear();
            }
            if self.connection != Some(id) {
                continue;
            }
            if matches!(event, Event::Incoming { .. } | Event::Connected { .. })
                && let Some(connection) = self.endpoint.connection(id)
            {
                let path = connection.initial();
                print(&format!("connected {} {}", path.local, path.remote))?;
            }
            self.events.push(event);
        }
        Ok(())
    }

    fn local(&self, number: usize) -> anyhow::Result<IpAddr> {
        self.links.address(number)
    }

    fn id(&self) -> anyhow::Result<ConnId> {
        self.connection.context("there is no connection yet")
    }
}

/// Keys of a test that nobody attacks.
struct OsRandom(fastrand::Rng);

impl RandomSource for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

/// Packets that are taken before the endpoint may answer.
const MAX_PACKETS: usize = 32;
