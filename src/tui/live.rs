//! The dashboard of a run under way: events in, pictures out.

use super::app::{self, Key, Next, Page};
use super::model::Model;
use super::pane::Theme;
use super::view;
use crate::failure::Outcome;
use crate::screen::Screen;
use agon_core::event::Event;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use ratatui::Frame;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The dashboard of a run in this process, in a thread of its own. The trainer never waits for it.
pub struct Dashboard {
    events: Sender<Event>,
    wants_frame: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
    /// Disconnected when the thread ends.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// How long a run that is over waits for a terminal that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Events a slow terminal may lag behind; later ones are dropped, the files have them.
const LAG: usize = 8192;

impl Dashboard {
    /// Opens it. `stop` is the way back to the run: set by `s` and Ctrl-C.
    pub fn open(mut model: Model, log: PathBuf, stop: Arc<AtomicBool>) -> Outcome<Self> {
        let (events, receiver) = bounded(LAG);
        let (wants_frame, open) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let mut screen = Screen::open(&log)?;
        let (wants, alive) = (wants_frame.clone(), open.clone());
        let (ending, ended) = bounded(0);
        let thread = std::thread::spawn(move || {
            // Whoever closes the terminal wants the run saved and stopped.
            let (model, events, heard) = (&mut model, &receiver, Instant::now());
            let mut page = Live { model, events, stop: &stop, wants: &wants, heard, closed: false };
            if app::run(&mut screen, &mut page).is_err() {
                stop.store(true, Ordering::SeqCst);
            }
            alive.store(false, Ordering::Relaxed);
            drop(screen);
            drop::<Sender<()>>(ending);
        });
        Ok(Self { events, wants_frame, open, ended, thread: Some(thread) })
    }

    /// Whether it is still on the screen.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Shows an event, unless the terminal lags.
    pub fn send(&self, event: &Event) {
        let _ = self.events.try_send(event.clone());
    }

    /// True once after every picture drawn.
    pub fn wants_frame(&self) -> bool {
        self.wants_frame.swap(false, Ordering::Relaxed)
    }

    /// Closes it and gives the terminal back.
    pub fn close(mut self) {
        let (events, _) = bounded(1);
        drop(std::mem::replace(&mut self.events, events));
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join(); // a panic in it was told by the hook
        }
    }
}

/// The run as it is told by its events.
struct Live<'a> {
    model: &'a mut Model,
    events: &'a Receiver<Event>,
    stop: &'a AtomicBool,
    wants: &'a AtomicBool,
    /// When something was heard of the run last.
    heard: Instant,
    /// Whether the run has closed its dashboard.
    closed: bool,
}

impl Page for Live<'_> {
    fn update(&mut self) -> Outcome {
        loop {
            match self.events.try_recv() {
                Ok(event) => {
                    self.model.apply(&event);
                    self.heard = Instant::now();
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.closed = true;
                    break;
                }
            }
        }
        self.model.quiet = self.heard.elapsed().as_secs();
        Ok(())
    }

    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let keys = format!("q quit   ? help   {}", self.model.picture_keys());
        view::draw(frame, self.model, theme, keys.trim_end());
        self.wants.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.closed
    }

    fn key(&mut self, key: Key) -> Next {
        let Self { model, stop, .. } = self;
        match key {
            Key::Stop if stop.swap(true, Ordering::SeqCst) => crate::signals::end_at_once(),
            Key::Char('s') if model.asking => stop.store(true, Ordering::Relaxed),
            Key::Char('d') if model.asking => return Next::Leave,
            Key::Char('q') if !model.asking => model.asking = true,
            Key::Char('?') => model.help = !model.help,
            Key::Stop => {}
            Key::Char(c) if !model.asking && model.orbit.key(c) => {}
            other if other != Key::Tab && !model.asking && model.choice.key(other) => {}
            _ => (model.asking, model.help) = (false, false),
        }
        if stop.load(Ordering::Relaxed) {
            model.asking = false;
            model.note = "saving… (Ctrl-C again ends it at once, without)".into();
        }
        Next::Stay
    }
}
