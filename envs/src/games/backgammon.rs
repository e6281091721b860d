//! Backgammon without the doubling cube. Numbering of actions and chance is OpenSpiel's.
//!
//! Both players are stored as if they moved from 1 to 24 and off, the bar being 0; sets of points are bits, so that the
//! sources of a die are three operations. A move uses two dice; doubles are two such moves in a row.
//!
//! Actions: first + 26 × second + 676 if the lower die is played first. A part is the point it starts from, counted
//! from 0 as X sees it, 24 for the bar, 25 for none. Chance: 30 mixed rolls, each pair of dice in both orders, then 6
//! doubles; the first roll is mixed and tells who begins: even ones X, odd ones O.

use super::board::{Ones, nth_one};
use agon_core::env::ensure;
use agon_core::game::{Action, mix, start};
use agon_core::{EnvError, Game, GameSpec, Rng, Turn};
use serde::{Deserialize, Serialize};

agon_core::choices! {
    /// What a win is worth.
    pub enum Scoring { Win = "win", Gammons = "gammons", Full = "full" }
}

agon_core::settings! {
    pub struct BackgammonSettings {
        /// Whether a win is worth 1, up to 2 (gammons) or up to 3 (backgammons).
        scoring: Scoring = Scoring::Win;
        /// Moves after which an episode is truncated.
        step_limit: u32 = 2000, in [1.0, 1e9];
    }
}

#[derive(Clone)]
pub struct Backgammon {
    scoring: Scoring,
    spec: GameSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Checkers by player and point, its bar first.
    points: [[u8; 25]; 2],
    off: [u8; 2],
    /// Lower, higher; 0 before the roll.
    dice: [u8; 2],
    mover: u8,
    /// Whether this is the second half of a double.
    again: bool,
    opening: bool,
}

const ROLLS: [[u8; 2]; 21] = [
    [1, 2],
    [1, 3],
    [1, 4],
    [1, 5],
    [1, 6],
    [2, 3],
    [2, 4],
    [2, 5],
    [2, 6],
    [3, 4],
    [3, 5],
    [3, 6],
    [4, 5],
    [4, 6],
    [5, 6],
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
    [5, 5],
    [6, 6],
];
const MIXED: Action = 30;
const CHECKERS: u8 = 15;
/// The bar and all points outside the home board.
const OUTSIDE: u32 = (1 << 19) - 1;
const BAR: usize = 24;
const NONE: usize = 25;
const LOWER_FIRST: Action = 676;

/// The mover's view: where it has checkers, how many, and where the other holds a point.
struct Side<'a> {
    own: &'a [u8; 25],
    held: u32,
    blocked: u32,
}

/// The points from which a checker can move by `die`.
#[inline]
fn sources(held: u32, blocked: u32, die: u32) -> u32 {
    if held & 1 == 1 {
        return !(blocked >> die) & 1;
    }
    let exact = 1 << (25 - die);
    let mut from = held & !(blocked >> die) & (exact - 1);
    if held & OUTSIDE == 0 {
        from |= held & exact;
        // From behind the exact point only the rearmost checker may leave.
        if held & (exact - 1) == 0 {
            from |= held & held.wrapping_neg();
        }
    }
    from
}

