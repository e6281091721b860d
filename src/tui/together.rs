//! Several runs on one page: a curve of each in one chart, and a line of each beside it.

use super::model::Model;
use super::pane::chart::{Drawn, Sheet, line};
use super::pane::curves;
use super::pane::{Theme, number};
use super::view;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// A run on the page.
pub struct Row<'a> {
    /// Its seed, or the number of its trial.
    pub label: String,
    pub model: &'a Model,
    /// What decided about it, where it was one of several trials and has ended.
    pub result: Option<f64>,
    /// What else is to be said of it: its settings.
    pub note: &'a str,
}

/// What the runs of a page are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// One for each seed.
    Seeds,
    /// Trials of a search, the best first.
    Trials,
}

/// Colours of runs, from the first on and then again.
const COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Magenta, Color::Green, Color::Blue, Color::White];

fn colour(place: usize) -> Color {
    COLOURS[place % COLOURS.len()]
}

/// What one run shows: evaluations, once all that have begun have some to draw a line through; else the chart's own curve.
fn curve(model: &Model, evaluated: bool) -> Vec<(f64, f64)> {
    if evaluated { model.evaluations.iter().map(|p| (p.step, p.mean)).collect() } else { curves::main_curve(model) }
}

/// Mean of the curves where all that have begun have a point, at the steps of the first; none of a single one.
fn mean(all: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let all: Vec<_> = all.iter().filter(|curve| !curve.is_empty()).collect();
    let [first, rest @ ..] = &all[..] else { return Vec::new() };
    if rest.is_empty() {
        return Vec::new();
    }
    let at = |curve: &[(f64, f64)], x: f64| curve.iter().find(|p| p.0 >= x).map(|p| p.1);
    let one = |&(x, y): &(f64, f64)| {
        let others: Option<f64> = rest.iter().map(|curve| at(curve, x)).sum();
        Some((x, (y + others?) / all.len() as f64))
    };
    first.iter().map_while(one).collect()
}

/// Draws all. `keys` is the line at the bottom.
pub fn draw(frame: &mut Frame<'_>, (title, of): (&str, Of), rows: &[Row<'_>], theme: Theme, keys: &str, asking: bool) {
    let models: Vec<&Model> = rows.iter().map(|row| row.model).collect();
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    let [name, gauge] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(top);
    frame.render_widget(Paragraph::new(format!(" agon · {title}")).style(theme.strong()), name);
    let share = models.iter().map(|m| m.progress()).sum::<f64>() / models.len().max(1) as f64;
    frame.render_widget(theme.bar(share, format!("{:>3.0} %", share * 100.0)), gauge);
    let height = (models.len() as u16 + 3).min(body.height / 2);
    let [chart, table] = Layout::vertical([Constraint::Min(0), Constraint::Length(height)]).areas(body);
    draw_chart(frame, chart, &models, of, theme);
    draw_table(frame, table, rows, of, theme);
    frame.render_widget(Paragraph::new(keys).style(theme.faint()), bottom);
    if asking {
        view::ask(frame, "These runs are still going. What now?");
    }
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, models: &[&Model], of: Of, theme: Theme) {
    let mut begun = models.iter().filter(|m| m.step > 0 || !m.evaluations.is_empty()).peekable();
    let evaluated = begun.peek().is_some() && begun.all(|m| m.evaluations.len() > 1);
    let all: Vec<_> = models.iter().map(|m| curve(m, evaluated)).collect();
    // A mean over seeds says something; one over settings does not.
    let middle = if of == Of::Seeds { mean(&all) } else { Vec::new() };
    let what = if evaluated { "evaluations" } else { "training" };
    let mut title = vec![Span::raw(format!(" {what} of {} runs ", models.len()))];
    if let Some((_, last)) = middle.last() {
        title.push(Span::styled(format!("─ mean {} ", number(*last)), theme.strong()));
    }
    let mut drawn: Vec<Drawn> =
        all.into_iter().enumerate().map(|(place, points)| line(colour(place), points)).collect();
    // The mean lies on top, in the colour of text.
    drawn.push(line(Color::Reset, middle));
    let right = models.iter().map(|m| m.steps.max(m.step)).max().unwrap_or(0);
    let sheet = Sheet { drawn, x: [0.0, right as f64], ..Sheet::default() };
    curves::plot(frame, area, sheet, Line::from(title), theme);
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, rows: &[Row<'_>], of: Of, theme: Theme) {
    let trials = of == Of::Trials;
    let label = if trials { "trial" } else { "seed" };
    let result = if trials { format!("{:>12}", "result") } else { String::new() };
    let note = if trials { "   settings" } else { "" };
    let head =
        format!("{label:>10}{result}{:>8}{:>14}{:>14}{:>12}  state{note}", "done", "training", "evaluation", "steps/s");
    let line = |(place, row): (usize, &Row<'_>)| {
        let m = row.model;
        let shown = |x: Option<f64>| x.map_or("-".into(), number);
        let training = shown(curves::main_curve(m).last().map(|p| p.1));
        let evaluation = shown(m.evaluations.last().map(|p| p.mean));
        let speed = shown(m.speed.as_ref().filter(|_| m.outcome.is_none() && !m.dead).map(|s| s.steps_per_second));
        let done = format!("{:.0} %", 100.0 * m.progress());
        let result = if trials { format!("{:>12}", shown(row.result)) } else { String::new() };
        let (label, state) = (&row.label, view::state(m));
        let note = if trials { format!("  {}", row.note) } else { String::new() };
        let text = format!("{label:>8}{result}{done:>8}{training:>14}{evaluation:>14}{speed:>12}  {state}{note}");
        Line::from(vec![Span::styled("─ ", theme.ink(colour(place))), Span::raw(text)])
    };
    let lines: Vec<Line<'_>> =
        std::iter::once(Line::styled(head, theme.faint())).chain(rows.iter().enumerate().map(line)).collect();
    let title = if trials { " leaderboard " } else { " runs " };
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::event::Event;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn model(seed: u64, means: &[f64]) -> Model {
        let mut model = Model { seed, steps: 100, ..Model::default() };
        for (i, mean) in means.iter().enumerate() {
            let event = Event::Evaluated {
                step: 10 * (i as u64 + 1),
                mean: *mean,
                ci95: None,
                episodes: 5,
                metrics: Vec::new(),
            };
            model.apply(&event);
        }
        model
    }

    fn screen(models: &[&Model], of: Of, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let result = (of == Of::Trials).then_some(0.25);
        let rows: Vec<Row<'_>> =
            models.iter().map(|model| Row { label: model.seed.to_string(), model, result, note: "depth=3" }).collect();
        terminal.draw(|frame| draw(frame, ("group", of), &rows, Theme { colour: false }, "q quit", false)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = buffer.content().chunks(width as usize);
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
    }

    #[test]
    fn all_runs_are_on_one_page() {
        let (one, other) = (model(7, &[1.0, 3.0, 5.0]), model(12, &[3.0, 5.0]));
        let text = screen(&[&one, &other], Of::Seeds, 100, 30);
        for part in ["evaluations of 2 runs", "mean 4.00", " 7 ", " 12 ", "5.00"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        for (width, height) in [(1, 1), (10, 3), (40, 10), (300, 80)] {
            screen(&[&one, &other], Of::Seeds, width, height);
        }
        screen(&[], Of::Seeds, 80, 24);
        let text = screen(&[&one, &other], Of::Trials, 120, 30);
        assert!(text.contains("leaderboard") && text.contains("0.2500") && text.contains("depth=3"), "{text}");
        assert!(!text.contains("mean 4.00"), "{text}");
    }
}
