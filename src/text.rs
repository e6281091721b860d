//! Texts that people bring: scenarios, books, positions, lines on stdin. Editors and spreadsheets mark and end them in
//! many ways; from here on they are UTF-8 without a mark, and lines end with `\n`.

use crate::failure::{Failure, Outcome};
use crate::files;
use encoding_rs::WINDOWS_1252;
use std::path::Path;

/// Reads a file.
///
/// # Errors
/// It cannot be read, is no ordinary file, or is not text; with the line where that shows.
pub fn read(path: &Path) -> Outcome<String> {
    read_as(path, decode)
}

/// Reads a file that is Windows-1252 where it is not UTF-8: all of ISO 8859-1's letters, as the PGN standard has them, and the
/// signs that Windows puts where those have none, such as € and dashes.
///
/// # Errors
/// As [`read`].
pub fn read_latin(path: &Path) -> Outcome<String> {
    read_any(path).map(|(text, _)| text)
}

/// The same, and whether it is UTF-8 or UTF-16.
///
/// # Errors
/// As [`read`].
pub fn read_any(path: &Path) -> Outcome<(String, bool)> {
    read_as(path, |bytes| match std::str::from_utf8(bytes) {
        Err(_) if utf16(bytes).is_none() => Ok((tidy(&WINDOWS_1252.decode_without_bom_handling(bytes).0)?, false)),
        _ => Ok((decode(bytes)?, true)),
    })
}

fn read_as<T>(path: &Path, decode: fn(&[u8]) -> Result<T, (usize, String)>) -> Outcome<T> {
    let bytes = files::all(files::open(path)?, path)?;
    decode(&bytes).map_err(|(line, why)| Failure::Input(format!("{}:{line}: {why}", path.display())))
}

/// The text of a whole file; the line that is not text, and why.
pub fn decode(bytes: &[u8]) -> Result<String, (usize, String)> {
    let Some(little) = utf16(bytes) else {
        let line = |e: &std::str::Utf8Error| 1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        let text = std::str::from_utf8(bytes).map_err(|e| (line(&e), "this is not UTF-8; save it as UTF-8".into()))?;
        return tidy(text);
    };
    let units = bytes[2..].chunks(2).map(|pair| match (pair, little) {
        ([a, b], true) => u16::from_le_bytes([*a, *b]),
        ([a, b], false) => u16::from_be_bytes([*a, *b]),
        _ => 0xd800, // half a unit: no text
    });
    let mut text = String::with_capacity(bytes.len() / 2);
    for unit in char::decode_utf16(units) {
        let wrong =
            |_| (1 + text.matches('\n').count(), "this is not UTF-16, as its mark says; save it as UTF-8".into());
        let unit = unit.map_err(wrong)?;
        text.push(unit);
    }
    tidy(&text)
}

/// A line of a stream, which is UTF-8; or why it is none.
pub fn line(bytes: &[u8]) -> Result<String, String> {
    if utf16(bytes).is_some() {
        return Err("this is UTF-16; send UTF-8".into());
    }
    decode(bytes).map_err(|(_, why)| why)
}

/// Whether a text is UTF-16 by its mark, and then whether the lesser byte comes first.
fn utf16(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0xff, 0xfe, ..] => Some(true),
        [0xfe, 0xff, ..] => Some(false),
        _ => None,
    }
}

fn tidy(text: &str) -> Result<String, (usize, String)> {
    let text = text.trim_start_matches('\u{feff}');
    if let Some(at) = text.find('\0') {
        let why = "there are zero bytes: this is no text, or UTF-16 without its mark; save it as UTF-8";
        return Err((1 + text[..at].matches('\n').count(), why.into()));
    }
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_ends_of_lines_are_not_part_of_a_text() {
        for bytes in [
            &b"a\nb\xc3\xa9\n"[..],
            b"\xef\xbb\xbfa\nb\xc3\xa9\n",
            b"a\r\nb\xc3\xa9\r\n",
            b"\xef\xbb\xbfa\rb\xc3\xa9\r",
        ] {
            assert_eq!(decode(bytes).unwrap(), "a\nb\u{e9}\n", "{bytes:?}");
        }
        let units: Vec<u16> = "\u{feff}a\r\nb\u{e9}\r\n\u{1f600}".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|u| u.to_be_bytes()).collect();
        assert_eq!(decode(&little).unwrap(), "a\nb\u{e9}\n\u{1f600}");
        assert_eq!(decode(&big).unwrap(), decode(&little).unwrap());
        assert!(line(&little).unwrap_err().contains("UTF-16"));
        assert_eq!(line(b"\xef\xbb\xbfx\r").unwrap(), "x\n");
        assert_eq!(decode(b"").unwrap(), "");
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        assert_eq!(decode(b"a\nb\xe9\n").unwrap_err().0, 2);
        assert_eq!(decode(b"a\n\nb\0c\0").unwrap_err().0, 3);
        assert_eq!(decode(b"\xff\xfea\0\n\0\0\xd8").unwrap_err().0, 2);
        assert_eq!(decode(b"\xff\xfea").unwrap_err().0, 1);
        assert!(read(Path::new("/dev/null")).unwrap_err().to_string().contains("ordinary file"));
    }
}
