//! The terminal while it is ours: its other screen, keys without Enter, and everything as it was afterwards.

use std::io::{self, Stdout, Write as _};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{
    self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen,
};
use crossterm::{execute, queue};

use crate::error::{Error, Result};

/// Whether it is ours now. A panic gives it back before it prints.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back when it is dropped.
pub struct Screen {
    out: Stdout,
}

impl Screen {
    /// Takes the terminal.
    pub fn take() -> Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        take_over().map_err(trouble)?;
        Ok(Self { out: io::stdout() })
    }

    /// Columns and lines.
    pub fn size(&self) -> (usize, usize) {
        let (width, height) = terminal::size().unwrap_or((80, 24));
        (usize::from(width.max(20)), usize::from(height.max(6)))
    }

    /// Shows these lines, which are no longer than the screen is wide, and nothing else.
    pub fn draw(&mut self, lines: &[String]) -> Result<()> {
        self.try_draw(lines).map_err(trouble)
    }

    fn try_draw(&mut self, lines: &[String]) -> io::Result<()> {
        queue!(self.out, BeginSynchronizedUpdate)?;
        for (row, line) in (0..).zip(lines) {
            queue!(self.out, MoveTo(0, row))?;
            write!(self.out, "{line}")?;
            queue!(self.out, Clear(ClearType::UntilNewLine))?;
        }
        if let Ok(row) = u16::try_from(lines.len()) {
            queue!(self.out, MoveTo(0, row), Clear(ClearType::FromCursorDown))?;
        }
        queue!(self.out, EndSynchronizedUpdate)?;
        self.out.flush()
    }

    /// Gives the terminal back for as long as `work` takes.
    pub fn lend<R>(&mut self, work: impl FnOnce() -> R) -> Result<R> {
        give_back();
        let done = work();
        take_over().map_err(trouble)?;
        Ok(done)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over() -> io::Result<()> {
    TAKEN.store(true, Relaxed);
    terminal::enable_raw_mode()?;
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        Hide,
        Clear(ClearType::All)
    )
}

/// As it was; nothing if it is that already.
fn give_back() {
    if TAKEN.swap(false, Relaxed) {
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

fn trouble(error: io::Error) -> Error {
    Error::new(
        format!("The terminal cannot be used: {error}"),
        "`./grade.sh watch | cat` prints plain lines.",
    )
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use expectrl::{Eof, Expect as _, Session};

    use super::*;

    #[test]
    #[ignore = "run in a terminal of its own by the test below"]
    fn takes_the_terminal_and_panics() {
        let _screen = Screen::take().unwrap();
        std::thread::spawn(|| panic!("the mistake"))
            .join()
            .unwrap_err();
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_prints() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "live::terminal::tests::takes_the_terminal_and_panics";
        command.args(["--exact", name, "--ignored", "--nocapture"]);
        let mut session = Session::spawn(command).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(300)));
        for words in [
            "\u{1b}[?1049h",
            "\u{1b}[?25h",
            "\u{1b}[?1049l",
            "the mistake",
        ] {
            session
                .expect(words)
                .unwrap_or_else(|error| panic!("{words:?}: {error}"));
        }
        session.expect(Eof).unwrap();
    }
}
