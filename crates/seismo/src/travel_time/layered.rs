//! Earth models in which velocity depends on depth alone, in layers or with gradients: read from CSV or built in.

use seislake_model::Phase;

use super::reference;

/// Layers a model may have: far more than any published one, and a bound on what a file can make us compute.
const LAYER_COUNT_MAX: usize = 1000;

/// A layer of constant velocities, from its top down to the top of the next one; the last is a half-space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// Top, below sea level; negative above it.
    pub top_depth_km: f64,
    /// P velocity.
    pub vp_km_s: f64,
    /// S velocity.
    pub vs_km_s: f64,
}

/// Whether distances run on a plane (local models) or on a sphere of radius 6371 km (global models).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curvature {
    /// A plane: what local velocity models are made for.
    Flat,
    /// A sphere, solved through the earth-flattening transform.
    Spherical,
}

/// What a velocity model says about the depths between its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// The velocity of a line holds from its depth down to the next: layers.
    Constant,
    /// Velocities change linearly from line to line; two lines of one depth are a step.
    Linear,
}

/// Velocity as a function of depth alone.
#[derive(Clone, Debug, PartialEq)]
pub struct LayeredModel {
    name: String,
    /// Velocities at depths, linear in between; two nodes at one depth are a discontinuity.
    nodes: Vec<Layer>,
    curvature: Curvature,
}

/// A velocity model that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// No text, and a name that is none of the built-in models.
    #[error("there is no built-in velocity model \"{0}\"")]
    Unknown(String),
    /// The header does not name the three columns.
    #[error(
        "velocity model \"{model}\", line {line}: header \"{header}\" must name the columns Depth (or Top), Vp and Vs \
         (km, km/s and km/s; other units are not guessed)"
    )]
    Header {
        /// Name of the model.
        model: String,
        /// Line, from 1.
        line: usize,
        /// The header as it stands.
        header: String,
    },
    /// A cell is missing or is no number.
    #[error(
        "velocity model \"{model}\", line {line}: column {column} holds \"{text}\", which is not a number"
    )]
    Number {
        /// Name of the model.
        model: String,
        /// Line, from 1.
        line: usize,
        /// Column as named in the header.
        column: &'static str,
        /// The cell.
        text: String,
    },
    /// A value that no rock has, or depths out of order.
    #[error("velocity model \"{model}\", line {line}: {what}")]
    Value {
        /// Name of the model.
        model: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// No layers, or more than can be handled.
    #[error("velocity model \"{model}\" has {count} layers; between 1 and 1000 are possible")]
    LayerCount {
        /// Name of the model.
        model: String,
        /// Layers found.
        count: usize,
    },
}

impl LayeredModel {
    /// A flat model of constant layers, top first. `depth` counts from sea level, so tops may be negative.
    /// Above the first top its velocities continue.
    pub fn new(name: &str, layers: &[Layer]) -> Result<Self, ModelError> {
        let numbered: Vec<(usize, Layer)> =
            layers.iter().copied().enumerate().map(|(i, l)| (i + 1, l)).collect();
        Self::from_numbered(name, &numbered, Between::Constant)
    }

    /// Reads a CSV with a header line naming three columns in any order and case (others are ignored): depth in km below
    /// sea level (negative above), `Vp` and `Vs` in km/s. Above the first line and below the last the velocities go on.
    ///
    /// The name of the depth column says what holds between the lines. `Depth`: velocities *at* these depths, linear in
    /// between, as QuakeMigrate and others take this format unless told otherwise. `Top`: tops of constant layers.
    ///
    /// Empty lines and lines beginning with `#` are skipped. Units in the header are refused, not guessed, except the
    /// ones meant: `Depth (km)`, `Depth_km`, `Vp (km/s)`, `vp_km_s`.
    pub fn parse(name: &str, csv_text: &str) -> Result<Self, ModelError> {
        Self::read(name, csv_text, None)
    }

    /// The same, where the caller knows what holds between the lines whatever the depth column is called.
    pub fn parse_as(name: &str, csv_text: &str, between: Between) -> Result<Self, ModelError> {
        Self::read(name, csv_text, Some(between))
    }

