//! Builds that are ended at some moment.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::slice::from_ref;
use std::thread::{panicking, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{fill, known, outputs, stderr};
use crate::support::command::start;
use crate::support::direct::{Direct, FakeStore};
use crate::support::env;
use crate::support::nix::PathInfo;
use crate::support::sample::noise;

/// One build, and what it gives where nobody ends it.
struct Build {
    attributes: Value,
    known: PathInfo,
    outputs: BTreeMap<PathBuf, Vec<u8>>,
    duration: Duration,
}

impl Build {
    #[track_caller]
    fn new(store: &FakeStore, attributes: Value) -> Self {
        let known = known(store);
        let derivation = Direct::new(attributes.clone(), from_ref(&known));
        let begin = Instant::now();
        let output = ended_after(&derivation, store, None);
        Self {
            attributes,
            known,
            duration: begin.elapsed(),
            outputs: {
                assert!(output.status.success(), "{}", stderr(&output));
                outputs(&derivation)
            },
        }
    }

    /// Ends the build with `signal` after `delay`; whether that left no image.
    #[track_caller]
    fn end(&self, store: &FakeStore, signal: Signal, delay: Duration) -> bool {
        let derivation = Direct::new(self.attributes.clone(), from_ref(&self.known));
        let output = ended_after(&derivation, store, Some((signal, delay)));
        let stderr = stderr(&output);
        if output.status.success() {
            assert!(outputs(&derivation) == self.outputs, "{stderr}");
            return false;
        }
        if signal == Signal::KILL {
            return self.is_nothing_or_whole(&outputs(&derivation));
        }
        assert!(derivation.left_nothing(), "{stderr}");
        let by_signal = output.status.signal() == Some(signal.as_raw());
        // Who began to work handles the signal.
        if by_signal {
            assert!(stderr.is_empty(), "{stderr}");
        } else {
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(
                stderr.ends_with("nix2image: error: interrupted\n"),
                "{stderr}"
            );
        }
        true
    }

    /// That who was killed left whole outputs or none, a directory that was being put together
    /// aside; whether there is no image. It may have been done, and only on its way out.
    #[track_caller]
    fn is_nothing_or_whole(&self, found: &BTreeMap<PathBuf, Vec<u8>>) -> bool {
        let of = |outputs: &BTreeMap<PathBuf, Vec<u8>>, top: &str| {
            let within = outputs.iter().filter(|(path, _)| path.starts_with(top));
            within
                .map(|(path, bytes)| (path.clone(), bytes.clone()))
                .collect::<Vec<_>>()
        };
        let is_whole = |top| {
            let files = of(found, top);
            assert!(files.is_empty() || files == of(&self.outputs, top), "{top}");
            !files.is_empty()
        };
        let (has_image, has_report) = (is_whole("out"), is_whole("report"));
        // The report is there first.
        assert!(!has_image || has_report == self.attributes.get("report").is_some());
        for path in found.keys() {
            let top = path.iter().next().unwrap().to_str().unwrap();
            let is_directory = path.iter().count() > 1;
            assert!(
                ["out", "report"].contains(&top) || top.starts_with(".tmp") && is_directory,
                "{}",
                path.display()
            );
        }
        !has_image
    }
}

/// How a build ends that gets a signal after a while, if it is still there.
#[track_caller]
fn ended_after(
    derivation: &Direct,
    store: &FakeStore,
    signal: Option<(Signal, Duration)>,
) -> Output {
    let mut builder = derivation.builder_with_store(store.store());
    let child = start(
        builder
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
    );
    if let Some((signal, delay)) = signal {
        sleep(delay);
        // It is not waited for yet, and so nobody else has its number.
        kill_process(Pid::from_child(&child), signal).unwrap();
    }
    child.wait_with_output().unwrap()
}

/// Ends builds of all kinds with `signal`, each at moments that are spread over it by chance.
#[track_caller]
fn at_any_moment(signal: Signal) {
    let moments = if env::is_full() { 100 } else { 5 };
    let seed = Seed::new();
    let chances = noise(4 * 6 * 100, seed.0);
    let mut chances = chances
        .chunks_exact(4)
        .map(|chance| u32::from_le_bytes(chance.try_into().unwrap()) % 1000);
    let store = FakeStore::new();
    fill(&store.path(), 16);
    for attributes in [
        json!({}),
        json!({ "compression": "zstd" }),
        json!({ "selfCheck": true, "onlyStore": true }),
        json!({ "deduplicate": true }),
        json!({ "container": "qcow2-compressed" }),
        json!({ "output": "directory", "report": true }),
    ] {
        let build = Build::new(&store, attributes);
        let mut ended = 0;
        for moment in 0..moments {
            let share = 1000 * moment + chances.next().unwrap();
            let delay = build.duration * share / (1000 * moments);
            ended += usize::from(build.end(&store, signal, delay));
        }
        assert!(ended > 0, "no build of {} was ended", build.attributes);
    }
}

/// What chance hangs on: told when a test fails, and given again as `NIX2IMAGE_SEED`.
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let given = std::env::var("NIX2IMAGE_SEED").ok();
        Self(given.map_or(since_1970.as_secs(), |seed| seed.parse().unwrap()))
    }
}

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "it is for who reads of the failure")]
    fn drop(&mut self) {
        if panicking() {
            eprintln!("NIX2IMAGE_SEED={}", self.0);
        }
    }
}

#[test]
fn a_request_to_stop_at_any_moment_leaves_nothing_or_a_whole_image() {
    at_any_moment(Signal::TERM);
}

#[test]
fn whoever_is_killed_at_any_moment_leaves_nothing_or_a_whole_image() {
    at_any_moment(Signal::KILL);
}
