//! Ends games early by the players' own values, as fastchess does (its options `-resign` and `-draw`). A game is lost if
//! the loser's values say so for a number of its moves in a row; with `resign_twosided`, if the values of both are that
//! far from even for as many moves of each, and the last mover sees itself lose. A game is drawn if the values of both
//! are nearly even for a number of moves of each in a row, after a number of plies; a capture or a pawn move restarts
//! that count. Games other than chess have no such moves.

use super::plan::TournamentSettings;
use agon_search::match_loop::{Adjudicator, Verdict};
use agon_search::uci::points;

/// Adjudicates one game.
pub struct ValueAdjudicator<'a> {
    set: &'a TournamentSettings,
    /// The least and the greatest return.
    returns: [f32; 2],
    /// The shares from which a game counts as decided, and up to which as even.
    decided: f32,
    even: f32,
    /// Who said last that it loses, if the last mover did.
    loser: Option<usize>,
    /// By seat, for how many of its moves in a row it has lost.
    lost: [u32; 2],
    /// For how many plies in a row it is decided, whoever wins, and for how many it is even.
    decided_plies: u32,
    even_plies: u32,
}

impl<'a> ValueAdjudicator<'a> {
    pub fn new(set: &'a TournamentSettings, returns: [f32; 2]) -> Self {
        let share = |score: u32, value: f64| if score > 0 { points(score as f32) } else { value as f32 };
        let (decided, even) = (share(set.resign_score, set.resign_value), share(set.draw_score, set.draw_value));
        Self { set, returns, decided, even, loser: None, lost: [0; 2], decided_plies: 0, even_plies: 0 }
    }

    /// Whether values are asked for at all.
    pub fn listens(&self) -> bool {
        self.set.resign_moves > 0 || self.set.draw_moves > 0
    }
}

