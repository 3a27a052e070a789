//! The kernel's counters of one namespace.

use std::collections::BTreeMap;

/// The command whose output [`Counters::parse`] reads: absolute values, zeros too.
pub const COMMAND: &str = "nstat -asz";

/// Counters at one moment, or how much they grew between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    values: BTreeMap<String, u64>,
}

impl Counters {
    /// Reads what [`COMMAND`] printed.
    pub fn parse(nstat: &str) -> Self {
        let counter = |line: &str| {
            let mut words = line.split_whitespace();
            let (name, value) = (words.next()?, words.next()?.parse().ok()?);
            Some((name.to_owned(), value))
        };
        Self {
            values: nstat.lines().filter_map(counter).collect(),
        }
    }

    /// How much each counter grew since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let growth = |(name, value): (&String, &u64)| {
            let old = before.values.get(name).copied().unwrap_or(0);
            (name.clone(), value.saturating_sub(old))
        };
        Self {
            values: self.values.iter().map(growth).collect(),
        }
    }

    /// The counter called `name`; stops a test that asks for one that this kernel has not.
    #[track_caller]
    pub fn of(&self, name: &str) -> u64 {
        let value = self.values.get(name).copied();
        value.unwrap_or_else(|| panic!("the kernel has no counter {name}"))
    }

    /// The counter of MPTCP whose name follows the prefix `MPTcpExt`.
    #[track_caller]
    pub fn mptcp(&self, name: &str) -> u64 {
        self.of(&format!("MPTcpExt{name}"))
    }

    /// Whether this kernel has a counter called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The counters of MPTCP and the retransmissions, where they are not zero.
    pub fn noteworthy(&self) -> BTreeMap<String, u64> {
        let wanted = |name: &str| name.starts_with("MPTcpExt") || name == "TcpRetransSegs";
        self.values
            .iter()
            .filter(|(name, value)| wanted(name) && **value > 0)
            .map(|(name, value)| (name.clone(), *value))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
#kernel
IpInReceives                    32                 0.0
TcpRetransSegs                  0                  0.0
MPTcpExtMPJoinSynTx             1                  0.0
MPTcpExtAddAddr                 0                  0.0
";
    const AFTER: &str = "\
#kernel
IpInReceives                    40                 0.0
TcpRetransSegs                  2                  0.0
MPTcpExtMPJoinSynTx             4                  0.0
MPTcpExtAddAddr                 0                  0.0
";

    #[test]
    fn counters_grow_from_one_moment_to_the_next() {
        let growth = Counters::parse(AFTER).since(&Counters::parse(BEFORE));
        assert_eq!(growth.of("IpInReceives"), 8);
        assert_eq!(growth.mptcp("MPJoinSynTx"), 3);
        assert_eq!(growth.mptcp("AddAddr"), 0);
        assert!(!growth.has("MPTcpExtNoSuchThing"));
    }

    #[test]
    fn only_mptcp_counters_above_zero_are_noteworthy() {
        let noteworthy = Counters::parse(BEFORE).noteworthy();
        assert_eq!(
            noteworthy,
            BTreeMap::from([("MPTcpExtMPJoinSynTx".to_owned(), 1)])
        );
    }
}
