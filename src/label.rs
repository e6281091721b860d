//! The page of `agon label`: examples without a class one after another, a key for each class.

use crate::failure::Outcome;
use crate::screen::Screen;
use crate::tui::app::{self, Key, Next, Page};
use crate::tui::pane::Theme;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};
use std::collections::BTreeMap;

/// An example that a person is asked about.
pub struct Example {
    /// What it is called: a line of a table, a file.
    pub name: String,
    /// What it looks like.
    pub looks: Looks,
    /// What the model says of each class.
    pub p: Vec<f64>,
    /// How useful an answer seems.
    pub score: f64,
}

/// What an example looks like.
pub enum Looks {
    /// A row: names of columns and values.
    Row(Vec<(String, String)>),
    /// A picture: height, width, channels (1 or 3), and its bytes.
    Picture([usize; 3], Vec<u8>),
}

/// Keys of the classes, in their order. Letters that do something else are left out.
const KEYS: &str = "1234567890abcdefghijlmnoprtvwxyz";

/// The key of each class: its own name where all are called by one letter or digit, else the next one of [`KEYS`].
fn keys(classes: &[String]) -> Vec<char> {
    let own: Option<Vec<char>> =
        classes.iter().map(|class| class.parse::<char>().ok().filter(|key| KEYS.contains(*key))).collect();
    own.unwrap_or_else(|| KEYS.chars().take(classes.len()).collect())
}

/// Classes that can be answered at most.
pub const MOST_CLASSES: usize = KEYS.len();

/// Asks about examples, in order, until they end or the person leaves: the class of each that was answered, and whether the
/// terminal was there to the end.
pub fn ask(examples: &[Example], classes: &[String], scored: &str) -> (BTreeMap<usize, usize>, Outcome) {
    let mut page = Asking { examples, classes, scored, at: 0, answers: BTreeMap::new() };
    let ended = Screen::without_log().and_then(|mut screen| app::run(&mut screen, &mut page));
    (page.answers, ended)
}

struct Asking<'a> {
    examples: &'a [Example],
    classes: &'a [String],
    scored: &'a str,
    at: usize,
    answers: BTreeMap<usize, usize>,
}

impl Page for Asking<'_> {
    fn update(&mut self) -> Outcome {
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.at >= self.examples.len()
    }

    fn key(&mut self, key: Key) -> Next {
        match key {
            Key::Stop | Key::Char('q') => return Next::Leave,
            Key::Char('s' | ' ') | Key::Right => self.at += 1,
            Key::Char('u') | Key::Left => {
                self.at = self.at.saturating_sub(1);
                self.answers.remove(&self.at);
            }
            Key::Char(c) => {
                if let Some(class) = keys(self.classes).iter().position(|key| *key == c) {
                    self.answers.insert(self.at, class);
                    self.at += 1;
                }
            }
            _ => {}
        }
        Next::Stay
    }

    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let Some(example) = self.examples.get(self.at) else { return };
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
        let (n, all) = (self.at + 1, self.examples.len());
        let title = format!(
            "{n} of {all}: {}   {} {:.3}   {} answered",
            example.name,
            self.scored,
            example.score,
            self.answers.len()
        );
        frame.render_widget(Paragraph::new(Line::styled(title, theme.strong())), head);
        let [left, right] = Layout::horizontal([Constraint::Min(20), Constraint::Length(36)]).areas(body);
        match &example.looks {
            Looks::Row(cells) => {
                let wide = cells.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(30);
                let lines = |(name, value): &(String, String)| {
                    let named = |(i, line): (usize, &str)| {
                        let name = if i == 0 { name } else { "" };
                        Line::from(format!("{name:>wide$}  {line}"))
                    };
                    value.split('\n').enumerate().map(named).collect::<Vec<_>>()
                };
                let lines: Vec<Line<'_>> = cells.iter().flat_map(lines).collect();
                let row = Paragraph::new(lines).wrap(Wrap { trim: false });
                frame.render_widget(row.block(Block::bordered().title("row")), left);
            }
            Looks::Picture(size, bytes) => {
                let block = Block::bordered().title("picture");
                let inner = block.inner(left);
                frame.render_widget(block, left);
                frame.render_widget(Paragraph::new(picture(*size, bytes, inner, theme)), inner);
            }
        }
        let answers = self.classes.iter().zip(&example.p).zip(keys(self.classes)).map(|((class, p), key)| {
            let bar = "█".repeat((12.0 * p).round() as usize);
            let name: String = class.chars().take(14).collect();
            Line::from(vec![
                Span::styled(format!(" {key} "), theme.strong()),
                Span::raw(format!("{name:<14} {p:>5.2} ")),
                Span::styled(bar, theme.ink(Color::Cyan)),
            ])
        });
        let list = Paragraph::new(answers.collect::<Vec<_>>()).block(Block::bordered().title("which class?"));
        frame.render_widget(list, right);
        let help = "a class's key answers it   s skips   u takes the last one back   q saves and ends";
        frame.render_widget(Paragraph::new(Line::styled(help, theme.faint())), foot);
    }
}

