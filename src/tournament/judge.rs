//! Games that both players hold for decided are ended before the rules do, as fastchess ends them: lost when the values
//! of both agree on who wins for so many moves of each in a row, drawn when both see next to nothing in it.

use super::plan::TournamentSettings;

/// What both players say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This seat wins.
    Win(usize),
    Draw,
}

/// Listens to the players of one game.
pub struct Judge<'a> {
    set: &'a TournamentSettings,
    /// The least and the greatest return.
    returns: [f32; 2],
    /// Who wins by the last values, and for how many moves of each seat in a row.
    winner: Option<usize>,
    decided: [u32; 2],
    /// For how many moves of each seat in a row it is even.
    even: [u32; 2],
}

impl<'a> Judge<'a> {
    pub fn new(set: &'a TournamentSettings, returns: [f32; 2]) -> Self {
        Self { set, returns, winner: None, decided: [0; 2], even: [0; 2] }
    }

    /// Whether values are asked for at all.
    pub fn listens(&self) -> bool {
        self.set.resign_moves > 0 || self.set.draw_moves > 0
    }

    /// Hears what a seat thinks after its move; `value` is the return it expects for itself.
    pub fn hear(&mut self, seat: usize, value: Option<f32>) {
        let [least, most] = self.returns;
        let (even, half) = ((most + least) / 2.0, (most - least) / 2.0);
        // From −1 for the least return to 1 for the greatest; not finite where there is no such span.
        let share = value.map(|v| (v - even) / half);
        let Some(share) = share.filter(|s| s.is_finite()) else {
            (self.winner, self.decided, self.even) = (None, [0; 2], [0; 2]);
            return;
        };
        let winner = (share.abs() >= self.set.resign_value as f32).then_some(if share > 0.0 { seat } else { 1 - seat });
        if winner != self.winner {
            (self.winner, self.decided) = (winner, [0; 2]);
        }
        self.decided[seat] += 1;
        if share.abs() <= self.set.draw_value as f32 {
            self.even[seat] += 1;
        } else {
            self.even = [0; 2];
        }
    }

    /// How the game ends, if both have said so long enough; `plies` are those played.
    pub fn verdict(&self, plies: usize) -> Option<Verdict> {
        let set = self.set;
        let long = |counts: [u32; 2], moves: u32| moves > 0 && counts.iter().all(|n| *n >= moves);
        if let Some(winner) = self.winner.filter(|_| long(self.decided, set.resign_moves)) {
            return Some(Verdict::Win(winner));
        }
        (long(self.even, set.draw_moves) && plies >= set.draw_after as usize).then_some(Verdict::Draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> TournamentSettings {
        TournamentSettings {
            resign_value: 0.9,
            resign_moves: 2,
            draw_value: 0.1,
            draw_moves: 3,
            draw_after: 8,
            ..Default::default()
        }
    }

    /// The verdict, and after how many moves it came; the seats take turns.
    fn hear(set: &TournamentSettings, returns: [f32; 2], values: &[Option<f32>]) -> Option<(usize, Verdict)> {
        let mut judge = Judge::new(set, returns);
        values.iter().enumerate().find_map(|(i, value)| {
            judge.hear(i % 2, *value);
            judge.verdict(i + 1).map(|v| (i + 1, v))
        })
    }

    fn board(set: &TournamentSettings, values: &[f32]) -> Option<(usize, Verdict)> {
        hear(set, [-1.0, 1.0], &values.iter().map(|v| Some(*v)).collect::<Vec<_>>())
    }

    #[test]
    fn who_both_say_wins_has_won() {
        let set = settings();
        assert_eq!(board(&set, &[0.9, -0.9, 1.0, -0.95, 1.0]), Some((4, Verdict::Win(0))));
        assert_eq!(board(&set, &[0.2, 0.9, -1.0, 0.9, -0.9]), Some((5, Verdict::Win(1))));
        // One is not sure, one thinks otherwise, or both think that they win.
        assert_eq!(board(&set, &[0.9, -0.8, 0.9, -0.8, 0.9, -0.8]), None);
        assert_eq!(board(&set, &[0.9, -0.9, 0.9, 0.9, 0.9, -0.9, -0.9, -0.9]), None);
        assert_eq!(board(&set, &[1.0; 9]), None);
        assert_eq!(board(&TournamentSettings { resign_moves: 0, ..set }, &[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), None);
    }

    #[test]
    fn what_both_hold_for_even_is_drawn_after_a_while() {
        let set = settings();
        assert_eq!(board(&set, &[0.1, -0.1, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0]), Some((8, Verdict::Draw)));
        let late = [0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, -0.1];
        assert_eq!(board(&set, &late), Some((10, Verdict::Draw)));
        assert_eq!(board(&TournamentSettings { draw_moves: 0, ..set }, &[0.0; 20]), None);
    }

    #[test]
    fn other_spans_count_by_their_shares_and_silence_says_nothing() {
        let set = settings();
        let some = |values: [f32; 4]| values.map(Some);
        assert_eq!(hear(&set, [0.0, 10.0], &some([9.6, 0.4, 9.5, 0.5])), Some((4, Verdict::Win(0))));
        assert_eq!(hear(&set, [0.0, 10.0], &some([9.4, 0.4, 9.6, 0.5])), None);
        let even = [Some(5.2); 8];
        assert_eq!(hear(&set, [0.0, 10.0], &even), Some((8, Verdict::Draw)));
        assert_eq!(hear(&set, [0.0, f32::INFINITY], &even), None);
        assert_eq!(hear(&set, [-1.0, 1.0], &[None; 20]), None);
        assert_eq!(hear(&set, [-1.0, 1.0], &[Some(1.0), None].repeat(10)), None);
        assert_eq!(hear(&set, [-1.0, 1.0], &[Some(f32::NAN); 20]), None);
    }
}
