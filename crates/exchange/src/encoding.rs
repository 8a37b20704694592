//! Bytes of documents as text. What a document declares of its letters holds, and what cannot be read by it is refused:
//! letters that are guessed or replaced would be stored as if they were right.
//!
//! ```text
//! mark of byte order, zeros of UTF-16 ─► charset it came with (RFC 7303) ─► declaration ─► UTF-8, else windows-1252
//! ```
//! Each outranks those behind it. Labels of encodings are those of the WHATWG Encoding Standard.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::{ReadError, excerpt};

/// White space may make a declaration long.
const DECLARATION_BYTES_MAX: usize = 1 << 16;

/// Before UTF-8 it says that it is that.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Text of a document; `format` is named in errors. Where it declares nothing: UTF-8, windows-1252 where it is not UTF-8.
///
/// # Errors
/// Where the document declares an encoding that is not known, or holds bytes that are no letters of the one declared.
pub(crate) fn decode<'a>(format: &'static str, bytes: &'a [u8]) -> Result<Cow<'a, str>, ReadError> {
    let (encoding, bytes) = encoding_of(bytes).map_err(|reason| broken(format, "", reason))?;
    match encoding {
        Some(encoding) => text_in(format, encoding, bytes),
        None => Ok(undeclared(bytes)),
    }
}

/// Text of the begin of a document, for a look at what it is: nothing is refused.
pub(crate) fn glance(head: &[u8]) -> Cow<'_, str> {
    match encoding_of(head) {
        Ok((Some(encoding), head)) => encoding.decode_without_bom_handling(head).0,
        Ok((None, head)) => undeclared(head),
        Err(_) => undeclared(head),
    }
}

/// A document as it is read in the encoding that was named beside it, as the `charset` of HTTP. That outranks what the
/// document declares, as RFC 7303, section 3, asks for; a mark of byte order outranks both.
///
/// # Errors
/// Where the encoding is not known, or the document holds bytes that are no letters of it.
pub fn in_charset<'a>(bytes: &'a [u8], charset: &str) -> Result<Cow<'a, [u8]>, ReadError> {
    const FORMAT: &str = "document";
    let encoding = known(charset.as_bytes()).map_err(|reason| broken(FORMAT, "", reason))?;
    let declares_other =
        declared_label(bytes).is_some_and(|label| Encoding::for_label(label) != Some(encoding));
    if marked(bytes).is_some() {
        return Ok(Cow::Borrowed(bytes));
    }
    let text = text_in(FORMAT, encoding, bytes)?;
    if encoding == UTF_8 && !declares_other {
        return Ok(Cow::Borrowed(bytes));
    }
    // Behind a mark the declaration no longer counts.
    Ok(Cow::Owned([MARK, text.as_bytes()].concat()))
}

/// What a document says of its encoding, and the bytes without a mark; `None` where it says nothing.
fn encoding_of(bytes: &[u8]) -> Result<(Option<&'static Encoding>, &[u8]), String> {
    if let Some((encoding, rest)) = marked(bytes) {
        return Ok((Some(encoding), rest));
    }
    let Some(label) = declared_label(bytes) else { return Ok((None, bytes)) };
    // A declaration of UTF-16 that can be read byte by byte is false: programs write it that hold their texts so.
    let encoding = match known(label)? {
        encoding if encoding == UTF_16LE || encoding == UTF_16BE => UTF_8,
        encoding => encoding,
    };
    Ok((Some(encoding), bytes))
}

/// The encoding that a mark of byte order or the zeros beside the first letter tell, and the bytes without the mark.
fn marked(bytes: &[u8]) -> Option<(&'static Encoding, &[u8])> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => Some((UTF_16LE, rest)),
        [0xFE, 0xFF, rest @ ..] => Some((UTF_16BE, rest)),
        [b'<', 0, ..] => Some((UTF_16LE, bytes)),
        [0, b'<', ..] => Some((UTF_16BE, bytes)),
        _ => bytes.strip_prefix(MARK).map(|rest| (UTF_8, rest)),
    }
}

/// The name of an encoding in the declaration of a document.
fn declared_label(bytes: &[u8]) -> Option<&[u8]> {
    let head =
        bytes.get(..DECLARATION_BYTES_MAX).unwrap_or(bytes).trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let declaration = head.get(..end)?;
    let name = declaration.windows(8).position(|word| word == b"encoding")? + 8;
    let value = declaration.get(name..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first()?;
    let end = value.iter().position(|byte| byte == quote)?;
    value.get(..end)
}

fn known(label: &[u8]) -> Result<&'static Encoding, String> {
    Encoding::for_label_no_replacement(label).ok_or_else(|| {
        let label = String::from_utf8_lossy(label);
        format!("its encoding \"{}\" is not one that is read; convert it to UTF-8", excerpt(&label))
    })
}

fn text_in<'a>(
    format: &'static str,
    encoding: &'static Encoding,
    bytes: &'a [u8],
) -> Result<Cow<'a, str>, ReadError> {
    // ASCII and Latin-1 are of this encoding too. Many call UTF-8 so, and letters beyond ASCII are not UTF-8 by chance.
    if encoding == WINDOWS_1252
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Ok(Cow::Borrowed(text));
    }
    let (text, is_damaged) = encoding.decode_without_bom_handling(bytes);
    if is_damaged {
        let before = text.split(char::REPLACEMENT_CHARACTER).next().unwrap_or_default();
        let reason = format!("bytes that are no letter of its encoding {}", encoding.name());
        return Err(broken(format, before, reason));
    }
    Ok(text)
}

