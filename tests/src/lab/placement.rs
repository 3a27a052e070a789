//! Puts middleboxes into routers, by their specification.

use anyhow::Context;

use super::kernel_box::{Configured, KERNEL_BOXES};
use super::{Lab, Link, Node, Process, queue};
use crate::middlebox::spec::Spec;

/// The number of the queue in every router; a router has one box that needs it.
const QUEUE: u16 = 7;

/// A box in a router; dropping this value takes it away again.
#[must_use = "the box goes when this is dropped"]
pub struct Placed<'a> {
    lab: &'a Lab,
    node: Node,
    /// What the box needs beside its rules. Ends after they are gone, or packets would wait for it.
    process: Option<Process>,
    undo: String,
}

impl Drop for Placed<'_> {
    fn drop(&mut self) {
        // The namespace may be on its way out too.
        let _ = self.lab.run(self.node, &self.undo);
        drop(self.process.take());
    }
}

impl Lab {
    /// Puts the box that `spec` describes into a router: one of [`super::KERNEL_BOXES`], or a
    /// [`Spec`]. Traffic of the router is in its hands when this returns.
    pub fn place(&self, node: Node, spec: &str) -> anyhow::Result<Placed<'_>> {
        if let Some(configured) = Configured::parse(spec)? {
            let process = configured
                .application()
                .map(|words| -> anyhow::Result<Process> {
                    let mut command = self.helper_command(node);
                    command.arg("app").args(words);
                    let mut process = Process::start("relay", &mut command)?;
                    process.wait_for("listening", 1)?;
                    Ok(process)
                })
                .transpose()?;
            self.run(node, &configured.install())?;
            return Ok(Placed {
                lab: self,
                node,
                process,
                undo: configured.remove(),
            });
        }
        let parsed: Spec = spec.parse()?;
        let mut command = self.helper_command(node);
        let near = self.topology().toward_client(node);
        command
            .args(["middlebox", &QUEUE.to_string(), spec])
            .args(near.map(|Link { up, .. }| &up.interface));
        let mut process = Process::start("middlebox", &mut command)?;
        // Only then the rules: without a program behind it, a queue drops.
        process.wait_for("ready", 1)?;
        let rules = rules(&parsed);
        self.run(node, &commands(&rules, "-A"))?;
        Ok(Placed {
            lab: self,
            node,
            process: Some(process),
            undo: commands(&rules, "-D"),
        })
    }
}

/// Whether [`Lab::place`] can read a specification; an error says what is wrong with it.
pub fn check_spec(spec: &str) -> anyhow::Result<()> {
    if Configured::parse(spec)?.is_none() {
        let known = KERNEL_BOXES
            .iter()
            .map(|kind| kind.name)
            .collect::<Vec<_>>()
            .join(", ");
        let parsed = spec.parse::<Spec>();
        parsed.with_context(|| format!("{spec}: neither one of {known}, nor one of the kit"))?;
    }
    Ok(())
}

/// Which packets the box gets: what is forwarded, TCP only unless it acts on all, and the router's own
/// ICMP errors. Not what it has sent itself.
fn rules(spec: &Spec) -> Vec<String> {
    let queue = format!("-j NFQUEUE --queue-num {QUEUE}");
    let mark = format!("-m mark ! --mark {}", queue::MARK);
    let mut rules = Vec::new();
    if spec.acts_on_tcp() {
        let which = if spec.acts_on_all() { "" } else { "-p tcp " };
        rules.extend(
            ["iptables", "ip6tables"]
                .map(|program| format!("{program} -w -t mangle ACTION FORWARD {which}{queue}")),
        );
    }
    if spec.acts_on_icmp() {
        rules.extend(
            [
                "iptables -w -t mangle ACTION OUTPUT -p icmp --icmp-type time-exceeded",
                "ip6tables -w -t mangle ACTION OUTPUT -p icmpv6 --icmpv6-type time-exceeded",
            ]
            .map(|rule| format!("{rule} {mark} {queue}")),
        );
    }
    rules
}

fn commands(rules: &[String], action: &str) -> String {
    rules.join("\n").replace("ACTION", action)
}

/// Runs a box inside its router; see [`queue::run`].
pub(super) fn serve(number: &str, spec: &str, near: &[&str]) -> anyhow::Result<()> {
    let number = number.parse().context("the number of the queue")?;
    let spec: Spec = spec.parse()?;
    queue::run(number, spec.build(), near)
}
