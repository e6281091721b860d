//! A walk over slippery ice to a goal between holes, in the form of Gymnasium's `FrozenLake-v1`. The simplest
//! environment here: one to copy.
//!
//! Observation: the cell, as as many numbers as there are cells, 1 for the one stood on. Action: left, down, right, up.
//! On slippery ice a step goes where it is meant to, or to either side of that, with a third each; at the border nothing
//! moves. Reward 1 at the goal. Ends at the goal and in a hole.

use agon_core::env::Each;
use agon_core::env::{Player, Status, ensure};
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, ActionsMut, Env, EnvError, Field, Rng, Spec};
use serde::{Deserialize, Serialize};

agon_core::choices! {
    /// Gymnasium's two maps.
    pub enum Map { Small = "4x4", Large = "8x8" }
}

agon_core::settings! {
    pub struct FrozenLakeSettings {
        /// 4x4 or 8x8.
        map: Map = Map::Small;
        /// A map of one's own instead: a square of rows with one S (start), G (goal), F (ice) and H (holes).
        rows: Vec<String> = Vec::new();
        /// Whether a step may go astray.
        slippery: bool = true;
        /// Steps after which an episode is truncated; Gymnasium's 100 and 200 if left out.
        step_limit: Option<u32> = None, in [1.0, 1e5];
    }
}

const SMALL: [&str; 4] = ["SFFF", "FHFH", "FFFH", "HFFG"];
const LARGE: [&str; 8] =
    ["SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"];

/// Cells of the largest map of one's own.
const MOST_CELLS: usize = 1024;

#[derive(Clone)]
pub struct FrozenLake {
    spec: Spec,
    side: usize,
    /// `[cells]`: S, G, F or H.
    cells: Vec<u8>,
    start: u32,
    slippery: bool,
    /// `[step_limit + 1, cells]`: the best probability of still reaching the goal, by the steps that are left.
    value: Vec<f64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    cell: u32,
    step: u32,
}

impl FrozenLake {
    /// Where a step in a direction leads.
    fn walk(&self, cell: u32, direction: i64) -> u32 {
        let (side, cell) = (self.side as u32, cell);
        let (row, column) = (cell / side, cell % side);
        match direction {
            0 => row * side + column.saturating_sub(1),
            1 => (row + 1).min(side - 1) * side + column,
            2 => row * side + (column + 1).min(side - 1),
            _ => row.saturating_sub(1) * side + column,
        }
    }

    /// The directions that an action may turn out as, all alike.
    fn directions(&self, action: i64) -> impl Iterator<Item = i64> {
        let some = if self.slippery { -1..=1 } else { 0..=0 };
        some.map(move |turn| (action + turn).rem_euclid(4))
    }

    fn is_end(&self, cell: u32) -> bool {
        matches!(self.cells[cell as usize], b'G' | b'H')
    }

    fn reward(&self, cell: u32) -> f64 {
        f64::from(u8::from(self.cells[cell as usize] == b'G'))
    }

    /// What an action is worth with `left` more steps after it.
    fn worth(&self, left: usize, cell: u32, action: i64) -> f64 {
        let after = &self.value[left * self.cells.len()..];
        let (mut sum, mut ways) = (0.0, 0.0);
        for next in self.directions(action).map(|d| self.walk(cell, d)) {
            sum += if self.is_end(next) { self.reward(next) } else { after[next as usize] };
            ways += 1.0;
        }
        sum / ways
    }

    /// Backward induction over the steps that are left.
    fn plan(&mut self) {
        let (limit, cells) = (self.spec.step_limit as usize, self.cells.len());
        self.value = vec![0.0; cells];
        for left in 0..limit {
            for cell in 0..cells as u32 {
                let best = (0..4).map(|a| self.worth(left, cell, a)).fold(0.0, f64::max);
                self.value.push(if self.is_end(cell) { 0.0 } else { best });
            }
        }
    }
}

impl Env for FrozenLake {
    type Settings = FrozenLakeSettings;
    type State = State;
    const VERSION: u32 = 1;
    const PLAYERS: &'static [Player] = &[Player { name: "optimal", about: "the best within the steps that are left" }];

