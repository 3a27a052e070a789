//! A host made of a stack and of the applications on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mptcp_proto::time::Instant;

use super::application::{Application, Socket};
use super::host::Host;
use super::script::{Outcome, Script};

/// A stack that applications can run on.
pub trait Stack: Host {
    /// How it names its connections.
    type Id: Copy;

    /// Opens a connection.
    fn connect(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) -> Self::Id;

    /// Takes connections to this port, on all its addresses.
    fn listen(&mut self, now: Instant, port: u16);

    /// A connection that was opened by another host and not yet handed out, with its local port.
    fn accept(&mut self) -> Option<(u16, Self::Id)>;

    /// Lets `use_it` work with a connection.
    fn with_socket(&mut self, id: Self::Id, use_it: &mut dyn FnMut(&mut dyn Socket));
}

/// A stack with applications.
pub struct Node<S: Stack, A = Script> {
    /// The stack.
    pub stack: S,
    jobs: Vec<Job<S::Id, A>>,
    dials: Vec<Dial<A>>,
    services: BTreeMap<u16, Box<dyn FnMut() -> A>>,
    deadline: Option<Instant>,
}

struct Job<I, A> {
    id: I,
    application: A,
}

struct Dial<A> {
    at: Instant,
    local: SocketAddr,
    remote: SocketAddr,
    application: A,
}

impl<S: Stack, A: Application> Node<S, A> {
    /// A host on which nothing runs yet.
    pub fn new(stack: S) -> Self {
        Self {
            stack,
            jobs: Vec::new(),
            dials: Vec::new(),
            services: BTreeMap::new(),
            deadline: None,
        }
    }

    /// At this time, opens a connection and runs an application on it.
    pub fn dial(&mut self, at: Instant, local: SocketAddr, remote: SocketAddr, application: A) {
        self.dials.push(Dial {
            at,
            local,
            remote,
            application,
        });
    }

    /// Runs an application on each connection that others open to this port.
    pub fn serve(&mut self, port: u16, application: impl FnMut() -> A + 'static) {
        self.stack.listen(Instant::ZERO, port);
        self.services.insert(port, Box::new(application));
    }

    /// The applications that have a connection, in the order in which they got it.
    pub fn applications(&self) -> impl ExactSizeIterator<Item = &A> {
        self.jobs.iter().map(|job| &job.application)
    }

    /// Whether it has had a connection, and all applications are done.
    pub fn is_done(&self) -> bool {
        let done = self.applications().all(Application::is_done);
        done && self.dials.is_empty() && !self.jobs.is_empty()
    }

    /// Lets the applications do what they can now.
    fn work(&mut self, now: Instant) {
        let (due, later) = std::mem::take(&mut self.dials)
            .into_iter()
            .partition(|dial| dial.at <= now);
        self.dials = later;
        let due: Vec<Dial<A>> = due;
        for dial in due {
            let id = self.stack.connect(now, dial.local, dial.remote);
            self.jobs.push(Job {
                id,
                application: dial.application,
            });
        }
        while let Some((port, id)) = self.stack.accept() {
            if let Some(make) = self.services.get_mut(&port) {
                self.jobs.push(Job {
                    id,
                    application: make(),
                });
            }
        }
        let at_work = self.jobs.iter_mut();
        for job in at_work.filter(|job| !job.application.is_done()) {
            let application = &mut job.application;
            self.stack
                .with_socket(job.id, &mut |socket| application.run(now, socket));
        }
        let wakes = self.jobs.iter().map(|job| job.application.poll_timeout());
        let dials = self.dials.iter().map(|dial| Some(dial.at));
        self.deadline = wakes.chain(dials).flatten().min();
    }
}

impl<S: Stack> Node<S, Script> {
    /// What its applications have seen.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.applications().map(Script::outcome).collect()
    }
}

impl<S: Stack, A: Application> Host for Node<S, A> {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.stack.handle_packet(now, packet);
        self.work(now);
    }

    fn poll_transmit(&mut self, now: Instant, packet: &mut Vec<u8>) -> bool {
        self.stack.poll_transmit(now, packet)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let new = self.dials.iter().map(|dial| dial.at);
        new.chain(self.deadline)
            .chain(self.stack.poll_timeout())
            .min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.stack.poll_timeout().is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now);
        }
        self.work(now);
    }
}
