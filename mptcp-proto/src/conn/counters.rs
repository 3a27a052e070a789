//! Named counters of an endpoint.

/// What is counted: the extended MPTCP counters of Linux, so that both ends of an interoperability
/// test compare directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// SYNs with MP_CAPABLE received.
    CapableSynRx,
    /// SYNs with MP_CAPABLE sent.
    CapableSynTx,
    /// SYN/ACKs with MP_CAPABLE received.
    CapableSynAckRx,
    /// Third ACKs with MP_CAPABLE received.
    CapableAckRx,
    /// Third ACKs without MP_CAPABLE: the server fell back.
    CapableFallbackAck,
    /// SYN/ACKs without MP_CAPABLE: the client fell back.
    CapableFallbackSynAck,
    /// SYNs sent without MP_CAPABLE after some with it had no answer.
    CapableSynTxDrop,
    /// Connections begun without MP_CAPABLE because of a black hole.
    CapableSynTxDisabled,
    /// SYNs with MP_CAPABLE to a port that takes joins only.
    CapableEndpAttempt,
    /// Connections without MPTCP because no token was free.
    FallbackTokenInit,
    /// Data sent again at the data level.
    Retrans,
    /// Joins with an unknown token.
    JoinNoTokenFound,
    /// SYNs with MP_JOIN received.
    JoinSynRx,
    /// Of those, for a backup subflow.
    JoinSynBackupRx,
    /// SYN/ACKs with MP_JOIN received.
    JoinSynAckRx,
    /// Of those, for a backup subflow.
    JoinSynAckBackupRx,
    /// SYN/ACKs with a wrong HMAC.
    JoinSynAckHmacFailure,
    /// Third ACKs with MP_JOIN received.
    JoinAckRx,
    /// Third ACKs with a wrong HMAC.
    JoinAckHmacFailure,
    /// Joins refused by policy.
    JoinRejected,
    /// SYNs with MP_JOIN sent.
    JoinSynTx,
    /// Joins that found no room for a subflow.
    JoinSynTxCreatSkErr,
    /// Joins that found no local port.
    JoinSynTxBindErr,
    /// Joins that could not begin.
    JoinSynTxConnectErr,
    /// Mappings that contradict another one.
    DssNotMatching,
    /// Fallbacks because of broken mappings.
    DssCorruptionFallback,
    /// Subflows reset because of broken mappings.
    DssCorruptionReset,
    /// Infinite mappings sent.
    InfiniteMapTx,
    /// Infinite mappings received.
    InfiniteMapRx,
    /// Mappings that do not match their segment.
    DssNoMatchTcp,
    /// Wrong DSS checksums.
    DataCsumErr,
    /// Data out of order put behind all others.
    OutOfOrderTail,
    /// Data put out of order.
    OutOfOrder,
    /// Runs of data out of order that grew together.
    OutOfOrderMerge,
    /// Data beyond the window.
    NoDssInWindow,
    /// Data that were here already.
    DuplicateData,
    /// ADD_ADDRs received.
    AddAddr,
    /// ADD_ADDRs sent.
    AddAddrTx,
    /// ADD_ADDRs not sent for lack of room.
    AddAddrTxDrop,
    /// Echoes of ADD_ADDR received.
    EchoAdd,
    /// Echoes of ADD_ADDR sent.
    EchoAddTx,
    /// Echoes of ADD_ADDR not sent for lack of room.
    EchoAddTxDrop,
    /// ADD_ADDRs with a port received.
    PortAdd,
    /// ADD_ADDRs ignored.
    AddAddrDrop,
    /// SYNs with MP_JOIN to an advertised port received.
    JoinPortSynRx,
    /// SYN/ACKs with MP_JOIN from an advertised port received.
    JoinPortSynAckRx,
    /// Third ACKs with MP_JOIN to an advertised port received.
    JoinPortAckRx,
    /// SYNs with MP_JOIN to a port that was not advertised.
    MismatchPortSynRx,
    /// Third ACKs with MP_JOIN to a port that was not advertised.
    MismatchPortAckRx,
    /// REMOVE_ADDRs received.
    RmAddr,
    /// REMOVE_ADDRs ignored.
    RmAddrDrop,
    /// REMOVE_ADDRs sent.
    RmAddrTx,
    /// REMOVE_ADDRs not sent for lack of room.
    RmAddrTxDrop,
    /// Subflows closed because of a REMOVE_ADDR.
    RmSubflow,
    /// MP_PRIOs sent.
    PrioTx,
    /// MP_PRIOs received.
    PrioRx,
    /// MP_FAILs sent.
    FailTx,
    /// MP_FAILs received.
    FailRx,
    /// MP_FASTCLOSEs sent.
    FastcloseTx,
    /// MP_FASTCLOSEs received.
    FastcloseRx,
    /// MP_TCPRSTs sent.
    RstTx,
    /// MP_TCPRSTs received.
    RstRx,
    /// Subflows that became stale.
    SubflowStale,
    /// Stale subflows that came back.
    SubflowRecover,
    /// Segments sent in a window that another subflow opened.
    SndWndShared,
    /// Windows announced larger because another subflow had done so.
    RcvWndShared,
    /// Right edges taken over from another subflow.
    RcvWndConflictUpdate,
    /// Windows announced on two subflows at once.
    RcvWndConflict,
    /// Connections established now.
    CurrEstab,
    /// Black holes found.
    Blackhole,
    /// Fallbacks because of missing or broken data after MP_CAPABLE.
    CapableDataFallback,
    /// Fallbacks because of TCP MD5 signatures.
    Md5SigFallback,
    /// Fallbacks because of missing or broken DSSes.
    DssFallback,
    /// Fallbacks because both hosts connected at once.
    SimultConnectFallback,
    /// Fallbacks that were no longer possible.
    FallbackFailed,
    /// Window probes at the data level.
    WinProbe,
}

