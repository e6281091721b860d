//! Leduc poker (Southey et al. 2005): six cards of three ranks, an ante of 1, two rounds of betting with raises of 2
//! and 4, at most two raises a round, a common card between the rounds. A pair with it wins, else the higher rank.
//!
//! Actions: fold, call (or check), raise. Chance: the card, 0 to 5; its rank is half of it. Folding is legal only
//! against a raise. Worth −0.0856064 to the first player.

use agon_core::env::ensure;
use agon_core::game::{Action, mix, moves, start};
use agon_core::{EnvError, Game, GameSpec, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct LeducSettings {}
}

#[derive(Clone)]
pub struct Leduc {
    spec: GameSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// 1 + card, 0 before the deal: the players' and the common one.
    cards: [u8; 3],
    /// What each player has put in.
    paid: [u8; 2],
    /// All moves of both rounds in base 4, 1 + action each, and how many of each round.
    line: u32,
    plies: [u8; 2],
    raises: u8,
    mover: u8,
    round: u8,
    folded: bool,
    over: bool,
}

const FOLD: Action = 0;
const CALL: Action = 1;
const RAISE: Action = 2;
const RAISES: usize = 2;
/// Check, raise, raise, call.
const LONGEST: usize = 4;

impl State {
    /// Whose card is next: a player's, or the common one.
    fn missing(&self) -> Option<usize> {
        let wanted = if self.round == 0 { 2 } else { 3 };
        self.cards[..wanted].iter().position(|c| *c == 0)
    }

    fn rank(&self, who: usize) -> Option<usize> {
        (self.cards[who] > 0).then(|| usize::from(self.cards[who] - 1) / 2)
    }

    /// Better hands have greater numbers.
    fn strength(&self, player: usize) -> usize {
        let rank = self.rank(player).unwrap_or(0);
        if self.rank(2) == Some(rank) { 3 + rank } else { rank }
    }

    fn line(&self) -> Vec<usize> {
        let plies = usize::from(self.plies[0] + self.plies[1]);
        (0..plies).map(|i| (self.line >> (2 * (plies - 1 - i)) & 3) as usize - 1).collect()
    }

    fn history(&self) -> String {
        let mut text: String = self.line().iter().map(|a| ['f', 'c', 'r'][*a]).collect();
        if self.round == 1 {
            text.insert(usize::from(self.plies[0]), '/');
        }
        text
    }
}

