//! Names of routers, by reverse DNS, looked up beside the run.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::Names;

/// Looks names up, if that is wanted.
#[derive(Debug)]
pub(crate) struct Lookup {
    asked: BTreeSet<IpAddr>,
    names: Names,
    sender: Sender<(IpAddr, Option<String>)>,
    receiver: Receiver<(IpAddr, Option<String>)>,
    waiting: usize,
    is_wanted: bool,
}

impl Lookup {
    pub(crate) fn new(is_wanted: bool) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            asked: BTreeSet::new(),
            names: Names::new(),
            sender,
            receiver,
            waiting: 0,
            is_wanted,
        }
    }

    /// An address answered: its name is looked up, once.
    pub(crate) fn ask(&mut self, address: IpAddr) {
        let is_new = self.is_wanted && self.asked.len() < MAX_NAMES && self.asked.insert(address);
        if !is_new {
            return;
        }
        let sender = self.sender.clone();
        self.waiting += 1;
        thread::spawn(move || {
            // Without a name the address itself comes back.
            let name = dns_lookup::lookup_addr(&address).ok();
            let name = name.filter(|name| name.parse::<IpAddr>().is_err());
            // Nobody waits for a name that comes too late.
            let _ = sender.send((address, name));
        });
    }

    /// What is known by now.
    pub(crate) fn known(&mut self) -> &Names {
        while let Ok(found) = self.receiver.try_recv() {
            self.note(found);
        }
        &self.names
    }

    /// What is known in the end: the resolver has some time left.
    pub(crate) fn finish(&mut self) -> Names {
        let end = Instant::now() + PATIENCE;
        while self.waiting > 0
            && let Ok(found) = self
                .receiver
                .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.note(found);
        }
        self.names.clone()
    }

    fn note(&mut self, (address, name): (IpAddr, Option<String>)) {
        self.waiting = self.waiting.saturating_sub(1);
        if let Some(name) = name {
            self.names.insert(address, name);
        }
    }
}

/// Addresses that are looked up.
const MAX_NAMES: usize = 64;
/// How long the end of a run waits for names.
const PATIENCE: Duration = Duration::from_millis(1500);
