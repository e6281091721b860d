//! How a network reads an observation: numbers as they are, one of n as one-hot, and a picture scaled to [0, 1] and
//! through convolutions. The one place for that, on the host and on a device.

use crate::agent::AgentError;
use crate::conv::{self, Conv, Filters, Stack};
use crate::net::{Builder, Params};
use agon_core::Observation;
use agon_core::settings::Issue;
use tch::{Kind, Tensor};

/// The transformation of an environment's numbers before the first parameters.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Unchanged.
    Plain,
    /// An index becomes a one-hot vector.
    OneHot,
    /// Numbers of a picture are multiplied by this.
    Scaled(f32),
}

/// How observations of one kind are read.
#[derive(Clone, Debug)]
pub struct Reading {
    form: Form,
    obs_len: usize,
    inputs: usize,
    stack: Stack,
}

/// The default convolutions of a picture: the one layer of MinAtar's networks (Young and Tian 2019).
const USUAL: Filters = Filters { channels: 16, kernel: 3, stride: 1 };

impl Reading {
    /// For so many plain numbers.
    pub fn plain(numbers: usize) -> Self {
        Self { form: Form::Plain, obs_len: numbers, inputs: numbers, stack: Stack::default() }
    }

    /// Of these observations. `conv`: the convolutions a picture is read with; left out, the usual one where it fits.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where the convolutions are larger than the picture, or there is no picture.
    pub fn new(observation: &Observation, conv: Option<&[Filters]>) -> Result<Self, AgentError> {
        let refuse = |why: String| AgentError::from(Issue::value("conv", why));
        let (obs_len, inputs) = (observation.len(), observation.inputs());
        let (form, stack) = match observation {
            Observation::Picture(picture) => {
                let fits = picture.height.min(picture.width) >= USUAL.kernel;
                let usual: &[Filters] = if fits { &[USUAL] } else { &[] };
                let stack = Stack::new(picture.shape(), conv.unwrap_or(usual)).map_err(refuse)?;
                (Form::Scaled(1.0 / f32::from(picture.high)), stack)
            }
            _ if conv.is_some_and(|filters| !filters.is_empty()) => {
                return Err(refuse("reads pictures, and this environment shows none".into()));
            }
            Observation::Discrete { .. } => (Form::OneHot, Stack::default()),
            Observation::Numbers(_) => return Ok(Self::plain(obs_len)),
        };
        Ok(Self { form, obs_len, inputs, stack })
    }

    /// Numbers of an observation as the environment writes it.
    pub fn obs_len(&self) -> usize {
        self.obs_len
    }

    /// Inputs of the first layer after it.
    pub fn features(&self) -> usize {
        self.stack.outputs().next_back().unwrap_or(self.inputs)
    }

    /// Numbers of buffers for one observation.
    pub fn room(&self) -> usize {
        match self.form {
            Form::Plain => 0,
            _ => self.inputs + self.stack.outputs().sum::<usize>(),
        }
    }

    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        self.stack.parameters()
    }
}

/// The same with its parameters, which are the first of a network's.
#[derive(Clone, Debug)]
pub struct Input {
    reading: Reading,
    conv: Conv,
}

/// Buffers for reading on the host, and what the backward pass needs of them.
#[derive(Debug, Default)]
pub struct Work {
    /// `[rows, inputs]`; empty where numbers are plain.
    read: Vec<f32>,
    conv: conv::Tape,
}

impl Input {
    /// With fresh parameters. Nothing must be in `b` yet.
    pub fn new(b: &mut Builder, reading: &Reading) -> Self {
        Self { reading: reading.clone(), conv: Conv::new(b, &reading.stack) }
    }

    /// How it reads.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Observations `[rows, obs_len]` as `[rows, features]`.
    pub fn forward<'a>(&self, flat: &[f32], obs: &'a [f32], work: &'a mut Work) -> &'a [f32] {
        let (inputs, read) = (self.reading.inputs, &mut work.read);
        match self.reading.form {
            Form::Plain => return obs,
            Form::OneHot => {
                read.clear();
                read.extend(obs.iter().flat_map(|x| (0..inputs).map(|i| f32::from(u8::from(i as f32 == *x)))));
            }
            Form::Scaled(by) => {
                read.clear();
                read.extend(obs.iter().map(|x| x * by));
            }
        }
        if !self.reading.stack.is_empty() {
            self.conv.forward(flat, &work.read, &mut work.conv);
        }
        work.features(obs)
    }

