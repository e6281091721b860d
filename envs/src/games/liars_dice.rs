//! Liar's dice for two: both roll in secret, bids on how many dice show a face must rise, until someone calls liar.
//! The highest face is wild. The bidder wins if at least that many dice match, else the caller.
//!
//! Actions: bid (quantity − 1) × sides + face − 1, then liar. Chance: a die's face − 1, the first player's dice first.

use agon_core::env::ensure;
use agon_core::game::{Action, mix};
use agon_core::{EnvError, Game, GameSpec, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct LiarsDiceSettings {
        /// Dice of each player.
        dice: usize = 1, in [1.0, 5.0];
        /// Sides of a die.
        sides: usize = 6, in [2.0, 6.0];
    }
}

#[derive(Clone)]
pub struct LiarsDice {
    dice: usize,
    sides: usize,
    spec: GameSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// How many dice of each player show each face.
    shown: [[u8; 6]; 2],
    rolled: u8,
    /// Bids made, as bits; the last is the highest.
    bids: u64,
    over: bool,
}

impl LiarsDice {
    fn liar(&self) -> Action {
        (2 * self.dice * self.sides) as Action
    }

    fn bid(&self, action: Action) -> (usize, usize) {
        (usize::from(action) / self.sides + 1, usize::from(action) % self.sides)
    }

    fn last(state: &State) -> Option<Action> {
        state.bids.checked_ilog2().map(|b| b as Action)
    }

    /// Who made the last bid, and whether it holds.
    fn verdict(&self, state: &State) -> Option<(usize, bool)> {
        let (quantity, face) = self.bid(Self::last(state)?);
        let wild = self.sides - 1;
        let count = |face: usize| usize::from(state.shown[0][face] + state.shown[1][face]);
        let matches = count(wild) + if face == wild { 0 } else { count(face) };
        Some(((state.bids.count_ones() as usize + 1) % 2, matches >= quantity))
    }

    fn own(&self, state: &State, player: usize) -> String {
        let faces = (0..self.sides).flat_map(|f| std::iter::repeat_n(f + 1, usize::from(state.shown[player][f])));
        faces.map(|f| f.to_string()).collect()
    }

    fn history(&self, state: &State) -> String {
        let bids = (0..self.liar()).filter(|b| state.bids >> b & 1 == 1);
        let mut words: Vec<String> = bids.map(|b| self.write(state, b)).collect();
        if state.over {
            words.push("liar".into());
        }
        words.join(" ")
    }
}

impl Game for LiarsDice {
    type Settings = LiarsDiceSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: LiarsDiceSettings) -> Result<Self, EnvError> {
        let bids = 2 * set.dice * set.sides;
        let (seats, length) = (["first", "second"], 2 + set.sides + bids);
        let mut spec = GameSpec::board(seats, bids + 1, vec![length], bids as u32 + 1);
        (spec.hidden, spec.chance) = (true, true);
        Ok(Self { dice: set.dice, sides: set.sides, spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        *state = State::default();
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let rolled = usize::from(state.rolled);
        ensure(rolled <= 2 * self.dice, "more dice were rolled than there are")?;
        for (shown, dice) in state.shown.iter().zip([rolled.min(self.dice), rolled.saturating_sub(self.dice)]) {
            let sum = shown.iter().map(|n| usize::from(*n)).sum::<usize>();
            let possible = sum == dice && shown[self.sides..].iter().all(|n| *n == 0);
            ensure(possible, "the faces shown are not those of the dice rolled")?;
        }
        ensure(state.bids >> self.liar() == 0, "a bid is higher than there can be")?;
        ensure(state.bids == 0 || rolled == 2 * self.dice, "a bid was made before the dice were rolled")?;
        ensure(!state.over || state.bids != 0, "there was no bid to call a lie")
    }

    fn turn(&self, state: &State) -> Turn {
        if usize::from(state.rolled) < 2 * self.dice {
            Turn::Chance
        } else if state.over {
            Turn::Over
        } else {
            Turn::Player(state.bids.count_ones() as usize % 2)
        }
    }

    fn moves(&self, state: &State, each: impl FnMut(Action)) {
        if let Turn::Player(_) = self.turn(state) {
            match Self::last(state) {
                None => (0..self.liar()).for_each(each),
                Some(last) => (last + 1..=self.liar()).for_each(each),
            }
        }
    }

    fn chance(&self, state: &State, mut each: impl FnMut(Action, f64)) {
        if self.turn(state) == Turn::Chance {
            (0..self.sides as Action).for_each(|face| each(face, 1.0 / self.sides as f64));
        }
    }

    fn play(&self, state: &mut State, action: Action) {
        if self.turn(state) == Turn::Chance {
            state.shown[usize::from(state.rolled) / self.dice][usize::from(action)] += 1;
            state.rolled += 1;
        } else if action == self.liar() {
            state.over = true;
        } else {
            state.bids |= 1 << action;
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if let Some((bidder, holds)) = self.verdict(state).filter(|_| state.over) {
            let winner = if holds { bidder } else { 1 - bidder };
            returns[winner] = 1.0;
            returns[1 - winner] = -1.0;
        }
    }

    fn hash(&self, state: &State) -> u64 {
        let dice = state.shown.as_flattened().iter().fold(0, |h, n| h << 3 | u64::from(*n));
        mix(mix(0, state.bids), dice << 8 | u64::from(state.rolled) << 1 | u64::from(state.over))
    }

    /// Seat (2), own dice by face, every bid that was made.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[player] = 1.0;
        (0..self.sides).for_each(|f| obs[2 + f] = f32::from(state.shown[player][f]));
        let bids = &mut obs[2 + self.sides..];
        bids.iter_mut().enumerate().for_each(|(b, x)| *x = (state.bids >> b & 1) as f32);
    }

    fn information_state(&self, state: &State, player: usize) -> String {
        format!("{}: {}", self.own(state, player), self.history(state))
    }

    /// Quantity and face.
    fn write(&self, _: &State, action: Action) -> String {
        if action == self.liar() {
            return "liar".into();
        }
        let (quantity, face) = self.bid(action);
        format!("{quantity}-{}", face + 1)
    }

    fn text(&self, state: &State) -> String {
        let [first, second] = [0, 1].map(|p| self.own(state, p));
        format!("first {first}  second {second}  bids {}", self.history(state))
    }
}
