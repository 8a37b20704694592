//! A comparison for reading.

use std::fmt::{Display, Formatter, Result};

use seislake_model::CatalogueEvent;

use super::{Common, Comparison, Distribution, MatchedPair};

impl Display for Common {
    /// Lines: the time that was compared, and what of both catalogues was not.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match (self.from, self.to) {
            (Some(from), Some(to)) => writeln!(f, "compared from {from} to {to}, the time that both cover")?,
            _ => {
                writeln!(f, "there is no time that both the recordings of this home and the reference cover")?
            }
        }
        let outside = (self.reference_outside, self.catalogue_outside);
        if outside != (0, 0) {
            writeln!(
                f,
                "not compared: {} events of the reference and {} of the catalogue outside that time",
                outside.0, outside.1
            )?;
        }
        if self.reference_other > 0 {
            let count = self.reference_other;
            writeln!(
                f,
                "not compared: {count} events of the reference that are said to be no earthquakes, or were rejected"
            )?;
        }
        if self.catalogue_other > 0 {
            let count = self.catalogue_other;
            writeln!(
                f,
                "not compared: {count} events of the catalogue that the reference calls no earthquakes"
            )?;
        }
        Ok(())
    }
}

impl Display for Comparison {
    /// Lines: how many events match, how far apart they are, and those that do not.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let percent =
            |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        writeln!(
            f,
            "matched {} of {} reference events (recall {}), {} in the catalogue (precision {})",
            self.matched,
            self.reference_count,
            percent(self.recall),
            self.catalogue_count,
            percent(self.precision)
        )?;
        for (name, unit, distribution) in [
            ("origin time", "s", &self.origin_time_s),
            ("epicentre", "km", &self.epicentre_km),
            ("depth", "km", &self.depth_km),
            ("magnitude", "", &self.magnitude),
        ] {
            let Distribution { median: Some(median), p90: Some(p90), .. } = distribution else { continue };
            writeln!(f, "  {name:<12} median {median:.3} {unit}, 90 % within {p90:.3} {unit}")?;
        }
        for (title, events) in [("missed", &self.missed), ("extra", &self.extra)] {
            for event in events {
                writeln!(f, "  {title:<7} {}", line(event))?;
            }
        }
        Ok(())
    }
}

impl Display for MatchedPair {
    /// How far apart the two are, on one line.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{:+.2} s, {:.2} km", self.origin_time_s, self.epicentre_km)?;
        self.magnitude.map_or(Ok(()), |difference| write!(f, ", M {difference:+.2}"))
    }
}

/// One event on one line.
pub fn line(event: &CatalogueEvent) -> String {
    format!(
        "{}  {:8.4} {:9.4}  {:>6} km  {}",
        event.origin_time,
        event.latitude,
        event.longitude,
        event.depth_km.map_or("-".into(), |depth| format!("{depth:.1}")),
        event.magnitude.map_or("M -".into(), |magnitude| format!("M {magnitude:.1}")),
    )
}