impl Counter {
    /// All counters, in the order in which Linux prints them.
    pub const ALL: [Self; 76] = [
        Self::CapableSynRx,
        Self::CapableSynTx,
        Self::CapableSynAckRx,
        Self::CapableAckRx,
        Self::CapableFallbackAck,
        Self::CapableFallbackSynAck,
        Self::CapableSynTxDrop,
        Self::CapableSynTxDisabled,
        Self::CapableEndpAttempt,
        Self::FallbackTokenInit,
        Self::Retrans,
        Self::JoinNoTokenFound,
        Self::JoinSynRx,
        Self::JoinSynBackupRx,
        Self::JoinSynAckRx,
        Self::JoinSynAckBackupRx,
        Self::JoinSynAckHmacFailure,
        Self::JoinAckRx,
        Self::JoinAckHmacFailure,
        Self::JoinRejected,
        Self::JoinSynTx,
        Self::JoinSynTxCreatSkErr,
        Self::JoinSynTxBindErr,
        Self::JoinSynTxConnectErr,
        Self::DssNotMatching,
        Self::DssCorruptionFallback,
        Self::DssCorruptionReset,
        Self::InfiniteMapTx,
        Self::InfiniteMapRx,
        Self::DssNoMatchTcp,
        Self::DataCsumErr,
        Self::OutOfOrderTail,
        Self::OutOfOrder,
        Self::OutOfOrderMerge,
        Self::NoDssInWindow,
        Self::DuplicateData,
        Self::AddAddr,
        Self::AddAddrTx,
        Self::AddAddrTxDrop,
        Self::EchoAdd,
        Self::EchoAddTx,
        Self::EchoAddTxDrop,
        Self::PortAdd,
        Self::AddAddrDrop,
        Self::JoinPortSynRx,
        Self::JoinPortSynAckRx,
        Self::JoinPortAckRx,
        Self::MismatchPortSynRx,
        Self::MismatchPortAckRx,
        Self::RmAddr,
        Self::RmAddrDrop,
        Self::RmAddrTx,
        Self::RmAddrTxDrop,
        Self::RmSubflow,
        Self::PrioTx,
        Self::PrioRx,
        Self::FailTx,
        Self::FailRx,
        Self::FastcloseTx,
        Self::FastcloseRx,
        Self::RstTx,
        Self::RstRx,
        Self::SubflowStale,
        Self::SubflowRecover,
        Self::SndWndShared,
        Self::RcvWndShared,
        Self::RcvWndConflictUpdate,
        Self::RcvWndConflict,
        Self::CurrEstab,
        Self::Blackhole,
        Self::CapableDataFallback,
        Self::Md5SigFallback,
        Self::DssFallback,
        Self::SimultConnectFallback,
        Self::FallbackFailed,
        Self::WinProbe,
    ];