impl Side<'_> {
    fn of(state: &State) -> Side<'_> {
        let set = |points: &[u8; 25], least: u8| {
            points.iter().enumerate().fold(0, |set, (i, n)| set | u32::from(*n >= least) << i)
        };
        let [own, other] = [usize::from(state.mover), 1 - usize::from(state.mover)].map(|p| &state.points[p]);
        // The other's point i is 25 − i here; its bar is no point.
        let blocked = (set(other, 2) & !1).reverse_bits() >> 6;
        Side { own, held: set(own, 1), blocked }
    }

    /// The sources of the second die after the first moved a checker.
    #[inline]
    fn then(&self, from: u32, first: u32, second: u32) -> u32 {
        let to = from + first;
        let left = if self.own[from as usize] == 1 { self.held & !(1 << from) } else { self.held };
        sources(if to < 25 { left | 1 << to } else { left }, self.blocked, second)
    }

    /// Calls `each` with die order, first source and the set of second sources (0 where only one die can be used);
    /// if it never does, the mover must pass.
    #[inline]
    fn lines(&self, dice: [u8; 2], mut each: impl FnMut(bool, u32, u32)) {
        let [low, high] = dice.map(u32::from);
        let orders = [(false, high, low), (true, low, high)];
        let orders = &orders[..if low == high { 1 } else { 2 }];
        let mut both = false;
        for &(lower_first, first, second) in orders {
            for from in Ones(sources(self.held, self.blocked, first).into()) {
                let next = self.then(from, first, second);
                if next != 0 {
                    both = true;
                    each(lower_first, from, next);
                }
            }
        }
        if !both {
            // One die only: the higher if it can be used.
            for &(lower_first, first, _) in orders {
                let from = sources(self.held, self.blocked, first);
                if from != 0 {
                    return Ones(from.into()).for_each(|from| each(lower_first, from, 0));
                }
            }
        }
    }
}

impl Backgammon {
    /// A part of an action from a source.
    fn part(mover: usize, from: u32) -> usize {
        match from as usize {
            0 => BAR,
            point if mover == 0 => point - 1,
            point => 24 - point,
        }
    }

    /// The source from a part of an action.
    fn source(mover: usize, part: usize) -> usize {
        match part {
            BAR => 0,
            point if mover == 0 => point + 1,
            point => 24 - point,
        }
    }

    fn action(mover: usize, lower_first: bool, first: u32, second: Option<u32>) -> Action {
        let second = second.map_or(NONE, |s| Self::part(mover, s));
        let order = if lower_first { LOWER_FIRST } else { 0 };
        (Self::part(mover, first) + 26 * second) as Action + order
    }

    /// Sources and dice of an action, in order.
    fn steps(state: &State, action: Action) -> [Option<(usize, usize)>; 2] {
        let [low, high] = state.dice.map(usize::from);
        let dice = if action < LOWER_FIRST { [high, low] } else { [low, high] };
        let parts = [usize::from(action % LOWER_FIRST) % 26, usize::from(action % LOWER_FIRST) / 26];
        [0, 1].map(|i| (parts[i] != NONE).then(|| (Self::source(usize::from(state.mover), parts[i]), dice[i])))
    }

    fn winner(state: &State) -> Option<usize> {
        state.off.iter().position(|n| *n == CHECKERS)
    }
}

