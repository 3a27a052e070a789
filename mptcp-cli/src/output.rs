//! Flags that all commands have in common, and the place where answers go.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write};

use anstream::{AutoStream, StripStream};
use clap::{Args, ValueEnum};

use crate::escape::escape;
use crate::generate::Generate;
use crate::log;
use crate::named::NamedWriter;

/// Flags that all commands have in common.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Write one JSON document instead of text.
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,
    /// When to use colour; `NO_COLOR` in the environment turns it off.
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = HEADING)]
    pub color: Color,
    /// Tell of new connections on standard error; twice for grouping decisions, three times for
    /// every segment.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = HEADING)]
    pub verbose: u8,
    /// Tell only errors on standard error.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = HEADING)]
    pub quiet: bool,
    /// Write a man page or a shell completion to standard output.
    #[arg(long, value_name = "WHAT", hide = true)]
    pub generate: Option<Generate>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl OutputArgs {
    /// Puts the flags into force for this process: colour and logging.
    pub fn apply(&self) {
        match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        log::start(self.verbose, self.quiet);
    }

    /// Tells the user something that is not part of the answer, on standard error, unless `-q`.
    /// Control characters in `text` are escaped.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            // A closed standard error must not stop the answer.
            let _ = writeln!(anstream::stderr(), "{}", escape(text));
        }
    }
}

/// Where the answer goes, and how wide and colourful it may be.
pub struct Output {
    sink: Box<dyn Write>,
    colored: bool,
    terminal: bool,
    width: Option<usize>,
}

impl Output {
    /// Standard output of this process. Call after [`OutputArgs::apply`].
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        Output {
            colored: AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            width: terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0)),
            terminal: stdout.is_terminal(),
            sink: Box::new(BufWriter::with_capacity(
                BUFFER_BYTES,
                NamedWriter::new("standard output", stdout),
            )),
        }
    }

    /// An answer that goes to `sink`, which is a terminal if it has a width; for tests.
    pub fn to(sink: Box<dyn Write>, colored: bool, width: Option<usize>) -> Self {
        Output {
            sink,
            colored,
            terminal: width.is_some(),
            width,
        }
    }

    /// For text: escape sequences for colour are removed if colour is not wanted.
    pub fn text(&mut self) -> Box<dyn Write + '_> {
        if self.colored {
            Box::new(&mut self.sink)
        } else {
            Box::new(StripStream::new(&mut self.sink))
        }
    }

    /// For bytes: JSON documents and data streams.
    pub fn bytes(&mut self) -> &mut dyn Write {
        &mut self.sink
    }

    /// Whether the answer goes to a terminal, which obeys what it is sent: bytes from the network
    /// must not go there as they are.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Width of the terminal in columns; `None` when the answer goes to a file or a pipe, where
    /// long lines stay whole.
    pub fn width(&self) -> Option<usize> {
        self.width
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("colored", &self.colored)
            .field("terminal", &self.terminal)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

const HEADING: &str = "Output";
/// Large enough that a listing of a million packets needs few system calls.
const BUFFER_BYTES: usize = 64 * 1024;
