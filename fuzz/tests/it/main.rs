//! Every fuzz body over its corpus, and over a million mutations of it.

#[track_caller]
fn check_body(target: &str, body: fn(&[u8])) {
    let corpus = mptcp_fuzz::corpus(target).expect("each target has a corpus");
    assert!(!corpus.is_empty(), "the corpus of {target} is empty");
    for input in &corpus {
        body(input);
    }
    mptcp_fuzz::run_mutated(body, &corpus, RUNS, SEED);
}

#[test]
fn option_survives_a_million_mutated_inputs() {
    check_body("option", mptcp_fuzz::option);
}

#[test]
fn options_area_survives_a_million_mutated_inputs() {
    check_body("options_area", mptcp_fuzz::options_area);
}

#[test]
fn capture_survives_a_million_mutated_inputs() {
    check_body("capture", mptcp_fuzz::capture::capture);
}

#[test]
fn checksum_survives_a_million_mutated_inputs() {
    check_body("checksum", mptcp_fuzz::checksum);
}

#[test]
fn rebuild_survives_mutated_programs() {
    let corpus = mptcp_fuzz::corpus("rebuild").expect("each target has a corpus");
    assert!(!corpus.is_empty(), "the corpus of rebuild is empty");
    for input in &corpus {
        mptcp_fuzz::rebuild(input);
    }
    mptcp_fuzz::run_mutated(mptcp_fuzz::rebuild, &corpus, program_runs(), SEED);
}

#[test]
fn endpoint_sessions_keep_their_promises() {
    let corpus = mptcp_fuzz::corpus("endpoint_session").expect("each target has a corpus");
    assert!(
        !corpus.is_empty(),
        "the corpus of endpoint_session is empty"
    );
    for input in &corpus {
        mptcp_fuzz::endpoint_session(input);
    }
    let (mut complete, mut compared) = (0_u64, 0);
    let body = |data: &[u8]| {
        let report = mptcp_fuzz::endpoint_session(data);
        complete += u64::from(report.is_complete);
        compared += report.compared;
    };
    let len = mptcp_fuzz::session_len(SESSION_STEPS);
    mptcp_fuzz::run_generated(body, len, sessions(), seed());
    assert!(
        complete * 100 >= sessions() * MIN_COMPLETE_PERCENT,
        "{complete} of {} sessions were compared to the end, {compared} bytes in all",
        sessions()
    );
}

/// How many sessions to run: `MPTCP_FUZZ_SESSIONS`, or the default.
fn sessions() -> u64 {
    match std::env::var("MPTCP_FUZZ_SESSIONS") {
        Ok(text) => text.parse().expect("MPTCP_FUZZ_SESSIONS is a number"),
        Err(_) => SESSIONS,
    }
}

/// Where the sessions begin: `MPTCP_FUZZ_SEED`, or the default.
fn seed() -> u64 {
    match std::env::var("MPTCP_FUZZ_SEED") {
        Ok(text) => text.parse().expect("MPTCP_FUZZ_SEED is a number"),
        Err(_) => SEED,
    }
}

/// How many programs to run, each of which is rebuilt three times: `MPTCP_FUZZ_RUNS`, or the
/// default.
fn program_runs() -> u64 {
    match std::env::var("MPTCP_FUZZ_RUNS") {
        Ok(text) => text.parse().expect("MPTCP_FUZZ_RUNS is a number"),
        Err(_) => PROGRAM_RUNS,
    }
}

/// Steps of one session.
const SESSION_STEPS: usize = 200;
/// Of this part of the sessions at least, all that was written is compared with all that was read.
const MIN_COMPLETE_PERCENT: u64 = 40;
const SESSIONS: u64 = 500;
const PROGRAM_RUNS: u64 = 5_000;
const RUNS: u64 = 1_000_000;
const SEED: u64 = 8684;