    /// The name in Linux, without its prefix `MPTcpExt`.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// One number for each [`Counter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Self([0; Counter::ALL.len()])
    }

    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several at once.
    pub fn add(&mut self, counter: Counter, n: u64) {
        if let Some(number) = self.0.get_mut(counter as usize) {
            *number = number.saturating_add(n);
        }
    }

    /// Counts one less: there are numbers of what there is now.
    pub fn uncount(&mut self, counter: Counter) {
        if let Some(number) = self.0.get_mut(counter as usize) {
            *number = number.saturating_sub(1);
        }
    }

    /// How much was counted.
    pub fn value(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    /// Names, as Linux has them without `MPTcpExt`, and numbers.
    pub fn snapshot(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Counter::ALL
            .into_iter()
            .map(|counter| (counter.name(), self.value(counter)))
    }

    /// Adds all numbers of `other`.
    pub fn merge(&mut self, other: &Self) {
        for counter in Counter::ALL {
            self.add(counter, other.value(counter));
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

const NAMES: [&str; Counter::ALL.len()] = [
    "MPCapableSYNRX",
    "MPCapableSYNTX",
    "MPCapableSYNACKRX",
    "MPCapableACKRX",
    "MPCapableFallbackACK",
    "MPCapableFallbackSYNACK",
    "MPCapableSYNTXDrop",
    "MPCapableSYNTXDisabled",
    "MPCapableEndpAttempt",
    "MPFallbackTokenInit",
    "MPTCPRetrans",
    "MPJoinNoTokenFound",
    "MPJoinSynRx",
    "MPJoinSynBackupRx",
    "MPJoinSynAckRx",
    "MPJoinSynAckBackupRx",
    "MPJoinSynAckHMacFailure",
    "MPJoinAckRx",
    "MPJoinAckHMacFailure",
    "MPJoinRejected",
    "MPJoinSynTx",
    "MPJoinSynTxCreatSkErr",
    "MPJoinSynTxBindErr",
    "MPJoinSynTxConnectErr",
    "DSSNotMatching",
    "DSSCorruptionFallback",
    "DSSCorruptionReset",
    "InfiniteMapTx",
    "InfiniteMapRx",
    "DSSNoMatchTCP",
    "DataCsumErr",
    "OFOQueueTail",
    "OFOQueue",
    "OFOMerge",
    "NoDSSInWindow",
    "DuplicateData",
    "AddAddr",
    "AddAddrTx",
    "AddAddrTxDrop",
    "EchoAdd",
    "EchoAddTx",
    "EchoAddTxDrop",
    "PortAdd",
    "AddAddrDrop",
    "MPJoinPortSynRx",
    "MPJoinPortSynAckRx",
    "MPJoinPortAckRx",
    "MismatchPortSynRx",
    "MismatchPortAckRx",
    "RmAddr",
    "RmAddrDrop",
    "RmAddrTx",
    "RmAddrTxDrop",
    "RmSubflow",
    "MPPrioTx",
    "MPPrioRx",
    "MPFailTx",
    "MPFailRx",
    "MPFastcloseTx",
    "MPFastcloseRx",
    "MPRstTx",
    "MPRstRx",
    "SubflowStale",
    "SubflowRecover",
    "SndWndShared",
    "RcvWndShared",
    "RcvWndConflictUpdate",
    "RcvWndConflict",
    "MPCurrEstab",
    "Blackhole",
    "MPCapableDataFallback",
    "MD5SigFallback",
    "DssFallback",
    "SimultConnectFallback",
    "FallbackFailed",
    "WinProbe",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_name_and_number() {
        let mut counters = Counters::new();
        for (n, counter) in (1..).zip(Counter::ALL) {
            counters.add(counter, n);
        }
        let numbers: Vec<u64> = counters.snapshot().map(|(_, number)| number).collect();
        assert_eq!(numbers, (1..=76).collect::<Vec<u64>>());
        let mut names: Vec<&str> = counters.snapshot().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 76);
    }

    #[test]
    fn names_and_counters_are_in_the_same_order() {
        for (counter, name) in [
            (Counter::CapableSynRx, "MPCapableSYNRX"),
            (Counter::JoinNoTokenFound, "MPJoinNoTokenFound"),
            (Counter::DataCsumErr, "DataCsumErr"),
            (Counter::AddAddrDrop, "AddAddrDrop"),
            (Counter::RmSubflow, "RmSubflow"),
            (Counter::CurrEstab, "MPCurrEstab"),
            (Counter::WinProbe, "WinProbe"),
        ] {
            assert_eq!(counter.name(), name);
        }
    }

    #[test]
    fn numbers_of_what_there_is_go_down_but_not_below_zero() {
        let mut counters = Counters::new();
        counters.count(Counter::CurrEstab);
        counters.uncount(Counter::CurrEstab);
        counters.uncount(Counter::CurrEstab);
        assert_eq!(counters.value(Counter::CurrEstab), 0);
        counters.add(Counter::Retrans, u64::MAX);
        counters.count(Counter::Retrans);
        assert_eq!(counters.value(Counter::Retrans), u64::MAX);
    }
}