impl Game for Backgammon {
    type Settings = BackgammonSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: BackgammonSettings) -> Result<Self, EnvError> {
        let mut spec = GameSpec::board(["x", "o"], 2 * 676, vec![200], set.step_limit);
        spec.chance = true;
        let most = match set.scoring {
            Scoring::Win => 1.0,
            Scoring::Gammons => 2.0,
            Scoring::Full => 3.0,
        };
        spec.returns = [-most, most];
        Ok(Self { scoring: set.scoring, spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        *state = State { opening: true, ..State::default() };
        for points in &mut state.points {
            (points[1], points[12], points[17], points[19]) = (2, 5, 3, 5);
        }
    }

    fn check(&self, state: &State) -> Result<(), String> {
        for (points, off) in state.points.iter().zip(state.off) {
            let checkers = points.iter().map(|n| u32::from(*n)).sum::<u32>() + u32::from(off);
            ensure(checkers == u32::from(CHECKERS), "a player does not have 15 checkers")?;
        }
        let [x, o] = &state.points;
        ensure((1..=24).all(|i| x[i] == 0 || o[25 - i] == 0), "both players hold a point")?;
        ensure(state.off != [CHECKERS; 2], "both players have won")?;
        ensure(state.mover <= 1, "`mover` is neither player")?;
        ensure(state.dice == [0; 2] || ROLLS.contains(&state.dice), "`dice` is no roll, the lower die first")?;
        let doubles = state.dice[0] != 0 && state.dice[0] == state.dice[1];
        ensure(!state.again || doubles, "`again` needs a double")?;
        ensure(!state.opening || *state == start(self), "`opening` is only true at the beginning")
    }

    #[inline]
    fn turn(&self, state: &State) -> Turn {
        if Self::winner(state).is_some() {
            Turn::Over
        } else if state.dice[0] == 0 {
            Turn::Chance
        } else {
            Turn::Player(usize::from(state.mover))
        }
    }

    fn moves(&self, state: &State, mut each: impl FnMut(Action)) {
        let Turn::Player(mover) = self.turn(state) else { return };
        let mut none = true;
        Side::of(state).lines(state.dice, |lower_first, first, next| {
            none = false;
            if next == 0 {
                each(Self::action(mover, lower_first, first, None));
            }
            Ones(next.into()).for_each(|second| each(Self::action(mover, lower_first, first, Some(second))));
        });
        if none {
            // Neither die is played, which OpenSpiel counts as the lower first.
            each((NONE + 26 * NONE) as Action + LOWER_FIRST);
        }
    }

    #[inline]
    fn random_move(&self, state: &State, rng: &mut Rng) -> Action {
        let mover = usize::from(state.mover);
        let mut list = [(false, 0u32, 0u32); 32];
        let (mut lines, mut count) = (0, 0);
        Side::of(state).lines(state.dice, |lower_first, first, next| {
            list[lines] = (lower_first, first, next);
            lines += 1;
            count += next.count_ones().max(1);
        });
        if count == 0 {
            return (NONE + 26 * NONE) as Action + LOWER_FIRST;
        }
        let mut pick = rng.below(count);
        for &(lower_first, first, next) in &list[..lines] {
            let here = next.count_ones().max(1);
            if pick < here {
                let second = (next != 0).then(|| nth_one(next.into(), pick));
                return Self::action(mover, lower_first, first, second);
            }
            pick -= here;
        }
        unreachable!("the pick is below the count")
    }

    fn chance(&self, state: &State, mut each: impl FnMut(Action, f64)) {
        if self.turn(state) == Turn::Chance {
            let rolls = if state.opening { MIXED } else { 36 };
            (0..rolls).for_each(|roll| each(roll, 1.0 / f64::from(rolls)));
        }
    }

    #[inline]
    fn roll(&self, state: &State, rng: &mut Rng) -> Action {
        rng.below(if state.opening { MIXED.into() } else { 36 }) as Action
    }

    #[inline]
    fn play(&self, state: &mut State, action: Action) {
        if state.dice[0] == 0 {
            let roll = if action < MIXED { action / 2 } else { action - MIXED / 2 };
            state.mover = if state.opening { (action % 2) as u8 } else { 1 - state.mover };
            state.opening = false;
            state.dice = ROLLS[usize::from(roll)];
            return;
        }
        let (mover, mut used) = (usize::from(state.mover), 0);
        for (from, die) in Self::steps(state, action).into_iter().flatten() {
            state.points[mover][from] -= 1;
            let to = from + die;
            if to > 24 {
                state.off[mover] += 1;
            } else {
                state.points[mover][to] += 1;
                let hit = &mut state.points[1 - mover][25 - to];
                if *hit == 1 {
                    *hit = 0;
                    state.points[1 - mover][0] += 1;
                }
            }
            used += 1;
        }
        state.again = !state.again && state.dice[0] == state.dice[1] && used == 2;
        if !state.again {
            state.dice = [0; 2];
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if let Some(winner) = Self::winner(state) {
            let loser = 1 - winner;
            let gammon = state.off[loser] == 0;
            // In the winner's home board the loser's points are 1 to 6.
            let backgammon = gammon && state.points[loser][..=6].iter().any(|n| *n > 0);
            let worth = match self.scoring {
                Scoring::Win => 1.0,
                Scoring::Gammons => 1.0 + f32::from(u8::from(gammon)),
                Scoring::Full => 1.0 + f32::from(u8::from(gammon)) + f32::from(u8::from(backgammon)),
            };
            returns[winner] = worth;
            returns[loser] = -worth;
        }
    }

    /// The lead in the race, in hundreds of pips.
    fn estimate(&self, state: &State, player: usize) -> f32 {
        let pips = |p: usize| (0..25).map(|i| f32::from(state.points[p][i]) * (25 - i) as f32).sum::<f32>();
        ((pips(1 - player) - pips(player)) / 100.0).clamp(-0.9, 0.9)
    }

    fn hash(&self, state: &State) -> u64 {
        let points = state.points.as_flattened().chunks(8);
        let hash = points.fold(0, |h, c| mix(h, c.iter().fold(0, |w, n| w << 8 | u64::from(*n))));
        let [low, high] = state.dice;
        mix(hash, u64::from_le_bytes([low, high, state.mover, state.again.into(), state.opening.into(), 0, 0, 0]))
    }

    /// Tesauro's encoding (1992): for each point as the player moves, four numbers of its own checkers (1, 2, 3 or
    /// more, half of those beyond three) and four of the other's; then for the player and the other: bar, off, to
    /// move; then the dice.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        let unit = |n: u8| [n == 1, n == 2, n >= 3].map(|b| f32::from(u8::from(b)));
        let [own, other] = [player, 1 - player].map(|p| &state.points[p]);
        for (i, point) in obs[..192].chunks_exact_mut(8).enumerate() {
            for (half, n) in point.chunks_exact_mut(4).zip([own[i + 1], other[24 - i]]) {
                half[..3].copy_from_slice(&unit(n));
                half[3] = f32::from(n.saturating_sub(3)) / 2.0;
            }
        }
        for (s, who) in [player, 1 - player].into_iter().enumerate() {
            let moves = self.turn(state) == Turn::Player(who);
            obs[192 + 3 * s] = f32::from(state.points[who][0]) / 2.0;
            obs[193 + 3 * s] = f32::from(state.off[who]) / 15.0;
            obs[194 + 3 * s] = f32::from(u8::from(moves));
        }
        obs[198..].copy_from_slice(&state.dice.map(|d| f32::from(d) / 6.0));
    }

    /// As players do, each from its own side: `13/7 8/7`, `bar/20*`, `6/off`, `pass`.
    fn write(&self, state: &State, action: Action) -> String {
        let other = &state.points[1 - usize::from(state.mover)];
        let step = |(from, die): (usize, usize)| {
            let name = |at: usize| match at {
                0 => "bar".to_owned(),
                at if at > 24 => "off".to_owned(),
                at => (25 - at).to_string(),
            };
            let hit = if from + die < 25 && other[25 - from - die] == 1 { "*" } else { "" };
            format!("{}/{}{hit}", name(from), name(from + die))
        };
        let steps: Vec<String> = Self::steps(state, action).into_iter().flatten().map(step).collect();
        if steps.is_empty() { "pass".into() } else { steps.join(" ") }
    }

    fn text(&self, state: &State) -> String {
        let column = |point: usize| match [state.points[0][point], state.points[1][25 - point]] {
            [0, 0] => "  .".into(),
            [n, 0] => format!("{n:>2}x"),
            [_, n] => format!("{n:>2}o"),
        };
        let row = |points: &mut dyn Iterator<Item = usize>| points.map(column).collect::<String>();
        let [bar, off] = [[state.points[0][0], state.points[1][0]], state.off];
        let [low, high] = state.dice;
        format!(
            "{}\n{}\nbar x {} o {}  off x {} o {}  dice {low} {high}",
            row(&mut (13..=24)),
            row(&mut (1..=12).rev()),
            bar[0],
            bar[1],
            off[0],
            off[1],
        )
    }
}
