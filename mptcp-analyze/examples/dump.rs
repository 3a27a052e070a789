use mptcp_analyze::*;
fn main() {
    let p: Vec<_> = std::env::args_os().skip(1).map(Into::into).collect();
    let mut a = analyze_files(
        &p,
        rebuild::RebuildOptions {
            verify_checksums: true,
            verify_tcp_checksums: false,
            ..Default::default()
        },
    )
    .unwrap();
    for c in &a.captures {
        println!(
            "{} packets {} {:?} trunc {} undec {} {:?}",
            c.file, c.packets, c.link_types, c.truncated_packets, c.undecoded_packets, c.end
        );
    }
    println!(
        "streams {} plain {} limits {:?}",
        a.tcp_streams, a.plain_tcp_streams, a.limits
    );
    for c in a.connections.iter_mut().take(6) {
        println!(
            "#{} v{:?} {:?} csum {:?} {:?} tok {:?} idsn {:?} unk {:?} echoed {:?} idsnck {:?} fb {:?}",
            c.id,
            c.version,
            c.grouping,
            c.checksum,
            c.state,
            c.tokens,
            c.idsns,
            c.token_of_unknown,
            c.echoed_keys,
            c.idsn_check,
            c.fallback
        );
        for s in c.subflows.iter().take(10) {
            println!(
                "   sf{} ts{} {:?} {:?} {} > {} ids {:?}/{:?} est {} pk {} dup {} opt {} close {:?} join {:?}",
                s.id,
                s.tcp_stream,
                s.kind,
                s.initiator,
                s.client,
                s.server,
                s.client_address_id,
                s.server_address_id,
                s.established,
                s.packets,
                s.duplicate_packets,
                s.packets_with_option,
                s.close,
                s.join.as_ref().map(|j| (j.syn_ack_hmac, j.ack_hmac))
            );
            for (n, t) in [("->", &s.totals.to_server), ("<-", &s.totals.to_client)] {
                println!(
                    "      {n} wire {} uniq {} rtx {} drtx {} reinj {} spur {} unm {} opts {:?}",
                    t.wire_bytes,
                    t.unique_bytes,
                    t.tcp_retransmitted_bytes,
                    t.data_retransmitted_bytes,
                    t.reinjected_bytes,
                    t.spurious_bytes,
                    t.unmapped_bytes,
                    t.options.by_subtype
                );
            }
        }
        for (n, t) in [("->", &c.totals.to_server), ("<-", &c.totals.to_client)] {
            println!(
                "   {n} uniq {} maps {} mopts {} reinj {} drtx {} csum {:?} range {:?} fin {:?} miss {} ack {:?}",
                t.unique_bytes,
                t.mappings,
                t.mapping_options,
                t.reinjected_bytes,
                t.data_retransmitted_bytes,
                t.checksums,
                t.range,
                t.data_fin_at,
                t.missing_bytes,
                t.data_acked
            );
        }
        for f in &c.findings {
            println!(
                "   {} {:?} {:?} x{} {}",
                f.id,
                f.severity,
                &f.frames[..f.frames.len().min(5)],
                f.count,
                f.text
            );
        }
    }
}
