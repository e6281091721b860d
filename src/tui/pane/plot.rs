//! What a run has learned of its data: rows as points, predictions beside the truth, tables, curves.

use super::{Theme, fit, graph, in_lines};
use agon_core::plot::{Body, Plot, Points, Table};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::canvas::{Canvas, Line as Stroke, Points as Dots};
use ratatui::widgets::{Block, Paragraph};

/// Colours of groups, and the letters that stand for them where there are no colours.
const COLOURS: [Color; 10] = [
    Color::Cyan,
    Color::Yellow,
    Color::Magenta,
    Color::Green,
    Color::Red,
    Color::Blue,
    Color::White,
    Color::LightRed,
    Color::LightGreen,
    Color::DarkGray,
];
const LETTERS: [char; 10] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];

/// Draws a picture, or the part of it that was chosen.
pub fn draw(frame: &mut Frame<'_>, area: Rect, plot: &Plot, part: usize, theme: Theme) {
    let title = match plot.parts().get(part).filter(|name| !name.is_empty()) {
        Some(name) => format!("{}: {name}", plot.title),
        None => plot.title.clone(),
    };
    if let Body::Graphs { graphs } = &plot.body {
        return graphs.get(part).into_iter().for_each(|own| graph::draw(frame, area, &title, own, &[], theme));
    }
    let title = fit(&title, usize::from(area.width.saturating_sub(4)));
    let block = Block::bordered().title(format!(" {title} "));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    match &plot.body {
        Body::Points(points) => draw_points(frame, inside, points, theme),
        Body::Confusion { classes, counts } => draw_confusion(frame, inside, classes, counts, theme),
        Body::Table(table) => draw_table(frame, inside, table, theme),
        Body::Tables { tables } => {
            tables.get(part).into_iter().for_each(|table| draw_table(frame, inside, table, theme));
        }
        Body::Graphs { .. } => {}
    }
}

fn draw_points(frame: &mut Frame<'_>, area: Rect, points: &Points, theme: Theme) {
    let legend = legend(points, usize::from(area.width), theme);
    let height = (legend.len() as u16).min(area.height / 3);
    let [picture, words] = Layout::vertical([Constraint::Min(0), Constraint::Length(height)]).areas(area);
    frame.render_widget(Paragraph::new(legend), words);
    if points.groups.len() > 1 && !theme.colour {
        return draw_letters(frame, picture, points);
    }
    let [left, right, bottom, top] = points.bounds();
    let of = |group: u16| {
        let own =
            points.at.iter().enumerate().filter(move |(i, _)| points.group.get(*i).copied().unwrap_or(0) == group);
        own.map(|(_, [x, y])| (f64::from(*x), f64::from(*y))).collect::<Vec<_>>()
    };
    let groups: Vec<Vec<(f64, f64)>> = (0..points.groups.len().max(1) as u16).map(of).collect();
    let canvas =
        Canvas::default().marker(Marker::Braille).x_bounds([left, right]).y_bounds([bottom, top]).paint(|ctx| {
            if points.diagonal {
                ctx.draw(&Stroke::new(left, bottom, right, top, theme.paint(Color::DarkGray)));
            }
            for (coords, colour) in groups.iter().zip(COLOURS.iter().cycle()) {
                ctx.draw(&Dots { coords, color: theme.paint(*colour) });
            }
        });
    frame.render_widget(canvas, picture);
}

/// In each character the letter of the group that has the most points there.
fn draw_letters(frame: &mut Frame<'_>, area: Rect, points: &Points) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    if width == 0 || height == 0 {
        return;
    }
    let [left, right, bottom, top] = points.bounds();
    let mut counts = vec![[0u32; LETTERS.len()]; width * height];
    for ([x, y], group) in points.at.iter().map(|at| at.map(f64::from)).zip(&points.group) {
        let place = |share: f64, cells: usize| ((share * cells as f64) as usize).min(cells - 1);
        let (column, row) = (place((x - left) / (right - left), width), place((top - y) / (top - bottom), height));
        counts[row * width + column][usize::from(*group) % LETTERS.len()] += 1;
    }
    let letter = |counts: &[u32; LETTERS.len()]| {
        let most = (0..LETTERS.len()).rev().max_by_key(|g| counts[*g]).unwrap_or(0);
        if counts[most] == 0 { ' ' } else { LETTERS[most] }
    };
    let lines: Vec<Line<'_>> =
        counts.chunks(width).map(|row| Line::from(row.iter().map(letter).collect::<String>())).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// What the axes are, and what the colours mean: as many names in a line as it holds.
fn legend(points: &Points, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if !points.axes[0].is_empty() {
        lines.push(Line::styled(fit(&format!("→ {}  ↑ {}", points.axes[0], points.axes[1]), width), theme.faint()));
    }
    let word = |(group, name): (usize, &String)| {
        let (colour, letter) = (COLOURS[group % COLOURS.len()], LETTERS[group % LETTERS.len()]);
        (format!("{} {name}", if theme.colour { '●' } else { letter }), colour)
    };
    lines.extend(in_lines(points.groups.iter().enumerate().map(word), width, theme));
    lines
}

