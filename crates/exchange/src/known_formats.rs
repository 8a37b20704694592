//! Formats known by sight: what a file is that was given where it cannot be read, and the way out.
//!
//! A look at the first bytes; nothing is parsed, and nothing is decided by it but the words of a refusal.

use crate::{ReadError, encoding};

/// As many bytes of a file as tell what it is.
pub const HEAD_BYTES: usize = 1024;

/// A format that can be told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// miniSEED 2 or 3.
    MiniSeed,
    /// A SEED volume of metadata.
    DatalessSeed,
    /// Responses as evalresp reads them.
    Resp,
    /// Waveforms of the Seismic Analysis Code.
    Sac,
    /// Waveforms of the GSE or IMS.
    Gse,
    /// Waveforms of exploration.
    SegY,
    /// ASDF and other HDF5.
    Hdf5,
    /// Arrays of NumPy.
    NumPy,
    /// Arrays of MATLAB.
    Matlab,
    /// Sound.
    Wav,
    /// Bulletins of SEISAN.
    Nordic,
    /// Hypocentres of NonLinLoc.
    NonLinLoc,
    /// QuakeML.
    QuakeMl,
    /// StationXML.
    StationXml,
    /// XML of SeisComP.
    SeisComPXml,
    /// A page of the web.
    Html,
    /// GeoJSON or other JSON.
    Json,
    /// A document for printing.
    Pdf,
    /// Packed so that we do not unpack it.
    Packed(&'static str),
}

impl Format {
    const fn words(self) -> (&'static str, &'static str) {
        const OBSPY: &str = "convert it, with ObsPy: read(FILE).write(\"data.mseed\", format=\"MSEED\")";
        const INVENTORY: &str =
            "convert it, with ObsPy: read_inventory(FILE).write(\"stations.xml\", format=\"STATIONXML\")";
        const CATALOGUE: &str =
            "convert it, with ObsPy: read_events(FILE).write(\"events.xml\", format=\"QUAKEML\")";
        const MINISEED: &str = "convert it to miniSEED";
        match self {
            Self::MiniSeed => ("miniSEED", "give it to `seislake import` as a PATH"),
            Self::DatalessSeed => ("dataless SEED", INVENTORY),
            Self::Resp => ("a RESP file", INVENTORY),
            Self::Sac => ("SAC", OBSPY),
            Self::Gse => ("GSE or IMS", OBSPY),
            Self::SegY => ("SEG-Y", OBSPY),
            Self::Hdf5 => ("HDF5 (ASDF or another)", MINISEED),
            Self::NumPy => ("a NumPy array", MINISEED),
            Self::Matlab => ("a MATLAB file", MINISEED),
            Self::Wav => ("sound (WAV)", OBSPY),
            Self::Nordic => ("Nordic", CATALOGUE),
            Self::NonLinLoc => ("NonLinLoc", CATALOGUE),
            Self::QuakeMl => {
                ("QuakeML, which holds events", "give it to `seislake compare` with --reference")
            }
            Self::StationXml => ("StationXML", "give it to `seislake import` with --stations"),
            Self::SeisComPXml => ("XML of SeisComP", "convert it to QuakeML or StationXML"),
            Self::Html => ("a web page", "look at it: a server may have answered with an error"),
            Self::Json => ("JSON", "GeoJSON of events is for `seislake compare` with --reference"),
            Self::Pdf => ("a PDF document", "it holds nothing to import"),
            Self::Packed(kind) => (kind, "unpack it first; gzip, bzip2 and zip are read as they are"),
        }
    }

    /// Short name.
    pub const fn name(self) -> &'static str {
        self.words().0
    }
}

impl std::fmt::Display for Format {
    /// `it is SAC; convert it, …`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, way_out) = self.words();
        write!(f, "it is {name}; {way_out}")
    }
}

/// What a file is that begins with `head`; `None` where that is not known.
pub fn recognise(head: &[u8]) -> Option<Format> {
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    by_magic(head)
        .or_else(|| seed(head))
        .or_else(|| is_sac(head).then_some(Format::Sac))
        .or_else(|| by_text(&encoding::glance(head)))
}

fn by_magic(head: &[u8]) -> Option<Format> {
    const MAGIC: [(usize, &[u8], Format); 18] = [
        (0, b"MS\x03", Format::MiniSeed),
        (0, b"\x89HDF\r\n", Format::Hdf5),
        (0, b"\x93NUMPY", Format::NumPy),
        (0, b"MATLAB 5.0", Format::Matlab),
        (8, b"WAVE", Format::Wav),
        (0, b"%PDF", Format::Pdf),
        // "C 1" in EBCDIC and in ASCII: the textual header.
        (0, b"\xC3\x40\xF1", Format::SegY),
        (0, b"C 1 CLIENT", Format::SegY),
        (0, b"\x1F\x8B", Format::Packed("gzip")),
        (0, b"BZh", Format::Packed("bzip2")),
        (0, b"PK\x03\x04", Format::Packed("zip")),
        (0, b"\xFD7zXZ", Format::Packed("packed with xz")),
        (0, b"\x28\xB5\x2F\xFD", Format::Packed("packed with Zstandard")),
        (0, b"\x1F\x9D", Format::Packed("packed with compress (.Z)")),
        (0, b"7z\xBC\xAF\x27\x1C", Format::Packed("a 7-Zip archive")),
        (0, b"Rar!", Format::Packed("a RAR archive")),
        (0, b"LZIP", Format::Packed("packed with lzip")),
        (257, b"ustar", Format::Packed("a tar archive")),
    ];
    let found =
        MAGIC.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    found.map(|(_, _, format)| *format)
}

