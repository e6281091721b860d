//! Adam (Kingma and Ba 2015) over one flat parameter tensor, in the form and with the defaults that PPO is used with.

use crate::agent::{AgentError, MOST_STEPS, Saved};
use crate::bridge::host_slice;
use crate::net::Params;
use agon_core::thread_pool::ThreadPool;
use tch::Tensor;

agon_core::choices! {
    /// How a rate changes over the run.
    pub enum Schedule { Constant = "constant", Linear = "linear", Cosine = "cosine" }
}

impl Schedule {
    /// The rate at a moment of the run, from 0 to 1.
    pub fn at(self, rate: f64, progress: f64) -> f64 {
        match self {
            Self::Constant => rate,
            Self::Linear => rate * (1.0 - progress).max(0.0),
            // Loshchilov and Hutter (2017), without restarts.
            Self::Cosine => rate * 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos()),
        }
    }
}

/// Adam's moments and step count.
#[derive(Debug)]
pub struct Adam {
    /// First moment.
    pub m: Tensor,
    /// Second moment.
    pub v: Tensor,
    /// Updates made.
    pub steps: u64,
    betas: (f64, f64),
    eps: f64,
}

impl Adam {
    /// Zero moments for these parameters.
    pub fn new(params: &Params, eps: f64) -> Self {
        Self { m: params.beside(1), v: params.beside(2), steps: 0, betas: (0.9, 0.999), eps }
    }

    /// Weights and moments as they are saved.
    pub fn saved(&self, params: &Params) -> Vec<(String, Tensor)> {
        let mut tensors: Vec<_> = params.named().map(|(name, t)| (name.to_owned(), t)).collect();
        tensors.push(("adam.m".into(), self.m.shallow_clone()));
        tensors.push(("adam.v".into(), self.v.shallow_clone()));
        tensors
    }

    /// Weights, moments and steps of one of several optimizers, under its name.
    pub fn save(&self, name: &str, params: &Params, tensors: &mut Vec<(String, Tensor)>) {
        tensors.extend(params.named().map(|(name, t)| (name.to_owned(), t)));
        tensors.push((format!("adam.{name}.m"), self.m.shallow_clone()));
        tensors.push((format!("adam.{name}.v"), self.v.shallow_clone()));
        tensors.push((format!("adam.{name}.steps"), Tensor::from_slice(&[self.steps as i64])));
    }

    /// The same from a save; nothing is changed unless all of them fit.
    pub fn load_named(&mut self, name: &str, params: &mut Params, saved: &Saved) -> Result<(), AgentError> {
        let steps = saved.tensor(&format!("adam.{name}.steps"))?;
        let steps = if steps.numel() == 1 { u64::try_from(steps.int64_value(&[0])).ok() } else { None };
        let steps = steps.ok_or_else(|| AgentError::Checkpoint(format!("its steps of {name} cannot be")))?;
        self.load_moments([&format!("adam.{name}.m"), &format!("adam.{name}.v")], steps, params, saved)
    }

    /// Weights and moments from a save; nothing is changed unless all of them fit.
    pub fn load(&mut self, params: &mut Params, saved: &Saved) -> Result<(), AgentError> {
        self.load_moments(["adam.m", "adam.v"], saved.part("adam_steps")?, params, saved)
    }

    fn load_moments(
        &mut self,
        [m, v]: [&str; 2],
        steps: u64,
        params: &mut Params,
        saved: &Saved,
    ) -> Result<(), AgentError> {
        let (m, v) = (params.fitting(saved, m, &self.m)?, params.fitting(saved, v, &self.v)?);
        if steps > MOST_STEPS {
            return Err(AgentError::Checkpoint(format!("{steps} cannot be its gradient steps")));
        }
        params.load_weights(saved)?;
        self.steps = steps;
        tch::no_grad(|| {
            self.m.copy_(&m);
            self.v.copy_(&v);
        });
        Ok(())
    }

