//! Random paths: nothing may be said of a path that its boxes did not do.

use std::fmt::Write as _;

use mptcp_tests::middlebox::Direction;
use mptcp_tests::path::{
    Family, HopPlan, Path, PathPlan, Quotes, Rate, RouterPlan, Spread, TargetPlan,
};
use mptcp_tests::sim::Seed;
use mptcp_tracebox::probe::Probe;
use mptcp_tracebox::trace::{Acked, Blame, Code, Place};

use super::{Run, plan, run, truth};

/// Paths that were judged wrongly once: joined copies, answers for another probe, packets that are spread one
/// by one, parts of a segment that were taken for parts of another.
#[test]
fn paths_that_were_judged_wrongly_once_are_judged_rightly() {
    let mut tally = Tally::default();
    for seed in ONCE_WRONG {
        check(Seed(*seed), &mut tally).unwrap_or_else(|why| panic!("MPTCP_SIM_SEED={seed}: {why}"));
    }
}

#[test]
fn no_change_is_reported_that_no_box_made_and_none_outside_its_interval() {
    let first = Seed::from_env_or(1).0;
    let count = match (
        std::env::var("MPTCP_SIM_SEED"),
        std::env::var("MPTCP_PATHS"),
    ) {
        (Ok(_), Err(_)) => 1,
        (_, Ok(count)) => count.parse().expect("MPTCP_PATHS is a number"),
        _ => DEFAULT_PATHS,
    };
    let mut wrong = String::new();
    let mut tally = Tally::default();
    for seed in first..first + count {
        if let Err(why) = check(Seed(seed), &mut tally) {
            // Writing to a string cannot fail.
            let _ = writeln!(wrong, "MPTCP_SIM_SEED={seed}: {why}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{tally:?}");
    // The generator is of use only while boxes are found at all.
    assert!(count == 1 || tally.changes > tally.paths / 3, "{tally:?}");
    // To say nothing is no way to pass: of all paths with a box, so many are told to have one.
    assert!(
        count == 1 || tally.found * 100 > tally.boxed * LEAST_FOUND,
        "{tally:?}"
    );
}

/// What all paths together were like.
#[derive(Debug, Default)]
struct Tally {
    paths: u64,
    changes: u64,
    /// Paths of which a box changed something on its way there.
    boxed: u64,
    /// Those of which a change or an accusation is reported.
    found: u64,
    packets: usize,
    most_packets: usize,
    longest_ms: u128,
}

fn check(seed: Seed, tally: &mut Tally) -> Result<(), String> {
    let boxes = if seed.0 < FIRST_WITH_MORE {
        BOXES.to_vec()
    } else {
        [BOXES, MORE_BOXES].concat()
    };
    let (description, family) = random_path(&mut seed.generator("plan"), &boxes);
    let mut path = Path::new(&description, family, seed).map_err(|error| error.to_string())?;
    let mut plan = plan(&path);
    plan.probes = asked(seed, &plan.probes);
    if seed.0.is_multiple_of(2) {
        plan.probes = asked(seed, &Probe::ALL);
    }
    let run = run(&mut path, plan, seed).map_err(|endless| endless.0)?;
    tally.paths += 1;
    tally.packets += run.evidence.all().len();
    tally.most_packets = tally.most_packets.max(run.evidence.all().len());
    tally.longest_ms = tally.longest_ms.max(run.took.as_millis());
    let [flow] = &run.trace.flows[..] else {
        return Err("one flow was asked".to_owned());
    };
    tally.changes += u64::try_from(flow.changes.len()).unwrap_or(0);
    let is_boxed = path.passages().iter().any(|passage| {
        let mut after = passage.after.iter();
        passage.direction == Direction::ToServer
            && !after.any(|(way, packet)| *way == passage.direction && *packet == passage.before)
    });
    let is_found = !flow.changes.is_empty() || run.trace.verdict.blame == Blame::Path;
    tally.boxed += u64::from(is_boxed);
    tally.found += u64::from(is_boxed && is_found);
    for located in &flow.changes {
        let (change, between) = (&located.change, located.between);
        if !truth::is_true(change, between, path.passages()) {
            return Err(format!(
                "no box made this: {} {}, {between}\n{}",
                change.field,
                change.how,
                brief(&description)
            ));
        }
    }
    let sentence = &run.trace.verdict.sentence;
    if is_founded(&run, &path, &description) {
        Ok(())
    } else {
        let description = brief(&description);
        let ends = flow.ends.iter().map(|end| format!("  {end:?}\n"));
        let ends: String = ends.collect();
        Err(format!("not founded: {sentence}\n{description}{ends}"))
    }
}

/// Of these probes, those that the seed was looked at with.
fn asked(seed: Seed, probes: &[Probe]) -> Vec<Probe> {
    let is_known = |probe: &&Probe| seed.0 >= FIRST_WITH_MORE || **probe != Probe::Ecn;
    probes.iter().filter(is_known).cloned().collect()
}

/// Whether what the verdict accuses somebody of did happen.
fn is_founded(run: &Run, path: &Path, plan: &PathPlan) -> bool {
    let passages = path.passages();
    let verdict = &run.trace.verdict;
    let sentence = &verdict.sentence;
    // Nobody quotes what goes back.
    let is_touched = |direction| {
        let between = verdict.between.filter(|_| direction == Direction::ToServer);
        truth::is_touched(direction, between, passages)
    };
    let is_data_touched = truth::is_payload_touched(verdict.between, passages);
    match verdict.code {
        Code::PathStripsSyn | Code::PathAltersMptcp => is_touched(Direction::ToServer),
        Code::PathStripsSynAck => is_touched(Direction::ToClient),
        Code::PathStripsCapable => {
            is_touched(Direction::ToServer) || is_touched(Direction::ToClient)
        }
        Code::PathBreaksJoin => {
            is_touched(Direction::ToServer) || truth::is_stopped(1, verdict.between, passages)
        }
        Code::PathRejects | Code::PathRejectsOption if sentence.contains("of a connection") => {
            truth::is_refused(verdict.between, passages)
        }
        Code::PathDropsCapable
        | Code::PathRejects
        | Code::PathDropsOption
        | Code::PathRejectsOption => truth::is_stopped(0, verdict.between, passages),
        // No more than a suspicion, but not of somebody else.
        Code::Undecided if verdict.between.is_some_and(|it| it.until != Place::Target) => {
            truth::is_anything_stopped(verdict.between, passages)
        }
        Code::PathStripsData if sentence.contains("are dropped") => {
            truth::is_anything_stopped(verdict.between, passages)
        }
        Code::PathStripsData => {
            is_touched(Direction::ToServer) || is_touched(Direction::ToClient) || is_data_touched
        }
        Code::PayloadModified => is_data_touched || is_touched(Direction::ToServer),
        Code::ProactiveAck => truth::is_acked_early(verdict.between, passages),
        // Where packets are spread one by one, some meet the box and some do not.
        Code::HopsMissing => {
            let between = verdict.between.filter(|_| plan.balance == Spread::Flow);
            truth::is_ttl_touched(between, passages)
        }
        Code::Mirror => plan.target == TargetPlan::Mirror || truth::is_answer_touched(passages),
        Code::PortClosed => plan.target == TargetPlan::Closed || !passages.is_empty(),
        Code::ServerNoMptcp | Code::MptcpV0Only => {
            !matches!(plan.target, TargetPlan::V1 | TargetPlan::Both) || !passages.is_empty()
        }
        Code::MptcpOk => {
            let talk = run.trace.flows.iter().find_map(|flow| flow.talk);
            let is_vain = talk.is_some_and(|talk| talk.acked == Acked::Never);
            matches!(plan.target, TargetPlan::V1 | TargetPlan::Both) && !is_vain
        }
        _ => true,
    }
}

/// What matters of a path that was judged wrongly.
fn brief(plan: &PathPlan) -> String {
    let PathPlan {
        hops,
        target,
        balance,
        ..
    } = plan;
    let mut text = format!("{} hops, {balance:?}, {target:?}\n", hops.len());
    for (number, hop) in hops.iter().enumerate() {
        for (way, router) in hop.routers().iter().enumerate() {
            let RouterPlan {
                quotes,
                silent,
                loss,
                before,
                after,
                ..
            } = router;
            let _ = writeln!(
                text,
                "  {}.{way} {quotes:?} silent {silent} loss {loss:.2} before {before:?} after {after:?}",
                number + 1
            );
        }
    }
    text
}

fn random_path(random: &mut fastrand::Rng, boxes: &[&str]) -> (PathPlan, Family) {
    let family = *random.choice(&Family::ALL).expect("there are two");
    let loss = if random.bool() {
        0.0
    } else {
        random.f64() * MOST_LOSS
    };
    let is_uneven = random.u8(..8) == 0;
    let is_balanced = random.u8(..5) == 0;
    let hops = (0..random.usize(1..=15)).map(|_| {
        let ways = if is_balanced { random.usize(1..=3) } else { 1 };
        let loss = if is_uneven {
            random.f64() * MOST_LOSS
        } else {
            loss
        };
        let routers = (0..ways).map(|_| random_router(random, loss, family));
        HopPlan::Several(routers.collect())
    });
    let mut hops: Vec<HopPlan> = hops.collect();
    for _ in 0..random.usize(0..=2) {
        let at = random.usize(..hops.len());
        let HopPlan::Several(routers) = &mut hops[at] else {
            continue;
        };
        let way = random.usize(..routers.len());
        let text = (*random.choice(boxes).expect("there are some")).to_owned();
        if random.bool() {
            routers[way].before = Some(text);
        } else {
            routers[way].after = Some(text);
        }
    }
    let spread = if random.u8(..4) == 0 {
        Spread::Packet
    } else {
        Spread::Flow
    };
    let target = match random.u8(..20) {
        0 => TargetPlan::V0,
        1 | 2 => TargetPlan::Tcp,
        3 => TargetPlan::Closed,
        4 => TargetPlan::Mirror,
        5 => TargetPlan::Silent,
        6 => TargetPlan::Both,
        _ => TargetPlan::V1,
    };
    let plan = PathPlan {
        hops,
        target,
        balance: spread,
        latency_ms: random.f64() * 20.0,
    };
    (plan, family)
}

fn random_router(random: &mut fastrand::Rng, loss: f64, family: Family) -> RouterPlan {
    RouterPlan {
        quotes: match random.u8(..10) {
            0..5 => Quotes::All,
            5 | 6 => Quotes::Tcp(8),
            7 => Quotes::Tcp(28),
            _ => Quotes::Tcp(random.u16(8..=60)),
        },
        mpls: (random.u8(..10) == 0).then(|| random.u32(16..1 << 20)),
        silent: random.u8(..10) == 0,
        loss,
        rate: match random.u8(..10) {
            0..4 => None,
            4..8 => Some(Rate::linux(family)),
            _ => Some(Rate {
                burst: random.u32(1..12),
                per_second: 0.5 + random.f64() * 20.0,
            }),
        },
        ..RouterPlan::default()
    }
}

/// Boxes that act on SYNs, on their answers, on data, or on all that passes.
const BOXES: &[&str] = &[
    "strip:option=mptcp",
    "strip:option=mptcp,on=syn",
    "strip:option=mp_capable,how=remove",
    "strip:option=mp_capable,how=eol,on=syn",
    "strip:option=mp_join,on=syn",
    "strip:option=mp_join,how=remove",
    "strip:option=mptcp,on=synack",
    "strip:option=mptcp,on=synack,how=remove",
    "strip:option=timestamps",
    "strip:option=timestamps,how=remove",
    "strip:option=sack_ok,how=remove",
    "strip:option=wscale,how=eol",
    "rewrite:field=mss,set=1200,on=syn",
    "rewrite:field=version,set=0,on=syn",
    "rewrite:field=capable_flags,xor=0x80,on=syn",
    "rewrite:field=token,on=syn",
    "rewrite:field=ts_value,on=syn",
    "rewrite:field=wscale,set=2,on=syn",
    "header:field=ip_id,set=0x4321,toward=server",
    "header:field=df,set=0,toward=server",
    "header:field=flow_label,set=0,toward=server",
    "header:field=traffic_class,set=3,toward=server",
    "header:field=window,set=1000,on=syn",
    "header:field=reserved,set=8,on=syn",
    "header:field=urgent,set=5,on=syn",
    "header:field=ttl,set=64,toward=server",
    "header:field=window,set=1000,on=syn,checksum=stale",
    "rewrite:field=mss,set=1200,on=syn,checksum=stale",
    "strip:option=mp_capable,on=syn,checksum=stale",
    "isn",
    "isn:toward=client",
    "isn+header:field=ip_id,set=1,toward=server",
    "mirror",
    "refuse:with=mp_capable,on=syn",
    "refuse:with=mp_capable,on=syn,how=rst",
    "refuse:with=mp_capable,on=syn,how=icmp",
    "refuse:with=mp_join,on=syn",
    "refuse:options_over=24,on=syn",
    "quote:tcp_bytes=8",
    "quote:mpls=77",
    "strip:option=dss,on=data",
    "strip:option=dss,how=remove",
    "strip:option=mptcp,on=non_syn",
    "strip:option=add_addr",
    "rewrite:field=dsn,on=data",
    "flip:at=3,xor=0x20,toward=server",
    "split:at=7",
    "split:at=7,options=first",
    "coalesce:hold_ms=20",
    "hole:toward=server",
    "ack:how=correct",
    "proactive:toward=server",
    "impair:delay_ms=30,jitter_ms=40,order=free,seed=3",
];
/// Seeds from here on choose among more boxes, and ask for ECN too; the paths of all before, and what is asked, are as
/// they were when they were looked at.
const FIRST_WITH_MORE: u64 = 40_000_000;
/// Boxes that refuse or drop what a connection says, or meddle with ECN.
const MORE_BOXES: &[&str] = &[
    "refuse:with=add_addr,how=icmp",
    "refuse:with=add_addr,how=rst",
    "refuse:with=add_addr",
    "refuse:with=mp_prio,how=rst",
    "refuse:with=mp_fastclose,how=icmp",
    "refuse:with=mp_fastclose,how=rst",
    "refuse:with=mp_capable,on=data,how=rst",
    "refuse:with=mp_capable,on=data,how=icmp",
    "refuse:with=dss,on=data,how=icmp",
    "refuse:with=dss,on=data,how=rst",
    "refuse:with=dss,on=data",
    "header:field=traffic_class,set=0,toward=server",
    "header:field=ecn_flags,set=0,on=syn",
];
/// Share of errors that is lost, at most.
const MOST_LOSS: f64 = 0.6;
/// Seeds of paths that were judged wrongly once.
const ONCE_WRONG: &[u64] = &[
    25_318, 26_588, 39_614, 49_326, 59_072, 66_700, 103_420, 205_319, 207_280, 209_458, 214_632,
    216_845, 239_252, 248_668, 256_842, 300_954, 312_102, 330_296, 333_995, 340_191, 359_946,
    424_503, 444_498, 452_139, 458_699, 554_658, 558_230, 604_897, 806_832, 1_003_711, 1_014_863,
    1_087_268, 1_087_722, 648_150, 3_018_798, 3_076_890, 3_114_891, 5_021_896, 5_037_270,
    5_078_783, 7_008_730, 7_046_945, 11_034_260, 14_018_159, 15_033_032, 16_011_562, 24_015_216,
    31_016_590, 31_043_776, 37_032_322, 38_026_393, 620_649, 32_039_112, 40_011_770, 40_013_456,
    40_020_210, 40_055_696,
];
/// Percent of the paths with a box that must be told to have one.
const LEAST_FOUND: u64 = 70;
/// Paths in a run of all tests; `MPTCP_PATHS=100000` asks for more.
const DEFAULT_PATHS: u64 = 10_000;
