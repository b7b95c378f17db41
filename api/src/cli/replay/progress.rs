//! How far a long command is, on stderr where somebody looks at it.

use std::io::{self, IsTerminal};

use domain::envelope::Position;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar over positions.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar; hidden where stderr is no terminal.
    pub fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::no_length();
        let template = "{elapsed_precise} [{wide_bar}] {pos}/{len} events, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// Moves it.
    pub fn at(&self, position: Position, end: Position) {
        self.0.set_length(end.0);
        self.0.set_position(position.0);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
