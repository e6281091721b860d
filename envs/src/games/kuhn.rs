//! Kuhn poker (Kuhn 1950): three cards, an ante of 1, one bet of 1. Worth −1/18 to the first player.
//!
//! Actions: pass (check or fold), bet (or call). Chance: the card dealt, first to the first player.

use agon_core::env::ensure;
use agon_core::game::{Action, mix};
use agon_core::{EnvError, Game, GameSpec, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct KuhnSettings {}
}

#[derive(Clone)]
pub struct Kuhn {
    spec: GameSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// 1 + card, 0 before the deal.
    cards: [u8; 2],
    /// Bets as bits, and how many.
    bets: u8,
    plies: u8,
}

const BET: Action = 1;

impl State {
    fn dealt(&self) -> bool {
        self.cards[1] != 0
    }

    fn bet(&self, ply: u8) -> bool {
        self.bets >> ply & 1 == 1
    }

    /// Two of a kind end the betting, and so does any answer to a bet; a bet after a pass does not.
    fn over(&self) -> bool {
        self.plies == 3 || self.plies == 2 && (self.bet(0) || !self.bet(1))
    }

    fn history(&self) -> String {
        (0..self.plies).map(|ply| if self.bet(ply) { 'b' } else { 'p' }).collect()
    }
}

impl Game for Kuhn {
    type Settings = KuhnSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(_: KuhnSettings) -> Result<Self, EnvError> {
        let mut spec = GameSpec::board(["first", "second"], 2, vec![11], 3);
        (spec.hidden, spec.chance, spec.returns) = (true, true, [-2.0, 2.0]);
        Ok(Self { spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        *state = State::default();
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let [first, second] = state.cards;
        ensure(first <= 3 && second <= 3 && (second == 0 || first != 0), "a card is none, or dealt too early")?;
        ensure(second == 0 || first != second, "both players hold the same card")?;
        let bets = u32::from(state.bets);
        ensure(state.plies <= 3 && bets < 1 << state.plies, "there are too many bets")?;
        ensure(state.plies == 0 || state.dealt(), "a bet was made before the deal")?;
        ensure(state.plies < 3 || !state.bet(0) && state.bet(1), "the betting goes on after its end")
    }

    fn turn(&self, state: &State) -> Turn {
        match state.dealt() {
            false => Turn::Chance,
            true if state.over() => Turn::Over,
            true => Turn::Player(usize::from(state.plies) % 2),
        }
    }

    fn moves(&self, state: &State, each: impl FnMut(Action)) {
        if matches!(self.turn(state), Turn::Player(_)) {
            (0..2).for_each(each);
        }
    }

    fn chance(&self, state: &State, mut each: impl FnMut(Action, f64)) {
        if !state.dealt() {
            let left = if state.cards[0] == 0 { 3.0 } else { 2.0 };
            (0..3).filter(|c| state.cards[0] != *c as u8 + 1).for_each(|c| each(c, 1.0 / left));
        }
    }

    fn play(&self, state: &mut State, action: Action) {
        if !state.dealt() {
            state.cards[usize::from(state.cards[0] != 0)] = action as u8 + 1;
        } else {
            state.bets |= u8::from(action == BET) << state.plies;
            state.plies += 1;
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if state.dealt() && state.over() {
            let called = state.bets.count_ones() == 2;
            let winner = match state.bets.count_ones() {
                1 => usize::from(!state.bet(0)), // the other folded: the first bet in ply 0, the second in ply 1
                _ => usize::from(state.cards[1] > state.cards[0]),
            };
            let stake = if called { 2.0 } else { 1.0 };
            returns[winner] = stake;
            returns[1 - winner] = -stake;
        }
    }

    fn hash(&self, state: &State) -> u64 {
        mix(0, u64::from_le_bytes([state.cards[0], state.cards[1], state.bets, state.plies, 0, 0, 0, 0]))
    }

    /// Seat (2), own card (3), then for each of three plies: passed, bet.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[player] = 1.0;
        if state.cards[player] != 0 {
            obs[1 + usize::from(state.cards[player])] = 1.0;
        }
        for ply in 0..state.plies {
            obs[5 + 2 * usize::from(ply) + usize::from(state.bet(ply))] = 1.0;
        }
    }

    fn information_state(&self, state: &State, player: usize) -> String {
        format!("{}{}", ["?", "J", "Q", "K"][usize::from(state.cards[player])], state.history())
    }

    fn write(&self, state: &State, action: Action) -> String {
        let facing = state.plies > 0 && state.bet(state.plies - 1);
        match (action == BET, facing) {
            (true, false) => "bet",
            (true, true) => "call",
            (false, false) => "check",
            (false, true) => "fold",
        }
        .into()
    }

    fn text(&self, state: &State) -> String {
        let [first, second] = state.cards.map(|c| ["?", "J", "Q", "K"][usize::from(c)]);
        format!("first {first}  second {second}  betting {}", state.history())
    }
}
