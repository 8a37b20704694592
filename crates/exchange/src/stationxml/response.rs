//! What the model holds of a response: overall sensitivity and the first analogue stage of poles and zeros, where they tell
//! it; else why they do not.

use std::f64::consts::TAU;
use std::sync::Arc;

use seislake_model::{InputUnit, PolesZeros, Response};

use super::original::{Sensitivity, element_of, text_of};
use crate::excerpt;
use crate::xml::{Element, number};

/// Normalisation factors are kept where the response at the sensitivity's frequency is one within this share.
const NORMALISATION_TOLERANCE: f64 = 0.01;

/// Why the response of a channel is none to the model, and so is not used for magnitudes; `None` where it is one.
/// `response_original` is the `<Response>` element, as a channel keeps it.
pub fn response_problem(response_original: Option<&str>) -> Option<String> {
    match response_original.and_then(element_of) {
        Some(element) => response(&element).err(),
        None => Some("the station files have no response of it".to_owned()),
    }
}

/// Sensitivity and first analogue poles-and-zeros stage.
///
/// # Errors
/// One sentence where the input is no ground motion, or where they do not tell the response.
pub(super) fn response(element: &Element) -> Result<Response, String> {
    for (index, stage) in element.children("Stage").enumerate() {
        if let Some(what) = beyond_the_model(stage) {
            let own = stage.attribute("number").map(excerpt);
            let number = own.unwrap_or_else(|| (index + 1).to_string());
            return Err(format!("stage {number} of its response {what}"));
        }
    }
    let total = element.child("InstrumentSensitivity");
    let first_stage = element.children("Stage").find_map(|stage| {
        let names = ["PolesZeros", "Coefficients", "FIR", "ResponseList", "Polynomial"];
        names.iter().find_map(|name| stage.text_of(&[name, "InputUnits", "Name"]))
    });
    let unit = total.and_then(|total| total.text_of(&["InputUnits", "Name"])).or(first_stage);
    let unit = unit.ok_or("its response does not say the unit of its input")?;
    let (input_unit, units_per_si) = input_unit(unit)
        .ok_or_else(|| format!("the input of its response, \"{}\", is no ground motion", excerpt(unit)))?;
    let positive = |value: &f64| *value != 0.0;
    let sensitivity = total
        .and_then(|total| total.number(&["Value"]))
        .filter(positive)
        .or_else(|| stage_gains(element))
        .filter(positive)
        .ok_or("its response states neither a sensitivity nor gains of stages")?;
    let sensitivity_frequency_hz = total
        .and_then(|total| total.number(&["Frequency"]))
        .or_else(|| element.child("Stage")?.number(&["StageGain", "Frequency"]))
        .unwrap_or(1.0);
    let poles_zeros =
        element.children("Stage").filter_map(|stage| stage.child("PolesZeros")).find_map(poles_zeros);
    Ok(Response {
        sensitivity: sensitivity * units_per_si,
        sensitivity_frequency_hz,
        input_unit,
        poles_zeros: poles_zeros.map(|stage| normalised(stage, sensitivity_frequency_hz)),
    })
}

/// What a stage is that sensitivity and poles and zeros do not tell; digital filters are one in their pass band.
fn beyond_the_model(stage: &Element) -> Option<String> {
    if stage.child("ResponseList").is_some() {
        return Some("is a list of values, not poles and zeros".to_owned());
    }
    if stage.child("Polynomial").is_some() {
        return Some("is a polynomial".to_owned());
    }
    let coefficients =
        stage.child("Coefficients").and_then(|filter| filter.text_of(&["CfTransferFunctionType"]));
    if let Some(kind) = coefficients.filter(|kind| !kind.eq_ignore_ascii_case("DIGITAL")) {
        return Some(format!("has coefficients of type \"{}\"; only digital ones are read", excerpt(kind)));
    }
    let filter = stage.child("PolesZeros")?;
    let first = stage.attribute("number").is_none_or(|number| number.trim() == "1");
    match filter.text_of(&["PzTransferFunctionType"]) {
        Some("DIGITAL (Z-TRANSFORM)") if first => {
            Some("is a digital filter, where the sensor should stand".to_owned())
        }
        Some("DIGITAL (Z-TRANSFORM)") => None,
        kind if poles_zeros(filter).is_none() => Some(format!(
            "has poles and zeros of type \"{}\" that cannot be read",
            excerpt(kind.unwrap_or("LAPLACE (RADIANS/SECOND)"))
        )),
        _ => None,
    }
}

