//! `agon watch` on a tournament: the standings while they grow, from the file of games alone.

use super::plan::TournamentPlan;
use super::play::{Played, follow, nothing};
use super::report::Report;
use crate::failure::Outcome;
use crate::run::Run;
use crate::screen::{self, Screen};
use crate::signals;
use crate::tui::app::{self, Key, Next, Page};
use crate::tui::pane::Theme;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::widgets::{Block, Paragraph};
use std::path::Path;
use std::time::{Duration, Instant};

/// Shows a tournament, live or finished.
pub fn run(folder: &Path) -> Outcome {
    let run = Run::open(folder)?;
    let plan = TournamentPlan::read(&run.path("scenario.toml"), &[])?;
    let mut played = nothing(&plan);
    let length = follow(&run, &mut played, 0)?;
    if !screen::is_terminal() {
        crate::say!("{}", Report::of(&plan, &played).text());
        return Ok(());
    }
    signals::for_view()?;
    let mut screen = Screen::without_log()?;
    let text = Report::of(&plan, &played).text();
    let mut page = Standings { folder, run, plan: &plan, played, length, text, due: Instant::now(), at: (0, 0) };
    app::run(&mut screen, &mut page)
}

/// A tournament's standings so far.
struct Standings<'a> {
    folder: &'a Path,
    run: Run,
    plan: &'a TournamentPlan,
    played: Played,
    /// How far its games were read.
    length: u64,
    text: String,
    /// When they are read on.
    due: Instant,
    /// The line and column that are shown first.
    at: (u16, u16),
}

impl Page for Standings<'_> {
    fn update(&mut self) -> Outcome {
        if Instant::now() >= self.due {
            let begun = Instant::now();
            let before = self.played.pairs;
            self.length = follow(&self.run, &mut self.played, self.length)?;
            if self.played.pairs != before {
                self.text = Report::of(self.plan, &self.played).text();
            }
            // Many players take long to rate: the standings must not keep a core busy.
            self.due = Instant::now() + (begun.elapsed() * 10).max(Duration::from_secs(1));
        }
        Ok(())
    }

    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let state = match (self.played.schedule.over(), self.run.is_live()) {
            (true, _) => "finished".to_owned(),
            (false, true) => "playing".to_owned(),
            (false, false) => {
                format!("stopped: agon tournament --resume {} goes on", crate::failure::quoted(self.folder))
            }
        };
        let progress = (self.played.pairs, self.played.schedule.total());
        draw(frame, &self.text, progress, &state, &mut self.at, theme);
    }

    fn wait(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn key(&mut self, key: Key) -> Next {
        let at = &mut self.at;
        match key {
            Key::Stop => signals::end_at_once(),
            Key::Char('q') => return Next::Leave,
            Key::Down => at.0 = at.0.saturating_add(1),
            Key::Up => at.0 = at.0.saturating_sub(1),
            Key::Right => at.1 = at.1.saturating_add(8),
            Key::Left => at.1 = at.1.saturating_sub(8),
            Key::Home => *at = (0, 0),
            Key::End => at.0 = u16::MAX,
            _ => {}
        }
        Next::Stay
    }
}

/// Draws the standings from line and column `at` on, which are kept within the text.
fn draw(frame: &mut Frame<'_>, text: &str, (pairs, total): (u64, u64), state: &str, at: &mut (u16, u16), theme: Theme) {
    let [bar, body, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    let share = if total == 0 { 1.0 } else { pairs as f64 / total as f64 };
    frame.render_widget(theme.bar(share, format!("{pairs} of {total} pairs")), bar);
    let (high, wide) = (text.lines().count(), text.lines().map(|line| line.chars().count()).max().unwrap_or(0));
    let below = (high as u16).saturating_sub(body.height.saturating_sub(2));
    let beside = (wide as u16).saturating_sub(body.width.saturating_sub(2));
    *at = (at.0.min(below), at.1.min(beside));
    let block = Block::bordered().title(" standings ");
    frame.render_widget(Paragraph::new(text).scroll(*at).block(block), body);
    let more = match (below > 0, beside > 0) {
        (false, false) => "",
        (true, false) => "   ↑ ↓ more lines",
        (false, true) => "   ← → more columns",
        (true, true) => "   ↑ ↓ ← → more lines and columns",
    };
    frame.render_widget(Paragraph::new(format!("{state}   q quit{more}")).style(theme.faint()), bottom);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn any_size_shows_what_fits() {
        let text: String = (0..50).map(|i| format!("line {i}\n")).collect();
        for (width, height) in [(1, 1), (20, 4), (80, 24), (200, 80)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            for (mut at, part) in [((0, 0), "line 0"), ((u16::MAX, 0), "line 49")] {
                let theme = Theme { colour: false };
                terminal.draw(|frame| draw(frame, &text, (3, 9), "playing", &mut at, theme)).unwrap();
                let cells = terminal.backend().buffer().content();
                let shown: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
                assert!(height < 24 || shown.contains(part) && shown.contains("3 of 9 pairs"), "{shown}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_and_can_be_reached() {
        let text = format!("first{}last", " ".repeat(100));
        let shown = |at: &mut (u16, u16), width| {
            let mut terminal = Terminal::new(TestBackend::new(width, 24)).unwrap();
            terminal.draw(|f| draw(f, &text, (3, 9), "playing", at, Theme { colour: false })).unwrap();
            terminal.backend().buffer().content().iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
        };
        let left = shown(&mut (0, 0), 80);
        assert!(left.contains("first") && !left.contains("last") && left.contains("more columns"), "{left}");
        let right = shown(&mut (0, u16::MAX), 80);
        assert!(!right.contains("first") && right.contains("last"), "{right}");
        assert!(!shown(&mut (0, 0), 200).contains("more"), "all of it fits");
    }
}