fn undeclared(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// What is wrong behind the text `before`.
fn broken(format: &'static str, before: &str, reason: String) -> ReadError {
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count() as u64;
    let column = 1 + before.bytes().rev().take_while(|byte| *byte != b'\n').count() as u64;
    ReadError::Broken { format, line, column, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(label: &str, name: &str) -> String {
        format!("<?xml version='1.0' encoding='{label}' ?>\n<Name>{name}</Name>")
    }

    fn name_in(bytes: &[u8]) -> Result<String, String> {
        let text = decode("StationXML", bytes).map_err(|error| error.to_string())?;
        Ok(text.split("<Name>").nth(1).unwrap().trim_end_matches("</Name>").to_owned())
    }

    fn encoded(label: &str, name: &str) -> Vec<u8> {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        encoding.encode(&document(label, name)).0.into_owned()
    }

    #[test]
    fn a_declared_encoding_holds_even_where_the_bytes_are_utf_8_too() {
        for (label, name) in [("GB2312", "山水"), ("GBK", "山水"), ("ISO-8859-2", "ĂŠ")] {
            let bytes = encoded(label, name);
            assert!(std::str::from_utf8(&bytes).is_ok(), "{label}");
            assert_eq!(name_in(&bytes), Ok(name.to_owned()), "{label}");
        }
    }

    #[test]
    fn a_long_declaration_holds_too() {
        let bytes = encoded("ISO-8859-2", "Łódź");
        let long = [b"<?xml", " ".repeat(5000).as_bytes(), &bytes[5..]].concat();
        assert_eq!(name_in(&long), Ok("Łódź".to_owned()));
    }

    #[test]
    fn utf_8_that_calls_itself_latin_1_or_ascii_is_read_as_what_it_is() {
        for label in ["ISO-8859-1", "windows-1252", "us-ascii", "latin1", "utf-16"] {
            assert_eq!(name_in(document(label, "Malmö").as_bytes()), Ok("Malmö".to_owned()), "{label}");
        }
        assert_eq!(name_in(&encoded("ISO-8859-1", "Malmö")), Ok("Malmö".to_owned()));
    }

    #[test]
    fn encodings_that_are_not_known_are_refused_by_name() {
        for label in ["IBM437", "cp850", "UTF-7", "HZ-GB-2312", "x-none"] {
            let refused = name_in(document(label, "Malmo").as_bytes()).unwrap_err();
            assert!(refused.contains(&format!("its encoding \"{label}\" is not one")), "{refused}");
        }
    }

    #[test]
    fn damaged_letters_are_refused_and_not_replaced() {
        let utf_16 =
            |units: &[u16]| -> Vec<u8> { units.iter().copied().flat_map(u16::to_le_bytes).collect() };
        let mut units: Vec<u16> = "\u{FEFF}<a>\nM".encode_utf16().collect();
        let whole = utf_16(&units);
        assert_eq!(decode("StationXML", &whole).unwrap(), "<a>\nM");
        let odd = [whole.as_slice(), b"x"].concat();
        units.push(0xD800);
        let damaged = |label: &str| [document(label, "Łód").as_bytes(), b"\xff"].concat();
        let marked = [MARK, b"<a>\nMalm\xf6"].concat();
        let euc = [document("EUC-JP", "").as_bytes(), b"\xff"].concat();
        for bytes in [odd, utf_16(&units), euc, damaged("UTF-8"), damaged("utf-16"), marked] {
            let refused = decode("StationXML", &bytes).unwrap_err().to_string();
            assert!(refused.starts_with("broken StationXML at line 2"), "{refused}");
            assert!(refused.contains("no letter of its encoding"), "{refused}");
            assert!(glance(&bytes).starts_with('<'));
        }
    }

    #[test]
    fn a_charset_outranks_the_declaration_and_a_mark_outranks_both() {
        let charset = |charset: &str, bytes: &[u8]| {
            let bytes = in_charset(bytes, charset).map_err(|error| error.to_string())?;
            name_in(&bytes)
        };
        let declared = document("GB2312", "山水");
        assert_eq!(charset("utf-8", declared.as_bytes()), Ok("山水".to_owned()));
        assert_eq!(charset("UTF-8", document("UTF-8", "山水").as_bytes()), Ok("山水".to_owned()));
        let (gbk, ..) = encoding_rs::GBK.encode("<?xml version='1.0'?><Name>山水</Name>");
        assert_eq!(charset("gb2312", &gbk), Ok("山水".to_owned()));
        assert!(charset("IBM437", &gbk).unwrap_err().contains("\"IBM437\""));
        assert!(charset("utf-8", b"<?xml version='1.0'?><Name>Malm\xf6</Name>").is_err());
        let marked = format!("\u{FEFF}{declared}");
        assert_eq!(charset("ISO-8859-2", marked.as_bytes()), Ok("山水".to_owned()));
    }
}
