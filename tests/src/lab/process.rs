//! A program that runs in the lab and is talked to line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take for its next expected line. Longer than any timer of the kernel
/// that a scenario waits for (a join is tried again after 3 s).
const PATIENCE: Duration = Duration::from_secs(25);

/// A running program; it ends when this value is dropped.
pub struct Process {
    name: String,
    child: Child,
    incoming: Receiver<String>,
    /// Every line that it printed so far, on either output.
    pub lines: Vec<String>,
}

impl Process {
    /// Starts `command` with all three standard streams connected to us.
    pub fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let (sender, incoming) = channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            incoming,
            lines: Vec::new(),
        })
    }

    /// Writes one line to the program's standard input.
    pub fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let stdin = self
            .child
            .stdin
            .as_mut()
            .context("standard input is closed")?;
        writeln!(stdin, "{line}").with_context(|| format!("telling {} to {line}", self.name))
    }

    /// Waits until at least `count` lines contain `text`.
    pub fn wait_for(&mut self, text: &str, count: usize) -> anyhow::Result<()> {
        if !self.wait_within(text, count, PATIENCE)? {
            bail!(
                "{}: no `{text}` in {PATIENCE:?}; it said {:?}",
                self.name,
                self.lines
            )
        }
        Ok(())
    }

    /// Whether at least `count` lines contain `text` before `patience` is over. An error if the
    /// program ends before.
    pub fn wait_within(
        &mut self,
        text: &str,
        count: usize,
        patience: Duration,
    ) -> anyhow::Result<bool> {
        let deadline = Instant::now() + patience;
        while self.lines.iter().filter(|line| line.contains(text)).count() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.incoming.recv_timeout(left) {
                Ok(line) => self.lines.push(line),
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "{} ended before `{text}`; it said {:?}",
                        self.name,
                        self.lines
                    )
                }
            }
        }
        Ok(true)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Interrupts the program as Ctrl-C does, so that it finishes its file, and waits for its end.
    pub fn interrupt(mut self) -> anyhow::Result<Vec<String>> {
        self.signal(Signal::INT)?;
        self.child.wait()?;
        self.lines.extend(self.incoming.iter());
        Ok(std::mem::take(&mut self.lines))
    }

    /// Closes the program's standard input and waits for its end.
    pub fn finish(mut self) -> anyhow::Result<Vec<String>> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        self.lines.extend(self.incoming.iter());
        Ok(std::mem::take(&mut self.lines))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The standard output of a command that must succeed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("starting {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{shown}: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
