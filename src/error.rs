//! How an error is told: as one chain of causes, and of several the first.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;

use rustix::io::Errno;

mod first_failure;

pub(crate) use first_failure::FirstFailure;

/// An error and its causes, in one line: `error: cause: cause`. A name that stands in it may
/// hold any byte, so control characters are escaped: `\n`.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line(f);
        write!(line, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(line, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// What to change where a limit of the process is why the system refused, to stand behind what
/// could not be done; else nothing.
#[must_use]
pub fn limit_to_raise(reason: &io::Error) -> &'static str {
    match Errno::from_io_error(reason) {
        Some(Errno::MFILE) => "; allow more open files (`ulimit -n`)",
        Some(Errno::FBIG) => "; allow larger files (`ulimit -f`)",
        _ => "",
    }
}

/// Escapes control characters.
struct Line<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Line<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            write!(self.0, "{plain}{}", part[plain.len()..].escape_debug())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {path}")]
    struct Unreadable {
        path: &'static str,
        source: io::Error,
    }

    #[test]
    fn a_limit_that_stands_in_the_way_is_named() {
        let advice = |errno: Errno| limit_to_raise(&errno.into());
        assert!(advice(Errno::MFILE).contains("ulimit -n"));
        assert!(advice(Errno::FBIG).contains("ulimit -f"));
        assert_eq!(advice(Errno::IO), "");
    }

    #[test]
    fn whatever_a_name_holds_the_message_is_one_line() {
        let error = Unreadable {
            path: "/a\n\nb\u{1b}[31m\u{85}é\\n",
            source: io::Error::other("no\0\r"),
        };
        assert_eq!(
            Chain(&error).to_string(),
            r"cannot read /a\n\nb\u{1b}[31m\u{85}é\n: no\0\r"
        );
    }
}
