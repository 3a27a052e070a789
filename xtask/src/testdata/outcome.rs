//! What the kernel and the applications said about a run, as the manifest has it.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use mptcp_tests::lab::oracle::counters::Counters;
use mptcp_tests::lab::oracle::monitor::{self, Subflow};
use mptcp_tests::lab::oracle::sockets::{self, Entry};
use mptcp_tests::lab::oracle::stream::{self, Stream};
use mptcp_tests::lab::{Lab, Node};
use mptcp_tests::payload::sha256;

use super::manifest::{Expected, Sides};
use super::scenario::{Opening, Scenario};

/// What was said while it went on.
pub(crate) struct Said {
    /// The connection that counts, if others came before it.
    pub(crate) searched: Option<Searched>,
    /// As the client's kernel knew them, and the server's.
    pub(crate) idsns: [Option<Sides>; 2],
    /// Of the client and of the server.
    pub(crate) counters: [Counters; 2],
    pub(crate) client: Lines,
    pub(crate) server: Lines,
}

/// What was said on one host.
pub(crate) struct Lines {
    pub(crate) application: Vec<String>,
    pub(crate) monitor: Vec<String>,
}

/// What `ss` says about a connection that others came before, which may be more than the monitor can
/// follow.
pub(crate) struct Searched {
    /// The client's.
    pub(crate) port: u16,
    tokens: Sides,
    /// The only one.
    subflow: Subflow,
}

impl Searched {
    /// From what it prints on both hosts.
    pub(crate) fn new(port: u16, at_client: &str, at_server: &str) -> anyhow::Result<Self> {
        let [client, server] = [at_client, at_server].map(|ss| sockets::of_port(ss, port));
        let client = client.context("the client's kernel does not know the connection")?;
        let end = |end: Option<SocketAddr>| end.map(|end| end.to_string()).context("no address");
        let token = |entry: &Entry| entry.token().map(|token| format!("{token:#010x}"));
        Ok(Self {
            port,
            tokens: Sides {
                client: token(&client),
                server: server.as_ref().and_then(token),
            },
            subflow: Subflow {
                client: end(client.local)?,
                server: end(client.remote)?,
                client_address_id: 0,
                server_address_id: 0,
                backup: false,
            },
        })
    }
}

/// Puts it together and refuses a run that does not show what the scenario promises.
pub(crate) fn expected(scenario: &Scenario, lab: &Lab, said: Said) -> anyhow::Result<Expected> {
    let [counters_client, counters_server] = said.counters.each_ref().map(Counters::noteworthy);
    for (node, name, least) in scenario.require {
        let counters = if *node == Node::Client {
            &counters_client
        } else {
            &counters_server
        };
        let value = counters.get(*name).copied().unwrap_or(0);
        ensure!(value >= *least, "{node}: {name} is {value}, {least} wanted");
    }
    let [to_server, to_client] = streams(scenario, &said)?;
    let (client, server) = (&said.client.monitor, &said.server.monitor);
    let mut subflows = monitor::subflows(client);
    let mut at_server = monitor::subflows_at_server(server);
    let mut tokens = Sides {
        client: monitor::token(client),
        server: monitor::token(server),
    };
    if let Some(searched) = said.searched {
        tokens = searched.tokens;
        subflows = vec![searched.subflow];
        at_server.clone_from(&subflows);
    }
    let wanted = scenario.expect.subflows;
    let count = subflows.len();
    ensure!(
        count == wanted,
        "{count} subflows, {wanted} wanted: {subflows:?}"
    );
    for stream in [&to_server, &to_client] {
        let whole = stream.sent_sha256 == stream.received_sha256;
        ensure!(
            whole || !scenario.expect.complete,
            "sent and received data differ"
        );
    }
    let [idsns, idsns_at_server] = said.idsns;
    Ok(Expected {
        complete: scenario.expect.complete,
        syn_bytes: scenario.opening.syn_bytes(),
        checksum: asks_for_checksums(lab)?,
        tokens,
        idsns_at_server: idsns_at_server.filter(|seen| idsns.as_ref() != Some(seen)),
        idsns,
        subflows_at_server: Some(at_server).filter(|seen| *seen != subflows),
        subflows,
        to_server,
        to_client,
        counters_client,
        counters_server,
    })
}

/// The data to the server, and to the client.
fn streams(scenario: &Scenario, said: &Said) -> anyhow::Result<[Stream; 2]> {
    let (client, server) = (&said.client.application, &said.server.application);
    if let Opening::Fails(error) = scenario.opening {
        return Ok([nothing(error), nothing(error)]);
    }
    Ok([
        stream::stream(client, server)?,
        stream::stream(server, client)?,
    ])
}

/// The data of a connection that never was.
fn nothing(error: &str) -> Stream {
    Stream {
        sent_bytes: 0,
        sent_sha256: sha256(b""),
        send_error: error.to_owned(),
        received_bytes: 0,
        received_sha256: sha256(b""),
        end: "open".to_owned(),
    }
}

/// Flag A of `MP_CAPABLE` is set if either host wants it (RFC 8684 §3.1).
fn asks_for_checksums(lab: &Lab) -> anyhow::Result<bool> {
    for node in [Node::Client, Node::Server] {
        if lab
            .run(node, "cat /proc/sys/net/mptcp/checksum_enabled")?
            .trim()
            == "1"
        {
            return Ok(true);
        }
    }
    Ok(false)
}
