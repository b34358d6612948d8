//! What is said to each listener, and how.
//!
//! Nix's log protocol: a line `@nix ` and a JSON object, of which a builder may use the actions
//! `setPhase`, and `start`, `result` and `stop` for an activity of the type of a file transfer.
//! Source: Nix, `src/libutil/logging.cc` (`handleJSONLogMessage`).

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Extent, Listener, Phase};

/// `actFileTransfer`, the one type of activity that Nix takes from a builder.
const FILE_TRANSFER: u32 = 101;
/// `resProgress`.
const PROGRESS: u32 = 105;
/// `lvlChatty`: counted in the progress bar, and no line by itself.
const CHATTY: u32 = 5;

/// What a listener sees.
pub(super) struct Screen<W> {
    to: W,
    form: Form,
    /// What was said last of the phase, as the listener counts it.
    said: u64,
    phase: Option<Phase>,
}

enum Form {
    /// With the number of the last activity.
    Nix(u64),
    Lines,
    Terminal(Option<ProgressBar>),
    Nothing,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(listener: Listener, to: W) -> Self {
        Self {
            to,
            form: match listener {
                Listener::Nix => Form::Nix(0),
                Listener::Lines => Form::Lines,
                Listener::Terminal => Form::Terminal(None),
                Listener::Nobody => Form::Nothing,
            },
            said: 0,
            phase: None,
        }
    }

    /// A phase begins, and the one before ends.
    pub(super) fn phase(&mut self, phase: Phase) {
        self.end(phase.from);
        let name = phase.name;
        match &mut self.form {
            Form::Nix(activity) => {
                let mut lines = nix(&json!({ "action": "setPhase", "phase": name }));
                if let Extent::Bytes(_) = phase.extent {
                    *activity += 1;
                    lines += &nix(&json!({
                        "action": "start", "id": *activity, "level": CHATTY, "parent": 0,
                        "type": FILE_TRANSFER, "text": name, "fields": [name],
                    }));
                }
                self.say(&lines);
            }
            Form::Lines => self.say(&format!("nix2image: {name}\n")),
            Form::Terminal(bar) => *bar = new_bar(&phase),
            Form::Nothing => {}
        }
        self.phase = Some(phase);
        self.said = 0;
    }

    /// So many bytes of the job are done.
    pub(super) fn show(&mut self, done: u64) {
        let Some(phase) = &self.phase else {
            return;
        };
        let Extent::Bytes(expected) = phase.extent else {
            if let Form::Terminal(Some(bar)) = &self.form {
                bar.tick();
            }
            return;
        };
        let name = phase.name;
        let done = done.saturating_sub(phase.from).min(expected);
        match &self.form {
            Form::Nix(activity) if done > self.said => {
                let line = nix(&json!({
                    "action": "result", "id": *activity, "type": PROGRESS,
                    "fields": [done, expected, 0, 0],
                }));
                self.said = done;
                self.say(&line);
            }
            Form::Lines => {
                let tenths = done * 10 / expected.max(1);
                if tenths > self.said && tenths < 10 {
                    self.said = tenths;
                    let line = format!(
                        "nix2image: {name}: {} % of {}\n",
                        tenths * 10,
                        indicatif::DecimalBytes(expected)
                    );
                    self.say(&line);
                }
            }
            Form::Terminal(Some(bar)) => bar.set_position(done),
            _ => {}
        }
    }

    /// Lines that stay, when so many bytes of the job are done.
    pub(super) fn text(&mut self, text: &str, done: u64) {
        self.end(done);
        self.say(text);
    }

    /// The phase ends when so many bytes of the job are done.
    pub(super) fn end(&mut self, done: u64) {
        self.show(done);
        let phase = self.phase.take();
        match &mut self.form {
            Form::Nix(activity) => {
                if let Some(Extent::Bytes(_)) = phase.map(|phase| phase.extent) {
                    let line = nix(&json!({ "action": "stop", "id": *activity }));
                    self.say(&line);
                }
            }
            Form::Terminal(bar) => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
            }
            Form::Lines | Form::Nothing => {}
        }
    }

    fn say(&mut self, lines: &str) {
        // The work need not fail because nobody listens.
        let _ = self.to.write_all(lines.as_bytes());
    }
}

