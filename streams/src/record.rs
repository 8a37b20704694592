//! Which miniSEED records the path can use: the gate refuses the others, and who reads the log passes over them.

use seislake_model::Timestamp;
use seislake_mseed::Record;

/// Sample times are whole nanoseconds: faster, a sample would stand more than a twentieth of its period off its time.
const RATE_HZ_MAX: f64 = 1e8;
/// A record that spans more than ten years was written by no digitizer.
const SPAN_S_MAX: f64 = 10.0 * 366.0 * 86_400.0;
/// The years that records can tell begin and end here (1900 to 2100); a clock beyond shows nothing.
const ARRIVAL_MIN: Timestamp = Timestamp::from_nanos(-2_208_988_800_000_000_000);
const ARRIVAL_MAX: Timestamp = Timestamp::from_nanos(4_133_980_800_000_000_000);

/// Why the times of a record's samples cannot be told; `Ok` for records without samples.
pub(crate) fn check_times(header: &Record<'_>) -> Result<(), String> {
    if header.sample_count == 0 || header.encoding.sample_type().is_none() {
        return Ok(());
    }
    let (count, rate_hz) = (header.sample_count, header.rate_hz());
    if !rate_hz.is_finite() || rate_hz <= 0.0 {
        return Err(format!("{count} samples at a rate of {rate_hz} Hz have no times"));
    }
    if rate_hz > RATE_HZ_MAX {
        return Err(format!("the rate of {rate_hz} Hz is beyond {RATE_HZ_MAX} Hz"));
    }
    let span_s = f64::from(count - 1) / rate_hz;
    if span_s > SPAN_S_MAX {
        return Err(format!(
            "{count} samples at {rate_hz} Hz would last {span_s:.0} s, longer than ten years"
        ));
    }
    Ok(())
}

/// The time of arrival, where the clock that told it can be believed.
pub(crate) fn believed_arrival(arrival_time: Option<Timestamp>) -> Option<Timestamp> {
    arrival_time.filter(|time| (ARRIVAL_MIN..=ARRIVAL_MAX).contains(time))
}
