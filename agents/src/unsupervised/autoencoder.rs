//! Autoencoders and variational autoencoders (Kingma and Welling 2014): a network that writes a row down in a few numbers and
//! reads it back. What it reads back badly is unusual. A step is an epoch; the weights that were best on the validation part
//! answer.

use super::{Found, Learner, Shape};
use crate::agent::{AgentError, Saved, Stop, all_finite, go_on};
use crate::bridge::read_f32;
use crate::data::encode::{Matrix, Scaling};
use crate::net::{Activation, Builder, Last, Mlp, Params};
use crate::optim::Adam;
use crate::supervised::Patience;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::world::Layer;
use serde_json::json;
use tch::{Device, Kind, Tensor, no_grad};

agon_core::settings! {
    /// An autoencoder.
    pub struct Config {
        /// Numbers that a row is written down in; 4, or one less than it has, if left out.
        latent: Option<usize> = None, in [1.0, 4096.0];
        /// Units of the encoder's hidden layers; the decoder's are the same in reverse.
        hidden: Vec<usize> = vec![64], in [1.0, 4096.0];
        /// Adam's learning rate.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// Rows of a gradient step.
        minibatch: usize = 64, in [1.0, 65536.0];
        /// Epochs without a lower loss of the validation part after which it ends; 0 makes all of them.
        patience: u64 = 20, in [0.0, 1e6];
        /// Of `vae`: the weight of the divergence from the prior; 1 takes numbers that vary by 1 for nothing but noise.
        divergence: f64 = 0.1, in [0.0, 1000.0];
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// Lanes of random numbers: the order of rows, and the noise of what is written down.
const ORDER: u32 = u32::MAX;
const NOISE: u32 = u32::MAX - 1;
/// Numbers that a row is written down in where nobody says how many, at most.
const MOST_LATENT: usize = 4;
/// Rows that are read at once.
const AT_ONCE: usize = 4096;

/// Encoder and decoder.
pub struct Autoencoder {
    config: Config,
    shape: Shape,
    /// Numbers that a row is written down in.
    latent: usize,
    /// Whether what is written down is a distribution: its means, then ln of its variances.
    variational: bool,
    params: Params,
    encoder: Mlp,
    decoder: Mlp,
    adam: Adam,
    best: Params,
    patience: Patience,
    epoch: u64,
}

impl Autoencoder {
    /// Fresh weights.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where rows would be written down in as many numbers as they have.
    pub fn new(config: Config, shape: Shape, variational: bool) -> Result<Self, AgentError> {
        let latent = config.latent.unwrap_or(MOST_LATENT.min(shape.inputs.saturating_sub(1)).max(1));
        if latent > shape.inputs {
            let what = format!("is more than the {} numbers of a row: nothing would be left out", shape.inputs);
            return Err(Issue::value("latent", what).into());
        }
        let mut builder = Builder::new(shape.seed);
        let code = latent * if variational { 2 } else { 1 };
        let hidden = || config.hidden.iter().copied();
        let there: Vec<usize> = [shape.inputs].into_iter().chain(hidden()).chain([code]).collect();
        let back: Vec<usize> = [latent].into_iter().chain(hidden().rev()).chain([shape.inputs]).collect();
        let encoder = Mlp::new(&mut builder, "encoder", &there, Activation::Relu, Last::Head(1.0));
        let decoder = Mlp::new(&mut builder, "decoder", &back, Activation::Relu, Last::Head(1.0));
        let params = builder.finish(shape.device);
        let (adam, best, patience) = (Adam::new(&params, 1e-8), params.frozen(), Patience::new(config.patience));
        Ok(Self { config, shape, latent, variational, params, encoder, decoder, adam, best, patience, epoch: 0 })
    }

    /// The weights that answer.
    fn answering(&self) -> &Params {
        if self.config.patience > 0 { &self.best } else { &self.params }
    }

    /// What rows are written down as, its ln variances (of `vae`), and what is read back of it.
    fn passes(&self, params: &Params, x: &Tensor, noise: Option<&Tensor>) -> (Tensor, Option<Tensor>, Tensor) {
        let written = self.encoder.forward(params, x);
        if !self.variational {
            let back = self.decoder.forward(params, &written);
            return (written, None, back);
        }
        let k = self.latent as i64;
        let (mean, ln_variance) = (written.narrow(1, 0, k), written.narrow(1, k, k).clamp(-20.0, 20.0));
        let code = match noise {
            Some(noise) => &mean + (&ln_variance * 0.5).exp() * noise,
            None => mean.shallow_clone(),
        };
        let back = self.decoder.forward(params, &code);
        (mean, Some(ln_variance), back)
    }

    /// The mean over rows of the squared error of a row, half of it with the divergence from the prior for `vae`.
    fn loss(&self, params: &Params, x: &Tensor, noise: Option<&Tensor>) -> Tensor {
        let (mean, ln_variance, back) = self.passes(params, x, noise);
        let sum = |t: Tensor| t.sum_dim_intlist(1i64, false, Kind::Float).mean(Kind::Float);
        let error = sum((back - x).square());
        match ln_variance {
            None => error,
            Some(ln) => error * 0.5 + sum(mean.square() + ln.exp() - ln - 1.0) * (0.5 * self.config.divergence),
        }
    }

    fn upload(&self, x: &Matrix, rows: &[usize]) -> Tensor {
        let numbers: Vec<f32> = rows.iter().flat_map(|row| x.row(*row).iter().map(|x| *x as f32)).collect();
        Tensor::from_slice(&numbers).view([rows.len() as i64, self.shape.inputs as i64]).to_device(self.shape.device)
    }

    fn noise(&self, rng: &mut Rng, rows: usize) -> Option<Tensor> {
        self.variational.then(|| {
            let k = self.latent;
            let numbers: Vec<f32> = (0..rows * k).map(|_| rng.normal() as f32).collect();
            Tensor::from_slice(&numbers).view([rows as i64, k as i64]).to_device(self.shape.device)
        })
    }

    fn pass(&mut self, train: &Matrix, stop: Stop<'_>) -> Result<(), AgentError> {
        let mut order: Vec<usize> = (0..train.rows()).collect();
        Rng::at_step(self.shape.seed, Stream::Shuffle, ORDER, self.epoch).shuffle(&mut order);
        let mut rng = Rng::at_step(self.shape.seed, Stream::Act, NOISE, self.epoch);
        for rows in order.chunks(self.config.minibatch) {
            go_on(stop)?;
            let (x, noise) = (self.upload(train, rows), self.noise(&mut rng, rows.len()));
            let gradient = self.params.gradient(&self.loss(&self.params, &x, noise.as_ref()));
            let _ = self.adam.step(&mut self.params, &gradient, self.config.learning_rate, 10.0);
        }
        Ok(())
    }

    /// The mean loss of rows, with the same noise every time.
    fn mean_loss(&self, x: &Matrix) -> f64 {
        let mut rng = Rng::new(self.shape.seed, Stream::Eval, NOISE);
        let rows: Vec<usize> = (0..x.rows()).collect();
        let one = |rows: &[usize]| {
            let noise = self.noise(&mut rng, rows.len());
            let loss = no_grad(|| self.loss(&self.params, &self.upload(x, rows), noise.as_ref()));
            loss.double_value(&[]) * rows.len() as f64
        };
        rows.chunks(AT_ONCE).map(one).sum::<f64>() / rows.len() as f64
    }
}

impl Learner for Autoencoder {
    fn step(&self) -> u64 {
        self.epoch
    }

    fn steps(&self) -> Option<u64> {
        None
    }

    fn finished(&self) -> bool {
        self.patience.is_over(self.epoch)
    }

    fn advance(&mut self, train: &Matrix, validation: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        // A pass is only part of the state once it is whole.
        let (weights, m, v, steps) = (self.params.frozen(), self.adam.m.copy(), self.adam.v.copy(), self.adam.steps);
        match self.pass(train, stop) {
            Err(AgentError::Stopped) => {
                self.params.copy(&weights);
                self.adam.m.copy_(&m);
                self.adam.v.copy_(&v);
                self.adam.steps = steps;
                return Ok(None);
            }
            other => other?,
        }
        self.epoch += 1;
        let loss = self.mean_loss(train);
        all_finite(&[("loss".into(), loss)])?;
        if self.patience.see(self.epoch, self.mean_loss(validation)) {
            self.best.copy(&self.params);
        }
        Ok(Some(loss))
    }

    fn read(&self, x: &Matrix) -> Found {
        let params = self.answering();
        let mut found = Found { components: Matrix { x: Vec::new(), width: self.latent }, ..Found::default() };
        let rows: Vec<usize> = (0..x.rows()).collect();
        for rows in rows.chunks(AT_ONCE) {
            let upload = self.upload(x, rows);
            let (code, _, back) = no_grad(|| self.passes(params, &upload, None));
            let error = (back - upload).square().sum_dim_intlist(1i64, false, Kind::Float);
            let list = |t: &Tensor| {
                let flat = t.to_device(Device::Cpu).to_kind(Kind::Double).contiguous().view([-1]);
                Vec::<f64>::try_from(&flat).unwrap_or_default()
            };
            found.components.x.extend(list(&code));
            found.loss.extend(list(&error));
        }
        found.anomaly = found.loss.iter().map(|d| d.sqrt()).collect();
        found
    }

    fn layers(&self) -> Option<Vec<Layer>> {
        let params = self.answering();
        let last = self.encoder.layers().len() - 1;
        let layer = |(at, (weight, bias)): (usize, &(usize, usize))| {
            let [weight, bias] = [weight, bias].map(|leaf| params.leaves[*leaf].detach());
            // Of distributions the means.
            let count = if at == last { self.latent as i64 } else { bias.size()[0] };
            let [weight, bias] = [weight.narrow(1, 0, count), bias.narrow(0, 0, count)].map(|tensor| {
                let mut numbers = vec![0f32; tensor.numel()];
                read_f32(&tensor, &mut numbers);
                numbers
            });
            Layer { weight, bias }
        };
        Some(self.encoder.layers().iter().enumerate().map(layer).collect())
    }

    fn save(&self) -> Saved {
        let mut tensors = self.adam.saved(&self.params);
        tensors.push(("best".into(), self.best.flat.shallow_clone()));
        let state = json!({"epoch": self.epoch, "adam_steps": self.adam.steps, "patience": self.patience.save()});
        Saved { tensors, state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let epoch: u64 = saved.part("epoch")?;
        let best = self.params.fitting(saved, "best", &self.best.flat)?;
        self.adam.load(&mut self.params, saved)?;
        no_grad(|| self.best.flat.copy_(&best));
        self.patience.load(&saved.state["patience"]);
        self.epoch = epoch;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;

    /// Rows on a curve through six dimensions: one number says where.
    #[test]
    fn a_curve_is_written_down_in_one_number() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let row = |_| {
            let t = 2.0 * rng.f64() - 1.0;
            [t, t * t, (3.0 * t).sin(), t, -t * t, (2.0 * t).cos()]
        };
        let x = Matrix { x: (0..512).flat_map(row).collect(), width: 6 };
        let mean = super::super::means(&x);
        let spread = x.x.chunks_exact(6).map(|row| super::super::squared(row, &mean)).sum::<f64>() / 512.0;
        for variational in [false, true] {
            // Beside a unit prior the rows' own spread is small: the divergence must weigh less.
            let config =
                Config { latent: Some(1), divergence: 0.01, learning_rate: 3e-3, patience: 0, ..Config::default() };
            let mut own =
                Autoencoder::new(config, Shape { inputs: 6, steps: 1, seed: 1, device: Device::Cpu }, variational)
                    .unwrap();
            for _ in 0..60 {
                own.advance(&x, &x, NEVER).unwrap();
            }
            let found = own.read(&x);
            let left = found.loss.iter().sum::<f64>() / 512.0;
            assert!(left < 0.08 * spread, "{variational}: {left} of {spread}");
            assert_eq!(found.components.rows(), 512);
            let far = own.read(&Matrix { x: vec![3.0, -3.0, 3.0, -3.0, 3.0, -3.0], width: 6 });
            assert!(far.loss[0] > 100.0 * left);
        }
    }

    /// The divergence from the prior in closed form: ½ (μ² + σ² − ln σ² − 1).
    #[test]
    fn a_variational_loss_by_hand() {
        let config = Config { latent: Some(1), hidden: vec![], divergence: 1.0, ..Config::default() };
        let mut own =
            Autoencoder::new(config, Shape { inputs: 1, steps: 1, seed: 1, device: Device::Cpu }, true).unwrap();
        // Mean 2x, ln variance ln 4; the decoder gives 3z + 1.
        let weights: [f32; 6] = [2.0, 0.0, 0.0, 4f32.ln(), 3.0, 1.0];
        no_grad(|| own.params.flat.copy_(&Tensor::from_slice(&weights)));
        let x = Tensor::from_slice(&[0.5f32]).view([1, 1]);
        let noise = Tensor::from_slice(&[-0.25f32]).view([1, 1]);
        let loss = own.loss(&own.params, &x, Some(&noise)).double_value(&[]);
        // z = 1 + 2 · (−¼) = ½; the decoder gives 2.5, and the row is 0.5.
        let wanted = 0.5 * 4.0 + 0.5 * (1.0 + 4.0 - 4f64.ln() - 1.0);
        assert!((loss - wanted).abs() < 1e-6, "{loss} {wanted}");
    }
}
