//! Our own endpoint against the kernel: it has an address behind a TUN device, where no kernel answers
//! in its place.
//!
//! It obeys the commands of [`super::session`] that make sense for it (`send`, `read`, `eof`,
//! `shutdown`, `report`, `abort`, `info`, `subflows`), and these:
//!
//! | command | does |
//! |---|---|
//! | `join N` | opens a subflow from its address behind the device N to the peer's initial address |
//! | `announce N` | advertises its address behind the device N |
//! | `withdraw N` | withdraws it |
//! | `backup ID` | makes subflow ID a backup |
//! | `wait EVENT` | waits until the endpoint has told an event of this name |
//! | `events` | prints `event NAME …` for each so far |
//! | `counters` | prints `counter NAME VALUE` for each that is not zero |

mod link;
mod obey;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant as Clock};

use anyhow::{Context, bail};
use mptcp_proto::conn::{self, Event};
use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::random::RandomSource;
use mptcp_proto::tcp::Path;
use mptcp_proto::time::Instant;

use self::link::Links;
use self::obey::Orders;
use super::print;

/// Longest sleep: commands come from another thread.
const NAP: Duration = Duration::from_millis(2);

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
    start: Clock,
    connection: Option<ConnId>,
    events: Vec<Event>,
}

/// Runs the endpoint until its orders end. `family` is 4 or 6, `settings` words like `checksum`.
pub(super) fn run(role: &Role, family: &str, settings: &[&str]) -> anyhow::Result<()> {
    let links = Links::create(2, family)?;
    let config = config(settings)?;
    let random = Box::new(OsRandom(fastrand::Rng::new()));
    let mut machine = Machine {
        endpoint: Endpoint::new(endpoint::Config::default(), random),
        links,
        start: Clock::now(),
        connection: None,
        events: Vec::new(),
    };
    let local = machine.links.address(0)?;
    match role {
        Role::Connect(remote) => {
            let path = Path {
                local: SocketAddr::new(local, 40_000 + fastrand::u16(..20_000)),
                remote: *remote,
            };
            let now = machine.now();
            machine.connection = Some(machine.endpoint.connect(now, path, config)?);
        }
        Role::Listen(port) => {
            let local = SocketAddr::new(local, *port);
            machine.endpoint.listen(local, 16, config)?;
            print(&format!("listening {local}"))?;
        }
    }
    machine.work()
}

fn config(settings: &[&str]) -> anyhow::Result<conn::Config> {
    let mut config = conn::Config {
        mptcp: conn::config::Offer::V1,
        ..conn::Config::default()
    };
    for setting in settings {
        match setting.split_once('=') {
            None if *setting == "checksum" => config.wishes.checksum = true,
            None if *setting == "tcp" => config.mptcp = conn::config::Offer::Off,
            Some(("scheduler", name)) => config.scheduler = name.parse()?,
            Some(("congestion", name)) => config.congestion = name.parse()?,
            _ => bail!("{setting}: no such setting"),
        }
    }
    Ok(config)
}

impl Machine {
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    fn work(&mut self) -> anyhow::Result<()> {
        let mut orders = Orders::listen();
        loop {
            let now = self.now();
            let mut packet = Vec::new();
            while self.links.receive(&mut packet)? {
                self.endpoint.handle_packet(now, &packet);
            }
            if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
                self.endpoint.handle_timeout(now);
            }
            self.hear()?;
            if orders.obey(self)? {
                return self.linger();
            }
            self.transmit(now)?;
            self.hear()?;
            let sleep = self.endpoint.poll_timeout().map_or(NAP, |at| at.since(now));
            self.links.wait(sleep.min(NAP))?;
        }
    }

    /// Lets the connection end in its own way for a moment.
    fn linger(&mut self) -> anyhow::Result<()> {
        let end = Clock::now() + Duration::from_millis(200);
        while Clock::now() < end {
            let now = self.now();
            let mut packet = Vec::new();
            while self.links.receive(&mut packet)? {
                self.endpoint.handle_packet(now, &packet);
            }
            self.endpoint.handle_timeout(now);
            self.transmit(now)?;
            self.links.wait(NAP)?;
        }
        Ok(())
    }

    fn transmit(&mut self, now: Instant) -> anyhow::Result<()> {
        let mut packet = Vec::new();
        while self.endpoint.poll_transmit(now, &mut packet) {
            self.links.send(&packet)?;
        }
        Ok(())
    }

    /// Takes note of what the endpoint tells.
    fn hear(&mut self) -> anyhow::Result<()> {
        while let Some((id, event)) = self.endpoint.poll_event() {
            if let Event::Incoming { .. } = event {
                self.connection.get_or_insert(id);
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
