use super::*;
use crate::evidence::AnswerKind;
use crate::report::tests::sample::{self, Sample};
use crate::report::text::{self, Look};
use crate::report::{dot, json, sides};
use crate::run::{End, Extent, Names};
use crate::trace::{Confidence, Trace};
use crate::verdict::judge;

fn file(sample: &Sample) -> Vec<u8> {
    let mut file = Vec::new();
    let mut recorder = Recorder::begin(&mut file, &sample.run).unwrap();
    let mut evidence = Evidence::default();
    for (at, purpose, bytes) in &sample.packets {
        if let Some(purpose) = purpose {
            evidence.note_sent(*at, purpose.clone(), bytes.clone());
            recorder.sent(*at, purpose, bytes).unwrap();
        } else {
            let id = evidence.note_received(*at, bytes);
            recorder.received(*at, bytes, &evidence, id).unwrap();
        }
    }
    recorder.flush().unwrap();
    file
}

#[test]
fn a_file_of_a_run_gives_the_same_trace_again() {
    for sample in [sample::clean(), sample::stripped(), sample::silent()] {
        let (recorded, trace) = reanalyze(file(&sample).as_slice()).unwrap();
        assert_eq!(recorded.run, sample.run);
        assert_eq!(recorded.cut_at, None);
        assert_eq!(trace, sample.trace());
        assert_eq!(recorded.evidence.all().len(), sample.evidence.all().len());
    }
}

#[test]
fn a_run_that_was_interrupted_is_one_when_it_is_read_again() {
    for (end, is_cut) in [
        (End::Complete, false),
        (End::Interrupted, true),
        (End::Broken, true),
    ] {
        let extent = Extent {
            end,
            foreign_resets: 3,
        };
        let sample = sample::clean();
        let mut writer = Recorder::begin(file(&sample), &sample.run).unwrap();
        writer.ended(extent).unwrap();
        let whole = writer.into_inner().unwrap();
        // Without the head of the second recorder: a file has one.
        let first = file(&sample);
        let mut head = Vec::new();
        Recorder::begin(&mut head, &sample.run).unwrap();
        let again = [&first[..], &whole[first.len() + head.len()..]].concat();
        let (recorded, trace) = reanalyze(again.as_slice()).unwrap();
        assert_eq!(recorded.extent, Some(extent));
        assert_eq!(recorded.evidence.is_cut(), is_cut);
        let mut evidence = sample.evidence.clone();
        if is_cut {
            evidence.note_cut();
        }
        assert_eq!(trace, judge(&evidence, sample.run.target));
        assert_eq!(trace.verdict.confidence == Confidence::Proven, !is_cut);
    }
}

#[test]
fn a_host_with_blanks_and_several_options_come_back() {
    let mut sample = sample::clean();
    sample.run.host = "a host=b tier=raw".to_owned();
    let probe = crate::probe::Probe::Options(vec![253, 4, 0xf9, 0x89, 34, 2]);
    sample.send(&probe, crate::evidence::Role::Ladder, 1);
    let recorded = read(file(&sample).as_slice()).unwrap();
    assert_eq!(recorded.run.host, "a host=b tier=raw");
    assert_eq!(recorded.evidence.all().last().unwrap().purpose.probe, probe);
}

#[test]
fn a_stray_packet_is_recorded_as_one() {
    let mut sample = sample::clean();
    let at = Instant::from_millis(900);
    sample.packets.push((at, None, vec![0x45; 40]));
    let recorded = read(file(&sample).as_slice()).unwrap();
    assert_eq!(recorded.evidence.strays(), 1);
}

#[test]
fn a_file_that_ends_early_gives_what_it_has() {
    let whole = file(&sample::stripped());
    let full = read(whole.as_slice()).unwrap().evidence.all().len();
    let mut cuts = 0;
    for len in 0..whole.len() {
        match read(&whole[..len]) {
            Ok(recorded) => {
                assert!(recorded.evidence.all().len() <= full);
                cuts += usize::from(recorded.cut_at.is_some());
                judge(&recorded.evidence, recorded.run.target);
            }
            Err(ReadError::Format | ReadError::NoRun) => assert!(len < 200, "{len}"),
            Err(error) => panic!("{len}: {error}"),
        }
    }
    assert!(cuts > whole.len() / 2);
}

/// Everything that shows a file to somebody.
fn report(recorded: &Recorded, trace: &Trace) {
    let names = Names::new();
    let look = Look {
        names: &names,
        width: Some(40),
    };
    let mut out = Vec::new();
    text::write(&mut out, &recorded.run, trace, look).unwrap();
    let found = (&recorded.evidence, None);
    json::write(&mut out, &recorded.run, trace, found, &names).unwrap();
    dot::write(&mut out, trace, &names).unwrap();
    for sent in recorded.evidence.all() {
        for answer in &sent.answers {
            if let AnswerKind::Error { quote, .. } = &answer.kind {
                sides::compare(&sent.bytes, quote);
            }
        }
    }
}

