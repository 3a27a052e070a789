//! An MPTCP connection that speaks by the book: handshakes, mappings, closing.

use mptcp_proto::key::{Key, Token};
use mptcp_proto::seq::Dsn;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::MptcpOption;

use super::option::option_bytes;
use super::{Capture, Dispatch, End, Flow};

/// A host of a connection: the client sent the first SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The host that opened the connection.
    Client,
    /// The other host.
    Server,
}

impl Host {
    /// The other host.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A subflow of a crafted connection.
#[derive(Debug, Clone)]
pub struct Subflow {
    /// Its TCP flow.
    pub flow: Flow,
    /// The host that opened it, which is the flow's client.
    pub opener: Host,
}

impl Subflow {
    /// The end of the flow at which a host sits.
    pub fn end(&self, host: Host) -> End {
        if host == self.opener {
            End::Client
        } else {
            End::Server
        }
    }
}

/// What is wrong with the HMACs of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// Nothing.
    Nothing,
    /// The truncated HMAC in the SYN/ACK.
    SynAck,
    /// The full HMAC in the third ACK.
    Ack,
}

/// How a subflow is joined.
#[derive(Debug, Clone)]
pub struct JoinPlan {
    /// The host that opens it.
    pub opener: Host,
    /// Address id of the opener.
    pub id: u8,
    /// Address id of the other host.
    pub peer_id: u8,
    /// Whether the opener asks for a backup.
    pub backup: bool,
    /// Which HMAC is wrong.
    pub forge: Forge,
}

impl JoinPlan {
    /// A regular join from the opener's address 1 to the peer's address 0.
    pub fn by(opener: Host) -> Self {
        Self {
            opener,
            id: 1,
            peer_id: 0,
            backup: false,
            forge: Forge::Nothing,
        }
    }
}

/// An MPTCP connection. Relative data sequence numbers count from 1, the first byte.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the wire formats to choose from are independent of each other"
)]
pub struct Connection {
    /// Protocol version.
    pub version: Version,
    /// Whether DSS checksums are used.
    pub checksum: bool,
    /// Key of the client.
    pub client_key: Key,
    /// Key of the server.
    pub server_key: Key,
    /// Whether a DSN is written with 8 bytes.
    pub wide_dsn: bool,
    /// Whether a DATA_ACK is written with 8 bytes.
    pub wide_data_ack: bool,
    /// Whether each segment repeats the mapping it lies in, as Linux v1 does; otherwise only the
    /// first segment has it, as the v0 kernel did.
    pub repeat_mappings: bool,
    /// Largest payload of a segment.
    pub mss: usize,
    /// The subflows, in the order in which they were opened.
    pub subflows: Vec<Subflow>,
    /// Relative DSN of the client's and of the server's next byte.
    next: [u64; 2],
}

impl Connection {
    /// A connection as the kernel of that version's time would have it.
    pub fn new(version: Version) -> Self {
        let linux_v1 = version == Version::V1;
        Self {
            version,
            checksum: false,
            client_key: Key(*b"client-1"),
            server_key: Key(*b"server-1"),
            wide_dsn: linux_v1,
            wide_data_ack: false,
            repeat_mappings: linux_v1,
            mss: 1000,
            subflows: Vec::new(),
            next: [1, 1],
        }
    }

    /// The same connection with DSS checksums.
    #[must_use]
    pub fn with_checksum(mut self) -> Self {
        self.checksum = true;
        self
    }

    /// The same connection with these keys.
    #[must_use]
    pub fn with_keys(mut self, client: [u8; 8], server: [u8; 8]) -> Self {
        (self.client_key, self.server_key) = (Key(client), Key(server));
        self
    }

    /// Key of a host.
    pub fn key(&self, host: Host) -> Key {
        match host {
            Host::Client => self.client_key,
            Host::Server => self.server_key,
        }
    }

    /// Token of a host.
    pub fn token(&self, host: Host) -> Token {
        self.key(host).token(self.version)
    }

    /// Absolute data sequence number of what a host sends.
    pub fn dsn(&self, host: Host, relative: u64) -> Dsn {
        self.key(host).idsn(self.version).add(relative)
    }

