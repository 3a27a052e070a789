//! The large captures: made in the lab once, kept below `target/bench`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use mptcp_tests::lab::process::output;
use mptcp_tests::lab::{Application, Lab, Node, Process, Rate, Recording, Tap, Topology};

use super::synthetic::{self, Plan};
use crate::say::say;

/// What `cargo xtask bench` can make.
pub(super) const NAMES: [&str; 10] = [
    "headers",
    "short",
    "full",
    "headers-ng",
    "short-ng",
    "v0:100",
    "v0:20000",
    "v1:100",
    "v1:20000",
    "v1:200000",
];

/// How large they become.
pub(super) struct Sizes {
    /// Packets of `headers`, at least.
    pub(super) packets: u64,
    /// Connections of `short`.
    pub(super) connections: u64,
    /// Size of `full`, at least.
    pub(super) mebibytes: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            packets: 3_000_000,
            connections: 20_000,
            mebibytes: 1024,
        }
    }
}

/// Both paths together are slower than what tcpdump can write here: of headers, of whole packets.
const HEADERS_MBIT: u32 = 400;
const FULL_MBIT: u32 = 150;
const QUEUE_MS: u32 = 30;

/// No packet is longer. tcpdump sets so much of its buffer aside for each, so the default of 256 KiB
/// would leave room for a few only.
const WHOLE_PACKET: u32 = 2048;

/// Transfers at the same time in `headers` and `full`.
const TRANSFERS: u64 = 8;

/// Parts of a transfer, each sent when the one before has come back: an application waits for so long only.
const PARTS: u64 = 40;

/// Bytes of data that come with one packet of a bulk transfer, its ACK counted.
const BYTES_PER_PACKET: u64 = 1_300;

/// How long a short connection waits for its join, in milliseconds, and how many there are at once.
const JOIN_MS: u64 = 80;
const AT_ONCE: u64 = 200;

/// Bytes that a short connection fetches.
const SHORT_BYTES: u64 = 12_000;

/// The capture called `name`, made if it is not there; or the file of that name.
pub(super) fn ensure(directory: &Path, name: &str, sizes: &Sizes) -> anyhow::Result<PathBuf> {
    if Path::new(name).is_file() {
        return Ok(std::fs::canonicalize(name)?);
    }
    let synthetic = Plan::named(name, sizes.packets);
    if !NAMES.contains(&name) && synthetic.is_none() {
        bail!("{name}: neither a file nor one of {}", NAMES.join(", "));
    }
    std::fs::create_dir_all(directory)?;
    let size = match name {
        "full" => sizes.mebibytes,
        "short" | "short-ng" => sizes.connections,
        _ => sizes.packets,
    };
    let file = directory.join(format!("{}-{size}.pcap", name.replace(':', "-")));
    if file.exists() {
        return Ok(file);
    }
    say(&format!("bench: making {}", file.display()));
    // A half-made capture must not be taken for a whole one.
    let part = directory.join(format!("{name}.part"));
    match (name, &synthetic) {
        (_, Some(plan)) => synthetic::write(&part, plan)?,
        ("headers", _) => bulk(&part, 128, sizes.packets * BYTES_PER_PACKET, HEADERS_MBIT)?,
        ("full", _) => bulk(
            &part,
            WHOLE_PACKET,
            sizes.mebibytes * 1024 * 1024,
            FULL_MBIT,
        )?,
        ("short", _) => short(&part, sizes.connections)?,
        _ => {
            let source = ensure(directory, name.trim_end_matches("-ng"), sizes)?;
            let mut editcap = Command::new("editcap");
            output(editcap.args(["-F", "pcapng"]).arg(source).arg(&part))?;
        }
    }
    std::fs::rename(&part, &file)?;
    Ok(file)
}