    /// One update; gradients with a norm above `max_norm` are scaled down to it. Returns the gradient's norm, on the
    /// device.
    pub fn step(&mut self, params: &mut Params, gradient: &Tensor, rate: f64, max_norm: f64) -> Tensor {
        if let Some(gradient) = host_slice(&mut gradient.shallow_clone())
            && let Some(norm) = self.step_on_host(
                params,
                gradient,
                &chunk_ends(gradient.len()),
                |_, _| {},
                [rate, max_norm],
                &ThreadPool::default(),
            )
        {
            return Tensor::from(norm);
        }
        tch::no_grad(|| {
            let norm = gradient.norm();
            let scale = (max_norm / (&norm + 1e-6)).clamp_max(1.0);
            let g = gradient * scale;
            self.steps += 1;
            let (b1, b2) = self.betas;
            let _ = self.m.lerp_(&g, 1.0 - b1);
            let _ = self.v.lerp_(&g.square(), 1.0 - b2);
            let n = self.steps as f64;
            let (c1, c2) = (1.0 - b1.powf(n), 1.0 - b2.powf(n));
            let mut denominator = self.v.sqrt();
            let _ = denominator.g_div_scalar_(c2.sqrt()).g_add_scalar_(self.eps);
            let mut change = &self.m / denominator;
            let _ = change.g_mul_scalar_(-rate / c1);
            let _ = params.flat.g_add_(&change);
            norm
        })
    }

    /// The same on the CPU, chunk by chunk: a dozen small tensor operations cost more than the gradient of a small
    /// network. `ends`: where chunks end, the last one at the last parameter. `find` gets where a chunk begins and its
    /// part of `gradient`, to be overwritten. None where the parameters are on a device.
    pub fn step_on_host(
        &mut self,
        params: &mut Params,
        gradient: &mut [f32],
        ends: &[usize],
        find: impl Fn(usize, &mut [f32]) + Sync,
        [rate, max_norm]: [f64; 2],
        pool: &ThreadPool,
    ) -> Option<f32> {
        let (mut x, mut g) = (host_slice(&mut params.flat)?, gradient);
        let (mut m, mut v) = (host_slice(&mut self.m)?, host_slice(&mut self.v)?);
        let mut chunks: Vec<Chunk<'_>> = Vec::with_capacity(ends.len());
        let mut from = 0;
        for end in ends {
            let n = end - from;
            let (x, g, m, v) = (cut(&mut x, n), cut(&mut g, n), cut(&mut m, n), cut(&mut v, n));
            chunks.push(Chunk { from, x, g, m, v, squares: 0.0 });
            from = *end;
        }
        assert!(x.is_empty() && g.is_empty(), "the last chunk ends at {from}");
        pool.each(&mut chunks, |_, chunk| {
            find(chunk.from, chunk.g);
            chunk.square();
        });
        let norm = chunks.iter().map(|s| s.squares).sum::<f32>().sqrt();
        self.steps += 1;
        let n = self.steps as f64;
        let (c1, c2) = (1.0 - self.betas.0.powf(n), 1.0 - self.betas.1.powf(n));
        let rates = Rates {
            scale: (max_norm as f32 / (norm + 1e-6)).min(1.0),
            keep: [1.0 - self.betas.0 as f32, 1.0 - self.betas.1 as f32],
            rate: (-rate / c1) as f32,
            root: (1.0 / c2.sqrt()) as f32,
            eps: self.eps as f32,
        };
        pool.each(&mut chunks, |_, chunk| chunk.update(&rates));
        Some(norm)
    }

    /// Lets `reorder` permute parameters and moments alike; only where they are on the CPU.
    pub fn reordered(&mut self, params: &mut Params, reorder: impl FnOnce(&mut [&mut [f32]])) {
        if let (Some(x), Some(m), Some(v)) =
            (host_slice(&mut params.flat), host_slice(&mut self.m), host_slice(&mut self.v))
        {
            reorder(&mut [x, m, v]);
        }
    }
}

/// A group of so many parameters is skipped where none has a gradient or a first moment, as those of units long
/// inactive: what one thread does not write, another need not fetch. Their second moments are the thread's own.
const TOGETHER: usize = 64;

/// Parameters of a chunk.
pub const CHUNK: usize = 32_768;

/// Where the chunks of `numbers` parameters end.
pub fn chunk_ends(numbers: usize) -> Vec<usize> {
    (1..=numbers.div_ceil(CHUNK)).map(|i| (i * CHUNK).min(numbers)).collect()
}

/// The next `n` of these numbers.
fn cut<'a>(numbers: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    numbers.split_off_mut(..n).expect("chunks end in order, and within the numbers")
}

/// `to ← to + from`
pub fn add(to: &mut [f32], from: &[f32]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
    );
}

/// A chunk of parameters with their gradient and moments.
struct Chunk<'a> {
    /// Where it begins.
    from: usize,
    x: &'a mut [f32],
    g: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    /// The sum of squares of the gradient.
    squares: f32,
}

struct Rates {
    scale: f32,
    keep: [f32; 2],
    rate: f32,
    root: f32,
    eps: f32,
}