    /// Relative DSN of the next byte that a host sends.
    pub fn next_data(&self, host: Host) -> u64 {
        self.next[host as usize]
    }

    /// Makes the next byte of a host another one: it skips, or begins again.
    pub fn set_next_data(&mut self, host: Host, relative_dsn: u64) {
        self.next[host as usize] = relative_dsn;
    }

    /// Bytes of a host's data stream.
    pub fn stream(host: Host, relative_dsn: u64, len: usize) -> Vec<u8> {
        // Neither period nor shift of one direction is that of the other, so that bytes at a
        // wrong place or of the wrong direction never match by chance.
        let (factor, period) = match host {
            Host::Client => (7, 251),
            Host::Server => (11, 241),
        };
        (relative_dsn..)
            .take(len)
            .map(|dsn| u8::try_from(dsn.wrapping_mul(factor) % period).expect("below 256"))
            .collect()
    }

    /// Opens the connection; gives the number of the initial subflow.
    pub fn connect(&mut self, capture: &mut Capture, flow: Flow) -> usize {
        let subflow = self.adopt(flow, Host::Client);
        let options = [
            self.capable_syn(),
            self.capable_syn_ack(),
            self.capable_ack(),
        ];
        self.handshake(capture, subflow, &options);
        subflow
    }

    /// Opens another subflow; gives its number.
    pub fn join(&mut self, capture: &mut Capture, flow: Flow, opener: Host) -> usize {
        self.join_as(capture, flow, &JoinPlan::by(opener))
    }

    /// Opens another subflow by a plan; gives its number. A join with a wrong HMAC is carried
    /// through to the ACK of the fourth packet all the same.
    pub fn join_as(&mut self, capture: &mut Capture, flow: Flow, plan: &JoinPlan) -> usize {
        let opener = plan.opener;
        let mut options = [
            self.join_syn(opener, plan.id, plan.backup),
            self.join_syn_ack(opener, plan.peer_id, plan.backup),
            self.join_ack(opener),
        ]
        .map(|option| option_bytes(&option));
        match plan.forge {
            Forge::Nothing => {}
            Forge::SynAck => options[1][5] ^= 0x40,
            Forge::Ack => options[2][20] ^= 0x01,
        }
        let subflow = self.adopt(flow, opener);
        let flow = &mut self.subflows[subflow].flow;
        flow.send(capture, End::Client, &Dispatch::syn().options(&options[0]));
        flow.send(
            capture,
            End::Server,
            &Dispatch::syn_ack().options(&options[1]),
        );
        flow.send(capture, End::Client, &Dispatch::ack().options(&options[2]));
        // RFC 8684 §3.2: the listener acknowledges the third ACK, for the HMAC in it is not
        // repeated by anything else.
        flow.send(capture, End::Server, &Dispatch::ack());
        subflow
    }

    /// Takes a flow as a subflow without sending anything; gives its number.
    pub fn adopt(&mut self, flow: Flow, opener: Host) -> usize {
        self.subflows.push(Subflow { flow, opener });
        self.subflows.len() - 1
    }

    /// A three-way handshake on a subflow with these options.
    pub fn handshake(&mut self, capture: &mut Capture, subflow: usize, options: &[MptcpOption; 3]) {
        let [syn, syn_ack, ack] = options.map(|option| option_bytes(&option));
        let flow = &mut self.subflows[subflow].flow;
        flow.send(capture, End::Client, &Dispatch::syn().options(&syn));
        flow.send(capture, End::Server, &Dispatch::syn_ack().options(&syn_ack));
        flow.send(capture, End::Client, &Dispatch::ack().options(&ack));
    }

    /// Captures any segment of a host on a subflow.
    pub fn dispatch(&mut self, capture: &mut Capture, on: usize, from: Host, what: &Dispatch) {
        let end = self.subflows[on].end(from);
        self.subflows[on].flow.send(capture, end, what);
    }

