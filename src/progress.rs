//! What a person sees of a long piece of work: its phases, how far each is, and in the end
//! what came of it. All on standard error.
//!
//! One thread says all of it, a few times a second, and those who work only count bytes in
//! their [`Job`].

mod screen;
mod summary;

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::job::Job;
use screen::Screen;

pub use summary::{Composition, Summary, Verified};

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Nix, which runs a builder: phases and bytes in the form of its log protocol, the summary
    /// as text.
    Nix,
    /// Whoever reads lines: one for each phase, and at most nine more that say how far it is.
    Lines,
    /// A person at a terminal, who sees a bar.
    Terminal,
    /// Nobody.
    Nobody,
}

/// How often something new is said. Nix keeps it in the build's log.
const INTERVAL: Duration = Duration::from_millis(250);

/// Tells a listener how far a job is.
#[derive(Debug)]
pub struct Progress {
    job: Job,
    begin: Instant,
    /// Nothing if nobody listens.
    teller: Option<Teller>,
}

#[derive(Debug)]
struct Teller {
    events: Sender<Event>,
    thread: JoinHandle<()>,
}

/// What is to be said.
enum Event {
    Phase(Phase),
    Text(String),
}

/// A part of a job.
struct Phase {
    name: &'static str,
    /// Bytes that were done when it began.
    from: u64,
    extent: Extent,
}

/// What is known of a phase before.
#[derive(Clone, Copy)]
enum Extent {
    Bytes(u64),
    Unknown,
    /// That others write to the terminal.
    OfOthers,
}

impl Progress {
    /// Tells `listener` of `job`.
    #[must_use]
    pub fn new(listener: Listener, job: &Job) -> Self {
        let teller = match listener {
            Listener::Nobody => None,
            listener => Teller::start(listener, job.clone()),
        };
        Self {
            job: job.clone(),
            begin: Instant::now(),
            teller,
        }
    }

    /// A phase begins of which nobody knows how long it is.
    pub fn phase(&self, name: &'static str) {
        self.begin(name, Extent::Unknown);
    }

    /// A phase begins in which so many bytes are done.
    pub fn phase_of(&self, name: &'static str, bytes: u64) {
        self.begin(name, Extent::Bytes(bytes));
    }

    /// A phase begins in which other programs write to the terminal.
    pub fn phase_of_others(&self, name: &'static str) {
        self.begin(name, Extent::OfOthers);
    }

    /// All is done: says what came of it.
    pub fn done(self, summary: &Summary) {
        self.send(Event::Text(summary.in_lines(self.begin.elapsed())));
    }

    fn begin(&self, name: &'static str, extent: Extent) {
        self.send(Event::Phase(Phase {
            name,
            from: self.job.done(),
            extent,
        }));
    }

    fn send(&self, event: Event) {
        if let Some(teller) = &self.teller {
            // The work need not fail because nobody can be told.
            let _ = teller.events.send(event);
        }
    }
}

impl Drop for Progress {
    /// Waits until all is said, so that what comes after it, an error say, stands below.
    fn drop(&mut self) {
        if let Some(Teller { events, thread }) = self.teller.take() {
            drop(events);
            let _ = thread.join();
        }
    }
}

impl Teller {
    /// Nobody if the host has no thread for it: then the work goes on in silence, and says itself
    /// what it lacks.
    fn start(listener: Listener, job: Job) -> Option<Self> {
        let (events, received) = mpsc::channel();
        let tell = move || {
            let mut screen = Screen::new(listener, io::stderr());
            loop {
                match received.recv_timeout(INTERVAL) {
                    Ok(Event::Phase(phase)) => screen.phase(phase),
                    Ok(Event::Text(text)) => screen.text(&text, job.done()),
                    Err(RecvTimeoutError::Timeout) => screen.show(job.done()),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            screen.end(job.done());
        };
        let thread = thread::Builder::new().spawn(tell).ok()?;
        Some(Self { events, thread })
    }
}