/// Records begin with six digits and a letter.
fn seed(head: &[u8]) -> Option<Format> {
    let number = head.get(..6)?;
    if !number.iter().all(|byte| byte.is_ascii_digit() || *byte == b' ') || number == b"      " {
        return None;
    }
    match (head.get(6)?, head.get(7)?) {
        (b'D' | b'R' | b'Q' | b'M', b' ' | 0) => Some(Format::MiniSeed),
        (b'V' | b'A' | b'S' | b'T', b' ' | b'*') => Some(Format::DatalessSeed),
        _ => None,
    }
}

/// The version of the header is 6 or 7 and the kind of file one of those there are, in either order of bytes.
fn is_sac(head: &[u8]) -> bool {
    let word = |index: usize| head.get(4 * index..4 * index + 4).and_then(|bytes| bytes.try_into().ok());
    let (Some(version), Some(kind), Some(interval)) = (word(76), word(85), word(0)) else { return false };
    let is = |integer: fn([u8; 4]) -> i32, float: fn([u8; 4]) -> f32| {
        matches!(integer(version), 6 | 7)
            && matches!(integer(kind), 1..=5)
            && (1e-6..1e6).contains(&float(interval))
    };
    is(i32::from_le_bytes, f32::from_le_bytes) || is(i32::from_be_bytes, f32::from_be_bytes)
}

fn by_text(text: &str) -> Option<Format> {
    let text = text.trim_start();
    if text.starts_with('<') {
        let lower = text.to_ascii_lowercase();
        return [
            ("fdsnstationxml", Format::StationXml),
            ("quakeml", Format::QuakeMl),
            ("<seiscomp", Format::SeisComPXml),
            ("<html", Format::Html),
            ("<!doctype html", Format::Html),
        ]
        .into_iter()
        .find_map(|(word, format)| lower.contains(word).then_some(format));
    }
    let first = text.lines().next().unwrap_or_default();
    let starts = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    if starts(&["WID1", "WID2", "BEGIN GSE", "BEGIN IMS", "DATA_TYPE WAVEFORM"]) {
        Some(Format::Gse)
    } else if text.contains("B050F03") {
        Some(Format::Resp)
    } else if starts(&["NLLOC "]) {
        Some(Format::NonLinLoc)
    } else if starts(&["{", "["]) {
        Some(Format::Json)
    } else if is_nordic(first) {
        Some(Format::Nordic)
    } else {
        None
    }
}

/// A line of type 1: 80 characters, a year first and the type last; the text was trimmed of its first blank.
fn is_nordic(first: &str) -> bool {
    let bytes = first.trim_end().as_bytes();
    let year = bytes.get(..4).unwrap_or_default();
    let is_year = year.len() == 4 && year.iter().all(u8::is_ascii_digit);
    is_year && bytes.len() == 79 && bytes.last() == Some(&b'1') && !bytes.contains(&b',')
}

/// A refusal that names the format, where it is one that this door never reads.
pub(crate) fn or_named<T>(
    read: Result<T, ReadError>,
    bytes: &[u8],
    expected: &'static str,
    own: &[Format],
) -> Result<T, ReadError> {
    read.map_err(|error| match recognise(bytes) {
        Some(format) if !own.contains(&format) => {
            ReadError::OtherFormat { expected, found: format.to_string() }
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sac(integer: fn(i32) -> [u8; 4], float: fn(f32) -> [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0; 632];
        bytes[..4].copy_from_slice(&float(0.01));
        bytes[304..308].copy_from_slice(&integer(6));
        bytes[340..344].copy_from_slice(&integer(1));
        bytes
    }

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let nordic = format!("{:<79}1\n", " 1996 6 3 1955 40.2 L  47.760 153.227  0.0  TES 12 1.3");
        assert_eq!(nordic.len(), 81);
        let little = sac(i32::to_le_bytes, f32::to_le_bytes);
        let big = sac(i32::to_be_bytes, f32::to_be_bytes);
        let utf_16: Vec<u8> = "\u{FEFF}<q:quakeml/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(&[u8], Option<Format>); 18] = [
            (b"000001D AAA  ", Some(Format::MiniSeed)),
            (b"000001V 0100802.3", Some(Format::DatalessSeed)),
            (b"MS\x03rest", Some(Format::MiniSeed)),
            (&little, Some(Format::Sac)),
            (&big, Some(Format::Sac)),
            (b"WID2 2004/06/09", Some(Format::Gse)),
            (b"#\n#\nB050F03     Station:     ANMO\n", Some(Format::Resp)),
            (b"\xEF\xBB\xBF<?xml version='1.0'?><q:quakeml>", Some(Format::QuakeMl)),
            (&utf_16, Some(Format::QuakeMl)),
            (b"<FDSNStationXML>", Some(Format::StationXml)),
            (b"<!DOCTYPE html>", Some(Format::Html)),
            (nordic.as_bytes(), Some(Format::Nordic)),
            (b"{\"type\": 1}", Some(Format::Json)),
            (b"\xFD7zXZ\0", Some(Format::Packed("packed with xz"))),
            (b"Latitude,Longitude,Name\n1,2,A\n", None),
            (b"", None),
            (b"      D ", None),
            (&[0; 700], None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(recognise(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_refusal_says_what_it_is_and_the_way_out() {
        let refused = crate::read_stations(b"000001V 0100802.3121970", None).unwrap_err().to_string();
        assert!(refused.starts_with("not stations: it is dataless SEED; convert it"), "{refused}");
        let refused = crate::read_catalogue("x", b"<FDSNStationXML/>").unwrap_err().to_string();
        assert_eq!(
            refused,
            "not a catalogue: it is StationXML; give it to `seislake import` with --stations"
        );
        let broken = crate::read_stations(b"<FDSNStationXML><a></b>", None).unwrap_err().to_string();
        assert!(broken.starts_with("broken StationXML at line 1"), "{broken}");
    }
}
