//! What a connection dropped, repeated and decided, in numbers.

/// Counts since the connection began. Every segment that is not simply taken counts somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Segments received.
    pub segments_in: u64,
    /// Segments sent.
    pub segments_out: u64,
    /// Segments sent again, SYN and FIN included.
    pub retransmissions: u64,
    /// Bytes of payload sent again.
    pub retransmitted_bytes: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Tail loss probes (RFC 8985 §7).
    pub tail_loss_probes: u64,
    /// Fast recoveries begun.
    pub recoveries: u64,
    /// Recoveries and timeouts that turned out to be needless.
    pub undone: u64,
    /// Segments outside of the window (RFC 9293 §3.10.7.4).
    pub out_of_window: u64,
    /// Segments older than the last timestamp (RFC 7323 §5).
    pub paws_dropped: u64,
    /// Acknowledgements of data that was not sent, or is too old (RFC 5961 §5).
    pub bad_acks: u64,
    /// Acknowledgements older than the newest.
    pub old_acks: u64,
    /// Duplicate acknowledgements (RFC 5681 §2).
    pub duplicate_acks: u64,
    /// Segments with nothing but data that had arrived before.
    pub duplicate_segments: u64,
    /// SYNs on a connection that has its own (RFC 5961 §4).
    pub unexpected_syns: u64,
    /// Resets that did not hit the next expected number (RFC 5961 §3).
    pub dubious_resets: u64,
    /// Resets that ended the connection.
    pub resets_in: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub challenge_acks: u64,
    /// Challenge ACKs not sent because there were too many.
    pub challenge_acks_limited: u64,
    /// Segments without the ACK bit, or of no use in the current state.
    pub useless_segments: u64,
    /// Segments with data that nobody takes any more.
    pub data_after_close: u64,
    /// Segments that arrived before what precedes them.
    pub out_of_order: u64,
    /// Bytes dropped because the out-of-order queue was full.
    pub out_of_order_dropped: u64,
    /// SACK blocks that no SACK of this connection can contain.
    pub bad_sacks: u64,
    /// Duplicates that the peer reports (RFC 2883).
    pub duplicate_sacks: u64,
    /// Window probes sent.
    pub window_probes: u64,
    /// Keep-alives sent.
    pub keep_alives: u64,
    /// Acknowledgements without payload sent.
    pub pure_acks: u64,
    /// Packets that arrived with the mark of congestion.
    pub congestion_marks: u64,
    /// ICMP messages that quote nothing in flight (RFC 5927 §4.1).
    pub stray_icmp: u64,
    /// Times that the path MTU shrank.
    pub mtu_reductions: u64,
}