impl Rates {
    /// Adam's update.
    #[inline(always)]
    fn update(&self, x: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        for ((x, g), (m, v)) in x.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
            let g = g * self.scale;
            *m = flushed(*m + self.keep[0] * (g - *m));
            *v = flushed(*v + self.keep[1] * (g * g - *v));
            *x += self.rate * *m / (v.sqrt() * self.root + self.eps);
        }
    }
}

impl Chunk<'_> {
    fn square(&mut self) {
        self.squares = pulp::Arch::new().dispatch(Squares(self.g));
    }

    fn update(&mut self, rates: &Rates) {
        pulp::Arch::new().dispatch(Update { chunk: self, rates });
    }
}

/// The sum of squares. Neither this nor the update below is a closure: with closures `dispatch` called generic code
/// (Adam took three times as long).
struct Squares<'a>(&'a [f32]);

impl pulp::NullaryFnOnce for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        // Sums side by side: one after the other, additions would wait for each other.
        let (chunks, rest) = self.0.as_chunks::<64>();
        let mut sums = [0f32; 64];
        for chunk in chunks {
            for i in 0..64 {
                sums[i] += chunk[i] * chunk[i];
            }
        }
        sums.iter().sum::<f32>() + rest.iter().map(|g| g * g).sum::<f32>()
    }
}

/// A chunk to be updated.
struct Update<'a, 'b> {
    chunk: &'a mut Chunk<'b>,
    rates: &'a Rates,
}

impl pulp::NullaryFnOnce for Update<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (Chunk { x, g, m, v, .. }, r) = (self.chunk, self.rates);
        let ((xs, x), (gs, g)) = (x.as_chunks_mut::<TOGETHER>(), g.as_chunks::<TOGETHER>());
        let ((ms, m), (vs, v)) = (m.as_chunks_mut::<TOGETHER>(), v.as_chunks_mut::<TOGETHER>());
        for ((x, g), (m, v)) in xs.iter_mut().zip(gs).zip(ms.iter_mut().zip(vs)) {
            let mut any = 0;
            for i in 0..TOGETHER {
                any |= g[i].to_bits() | m[i].to_bits();
            }
            if any == 0 {
                for v in v {
                    *v = flushed(*v - r.keep[1] * *v);
                }
            } else {
                r.update(x, g, m, v);
            }
        }
        r.update(x, g, m, v);
    }
}

