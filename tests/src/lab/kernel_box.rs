//! Middleboxes that the kernel itself can play: netfilter rules, and a relay that it diverts to.

use std::fmt::Write;

use anyhow::{Context, bail, ensure};

/// A box of the kernel's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelBox {
    /// Its name in a specification.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub does: &'static str,
    /// Its parameters with their default values.
    pub parameters: &'static [(&'static str, &'static str)],
    rules: &'static [Rule],
    /// Shell text before the rules, and what takes it back.
    before: &'static str,
    after: &'static str,
}

/// One netfilter rule; `{parameter}` is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    family: Family,
    table: &'static str,
    chain: &'static str,
    rest: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Both,
}
use Family::{Both, V4, V6};

const fn rule(
    family: Family,
    table: &'static str,
    chain: &'static str,
    rest: &'static str,
) -> Rule {
    Rule {
        family,
        table,
        chain,
        rest,
    }
}

/// What most boxes share.
const BASE: KernelBox = KernelBox {
    name: "",
    does: "",
    parameters: &[],
    rules: &[],
    before: "",
    after: "",
};

/// The port on which the relay of `split-proxy` listens.
const RELAY_PORT: &str = "5999";

/// Every box of the kernel's parts. `near+` are the interfaces that point to the client.
pub const KERNEL_BOXES: &[KernelBox] = &[
    KernelBox {
        name: "tcpoptstrip",
        does: "replaces options by NOPs in all packets (TCPOPTSTRIP)",
        parameters: &[("kinds", "30")],
        rules: &[rule(
            Both,
            "mangle",
            "FORWARD",
            "-p tcp -j TCPOPTSTRIP --strip-options {kinds}",
        )],
        ..BASE
    },
    KernelBox {
        name: "tcpmss",
        does: "sets the maximum segment size of SYNs (TCPMSS)",
        parameters: &[("mss", "1300")],
        rules: &[rule(
            Both,
            "mangle",
            "FORWARD",
            "-p tcp --tcp-flags SYN SYN -j TCPMSS --set-mss {mss}",
        )],
        ..BASE
    },
    KernelBox {
        // Neighbours would not find each other: their packets must come with 255 (RFC 4861 §7.1).
        name: "ttl",
        does: "sets the TTL or hop limit of what goes to the server",
        parameters: &[("set", "64")],
        rules: &[
            rule(
                V4,
                "mangle",
                "PREROUTING",
                "-i near+ -j TTL --ttl-set {set}",
            ),
            rule(
                V6,
                "mangle",
                "PREROUTING",
                "-i near+ ! -p ipv6-icmp -j HL --hl-set {set}",
            ),
        ],
        ..BASE
    },
    KernelBox {
        name: "ttl-hide",
        does: "hides itself: raises the TTL or hop limit by one for the one that it takes",
        rules: &[
            rule(V4, "mangle", "PREROUTING", "-i near+ -j TTL --ttl-inc 1"),
            rule(
                V6,
                "mangle",
                "PREROUTING",
                "-i near+ ! -p ipv6-icmp -j HL --hl-inc 1",
            ),
        ],
        ..BASE
    },
    KernelBox {
        name: "dscp",
        does: "sets the DSCP of all packets",
        parameters: &[("set", "0")],
        rules: &[rule(Both, "mangle", "FORWARD", "-j DSCP --set-dscp {set}")],
        ..BASE
    },
    KernelBox {
        name: "ecn-off",
        does: "clears ECE and CWR of SYNs and the ECN bits of the IP header (IPv6: these only)",
        rules: &[
            rule(V4, "mangle", "FORWARD", "-p tcp -j ECN --ecn-tcp-remove"),
            rule(Both, "mangle", "FORWARD", "-j TOS --set-tos 0x00/0x03"),
        ],
        ..BASE
    },
    KernelBox {
        name: "ecn-ce",
        does: "marks every packet as having met congestion",
        rules: &[rule(
            Both,
            "mangle",
            "FORWARD",
            "-j TOS --set-tos 0x03/0x03",
        )],
        ..BASE
    },
    KernelBox {
        name: "synproxy",
        does: "answers SYNs itself with a cookie and only then asks the server (SYNPROXY)",
        rules: &[
            rule(
                Both,
                "raw",
                "PREROUTING",
                "-i near+ -p tcp --syn -j CT --notrack",
            ),
            rule(
                Both,
                "filter",
                "FORWARD",
                "-p tcp -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460",
            ),
            rule(
                Both,
                "filter",
                "FORWARD",
                "-p tcp -m conntrack --ctstate INVALID -j DROP",
            ),
        ],
        before: "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose",
        after: "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose",
        ..BASE
    },
    KernelBox {
        name: "split-proxy",
        does: "ends connections to a port itself and opens them again to the server, each side with tcp or mptcp (TPROXY)",
        parameters: &[("port", "5001"), ("front", "tcp"), ("back", "tcp")],
        rules: &[
            rule(
                Both,
                "mangle",
                "PREROUTING",
                "-p tcp -m socket --transparent -j MARK --set-mark 1",
            ),
            rule(
                V4,
                "mangle",
                "PREROUTING",
                "-i near+ -p tcp --dport {port} -j TPROXY --on-ip 127.0.0.1 --on-port 5999 --tproxy-mark 1/1",
            ),
            rule(
                V6,
                "mangle",
                "PREROUTING",
                "-i near+ -p tcp --dport {port} -j TPROXY --on-ip ::1 --on-port 5999 --tproxy-mark 1/1",
            ),
        ],
        before: "for f in -4 -6; do ip $f rule add fwmark 1 lookup 100; ip $f route add local default dev lo table 100; done",
        after: "for f in -4 -6; do ip $f rule del fwmark 1 lookup 100; ip $f route del local default dev lo table 100; done",
    },
    KernelBox {
        name: "masquerade",
        does: "gives packets to the server its own address and other ports (NAT)",
        parameters: &[("ports", "20000-29999")],
        rules: &[rule(
            Both,
            "nat",
            "POSTROUTING",
            "-o far+ -p tcp -j MASQUERADE --to-ports {ports}",
        )],
        ..BASE
    },
    KernelBox {
        name: "ftp",
        does: "translates addresses as a NAT with an FTP helper: the address in a PORT command becomes a longer one",
        parameters: &[("port", "21"), ("address", "10.101.101.101")],
        rules: &[
            rule(
                V4,
                "raw",
                "PREROUTING",
                "-p tcp --dport {port} -j CT --helper ftp",
            ),
            rule(
                V4,
                "nat",
                "POSTROUTING",
                "-o far+ -p tcp -j SNAT --to-source {address}",
            ),
        ],
        before: "ip addr add {address}/32 dev lo",
        after: "ip addr del {address}/32 dev lo",
    },
    KernelBox {
        name: "strict",
        does: "a stateful firewall that drops what its connection tracking calls invalid, and was there first",
        rules: &[rule(
            Both,
            "filter",
            "FORWARD",
            "-p tcp -m conntrack --ctstate INVALID -j DROP",
        )],
        before: "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose",
        after: "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose",
        ..BASE
    },
    KernelBox {
        name: "reject",
        does: "answers SYNs to a port with a TCP reset",
        parameters: &[("port", "5001")],
        rules: &[rule(
            Both,
            "filter",
            "FORWARD",
            "-i near+ -p tcp --syn --dport {port} -j REJECT --reject-with tcp-reset",
        )],
        ..BASE
    },
];

