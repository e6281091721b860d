//! The one loop of full-screen views, and what a page of it is: keys in, pictures out.

use super::pane::Theme;
use crate::failure::{Failure, Outcome};
use crate::screen::{self, Screen, has_colour};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// What comes after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Stay,
    Leave,
}

/// A view that fills the terminal.
pub trait Page {
    /// Takes in what has happened since the last picture.
    fn update(&mut self) -> Outcome;

    /// Draws it.
    fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme);

    /// Whether the picture just drawn is the last one.
    fn is_over(&self) -> bool {
        false
    }

    /// The longest time to the next picture; a key brings it at once.
    fn wait(&self) -> Duration {
        Duration::from_millis(100)
    }

    /// Answers a key. Ctrl-C is one too.
    fn key(&mut self, key: Key) -> Next;
}

/// Shows a page until it is left. An error once the terminal is gone.
pub fn run(screen: &mut Screen, page: &mut dyn Page) -> Outcome {
    let theme = Theme { colour: has_colour() };
    loop {
        let next = Instant::now() + page.wait();
        page.update()?;
        screen.draw(|frame| page.draw(frame, theme))?;
        if page.is_over() {
            return Ok(());
        }
        while let Some(wait) = next.checked_duration_since(Instant::now()) {
            let Some(pressed) = key(wait)? else { continue };
            if page.key(pressed) == Next::Leave {
                return Ok(());
            }
            break;
        }
    }
}

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
fn key(wait: Duration) -> Outcome<Option<Key>> {
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