/// Flushes subnormal numbers to zero. Moments of units that stay inactive decay into subnormals and would stay there,
/// since a tenth of the smallest rounds to zero; many processors are slow with them.
#[inline(always)]
fn flushed(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Builder;
    use tch::Device;

    #[test]
    fn schedules_fall_to_zero() {
        for (schedule, rates) in [
            (Schedule::Constant, [2.0, 2.0, 2.0, 2.0, 2.0]),
            (Schedule::Linear, [2.0, 1.5, 1.0, 0.0, 0.0]),
            (Schedule::Cosine, [2.0, 1.0 + 0.5f64.sqrt(), 1.0, 0.0, 0.0]),
        ] {
            for (progress, rate) in [0.0, 0.25, 0.5, 1.0, 1.01].into_iter().zip(rates) {
                assert!((schedule.at(2.0, progress) - rate).abs() < 1e-12, "{schedule:?} at {progress}");
            }
        }
    }

    /// Three steps by hand from m = v = 0, gradients 0.1, −0.2, 0.3, rate 0.01 (the formulas of the paper).
    #[test]
    fn adam_is_adam() {
        let mut builder = Builder::new(0);
        builder.constant("x", &[1], 1.0);
        let mut params = builder.finish(Device::Cpu);
        let mut adam = Adam::new(&params, 1e-8);
        let (mut m, mut v, mut x) = (0.0f64, 0.0f64, 1.0f64);
        for (i, g) in [0.1, -0.2, 0.3f64].into_iter().enumerate() {
            let _ = adam.step(&mut params, &Tensor::from_slice(&[g as f32]), 0.01, f64::INFINITY);
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let n = i as i32 + 1;
            x -= 0.01 * (m / (1.0 - 0.9f64.powi(n))) / ((v / (1.0 - 0.999f64.powi(n))).sqrt() + 1e-8);
            assert!((params.flat.double_value(&[0]) - x).abs() < 1e-6);
        }
    }

    /// Parameters whose gradients vanish and return, next to others that always have one, bit for bit.
    #[test]
    fn rest_changes_nothing() {
        let n = 3 * TOGETHER + 5;
        let mut builder = Builder::new(0);
        builder.constant("x", &[n as i64], 1.0);
        let mut params = builder.finish(Device::Cpu);
        let mut adam = Adam::new(&params, 1e-8);
        let (mut x, mut m, mut v) = (vec![1f32; n], vec![0f32; n], vec![0f32; n]);
        for step in 1..=1100 {
            let awake = if (5..=1000).contains(&step) { TOGETHER } else { n };
            let g: Vec<f32> = (0..n).map(|i| if i < awake { ((i + step) as f32).sin() } else { 0.0 }).collect();
            let _ = adam.step(&mut params, &Tensor::from_slice(&g), 0.01, f64::INFINITY);
            let [c1, c2] = [0.9, 0.999f64].map(|b| 1.0 - b.powf(step as f64));
            let (rate, root) = ((-0.01 / c1) as f32, (1.0 / c2.sqrt()) as f32);
            for i in 0..n {
                m[i] = flushed(m[i] + (1.0 - 0.9f32) * (g[i] - m[i]));
                v[i] = flushed(v[i] + (1.0 - 0.999f32) * (g[i] * g[i] - v[i]));
                x[i] += rate * m[i] / (v[i].sqrt() * root + 1e-8);
            }
            if step == 1000 {
                assert!(m[TOGETHER..].iter().all(|m| *m == 0.0) && v.iter().all(|v| *v > 0.0), "the others rest");
            }
            for (mine, here) in [(&x, &mut params.flat), (&m, &mut adam.m), (&v, &mut adam.v)] {
                assert!(host_slice(here).unwrap() == mine, "step {step}");
            }
        }
    }

    #[test]
    fn long_gradients_are_shortened() {
        let mut builder = Builder::new(0);
        builder.constant("x", &[2], 0.0);
        let mut params = builder.finish(Device::Cpu);
        let mut adam = Adam::new(&params, 1e-8);
        let norm = adam.step(&mut params, &Tensor::from_slice(&[3.0f32, 4.0]), 0.1, 0.5);
        assert!((norm.double_value(&[]) - 5.0).abs() < 1e-6);
        assert!((adam.m.double_value(&[0]) - 0.1 * 0.3).abs() < 1e-6, "0.1 of 3 shortened to 0.3");
    }

    /// Moments go where their parameters go.
    #[test]
    fn another_order_is_everybodys() {
        let mut builder = Builder::new(0);
        let x = builder.orthogonal("x", 5, 4, 1.0);
        let mut params = builder.finish(Device::Cpu);
        let mut adam = Adam::new(&params, 1e-8);
        let before = host_slice(&mut params.flat).unwrap().to_vec();
        (adam.m, adam.v) = (params.flat.copy(), params.flat.copy());
        adam.reordered(&mut params, |vectors| vectors.iter_mut().for_each(|numbers| numbers.reverse()));
        let reversed: Vec<f32> = before.into_iter().rev().collect();
        for tensor in [&mut params.flat, &mut adam.m, &mut adam.v] {
            assert_eq!(host_slice(tensor).unwrap(), reversed);
        }
        assert_eq!(params.leaves[x].double_value(&[0, 0]), f64::from(reversed[0]), "leaves are the same memory");
    }

    /// Chunks and several threads make the same step as the whole and one thread, bit for bit.
    #[test]
    fn threads_and_parts_change_nothing() {
        let (n, half) = (3 * CHUNK + 17, vec![0.25f32; 3 * CHUNK + 17]);
        let stepped = |parts: usize, threads: usize| {
            let mut builder = Builder::new(0);
            builder.constant("x", &[n as i64], 1.0);
            let mut params = builder.finish(Device::Cpu);
            let mut adam = Adam::new(&params, 1e-8);
            let part: Vec<f32> = half.iter().map(|x| x / parts as f32).collect();
            let find = |from: usize, g: &mut [f32]| {
                g.fill(0.0);
                (0..parts).for_each(|_| add(g, &part[from..from + g.len()]));
            };
            let (mut gradient, pool) = (vec![f32::NAN; n], ThreadPool::new(threads));
            let norm = adam.step_on_host(&mut params, &mut gradient, &chunk_ends(n), find, [0.1, 0.5], &pool).unwrap();
            (norm, host_slice(&mut params.flat).unwrap().to_vec())
        };
        let one = stepped(1, 1);
        assert!((one.0 - 0.25 * (n as f32).sqrt()).abs() < 1e-3);
        assert!(one == stepped(2, 1) && one == stepped(2, 2) && one == stepped(1, 3));
    }
}
