//! Layouts of the words of Steim frames: which bits of a word make which difference (SEED 2.4, appendix B).
//!
//! ```text
//!            code   top bits   differences
//! Steim 1     1       –        4 × 8
//!             2       –        2 × 16
//!             3       –        1 × 32
//! Steim 2     1       –        4 × 8
//!             2     1, 2, 3    1 × 30, 2 × 15, 3 × 10
//!             3     0, 1, 2    5 × 6, 6 × 5, 7 × 4
//! ```
//!
//! Bytes and halves of a word keep their order in memory whatever its byte order, as libmseed reads them.

use super::Scheme;
use crate::bytes::ByteOrder;

/// Differences taken out of a word at once; no word holds more than 7.
pub(super) const LANES: usize = 8;

/// How the differences lie in a word. The order of fields keeps the vectors together.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct Layout {
    /// Shift that brings a difference to the top of the word, bits; 32 makes an unused place 0.
    pub(super) left: [u32; LANES],
    /// Shift that then brings it down with its sign, bits.
    pub(super) right: [u32; LANES],
    /// Differences in the word.
    pub(super) count: usize,
    /// The code stands for nothing.
    pub(super) undefined: bool,
}

impl Layout {
    /// The differences of a word in the order of time; unused places are 0.
    #[inline(always)]
    pub(super) fn differences(&self, word: u32) -> [i32; LANES] {
        let mut differences = [0; LANES];
        let shifts = self.left.iter().zip(&self.right);
        for (difference, (left, right)) in differences.iter_mut().zip(shifts) {
            *difference = word.checked_shl(*left).unwrap_or(0).cast_signed().wrapping_shr(*right);
        }
        differences
    }
}

/// The layouts of a scheme and byte order, by the two top bits of the word and the 2-bit code.
pub(super) fn table(scheme: Scheme, order: ByteOrder) -> &'static [Layout; 16] {
    match (scheme, order) {
        (Scheme::One, ByteOrder::Big) => &ONE_BIG,
        (Scheme::One, ByteOrder::Little) => &ONE_LITTLE,
        (Scheme::Two, ByteOrder::Big) => &TWO_BIG,
        (Scheme::Two, ByteOrder::Little) => &TWO_LITTLE,
    }
}

/// The layout of a word; only the two lowest bits of `code` count.
#[inline(always)]
pub(super) fn of(layouts: &[Layout; 16], code: u32, word: u32) -> &Layout {
    let index = word >> 28 & 12 | code & 3;
    #[allow(clippy::indexing_slicing, reason = "two bits and two bits are below 16")]
    &layouts[index as usize]
}

static ONE_BIG: [Layout; 16] = steim1(ByteOrder::Big);
static ONE_LITTLE: [Layout; 16] = steim1(ByteOrder::Little);
static TWO_BIG: [Layout; 16] = steim2(ByteOrder::Big);
static TWO_LITTLE: [Layout; 16] = steim2(ByteOrder::Little);

const NOTHING: Layout = Layout { left: [32; LANES], right: [0; LANES], count: 0, undefined: false };
const UNDEFINED: Layout = Layout { undefined: true, ..NOTHING };

const fn steim1(order: ByteOrder) -> [Layout; 16] {
    let (bytes, halves, whole) = (parts(4, 8, order), parts(2, 16, order), parts(1, 32, order));
    rows([[NOTHING, bytes, halves, whole]; 4])
}

const fn steim2(order: ByteOrder) -> [Layout; 16] {
    const BIG: ByteOrder = ByteOrder::Big;
    let bytes = parts(4, 8, order);
    rows([
        [NOTHING, bytes, UNDEFINED, parts(5, 6, BIG)],
        [NOTHING, bytes, parts(1, 30, BIG), parts(6, 5, BIG)],
        [NOTHING, bytes, parts(2, 15, BIG), parts(7, 4, BIG)],
        [NOTHING, bytes, parts(3, 10, BIG), UNDEFINED],
    ])
}

/// Layouts of the codes 0 to 3, a row for each value of the two top bits.
const fn rows(rows: [[Layout; 4]; 4]) -> [Layout; 16] {
    let [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]] = rows;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// `count` differences of `bits` bits at the low end of the word, the first of them highest, or lowest where the
/// order of parts is that of little-endian memory.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn parts(count: usize, bits: u32, order: ByteOrder) -> Layout {
    let mut layout = Layout { count, ..NOTHING };
    let mut lane = 0;
    while lane < count {
        let below = match order {
            ByteOrder::Big => count - 1 - lane,
            ByteOrder::Little => lane,
        };
        layout.left[lane] = 32 - bits * (below as u32 + 1);
        layout.right[lane] = 32 - bits;
        lane += 1;
    }
    layout
}
