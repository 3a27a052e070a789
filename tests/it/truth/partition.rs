//! Which of our subflows and connections are which of the reference's.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mptcp_analyze::model::{Analysis, Connection, Subflow};

use super::Differences;
use super::reference::{RefConnection, RefFlow};

/// Addresses of a flow in an order that does not depend on who opened it.
pub(crate) fn ends(one: SocketAddr, other: SocketAddr) -> [SocketAddr; 2] {
    let mut ends = [one, other];
    ends.sort();
    ends
}

/// Our subflows by address pair; one that was used several times holds its generations in order.
pub(crate) struct Subflows<'a> {
    by_ends: BTreeMap<[SocketAddr; 2], Vec<(&'a Connection, &'a Subflow)>>,
}

impl<'a> Subflows<'a> {
    pub(crate) fn of(analysis: &'a Analysis) -> Self {
        let mut by_ends: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for connection in &analysis.connections {
            for subflow in &connection.subflows {
                by_ends
                    .entry(ends(subflow.client, subflow.server))
                    .or_default()
                    .push((connection, subflow));
            }
        }
        for generations in by_ends.values_mut() {
            generations.sort_by_key(|(_, subflow)| subflow.tcp_stream);
        }
        Self { by_ends }
    }

    /// All generations of an address pair.
    pub(crate) fn at(&self, ends: [SocketAddr; 2]) -> &[(&'a Connection, &'a Subflow)] {
        self.by_ends.get(&ends).map_or(&[], Vec::as_slice)
    }

    /// For each of the reference's flows, by number: our subflow.
    pub(crate) fn matching(
        &self,
        connections: &[RefConnection],
        differences: &mut Differences,
    ) -> BTreeMap<u64, (&'a Connection, &'a Subflow)> {
        let mut flows: Vec<&RefFlow> = connections.iter().flat_map(|c| &c.flow_details).collect();
        flows.sort_by_key(|flow| flow.flow);
        let mut generation: BTreeMap<[SocketAddr; 2], usize> = BTreeMap::new();
        let mut matching = BTreeMap::new();
        for flow in flows {
            let key = ends(flow.client.into(), flow.server.into());
            let number = generation.entry(key).or_default();
            match self.at(key).get(*number) {
                Some(&found) => {
                    matching.insert(flow.flow, found);
                }
                None => differences.note(format!("flow {} {key:?}: not among ours", flow.flow)),
            }
            *number += 1;
        }
        for (key, ours) in &self.by_ends {
            let theirs = generation.get(key).copied().unwrap_or(0);
            let cut = connections.iter().any(|c| c.flows_count.is_some());
            if ours.len() != theirs && !cut {
                differences.note(format!(
                    "{key:?}: ours {} flows, reference {theirs}",
                    ours.len()
                ));
            }
        }
        matching
    }
}

/// Which of ours holds each of the reference's connections.
///
/// Connections that something names (a key or a token) must be the same sets of flows. Those that
/// nothing names may have been put into others or together: what the reference keeps apart for
/// lack of a heuristic (captures.md T12), ours may join, never the other way round.
pub(crate) fn connections<'a>(
    theirs: &[RefConnection],
    subflows: &BTreeMap<u64, (&'a Connection, &'a Subflow)>,
    differences: &mut Differences,
) -> Vec<Option<&'a Connection>> {
    let mut holder: Vec<Option<&Connection>> = Vec::new();
    for (number, connection) in theirs.iter().enumerate() {
        let mut ids: Vec<u32> = connection
            .flows
            .iter()
            .filter_map(|flow| subflows.get(flow).map(|(ours, _)| ours.id))
            .collect();
        ids.dedup();
        if ids.len() > 1 {
            differences.note(format!("connection {number}: split into our {ids:?}"));
        }
        let first = connection.flows.iter().find_map(|flow| subflows.get(flow));
        holder.push(first.map(|(ours, _)| *ours));
    }
    for (number, connection) in theirs.iter().enumerate() {
        let merged: Vec<usize> = (0..number)
            .filter(|&other| holder[other].is_some() && same(holder[other], holder[number]))
            .filter(|&other| connection.is_named() && theirs[other].is_named())
            .collect();
        if !merged.is_empty() {
            differences.note(format!("connection {number}: one of ours with {merged:?}"));
        }
    }
    holder
}

fn same(one: Option<&Connection>, other: Option<&Connection>) -> bool {
    one.map(|c| c.id) == other.map(|c| c.id)
}
