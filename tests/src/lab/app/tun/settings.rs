//! Words that say how the endpoint is to behave.
//!
//! | word | means |
//! |---|---|
//! | `checksum` | it asks for checksums |
//! | `tcp` | it does not offer MPTCP |
//! | `private` | no joins to its initial address (flag C) |
//! | `cookies` | it answers every SYN with a cookie |
//! | `fast` | it asks for Fast Open cookies, or grants them; as a listener it turns to the connection that came last |
//! | `later` | it connects when it is told `go` |
//! | `addresses` | the path manager knows the addresses of all devices |
//! | `mute` | strays get no RST |
//! | `fastclose=ack` | it aborts with MP_FASTCLOSE in an ACK |
//! | `scheduler=` `congestion=` `pm=` | which one |
//! | `limits=S,A` | S subflows beside the first, to A announced addresses |
//! | `syns=N` | SYNs with the option before one without |
//! | `echo_ms=N` | how long it waits for the echo of an ADD_ADDR |
//! | `buffer=N` | size of the receive buffer, which does not grow |
//! | `box=SPEC` | a box of the kit between the endpoint and its devices |

use std::time::Duration;

use anyhow::{Context, bail};
use mptcp_proto::conn::{self, config};
use mptcp_proto::endpoint::{self, SynCookies};
use mptcp_proto::pm::Limits;

use crate::middlebox::Middlebox;
use crate::middlebox::spec::Spec;

/// What the words say.
pub(super) struct Settings {
    pub(super) host: endpoint::Config,
    pub(super) connection: conn::Config,
    pub(super) middlebox: Option<Box<dyn Middlebox>>,
    pub(super) waits: bool,
    pub(super) knows_addresses: bool,
    pub(super) is_fast: bool,
}

impl Settings {
    pub(super) fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut settings = Self {
            host: endpoint::Config::default(),
            connection: conn::Config {
                mptcp: config::Offer::V1,
                ..conn::Config::default()
            },
            middlebox: None,
            waits: false,
            knows_addresses: false,
            is_fast: false,
        };
        for word in words {
            let known = match word.split_once('=') {
                None => settings.switch(word),
                Some((key, value)) => settings
                    .set(key, value)
                    .with_context(|| (*word).to_owned())?,
            };
            if !known {
                bail!("{word}: no such setting");
            }
        }
        Ok(settings)
    }

    fn switch(&mut self, word: &str) -> bool {
        match word {
            "checksum" => self.connection.wishes.checksum = true,
            "private" => self.connection.wishes.no_join_to_initial = true,
            "tcp" => self.connection.mptcp = config::Offer::Off,
            "cookies" => self.host.syn_cookies = SynCookies::Always,
            "mute" => self.host.resets_strays = false,
            "fast" => self.is_fast = true,
            "later" => self.waits = true,
            "addresses" => self.knows_addresses = true,
            _ => return false,
        }
        true
    }

    fn set(&mut self, key: &str, value: &str) -> anyhow::Result<bool> {
        let connection = &mut self.connection;
        match (key, value) {
            ("scheduler", name) => connection.scheduler = name.parse()?,
            ("congestion", name) => connection.congestion = name.parse()?,
            ("pm", name) => connection.path_manager = name.parse()?,
            ("fastclose", "ack") => connection.fast_close = config::FastCloseForm::Ack,
            ("syns", count) => connection.patience.syns_with_option = count.parse()?,
            ("echo_ms", ms) => connection.patience.add_addr = Duration::from_millis(ms.parse()?),
            ("buffer", bytes) => {
                connection.buffers.receive = bytes.parse()?;
                connection.buffers.max_receive = connection.buffers.receive;
            }
            ("limits", pair) => {
                let (subflows, addresses) = pair.split_once(',').context("two numbers")?;
                connection.limits = Some(Limits {
                    subflows: subflows.parse()?,
                    add_addr_accepted: addresses.parse()?,
                });
            }
            ("box", spec) => self.middlebox = Some(spec.parse::<Spec>()?.build()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