    fn read(name: &str, csv_text: &str, between: Option<Between>) -> Result<Self, ModelError> {
        let mut lines = csv_text
            .trim_start_matches('\u{feff}')
            .lines()
            .enumerate()
            .map(|(index, text)| (index + 1, text.trim()))
            .filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let (line, header) = lines.next().unwrap_or((1, ""));
        let (columns, named) = columns_of(header).ok_or_else(|| ModelError::Header {
            model: name.to_owned(),
            line,
            header: header.chars().take(80).collect(),
        })?;
        let mut layers = Vec::new();
        for (line, text) in lines {
            let cells: Vec<&str> = text.split(',').map(str::trim).collect();
            let number = |(index, column): (usize, &'static str)| {
                let cell = cells.get(index).copied().unwrap_or("");
                cell.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| ModelError::Number {
                    model: name.to_owned(),
                    line,
                    column,
                    text: cell.chars().take(40).collect(),
                })
            };
            let layer = Layer {
                top_depth_km: number((columns[0], "Depth"))?,
                vp_km_s: number((columns[1], "Vp"))?,
                vs_km_s: number((columns[2], "Vs"))?,
            };
            layers.push((line, layer));
        }
        Self::from_numbered(name, &layers, between.unwrap_or(named))
    }

    fn from_numbered(name: &str, layers: &[(usize, Layer)], between: Between) -> Result<Self, ModelError> {
        if layers.is_empty() || layers.len() > LAYER_COUNT_MAX {
            return Err(ModelError::LayerCount { model: name.to_owned(), count: layers.len() });
        }
        let mut nodes: Vec<Layer> = Vec::with_capacity(2 * layers.len());
        for (line, layer) in layers {
            if let Some(what) = complaint(layer, &nodes, between) {
                return Err(ModelError::Value { model: name.to_owned(), line: *line, what });
            }
            if between == Between::Constant
                && let Some(above) = nodes.last().copied()
            {
                nodes.push(Layer { top_depth_km: layer.top_depth_km, ..above });
            }
            nodes.push(*layer);
        }
        Ok(Self { name: name.to_owned(), nodes, curvature: Curvature::Flat })
    }

    /// IASP91 (Kennett and Engdahl 1991), surface to 1057 km: first arrivals to about 25 degrees.
    pub fn iasp91() -> Self {
        Self::reference("iasp91", &reference::IASP91)
    }

    /// AK135 (Kennett, Engdahl and Buland 1995), continental, surface to 1057 km: first arrivals to about 25 degrees.
    pub fn ak135() -> Self {
        Self::reference("ak135", &reference::AK135)
    }

    fn reference(name: &str, table: &[[f64; 3]]) -> Self {
        let nodes = table
            .iter()
            .map(|&[top_depth_km, vp_km_s, vs_km_s]| Layer { top_depth_km, vp_km_s, vs_km_s })
            .collect();
        Self { name: name.to_owned(), nodes, curvature: Curvature::Spherical }
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Plane or sphere.
    pub const fn curvature(&self) -> Curvature {
        self.curvature
    }

    /// Depths at which the velocity or its gradient changes, ascending.
    pub fn boundaries_km(&self) -> Vec<f64> {
        let mut depths: Vec<f64> = self.nodes.iter().map(|node| node.top_depth_km).collect();
        depths.dedup();
        depths
    }

    /// Velocities just above and just below a depth, km/s. Beyond both ends the end values continue.
    pub fn velocities_km_s(&self, phase: Phase, depth_km: f64) -> (f64, f64) {
        let velocity = |node: &Layer| match phase {
            Phase::P => node.vp_km_s,
            Phase::S => node.vs_km_s,
        };
        let at = self.nodes.partition_point(|node| node.top_depth_km < depth_km);
        let below = self.nodes.partition_point(|node| node.top_depth_km <= depth_km);
        if at < below {
            // The depth is that of one or two nodes: the first ends what lies above, the last begins what lies below.
            return (velocity(&self.nodes[at]), velocity(&self.nodes[below - 1]));
        }
        let value = match (at.checked_sub(1).map(|above| &self.nodes[above]), self.nodes.get(at)) {
            (Some(upper), Some(lower)) => {
                let share = (depth_km - upper.top_depth_km) / (lower.top_depth_km - upper.top_depth_km);
                velocity(upper) + share * (velocity(lower) - velocity(upper))
            }
            (Some(end), None) | (None, Some(end)) => velocity(end),
            (None, None) => f64::NAN,
        };
        (value, value)
    }
}

/// Positions of depth, Vp and Vs in the header, and what the name of the first says.
fn columns_of(header: &str) -> Option<([usize; 3], Between)> {
    let position = |names: &[&str]| {
        let mut found = header
            .split(',')
            .enumerate()
            .filter(|(_, cell)| names.contains(&cell.trim().trim_matches('"').to_ascii_lowercase().as_str()))
            .map(|(index, _)| index);
        found.next().filter(|_| found.next().is_none())
    };
    let depth = position(&["depth", "depth_km", "depth (km)"]).map(|column| (column, Between::Linear));
    let top = position(&["top", "top_km", "top (km)"]).map(|column| (column, Between::Constant));
    let (depth, between) = depth.xor(top)?;
    let vp = position(&["vp", "vp_km_s", "vp (km/s)"])?;
    Some(([depth, vp, position(&["vs", "vs_km_s", "vs (km/s)"])?], between))
}

/// What is wrong with `layer` under the ones before it, if anything.
fn complaint(layer: &Layer, nodes: &[Layer], between: Between) -> Option<String> {
    let Layer { top_depth_km, vp_km_s, vs_km_s } = *layer;
    if !(-100.0..=6000.0).contains(&top_depth_km) {
        return Some(format!("depth {top_depth_km} is outside -100 to 6000 km; is it in metres?"));
    }
    if !(0.05..=15.0).contains(&vp_km_s) {
        return Some(format!("Vp {vp_km_s} is outside 0.05 to 15 km/s; is it in m/s?"));
    }
    if !(0.02..=15.0).contains(&vs_km_s) || vs_km_s >= vp_km_s {
        return Some(format!("Vs {vs_km_s} must lie between 0.02 km/s and Vp {vp_km_s}"));
    }
    let above = nodes.last()?;
    let step = between == Between::Linear
        && top_depth_km == above.top_depth_km
        && nodes.iter().rev().nth(1).is_none_or(|second| second.top_depth_km < top_depth_km);
    (top_depth_km <= above.top_depth_km && !step)
        .then(|| format!("depth {top_depth_km} does not lie below the {} before it", above.top_depth_km))
}
