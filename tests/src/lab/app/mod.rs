//! The applications of the lab: kernel MPTCP (or TCP) sockets that obey their arguments and their
//! standard input. They run inside a namespace of the lab.
//!
//! ```text
//! PROGRAM app listen|listen-fast|listen-last mptcp|tcp read|hold ADDRESS
//! PROGRAM app connect                        mptcp|tcp read|hold ADDRESS
//! PROGRAM app connect-fast                   mptcp|tcp read|hold ADDRESS BYTES
//! PROGRAM app connect-near-wrap              mptcp     read|hold ADDRESS BYTES
//! PROGRAM app serve echo|respond|sink|source mptcp|tcp ADDRESS
//! PROGRAM app burst                          mptcp|tcp ADDRESS COUNT BYTES [PARALLEL [PAUSE_MS]]
//! PROGRAM app relay FRONT BACK PORT
//! PROGRAM app tun connect                    4|6 ADDRESS [SETTING…]
//! PROGRAM app tun listen                     4|6 PORT [SETTING…]
//! ```
//!
//! `listen` and `connect` make one connection and obey commands ([`session`]). `listen-last`
//! passes over connections that end without data. `listen-fast` does too, and takes data in the
//! SYN; `connect-fast` fetches a cookie with a first connection and sends BYTES in the SYN of the
//! second. `connect-near-wrap` connects until the low half of its IDSN is at most BYTES below 2³².
//!
//! `tun` is our own endpoint behind a TUN device ([`tun`]).
//!
//! The others work until their standard input ends ([`serve`], [`relay`]) or their job is done
//! ([`burst`]), and print totals.

mod burst;
mod info;
mod near_wrap;
mod pool;
mod relay;
mod serve;
mod session;
mod socket;
mod tun;

use std::fs::File;
use std::io::{IsTerminal, Read, Stdin, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};

use self::pool::Busy;
use self::session::{Reading, Session};
use self::socket::{Listening, PATIENCE, Protocol};
use crate::payload::Payload;

const USAGE: &str =
    "usage: PROGRAM app listen|listen-fast|listen-last|connect mptcp|tcp read|hold ADDRESS
       PROGRAM app connect-fast|connect-near-wrap mptcp|tcp read|hold ADDRESS BYTES
       PROGRAM app serve echo|respond|sink|source mptcp|tcp ADDRESS
       PROGRAM app burst mptcp|tcp ADDRESS COUNT BYTES [PARALLEL [PAUSE_MS]]
       PROGRAM app relay mptcp|tcp mptcp|tcp PORT
       PROGRAM app tun connect 4|6 ADDRESS [SETTING…]
       PROGRAM app tun listen 4|6 PORT [SETTING…]";

/// Connections at the same time of a burst whose arguments do not say it.
const PARALLEL: usize = 16;

/// How long open connections may still take when the totals are wanted.
const LAST_CONNECTIONS: Duration = Duration::from_secs(2);

