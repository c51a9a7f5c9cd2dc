//! `illume watch`: a run or a sweep while it goes on, in the terminal. It reads what lies in the folder and writes nothing.

mod follow;
mod run;
mod screen;
mod sweep;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use illume_cluster::signals;
use illume_core::{Error, Result};
use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::launch::alone;
use crate::sweep::Sweep;

/// Columns and lines where there is no terminal.
const PAGE: [u16; 2] = [100, 34];

/// Show a run or a sweep in the terminal while it goes on, on this node or another: map, curves, rates, time left
#[derive(clap::Args)]
pub struct WatchArgs {
    /// Run directory, or the folder of a sweep
    path: PathBuf,
    /// Seconds between looks
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = seconds)]
    every: f64,
    /// The column of the history to draw at first; Tab goes on to the next [default: the QD score, or what the strategy is followed by]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Print what there is to see once, without colours, and end; so does an output that is no terminal
    #[arg(long)]
    once: bool,
}

fn seconds(text: &str) -> std::result::Result<f64, &'static str> {
    let number = text.parse().ok().filter(|x| (0.1..=3600.0).contains(x));
    number.ok_or("expected a number of seconds from 0.1 to 3600")
}

impl WatchArgs {
    pub fn run(&self) -> u8 {
        alone(|| watch(self))
    }
}

/// What is watched.
trait View {
    /// Reads what has been written since.
    ///
    /// # Errors
    /// The folder cannot be read any more.
    fn refresh(&mut self) -> Result<()>;

    fn draw(&self, frame: &mut Frame<'_>);

    /// The next column, or the one before.
    fn turn(&mut self, _forward: bool) {}
}

/// # Errors
/// Neither a run nor a sweep, or a terminal that does not do as it should.
fn watch(args: &WatchArgs) -> Result<String> {
    let mut view: Box<dyn View> = if Sweep::is_at(&args.path) {
        if args.column.is_some() {
            return Err(Error::input(format!(
                "--column is for a run, and {} is the folder of a sweep",
                args.path.display()
            )));
        }
        Box::new(sweep::SweepView::open(&args.path)?)
    } else {
        check(&args.path)?;
        Box::new(run::RunView::open(&args.path, args.column.as_deref())?)
    };
    view.refresh()?;
    if args.once || !std::io::stdout().is_terminal() {
        return page(view.as_ref());
    }
    let failed = |e: std::io::Error| Error::failed(format!("the terminal cannot be used: {e}"));
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let outcome = show(&mut terminal, view.as_mut(), Duration::from_secs_f64(args.every));
    ratatui::restore();
    outcome.map(|()| String::new())
}

/// Whether a run can be watched there.
fn check(path: &Path) -> Result<()> {
    let shown = path.display();
    if !path.is_dir() {
        let what = if path.exists() { "is a file" } else { "does not exist" };
        return Err(Error::input(format!(
            "{shown} {what}: expected a run directory or the folder of a sweep"
        )));
    }
    if !["log.jsonl", "archive.h5", "checkpoint.h5"]
        .iter()
        .any(|name| path.join(name).exists())
    {
        return Err(Error::input(format!(
            "{shown} holds neither log.jsonl nor archive.h5: expected a run directory or the folder of a sweep"
        )));
    }
    Ok(())
}

fn show(terminal: &mut ratatui::DefaultTerminal, view: &mut dyn View, every: Duration) -> Result<()> {
    let failed = |e: std::io::Error| Error::failed(format!("the terminal cannot be used: {e}"));
    let mut next = Instant::now() + every;
    loop {
        terminal.draw(|frame| view.draw(frame)).map_err(failed)?;
        let mut refresh = !event::poll(next.saturating_duration_since(Instant::now())).map_err(failed)?;
        if !refresh && let Event::Key(key) = event::read().map_err(failed)? {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            match key.code {
                _ if key.kind != KeyEventKind::Press => (),
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Char('c') if control => return Ok(()),
                KeyCode::Char('r') => refresh = true,
                KeyCode::Tab | KeyCode::Right => view.turn(true),
                KeyCode::BackTab | KeyCode::Left => view.turn(false),
                _ => (),
            }
        }
        if signals::stop_requested() {
            return Ok(());
        }
        if refresh {
            view.refresh()?;
            next = Instant::now() + every;
        }
    }
}

/// What there is to see, as text.
fn page(view: &dyn View) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("the page cannot be drawn: {e}"));
    let mut terminal = ratatui::Terminal::new(TestBackend::new(PAGE[0], PAGE[1])).map_err(|e| failed(&e))?;
    terminal.draw(|frame| view.draw(frame)).map_err(|e| failed(&e))?;
    let buffer = terminal.backend().buffer();
    let line = |y: u16| -> String { (0..PAGE[0]).map(|x| screen::letter(&buffer[(x, y)])).collect() };
    Ok((0..PAGE[1]).map(|y| line(y).trim_end().to_string() + "\n").collect())
}
