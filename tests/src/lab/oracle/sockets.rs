//! The kernel's sockets as `ss` shows them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::socket_address;

/// Shows the MPTCP connections.
pub const CONNECTIONS_COMMAND: &str = "ss -HMni";

/// Shows the TCP sockets, the subflows among them.
pub const SUBFLOWS_COMMAND: &str = "ss -Htni";

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `ESTAB`, `FIN-WAIT-1` and so on.
    pub state: String,
    /// Bytes that the application has not read.
    pub receive_queue: u64,
    /// Bytes that the peer has not acknowledged.
    pub send_queue: u64,
    /// None if it is bound to every address.
    pub local: Option<SocketAddr>,
    /// None if it listens.
    pub remote: Option<SocketAddr>,
    /// What follows, as `key:value`, or a word alone.
    values: BTreeMap<String, String>,
    /// The part behind `tcp-ulp-mptcp`, which uses some keys again.
    mptcp: Option<BTreeMap<String, String>>,
}

/// What the kernel knows about a socket as a subflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subflow {
    /// `M`, `m`: `MP_CAPABLE` sent by the peer, by us; `J`, `j`: `MP_JOIN`; `B`, `b`: backup;
    /// `e`: fully established; `c`: connected; `v`: the mapping is valid.
    pub flags: String,
    /// The peer's token, 0 in the first subflow.
    pub remote_token: u32,
    /// The peer's address identifier.
    pub remote_address_id: u8,
    /// Our token.
    pub local_token: u32,
    /// Our address identifier.
    pub local_address_id: u8,
    /// DSN of the mapping received last.
    pub map_dsn: u64,
    /// Subflow sequence number of that mapping, relative.
    pub map_ssn: u32,
    /// The peer's initial sequence number on this subflow.
    pub ssn_offset: u32,
    /// Length of that mapping.
    pub map_len: u32,
}

/// Reads what [`CONNECTIONS_COMMAND`] or [`SUBFLOWS_COMMAND`] printed.
pub fn parse(ss: &str) -> Vec<Entry> {
    let mut sockets: Vec<String> = Vec::new();
    for line in ss.lines() {
        match sockets.last_mut() {
            // The details are on a line of their own.
            Some(socket) if line.starts_with(char::is_whitespace) => socket.push_str(line),
            _ => sockets.push(line.to_owned()),
        }
    }
    sockets.iter().filter_map(|line| entry(line)).collect()
}

/// The initial data sequence numbers (own, peer's), of [`CONNECTIONS_COMMAND`] before any data:
/// the host then expects one more than the peer's and has acknowledged one more than its own. Where
/// there are several, `port` names the one that has it at one of its ends.
pub fn idsns(ss: &str, port: Option<u16>) -> Option<(String, String)> {
    let wanted = |entry: &Entry| port.is_none_or(|port| entry.has_port(port));
    let sockets: Vec<Entry> = parse(ss).into_iter().filter(wanted).collect();
    let before = |key: &str| {
        let next = sockets.iter().find_map(|entry| entry.sequence(key))?;
        Some(format!("0x{:016x}", next.wrapping_sub(1)))
    };
    Some((before("snd_una")?, before("rcv_nxt")?))
}

/// The connection that has `port` at one of its ends.
pub fn of_port(ss: &str, port: u16) -> Option<Entry> {
    parse(ss).into_iter().find(|entry| entry.has_port(port))
}

impl Entry {
    /// Whether one of its ends has this port.
    pub fn has_port(&self, port: u16) -> bool {
        let mut ends = [self.local, self.remote].into_iter().flatten();
        ends.any(|end| end.port() == port)
    }

    /// The value of `key`, if it is there.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Whether `word` stands there, with or without a value.
    pub fn has(&self, word: &str) -> bool {
        self.values.contains_key(word)
    }

    /// A decimal number; 0 if it is not there, because `ss` leaves out zeros.
    pub fn number(&self, key: &str) -> u64 {
        self.value(key)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }

    /// The token of a connection.
    pub fn token(&self) -> Option<u32> {
        u32::from_str_radix(self.value("token")?, 16).ok()
    }

    /// `write_seq`, `snd_una` or `rcv_nxt` of a connection.
    pub fn sequence(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.value(key)?, 16).ok()
    }

    /// What makes a TCP socket a subflow.
    pub fn subflow(&self) -> Option<Subflow> {
        let value = |key: &str| self.mptcp.as_ref()?.get(key).map(String::as_str);
        let (remote, local) = value("token")?.split_once('/')?;
        let (remote_token, remote_address_id) = token_and_id(remote)?;
        let (local_token, local_address_id) = token_and_id(local)?;
        Some(Subflow {
            flags: value("flags")?.to_owned(),
            remote_token,
            remote_address_id,
            local_token,
            local_address_id,
            map_dsn: u64::from_str_radix(value("seq")?, 16).ok()?,
            map_ssn: u32::from_str_radix(value("sfseq")?, 16).ok()?,
            ssn_offset: u32::from_str_radix(value("ssnoff")?, 16).ok()?,
            map_len: u32::from_str_radix(value("maplen")?, 16).ok()?,
        })
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace();
    let state = words.next()?.to_owned();
    let receive_queue = words.next()?.parse().ok()?;
    let send_queue = words.next()?.parse().ok()?;
    let local = socket_address(words.next()?);
    let remote = socket_address(words.next()?);
    let pair = |word: &str| {
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    };
    let mut words = words.peekable();
    let mut values = BTreeMap::new();
    while let Some(word) = words.next_if(|word| *word != "tcp-ulp-mptcp") {
        values.extend([pair(word)]);
    }
    let mptcp = words.next().map(|_| words.map(pair).collect());
    Some(Entry {
        state,
        receive_queue,
        send_queue,
        local,
        remote,
        values,
        mptcp,
    })
}

