//! A transparent split proxy: it takes connections that TPROXY brings, whatever their destination,
//! makes a second connection from the client's address to that destination, and carries the data
//! both ways. MPTCP in front and TCP behind is the proxy that ends MPTCP; TCP on both sides is the
//! one that hides the server's MPTCP.
//!
//! It prints `listening`, and when its standard input ends `relayed connections=N failed=N
//! to_server=BYTES to_client=BYTES`. The namespace needs, for the IPv4 port 5001 and PORT 3129:
//!
//! ```text
//! ip rule add fwmark 1 lookup 100
//! ip route add local 0.0.0.0/0 dev lo table 100
//! iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1
//! iptables -t mangle -A PREROUTING -p tcp -m mark ! --mark 1 --dport 5001 -j TPROXY --on-port 3129 --tproxy-mark 1
//! ```

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use socket2::SockRef;

use super::pool::Busy;
use super::socket::{self, Listening, PATIENCE, Protocol};
use super::{pool, print, wait_for_end_of_input};

/// Connections at the same time, for each family.
const MOST_CONNECTIONS: usize = 64;

/// How long a direction may be silent. Longer than an application waits for its peer.
const LONGEST_SILENCE: Duration = PATIENCE.saturating_mul(3);

/// Bytes per read and write.
const CHUNK: usize = 65_536;

#[derive(Default)]
struct Totals {
    busy: Busy,
    connections: AtomicU64,
    failed: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// Relays until standard input ends.
pub(super) fn run(front: Protocol, back: Protocol, port: u16) -> anyhow::Result<()> {
    let totals = Arc::new(Totals::default());
    let everywhere: [SocketAddr; 2] = [
        (Ipv4Addr::UNSPECIFIED, port).into(),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ];
    for address in everywhere {
        let listener = socket::listen(front, address, Listening::Transparent)
            .with_context(|| format!("listening at {address}"))?;
        let (listener, totals) = (Arc::new(listener), Arc::clone(&totals));
        pool::start(MOST_CONNECTIONS, move || accept(&listener, back, &totals))?;
    }
    print("listening")?;
    wait_for_end_of_input(&totals.busy)?;
    print(&format!(
        "relayed connections={} failed={} to_server={} to_client={}",
        totals.connections.load(Ordering::Relaxed),
        totals.failed.load(Ordering::Relaxed),
        totals.to_server.load(Ordering::Relaxed),
        totals.to_client.load(Ordering::Relaxed),
    ))
}

fn accept(listener: &TcpListener, back: Protocol, totals: &Totals) {
    while let Ok((client, _)) = listener.accept() {
        let _work = totals.busy.begin();
        let failed = relay(&client, back, totals).is_err();
        totals.failed.fetch_add(failed.into(), Ordering::Relaxed);
        totals.connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// Both directions of one connection.
fn relay(client: &TcpStream, back: Protocol, totals: &Totals) -> anyhow::Result<()> {
    let server = connect(client, back).inspect_err(|_| reset(client))?;
    for stream in [client, &server] {
        stream.set_read_timeout(Some(LONGEST_SILENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
    }
    let outcome = std::thread::scope(|scope| {
        let back = scope.spawn(|| carry(&server, client, &totals.to_client));
        let there = carry(client, &server, &totals.to_server);
        let back = back.join().expect("carrying does not panic");
        there.and(back)
    });
    Ok(outcome?)
}

/// The second connection, from the client's address to where the client wanted to go.
fn connect(client: &TcpStream, back: Protocol) -> anyhow::Result<TcpStream> {
    let (from, to) = (client.peer_addr()?, client.local_addr()?);
    let socket = socket::open(back, to)?;
    socket::be_transparent(&socket, to)?;
    socket.set_reuse_address(true)?;
    socket.bind(&from.into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// One direction: data, then the end of data. An error ends the other direction too.
fn carry(mut from: &TcpStream, mut to: &TcpStream, total: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut carry = || loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(buffer.get(..len).unwrap_or_default())?;
        total.fetch_add(len as u64, Ordering::Relaxed);
    };
    let outcome = carry();
    if outcome.is_err() {
        reset(from);
        reset(to);
    }
    outcome
}

/// Wakes the thread that reads from `stream`; closing it then resets the connection.
fn reset(stream: &TcpStream) {
    // An error here says that the connection has ended already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}
