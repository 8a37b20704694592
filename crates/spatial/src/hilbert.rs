//! The Hilbert curve over a square grid, and over longitude and latitude.
//!
//! Reference: D. Hilbert, Math. Ann. 38 (1891); the iteration follows J. Skilling's and H. S. Warren's description
//! (Hacker's Delight, 2nd ed., chapter 16): at each bit the quadrant is numbered and the square turned.

/// Bits per axis of [`hilbert_index`]: cells of 0.6 m in latitude.
pub const HILBERT_BITS: u32 = 26;

/// Position along the Hilbert curve of a place, `0 ..= 2^(2·26) - 1`: rows sorted by it lie together when their places do.
///
/// Degrees, WGS84. Longitudes are wrapped into -180 to 180, latitudes cut to -90 to 90; NaN counts as 0.
/// Cost: 26 steps.
pub fn hilbert_index(longitude: f64, latitude: f64) -> u64 {
    let wrapped = if longitude.is_finite() { (longitude + 180.0).rem_euclid(360.0) - 180.0 } else { 0.0 };
    let cut = if latitude.is_nan() { 0.0 } else { latitude.clamp(-90.0, 90.0) };
    let cells = f64::from(1_u32 << HILBERT_BITS);
    // The cast saturates; the last cell takes the upper edge.
    let cell = |fraction: f64| ((fraction * cells) as u32).min((1 << HILBERT_BITS) - 1);
    hilbert_distance(HILBERT_BITS, cell((wrapped + 180.0) / 360.0), cell((cut + 90.0) / 180.0))
}

/// Position along the Hilbert curve of the cell (`x`, `y`) of a grid of `2^bits` cells a side, `bits` at most 32.
/// Higher bits of the coordinates are ignored.
pub fn hilbert_distance(bits: u32, x: u32, y: u32) -> u64 {
    let bits = bits.min(32);
    let (mut x, mut y) = (u64::from(x), u64::from(y));
    let mut distance = 0_u64;
    for bit in (0..bits).rev() {
        let (right, upper) = ((x >> bit) & 1, (y >> bit) & 1);
        distance = (distance << 2) | ((3 * right) ^ upper);
        if upper == 0 {
            if right == 1 {
                let last = (1_u64 << bit) - 1;
                (x, y) = (last.wrapping_sub(x & last), last.wrapping_sub(y & last));
            }
            std::mem::swap(&mut x, &mut y);
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_walk_along_the_curve_visits_every_cell_and_steps_to_a_neighbour() {
        for bits in 1..=6 {
            let side = 1_u32 << bits;
            let mut cells = vec![None; (side * side) as usize];
            for x in 0..side {
                for y in 0..side {
                    let cell = &mut cells[hilbert_distance(bits, x, y) as usize];
                    assert_eq!(*cell, None, "two cells share a number");
                    *cell = Some((x, y));
                }
            }
            assert_eq!(cells.first(), Some(&Some((0, 0))), "the curve begins in the corner");
            for pair in cells.windows(2) {
                let ((ax, ay), (bx, by)) = (pair[0].unwrap(), pair[1].unwrap());
                assert_eq!(ax.abs_diff(bx) + ay.abs_diff(by), 1, "{bits} bits: {pair:?}");
            }
        }
    }

    #[test]
    fn every_place_has_a_number() {
        assert_eq!(hilbert_index(190.0, 10.0), hilbert_index(-170.0, 10.0));
        assert_eq!(hilbert_index(f64::NAN, f64::NAN), hilbert_index(0.0, 0.0));
        assert!(hilbert_index(180.0, 90.0) < 1 << (2 * HILBERT_BITS));
    }

    proptest! {
        #[test]
        fn a_prefix_of_the_number_is_the_number_of_the_coarser_cell(x in any::<u32>(), y in any::<u32>()) {
            let fine = hilbert_distance(32, x, y);
            let coarse = hilbert_distance(30, x >> 2, y >> 2);
            // Numbers of a coarser grid of the same parity of bits are prefixes of those of the finer one.
            prop_assert_eq!(fine >> 4, coarse);
        }
    }
}
