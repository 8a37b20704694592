//! All stages of a response, as evaluation needs them.

use seislake_model::{
    Decimation, ListElement, Plane, ResponseStage, ResponseStages, StageFilter, StageGain, Symmetry,
    TotalSensitivity,
};

use super::original::element_of;
use super::response::{input_unit, roots};
use crate::xml::Element;

/// Stages that a response may have: real ones have a dozen.
const STAGES_MAX: usize = 100;

/// Reads the stages of a `<Response>` element, as column `response_stationxml` of `network.channels` holds it.
///
/// # Errors
/// One sentence where it is no such element, has no stages, its input is no ground motion, or a stage lacks a number.
pub fn response_stages(response_original: &str) -> Result<ResponseStages, String> {
    let element = element_of(response_original).filter(|element| element.name == "Response");
    let element = element.ok_or("the text is no <Response> element of StationXML")?;
    let total = element.child("InstrumentSensitivity");
    let mut stages = Vec::new();
    for (index, stage) in element.children("Stage").enumerate() {
        if index == STAGES_MAX {
            return Err(format!("the response has more than {STAGES_MAX} stages"));
        }
        let number = stage.attribute("number").and_then(|text| text.trim().parse().ok());
        stages.push((number.unwrap_or(index as u32 + 1), stage));
    }
    stages.sort_by_key(|(number, _)| *number);
    if stages.is_empty() {
        return Err("the response has no stages".to_owned());
    }
    let unit = stages
        .first()
        .and_then(|(_, stage)| FILTERS.iter().find_map(|name| stage.text_of(&[name, "InputUnits", "Name"])))
        .or_else(|| total.and_then(|total| total.text_of(&["InputUnits", "Name"])))
        .ok_or("the response does not say the unit of its input")?;
    let (input_unit, input_units_per_si) = input_unit(unit)
        .ok_or_else(|| format!("the input of the response, \"{unit}\", is no ground motion"))?;
    let total = total.and_then(|total| {
        Some(TotalSensitivity {
            value: total.number(&["Value"])?,
            frequency_hz: total.number(&["Frequency"])?,
        })
    });
    let stages = stages.into_iter().map(|(number, stage)| {
        read_stage(number, stage).map_err(|what| format!("stage {number} of the response {what}"))
    });
    let stages = stages.collect::<Result<_, _>>()?;
    Ok(ResponseStages { input_unit, input_units_per_si, total, stages })
}

/// Elements that hold a filter.
const FILTERS: [&str; 5] = ["PolesZeros", "Coefficients", "FIR", "ResponseList", "Polynomial"];

fn read_stage(number: u32, stage: &Element) -> Result<ResponseStage, String> {
    let mut found = FILTERS.iter().filter_map(|name| stage.child(name));
    let filter = found.next().map_or(Ok(StageFilter::Flat), filter)?;
    if found.next().is_some() {
        return Err("has two filters".to_owned());
    }
    let gain = stage.child("StageGain").map(|gain| {
        let value = gain.number(&["Value"]).ok_or("has a gain without a value")?;
        Ok::<_, String>(StageGain { value, frequency_hz: gain.number(&["Frequency"]).unwrap_or(0.0) })
    });
    let decimation = stage.child("Decimation").map(|element| {
        let number = |name: &str| element.number(&[name]);
        let input_rate_hz = number("InputSampleRate").ok_or("has a decimation without an input rate")?;
        Ok::<_, String>(Decimation {
            input_rate_hz,
            factor: number("Factor").map_or(1, |factor| factor as u32),
            delay_s: number("Delay").unwrap_or(0.0),
            correction_s: number("Correction").unwrap_or(0.0),
        })
    });
    Ok(ResponseStage { number, filter, gain: gain.transpose()?, decimation: decimation.transpose()? })
}

fn filter(element: &Element) -> Result<StageFilter, String> {
    match element.name.as_str() {
        "PolesZeros" => poles_zeros(element),
        "Coefficients" => {
            let kind = element.text_of(&["CfTransferFunctionType"]).unwrap_or("DIGITAL");
            if !kind.eq_ignore_ascii_case("DIGITAL") {
                return Err(format!(
                    "has coefficients of type \"{kind}\"; only digital ones can be evaluated"
                ));
            }
            let (numerators, denominators) =
                (numbers(element, "Numerator")?, numbers(element, "Denominator")?);
            Ok(StageFilter::Coefficients { numerators, denominators })
        }
        "FIR" => {
            let symmetry = match element.text_of(&["Symmetry"]).unwrap_or("NONE") {
                "NONE" => Symmetry::None,
                "ODD" => Symmetry::Odd,
                "EVEN" => Symmetry::Even,
                other => return Err(format!("has the symmetry \"{other}\"")),
            };
            Ok(StageFilter::Fir { coefficients: numbers(element, "NumeratorCoefficient")?, symmetry })
        }
        "ResponseList" => {
            let row = |row: &Element| {
                let number = |name: &str| row.number(&[name]);
                Some(ListElement {
                    frequency_hz: number("Frequency")?,
                    amplitude: number("Amplitude")?,
                    phase: number("Phase")?,
                })
            };
            let rows: Option<Vec<ListElement>> = element.children("ResponseListElement").map(row).collect();
            rows.map(StageFilter::List).ok_or_else(|| "has an incomplete row in its list".to_owned())
        }
        _ => Ok(StageFilter::Polynomial(numbers(element, "Coefficient")?)),
    }
}

fn poles_zeros(element: &Element) -> Result<StageFilter, String> {
    let plane = match element.text_of(&["PzTransferFunctionType"]).unwrap_or("LAPLACE (RADIANS/SECOND)") {
        "LAPLACE (RADIANS/SECOND)" => Plane::RadiansPerSecond,
        "LAPLACE (HERTZ)" => Plane::Hertz,
        "DIGITAL (Z-TRANSFORM)" => Plane::Z,
        other => return Err(format!("has poles and zeros of type \"{other}\"")),
    };
    let unreadable = || "has a pole or zero that is no number".to_owned();
    Ok(StageFilter::PolesZeros {
        plane,
        poles: roots(element, "Pole").ok_or_else(unreadable)?,
        zeros: roots(element, "Zero").ok_or_else(unreadable)?,
        normalization_factor: element.number(&["NormalizationFactor"]).unwrap_or(1.0),
        normalization_frequency_hz: element.number(&["NormalizationFrequency"]).unwrap_or(0.0),
    })
}

/// Numbers of the children of a name, in their order.
fn numbers(element: &Element, name: &'static str) -> Result<Vec<f64>, String> {
    let number = |child: &Element| child.text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    let all: Option<Vec<f64>> = element.children(name).map(number).collect();
    all.ok_or_else(|| format!("has a <{name}> that is no number"))
}