/// Bulk transfers both ways over two paths, seen by the client.
fn bulk(file: &Path, snaplen: u32, bytes: u64, mbit: u32) -> anyhow::Result<()> {
    let rate = Rate {
        mbit,
        queue_ms: QUEUE_MS,
    };
    let lab = network(&Topology::paths(&[1, 1]).with_rate(rate))?;
    let _server = serve(&lab, "echo")?;
    let recording = TwoRecordings::start(&lab, file, snaplen)?;
    // What is echoed crosses the network twice.
    let part = bytes / TRANSFERS / 2 / PARTS;
    let connect = |_| Application::connect(&lab, Node::Client, "mptcp", "10.2.1.1:5001");
    let mut clients: Vec<_> = (0..TRANSFERS).map(connect).collect::<Result<_, _>>()?;
    let mut together = |commands: &[&str]| -> anyhow::Result<()> {
        for client in &mut clients {
            commands
                .iter()
                .try_for_each(|command| client.tell(command))?;
        }
        clients.iter_mut().try_for_each(Application::done)
    };
    for number in 1..=PARTS {
        together(&[&format!("send {part}"), &format!("read {}", number * part)])?;
    }
    together(&["shutdown", "eof"])?;
    let packets = recording.finish()?;
    say(&format!("bench: {packets} packets"));
    Ok(())
}

/// Many short connections, each with a join.
fn short(file: &Path, connections: u64) -> anyhow::Result<()> {
    let lab = network(&Topology::paths(&[1, 1]))?;
    let _server = serve(&lab, "respond")?;
    let recording = TwoRecordings::start(&lab, file, 128)?;
    let mut burst = lab.helper_command(Node::Client);
    burst.args(["app", "burst", "mptcp", "10.2.1.1:5001"]);
    burst.args([connections, SHORT_BYTES, AT_ONCE, JOIN_MS].map(|number| number.to_string()));
    let said = output(&mut burst)?;
    recording.finish()?;
    say(&format!("bench: {}", said.trim()));
    let mptcp = format!("mptcp={connections} ");
    ensure!(
        said.contains(&mptcp),
        "not all connections are MPTCP: {said}"
    );
    Ok(())
}

fn network(topology: &Topology) -> anyhow::Result<Lab> {
    let lab = Lab::build(topology, &std::env::current_exe()?)?;
    for node in [Node::Client, Node::Server] {
        lab.run(
            node,
            "ip mptcp limits set subflow 4 add_addr_accepted 4
             echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range
             echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse",
        )?;
    }
    lab.run(
        Node::Client,
        "ip mptcp endpoint add 10.1.2.1 dev c2 id 2 subflow",
    )?;
    Ok(lab)
}

fn serve(lab: &Lab, job: &str) -> anyhow::Result<Process> {
    let mut command = lab.helper_command(Node::Server);
    command.args(["app", "serve", job, "mptcp", "[::]:5001"]);
    let mut server = Process::start("server", &mut command)?;
    server.wait_for("listening", 1)?;
    Ok(server)
}

/// What the client's two interfaces see, as one Ethernet capture: not all rivals read the cooked one
/// of `any`.
struct TwoRecordings {
    file: PathBuf,
    parts: [(Recording, PathBuf); 2],
}

impl TwoRecordings {
    fn start(lab: &Lab, file: &Path, snaplen: u32) -> anyhow::Result<Self> {
        let start = |interface: &'static str| -> anyhow::Result<(Recording, PathBuf)> {
            let part = file.with_extension(interface);
            let interfaces = [interface];
            let tap = Tap {
                snaplen,
                buffer_kib: 1_048_576,
                ..Tap::tcp(Node::Client, &interfaces)
            };
            let recording = Recording::start(lab, &tap, &part).context("capturing")?;
            Ok((recording, part))
        };
        Ok(Self {
            file: file.to_owned(),
            parts: [start("c1")?, start("c2")?],
        })
    }

    /// Ends both and puts their packets together in the order of time; gives their number.
    fn finish(self) -> anyhow::Result<u64> {
        let mut merge = Command::new("mergecap");
        merge.args(["-F", "pcap", "-w"]).arg(&self.file);
        let mut packets = 0;
        let mut files = Vec::new();
        for (recording, file) in self.parts {
            packets += recording.finish()?;
            merge.arg(&file);
            files.push(file);
        }
        output(&mut merge)?;
        for file in files {
            std::fs::remove_file(file)?;
        }
        Ok(packets)
    }
}
