//! The rows of the matrix: which boxes, and whether checksums are asked for.

/// A box, or several in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// Its text; `{}` is the number of the path.
    pub(super) spec: &'static str,
    /// Whether both hosts ask for checksums.
    pub(super) checksum: bool,
}

const fn plain(spec: &'static str) -> Case {
    Case {
        spec,
        checksum: false,
    }
}

const fn summed(spec: &'static str) -> Case {
    Case {
        spec,
        checksum: true,
    }
}

/// All of them. The empty one is no box at all.
pub(super) const CASES: &[Case] = &[
    plain(""),
    summed(""),
    plain("nat:10.9.9.{}"),
    // Options disappear: each phase of the handshake, data, acknowledgements, and later.
    plain("strip:on=syn"),
    plain("strip:on=synack"),
    plain("strip:on=third_ack"),
    plain("strip:on=data,toward=server"),
    plain("strip:on=data,toward=client"),
    plain("strip:on=pure_ack,toward=server"),
    plain("strip:on=pure_ack,toward=client"),
    plain("strip:on=non_syn"),
    plain("strip:how=remove"),
    plain("strip:how=eol,on=syn"),
    plain("strip:from=60,toward=server"),
    plain("strip:from=60,toward=client"),
    plain("strip:from=60"),
    plain("strip:on=data,from=60,count=1"),
    plain("strip:option=mp_capable,on=third_ack,count=1"),
    plain("strip:option=mp_join,on=syn"),
    plain("strip:option=mp_join,on=synack"),
    plain("strip:option=mp_join,on=third_ack"),
    plain("strip:option=mp_join,on=third_ack,count=1"),
    plain("strip:option=dss"),
    plain("strip:option=timestamps"),
    plain("strip:option=sack_ok"),
    plain("strip:option=wscale"),
    // Values of options change.
    plain("rewrite:field=version,set=0,on=syn"),
    plain("rewrite:field=version,set=2,on=syn"),
    plain("rewrite:field=version,set=0,on=synack"),
    plain("rewrite:field=capable_flags,xor=0x01,on=syn"),
    plain("rewrite:field=capable_flags,xor=0x01,on=synack"),
    plain("rewrite:field=capable_flags,xor=0x40,on=syn"),
    plain("rewrite:field=capable_flags,xor=0x80,on=synack"),
    plain("rewrite:field=key,on=syn"),
    plain("rewrite:field=key,on=synack"),
    plain("rewrite:field=peer_key,on=third_ack"),
    plain("rewrite:field=token,on=syn"),
    plain("rewrite:field=nonce,on=syn"),
    plain("rewrite:field=nonce,on=synack"),
    plain("rewrite:field=join_hmac,on=synack"),
    plain("rewrite:field=join_hmac,on=third_ack"),
    plain("rewrite:field=backup,on=syn"),
    plain("rewrite:field=mss,set=536,on=syn"),
    plain("rewrite:field=dsn,from=60,count=1"),
    summed("rewrite:field=dsn,from=60,count=1"),
    plain("rewrite:field=ssn,xor=0x1000,from=60,count=1"),
    summed("rewrite:field=ssn,xor=0x1000,from=60,count=1"),
    plain("rewrite:field=data_len,xor=0x100,from=60,count=1"),
    summed("rewrite:field=data_len,xor=0x100,from=60,count=1"),
    plain("rewrite:field=data_ack,xor=0x40000000,from=60,count=1"),
    summed("rewrite:field=data_checksum,from=60,count=1"),
    // Headers change.
    plain("header:field=ip_id,set=0"),
    plain("header:field=window,set=8000"),
    plain("header:field=reserved,set=0"),
    plain("mirror"),
    plain("isn:toward=server"),
    plain("isn:toward=client"),
    plain("isn:toward=both,sack=leave"),
    plain("syn-payload"),
    // Data change.
    plain("flip:at=0,toward=server"),
    summed("flip:at=0,toward=server"),
    plain("flip:at=60000,toward=server"),
    summed("flip:at=60000,toward=server"),
    summed("flip:at=60000,toward=client"),
    summed("flip:at=60000"),
    summed("payload:find=00,put=0102,toward=server"),
    plain("payload:find=00,put=0102,toward=server"),
    summed("payload:find=00,put=,toward=client"),
    summed("payload:find=00,put=0102,skip_bytes=50000"),
    // Segments change.
    plain("split:at=half"),
    plain("split:at=700,options=first"),
    summed("split:at=700,options=first,rest=remove"),
    plain("split:at=700,toward=server"),
    plain("coalesce:min=1,max=1400"),
    plain("coalesce:max=2920,hold_ms=5"),
    summed("coalesce:max=2920,hold_ms=5,toward=server"),
    plain("hole"),
    plain("ack:how=drop"),
    plain("ack:how=correct"),
    plain("proactive:toward=server"),
    plain("proactive:toward=client"),
    plain("proactive:duplicates=drop"),
    // Nothing passes.
    plain("refuse:with=mp_capable,on=syn"),
    plain("refuse:with=mp_capable,on=syn,how=rst"),
    plain("refuse:with=mp_capable,on=syn,how=icmp"),
    plain("refuse:with=mp_capable,on=synack"),
    plain("refuse:with=mp_capable,on=third_ack"),
    plain("refuse:with=mp_join,on=syn"),
    plain("refuse:with=mp_join,on=syn,how=rst"),
    plain("refuse:with=mp_join,on=syn,how=icmp"),
    plain("refuse:with=mp_join,on=synack"),
    plain("refuse:with=mp_join,on=third_ack,count=2"),
    plain("refuse:with=mp_join,on=third_ack"),
    plain("refuse:from=60,how=rst,count=1,toward=server"),
    plain("refuse:from=60,count=40"),
    plain("quote:tcp_bytes=8"),
    // The link is bad in other ways than loss.
    plain("impair:reorder=0.05,reorder_ms=30,seed=7"),
    plain("impair:duplicate=0.05,seed=7"),
    plain("impair:jitter_ms=20,order=free,seed=7"),
    plain("impair:down_ms=100..1100"),
];
