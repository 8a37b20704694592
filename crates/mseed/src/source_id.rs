//! Source identifiers of records: borrowed from a miniSEED 3 header, composed in place from a miniSEED 2 one.

/// Longest identifier that is made here: the standard's codes of 8 characters and a channel of 12. miniSEED 2 needs 22.
const COMPOSED_MAX: usize = 40;

/// Text of an identifier without an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SourceIdText<'a> {
    Borrowed(&'a str),
    Composed { text: [u8; COMPOSED_MAX], length: u8 },
}

impl<'a> SourceIdText<'a> {
    /// An identifier of a miniSEED 3 header: its location code `--` is none, as in miniSEED 2.
    pub(crate) fn read(text: &'a str) -> Self {
        let mut codes = text.splitn(4, '_');
        let (network, station) = (codes.next(), codes.next());
        let (Some(network), Some(station), Some("--"), Some(channel)) =
            (network, station, codes.next(), codes.next())
        else {
            return Self::Borrowed(text);
        };
        let mut composed = [0; COMPOSED_MAX];
        let mut length = 0;
        for part in [network, "_", station, "__", channel] {
            let Some(slot) = composed.get_mut(length..length + part.len()) else {
                return Self::Borrowed(text);
            };
            slot.copy_from_slice(part.as_bytes());
            length += part.len();
        }
        Self::Composed { text: composed, length: length as u8 }
    }

    /// From the codes of a miniSEED 2 header; spaces and NUL vanish, bytes that no code may hold become `?`, and the
    /// location code `--`, which some write for none, is none.
    pub(crate) fn compose(network: &[u8], station: &[u8], location: &[u8], channel: [u8; 3]) -> Self {
        let [band, source, subsource] = channel;
        let mut text = [0; COMPOSED_MAX];
        let mut length = 0_u8;
        let mut slots = text.iter_mut();
        let mut push = |byte: u8| {
            if let Some(slot) = slots.next() {
                *slot = byte;
                length += 1;
            }
        };
        let location: &[u8] = if location == b"--" { &[] } else { location };
        b"FDSN:".iter().for_each(|byte| push(*byte));
        for (index, code) in
            [network, station, location, &[band], &[source], &[subsource]].into_iter().enumerate()
        {
            if index > 0 {
                push(b'_');
            }
            code.iter().filter(|byte| !matches!(byte, b' ' | 0)).for_each(|byte| push(printable(*byte)));
        }
        Self::Composed { text, length }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Composed { text, length } => {
                text.get(..usize::from(*length)).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
            }
        }
    }
}

fn printable(byte: u8) -> u8 {
    if byte.is_ascii_graphic() && byte != b'_' { byte } else { b'?' }
}

/// Codes of an identifier that fit a miniSEED 2 header, padded with spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeedCodes {
    pub(crate) network: [u8; 2],
    pub(crate) station: [u8; 5],
    pub(crate) location: [u8; 2],
    pub(crate) channel: [u8; 3],
}

impl SeedCodes {
    /// `None` where the identifier is not `FDSN:NET_STA_LOC_B_S_SS` or a code is too long for miniSEED 2.
    pub(crate) fn parse(source_id: &str) -> Option<Self> {
        let mut codes = source_id.strip_prefix("FDSN:")?.split('_');
        let (network, station, location) = (codes.next()?, codes.next()?, codes.next()?);
        let (band, source, subsource) = (codes.next()?, codes.next()?, codes.next()?);
        if codes.next().is_some() {
            return None;
        }
        let ([band], [source], [subsource]) = (padded(band)?, padded(source)?, padded(subsource)?);
        Some(Self {
            network: padded(network)?,
            station: padded(station)?,
            location: padded(location)?,
            channel: [band, source, subsource],
        })
    }
}

fn padded<const N: usize>(code: &str) -> Option<[u8; N]> {
    let mut field = [b' '; N];
    field.get_mut(..code.len())?.copy_from_slice(code.as_bytes());
    code.bytes().all(|byte| byte.is_ascii_graphic()).then_some(field)
}
