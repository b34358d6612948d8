//! Names, which are bytes, for reading.

use std::fmt::Write as _;

/// `name` as text: what is no UTF-8, and what a reader would not see, as `\xNN`, and a
/// backslash as `\\`. So two names never look the same.
pub(super) fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str(r"\\"),
                _ if is_unseen(character) => {
                    escape(character.encode_utf8(&mut [0; 4]).as_bytes(), &mut text);
                }
                _ => text.push(character),
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    text
}

/// Whether a character shows nothing, or changes the order of those around it.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // A string takes all.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_like_themselves_and_like_no_other() {
        for (name, expected) in [
            (&b"plain name"[..], "plain name"),
            ("grün".as_bytes(), "grün"),
            (b"new\nline", r"new\x0aline"),
            (b"\xff\xfe", r"\xff\xfe"),
            (br"\xff", r"\\xff"),
            ("a\u{202e}b".as_bytes(), r"a\xe2\x80\xaeb"),
        ] {
            assert_eq!(shown(name), expected);
        }
    }
}
