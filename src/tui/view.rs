//! The layout.
//!
//! ```text
//! agon · classic/cartpole · seed 1      ████████░░░░ 64 %   2 s left
//! ┌ episode return ──────────────────┐┌ environment ──────────────┐
//! │ band, raw, smoothed, evaluations ││ braille canvas            │
//! ├ learning ────────────────────────┤├ speed ────────────────────┤
//! │ losses with their curves         ││ steps/s, shares, memory   │
//! └──────────────────────────────────┘└───────────────────────────┘
//! There may be several pictures, which keys choose: of the state, of prices by week, of what was learned of data. All but the
//! first kind are half as wide as the screen.
//! q quit   ? help
//! ```

use super::model::Model;
use super::pane::{self, Theme};
use super::pictures::Picture;
use agon_core::event::RunOutcome;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

/// Draws everything. `keys` is the line at the bottom.
pub fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme, keys: &str) {
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    head(frame, top, model, theme);
    let narrow = body.width < 80;
    let picture = model.choice.of(model.frame.as_ref(), &model.plots);
    // Curves and what was learned of data say more than a state does.
    let [share, of_ten] = if matches!(picture, Picture::Scene(_)) { [62, 6] } else { [50, 3] };
    let [left, right] = if narrow {
        Layout::vertical([Constraint::Percentage(share), Constraint::Percentage(100 - share)]).areas(body)
    } else {
        Layout::horizontal([Constraint::Percentage(share), Constraint::Percentage(100 - share)]).areas(body)
    };
    let losses = (model.scalars.len() as u16 + 2).clamp(3, 12).min(left.height / 2);
    let [curves, learning] = Layout::vertical([Constraint::Min(0), Constraint::Length(losses)]).areas(left);
    pane::curves::draw(frame, curves, model, theme);
    pane::losses::draw(frame, learning, model, theme);
    let lines = if model.is_of_data() { 8 } else { 13 };
    let [scene, speed] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(lines.min(right.height * of_ten / 10))]).areas(right);
    let of = if model.is_of_data() { "data" } else { model.frame_of.as_str() };
    model.choice.draw(frame, scene, of, picture, model.orbit, theme);
    pane::speed::draw(frame, speed, model, theme);
    // An update may take long; whoever looks on sees that it goes on.
    let slow = (model.quiet > 2).then(|| format!("{keys}   the update under way takes {} s so far", model.quiet));
    let note = if model.note.is_empty() { slow.as_deref().unwrap_or(keys) } else { &model.note };
    frame.render_widget(Paragraph::new(note).style(theme.faint()), bottom);
    if model.asking {
        ask(frame, "The run is still going. What now?");
    } else if model.help {
        let text = vec![
            Line::from("episode return: · raw means, ─ smoothed, grey: worst and best,"),
            Line::from("                • evaluations; lines: baselines, the optimum or an upper bound"),
            Line::from(""),
            Line::from(if model.watching {
                "q        quit; the run is not touched"
            } else {
                "q        quit (asks what becomes of the run)"
            }),
            Line::from(if model.watching { "Tab      the next run" } else { "Ctrl-C   save and stop" }),
            Line::from("← →      the next picture: the state, price paths, what was learned"),
            Line::from("↑ ↓      its next part, such as a product"),
            Line::from("h j k l  turn the camera, in three dimensions; [ ] zoom; 0 as it was"),
            Line::from("?        this help"),
        ];
        popup(frame, " help ", text);
    }
}

fn head(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let [name, gauge, left] =
        Layout::horizontal([Constraint::Fill(2), Constraint::Fill(2), Constraint::Length(21)]).areas(area);
    let run = if model.run.is_empty() { &model.name } else { &model.run };
    let title = format!(" agon · {run} · seed {}", model.seed);
    frame.render_widget(Paragraph::new(title).style(theme.strong()), name);
    frame.render_widget(theme.bar(model.progress(), format!("{:>3.0} %", model.progress() * 100.0)), gauge);
    frame.render_widget(Paragraph::new(state(model)).right_aligned(), left);
}

/// How a run stands, or how long it still takes.
pub fn state(model: &Model) -> String {
    match model.outcome {
        Some(RunOutcome::Done) => "done".into(),
        Some(RunOutcome::Interrupted) => "interrupted".into(),
        Some(RunOutcome::Failed) => "failed".into(),
        None if model.dead => "stopped".into(),
        None => model.left().map_or(String::new(), |left| format!("{left} left")),
    }
}

