//! `agon watch` on a tournament: the standings while they grow, from the file of games alone.

use super::plan::Plan;
use super::play::{follow, nothing};
use super::report::as_text;
use crate::failure::Outcome;
use crate::run::Run;
use crate::screen::{self, Screen};
use crate::signals;
use crate::tui::live::{Key, key};
use crate::tui::pane::Theme;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::widgets::{Block, Paragraph};
use std::path::Path;
use std::time::{Duration, Instant};

/// Shows a tournament, live or finished.
pub fn run(folder: &Path) -> Outcome {
    let run = Run::open(folder)?;
    let plan = Plan::read(&run.path("scenario.toml"), &[])?;
    let mut played = nothing(&plan);
    let mut length = follow(&run, &mut played, 0)?;
    if !screen::is_terminal() {
        crate::say!("{}", as_text(&plan, &played));
        return Ok(());
    }
    signals::for_view()?;
    let mut screen = Screen::without_log()?;
    let theme = Theme { colour: screen::has_colour() };
    let (mut text, mut due, mut top) = (as_text(&plan, &played), Instant::now(), 0u16);
    loop {
        if Instant::now() >= due {
            let begun = Instant::now();
            let before = played.pairs;
            length = follow(&run, &mut played, length)?;
            if played.pairs != before {
                text = as_text(&plan, &played);
            }
            // Many players take long to rate: the standings must not keep a core busy.
            due = Instant::now() + (begun.elapsed() * 10).max(Duration::from_secs(1));
        }
        let state = match (played.schedule.over(), run.is_live()) {
            (true, _) => "finished".to_owned(),
            (false, true) => "playing".to_owned(),
            (false, false) => format!("stopped: agon tournament --resume {} goes on", crate::failure::quoted(folder)),
        };
        let progress = (played.pairs, played.schedule.total());
        screen.draw(|frame| draw(frame, &text, progress, &state, &mut top, theme))?;
        match key(Duration::from_millis(200))? {
            Some(Key::Char('q') | Key::Stop) => break,
            Some(Key::Down) => top = top.saturating_add(1),
            Some(Key::Up) => top = top.saturating_sub(1),
            Some(Key::Home) => top = 0,
            Some(Key::End) => top = u16::MAX,
            _ => {}
        }
    }
    Ok(())
}

fn draw(frame: &mut Frame<'_>, text: &str, (pairs, total): (u64, u64), state: &str, top: &mut u16, theme: Theme) {
    let [bar, body, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    let share = if total == 0 { 1.0 } else { pairs as f64 / total as f64 };
    frame.render_widget(theme.bar(share, format!("{pairs} of {total} pairs")), bar);
    let most = (text.lines().count() as u16).saturating_sub(body.height.saturating_sub(2));
    *top = (*top).min(most);
    let block = Block::bordered().title(" standings ");
    frame.render_widget(Paragraph::new(text).scroll((*top, 0)).block(block), body);
    frame.render_widget(Paragraph::new(format!("{state}   q quit   ↑ ↓")).style(theme.faint()), bottom);
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
            for (mut top, part) in [(0, "line 0"), (u16::MAX, "line 49")] {
                let theme = Theme { colour: false };
                terminal.draw(|frame| draw(frame, &text, (3, 9), "playing", &mut top, theme)).unwrap();
                let cells = terminal.backend().buffer().content();
                let shown: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
                assert!(height < 24 || shown.contains(part) && shown.contains("3 of 9 pairs"), "{shown}");
            }
        }
    }
}