fn stage_gains(element: &Element) -> Option<f64> {
    let gains: Vec<f64> =
        element.children("Stage").filter_map(|stage| stage.number(&["StageGain", "Value"])).collect();
    (!gains.is_empty()).then(|| gains.iter().product())
}

/// Physical quantity of a unit's name, and how many of the unit make one SI unit.
pub(super) fn input_unit(name: &str) -> Option<(InputUnit, f64)> {
    let name = name.trim().to_ascii_lowercase().replace(' ', "");
    let (length, rest) = name.split_once('/').unwrap_or((&name, ""));
    let units_per_si = match length {
        "m" | "meter" | "meters" => 1.0,
        "cm" => 1e2,
        "mm" => 1e3,
        "um" => 1e6,
        "nm" => 1e9,
        _ => return None,
    };
    let unit = match rest {
        "" => InputUnit::Displacement,
        "s" | "sec" | "second" => InputUnit::Velocity,
        "s**2" | "s^2" | "s/s" | "(s**2)" | "(s^2)" | "s2" | "sec**2" | "sec/sec" => InputUnit::Acceleration,
        _ => return None,
    };
    Some((unit, units_per_si))
}

/// The analogue stage in rad/s; `None` for digital ones.
fn poles_zeros(element: &Element) -> Option<PolesZeros> {
    let kind = element.text_of(&["PzTransferFunctionType"]).unwrap_or("LAPLACE (RADIANS/SECOND)");
    let scale = match kind {
        "LAPLACE (RADIANS/SECOND)" => 1.0,
        "LAPLACE (HERTZ)" => TAU,
        _ => return None,
    };
    let scaled = |name| -> Option<Vec<(f64, f64)>> {
        Some(roots(element, name)?.into_iter().map(|(re, im)| (scale * re, scale * im)).collect())
    };
    let (poles, zeros) = (scaled("Pole")?, scaled("Zero")?);
    let order = poles.len() as i32 - zeros.len() as i32;
    let normalization_factor = element.number(&["NormalizationFactor"]).unwrap_or(1.0) * scale.powi(order);
    Some(PolesZeros { poles, zeros, normalization_factor })
}

/// Poles or zeros as the document has them; `None` where one is no number.
pub(super) fn roots(element: &Element, name: &str) -> Option<Vec<(f64, f64)>> {
    let complex =
        |root: &Element| Some((root.number(&["Real"])?, root.number(&["Imaginary"]).unwrap_or(0.0)));
    element.children(name).map(complex).collect()
}

/// The stage with a factor that makes it one at the frequency of the sensitivity. The factor of the document is kept
/// where it does so within a percent; it is often given for another frequency, or wrong.
fn normalised(mut stage: PolesZeros, frequency_hz: f64) -> PolesZeros {
    let omega = TAU * frequency_hz;
    let product = |roots: &[(f64, f64)]| roots.iter().map(|(re, im)| re.hypot(omega - im)).product::<f64>();
    let gain = product(&stage.zeros) / product(&stage.poles);
    let is_one = (gain * stage.normalization_factor.abs() - 1.0).abs() < NORMALISATION_TOLERANCE;
    if !is_one && gain.is_finite() && gain > 0.0 {
        stage.normalization_factor = 1.0 / gain;
    }
    stage
}

/// A response of which only the overall sensitivity is known, as text tells it: as an element that is written again in
/// every form, and what evaluation can use of it.
pub(crate) fn of_sensitivity(sensitivity: &Sensitivity) -> (Arc<str>, Option<Response>) {
    let leaf = |name: &str, text: String| Element { name: name.to_owned(), text, ..Element::default() };
    let holding = |name: &str, children: Vec<Element>| Element {
        name: name.to_owned(),
        children,
        ..Element::default()
    };
    let total = holding(
        "InstrumentSensitivity",
        vec![
            leaf("Value", number(sensitivity.value)),
            leaf("Frequency", number(sensitivity.frequency_hz)),
            holding("InputUnits", vec![leaf("Name", sensitivity.input_unit.clone())]),
            holding("OutputUnits", vec![leaf("Name", "count".to_owned())]),
        ],
    );
    let element = holding("Response", vec![total]);
    (text_of(&element), response(&element).ok())
}