impl Adjudicator for ValueAdjudicator<'_> {
    fn hear(&mut self, seat: usize, value: Option<f32>, irreversible: bool) {
        let [least, most] = self.returns;
        let (even, half) = ((most + least) / 2.0, (most - least) / 2.0);
        // From −1 for the least return to 1 for the greatest; who has no value, or no such span, says nothing.
        let share = value.map(|v| (v - even) / half).filter(|s| s.is_finite());
        let count = |count: u32, holds: bool| if holds { count + 1 } else { 0 };
        let is = |holds: &dyn Fn(f32) -> bool| share.is_some_and(holds);
        let before = if irreversible { 0 } else { self.even_plies };
        self.even_plies = count(before, is(&|s| s.abs() <= self.even));
        self.decided_plies = count(self.decided_plies, is(&|s| s.abs() >= self.decided));
        self.lost[seat] = count(self.lost[seat], is(&|s| s <= -self.decided));
        self.loser = is(&|s| s < 0.0).then_some(seat);
    }

    /// The game ends if they have said so long enough.
    fn verdict(&self, plies: usize) -> Option<Verdict> {
        let set = self.set;
        let resigned = |loser: &usize| match set.resign_twosided {
            false => self.lost[*loser] >= set.resign_moves,
            true => self.decided_plies >= 2 * set.resign_moves,
        };
        if let Some(loser) = self.loser.filter(|_| set.resign_moves > 0).filter(resigned) {
            return Some(Verdict::Win(1 - loser));
        }
        let drawn = set.draw_moves > 0 && self.even_plies >= 2 * set.draw_moves;
        (drawn && plies >= set.draw_after as usize).then_some(Verdict::Draw)
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

    /// The verdict, and after how many plies it came; the seats take turns, and the plies named cannot be taken back.
    fn hear(
        set: &TournamentSettings,
        returns: [f32; 2],
        values: &[Option<f32>],
        irreversible: &[usize],
    ) -> Option<(usize, Verdict)> {
        let mut adjudicator = ValueAdjudicator::new(set, returns);
        values.iter().enumerate().find_map(|(i, value)| {
            adjudicator.hear(i % 2, *value, irreversible.contains(&(i + 1)));
            adjudicator.verdict(i + 1).map(|v| (i + 1, v))
        })
    }

    fn board(set: &TournamentSettings, values: &[f32]) -> Option<(usize, Verdict)> {
        hear(set, [-1.0, 1.0], &values.iter().map(|v| Some(*v)).collect::<Vec<_>>(), &[])
    }

    #[test]
    fn who_says_so_has_lost() {
        let set = settings();
        // The other one is not asked: 16 games that one side alone gives up, at either seat.
        for other in [-0.8, -0.3, 0.0, 0.2, 0.5, 0.89, 0.9, 1.0] {
            assert_eq!(board(&set, &[-0.9, other, -1.0, other]), Some((3, Verdict::Win(1))), "{other}");
            assert_eq!(board(&set, &[other, -0.9, other, -0.95]), Some((4, Verdict::Win(0))), "{other}");
        }
        assert_eq!(board(&set, &[0.9, -0.9, 1.0, -0.89, 1.0, -0.9, 1.0, -0.9]), Some((8, Verdict::Win(0))));
        assert_eq!(board(&set, &[1.0; 9]), None);
        assert_eq!(board(&TournamentSettings { resign_moves: 0, ..set }, &[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), None);
    }

    #[test]
    fn both_are_asked_where_that_is_wanted() {
        let set = TournamentSettings { resign_twosided: true, ..settings() };
        assert_eq!(board(&set, &[0.9, -0.9, 1.0, -0.95, 1.0]), Some((4, Verdict::Win(0))));
        assert_eq!(board(&set, &[0.2, 0.9, -1.0, 0.9, -0.9]), Some((5, Verdict::Win(1))));
        assert_eq!(board(&set, &[0.9, -0.8, 0.9, -0.8, 0.9, -0.8]), None);
        assert_eq!(board(&set, &[1.0; 9]), None);
        // As in fastchess, that both agree on the winner is asked of the last mover alone.
        assert_eq!(board(&set, &[0.9, 0.9, 0.9, 0.9, 0.9, -0.9]), Some((6, Verdict::Win(0))));
    }

    #[test]
    fn what_both_hold_for_even_is_drawn_after_a_while() {
        let set = settings();
        assert_eq!(board(&set, &[0.1, -0.1, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0]), Some((8, Verdict::Draw)));
        let late = [0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, -0.1];
        assert_eq!(board(&set, &late), Some((10, Verdict::Draw)));
        assert_eq!(board(&TournamentSettings { draw_moves: 0, ..set }, &[0.0; 20]), None);
    }

    /// 16 games: a capture or a pawn's move at any ply begins the count anew, and counts itself.
    #[test]
    fn moves_that_cannot_be_taken_back_begin_the_count_of_draws_anew() {
        let set = TournamentSettings { draw_after: 6, ..settings() };
        let even = [Some(0.0); 40];
        for at in 1..=16 {
            let at_start = if at <= 6 { at + 5 } else { 6 };
            assert_eq!(hear(&set, [-1.0, 1.0], &even, &[at]), Some((at_start, Verdict::Draw)), "{at}");
        }
        assert_eq!(hear(&set, [-1.0, 1.0], &even, &[3, 8, 13, 18]), Some((23, Verdict::Draw)));
    }

    #[test]
    fn hundredths_of_a_pawn_are_thresholds_to_the_unit() {
        let set =
            TournamentSettings { resign_score: 600, draw_score: 20, resign_moves: 1, draw_moves: 1, ..settings() };
        let set = TournamentSettings { draw_after: 0, ..set };
        for (score, lost) in [(-600, true), (-599, false), (-601, true)] {
            assert_eq!(board(&set, &[points(score as f32)]), lost.then_some((1, Verdict::Win(1))), "{score}");
        }
        for (score, even) in [(20, true), (-20, true), (21, false)] {
            let values = [points(score as f32), 0.0];
            assert_eq!(board(&set, &values), even.then_some((2, Verdict::Draw)), "{score}");
        }
    }

    #[test]
    fn other_spans_count_by_their_shares_and_silence_says_nothing() {
        let set = settings();
        let some = |values: [f32; 4]| values.map(Some);
        assert_eq!(hear(&set, [0.0, 10.0], &some([9.6, 0.4, 9.5, 0.5]), &[]), Some((4, Verdict::Win(0))));
        assert_eq!(hear(&set, [0.0, 10.0], &some([9.4, 0.6, 9.6, 0.5]), &[]), None);
        let even = [Some(5.2); 8];
        assert_eq!(hear(&set, [0.0, 10.0], &even, &[]), Some((8, Verdict::Draw)));
        assert_eq!(hear(&set, [0.0, f32::INFINITY], &even, &[]), None);
        assert_eq!(hear(&set, [-1.0, 1.0], &[None; 20], &[]), None);
        // Silence of the other one does not keep a game going that one side has given up; its own does.
        assert_eq!(hear(&set, [-1.0, 1.0], &[Some(-1.0), None, Some(-1.0)], &[]), Some((3, Verdict::Win(1))));
        assert_eq!(hear(&set, [-1.0, 1.0], &[Some(-1.0), None, None, None, Some(-1.0)], &[]), None);
        assert_eq!(hear(&set, [-1.0, 1.0], &[Some(f32::NAN); 20], &[]), None);
    }
}