    fn new(settings: FrozenLakeSettings) -> Result<Self, EnvError> {
        let wrong = |message: &str| Err(EnvError::setting("rows", message));
        let rows: Vec<String> = match (settings.rows.is_empty(), settings.map) {
            (false, _) => settings.rows,
            (true, Map::Small) => SMALL.map(String::from).to_vec(),
            (true, Map::Large) => LARGE.map(String::from).to_vec(),
        };
        let side = rows.len();
        if rows.iter().any(|row| row.len() != side) || side * side > MOST_CELLS {
            return wrong("must be as many letters wide as there are rows, 32 at most");
        }
        let cells = rows.concat().into_bytes();
        if !cells.iter().all(|c| b"SGFH".contains(c)) || cells.iter().filter(|c| **c == b'S').count() != 1 {
            return wrong("must hold S once, and else G, F and H");
        }
        let limit = settings.step_limit.unwrap_or(if side == 4 { 100 } else { 200 });
        let fields =
            (0..side * side).map(|i| Field::new(format!("cell {}, {}", i / side + 1, i % side + 1), "", 0.0, 1.0));
        let spec = Spec::new(fields.collect(), ActionSpec::discrete(["left", "down", "right", "up"]), limit);
        let start = cells.iter().position(|c| *c == b'S').unwrap_or(0) as u32;
        let mut lake = Self { spec, side, cells, start, slippery: settings.slippery, value: Vec::new() };
        lake.plan();
        Ok(lake)
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, _: &mut Rng) {
        *state = State { cell: self.start, step: 0 };
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        let turn = if self.slippery { i64::from(rng.below(3)) - 1 } else { 0 };
        state.cell = self.walk(state.cell, (actions.discrete()[0] + turn).rem_euclid(4));
        state.step += 1;
        reward[0] = self.reward(state.cell) as f32;
        if self.is_end(state.cell) { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        ensure((state.cell as usize) < self.cells.len(), "there is no such cell")?;
        ensure(state.step <= self.spec.step_limit, "no episode has so many steps")?;
        ensure(state.step > 0 || state.cell == self.start, "an episode begins at S")?;
        Ok(if self.is_end(state.cell) { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &State) -> Option<u32> {
        Some(state.step)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[state.cell as usize] = 1.0;
    }

    fn play(&self, _: usize, state: &State, mut actions: ActionsMut<'_>) {
        let left = self.spec.step_limit.saturating_sub(state.step + 1) as usize;
        let worth = |action: &i64| self.worth(left, state.cell, *action);
        let best = (0..4).reduce(|best, a| if worth(&a) > worth(&best) { a } else { best });
        actions.set(0, best.unwrap_or(0) as f64);
    }

    fn starts(&self, each: &mut dyn FnMut(f64, &State)) -> bool {
        each(1.0, &State { cell: self.start, step: 0 });
        true
    }

    /// Without the clock, which is not observed.
    fn outcomes(&self, state: &State, action: i64, each: Each<'_, State>) -> bool {
        let ways = self.directions(action).count() as f64;
        for cell in self.directions(action).map(|d| self.walk(state.cell, d)) {
            let next = State { cell, step: 0 };
            each(1.0 / ways, self.reward(cell), (!self.is_end(cell)).then_some(&next));
        }
        true
    }

    /// With the clock: the probability of reaching the goal within the step limit, which an agent that sees the cell
    /// alone cannot quite attain.
    fn optimum(&self) -> Option<f64> {
        Some(self.value[self.spec.step_limit as usize * self.cells.len() + self.start as usize])
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let side = self.side as f64;
        scene.window([0.0, side], [0.0, side]);
        for (i, cell) in self.cells.iter().enumerate() {
            let (x, y) = ((i % self.side) as f64, side - 1.0 - (i / self.side) as f64);
            match cell {
                b'H' => scene.rect(x + 0.1, y + 0.1, 0.8, 0.8, Ink::Danger),
                b'G' => scene.rect(x + 0.1, y + 0.1, 0.8, 0.8, Ink::Goal),
                _ => scene.circle(x + 0.5, y + 0.5, 0.04, Ink::Frame),
            }
        }
        let (x, y) = ((state.cell as usize % self.side) as f64, side - 1.0 - (state.cell as usize / self.side) as f64);
        scene.circle(x + 0.5, y + 0.5, 0.3, Ink::Body);
        scene.note("steps", state.step.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lake(settings: FrozenLakeSettings) -> FrozenLake {
        FrozenLake::new(settings).unwrap()
    }

    /// Figures of an independent backward induction.
    #[test]
    fn the_optimum_is_known() {
        for (map, optimum) in [(Map::Small, 0.744_190_287_8), (Map::Large, 0.913_220_150_2)] {
            let lake = lake(FrozenLakeSettings { map, ..Default::default() });
            assert!((lake.optimum().unwrap() - optimum).abs() < 1e-9, "{:?}", lake.optimum());
        }
        let dry = lake(FrozenLakeSettings { slippery: false, ..Default::default() });
        assert_eq!(dry.optimum(), Some(1.0));
        let short = lake(FrozenLakeSettings { slippery: false, step_limit: Some(5), ..Default::default() });
        assert_eq!(short.optimum(), Some(0.0), "the goal is six steps away");
    }

    /// Gymnasium's table of transitions in the corner, at a border and beside a hole: cells by action.
    #[test]
    fn steps_go_where_gymnasiums_go() {
        let lake = lake(FrozenLakeSettings::default());
        for (cell, action, cells) in [
            (0, 0, vec![0, 0, 4]), // up, left, down
            (0, 1, vec![0, 4, 1]),
            (3, 2, vec![7, 3, 3]),
            (14, 2, vec![14, 15, 10]),
            (6, 3, vec![5, 2, 7]),
        ] {
            let mut found: Vec<u32> = lake.directions(action).map(|d| lake.walk(cell, d)).collect();
            let mut right = cells.clone();
            found.sort_unstable();
            right.sort_unstable();
            assert_eq!(found, right, "cell {cell}, action {action}");
        }
    }

    #[test]
    fn maps_of_ones_own_are_checked() {
        let with = |rows: &[&str]| {
            let rows = rows.iter().map(ToString::to_string).collect();
            FrozenLake::new(FrozenLakeSettings { rows, ..Default::default() })
        };
        assert_eq!(with(&["SG", "FF"]).unwrap().spec.obs_len(), 4);
        for wrong in [&["SG", "F"][..], &["SS", "FG"], &["FF", "FG"], &["SX", "FG"], &["Sé", "FG"]] {
            assert!(with(wrong).is_err(), "{wrong:?}");
        }
    }
}
