//! What a station or channel must keep to be of use: codes that can be ids, finite numbers in their ranges, an epoch that
//! does not end before it begins.
//!
//! Readers of formats ask before they hand anything on, writers of tables before they write, and readers of tables before
//! they believe a row: one set of rules at every door.

use std::ops::RangeInclusive;

use super::{Channel, Response, Station};
use crate::source_id::check_station;
use crate::{CodeError, Timestamp};

/// Surface of the earth, with room: the deepest trench lies at -11 km, the highest top at 9 km.
const ELEVATIONS_M: RangeInclusive<f64> = -12_000.0..=12_000.0;
/// Boreholes reach 12 km; sensors on towers have negative depths.
const DEPTHS_M: RangeInclusive<f64> = -12_000.0..=12_000.0;
/// A turn either way: some write directions west of north as negative.
const AZIMUTHS: RangeInclusive<f64> = -360.0..=360.0;
const DIPS: RangeInclusive<f64> = -90.0..=90.0;
/// From one sample in three years to what no digitizer reaches.
const SAMPLE_RATES_HZ: RangeInclusive<f64> = 1e-8..=1e7;
/// Counts per unit, of either sign: real ones lie between 1e-6 (Pa) and 1e15 (nm).
const SENSITIVITIES: RangeInclusive<f64> = 1e-30..=1e30;

/// Why a station or channel cannot be kept: one sentence that names it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InventoryError {
    /// A code that no id may hold.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A number that is not finite, or out of its range.
    #[error("\"{name}\": the {what} is {value}; it must be between {least} and {most}")]
    Number {
        /// Station or channel.
        name: String,
        /// Meaning of the number, with its unit.
        what: &'static str,
        /// The number.
        value: f64,
        /// Least value allowed.
        least: f64,
        /// Greatest value allowed.
        most: f64,
    },
    /// An epoch that holds no moment.
    #[error("\"{name}\": its epoch ends at {end}, before it begins at {start}")]
    Epoch {
        /// Station or channel.
        name: String,
        /// Begin.
        start: Timestamp,
        /// End.
        end: Timestamp,
    },
}

/// Numbers of one station or channel.
struct Numbers<'a>(&'a str);

impl Numbers<'_> {
    fn within(
        &self,
        what: &'static str,
        value: f64,
        range: &RangeInclusive<f64>,
    ) -> Result<(), InventoryError> {
        if range.contains(&value) {
            return Ok(());
        }
        let (least, most) = (*range.start(), *range.end());
        Err(InventoryError::Number { name: self.0.to_owned(), what, value, least, most })
    }

    fn place(&self, latitude: f64, longitude: f64, elevation_m: f64) -> Result<(), InventoryError> {
        self.within("latitude", latitude, &(-90.0..=90.0))?;
        self.within("longitude", longitude, &(-180.0..=180.0))?;
        self.within("elevation in m", elevation_m, &ELEVATIONS_M)
    }

    fn epoch(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> Result<(), InventoryError> {
        match (start, end) {
            (Some(start), Some(end)) if end < start => {
                Err(InventoryError::Epoch { name: self.0.to_owned(), start, end })
            }
            _ => Ok(()),
        }
    }

    fn response(&self, response: &Response) -> Result<(), InventoryError> {
        self.within("sensitivity", response.sensitivity.abs(), &SENSITIVITIES)?;
        let frequency_hz = response.sensitivity_frequency_hz;
        self.within("frequency of the sensitivity in Hz", frequency_hz, &(0.0..=*SAMPLE_RATES_HZ.end()))?;
        let Some(stage) = &response.poles_zeros else { return Ok(()) };
        let finite = f64::MIN..=f64::MAX;
        self.within("normalization factor", stage.normalization_factor, &finite)?;
        for (real, imaginary) in stage.poles.iter().chain(&stage.zeros) {
            self.within("real part of a pole or zero", *real, &finite)?;
            self.within("imaginary part of a pole or zero", *imaginary, &finite)?;
        }
        Ok(())
    }
}

impl Station {
    /// Whether the station can be kept. A blank network code is taken: it stands for any.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), InventoryError> {
        check_station(&self.network, &self.station)?;
        self.check_numbers()
    }

    /// What a row of a table must keep to be believed: places, and an epoch. Codes may be those of older builds.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_numbers(&self) -> Result<(), InventoryError> {
        let name = format!("{}.{}", self.network, self.station);
        let numbers = Numbers(&name);
        numbers.place(self.latitude, self.longitude, self.elevation_m)?;
        numbers.epoch(self.start_time, self.end_time)
    }
}

impl Channel {
    /// Whether the channel can be kept.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), InventoryError> {
        self.source_id.check_listed()?;
        self.check_numbers()
    }

    /// What a row of a table must keep to be believed: see [`Station::check_numbers`].
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_numbers(&self) -> Result<(), InventoryError> {
        let numbers = Numbers(self.source_id.as_str());
        numbers.place(self.latitude, self.longitude, self.elevation_m)?;
        numbers.within("depth in m", self.depth_m, &DEPTHS_M)?;
        for (what, value, range) in [
            ("azimuth", self.azimuth, &AZIMUTHS),
            ("dip", self.dip, &DIPS),
            ("sample rate in Hz", self.sample_rate_hz, &SAMPLE_RATES_HZ),
        ] {
            value.map_or(Ok(()), |value| numbers.within(what, value, range))?;
        }
        numbers.epoch(self.start_time, self.end_time)?;
        self.response.as_ref().map_or(Ok(()), |response| numbers.response(response))
    }
}
