//! `--filter`: which connections are meant, by what the model says of them.

use std::net::IpAddr;

use crate::model::{Connection, ConnectionState, Severity};
use crate::report::word;

/// What `--filter` accepts, for its help.
pub const HELP: &str = "\
Only connections that all terms of EXPR describe. Terms are joined by spaces:

  addr=ADDRESS or addr=PREFIX/LEN   an end of one of its subflows
  port=N                            a port of one of its subflows
  version=0 or version=1            protocol version; version=unknown
  state=STATE                       closed, fast_closed, reset, fallen_back,
                                    established or unfinished
  finding=ID                        a finding with this id
  finding=note|warn|error           a finding at least this severe

Commas between values mean `or`:
  --filter 'addr=10.0.0.0/8 port=5001 state=reset,fallen_back finding=warn'";

/// A conjunction of terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

/// A term holds when one of its values does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Addr(Vec<Prefix>),
    Port(Vec<u16>),
    Version(Vec<WantedVersion>),
    State(Vec<ConnectionState>),
    Finding(Vec<Wanted>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Prefix {
    address: IpAddr,
    len: u8,
}

/// `None` is an unknown version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WantedVersion(Option<u8>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Id(String),
    AtLeast(Severity),
}

/// A term that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It has no `=`.
    #[error("term `{0}` has no `=`; a term is name=value, for example port=5001")]
    NoValue(String),
    /// Its name is unknown.
    #[error("term `{term}`: there is no `{name}`; names are addr, port, version, state, finding")]
    UnknownName {
        /// The whole term.
        term: String,
        /// Its name.
        name: String,
    },
    /// Its value does not fit its name.
    #[error("term `{term}`: `{value}` is no {expected}")]
    BadValue {
        /// The whole term.
        term: String,
        /// The value at fault.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

impl Filter {
    /// The filter that `expression` describes; an empty one lets every connection pass.
    pub fn parse(expression: &str) -> Result<Filter, FilterError> {
        let terms = expression
            .split_whitespace()
            .map(Term::parse)
            .collect::<Result<_, _>>()?;
        Ok(Filter { terms })
    }

    /// Whether all terms hold for `connection`.
    pub fn matches(&self, connection: &Connection) -> bool {
        self.terms.iter().all(|term| term.matches(connection))
    }
}

impl Term {
    fn parse(term: &str) -> Result<Term, FilterError> {
        let (name, values) = term
            .split_once('=')
            .ok_or_else(|| FilterError::NoValue(term.to_owned()))?;
        match name {
            "addr" => parse_values(term, values, ADDR, Prefix::parse).map(Term::Addr),
            "port" => parse_values(term, values, PORT, |v| v.parse().ok()).map(Term::Port),
            "version" => {
                parse_values(term, values, VERSION, WantedVersion::parse).map(Term::Version)
            }
            "state" => parse_values(term, values, STATE, parse_state).map(Term::State),
            "finding" => parse_values(term, values, FINDING, Wanted::parse).map(Term::Finding),
            _ => Err(FilterError::UnknownName {
                term: term.to_owned(),
                name: name.to_owned(),
            }),
        }
    }

    fn matches(&self, connection: &Connection) -> bool {
        let mut ends = connection
            .subflows
            .iter()
            .flat_map(|s| [s.client, s.server]);
        match self {
            Term::Addr(prefixes) => ends.any(|e| prefixes.iter().any(|p| p.contains(e.ip()))),
            Term::Port(ports) => ends.any(|end| ports.contains(&end.port())),
            Term::Version(versions) => versions.iter().any(|v| v.0 == connection.version),
            Term::State(states) => states.contains(&connection.state),
            Term::Finding(wanted) => connection.findings.iter().any(|finding| {
                wanted.iter().any(|wanted| match wanted {
                    Wanted::Id(id) => finding.id.eq_ignore_ascii_case(id),
                    Wanted::AtLeast(severity) => finding.severity >= *severity,
                })
            }),
        }
    }
}

fn parse_values<T>(
    term: &str,
    values: &str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, FilterError> {
    values
        .split(',')
        .map(|value| {
            parse(value).ok_or_else(|| FilterError::BadValue {
                term: term.to_owned(),
                value: value.to_owned(),
                expected,
            })
        })
        .collect()
}

impl Prefix {
    fn parse(value: &str) -> Option<Prefix> {
        let (address, len) = match value.split_once('/') {
            Some((address, len)) => (address, Some(len.parse().ok()?)),
            None => (value, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let len = len.unwrap_or(bits);
        (len <= bits).then_some(Prefix { address, len })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, bits) = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (
                u128::from(u32::from(ours)),
                u128::from(u32::from(theirs)),
                32,
            ),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (u128::from(ours), u128::from(theirs), 128),
            _ => return false,
        };
        let host_bits = bits - u32::from(self.len);
        // A shift by all 128 bits overflows; it means that every address is in the prefix.
        (ours ^ theirs).checked_shr(host_bits).unwrap_or(0) == 0
    }
}

impl WantedVersion {
    fn parse(value: &str) -> Option<WantedVersion> {
        match value {
            "unknown" => Some(WantedVersion(None)),
            number => number
                .parse()
                .ok()
                .map(|number| WantedVersion(Some(number))),
        }
    }
}

impl Wanted {
    fn parse(value: &str) -> Option<Wanted> {
        const SEVERITIES: [Severity; 3] = [Severity::Note, Severity::Warn, Severity::Error];
        let severity = SEVERITIES.into_iter().find(|s| word::severity(*s) == value);
        match severity {
            Some(severity) => Some(Wanted::AtLeast(severity)),
            None => crate::check::explain(value).map(|known| Wanted::Id(known.id.to_owned())),
        }
    }
}

fn parse_state(value: &str) -> Option<ConnectionState> {
    const STATES: [ConnectionState; 6] = [
        ConnectionState::Closed,
        ConnectionState::FastClosed,
        ConnectionState::Reset,
        ConnectionState::FallenBack,
        ConnectionState::Established,
        ConnectionState::Unfinished,
    ];
    STATES
        .into_iter()
        .find(|state| word::state(*state) == value)
}

const ADDR: &str = "address or prefix, like 10.1.1.1 or 2001:db8::/32";
const PORT: &str = "port number";
const VERSION: &str = "version: 0, 1 or unknown";
const STATE: &str = "state: closed, fast_closed, reset, fallen_back, established or unfinished";
const FINDING: &str = "finding id (see `mptcp-analyze explain`) or severity: note, warn, error";
