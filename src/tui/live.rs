//! The loop of a full-screen view: keys in, events in, a picture out.

use super::model::Model;
use super::pane::Theme;
use super::view;
use crate::failure::{Failure, Outcome};
use crate::screen::{self, Screen, has_colour};
use agon_core::event::Event;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A key press, as views want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    Tab,
    Stop,
}

/// Waits at most `wait` for a key; an error once the terminal is gone.
pub fn key(wait: Duration) -> Outcome<Option<Key>> {
    let broken = |e: std::io::Error| Failure::Interrupted(format!("the terminal went away: {e}"));
    // crossterm reads the end of file of a closed terminal for ever: it is asked only where there is something to read.
    let stdin = rustix::stdio::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    let timeout = Timespec::try_from(wait).ok();
    match poll(&mut ready, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(broken(e.into())),
    }
    if ready[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(Failure::Interrupted("the terminal was closed".into()));
    }
    if !event::poll(Duration::ZERO).map_err(broken)? {
        return Ok(None);
    }
    let Input::Key(press) = event::read().map_err(broken)? else { return Ok(None) };
    if press.kind == KeyEventKind::Release {
        return Ok(None);
    }
    Ok(match press.code {
        KeyCode::Char('c') if press.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Stop),
        KeyCode::Char('z') if press.modifiers.contains(KeyModifiers::CONTROL) => {
            screen::suspend();
            None
        }
        KeyCode::Char(_) if press.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Char(c) => Some(Key::Char(c)),
        KeyCode::Left => Some(Key::Left),
        KeyCode::Right => Some(Key::Right),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Home => Some(Key::Home),
        KeyCode::End => Some(Key::End),
        KeyCode::Tab => Some(Key::Tab),
        KeyCode::Esc => Some(Key::Char('q')),
        _ => None,
    })
}

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
const FRAME: Duration = Duration::from_millis(100);

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
            if show(&mut screen, &mut model, &receiver, &stop, &wants).is_err() {
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

fn show(
    screen: &mut Screen,
    model: &mut Model,
    events: &Receiver<Event>,
    stop: &AtomicBool,
    wants: &AtomicBool,
) -> Outcome {
    let theme = Theme { colour: has_colour() };
    let mut heard = Instant::now();
    loop {
        let next = Instant::now() + FRAME;
        let mut closed = false;
        loop {
            match events.try_recv() {
                Ok(event) => {
                    model.apply(&event);
                    heard = Instant::now();
                }
                Err(crossbeam::channel::TryRecvError::Empty) => break,
                Err(crossbeam::channel::TryRecvError::Disconnected) => {
                    closed = true;
                    break;
                }
            }
        }
        model.quiet = heard.elapsed().as_secs();
        screen.draw(|frame| view::draw(frame, model, theme, "q quit   ? help"))?;
        if closed {
            return Ok(());
        }
        wants.store(true, Ordering::Relaxed);
        while let Some(wait) = next.checked_duration_since(Instant::now()) {
            let Some(key) = key(wait)? else { continue };
            match key {
                Key::Stop if stop.swap(true, Ordering::SeqCst) => crate::signals::end_at_once(),
                Key::Char('s') if model.asking => stop.store(true, Ordering::Relaxed),
                Key::Char('d') if model.asking => return Ok(()),
                Key::Char('q') if !model.asking => model.asking = true,
                Key::Char('?') => model.help = !model.help,
                Key::Stop => {}
                _ => (model.asking, model.help) = (false, false),
            }
            if stop.load(Ordering::Relaxed) {
                model.asking = false;
                model.note = "saving… (Ctrl-C again ends it at once, without)".into();
            }
            break;
        }
    }
}