/// Asks what becomes of what is still going.
pub fn ask(frame: &mut Frame<'_>, question: &str) {
    let text = vec![
        Line::from(question.to_owned()),
        Line::from(""),
        Line::from("s   save and stop; `agon train --resume` goes on"),
        Line::from("d   leave the dashboard, all goes on in this terminal"),
        Line::from("c   cancel"),
    ];
    popup(frame, " quit ", text);
}

fn popup(frame: &mut Frame<'_>, title: &str, text: Vec<Line<'_>>) {
    let width = text.iter().map(Line::width).max().unwrap_or(0) as u16 + 4;
    let height = text.len() as u16 + 2;
    let area = frame.area();
    let at = Rect {
        x: area.width.saturating_sub(width) / 2,
        y: area.height.saturating_sub(height) / 2,
        width: width.min(area.width),
        height: height.min(area.height),
    };
    frame.render_widget(Clear, at);
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title(title.to_owned())), at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::event::{Chart, Event, UPPER_BOUND};
    use agon_core::plot::{Body, Plot, Table};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(width: u16, height: u16, model: &Model) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, Theme { colour: false }, "q quit")).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = buffer.content().chunks(width as usize);
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
    }

    #[test]
    fn events_become_a_picture() {
        let mut model = Model::default();
        model.apply(&Event::Started {
            scenario: "classic/cartpole".into(),
            seed: 7,
            steps: 1000,
            may_end_early: false,
            most_seconds: None,
            chart: Chart::Returns,
            optimum: None,
        });
        for step in 0..50u64 {
            let mean = step as f64;
            model.apply(&Event::Episodes {
                step: step * 10,
                count: 2,
                mean,
                low: mean - 5.0,
                high: mean + 5.0,
                length: 9.0,
            });
            model.apply(&Event::Scalars { step: step * 10, values: vec![("value_loss".into(), mean)] });
        }
        model.apply(&Event::Speed {
            step: 500,
            seconds: 5.0,
            steps_per_second: 100.0,
            shares: [0.1, 0.2, 0.6, 0.1],
            memory: 150.0,
        });
        let text = screen(120, 36, &model);
        for part in
            ["classic/cartpole", "seed 7", "50 %", "5 s left", "value loss", "steps/s", "150 MB", "episodes  100"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    /// What evaluations are compared with is named with its value, in the smallest usual terminal too; keys are told.
    #[test]
    fn levels_are_named_with_their_values() {
        let mut model = Model { steps: 100, ..Model::default() };
        let values = [("charged", 1.25e6), ("myopic", 1.5e6), (UPPER_BOUND, 1.6e6)];
        model.apply(&Event::Levels { values: values.map(|(name, value)| (name.to_owned(), value)).to_vec() });
        for (step, mean) in [(10, 0.5e6), (20, 1.2e6)] {
            model.apply(&Event::Evaluated { step, mean, ci95: None, episodes: 5, metrics: Vec::new() });
        }
        let table = |title: &str| Plot { title: title.into(), body: Body::Table(Table::default()) };
        model.apply(&Event::Plots(vec![table("demand"), table("elasticities")]));
        for (width, height) in [(80, 24), (120, 36)] {
            let text = screen(width, height, &model);
            for part in ["charged 1.25M", "myopic 1.50M", "upper bound 1.60M", "75.00 % of bound", "demand"] {
                assert!(text.contains(part), "{part} in\n{text}");
            }
        }
        assert_eq!(model.picture_keys(), "← → picture 1 of 2");
        // An exact optimum is what counts, where it is known.
        model.optimum = Some(2.4e6);
        let text = screen(120, 36, &model);
        assert!(text.contains("exact optimum 2.40M") && text.contains("50.00 % of optimum"), "{text}");
    }

    #[test]
    fn every_curve_is_named() {
        let names = ["price of seller 1", "price of seller 2", "collusion index"].map(String::from);
        let mut model = Model { chart: Chart::Scalars(names.to_vec()), ..Model::default() };
        model.apply(&Event::Scalars { step: 1, values: names.iter().map(|n| (n.clone(), 1.5)).collect() });
        for width in [80, 120] {
            let text = screen(width, 24, &model);
            assert!(names.iter().all(|name| text.contains(&format!("{name} 1.5"))), "{text}");
        }
    }

    #[test]
    fn a_long_update_is_seen_to_go_on() {
        let mut model = Model { quiet: 2, ..Model::default() };
        assert!(!screen(80, 24, &model).contains("so far"));
        model.quiet = 65;
        assert!(screen(80, 24, &model).contains("the update under way takes 65 s so far"));
    }

    #[test]
    fn no_size_is_too_small() {
        let model = Model { asking: true, help: true, ..Model::default() };
        for (width, height) in [(1, 1), (10, 3), (40, 10), (79, 24), (300, 80)] {
            screen(width, height, &model);
        }
    }
}