    /// A pure ACK with these options.
    pub fn say(&mut self, capture: &mut Capture, on: usize, from: Host, options: &[MptcpOption]) {
        let bytes: Vec<u8> = options.iter().flat_map(option_bytes).collect();
        self.dispatch(capture, on, from, &Dispatch::ack().options(&bytes));
    }

    /// The first data of a v1 client, mapped by MP_CAPABLE in each segment (RFC 8684 §3.1).
    pub fn send_with_capable(&mut self, capture: &mut Capture, on: usize, len: usize) {
        let payload = Self::stream(Host::Client, 1, len);
        let option = option_bytes(&self.capable_data(&payload));
        for segment in payload.chunks(self.mss) {
            let dispatch = Dispatch::ack().options(&option).payload(segment);
            self.dispatch(capture, on, Host::Client, &dispatch);
        }
        self.next[0] += len as u64;
    }

    /// The next bytes of a host's stream under one mapping, in segments of `mss` bytes.
    pub fn send(&mut self, capture: &mut Capture, on: usize, from: Host, len: usize) {
        let first = self.next_data(from);
        self.send_from(capture, on, from, first, len);
        self.next[from as usize] += len as u64;
    }

    /// Any bytes of a host's stream under one mapping with new SSNs: sent before on this subflow
    /// they are a data-level retransmission, on another one a reinjection.
    pub fn send_from(
        &mut self,
        capture: &mut Capture,
        on: usize,
        from: Host,
        relative_dsn: u64,
        len: usize,
    ) {
        let payload = Self::stream(from, relative_dsn, len);
        let subflow = &self.subflows[on];
        let ssn = subflow.flow.next_ssn(subflow.end(from));
        let mapping = option_bytes(&self.dss(from, relative_dsn, ssn, &payload));
        let bare = option_bytes(&self.dss_ack(from));
        for (number, segment) in payload.chunks(self.mss).enumerate() {
            let option = if number == 0 || self.repeat_mappings {
                &mapping
            } else {
                &bare
            };
            let dispatch = Dispatch::ack().options(option).payload(segment);
            self.dispatch(capture, on, from, &dispatch);
        }
    }

    /// The next bytes of a host's stream without any option, as after a fallback.
    pub fn send_bare(&mut self, capture: &mut Capture, on: usize, from: Host, len: usize) {
        let payload = Self::stream(from, self.next_data(from), len);
        for segment in payload.chunks(self.mss) {
            self.dispatch(capture, on, from, &Dispatch::ack().payload(segment));
        }
        self.next[from as usize] += len as u64;
    }

    /// A DATA_ACK for all that the peer has sent.
    pub fn acknowledge(&mut self, capture: &mut Capture, on: usize, from: Host) {
        let option = self.dss_ack(from);
        self.say(capture, on, from, &[option]);
    }

    /// A DATA_FIN of its own.
    pub fn data_fin(&mut self, capture: &mut Capture, on: usize, from: Host) {
        let option = self.dss_fin(from);
        self.say(capture, on, from, &[option]);
        self.next[from as usize] += 1;
    }

    /// FIN, FIN, ACK on one subflow.
    pub fn fin(&mut self, capture: &mut Capture, on: usize, first: Host) {
        self.dispatch(capture, on, first, &Dispatch::new("FA"));
        self.dispatch(capture, on, first.other(), &Dispatch::new("FA"));
        self.dispatch(capture, on, first, &Dispatch::ack());
    }

    /// A reset with these options.
    pub fn reset(&mut self, capture: &mut Capture, on: usize, from: Host, options: &[MptcpOption]) {
        let bytes: Vec<u8> = options.iter().flat_map(option_bytes).collect();
        self.dispatch(capture, on, from, &Dispatch::new("RA").options(&bytes));
    }

    /// Ends the connection in good order: DATA_FIN both ways on the first subflow, each
    /// acknowledged, then FIN on every subflow.
    pub fn close(&mut self, capture: &mut Capture) {
        self.data_fin(capture, 0, Host::Client);
        self.data_fin(capture, 0, Host::Server);
        self.acknowledge(capture, 0, Host::Client);
        for subflow in 0..self.subflows.len() {
            self.fin(capture, subflow, Host::Client);
        }
    }
}
