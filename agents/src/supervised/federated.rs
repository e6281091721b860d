//! Federated averaging (McMahan et al. 2017), and FedProx (Li et al. 2020), in process: in each round some clients begin
//! with the server's weights, descend on their own rows, and the server takes the mean of their weights, each counting as
//! many times as it has rows. FedProx adds ½ μ ‖w − w_server‖² to a client's loss. A step is a round.
//!
//! The same model is trained centrally beside it, from all rows and for as many epochs, so that the price of the federation
//! is known.

use super::dense_net::{DenseNet, Passes};
use super::family::NetPlan;
use super::secure_sum::{fixed_point, masked, numbers, sum};
use super::{Examples, Learner, Patience, Predict, Shape};
use crate::agent::{AgentError, Saved, Stop, all_finite, go_on};
use crate::bridge::{host_slice, host_view};
use crate::data::encode::Matrix;
use crate::net::Params;
use agon_core::rng::{Rng, Stream};
use serde_json::{Value, json};

/// How a federation learns.
#[derive(Clone, Debug)]
pub struct Config {
    /// The share of the clients that take part in a round.
    pub client_share: f64,
    /// Passes of a client over its rows in a round.
    pub local_epochs: u64,
    /// The rate of its gradient descent.
    pub local_rate: f64,
    /// Rows of a gradient step.
    pub local_minibatch: usize,
    /// FedProx's μ; 0 is federated averaging.
    pub proximal: f64,
    /// Whether the server sees sums of masked vectors alone.
    pub secure_aggregation: bool,
}

/// The lane that says which clients take part.
const CHOSEN: u32 = u32::MAX - 6;

/// A server with its clients.
pub struct Federated {
    config: Config,
    plan: NetPlan,
    shape: Shape,
    net: DenseNet,
    params: Params,
    best: Params,
    patience: Patience,
    round: u64,
    /// The client of each row of the training part; none where it only predicts.
    of_row: Vec<u32>,
    /// The rows of each client; empty before the first round.
    clients: Vec<Examples>,
    /// The same model on all rows; none where it only predicts.
    central: Option<Box<dyn Learner>>,
}

impl Federated {
    /// Fresh weights. `of_row`: the client of each row of the training part; `central`: the same model, to be trained on all
    /// rows.
    pub fn new(
        config: Config,
        plan: NetPlan,
        shape: Shape,
        of_row: Vec<u32>,
        central: Option<Box<dyn Learner>>,
    ) -> Self {
        let (params, net) = DenseNet::new(shape, &plan.hidden);
        let (best, patience) = (params.frozen(), Patience::new(plan.patience));
        Self { config, plan, shape, net, params, best, patience, round: 0, of_row, clients: Vec::new(), central }
    }

    /// The rows that each client has.
    fn counts(&self) -> Vec<usize> {
        let most = self.of_row.iter().max().map_or(0, |most| *most as usize + 1);
        let mut counts = vec![0; most];
        self.of_row.iter().for_each(|client| counts[*client as usize] += 1);
        counts
    }

    /// Divides the training part among the clients, once.
    fn divide(&mut self, train: &Examples) {
        if !self.clients.is_empty() {
            return;
        }
        self.clients = self
            .counts()
            .iter()
            .map(|_| Examples {
                x: Matrix { x: Vec::new(), width: train.x.width },
                classes: train.classes,
                ..Examples::default()
            })
            .collect();
        for (row, client) in self.of_row.iter().enumerate() {
            let own = &mut self.clients[*client as usize];
            own.x.x.extend_from_slice(train.x.row(row));
            own.y.push(train.y[row]);
            own.weights.extend(train.weights.get(row));
        }
    }

    /// Those that take part in this round, in order; clients without rows never do.
    fn chosen(&self) -> Vec<u32> {
        let mut all: Vec<u32> =
            self.clients.iter().zip(0..).filter(|(client, _)| !client.y.is_empty()).map(|(_, i)| i).collect();
        let count = ((self.config.client_share * all.len() as f64).ceil() as usize).clamp(1, all.len().max(1));
        Rng::at_step(self.shape.seed, Stream::Act, CHOSEN, self.round).shuffle(&mut all);
        all.truncate(count);
        all.sort_unstable();
        all
    }

    /// How far a client's own descent leads from the server's weights.
    fn descent(&self, client: u32, server: &[f32], rows: usize, stop: Stop<'_>) -> Result<Vec<f64>, AgentError> {
        let (own, config) = (&self.clients[client as usize], &self.config);
        let (mut flat, mut gradient) = (server.to_vec(), vec![0f32; server.len()]);
        let mut passes = Passes::default();
        let (rate, pull) = (config.local_rate as f32, config.proximal as f32);
        // Of two classes both have weights here, half of what logistic regression has of one: the penalty is twice that.
        let l2 = if self.shape.classes == 2 { 2.0 * self.plan.l2 } else { self.plan.l2 };
        let kept = (1.0 - config.local_rate * (self.plan.weight_decay + l2 / rows as f64)).max(0.0) as f32;
        for epoch in 0..config.local_epochs {
            let at = self.round * config.local_epochs + epoch;
            let order = own.order(false, &mut Rng::at_step(self.shape.seed, Stream::Shuffle, client, at));
            for rows in order.chunks(config.local_minibatch) {
                go_on(stop)?;
                self.net.gradient(&flat, own, rows, &mut passes, &mut gradient);
                self.net.decaying.iter().for_each(|at| flat[at.clone()].iter_mut().for_each(|w| *w *= kept));
                for ((w, g), server) in flat.iter_mut().zip(&gradient).zip(server) {
                    *w -= rate * (g + pull * (*w - server));
                }
            }
        }
        Ok(flat.iter().zip(server).map(|(w, server)| f64::from(*w) - f64::from(*server)).collect())
    }