/// Runs the application described by its arguments.
pub(super) fn run(args: &[&str]) -> anyhow::Result<()> {
    match *args {
        ["serve", job, protocol, at] => serve::run(word(job)?, word(protocol)?, address(at)?),
        ["burst", protocol, at, count, bytes, ref rest @ ..] => {
            let (parallel, pause) = match *rest {
                [] => (PARALLEL, 0),
                [parallel] => (number(parallel)?, 0),
                [parallel, pause] => (number(parallel)?, number(pause)?),
                _ => bail!(USAGE),
            };
            burst::run(&burst::Plan {
                protocol: word(protocol)?,
                address: address(at)?,
                count: number(count)?,
                bytes: number(bytes)?,
                parallel,
                pause: Duration::from_millis(pause),
            })
        }
        ["relay", front, back, port] => relay::run(word(front)?, word(back)?, number(port)?),
        ["tun", "connect", family, at, ref settings @ ..] => {
            tun::run(&tun::Role::Connect(address(at)?), family, settings)
        }
        ["tun", "listen", family, port, ref settings @ ..] => {
            tun::run(&tun::Role::Listen(number(port)?), family, settings)
        }
        ["connect", protocol, reading, at] => {
            let stream = socket::connect(word(protocol)?, address(at)?)?;
            Session::start(stream, Payload::new("c2s"), word(reading)?)?.obey()
        }
        ["connect-fast", protocol, reading, at, bytes] => connect_fast(
            word(protocol)?,
            word(reading)?,
            address(at)?,
            number(bytes)?,
        ),
        ["connect-near-wrap", "mptcp", reading, at, bytes] => {
            let stream = near_wrap::connect(address(at)?, number(bytes)?)?;
            Session::start(stream, Payload::new("c2s"), word(reading)?)?.obey()
        }
        [role, protocol, reading, at] => {
            listen(role, word(protocol)?, word(reading)?, address(at)?)
        }
        _ => bail!(USAGE),
    }
}

fn listen(
    role: &str,
    protocol: Protocol,
    reading: Reading,
    address: SocketAddr,
) -> anyhow::Result<()> {
    let how = match role {
        "listen" | "listen-last" => Listening::Plain,
        "listen-fast" => Listening::FastOpen,
        _ => bail!(USAGE),
    };
    // Kept to the end: the kernel refuses joins to a port where nobody listens any more.
    let listener = socket::listen(protocol, address, how)?;
    print("listening")?;
    let stream = if role == "listen" {
        listener.accept()?.0
    } else {
        accept_last(&listener)?
    };
    Session::start(stream, Payload::new("s2c"), reading)?.obey()
}

/// The first connection that brings data. Those before it ended without any.
fn accept_last(listener: &TcpListener) -> anyhow::Result<TcpStream> {
    let mut passed = 0_u64;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // A reset is the usual end of those that are passed over.
        if let Ok(1..) = stream.peek(&mut [0]) {
            stream.set_read_timeout(None)?;
            print(&format!("passed {passed}"))?;
            return Ok(stream);
        }
        passed += 1;
    }
}

fn connect_fast(
    protocol: Protocol,
    reading: Reading,
    address: SocketAddr,
    bytes: usize,
) -> anyhow::Result<()> {
    // The answer to its SYN brings the cookie.
    drop(socket::connect_fast(protocol, address, &[])?);
    let mut payload = Payload::new("c2s");
    let data = payload.take(bytes);
    let (stream, taken) = socket::connect_fast(protocol, address, &data)?;
    let mut session = Session::start(stream, payload, reading)?;
    session.sent_already(&data, taken);
    session.obey()
}

/// Waits until nobody talks to us any more, and a moment for connections that are about to end. At a
/// terminal nobody talks: a shell stops a job in its background that reads from it. Nor is `/dev/null` the end of a
/// talk: a shell without a terminal gives it to such jobs (POSIX, XCU §2.9.3.1).
fn wait_for_end_of_input(busy: &Busy) -> anyhow::Result<()> {
    let mut input = std::io::stdin();
    while input.is_terminal() || is_device(&input) {
        std::thread::park();
    }
    input.read_to_end(&mut Vec::new())?;
    busy.wait_until_idle(LAST_CONNECTIONS);
    Ok(())
}

fn is_device(input: &Stdin) -> bool {
    let file = input.as_fd().try_clone_to_owned().map(File::from);
    let kind = file.and_then(|file| file.metadata());
    kind.is_ok_and(|kind| kind.file_type().is_char_device())
}

fn word<T: FromStr<Err = anyhow::Error>>(text: &str) -> anyhow::Result<T> {
    text.parse()
}

fn number<T: FromStr>(text: &str) -> anyhow::Result<T> {
    let number = text.parse().ok();
    number.with_context(|| format!("{text}: not a number in range"))
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().with_context(|| format!("address {text}"))
}

fn print(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
