//! Predictions from a save alone: neither the pictures that it was trained on nor the training are needed.

use super::Pictures;
use super::augment::Standard;
use super::resnet::Resnet;
use super::training::Config;
use crate::agent::{AgentError, Saved};
use crate::supervised::calibration::Calibration;
use agon_core::settings::Settings;
use serde_json::{Map, Value};
use tch::Device;

/// A trained network with all that it needs to predict.
pub struct Predictor {
    /// Height, width and channels of the pictures that it reads.
    pub size: [usize; 3],
    /// The classes in the order of their numbers.
    pub classes: Vec<String>,
    net: Resnet,
    standard: Standard,
    calibration: Calibration,
}

impl Predictor {
    /// From a save.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where the save is of another model, or damaged.
    pub fn load(settings: &Map<String, Value>, saved: &Saved) -> Result<Self, AgentError> {
        let config = Config::read(settings).map_err(AgentError::Settings)?;
        let (size, classes): ([usize; 3], Vec<String>) = (saved.part("size")?, saved.part("classes")?);
        let (standard, calibration): (Standard, Calibration) = (saved.part("standard")?, saved.part("calibration")?);
        if ![1, 3].contains(&size[2]) || size.contains(&0) || standard.mean.len() != size[2] || classes.len() < 2 {
            return Err(AgentError::Checkpoint("it is of no model of pictures".into()));
        }
        let mut net = Resnet::new(0, size[2], &config.widths, config.blocks, classes.len(), Device::Cpu);
        net.load(saved)?;
        Ok(Self { size, classes, net, standard, calibration })
    }

    /// Probabilities `[pictures, classes]`.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the pictures have another size than those of training.
    pub fn predict(&self, pictures: &Pictures) -> Result<Vec<f64>, AgentError> {
        if pictures.size != self.size {
            return Err(AgentError::Data(format!(
                "pictures of height, width and channels {:?}, and training had {:?}",
                pictures.size, self.size
            )));
        }
        let all: Vec<usize> = (0..pictures.len()).collect();
        Ok(self.calibration.probabilities(self.net.judge(&self.standard, pictures, &all), self.classes.len()))
    }
}
