//! Orders that the endpoint carries out at once, and what it says about itself.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use mptcp_proto::conn::command::SubflowClose;
use mptcp_proto::conn::{Connection, Event};
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::wire::mptcp::{Priority, ResetReason};

use super::Machine;
use crate::lab::app::print;

impl Machine {
    /// The connection, if there is one.
    pub(super) fn connection(&mut self) -> anyhow::Result<&mut Connection> {
        let id = self.id()?;
        let connection = self.endpoint.connection_mut(id);
        connection.context("nothing is left of the connection")
    }

    /// Carries out an order.
    pub(super) fn tell(&mut self, words: &[&str]) -> anyhow::Result<()> {
        match *words {
            ["events"] => self
                .events
                .iter()
                .try_for_each(|event| print(&format!("event {event:?}"))),
            ["counters"] => {
                let counters = self.endpoint.counters();
                let mut found = counters.snapshot().filter(|(_, value)| *value > 0);
                found.try_for_each(|(name, value)| print(&format!("counter {name} {value}")))
            }
            ["join", number] => {
                let remote = self.connection()?.initial().remote;
                self.join(number, remote)
            }
            ["join", number, remote] => self.join(number, remote.parse()?),
            ["announce", number] => {
                let port = self.connection()?.initial().local.port();
                self.announce(number, port)
            }
            ["announce", number, port] => self.announce(number, port.parse()?),
            ["withdraw", number] => {
                let id = AddressId(number.parse()?);
                self.connection()?.remove_address(id);
                Ok(())
            }
            ["gone", number] => {
                let address = self.local(number.parse()?)?;
                self.endpoint.address_down(address);
                Ok(())
            }
            ["info"] => info(self.connection()?),
            ["subflows"] => subflows(self.connection()?),
            _ => order(self.connection()?, words),
        }
    }

    fn join(&mut self, number: &str, remote: SocketAddr) -> anyhow::Result<()> {
        let local = self.local(number.parse()?)?;
        let connection = self.connection()?;
        let local = SocketAddr::new(local, connection.initial().local.port());
        Ok(connection.open_subflow(local, remote, Priority::Regular)?)
    }

    fn announce(&mut self, number: &str, port: u16) -> anyhow::Result<()> {
        let address = self.local(number.parse()?)?;
        let id = AddressId(number.parse()?);
        self.connection()?
            .announce(id, SocketAddr::new(address, port));
        Ok(())
    }
}

/// Orders that concern the connection alone.
fn order(connection: &mut Connection, words: &[&str]) -> anyhow::Result<()> {
    match *words {
        ["shutdown"] => connection.shutdown_write(),
        ["close"] => connection.close(),
        ["abort"] => connection.abort(),
        ["backup", id] => connection.set_priority(SubflowId(id.parse()?), Priority::Backup)?,
        ["regular", id] => connection.set_priority(SubflowId(id.parse()?), Priority::Regular)?,
        ["finish", id] => {
            connection.close_subflow(SubflowId(id.parse()?), SubflowClose::Fin)?;
        }
        ["reset", id, reason] => {
            let how = SubflowClose::Reset(ResetReason(reason.parse()?));
            connection.close_subflow(SubflowId(id.parse()?), how)?;
        }
        _ => bail!("{}: no such order", words.join(" ")),
    }
    Ok(())
}

fn info(connection: &Connection) -> anyhow::Result<()> {
    let info = connection.info();
    print(&format!(
        "info is_mptcp={} token={:#010x} write_seq={:#018x} snd_una={:#018x} rcv_nxt={:#018x} \
         fallback={} csum_enabled={} subflows_total={} retransmits={}",
        u8::from(info.version.is_some()),
        info.token.map_or(0, |token| token.0),
        info.write_seq.0,
        info.snd_una.0,
        info.rcv_nxt.0,
        info.fallback
            .map_or("-".to_owned(), |reason| format!("{reason:?}")),
        u8::from(info.has_checksums),
        info.subflows_total,
        info.retransmits,
    ))
}

fn subflows(connection: &Connection) -> anyhow::Result<()> {
    for subflow in connection.subflows() {
        print(&format!(
            "subflow {} {} id={} up={} local_id={} remote_id={} local={:?} remote={:?}",
            subflow.path.local,
            subflow.path.remote,
            subflow.id,
            u8::from(subflow.is_up),
            subflow.local_id.0,
            subflow.remote_id.0,
            subflow.local_priority,
            subflow.remote_priority,
        ))?;
    }
    Ok(())
}

/// Name of an event, without its fields.
pub(super) fn name_of(event: &Event) -> String {
    let text = format!("{event:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
