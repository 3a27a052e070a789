//! Which shell commands give each node of a topology its addresses and routes.

use std::fmt::Write;

use super::topology::{IcmpLimit, Link, Node, Rate, Topology};

/// Everything of the client; everything of the server.
const CLIENT_NETS: [&str; 2] = ["10.1.0.0/16", "fd00:1::/32"];
const SERVER_NETS: [&str; 2] = ["10.2.0.0/16", "fd00:2::/32"];

/// A bucket that holds two full packets, so that even the first ones of a transfer are paced.
const BURST_BYTES: u32 = 3028;

/// The commands, for a shell inside the namespace of `node`, once its interfaces exist.
pub(super) fn script(topology: &Topology, node: Node) -> String {
    let mut text = String::from(
        "ip link set lo up
         for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done
         echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad\n",
    );
    for link in topology.toward_client(node) {
        interface(&mut text, link, &link.up.interface, link.up.host, node);
    }
    for link in topology.toward_server(node) {
        interface(&mut text, link, &link.down.interface, link.down.host, node);
    }
    match node {
        Node::Client => client(&mut text, topology),
        Node::Server => server(&mut text, topology),
        Node::Router { .. } => router(&mut text, topology, node),
    }
    text
}

fn interface(text: &mut String, link: &Link, name: &str, host: u8, node: Node) {
    let (v4, v6) = (link.net.v4(host), link.net.v6(host));
    // No address is looked for twice: as long as that of the link is, a router does not find its
    // neighbours, and the first packet of IPv6 waits for a second.
    // Offloads off: a capture holds the packets that the wire would see, with their checksums.
    let _ = write!(
        text,
        "ethtool -K {name} tso off gso off gro off tx off rx off > /dev/null
         echo 0 > /proc/sys/net/ipv4/conf/{name}/rp_filter
         echo 0 > /proc/sys/net/ipv6/conf/{name}/accept_dad
         ip addr add {v4}/24 dev {name}
         ip addr add {v6}/64 dev {name} nodad
         ip link set {name} up\n"
    );
    if let (Some(Rate { mbit, queue_ms }), Node::Router { .. }) = (link.rate, node) {
        let _ = writeln!(
            text,
            "tc qdisc add dev {name} root tbf rate {mbit}mbit burst {BURST_BYTES} latency {queue_ms}ms"
        );
    }
}

/// A path is chosen by the source address, as the documentation of the kernel asks for more than one.
fn client(text: &mut String, topology: &Topology) {
    for (number, link) in (1..).zip(topology.toward_server(Node::Client)) {
        let name = &link.down.interface;
        for (flag, own, via) in addresses(link, link.down.host, link.up.host) {
            let _ = write!(
                text,
                "ip {flag} rule add from {own} lookup {table}
                 ip {flag} route add default via {via} dev {name} table {table}
                 ip {flag} route add default via {via} dev {name} metric {table}\n",
                table = 100 + number,
            );
        }
    }
}

/// Answers go back over the path of the client's address.
fn server(text: &mut String, topology: &Topology) {
    if topology.nat.is_some() {
        // Only the networks between the routers are known here.
        return inner_routes(text, topology, Node::Server);
    }
    let clients = topology.toward_server(Node::Client);
    for (client, link) in clients.zip(topology.toward_client(Node::Server)) {
        let name = &link.up.interface;
        for (flag, to, via) in [
            (
                "-4",
                format!("{}/24", client.net.v4(0)),
                link.net.v4(link.down.host).to_string(),
            ),
            (
                "-6",
                format!("{}/64", client.net.v6(0)),
                link.net.v6(link.down.host).to_string(),
            ),
        ] {
            let _ = writeln!(text, "ip {flag} route add {to} via {via} dev {name}");
        }
    }
    inner_routes(text, topology, Node::Server);
}

