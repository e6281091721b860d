//! Differentially private gradient descent (Abadi et al. 2016): each step takes every row with the same small probability,
//! clips each row's gradient to a greatest norm, adds Gaussian noise to their sum, and descends. What is spent is accounted
//! for by [`super::accountant`]. A step of the run is as many such steps as take every row once on average.
//!
//! Nothing is chosen by the validation part: the newest weights answer.

use super::accountant;
use super::dense_net::{DenseNet, Passes};
use super::family::NetPlan;
use super::{Examples, Learner, Predict, Shape, mixed};
use crate::agent::{AgentError, Saved, Stop, all_finite, go_on};
use crate::bridge::{host_slice, host_view};
use crate::data::encode::Matrix;
use crate::net::Params;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use serde_json::{Value, json};

agon_core::settings! {
    /// Differentially private training: the trained weights say at most so much of any one row of the training part.
    pub struct PrivacySettings {
        /// The ε that the whole run may spend; the noise follows from it. Either this or noise_multiplier.
        epsilon: Option<f64> = None, in [0.01, 1000.0];
        /// The deviation of the noise, in units of max_grad_norm.
        noise_multiplier: Option<f64> = None, in [0.05, 1e6];
        /// The norm that each row's gradient is clipped to.
        max_grad_norm: f64 = 1.0, in [1e-6, 1e6];
        /// The δ of (ε, δ): below 1 / rows.
        delta: f64 = 1e-5, in [1e-15, 0.1];
        /// Rows of a step on average.
        minibatch: usize = 256, in [1.0, 1e7];
        /// The rate of gradient descent.
        rate: f64 = 0.5, in [1e-9, 100.0];
    }
}

/// Lanes of random numbers: which rows a step takes, and its noise.
const TAKEN: u32 = u32::MAX - 7;
const NOISE: u32 = u32::MAX - 8;
/// Rows whose gradients are worked out at once.
const TOGETHER: usize = 256;

/// A network whose training is private.
pub struct Private {
    settings: PrivacySettings,
    plan: NetPlan,
    shape: Shape,
    net: DenseNet,
    params: Params,
    epoch: u64,
    /// The probability of a row to be taken.
    sample_rate: f64,
    sigma: f64,
    /// Whether there are rows to learn from.
    learns: bool,
}

impl PrivacySettings {
    /// Checks what settings alone cannot. `rows`: those of the training part.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where they say too much or too little.
    pub fn check(&self, rows: usize) -> Result<(), AgentError> {
        let issue = |key: &str, why: String| Err(Issue::value(key, why).within("privacy").into());
        if self.epsilon.is_some() == self.noise_multiplier.is_some() {
            return issue("epsilon", "set either epsilon or noise_multiplier".into());
        }
        if rows > 0 && self.delta * rows as f64 >= 1.0 {
            return issue("delta", format!("must be below 1 / rows, which is {:.1e}", 1.0 / rows as f64));
        }
        Ok(())
    }
}

impl Private {
    /// Fresh weights. `rows`: those of the training part; 0 where it only predicts.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where the settings say too much or too little, or no noise keeps within them.
    pub fn new(settings: PrivacySettings, plan: NetPlan, shape: Shape, rows: usize) -> Result<Self, AgentError> {
        let (params, net) = DenseNet::new(shape, &plan.hidden);
        let sample_rate = (settings.minibatch as f64 / rows.max(1) as f64).min(1.0);
        let issue = |key: &str, why: String| AgentError::Settings(vec![Issue::value(key, why).within("privacy")]);
        settings.check(rows)?;
        let each = (1.0 / sample_rate).round().max(1.0) as u64;
        let sigma = match (settings.epsilon, settings.noise_multiplier) {
            (None, Some(sigma)) => sigma,
            (Some(_), None) if rows == 0 => 1.0,
            (Some(wanted), None) => accountant::noise(sample_rate, each * shape.steps, settings.delta, wanted)
                .ok_or_else(|| issue("epsilon", "no noise keeps within it: make fewer steps".into()))?,
            _ => return Err(issue("epsilon", "set either epsilon or noise_multiplier".into())),
        };
        Ok(Self { settings, plan, shape, net, params, epoch: 0, sample_rate, sigma, learns: rows > 0 })
    }

    /// Steps of gradient descent in a step of the run.
    fn each(&self) -> u64 {
        (1.0 / self.sample_rate).round().max(1.0) as u64
    }

