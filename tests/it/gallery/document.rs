//! The gallery as a document.

use std::fmt::Write as _;

use super::Heard;

/// Columns of text.
const WIDTH: usize = 96;

const HEAD: &str = "\
# Every error, and what is said

What a user can do that nix2image does not take, and the message, by subject. Most images are built
by the functions of this project, which check much of this already; these are the messages of the
builder itself, then those of [the Nix functions](#the-nix-functions).

Each message is one line, `nix2image: error: ` and what follows here; it is broken here alone. It begins
with what failed, and after each colon stands a cause. The exit code is 2 if the request is wrong; 1, if
the host is to blame, is said. In either case there is nothing at `$out`.

This page is made by the tests (`tests/it/gallery`), which cause each of these errors anew:
`NIX2IMAGE_BLESS=1 cargo xtask test` writes what has changed. `/nix/store/0000…-NAME` are store paths
of the tests, and `/mnt` is their directory.
";

/// The document of all that was said, and of what the Nix functions refuse: a call and its message.
pub(super) fn render(heard: &[Heard], refused: &[(String, String)]) -> String {
    let mut text = HEAD.to_owned();
    text.push('\n');
    for subject in heard {
        writeln!(text, "- [{}](#{})", subject.title, anchor(subject.title)).unwrap();
    }
    text.push_str("- [The Nix functions](#the-nix-functions)\n");
    for subject in heard {
        write!(text, "\n## {}\n", subject.title).unwrap();
        if !subject.about.is_empty() {
            write!(text, "\n{}\n", subject.about).unwrap();
        }
        for (did, said) in &subject.cases {
            let code = match said.exit_code {
                1 => " (exit code 1)",
                _ => "",
            };
            write!(text, "\n**{did}**{code}\n").unwrap();
            block(&mut text, &said.shown, &said.message);
        }
    }
    text.push_str("\n## The Nix functions\n\nWhat they refuse while Nix evaluates.\n");
    for (call, message) in refused {
        write!(text, "\n**{call}**\n").unwrap();
        block(&mut text, "", message);
    }
    text
}

/// What GitHub makes of a heading.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.replace(
        |character: char| !(character.is_alphanumeric() || "-_".contains(character)),
        "",
    )
}

/// What was written, with a `$` or nothing before it, and what was said.
fn block(text: &mut String, shown: &str, message: &str) {
    text.push_str("\n```text\n");
    if !shown.is_empty() {
        for line in shown.trim_end().lines() {
            wrap(text, "  ", line);
        }
        text.push_str("──\n");
    }
    for line in message.lines() {
        wrap(text, "", &without_runs(line));
    }
    text.push_str("```\n");
}

/// `line` with fewer of one letter where many follow each other.
fn without_runs(line: &str) -> String {
    const LONGEST: usize = 40;
    let mut short = String::new();
    let mut run = 0;
    let mut last = None;
    for character in line.chars() {
        run = if last == Some(character) { run + 1 } else { 1 };
        last = Some(character);
        match run {
            ..=LONGEST => short.push(character),
            _ if short.ends_with('…') => {}
            _ => short.push('…'),
        }
    }
    short
}

/// Writes `line`, broken at spaces.
fn wrap(text: &mut String, indent: &str, line: &str) {
    let mut column = 0;
    text.push_str(indent);
    for word in line.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + length >= WIDTH {
            write!(text, "\n{indent}").unwrap();
            column = 0;
        } else if column > 0 {
            text.push(' ');
        }
        text.push_str(word);
        column += length + 1;
    }
    text.push('\n');
}

/// Where the two begin to differ: some lines of each.
pub(super) fn difference(before: &str, now: &str) -> Option<(String, String)> {
    const LINES: usize = 12;
    if before == now {
        return None;
    }
    let [mut before, mut now] = [before, now].map(|text| text.lines().collect::<Vec<_>>());
    let pairs = before.iter().zip(&now);
    let same = pairs.take_while(|(before, now)| before == now).count();
    let from = same.saturating_sub(3);
    let excerpt = |lines: &mut Vec<&str>| {
        let lines: Vec<_> = lines.drain(from..).take(LINES).collect();
        lines.join("\n")
    };
    Some((excerpt(&mut before), excerpt(&mut now)))
}

#[test]
fn a_line_is_broken_at_spaces_and_keeps_its_words() {
    let mut text = String::new();
    let line = "word ".repeat(40);
    wrap(&mut text, "", line.trim_end());
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    assert_eq!(text.split_whitespace().count(), 40);
}