    /// Adds the gradient of `Σ at_features · features` of the last forward pass to `gradient`, which begins where the
    /// flat parameters do. `at_features`: `[rows, features]`.
    pub fn backward(&self, flat: &[f32], at_features: &[f32], work: &mut Work, gradient: &mut [f32]) {
        self.conv.backward(flat, &work.read, at_features, &mut work.conv, gradient);
    }

    /// The same as [`Input::forward`] by tensor operations, on any device.
    pub fn tensor(&self, p: &Params, obs: &Tensor) -> Tensor {
        match self.reading.form {
            Form::Plain => obs.shallow_clone(),
            Form::OneHot => {
                let all = Tensor::arange(self.reading.inputs as i64, (Kind::Float, obs.device()));
                obs.reshape([-1, 1]).eq_tensor(&all).to_kind(Kind::Float)
            }
            Form::Scaled(by) => self.conv.tensor(p, &(obs * f64::from(by))),
        }
    }
}

impl Work {
    /// The features of these observations, from the last forward pass.
    pub fn features<'a>(&'a self, obs: &'a [f32]) -> &'a [f32] {
        match (self.conv.made(), &self.read[..]) {
            ([], []) => obs,
            ([], read) => read,
            (made, _) => made,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::host_view;
    use agon_core::{Field, Picture};
    use tch::Device;

    fn picture(high: u8, side: usize) -> Observation {
        let channels = vec!["a".into(), "b".into()];
        Observation::Picture(Picture { channels, height: side, width: side, high })
    }

    /// An observation read in both ways, which must agree.
    fn read(reading: &Reading, obs: &[f32]) -> Vec<f32> {
        let mut b = Builder::new(1);
        let input = Input::new(&mut b, reading);
        b.constant("more", &[1], 0.0);
        let params = b.finish(Device::Cpu);
        let mut work = Work::default();
        let made = input.forward(host_view(&params.flat).unwrap(), obs, &mut work).to_vec();
        let tensor = Tensor::from_slice(obs).view([-1, reading.obs_len() as i64]);
        let tensor = input.tensor(&params, &tensor).detach().contiguous();
        assert_eq!(tensor.size()[1] as usize, reading.features());
        let there = tensor.view([-1]);
        let there = host_view(&there).unwrap();
        assert!(made.len() == there.len() && made.iter().zip(there).all(|(a, b)| (a - b).abs() < 1e-5));
        made
    }

    #[test]
    fn every_kind_is_read() {
        let fields = Observation::Numbers(vec![Field::new("x", "", 0.0, 9.0); 2]);
        assert_eq!(read(&Reading::new(&fields, None).unwrap(), &[3.0, 4.0]), [3.0, 4.0]);
        let one = Observation::discrete(["a", "b", "c"]);
        assert_eq!(read(&Reading::new(&one, None).unwrap(), &[2.0, 0.0]), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let bytes: Vec<f32> = (0..16).map(|x| (x * 17) as f32).collect();
        let small = Reading::new(&picture(255, 2), None).unwrap();
        let scaled = read(&small, &bytes);
        assert!(scaled.iter().enumerate().all(|(i, x)| (x - i as f32 / 15.0).abs() < 1e-6), "{scaled:?}");
        assert_eq!((scaled.len(), small.parameters()), (16, 0));
        let usual = Reading::new(&picture(1, 4), None).unwrap();
        assert_eq!((usual.features(), usual.parameters()), (16 * 2 * 2, 16 * 2 * 9 + 16));
        assert_eq!(read(&usual, &[1.0; 32]).len(), 64);
    }

    #[test]
    fn convolutions_are_for_pictures_that_are_large_enough() {
        let wide = Filters { channels: 4, kernel: 3, stride: 1 };
        let why = Reading::new(&picture(1, 2), Some(&[wide])).unwrap_err().to_string();
        assert!(why.contains("conv: layer 1 sees 3 × 3 of only 2 × 2"), "{why}");
        for other in [Observation::discrete(["a"]), Observation::Numbers(vec![Field::new("x", "", 0.0, 1.0)])] {
            let why = Reading::new(&other, Some(&[wide])).unwrap_err().to_string();
            assert!(why.contains("conv: reads pictures, and this environment shows none"), "{why}");
            assert!(Reading::new(&other, Some(&[])).is_ok());
        }
        assert_eq!(Reading::new(&picture(1, 4), Some(&[])).unwrap().features(), 32);
    }
}