/// `551beed3(id:2)`.
fn token_and_id(text: &str) -> Option<(u32, u8)> {
    let (token, id) = text.split_once("(id:")?;
    let id = id.strip_suffix(')')?.parse().ok()?;
    Some((u32::from_str_radix(token, 16).ok()?, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTIONS: &str = "\
ESTAB 0      12     10.1.1.1:42760 10.2.1.1:5001
\t subflows:1 add_addr_accepted:1 subflows_max:4 add_addr_accepted_max:4 remote_key token:2b8cd143 write_seq:f373e0ad0c55c566 snd_una:f373e0ad0c54ee8e rcv_nxt:2b5a2b7c6364d731
LISTEN 0     128    *:5001 *:*
";
    const SUBFLOWS: &str = "\
ESTAB 0      0         10.1.1.1:42760 10.2.1.1:5001
\t bbr wscale:10,10 rto:204 rtt:0.018/0.016 bytes_sent:55000 bytes_acked:55001 pacing_rate 5375700000bps tcp-ulp-mptcp flags:Mmec token:0000(id:0)/2b8cd143(id:0) seq:2b5a2b7c6364d731 sfseq:1 ssnoff:cd466b4f maplen:0
ESTAB 0      0      10.1.1.2%c1:38997 10.2.1.1:5001
\t bbr cwnd:10 bytes_acked:1 app_limited tcp-ulp-mptcp flags:Jjbec token:551beed3(id:0)/2b8cd143(id:2) seq:2b5a2b7c6364d731 sfseq:a ssnoff:b855f29f maplen:1c
ESTAB 0      0      [fd00:1:1::1]:50000 [fd00:2:1::1]:22
\t cubic cwnd:10
";

    #[test]
    fn connections_have_token_and_sequence_numbers() {
        let found = parse(CONNECTIONS);
        assert_eq!(found.len(), 2);
        let connection = &found[0];
        assert_eq!(
            (connection.state.as_str(), connection.send_queue),
            ("ESTAB", 12)
        );
        assert_eq!(connection.token(), Some(0x2b8c_d143));
        assert_eq!(
            connection.sequence("write_seq"),
            Some(0xf373_e0ad_0c55_c566)
        );
        assert_eq!(connection.number("subflows"), 1);
        assert_eq!(connection.number("add_addr_signal"), 0);
        assert!(connection.has("remote_key") && !connection.has("fallback"));
        assert_eq!((found[1].local, found[1].remote), (None, None));
    }

    #[test]
    fn subflows_have_tokens_and_mappings() {
        let found = parse(SUBFLOWS);
        assert_eq!(found[1].local, Some("10.1.1.2:38997".parse().unwrap()));
        assert_eq!(found[0].number("bytes_sent"), 55_000);
        let joined = Subflow {
            flags: "Jjbec".to_owned(),
            remote_token: 0x551b_eed3,
            remote_address_id: 0,
            local_token: 0x2b8c_d143,
            local_address_id: 2,
            map_dsn: 0x2b5a_2b7c_6364_d731,
            map_ssn: 10,
            ssn_offset: 0xb855_f29f,
            map_len: 28,
        };
        assert_eq!(found[1].subflow(), Some(joined));
        assert_eq!(found[0].subflow().unwrap().flags, "Mmec");
        assert_eq!(found[2].subflow(), None);
        assert_eq!(found[2].remote, Some("[fd00:2:1::1]:22".parse().unwrap()));
    }

    #[test]
    fn initial_sequence_numbers_are_one_below_the_first_byte() {
        let ss = "ESTAB 0 0 10.1.1.1:5 10.2.1.1:6\n\t remote_key token:1 write_seq:11 snd_una:0 rcv_nxt:f9ad36aae7acd9cc";
        let found = idsns(ss, None);
        assert_eq!(idsns(ss, Some(7)), None);
        assert_eq!(of_port(ss, 6).and_then(|entry| entry.token()), Some(1));
        assert_eq!(idsns(ss, Some(5)), found);
        assert_eq!(
            found,
            Some(("0xffffffffffffffff".into(), "0xf9ad36aae7acd9cb".into()))
        );
    }
}
