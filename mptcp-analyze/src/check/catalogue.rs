//! The stable ids of findings, and what each of them means.

use crate::model::Severity;

/// What a finding id means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// Stable id.
    pub id: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// How bad it usually is.
    pub severity: Severity,
    /// Section of the standard that it follows from.
    pub rfc: &'static str,
    /// What it means, where it comes from, and what to do next.
    pub text: &'static str,
}

/// The explanation of `id`, if there is such a finding; letter case does not matter.
pub fn explain(id: &str) -> Option<&'static Explanation> {
    EXPLANATIONS
        .iter()
        .find(|explanation| explanation.id.eq_ignore_ascii_case(id))
}

/// All findings, ascending by id.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        id: "MPT001",
        title: "malformed MPTCP option",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3",
        text: "The length of an MPTCP option does not fit its subtype and flags. A receiver must \
               ignore the option as if it were absent, so the connection may fall back or lose a \
               subflow. Causes: a broken sender, a middlebox that rewrites options, or a fuzzer. \
               Compare with a capture at the other end: if the option is whole there, the path \
               damaged it.",
    },
    Explanation {
        id: "MPT002",
        title: "malformed TCP option area",
        severity: Severity::Warn,
        rfc: "RFC 9293 §3.1",
        text: "An option has length 0 or 1, or reaches past the end of the header. Nothing behind \
               it can be read, by the receiver neither. Such headers come from broken software or \
               from attacks on parsers.",
    },
    Explanation {
        id: "MPT003",
        title: "reserved bit set",
        severity: Severity::Note,
        rfc: "RFC 8684 §3",
        text: "A sender must clear reserved bits, and a receiver must ignore them. A set bit is a \
               newer protocol, a private extension or damage.",
    },
    Explanation {
        id: "MPT004",
        title: "unknown MPTCP subtype",
        severity: Severity::Note,
        rfc: "RFC 8684 §8.2",
        text: "The subtype is not one of those that RFC 6824 and RFC 8684 define. Receivers ignore \
               it.",
    },
    Explanation {
        id: "MPT005",
        title: "option in a packet that may not carry it",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3",
        text: "For example DSS on a SYN, or MP_CAPABLE together with MP_JOIN. Hosts ignore the \
               option or refuse MPTCP (Linux answers with plain TCP).",
    },
    Explanation {
        id: "MPT010",
        title: "fell back to regular TCP",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.7",
        text: "From the frame named on, the connection is plain TCP: one path, no protection \
               against the failure of that path. The reason says what was seen, `by` who caused \
               it, `confidence` how sure that is. One capture point can only infer that the path \
               removed an option; a second capture at the other end proves it.",
    },
    Explanation {
        id: "MPT011",
        title: "run of NOPs where an MPTCP option was",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.7, §6",
        text: "Hosts pad options with one to three NOPs. A longer run on a SYN or SYN/ACK is what \
               firewalls leave behind that overwrite options they do not know (for example \
               iptables TCPOPTSTRIP, Cisco `tcp-options clear`).",
    },
    Explanation {
        id: "MPT012",
        title: "the answer mirrors our option",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.1",
        text: "The SYN/ACK carries the client's own option byte for byte. A real MPTCP host \
               answers with its own key. Something copies options that it does not understand; \
               the connection is plain TCP.",
    },
    Explanation {
        id: "MPT013",
        title: "SYN and SYN/ACK name different versions",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.1",
        text: "A server answers with the highest version that both speak, so a lower version in \
               the answer is negotiation. If the client then goes on without MPTCP it does not \
               speak that version, or a box changed the version number.",
    },
    Explanation {
        id: "MPT020",
        title: "echoed key differs",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.1",
        text: "The third ACK repeats both keys, and one of them is not the key sent before. Linux \
               does not check this: the connection looks alive, but joins fail and data may be \
               discarded as duplicates. Something on the path rewrites keys, or one of the hosts \
               is broken.",
    },
    Explanation {
        id: "MPT021",
        title: "a host's key changed during the handshake",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.1",
        text: "Two packets of the same handshake carry different keys for the same host.",
    },
    Explanation {
        id: "MPT022",
        title: "data do not begin at the IDSN",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.1, §3.3",
        text: "The initial data sequence number follows from the key. The first mapping lies \
               somewhere else, so the key in this capture is not the key its host uses: it was \
               rewritten on the path (or the data sequence numbers were). Relative numbers of this \
               direction count from the first one seen instead.",
    },
    Explanation {
        id: "MPT023",
        title: "key or token used by two connections",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.1, §3.2",
        text: "A key must be unique among the live connections of a host, and so must its token: \
               a join that names the token could mean either connection. Joins are told apart by \
               their HMACs here. A repeated key also makes sessions easy to hijack.",
    },
    Explanation {
        id: "MPT030",
        title: "wrong HMAC in MP_JOIN",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.2",
        text: "The HMAC does not follow from the keys of the connection that the token names. \
               Either the sender does not know the keys (an attack, or a join routed to the wrong \
               server behind a load balancer), or a key, random number or HMAC was rewritten on \
               the path. A correct host resets the subflow with MP_TCPRST.",
    },
    Explanation {
        id: "MPT031",
        title: "join answered without MP_JOIN",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.2",
        text: "The SYN carried MP_JOIN, the SYN/ACK did not: the path removed the option in one \
               of the two, or the packet reached a host that knows nothing of the connection. The \
               opener must reset the subflow.",
    },
    Explanation {
        id: "MPT032",
        title: "join refused or given up",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.2, §3.6",
        text: "The join was answered with RST, or its opener sent one instead of the third ACK \
               because it did not like the SYN/ACK. The reason code of MP_TCPRST says why; on Linux 1 \
               means an unknown token or a wrong HMAC, 3 that the limit of subflows is reached \
               (`ip mptcp limits`). A RST without MP_TCPRST comes from a closed port, a firewall, \
               or an old host.",
    },
    Explanation {
        id: "MPT033",
        title: "join without answer",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.2",
        text: "Nothing came back. Often the address is private or not reachable from there, or a \
               firewall drops SYNs with MP_JOIN.",
    },
    Explanation {
        id: "MPT034",
        title: "joins with a token that no key explains",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.2",
        text: "No MP_CAPABLE in the capture has a key with this token: the connection began before \
               the capture or elsewhere, or the token is invented. HMACs cannot be verified.",
    },
    Explanation {
        id: "MPT035",
        title: "flood of joins",
        severity: Severity::Warn,
        rfc: "RFC 8684 §5, RFC 7430 §2",
        text: "Very many SYNs within a minute name one token and have no answer. That is what a \
               denial-of-service attack on MP_JOIN looks like: each SYN costs the server an HMAC \
               and a half-open subflow.",
    },
    Explanation {
        id: "MPT036",
        title: "MPTCP reset of a stream that began without MPTCP",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.2, §3.6",
        text: "A host reset the stream with MP_TCPRST, so it takes it for a subflow, yet the SYN in \
               this capture has no MPTCP option. Something between that host and the capture point \
               removed MP_JOIN (or MP_CAPABLE) from the SYN; the answer without the option made the \
               host give up.",
    },
    Explanation {
        id: "MPT040",
        title: "wrong DSS checksum",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.3.1, §3.7",
        text: "The payload is not what its sender put under the checksum: something between \
               sender and capture point changed it (FTP or SIP helpers, proxies, ad injectors), or \
               the host computed the checksum wrongly. With several subflows the receiver resets \
               the subflow, with one it falls back.",
    },
    Explanation {
        id: "MPT041",
        title: "MP_FAIL",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.7",
        text: "The sender of MP_FAIL cannot tell what data it received: their DSS checksum is \
               wrong or, where no checksums are in use, their mappings did not come or contradict \
               each other. Look for the box that changes payload, or removes or changes options, \
               between the capture point and that host.",
    },
    Explanation {
        id: "MPT042",
        title: "checksum presence does not fit the handshake",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.1, §3.3.1",
        text: "If either host sets flag A of MP_CAPABLE, every mapping carries a checksum; else \
               none does. Linux falls back when it misses one.",
    },
    Explanation {
        id: "MPT043",
        title: "mapping contradicts an earlier one",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.3.1",
        text: "The same bytes of the subflow were mapped to other data sequence numbers before. A \
               mapping must not change once declared; Linux falls back or resets. Boxes that merge \
               or split segments can cause this, and so can damaged options.",
    },
    Explanation {
        id: "MPT044",
        title: "data without mapping",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.3.1, §3.7",
        text: "Payload that no mapping covers, on a connection that did not fall back. On a joined \
               subflow the receiver must reset it. After RST or MP_FASTCLOSE such bytes are \
               harmless left-overs.",
    },
    Explanation {
        id: "MPT045",
        title: "ACKs without DATA_ACK",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.3.2, §3.7",
        text: "ACKs without payload have no MPTCP option, while other packets of the same host have: \
               a box removes options from them, or something on the path (a proxy) acknowledges \
               data itself, before the receiver has them. A sender that gets no DATA_ACK sends the \
               data again or falls back. The host itself may leave it out as well: where it says \
               nothing new, as RFC 8684 lets it, or while it cannot tell where data belong that \
               came without a mapping. A capture at the other end tells.",
    },
    Explanation {
        id: "MPT046",
        title: "many bytes were sent twice",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.3.6",
        text: "More than a tenth of the data was sent again on another subflow or under new \
               subflow sequence numbers: one path was much slower, lossy or dead, or a redundant \
               scheduler is at work.",
    },
    Explanation {
        id: "MPT047",
        title: "bytes missing in the capture",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.3",
        text: "Between the first and the last data byte seen some are not in the capture, though \
               the connection went on: the capture lost packets, or they took a path that was not \
               captured.",
    },
    Explanation {
        id: "MPT048",
        title: "DATA_FIN moved",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.3.3",
        text: "The DATA_FIN stands behind the last byte of the stream and keeps its data sequence \
               number when it is repeated. Here it came with different ones: the sender counts it \
               anew for each subflow, or somebody forges it.",
    },
    Explanation {
        id: "MPT049",
        title: "mapping repeated with another length or checksum",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.3.1",
        text: "A mapping that was declared before came again for the same first byte with another length, \
               or with another checksum for the same bytes, which is damage (a warning). Hosts that \
               cut segments anew declare shorter ones now and then; a longer one, or one that \
               reaches into the next, is damage done on the path, and its receiver resets the \
               subflow or falls back.",
    },
    Explanation {
        id: "MPT050",
        title: "wrong HMAC in ADD_ADDR",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.4.1",
        text: "The announcement was not made by a host that knows the keys, or id, address or \
               port were changed on the path (for example by a NAT that rewrites addresses in \
               payload and options). Receivers ignore it.",
    },
    Explanation {
        id: "MPT051",
        title: "ADD_ADDR without echo",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.4.1",
        text: "The peer never confirmed the announcement: it did not arrive, the echo was lost, or \
               the peer does not take addresses.",
    },
    Explanation {
        id: "MPT052",
        title: "address id used for two addresses",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.4.1",
        text: "An id stands for one address at a time; to change it the host must send REMOVE_ADDR \
               first. Receivers ignore the second announcement.",
    },
    Explanation {
        id: "MPT053",
        title: "echo of an address that was not announced",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.4.1",
        text: "The ADD_ADDR that it answers is not in the capture, or differs from the echo in \
               address or port.",
    },
    Explanation {
        id: "MPT054",
        title: "REMOVE_ADDR for an unknown id",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.4.2",
        text: "No ADD_ADDR and no join in the capture used this id. Receivers ignore it.",
    },
    Explanation {
        id: "MPT060",
        title: "subflow reset",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.6",
        text: "An established subflow ended with RST before the connection was closed. The reason \
               code of MP_TCPRST, if there is one, says why.",
    },
    Explanation {
        id: "MPT061",
        title: "RST that neither host seems to have sent",
        severity: Severity::Warn,
        rfc: "RFC 9293 §3.10.7",
        text: "Its TTL does not fit the host whose address it bears: it was probably made by a \
               firewall or a censor on the path.",
    },
    Explanation {
        id: "MPT062",
        title: "MP_FASTCLOSE with a wrong key",
        severity: Severity::Error,
        rfc: "RFC 8684 §3.5",
        text: "MP_FASTCLOSE must carry the key of its receiver, else it is ignored. A wrong key is \
               an attempt to kill the connection, or the key was rewritten on the path.",
    },
    Explanation {
        id: "MPT063",
        title: "connection aborted",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.5",
        text: "A host ended the whole connection with MP_FASTCLOSE: its application closed with \
               unread data or without waiting (SO_LINGER 0), or was killed.",
    },
    Explanation {
        id: "MPT064",
        title: "all subflows were reset",
        severity: Severity::Warn,
        rfc: "RFC 8684 §3.5",
        text: "The connection lost its last subflow to a RST without MP_FASTCLOSE and without \
               DATA_FIN. A connection that was refused before it began is only a note.",
    },
    Explanation {
        id: "MPT065",
        title: "a backup subflow carried data beside a regular one",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.3.8",
        text: "A backup subflow is for use when no regular one works. Data on it mean that the \
               scheduler thought so, or ignores the flag.",
    },
    Explanation {
        id: "MPT066",
        title: "nothing came through for a while",
        severity: Severity::Note,
        rfc: "RFC 6298 §5, RFC 8684 §3.9.1",
        text: "A host sent one segment again and again before it was acknowledged, or it never was: the \
               path was dead for a while, or something on it drops these packets.",
    },
    Explanation {
        id: "MPT070",
        title: "capture file is cut",
        severity: Severity::Note,
        rfc: "-",
        text: "The file ends in the middle of a record: the capturing program was killed, or the \
               copy is incomplete. Everything before the cut was analysed.",
    },
    Explanation {
        id: "MPT071",
        title: "the capturing program lost packets",
        severity: Severity::Note,
        rfc: "-",
        text: "The file itself says that packets were dropped while capturing; missing bytes and \
               missing options may be missing only here. Capture again with a larger buffer \
               (tcpdump -B) or a smaller snapshot length (-s 160).",
    },
    Explanation {
        id: "MPT072",
        title: "subflow grouped by weaker evidence than its token",
        severity: Severity::Note,
        rfc: "RFC 8684 §3.2",
        text: "The handshake of a subflow is not in the capture, so it was put into this \
               connection because of an announced address, of data sequence numbers that fit, or \
               because only this connection exists between the hosts (a guess).",
    },
    Explanation {
        id: "MPT073",
        title: "a limit of the analyzer was reached",
        severity: Severity::Warn,
        rfc: "-",
        text: "Something in the capture grew beyond what the analyzer keeps, and the rest of it \
               was left out; numbers may be too low.",
    },
    Explanation {
        id: "MPT074",
        title: "wrong TCP checksum",
        severity: Severity::Warn,
        rfc: "RFC 9293 §3.1",
        text: "The segment was damaged, or rewritten by something that did not correct the \
               checksum; its receiver drops it. Checksums that the network card of the capturing \
               host fills in later are recognised and not counted.",
    },
    Explanation {
        id: "MPT075",
        title: "packets were captured twice",
        severity: Severity::Note,
        rfc: "-",
        text: "Copies of the same packet (a capture on `any`, a mirror port) were recognised and \
               are counted once.",
    },
];