    /// The mean of the clients' changes, each counting as many times as it has rows.
    fn aggregated(&self, server: &[f32], rows: usize, stop: Stop<'_>) -> Result<Vec<f64>, AgentError> {
        let chosen = self.chosen();
        let mut sent = Vec::with_capacity(chosen.len());
        for client in &chosen {
            let count = self.clients[*client as usize].y.len() as f64;
            let mut vector = self.descent(*client, server, rows, stop)?;
            vector.iter_mut().for_each(|x| *x *= count);
            // How many rows it has is not told to the server either.
            vector.push(count);
            sent.push(vector);
        }
        let mut all = if self.config.secure_aggregation {
            let seed = self.shape.seed;
            let mask = |(vector, me): (&Vec<f64>, &u32)| {
                Ok(masked(fixed_point(vector, chosen.len())?, *me, &chosen, seed, self.round))
            };
            let sent: Result<Vec<_>, AgentError> = sent.iter().zip(&chosen).map(mask).collect();
            numbers(&sum(&sent?))
        } else {
            let mut all = vec![0.0; server.len() + 1];
            sent.iter().for_each(|vector| all.iter_mut().zip(vector).for_each(|(all, x)| *all += x));
            all
        };
        let count = all.pop().unwrap_or(1.0);
        all.iter_mut().for_each(|x| *x /= count);
        Ok(all)
    }

    fn flat(params: &Params) -> Result<&[f32], AgentError> {
        host_view(&params.flat).ok_or_else(|| AgentError::Data("its weights are on no host".into()))
    }

    /// Trains the central model for as many epochs as the clients have made after this round; whether it was not stopped.
    fn keep_up(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<bool, AgentError> {
        let epochs = (self.round + 1) * self.config.local_epochs;
        let Some(central) = &mut self.central else { return Ok(true) };
        while central.step() < epochs && !central.finished() {
            if central.advance(train, validation, stop)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Predict for Federated {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        let params = if self.plan.patience > 0 { &self.best } else { &self.params };
        Self::flat(params).map_or(Vec::new(), |flat| self.net.answer(flat, x))
    }
}

impl Learner for Federated {
    fn step(&self) -> u64 {
        self.round
    }

    fn finished(&self) -> bool {
        self.patience.is_over(self.round)
    }

    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        self.divide(train);
        self.net.measure(train);
        let server = Self::flat(&self.params)?.to_vec();
        // The server's weights change once nothing can stop the round any more.
        let change = match self.aggregated(&server, train.y.len(), stop) {
            Err(AgentError::Stopped) => return Ok(None),
            other => other?,
        };
        if !self.keep_up(train, validation, stop)? {
            return Ok(None);
        }
        let nowhere = || AgentError::Data("its weights are on no host".into());
        let flat = host_slice(&mut self.params.flat).ok_or_else(nowhere)?;
        flat.iter_mut().zip(&change).for_each(|(w, change)| *w = (f64::from(*w) + change) as f32);
        self.round += 1;
        let flat = Self::flat(&self.params)?;
        let loss = train.loss(&self.net.answer(flat, &train.x));
        all_finite(&[("loss".into(), loss)])?;
        let held_out = validation.loss(&self.net.answer(flat, &validation.x));
        if self.patience.see(self.round, held_out) {
            self.best.copy(&self.params);
        }
        Ok(Some(loss))
    }

    fn beside(&self) -> Option<(&'static str, &dyn Learner)> {
        self.central.as_deref().map(|central| ("the same, trained centrally", central))
    }

    fn report(&self) -> Value {
        let mut counts = self.counts();
        counts.retain(|n| *n > 0);
        counts.sort_unstable();
        let Config { client_share, local_epochs, proximal, secure_aggregation, .. } = self.config;
        json!({"federated": {
            "clients": counts.len(),
            "rows": [counts.first(), counts.get(counts.len() / 2), counts.last()],
            "rounds": self.round,
            "client_share": client_share,
            "local_epochs": local_epochs,
            "proximal": proximal,
            "secure_aggregation": secure_aggregation,
            "central_epochs": self.central.as_ref().map(|central| central.step()),
        }})
    }

    fn save(&self) -> Saved {
        let mut tensors: Vec<_> = self.params.named().map(|(name, t)| (name.to_owned(), t)).collect();
        tensors.push(("best".into(), self.best.flat.shallow_clone()));
        let central = self.central.as_ref().map(|central| central.save());
        let state = json!({
            "regime": "federated",
            "round": self.round,
            "patience": self.patience.save(),
            "size": self.net.size,
            "central": central.as_ref().map(|saved| &saved.state),
        });
        tensors.extend(central.into_iter().flat_map(|saved| saved.within("central").tensors));
        Saved { tensors, state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (round, size): (u64, [f64; 2]) = (saved.part("round")?, saved.part("size")?);
        let best = self.params.fitting(saved, "best", &self.best.flat)?;
        if let Some(central) = &mut self.central {
            central.load(&saved.inside("central"))?;
        }
        self.params.load_weights(saved)?;
        tch::no_grad(|| self.best.flat.copy_(&best));
        self.patience.load(&saved.state["patience"]);
        (self.round, self.net.size) = (round, size);
        Ok(())
    }
}
