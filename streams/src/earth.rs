//! The earth as stages know it.

use std::sync::Arc;

use seislake_seismo::travel_time::{ModelError, TravelTime, VelocityModel, default_table};
use serde::{Deserialize, Serialize};

/// A velocity model and its travel times.
#[derive(Clone, Debug)]
pub struct Earth {
    model: VelocityModel,
    /// Travel times in it.
    pub travel_time: Arc<dyn TravelTime>,
}

impl Earth {
    /// The earth of a model.
    ///
    /// # Errors
    /// A model that cannot be used.
    pub fn new(model: VelocityModel) -> Result<Self, ModelError> {
        let travel_time = Arc::new(default_table(&model.layers()?));
        Ok(Self { model, travel_time })
    }

    /// The earth of a checkpoint's model: replayed, a stage says what it said in it. One that cannot be used any more
    /// gives way to this one, with a line in the log.
    fn of(&self, model: VelocityModel) -> Self {
        if model == self.model {
            return self.clone();
        }
        let name = model.name.clone();
        Self::new(model).unwrap_or_else(|error| {
            let error = error.to_string();
            tracing::warn!(
                name,
                error,
                "the velocity model of a checkpoint cannot be used: going on with that of now"
            );
            self.clone()
        })
    }
}

/// What a user sets of a stage that knows the earth: kept with its state, the model as its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InEarth<S> {
    settings: S,
    velocity_model: VelocityModel,
}

impl<S> InEarth<S> {
    pub(crate) fn new(settings: S, earth: &Earth) -> Self {
        Self { settings, velocity_model: earth.model.clone() }
    }

    /// The settings, and the earth that they held in; `now` is that of now.
    pub(crate) fn apart(self, now: &Earth) -> (S, Earth) {
        (self.settings, now.of(self.velocity_model))
    }
}