impl Game for Leduc {
    type Settings = LeducSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(_: LeducSettings) -> Result<Self, EnvError> {
        let mut spec = GameSpec::board(["first", "second"], 3, vec![2 + 3 + 3 + 2 * LONGEST * 2], 2 * LONGEST as u32);
        (spec.hidden, spec.chance, spec.returns) = (true, true, [-13.0, 13.0]);
        Ok(Self { spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        *state = State { paid: [1, 1], ..State::default() };
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let plies = state.plies.iter().map(|n| usize::from(*n)).sum::<usize>();
        ensure(plies <= 2 * LONGEST && state.line >> (2 * plies) == 0, "there are more moves than a game has")?;
        // The game told by the cards and the moves, from its beginning.
        let (mut told, mut left) = (start(self), plies);
        loop {
            match self.turn(&told) {
                Turn::Chance => {
                    let card = told.missing().map_or(0, |next| state.cards[next]);
                    if card == 0 {
                        break;
                    }
                    ensure(card <= 6 && !told.cards.contains(&card), "a card is none, or dealt twice")?;
                    self.play(&mut told, Action::from(card) - 1);
                }
                Turn::Player(_) if left > 0 => {
                    left -= 1;
                    let action = (state.line >> (2 * left) & 3) as Action;
                    let legal = moves(self, &told).contains(&action.wrapping_sub(1));
                    ensure(legal, "a move of its line is not legal")?;
                    self.play(&mut told, action - 1);
                }
                _ => break,
            }
        }
        ensure(told == *state, "the state is not what its cards and moves lead to")
    }

    fn turn(&self, state: &State) -> Turn {
        match state.missing() {
            _ if state.over => Turn::Over,
            Some(_) => Turn::Chance,
            None => Turn::Player(usize::from(state.mover)),
        }
    }

    fn moves(&self, state: &State, mut each: impl FnMut(Action)) {
        if let Turn::Player(p) = self.turn(state) {
            if state.paid[p] < state.paid[1 - p] {
                each(FOLD);
            }
            each(CALL);
            if usize::from(state.raises) < RAISES {
                each(RAISE);
            }
        }
    }

    fn chance(&self, state: &State, mut each: impl FnMut(Action, f64)) {
        if let Some(next) = state.missing().filter(|_| !state.over) {
            let left = 6.0 - next as f64;
            (0..6).filter(|c| !state.cards.contains(&(*c as u8 + 1))).for_each(|c| each(c, 1.0 / left));
        }
    }

    fn play(&self, state: &mut State, action: Action) {
        if let Some(next) = state.missing() {
            state.cards[next] = action as u8 + 1;
            return;
        }
        let (mover, round) = (usize::from(state.mover), usize::from(state.round));
        state.line = state.line << 2 | (u32::from(action) + 1);
        state.plies[round] += 1;
        state.mover ^= 1;
        match action {
            FOLD => (state.folded, state.over) = (true, true),
            CALL => {
                state.paid[mover] = state.paid[1 - mover];
                // A round ends with a call, but not with the first check.
                if state.plies[round] > 1 {
                    if round == 1 {
                        state.over = true;
                    } else {
                        (state.round, state.raises, state.mover) = (1, 0, 0);
                    }
                }
            }
            _ => {
                state.paid[mover] = state.paid[1 - mover] + if round == 0 { 2 } else { 4 };
                state.raises += 1;
            }
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if state.over {
            let order = state.strength(0).cmp(&state.strength(1));
            let winner = match order {
                _ if state.folded => usize::from(state.mover),
                std::cmp::Ordering::Greater => 0,
                std::cmp::Ordering::Less => 1,
                std::cmp::Ordering::Equal => return,
            };
            let stake = f32::from(state.paid[1 - winner]);
            returns[winner] = stake;
            returns[1 - winner] = -stake;
        }
    }

    fn hash(&self, state: &State) -> u64 {
        let cards = state.cards.iter().fold(0, |h, c| h << 8 | u64::from(*c));
        mix(mix(0, cards << 8 | u64::from(state.round)), u64::from(state.line))
    }

    /// Seat (2), own rank (3), common rank (3), then for each ply of both rounds: called, raised.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[player] = 1.0;
        for (who, at) in [(player, 2), (2, 5)] {
            if let Some(rank) = state.rank(who) {
                obs[at + rank] = 1.0;
            }
        }
        let plies = usize::from(state.plies[0] + state.plies[1]);
        for i in 0..plies {
            let action = (state.line >> (2 * (plies - 1 - i)) & 3) as usize - 1;
            let second = i >= usize::from(state.plies[0]);
            let ply = if second { LONGEST + i - usize::from(state.plies[0]) } else { i };
            if action > 0 {
                obs[8 + 2 * ply + action - 1] = 1.0;
            }
        }
    }

    fn information_state(&self, state: &State, player: usize) -> String {
        let rank = |who| state.rank(who).map_or("", |r| ["J", "Q", "K"][r]);
        format!("{}{} {}", rank(player), rank(2), state.history())
    }

    fn write(&self, state: &State, action: Action) -> String {
        let facing = state.paid[0] != state.paid[1];
        match (action, facing) {
            (FOLD, _) => "fold",
            (CALL, true) => "call",
            (CALL, false) => "check",
            _ => "raise",
        }
        .into()
    }

    fn text(&self, state: &State) -> String {
        let [first, second, common] = [0, 1, 2].map(|who| state.rank(who).map_or("?", |r| ["J", "Q", "K"][r]));
        let [a, b] = state.paid;
        format!("first {first} ({a})  second {second} ({b})  common {common}  betting {}", state.history())
    }
}