/// A box with the values of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configured {
    kind: &'static KernelBox,
    values: Vec<(&'static str, String)>,
}

impl Configured {
    /// Reads `NAME[:parameter=value,…]`; `None` if no box of the kernel has that name.
    pub(super) fn parse(spec: &str) -> anyhow::Result<Option<Self>> {
        let (name, rest) = spec.split_once(':').unwrap_or((spec, ""));
        let Some(kind) = KERNEL_BOXES.iter().find(|known| known.name == name) else {
            return Ok(None);
        };
        let mut values: Vec<_> = kind
            .parameters
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        for pair in rest.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .with_context(|| format!("{pair}: `parameter=value` expected"))?;
            // The values become part of a command line for a shell.
            let plain = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
            ensure!(value.chars().all(plain), "{value}: not a value of {name}");
            match values.iter_mut().find(|(known, _)| *known == key) {
                Some(place) => value.clone_into(&mut place.1),
                None => bail!(
                    "{name} has no parameter `{key}`; it has {:?}",
                    kind.parameters
                        .iter()
                        .map(|(key, _)| key)
                        .collect::<Vec<_>>()
                ),
            }
        }
        Ok(Some(Self { kind, values }))
    }

    /// The arguments of the application that the box needs beside its rules.
    pub(super) fn application(&self) -> Option<Vec<String>> {
        let relays = self.kind.name == "split-proxy";
        relays.then(|| {
            let words = ["relay", self.value("front"), self.value("back"), RELAY_PORT];
            words.map(str::to_owned).to_vec()
        })
    }

    fn value(&self, key: &str) -> &str {
        let found = self.values.iter().find(|(known, _)| *known == key);
        found.map_or("", |(_, value)| value)
    }

    /// Shell text that puts the box into a router.
    pub(super) fn install(&self) -> String {
        let mut text = format!("{}\n", self.filled(self.kind.before));
        for rule in self.kind.rules {
            self.command(&mut text, *rule, "-A");
        }
        text
    }

    /// Shell text that takes it away again.
    pub(super) fn remove(&self) -> String {
        let mut text = String::new();
        for rule in self.kind.rules.iter().rev() {
            self.command(&mut text, *rule, "-D");
        }
        let _ = writeln!(text, "{}", self.filled(self.kind.after));
        text
    }

    fn command(&self, text: &mut String, rule: Rule, action: &str) {
        let programs: &[&str] = match rule.family {
            V4 => &["iptables"],
            V6 => &["ip6tables"],
            Both => &["iptables", "ip6tables"],
        };
        for program in programs {
            let Rule { table, chain, .. } = rule;
            let rest = self.filled(rule.rest);
            let _ = writeln!(text, "{program} -w -t {table} {action} {chain} {rest}");
        }
    }

    fn filled(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for (key, value) in &self.values {
            text = text.replace(&format!("{{{key}}}"), value);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_replace_their_defaults() {
        let strip = Configured::parse("tcpoptstrip:kinds=34").unwrap().unwrap();
        assert!(strip.install().contains("--strip-options 34"));
        assert!(strip.remove().contains("ip6tables -w -t mangle -D FORWARD"));
        let default = Configured::parse("tcpoptstrip").unwrap().unwrap();
        assert!(default.install().contains("--strip-options 30"));
    }

    #[test]
    fn what_is_no_box_of_the_kernel_is_left_to_others() {
        assert_eq!(Configured::parse("isn:delta=5").unwrap(), None);
    }

    #[test]
    fn a_wrong_parameter_is_refused_with_the_right_ones() {
        let error = Configured::parse("tcpmss:size=5").unwrap_err().to_string();
        assert!(error.contains("size") && error.contains("mss"), "{error}");
        assert!(Configured::parse("tcpmss:mss=5;reboot").is_err());
    }
}
