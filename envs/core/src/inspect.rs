//! What evaluation, replay and people need of an environment, and stepping does not.

use crate::action::ActionsMut;
use crate::env::{Env, Measure};
use crate::game::Position;
use crate::model::Model;
use crate::scene::Scene;

/// The hooks that only evaluation, replay and people need. An [`Env`] has them among its own methods; a batch with
/// storage of its own ([`crate::batch::States`]) implements them here, or leaves what it lacks.
pub trait Inspect {
    /// One environment's state.
    type State;

    /// See [`Env::offers`].
    fn offers(&self, _player: usize) -> Result<(), String> {
        Ok(())
    }

    /// See [`Env::play`].
    fn play(&self, _player: usize, _state: &Self::State, _actions: ActionsMut<'_>) {}

    /// See [`Env::settle`].
    fn settle(&self, _state: &Self::State, _actions: ActionsMut<'_>) {}

    /// See [`Env::optimum`].
    fn optimum(&self) -> Option<f64> {
        None
    }

    /// See [`Env::bound`].
    fn bound(&self) -> Option<f64> {
        None
    }

    /// See [`Model::of`].
    fn model(&self, _most_states: usize) -> Result<Model, String> {
        Err("it does not give its transition probabilities".into())
    }

    /// What [`Inspect::measure`] writes; it may depend on the settings.
    fn measures(&self) -> &[Measure] {
        &[]
    }

    /// See [`Env::measure`].
    fn measure(&self, _state: &Self::State, _out: &mut [f64]) {}

    /// Draws a state.
    fn draw(&self, _state: &Self::State, _scene: &mut Scene) {}

    /// See [`Env::position`].
    fn position(&self, _state: &Self::State) -> Option<Position> {
        None
    }
}

impl<E: Env> Inspect for E {
    type State = E::State;

    fn offers(&self, player: usize) -> Result<(), String> {
        Env::offers(self, player)
    }

    fn play(&self, player: usize, state: &E::State, actions: ActionsMut<'_>) {
        Env::play(self, player, state, actions);
    }

    fn settle(&self, state: &E::State, actions: ActionsMut<'_>) {
        Env::settle(self, state, actions);
    }

    fn optimum(&self) -> Option<f64> {
        Env::optimum(self)
    }

    fn bound(&self) -> Option<f64> {
        Env::bound(self)
    }

    fn model(&self, most_states: usize) -> Result<Model, String> {
        Model::of(self, most_states)
    }

    fn measures(&self) -> &[Measure] {
        E::MEASURES
    }

    fn measure(&self, state: &E::State, out: &mut [f64]) {
        Env::measure(self, state, out);
    }

    fn draw(&self, state: &E::State, scene: &mut Scene) {
        Env::draw(self, state, scene);
    }

    fn position(&self, state: &E::State) -> Option<Position> {
        Env::position(self, state)
    }
}