/// True classes from above to below, predicted ones from left to right.
fn draw_confusion(frame: &mut Frame<'_>, area: Rect, classes: &[String], counts: &[Vec<u64>], theme: Theme) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let digits = counts.iter().flatten().max().copied().unwrap_or(0).to_string().len();
    let name = classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).clamp(4, (width / 3).max(4));
    // Names above columns get what room there is.
    let columns = classes.len().max(1);
    let cell = (width.saturating_sub(name) / columns).min(11).max(digits + 1);
    let shown = (width.saturating_sub(name) / cell).min(height.saturating_sub(2)).min(classes.len());
    let head = classes[..shown].iter().map(|class| format!("{:>cell$}", fit(class, cell - 1)));
    let head = Line::styled(format!("{:name$}", "true") + &head.collect::<String>(), theme.faint());
    let row = |i: usize| {
        let mut line = Line::from(format!("{:name$}", fit(&classes[i], name)));
        let most = counts[i].iter().sum::<u64>().max(1) as f64;
        for (j, count) in counts[i][..shown].iter().enumerate() {
            let text = if *count == 0 { "·".to_owned() } else { count.to_string() };
            let style = match (i == j, *count as f64 / most) {
                (true, _) => theme.strong().patch(theme.ink(Color::Green)),
                (false, share) if share >= 0.1 => theme.ink(Color::Red),
                (false, share) if share > 0.0 => theme.ink(Color::Yellow),
                _ => theme.faint(),
            };
            line.push_span(Span::styled(format!("{text:>cell$}"), style));
        }
        line
    };
    let mut lines = vec![head];
    lines.extend((0..shown).map(row));
    lines.push(match classes.len() - shown {
        0 => Line::styled(fit("columns: predicted", width), theme.faint()),
        more => Line::styled(fit(&format!("and {more} more classes"), width), theme.faint()),
    });
    frame.render_widget(Paragraph::new(lines), area);
}

/// As many columns as there is room for; the first is of text, the others of numbers.
fn draw_table(frame: &mut Frame<'_>, area: Rect, Table { head, rows, .. }: &Table, theme: Theme) {
    let mut left = usize::from(area.width);
    let mut widths = Vec::new();
    for (k, name) in head.iter().enumerate() {
        let cells = rows.iter().filter_map(|row| row.get(k));
        let width = cells.chain([name]).map(|cell| cell.chars().count()).max().unwrap_or(0) + 2;
        let width = if k == 0 { width.min(left) } else { width };
        if width > left {
            break;
        }
        left -= width;
        widths.push(width);
    }
    let line = |cells: &[String]| {
        let cell = |(k, (text, width)): (usize, (&String, &usize))| match k {
            0 => format!("{:<width$}", fit(text, *width)),
            _ => format!("{text:>width$}"),
        };
        cells.iter().zip(&widths).enumerate().map(cell).collect::<String>()
    };
    let mut lines = vec![Line::styled(line(head), theme.faint())];
    lines.extend(rows.iter().enumerate().map(|(i, row)| {
        let style = if i == 0 { theme.strong() } else { ratatui::style::Style::new() };
        Line::styled(line(row), style)
    }));
    frame.render_widget(Paragraph::new(lines), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(plot: &Plot, colour: bool, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), plot, 0, Theme { colour })).unwrap();
        let rows = terminal.backend().buffer().content().chunks(width as usize);
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect()).collect()
    }

    fn points() -> Plot {
        let points = Points { at: vec![[0.0, 0.0], [0.1, 0.0], [9.0, 5.0]], ..Points::default() };
        let points = points.in_groups(&["left".into(), "right".into()], &[0, 0, 1]);
        Plot { title: "3 rows by class".into(), body: Body::Points(points) }
    }

    fn confusion(classes: usize) -> Plot {
        let names = (0..classes).map(|c| format!("class {c}")).collect();
        let counts = (0..classes).map(|i| (0..classes).map(|j| if i == j { 40 } else { 3 }).collect()).collect();
        Plot { title: "y".into(), body: Body::Confusion { classes: names, counts } }
    }

    /// Groups lie where their points are, in colours and without.
    #[test]
    fn groups_are_told_apart() {
        let plain = screen(&points(), false, 40, 12);
        assert!(plain[0].contains("3 rows by class") && plain[10].contains("a left  b right"), "{plain:#?}");
        assert!(plain[9].starts_with("│a") && plain[1].trim_end_matches('│').ends_with('b'), "{plain:#?}");
        let mut terminal = Terminal::new(TestBackend::new(40, 12)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), &points(), 0, Theme { colour: true })).unwrap();
        let buffer = terminal.backend().buffer();
        let has = |columns: std::ops::Range<u16>, colour| {
            columns.into_iter().any(|x| (1..10).any(|y| buffer[(x, y)].fg == colour))
        };
        assert!(has(1..10, COLOURS[0]) && !has(1..10, COLOURS[1]) && has(30..39, COLOURS[1]), "{buffer:?}");
    }

    #[test]
    fn confusion_is_shown_as_far_as_it_fits() {
        let rows = screen(&confusion(2), true, 40, 8);
        assert!(rows[2].contains("class 0") && rows[2].contains("40") && rows[2].contains(" 3"), "{rows:#?}");
        assert!(rows.concat().contains("columns: predicted"));
        let rows = screen(&confusion(20), true, 40, 8).concat();
        assert!(rows.contains("and 16 more classes"), "{rows}");
    }

    #[test]
    fn the_best_is_on_top() {
        let head = ["model", "loss"].map(String::from).to_vec();
        let rows = vec![vec!["boosting".into(), "0.1".into()], vec!["linear".into(), "0.25".into()]];
        let plot = Plot { title: "2 models".into(), body: Body::Table(Table { head, rows, ..Table::default() }) };
        let rows = screen(&plot, true, 30, 6);
        assert!(rows[1].contains("model") && rows[2].contains("boosting     0.1"), "{rows:#?}");
        for plot in [plot, points(), confusion(20), confusion(1)] {
            for (width, height) in [(1, 1), (3, 3), (12, 5), (79, 24), (300, 80)] {
                screen(&plot, false, width, height);
                screen(&plot, true, width, height);
            }
        }
    }
}