/// A picture as large as fits, two pixels a character: the upper half's colour and the lower half's. Without colours, by
/// how bright it is.
fn picture([height, width, channels]: [usize; 3], bytes: &[u8], area: Rect, theme: Theme) -> Vec<Line<'static>> {
    let (rows, columns) = (2 * usize::from(area.height), usize::from(area.width));
    let scale = (rows as f64 / height as f64).min(columns as f64 / width as f64);
    let (h, w) = ((height as f64 * scale) as usize, (width as f64 * scale) as usize);
    let pixel = |y: usize, x: usize| {
        let (y, x) = (((y as f64 / scale) as usize).min(height - 1), ((x as f64 / scale) as usize).min(width - 1));
        let at = (y * width + x) * channels;
        let of = |channel: usize| bytes[at + channel.min(channels - 1)];
        [of(0), of(1), of(2)]
    };
    let cell = |y: usize, x: usize| {
        let (above, below) = (pixel(y, x), if y + 1 < h { pixel(y + 1, x) } else { [0; 3] });
        if !theme.colour {
            let sum: usize = above.iter().chain(&below).map(|b| usize::from(*b)).sum();
            let shade = [" ", "░", "▒", "▓", "█"][(sum * 5 / (6 * 256)).min(4)];
            return Span::raw(shade);
        }
        let ink = |[r, g, b]: [u8; 3]| Color::Rgb(r, g, b);
        Span::styled("▀", Style::new().fg(ink(above)).bg(ink(below)))
    };
    (0..h).step_by(2).map(|y| Line::from((0..w).map(|x| cell(y, x)).collect::<Vec<_>>())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn example(name: &str, looks: Looks) -> Example {
        Example { name: name.into(), looks, p: vec![0.75, 0.25], score: 0.56 }
    }

    fn drawn(page: &mut Asking<'_>, colour: bool) -> String {
        let mut terminal = Terminal::new(TestBackend::new(80, 12)).unwrap();
        terminal.draw(|frame| page.draw(frame, Theme { colour })).unwrap();
        let cells = &terminal.backend().buffer().content;
        let rows = cells.chunks(80);
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
    }

    #[test]
    fn rows_and_pictures_are_asked_about() {
        let classes = ["ham".to_owned(), "spam".to_owned()];
        let row = Looks::Row(vec![("words".into(), "17".into())]);
        // White above black.
        let square = Looks::Picture([2, 2, 1], vec![255, 255, 0, 0]);
        let examples = [example("line 3", row), example("a.png", square)];
        let mut page =
            Asking { examples: &examples, classes: &classes, scored: "entropy", at: 0, answers: BTreeMap::new() };
        let seen = drawn(&mut page, true);
        assert!(seen.contains("1 of 2: line 3") && seen.contains("words  17") && seen.contains("1 ham"), "{seen}");
        assert_eq!(page.key(Key::Char('9')), Next::Stay);
        assert!(page.answers.is_empty(), "there is no ninth class");
        page.key(Key::Char('2'));
        let seen = drawn(&mut page, false);
        assert!(seen.contains("2 of 2: a.png") && seen.contains("1 answered") && seen.contains('█'), "{seen}");
        page.key(Key::Char('u'));
        assert!(page.at == 0 && page.answers.is_empty());
        page.key(Key::Char('1'));
        page.key(Key::Char('s'));
        assert!(page.is_over() && page.answers == BTreeMap::from([(0, 0)]));
    }

    #[test]
    fn keys_do_not_mean_two_things() {
        let mut keys: Vec<char> = KEYS.chars().chain("squ ".chars()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), MOST_CLASSES + 4);
        let of = |classes: &[&str]| super::keys(&classes.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["0", "1", "2"]), ['0', '1', '2'], "digits have their own keys");
        assert_eq!((of(&["ham", "spam"]), of(&["q", "a"])), (vec!['1', '2'], vec!['1', '2']));
    }
}