#[test]
fn garbled_files_are_errors_and_no_panic() {
    let whole = file(&sample::clean());
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut file = whole.clone();
            file[at] = value;
            if let Ok((recorded, trace)) = reanalyze(file.as_slice()) {
                report(&recorded, &trace);
            }
        }
    }
}

#[track_caller]
fn check_error(file: &[u8], expected: &str) {
    let error = read(file).expect_err("the file is wrong");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    assert_eq!(text, expected);
}

fn with_packet(packet: &EnhancedPacket<'_>) -> Vec<u8> {
    let mut file = file(&sample::silent());
    let mut other = Vec::new();
    let mut writer = PcapNgWriter::begin(&mut other, &SectionHeader::default()).unwrap();
    writer.packet(packet).unwrap();
    // The writer's section header without options has 28 bytes.
    file.extend(&other[28..]);
    file
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    check_error(b"", "this is no pcapng file");
    check_error(b"hello, world, this is text", "this is no pcapng file");
    let good = file(&sample::silent());
    let end = good.len();
    let packet = EnhancedPacket {
        interface: 0,
        at_ns: 1_795_180_616_000_000_000,
        original_len: 4,
        bytes: &[0x45, 0, 0, 0],
        outbound: Some(true),
        comments: &[],
    };
    let place = format!("packet 6 at byte {end}");
    let check = |packet: &EnhancedPacket<'_>, expected: &str| {
        check_error(&with_packet(packet), &format!("{place}: {expected}"));
    };
    check(&packet, "no comment says why it was sent");
    let comments = ["flow=0 probe=mpc1 role=king ttl=3 attempt=0".to_owned()];
    let king = EnhancedPacket {
        comments: &comments,
        ..packet
    };
    check(&king, "`role=king` is not understood");
    let comments = ["flow=64 probe=mpc1 role=end ttl=3 attempt=0".to_owned()];
    let flow = EnhancedPacket {
        comments: &comments,
        ..packet
    };
    check(&flow, "`flow=64` is not understood");
    let unknown = EnhancedPacket {
        interface: 7,
        ..packet
    };
    check(&unknown, "interface 7 is not described");
    let early = EnhancedPacket { at_ns: 5, ..packet };
    check(&early, "it is older than the run");
    let cut = EnhancedPacket {
        original_len: 9,
        ..packet
    };
    check(&cut, "5 of its bytes are not in the file");
    let aimless = EnhancedPacket {
        outbound: None,
        ..packet
    };
    check(
        &aimless,
        "its flags do not say whether it was sent or received",
    );
}

#[test]
fn files_of_other_programs_are_told_apart() {
    let mut other = Vec::new();
    PcapNgWriter::begin(&mut other, &SectionHeader::default()).unwrap();
    check_error(
        &other,
        "the section has no comment: mptcp-tracebox did not write this file",
    );
    let mut other = Vec::new();
    let section = SectionHeader {
        application: None,
        comment: Some("my holidays"),
    };
    PcapNgWriter::begin(&mut other, &section).unwrap();
    check_error(
        &other,
        "mptcp-tracebox did not write this file, or another version did: \
         the comment of the section does not begin with mptcp-tracebox/1",
    );
    let good = file(&sample::silent());
    let twice = [good.clone(), good.clone()].concat();
    let place = good.len();
    check_error(
        &twice,
        &format!("byte {place}: a second section begins; a file has one run"),
    );
}

#[test]
fn a_block_that_is_too_large_is_refused() {
    let mut file = file(&sample::silent());
    let end = file.len();
    file.extend(6_u32.to_le_bytes());
    file.extend(0x4000_0000_u32.to_le_bytes());
    file.resize(file.len() + (2 << 20), 0);
    check_error(
        &file,
        &format!("byte {end}: a block of more than 1048576 bytes"),
    );
}

#[test]
fn more_kinds_of_probe_than_a_run_has_are_refused() {
    let mut sample = sample::clean();
    for number in 0..=u8::MAX {
        let probe = crate::probe::Probe::Options(vec![253, 3, number]);
        sample.send(&probe, crate::evidence::Role::Ladder, 1);
    }
    let error = read(file(&sample).as_slice()).unwrap_err();
    assert!(matches!(error, ReadError::TooManyProbes), "{error}");
}

#[test]
fn a_later_version_is_not_taken_for_this_one() {
    let run = comment::of_run(&sample::clean().run);
    assert!(comment::parse_run(&run).is_ok());
    let later = run.replacen("/1 ", "/10 ", 1);
    assert_eq!(comment::parse_run(&later), Err(CommentError::Magic));
}

#[test]
fn a_flood_leaves_a_file_that_can_be_read() {
    let run = sample::clean().run;
    let mut recorder = Recorder::begin(Vec::new(), &run).unwrap();
    let evidence = Evidence::default();
    for _ in 0..MAX_RECEIVED + 100_000 {
        let stray = recorder.received(Instant::from_millis(1), &[0x45], &evidence, None);
        stray.unwrap();
    }
    let file = recorder.into_inner().unwrap();
    let again = read(file.as_slice()).unwrap();
    assert_eq!(again.evidence.strays(), MAX_RECEIVED);
}
