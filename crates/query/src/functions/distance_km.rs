//! `distance_km(latitude, longitude, to_latitude, to_longitude)`: geodesic distance on the WGS84 ellipsoid.
//!
//! The same function as the locator's: [`seislake_seismo::geometry::distance_azimuth`]. Null where an argument is null.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use seislake_seismo::geometry::distance_azimuth;

const ARGUMENT_COUNT: usize = 4;

pub(super) fn function() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Float64; ARGUMENT_COUNT], Volatility::Immutable);
    ScalarUDF::new_from_impl(DistanceKm { signature, documentation: documentation() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DistanceKm {
    signature: Signature,
    documentation: Documentation,
}

fn documentation() -> Documentation {
    let section = DocSection { include: true, label: "Geographic Functions", description: None };
    let doc = "Geodesic distance on the WGS84 ellipsoid, km.";
    let syntax = "distance_km(latitude, longitude, to_latitude, to_longitude)";
    Documentation::builder(section, doc, syntax)
        .with_sql_example("distance_km(64.0, -17.0, 64.1, -17.2)")
        .with_argument("latitude", "Degrees north.")
        .with_argument("longitude", "Degrees east.")
        .with_argument("to_latitude", "Degrees north.")
        .with_argument("to_longitude", "Degrees east.")
        .build()
}

impl ScalarUDFImpl for DistanceKm {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "distance_km"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let columns: Vec<&Float64Array> =
            arrays.iter().map(|array| array.as_primitive::<Float64Type>()).collect();
        let [latitude, longitude, to_latitude, to_longitude] = columns[..] else {
            return datafusion::common::exec_err!("distance_km takes {ARGUMENT_COUNT} arguments");
        };
        let from = latitude.iter().zip(longitude);
        let to = to_latitude.iter().zip(to_longitude);
        let distances = from.zip(to).map(|((latitude, longitude), (to_latitude, to_longitude))| {
            Some(distance_azimuth(latitude?, longitude?, to_latitude?, to_longitude?).0)
        });
        Ok(ColumnarValue::Array(Arc::new(distances.collect::<Float64Array>())))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