    /// The ε that is spent.
    fn spent(&self) -> f64 {
        accountant::epsilon(self.sample_rate, self.sigma, self.each() * self.epoch, self.settings.delta)
    }

    /// Weights after the steps of an epoch.
    fn descended(&self, train: &Examples, stop: Stop<'_>) -> Result<Vec<f32>, AgentError> {
        let mut flat = self.flat()?.to_vec();
        let (mut sum, mut passes) = (vec![0f32; flat.len()], Passes::default());
        let PrivacySettings { max_grad_norm, rate, .. } = self.settings;
        let rows = self.sample_rate * train.y.len() as f64;
        // Of two classes both have weights here, half of what logistic regression has of one: the penalty is twice that.
        let l2 = if self.shape.classes == 2 { 2.0 * self.plan.l2 } else { self.plan.l2 };
        let kept = (1.0 - rate * (self.plan.weight_decay + l2 / train.y.len() as f64)).max(0.0) as f32;
        for step in 0..self.each() {
            go_on(stop)?;
            let at = self.epoch * self.each() + step;
            let own = |lane: u32| Rng::new(mixed(self.shape.seed, &[at]), Stream::Act, lane);
            let mut taken = own(TAKEN);
            let taken: Vec<usize> = (0..train.y.len()).filter(|_| taken.f64() < self.sample_rate).collect();
            sum.fill(0.0);
            for rows in taken.chunks(TOGETHER) {
                self.net.add_clipped(&flat, train, rows, max_grad_norm, &mut passes, &mut sum);
            }
            let (mut noise, deviation) = (own(NOISE), self.sigma * max_grad_norm);
            self.net.decaying.iter().for_each(|at| flat[at.clone()].iter_mut().for_each(|w| *w *= kept));
            for (w, g) in flat.iter_mut().zip(&sum) {
                *w -= (rate * (f64::from(*g) + deviation * noise.normal()) / rows) as f32;
            }
        }
        Ok(flat)
    }

    fn flat(&self) -> Result<&[f32], AgentError> {
        host_view(&self.params.flat).ok_or_else(|| AgentError::Data("its weights are on no host".into()))
    }
}

impl Predict for Private {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        self.flat().map_or(Vec::new(), |flat| self.net.answer(flat, x))
    }
}

impl Learner for Private {
    fn step(&self) -> u64 {
        self.epoch
    }

    fn finished(&self) -> bool {
        false
    }

    fn advance(&mut self, train: &Examples, _: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        self.net.measure(train);
        let after = match self.descended(train, stop) {
            Err(AgentError::Stopped) => return Ok(None),
            other => other?,
        };
        let nowhere = || AgentError::Data("its weights are on no host".into());
        host_slice(&mut self.params.flat).ok_or_else(nowhere)?.copy_from_slice(&after);
        self.epoch += 1;
        let loss = train.loss(&self.net.answer(&after, &train.x));
        all_finite(&[("loss".into(), loss)])?;
        Ok(Some(loss))
    }

    fn scalars(&self) -> Vec<(String, f64)> {
        vec![("epsilon".into(), self.spent())]
    }

    fn report(&self) -> Value {
        json!({"private": {
            "epsilon": self.spent(),
            "delta": self.settings.delta,
            "noise_multiplier": self.sigma,
            "max_grad_norm": self.settings.max_grad_norm,
            "sample_rate": self.sample_rate,
            "steps": self.each() * self.epoch,
            "classes": self.shape.classes,
        }})
    }

    fn save(&self) -> Saved {
        let tensors = self.params.named().map(|(name, t)| (name.to_owned(), t)).collect();
        Saved {
            tensors,
            state: json!({"regime": "private", "epoch": self.epoch, "size": self.net.size, "noise_multiplier": self.sigma}),
        }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (epoch, size): (u64, [f64; 2]) = (saved.part("epoch")?, saved.part("size")?);
        // Noise that follows from ε fits one number of steps: with another, what was spent would be counted wrongly.
        if self.learns && saved.state["noise_multiplier"].as_f64() != Some(self.sigma) {
            let why = "its noise was chosen for another number of steps: only train.privacy.noise_multiplier lets a run go on \
                       for longer";
            return Err(AgentError::Checkpoint(why.into()));
        }
        self.params.load_weights(saved)?;
        (self.epoch, self.net.size) = (epoch, size);
        Ok(())
    }
}
