//! Builds that are ended at some moment.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Output, Stdio};
use std::slice::from_ref;
use std::thread::{panicking, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{fill, image, known, stderr, what_is_there};
use crate::support::command::start;
use crate::support::direct::{Direct, FakeStore};
use crate::support::env;
use crate::support::nix::PathInfo;
use crate::support::sample::noise;

/// One build, and what it gives where nobody ends it.
struct Build {
    attributes: Value,
    known: PathInfo,
    image: Vec<u8>,
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
            image: image(&derivation, &output),
        }
    }

    /// Ends the build with `signal` after `delay`; whether that left no image.
    #[track_caller]
    fn end(&self, store: &FakeStore, signal: Signal, delay: Duration) -> bool {
        let derivation = Direct::new(self.attributes.clone(), from_ref(&self.known));
        let output = ended_after(&derivation, store, Some((signal, delay)));
        let stderr = stderr(&output);
        // Who is killed may have been done, and only on its way out.
        if output.status.success() || (signal == Signal::KILL && !derivation.left_nothing()) {
            assert!(what_is_there(&derivation) == self.image, "{stderr}");
            return false;
        }
        assert!(derivation.left_nothing(), "{stderr}");
        let by_signal = output.status.signal() == Some(signal.as_raw());
        if signal == Signal::TERM && !by_signal {
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(
                stderr.ends_with("nix2image: error: interrupted\n"),
                "{stderr}"
            );
        } else {
            assert!(by_signal, "{}: {stderr}", output.status);
            // Who began to work handles the signal.
            assert!(signal == Signal::KILL || stderr.is_empty(), "{stderr}");
        }
        true
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
    let chances = noise(4 * 4 * 100, seed.0);
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