fn nix(message: &Value) -> String {
    format!("@nix {message}\n")
}

/// The bar of a phase; nothing if others write to the terminal.
fn new_bar(phase: &Phase) -> Option<ProgressBar> {
    let (bar, template) = match phase.extent {
        Extent::Bytes(bytes) => (
            ProgressBar::new(bytes),
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}, {eta} left",
        ),
        Extent::Unknown => (ProgressBar::new_spinner(), "{msg} {spinner}"),
        Extent::OfOthers => return None,
    };
    let style = ProgressStyle::with_template(template).expect("the template is ours");
    bar.set_style(style);
    bar.set_message(phase.name);
    bar.tick();
    Some(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(listener: Listener, what: impl FnOnce(&mut Screen<&mut Vec<u8>>)) -> Vec<String> {
        let mut to = Vec::new();
        what(&mut Screen::new(listener, &mut to));
        let text = String::from_utf8(to).unwrap();
        text.lines().map(String::from).collect()
    }

    fn phase(name: &'static str, from: u64, extent: Extent) -> Phase {
        Phase { name, from, extent }
    }

    #[test]
    fn nix_is_told_phases_and_bytes_as_its_protocol_has_them() {
        let lines = said(Listener::Nix, |screen| {
            screen.phase(phase("scanning", 0, Extent::Unknown));
            screen.show(0);
            screen.phase(phase("writing", 10, Extent::Bytes(200)));
            screen.show(10);
            screen.show(110);
            screen.show(110);
            screen.phase(phase("checking", 210, Extent::Unknown));
            screen.end(210);
        });
        let messages: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line.strip_prefix("@nix ").unwrap()).unwrap())
            .collect();
        assert_eq!(
            messages,
            [
                json!({"action": "setPhase", "phase": "scanning"}),
                json!({"action": "setPhase", "phase": "writing"}),
                json!({"action": "start", "id": 1, "level": 5, "parent": 0, "type": 101,
                       "text": "writing", "fields": ["writing"]}),
                json!({"action": "result", "id": 1, "type": 105, "fields": [100, 200, 0, 0]}),
                json!({"action": "result", "id": 1, "type": 105, "fields": [200, 200, 0, 0]}),
                json!({"action": "stop", "id": 1}),
                json!({"action": "setPhase", "phase": "checking"}),
            ]
        );
    }

    #[test]
    fn what_ended_early_is_not_said_to_be_complete() {
        let lines = said(Listener::Nix, |screen| {
            screen.phase(phase("writing", 0, Extent::Bytes(200)));
            screen.end(50);
        });
        assert!(lines[2].contains("[50,200,0,0]"), "{lines:?}");
        assert_eq!(lines[3], r#"@nix {"action":"stop","id":1}"#);
    }

    #[test]
    fn lines_are_bounded_however_often_something_is_shown() {
        let lines = said(Listener::Lines, |screen| {
            screen.phase(phase("writing", 5, Extent::Bytes(1000)));
            (5..=1005).for_each(|done| screen.show(done));
            screen.phase(phase("checking", 1005, Extent::Unknown));
            screen.text("done\n", 1005);
        });
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[0], "nix2image: writing");
        assert_eq!(lines[1], "nix2image: writing: 10 % of 1.00 kB");
        assert_eq!(lines[9], "nix2image: writing: 90 % of 1.00 kB");
        assert_eq!(lines[10..], ["nix2image: checking", "done"]);
    }

    #[test]
    fn nobody_hears_nothing() {
        let lines = said(Listener::Nobody, |screen| {
            screen.phase(phase("writing", 0, Extent::Bytes(10)));
            screen.show(5);
        });
        assert!(lines.is_empty());
    }
}
