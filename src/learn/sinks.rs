//! Where the events of a run go: always to its files, and to a dashboard, plain lines or JSON lines.

use agon::Outcome;
use agon::cli::Ui;
use agon::failure::write_plain;
use agon::run::Logs;
use agon::screen;
use agon::tui::live::Dashboard;
use agon::tui::model::{Curve, Model};
use agon::tui::pane::{duration, number};
use agon_core::Metric;
use agon_core::Sink;
use agon_core::event::{Chart, Event};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a run is shown.
enum Display {
    Plain(Plain),
    Json,
    Dashboard(Dashboard),
}

/// The sinks of one run.
pub struct Sinks {
    pub logs: Logs,
    display: Option<Display>,
    model: Model,
    stop: Arc<AtomicBool>,
}

/// A line about every second, and at every evaluation.
struct Plain {
    next: Instant,
}

impl Sinks {
    /// Opens the run's files and the display that was asked for.
    pub fn open(ui: Ui, logs: Logs, model: Model, log: PathBuf, stop: Arc<AtomicBool>) -> Outcome<Self> {
        let ui = match ui {
            Ui::Auto if screen::is_terminal() => Ui::Tui,
            Ui::Auto => Ui::Plain,
            other => other,
        };
        let display = match ui {
            Ui::Tui => Display::Dashboard(Dashboard::open(model.clone(), log, stop.clone())?),
            Ui::Json => Display::Json,
            _ => Display::Plain(Plain::new()),
        };
        Ok(Self { logs, display: Some(display), model, stop })
    }

    /// Whether plain lines are shown.
    pub fn is_plain(&self) -> bool {
        matches!(self.display, Some(Display::Plain(_)))
    }

    /// Closes the dashboard, if there is one, and gives the terminal back.
    pub fn close(&mut self) {
        if let Some(Display::Dashboard(dashboard)) = self.display.take() {
            dashboard.close();
        }
    }
}

impl Plain {
    fn new() -> Self {
        Self { next: Instant::now() }
    }

    fn say(&mut self, model: &Model, event: &Event) {
        match event {
            Event::Evaluated { step, metrics, .. } if !metrics.is_empty() => {
                let one = |m: &Metric| {
                    let ends = m.interval.map_or(String::new(), |[a, b]| format!(" [{}, {}]", number(a), number(b)));
                    format!("{} {}{ends}", m.name, number(m.value))
                };
                let (n, what) = &metrics[0].over;
                let all: Vec<String> = metrics.iter().map(one).collect();
                agon::tell!("{step:>10}  evaluation over {n} {what}: {}", all.join(", "));
            }
            Event::Evaluated { step, mean, ci95, episodes, .. } => {
                let half = ci95.map_or(String::new(), |half| format!(" ± {}", number(half)));
                let over = if *episodes == 1 { "1 episode".into() } else { format!("{episodes} episodes") };
                agon::tell!("{step:>10}  evaluation {}{half} over {over}", number(*mean));
            }
            Event::Note(note) => agon::tell!("{note}"),
            Event::Speed { step, steps_per_second, .. } if Instant::now() >= self.next => {
                self.next = Instant::now() + Duration::from_secs(1);
                let (name, last) = match &model.chart {
                    Chart::Scalars(names) if !names.is_empty() => {
                        (names[0].as_str(), model.scalars.get(&names[0]).and_then(Curve::last))
                    }
                    _ => ("return", model.returns.last()),
                };
                let last = last.map_or("-".into(), number);
                let left = model.remaining().map_or("?".into(), duration);
                let share = model.progress() * 100.0;
                agon::tell!(
                    "{step:>10}  {share:>3.0} %  {name} {last}  {} steps/s  {left} left",
                    number(*steps_per_second)
                );
            }
            _ => {}
        }
    }
}

impl Sink for Sinks {
    fn emit(&mut self, event: &Event) {
        self.logs.emit(event);
        if let Some(Display::Dashboard(dashboard)) = &self.display
            && !dashboard.is_open()
        {
            self.close();
            if !self.stop.load(Ordering::Relaxed) {
                agon::tell!("the run goes on; Ctrl-C saves and stops it");
            }
            self.display = Some(Display::Plain(Plain::new()));
        }
        match &mut self.display {
            Some(Display::Dashboard(dashboard)) => dashboard.send(event),
            Some(Display::Plain(plain)) => {
                self.model.apply(event);
                plain.say(&self.model, event);
            }
            Some(Display::Json) if !matches!(event, Event::Frame(_) | Event::Plots(_) | Event::Note(_)) => {
                // A reader that went away does not end the run.
                let _ = write_plain(&mut std::io::stdout().lock(), &format!("{}\n", serde_json::json!(event)));
            }
            _ => {}
        }
    }

    fn wants_frame(&mut self) -> bool {
        matches!(&self.display, Some(Display::Dashboard(d)) if d.wants_frame())
    }
}