fn router(text: &mut String, topology: &Topology, node: Node) {
    text.push_str(
        "echo 1 > /proc/sys/net/ipv4/ip_forward
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         echo 1 > /proc/sys/net/ipv4/fib_multipath_hash_policy
         echo 1 > /proc/sys/net/ipv6/fib_multipath_hash_policy\n",
    );
    if topology.icmp_limit == IcmpLimit::Off {
        text.push_str(
            // No rate alone would leave a limit for the whole router, of 50 at once; an empty mask
            // frees every type from both.
            "echo 0 > /proc/sys/net/ipv4/icmp_ratemask
             echo > /proc/sys/net/ipv6/icmp/ratemask\n",
        );
    }
    let down: Vec<&Link> = topology.toward_client(node).collect();
    let up: Vec<&Link> = topology.toward_server(node).collect();
    let hops_up = up
        .iter()
        .map(|link| (&link.down.interface, link.net, link.up.host));
    let hops_down = down
        .iter()
        .map(|link| (&link.up.interface, link.net, link.down.host));
    next_hops(text, SERVER_NETS, hops_up);
    let beyond_nat = topology.nat.is_some_and(|nat| nat < node);
    if !beyond_nat {
        next_hops(text, CLIENT_NETS, hops_down);
    }
    if topology.nat == Some(node) {
        for link in up {
            let name = &link.down.interface;
            for tables in ["iptables", "ip6tables"] {
                let _ = writeln!(
                    text,
                    "{tables} -t nat -A POSTROUTING -o {name} -j MASQUERADE"
                );
            }
        }
    }
    inner_routes(text, topology, node);
}

/// A route to `nets` over one next hop, or over several of equal cost.
fn next_hops<'a>(
    text: &mut String,
    nets: [&str; 2],
    hops: impl Iterator<Item = (&'a String, super::topology::Net, u8)>,
) {
    let hops: Vec<_> = hops.collect();
    for (flag, to) in ["-4", "-6"].into_iter().zip(nets) {
        let _ = write!(text, "ip {flag} route add {to}");
        for (name, net, host) in &hops {
            let via = if flag == "-4" {
                net.v4(*host).to_string()
            } else {
                net.v6(*host).to_string()
            };
            let _ = write!(text, " nexthop via {via} dev {name}");
        }
        text.push('\n');
    }
}

/// Routes to the networks between the routers of the same path, so that a router that is not a
/// neighbour can be reached, and its answers come back.
fn inner_routes(text: &mut String, topology: &Topology, node: Node) {
    for target in &topology.links {
        let (Node::Router { path, hop }, Node::Router { .. }) = (target.down.node, target.up.node)
        else {
            continue;
        };
        if target.down.node == node || target.up.node == node {
            continue;
        }
        let beyond = match node {
            Node::Router { path: own, .. } if own != path && own != 0 => continue,
            Node::Router { hop: own, .. } => hop > own,
            Node::Client => continue,
            Node::Server => false,
        };
        let same_path = |end: Node| match end {
            Node::Router { path: other, .. } => other == path || other == 0,
            _ => true,
        };
        let way = if beyond {
            topology
                .toward_server(node)
                .find(|link| same_path(link.up.node))
                .map(|link| (&link.down.interface, link.net, link.up.host))
        } else {
            topology
                .toward_client(node)
                .find(|link| same_path(link.down.node))
                .map(|link| (&link.up.interface, link.net, link.down.host))
        };
        if let Some((name, net, host)) = way {
            let _ = write!(
                text,
                "ip -4 route add {}/24 via {} dev {name}
                 ip -6 route add {}/64 via {} dev {name}\n",
                target.net.v4(0),
                net.v4(host),
                target.net.v6(0),
                net.v6(host),
            );
        }
    }
}

/// Own address and neighbour of a link's end, for both families.
fn addresses(link: &Link, own: u8, other: u8) -> [(&'static str, String, String); 2] {
    [
        (
            "-4",
            link.net.v4(own).to_string(),
            link.net.v4(other).to_string(),
        ),
        (
            "-6",
            link.net.v6(own).to_string(),
            link.net.v6(other).to_string(),
        ),
    ]
}
