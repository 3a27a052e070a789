//! The paths as a graph for Graphviz: `dot -Tsvg`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::run::Names;
use crate::trace::{Flow, Hop, Interval, Located, Place, Trace};

/// Writes the graph: a node for each router, silent ones dashed; edges where packets went, dashed where
/// more than one router answers and it is not known which follows which; red where something is changed.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, trace: &Trace, names: &Names) -> io::Result<()> {
    let mut graph = Graph::default();
    for (number, flow) in trace.flows.iter().enumerate() {
        graph.add(trace, number, flow, names);
    }
    let sentence = quoted(&trace.verdict.sentence);
    writeln!(out, "digraph tracebox {{")?;
    writeln!(out, "  rankdir=LR;")?;
    writeln!(out, "  label={sentence};")?;
    writeln!(out, "  node [shape=box, fontname=\"sans-serif\"];")?;
    writeln!(out, "  edge [fontname=\"sans-serif\"];")?;
    for line in graph.nodes.iter().chain(&graph.edges) {
        writeln!(out, "  {line};")?;
    }
    writeln!(out, "}}")
}

/// Lines, each once, in an order that does not depend on anything but what they say.
#[derive(Default)]
struct Graph {
    nodes: BTreeSet<String>,
    edges: BTreeSet<String>,
}

/// A node, and whether it is one of several at its place.
#[derive(Clone)]
struct Node {
    id: String,
    is_one_of_many: bool,
}

impl Graph {
    fn add(&mut self, trace: &Trace, number: usize, flow: &Flow, names: &Names) {
        self.node("host", "this host", "shape=ellipse");
        let mut before = vec![Node {
            id: "host".to_owned(),
            is_one_of_many: false,
        }];
        let mut ttl = 0;
        for hop in &flow.hops {
            let here = self.hop(number, hop, names);
            self.join(flow, (ttl, Place::Hop(hop.ttl)), &before, &here);
            (before, ttl) = (here, hop.ttl);
        }
        self.node("target", &trace.target.to_string(), "shape=ellipse");
        let target = [Node {
            id: "target".to_owned(),
            is_one_of_many: false,
        }];
        if flow.distance.is_some() || flow.hops.is_empty() {
            self.join(flow, (ttl, Place::Target), &before, &target);
        }
    }

    fn hop(&mut self, flow: usize, hop: &Hop, names: &Names) -> Vec<Node> {
        if hop.routers.is_empty() {
            let id = format!("silent {flow} {}", hop.ttl);
            self.node(
                &id,
                &format!("hop {}\nno answer", hop.ttl),
                "style=dashed, color=gray50, fontcolor=gray50",
            );
            return vec![Node {
                id,
                is_one_of_many: false,
            }];
        }
        let routers = hop.routers.iter().map(|router| {
            let address = router.address.to_string();
            let label = match names.get(&router.address) {
                Some(name) => format!("{address}\n{name}"),
                None => address.clone(),
            };
            self.node(&address, &label, "");
            Node {
                id: address,
                is_one_of_many: hop.routers.len() > 1,
            }
        });
        routers.collect()
    }

    fn node(&mut self, id: &str, label: &str, look: &str) {
        let comma = if look.is_empty() { "" } else { ", " };
        let (id, label) = (quoted(id), quoted(label));
        self.nodes
            .insert(format!("{id} [label={label}{comma}{look}]"));
    }

    /// Edges from one place to the next one.
    fn join(&mut self, flow: &Flow, (after, until): (u8, Place), from: &[Node], to: &[Node]) {
        let here = flow
            .changes
            .iter()
            .filter(|located| has(located.between, after, until));
        let here: Vec<&Located> = here.collect();
        // The words are where the interval ends, once for all of it.
        let ending = here.iter().filter(|located| located.between.until == until);
        let words: Vec<String> = ending
            .map(|located| format!("{} {}", located.change.field, located.change.how))
            .collect();
        for from in from {
            for to in to {
                let mut looks = Vec::new();
                if !here.is_empty() {
                    looks.push("color=red".to_owned());
                }
                if !words.is_empty() {
                    let label = quoted(&words.join("\n"));
                    looks.push(format!("fontcolor=red, label={label}"));
                }
                if from.is_one_of_many || to.is_one_of_many {
                    looks.push("style=dashed".to_owned());
                }
                let looks = looks.join(", ");
                let (from, to) = (quoted(&from.id), quoted(&to.id));
                self.edges.insert(if looks.is_empty() {
                    format!("{from} -> {to}")
                } else {
                    format!("{from} -> {to} [{looks}]")
                });
            }
        }
    }
}

/// Whether the link between two neighbours is part of an interval.
fn has(interval: Interval, after: u8, until: Place) -> bool {
    after >= interval.after && until <= interval.until
}

/// A string of Graphviz. Other control characters than the end of a line have no meaning to it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push('?'),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
