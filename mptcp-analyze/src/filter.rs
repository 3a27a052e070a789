//! `--filter`: which connections are meant, by what the model says of them.

use std::net::IpAddr;

use crate::model::{Connection, ConnectionState, Severity};
use crate::report::word;

/// What `--filter` accepts, for its help.
pub const HELP: &str = "\
Only connections that all terms of EXPR describe. Terms are joined by spaces:

  addr=ADDRESS or addr=PREFIX/LEN   an end of one of its subflows
  port=N                            a port of one of its subflows
  version=0 or version=1            protocol version; a host may ask for
                                    others, up to 15; version=unknown
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
                .filter(|number| *number <= MAX_VERSION)
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
const VERSION: &str = "version: 0 to 15 or unknown";
/// The version field has four bits (RFC 8684 §3.1), and a host may ask for any of them.
const MAX_VERSION: u8 = 15;
const STATE: &str = "state: closed, fast_closed, reset, fallen_back, established or unfinished";
const FINDING: &str = "finding id (see `mptcp-analyze explain`) or severity: note, warn, error";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_prefix(prefix: &str, address: &str, expected: bool) {
        let prefix = Prefix::parse(prefix).expect("a prefix");
        assert_eq!(prefix.contains(address.parse().unwrap()), expected);
    }

    #[track_caller]
    fn check_error(expression: &str, expected: &str) {
        let error = Filter::parse(expression).expect_err("no filter");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_prefix_holds_the_addresses_of_its_network() {
        check_prefix("10.0.0.0/8", "10.255.0.1", true);
        check_prefix("10.0.0.0/8", "11.0.0.1", false);
        check_prefix("10.1.1.1", "10.1.1.1", true);
        check_prefix("10.1.1.1", "10.1.1.2", false);
        check_prefix("2001:db8::/32", "2001:db8:1::1", true);
        check_prefix("2001:db8::/32", "2001:db9::1", false);
    }

    #[test]
    fn a_prefix_of_length_zero_holds_its_whole_family() {
        check_prefix("0.0.0.0/0", "255.1.2.3", true);
        check_prefix("::/0", "ffff::1", true);
        check_prefix("0.0.0.0/0", "::1", false);
    }

    #[test]
    fn an_empty_filter_is_no_restriction() {
        assert_eq!(Filter::parse("  ").unwrap().terms, []);
    }

    #[test]
    fn commas_give_alternatives() {
        let filter = Filter::parse("port=1,2 state=closed,reset finding=mpt012,warn").unwrap();
        let states = vec![ConnectionState::Closed, ConnectionState::Reset];
        let findings = vec![
            Wanted::Id("MPT012".to_owned()),
            Wanted::AtLeast(Severity::Warn),
        ];
        let expected = [
            Term::Port(vec![1, 2]),
            Term::State(states),
            Term::Finding(findings),
        ];
        assert_eq!(filter.terms, expected);
    }

    #[test]
    fn an_error_points_at_the_term() {
        check_error(
            "port=1 closed",
            "term `closed` has no `=`; a term is name=value, for example port=5001",
        );
        check_error(
            "ports=1",
            "term `ports=1`: there is no `ports`; names are addr, port, version, state, finding",
        );
        check_error(
            "version=16",
            "term `version=16`: `16` is no version: 0 to 15 or unknown",
        );
        check_error("port=1,x", "term `port=1,x`: `x` is no port number");
        check_error(
            "addr=10.0.0.0/33",
            "term `addr=10.0.0.0/33`: `10.0.0.0/33` is no address or prefix, like 10.1.1.1 or \
             2001:db8::/32",
        );
        check_error(
            "finding=MPT999",
            "term `finding=MPT999`: `MPT999` is no finding id (see `mptcp-analyze explain`) or \
             severity: note, warn, error",
        );
    }
}
