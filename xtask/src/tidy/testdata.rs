//! Rules about `testdata/`: every capture is in the manifest, with its hash and its size.

use super::{Complaint, Tree};
use crate::testdata::manifest::{Capture, Manifest};
use mptcp_tests::payload::sha256;

const MANIFEST: &str = "testdata/MANIFEST.toml";
const CAPTURES: &str = "testdata/captures/";

/// Larger captures need a reason: everybody who clones pays for them.
const MAX_CAPTURE_BYTES: u64 = 200 * 1024;

/// Endings of capture files, which may lie nowhere else in the repository.
const ENDINGS: [&str; 4] = [".pcap", ".pcapng", ".pcap.gz", ".pcap.zst"];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let is_capture = |path: &str| ENDINGS.iter().any(|ending| path.ends_with(ending));
    let mut captures = tree
        .files
        .iter()
        .filter(|file| file.path.starts_with(CAPTURES) || is_capture(&file.path));
    let Some(file) = tree.get(MANIFEST) else {
        return captures
            .next()
            .map(|file| file.complain(format!("no {MANIFEST}")))
            .into_iter()
            .collect();
    };
    let manifest: Manifest = match toml::from_str(&file.text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![file.complain(format!("not readable: {error}"))],
    };
    let listed: Vec<&Capture> = manifest
        .scenario
        .iter()
        .flat_map(|entry| &entry.capture)
        .collect();
    let mut complaints = Vec::new();
    for capture in captures {
        let entry = listed
            .iter()
            .find(|entry| format!("testdata/{}", entry.file) == capture.path);
        let bytes = capture.bytes.len() as u64;
        match entry {
            None => complaints.push(capture.complain(format!("is not in {MANIFEST}"))),
            Some(entry) if entry.sha256 != sha256(&capture.bytes) || entry.bytes != bytes => {
                complaints
                    .push(capture.complain(format!("is not the file that {MANIFEST} describes")));
            }
            Some(entry) if bytes > MAX_CAPTURE_BYTES && entry.large_because.is_none() => {
                let text =
                    format!("{bytes} bytes, {MAX_CAPTURE_BYTES} without a reason in {MANIFEST}");
                complaints.push(capture.complain(text));
            }
            Some(_) => {}
        }
    }
    let missing = |entry: &&&Capture| tree.get(&format!("testdata/{}", entry.file)).is_none();
    complaints.extend(
        listed
            .iter()
            .filter(missing)
            .map(|entry| file.complain(format!("{} does not exist", entry.file))),
    );
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::kit::{check_complains, tree};
    use super::*;

    fn manifest(name: &str, bytes: &str) -> String {
        let stream = "sent_bytes = 0\nsent_sha256 = \"\"\nsend_error = \"-\"\n\
                      received_bytes = 0\nreceived_sha256 = \"\"\nend = \"eof\"\n";
        format!(
            "[[scenario]]\nname = \"a\"\nshows = \"a\"\ncommand = \"a\"\nkernel = \"a\"\ntools = []\n\
             script = []\n[scenario.expected]\ncomplete = true\nchecksum = false\n\
             subflows = []\ncounters_client = {{}}\ncounters_server = {{}}\n\
             [scenario.expected.to_server]\n{stream}[scenario.expected.to_client]\n{stream}\
             [[scenario.capture]]\nfile = \"captures/{name}\"\nsha256 = \"{}\"\nbytes = {}\n\
             packets = 1\nside = \"client\"\ncommand = \"x\"\n",
            sha256(bytes.as_bytes()),
            bytes.len(),
        )
    }

    fn check_capture(path: &str, bytes: &str, manifest: &str) -> Vec<Complaint> {
        check(&tree(&[(MANIFEST, manifest), (path, bytes)]))
    }

    #[test]
    fn a_listed_capture_passes() {
        let manifest = manifest("a.pcap", "x");
        assert_eq!(
            check_capture("testdata/captures/a.pcap", "x", &manifest),
            []
        );
    }

    #[test]
    fn a_changed_capture_is_refused() {
        let manifest = manifest("a.pcap", "x");
        check_complains(
            &check_capture("testdata/captures/a.pcap", "y", &manifest),
            "describes",
        );
    }

    #[test]
    fn captures_are_listed_wherever_they_lie() {
        let found = check_capture("docs/b.pcapng", "x", "scenario = []");
        check_complains(&found, "docs/b.pcapng: is not in");
        check_complains(
            &check(&tree(&[("a/b.pcap", "")])),
            "no testdata/MANIFEST.toml",
        );
    }

    #[test]
    fn a_listed_capture_must_exist() {
        check_complains(
            &check(&tree(&[(MANIFEST, &manifest("a.pcap", "x"))])),
            "does not exist",
        );
    }

    #[test]
    fn a_large_capture_needs_a_reason() {
        let bytes = "x".repeat(200 * 1024 + 1);
        let listed = manifest("a.pcap", &bytes);
        check_complains(
            &check_capture("testdata/captures/a.pcap", &bytes, &listed),
            "reason",
        );
        let excused = format!("{listed}large_because = \"4 GiB need it\"\n");
        assert_eq!(
            check_capture("testdata/captures/a.pcap", &bytes, &excused),
            []
        );
    }
}
