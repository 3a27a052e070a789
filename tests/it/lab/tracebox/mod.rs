//! The tracebox against the lab: real routers, a real server, boxes whose place is known.

mod boxes;
mod clean;
mod manners;
mod table;

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use mptcp_proto::time::Instant;
use mptcp_tests::lab::{Application, Lab, Node, Topology};
use mptcp_tracebox::engine::{Engine, Transmit};
use mptcp_tracebox::evidence::SentId;
use mptcp_tracebox::record::{Recorder, reanalyze};
use mptcp_tracebox::run::{Run, Tier};
use mptcp_tracebox::trace::Trace;
use mptcp_tracebox::tracer::{Ended, Observer, Outcome, Request, Stop, Tracer};
use mptcp_tracebox::verdict::judge;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A server in both families.
const V4: &str = "10.2.1.1:5001";
const V6: &str = "[fd00:2:1::1]:5001";

/// A chain with a server that speaks MPTCP.
fn chain(routers: u8) -> (Lab, Application) {
    let lab = crate::network::build(&Topology::chain(routers));
    let words = ["serve", "echo", "mptcp", "[::]:5001"];
    let mut server = Application::start(&lab, Node::Server, &words).unwrap();
    server.wait_for("listening").unwrap();
    (lab, server)
}

/// Traces the way from the client to `target`. The file of the run, read again, says the same.
fn trace(lab: &Lab, target: &str) -> Trace {
    let request = Request::new(target.parse::<SocketAddr>().unwrap());
    let target = request.target;
    let (keeper, file) = Keeper::begin(target);
    let outcome = run(lab, request, Stop::default(), keeper);
    assert!(
        matches!(outcome.ended, Ended::Complete),
        "{:?}",
        outcome.ended
    );
    let trace = judge(&outcome.evidence, target);
    let (_, again) = reanalyze(&file.lock().unwrap()[..]).unwrap();
    assert_eq!(again.verdict, trace.verdict);
    let changes = |trace: &Trace| trace.flows[0].changes.clone();
    assert_eq!(changes(&again), changes(&trace));
    trace
}

/// Keeps the file of a run.
struct Keeper(Recorder<Kept>);

/// Bytes that are still there when who wrote them is gone.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Keeper {
    fn begin(target: SocketAddr) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let run = Run {
            host: "server".to_owned(),
            target,
            tier: Tier::Raw,
            epoch_ns: 1_700_000_000_000_000_000,
            kernel_mptcp: None,
        };
        let kept = Kept::default();
        let recorder = Recorder::begin(kept.clone(), &run).unwrap();
        (Self(recorder), kept.0)
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Observer for Keeper {
    fn sent(&mut self, at: Instant, transmit: &Transmit) -> anyhow::Result<()> {
        Ok(self.0.sent(at, &transmit.purpose, &transmit.bytes)?)
    }

    fn received(
        &mut self,
        at: Instant,
        packet: &[u8],
        engine: &Engine,
        answers: Option<SentId>,
    ) -> anyhow::Result<()> {
        Ok(self.0.received(at, packet, engine.evidence(), answers)?)
    }
}

/// A run on the client.
fn run(
    lab: &Lab,
    request: Request,
    stop: Stop,
    mut observer: impl Observer + Send + 'static,
) -> Outcome {
    let outcome = on_client(lab, move || {
        let tracer = Tracer::open(&request).unwrap();
        tracer.run(&stop, &mut observer).unwrap()
    });
    assert_eq!(outcome.foreign_resets, 0, "the kernel keeps silent");
    outcome
}

/// Does something in the namespace of the client. That and the capabilities, which a run gives back, are
/// those of a thread.
fn on_client<T: Send + 'static>(lab: &Lab, what: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = Path::new("/run/netns").join(lab.namespace(Node::Client));
    let thread = thread::spawn(move || {
        let namespace = File::open(namespace).unwrap();
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), network).unwrap();
        what()
    });
    thread.join().unwrap()
}
