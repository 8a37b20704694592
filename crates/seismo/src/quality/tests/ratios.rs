//! Component ratios against ObsPy: `Trace.slice`, `detrend("demean")`, `filter("bandpass", corners=4)`, sum of squares.

use super::super::{BandEnergy, Components, DayGrid, Piece, RatioSettings, component_ratios};
use super::{day, day_start, noise};

const RATE_HZ: f64 = 20.0;
const WINDOW_SAMPLES: usize = 6_000;

fn piece(first: i64, count: usize) -> Piece {
    let start_ns = day().start_ns + first * 50_000_000;
    Piece::new(start_ns, start_ns + (count as i64 - 1) * 50_000_000, RATE_HZ, count as u64).unwrap()
}

/// The first three windows of the day, gain and offset on the noise of a seed.
fn component(seed: u32, gain: i32, offset: i32) -> Vec<i32> {
    noise(seed, 3 * WINDOW_SAMPLES).into_iter().map(|value| value * gain + offset).collect()
}

fn energies(pieces: &[(i64, &[i32])]) -> Vec<Option<f64>> {
    let mut grid = DayGrid::new(day(), RATE_HZ).unwrap();
    for (first, samples) in pieces {
        grid.place(piece(*first, samples.len()), samples);
    }
    BandEnergy::new(RatioSettings::default(), RATE_HZ).unwrap().energies(&grid)
}

fn close(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!((found / expected - 1.0).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn energies_and_ratios_agree_with_obspy() {
    // Values by ObsPy 1.5.1 and NumPy; tolerance 1e-9: the order of sections and of sums differs.
    let expected = [
        (component(1, 1, 1000), [210_515_702_163.577_18, 188_546_780_756.206_48, 198_580_169_533.883]),
        (component(2, 3, -500), [1_581_575_705_463.362_3, 1_857_298_714_859.638_2, 1_851_386_489_930.370_8]),
        (component(3, 2, 7), [738_747_957_251.085_6, 782_482_599_624.081, 852_000_217_112.253]),
    ];
    let found: Vec<Vec<Option<f64>>> =
        expected.iter().map(|(samples, _)| energies(&[(0, samples)])).collect();
    for (found, (_, expected)) in found.iter().zip(&expected) {
        assert_eq!((found.len(), found.iter().flatten().count()), (288, 3));
        for (found, expected) in found.iter().zip(expected) {
            close(*found, *expected);
        }
    }
    let energy = BandEnergy::new(RatioSettings::default(), RATE_HZ).unwrap();
    let components = Components::of(&['E', 'N', 'Z']).unwrap();
    let [z, n, e] = [&found[0][..], &found[1][..], &found[2][..]];
    let row = component_ratios("FDSN:XX_STA_00_H_H", day_start(), components, &energy, [z, n, e]).unwrap();
    close(row.north_east, 2.172_988_284_211_254_2);
    close(row.vertical_east, 0.240_959_710_601_600_35);
    close(row.vertical_north, 0.107_260_245_558_641_53);
    assert_eq!((row.window_count, row.components.as_str()), (3, "ZNE"));
    // The median of two windows lies between them.
    let pair =
        component_ratios("FDSN:XX_STA_00_H_H", day_start(), components, &energy, [z, &n[..2], e]).unwrap();
    close(pair.north_east, 2.257_242_102_207_990_3);
    close(pair.vertical_north, 0.117_310_856_469_740_58);
    assert_eq!(pair.window_count, 3, "vertical and east are complete in the third");
}

#[test]
fn a_window_with_a_gap_has_no_energy_and_the_others_are_as_before() {
    let samples = component(1, 1, 1000);
    let whole = energies(&[(0, &samples)]);
    let (head, tail) = (&samples[..7_000], &samples[7_001..]);
    let holed = energies(&[(0, head), (7_001, tail)]);
    assert_eq!((holed[0], holed[1], holed[2]), (whole[0], None, whole[2]));
}

#[test]
fn cutting_and_repeating_do_not_change_energies() {
    let samples = component(2, 3, -500);
    let whole = energies(&[(0, &samples)]);
    let cut =
        energies(&[(0, &samples[..1_234]), (1_000, &samples[1_000..9_999]), (9_999, &samples[9_999..])]);
    assert_eq!(cut, whole);
}

#[test]
fn a_missing_component_leaves_its_ratios_empty() {
    let (z, n) = (energies(&[(0, &component(1, 1, 0))]), energies(&[(0, &component(2, 1, 0))]));
    let energy = BandEnergy::new(RatioSettings::default(), RATE_HZ).unwrap();
    let components = Components::of(&['Z', 'N']).unwrap();
    let row = component_ratios("i", day_start(), components, &energy, [&z, &n, &[]]).unwrap();
    assert!(row.vertical_north.is_some() && row.north_east.is_none() && row.vertical_east.is_none());
    // A dead divisor makes no ratio, a dead dividend makes one of zero.
    let dead = vec![Some(0.0); 288];
    let row = component_ratios("i", day_start(), components, &energy, [&z, &dead, &n]).unwrap();
    assert_eq!((row.vertical_north, row.north_east), (None, Some(0.0)));
    assert_eq!(component_ratios("i", day_start(), components, &energy, [&z, &[], &[]]), None);
}

#[test]
fn components_are_found_by_their_codes() {
    let codes = |text: &str| Components::of(&text.chars().collect::<Vec<_>>()).map(|found| found.codes);
    assert_eq!(codes("ENZ"), Some(['Z', 'N', 'E']));
    assert_eq!(codes("Z21"), Some(['Z', '1', '2']));
    assert_eq!(codes("ZE"), Some(['Z', 'N', 'E']));
    assert_eq!(codes("ZNE12"), Some(['Z', 'N', 'E']));
    assert_eq!(codes("Z"), None);
    assert_eq!(codes("UVW"), None);
}

#[test]
fn a_band_above_half_the_rate_is_refused() {
    assert!(BandEnergy::new(RatioSettings::default(), 1.0).is_err());
}

#[test]
fn a_grid_begins_with_the_first_sample_of_the_day() {
    // 3 ms late at 20 Hz, from the day before: ten samples are of yesterday.
    let start_ns = day().start_ns - 500_000_000 + 3_000_000;
    let piece = Piece::new(start_ns, start_ns + 29 * 50_000_000, RATE_HZ, 30).unwrap();
    let mut grid = DayGrid::new(day(), RATE_HZ).unwrap();
    grid.place(piece, &(0..30).collect::<Vec<i32>>());
    let values = grid.values();
    assert_eq!(values.len(), 1_728_000);
    assert_eq!((values[0], values[19]), (10.0, 29.0));
    assert!(values[20].is_nan());
    assert!(DayGrid::new(day(), 1001.0).is_none() && DayGrid::new(day(), 0.0).is_none());
}
