//! An application in the network, from the outside: told what to do, line by line.

use std::time::Duration;

use super::{Lab, Node, Process};

/// A running `app listen …` or `app connect …`; it ends when this value is dropped.
pub struct Application {
    process: Process,
    told: usize,
}

impl Application {
    /// Starts the application `words` (see the module `app`) on `node`.
    pub fn start(lab: &Lab, node: Node, words: &[&str]) -> anyhow::Result<Self> {
        let mut command = lab.helper_command(node);
        command.arg("app").args(words);
        Ok(Self {
            process: Process::start(&node.to_string(), &mut command)?,
            told: 0,
        })
    }

    /// Starts one that accepts the first connection to port 5001 on any address; `protocol` is
    /// `mptcp` or `tcp`.
    pub fn listen(lab: &Lab, node: Node, protocol: &str) -> anyhow::Result<Self> {
        Self::listen_at(lab, node, protocol, "[::]:5001")
    }

    /// The same at another address or port.
    pub fn listen_at(lab: &Lab, node: Node, protocol: &str, at: &str) -> anyhow::Result<Self> {
        let mut app = Self::start(lab, node, &["listen", protocol, "read", at])?;
        app.wait_for("listening")?;
        Ok(app)
    }

    /// Starts one that connects, and waits until it is connected.
    pub fn connect(lab: &Lab, node: Node, protocol: &str, to: &str) -> anyhow::Result<Self> {
        let mut app = Self::start(lab, node, &["connect", protocol, "read", to])?;
        app.wait_for("connected")?;
        Ok(app)
    }

    /// Waits for a line that contains `text` and returns it.
    pub fn wait_for(&mut self, text: &str) -> anyhow::Result<&str> {
        self.process.wait_for(text, 1)?;
        let line = self.process.lines.iter().find(|line| line.contains(text));
        Ok(line.map_or("", String::as_str))
    }

    /// Whether it says a line that contains `text` before `patience` is over. An error if it ends
    /// before: an application whose connection is refused does.
    pub fn says_within(&mut self, text: &str, patience: Duration) -> anyhow::Result<bool> {
        self.process.wait_within(text, 1, patience)
    }

    /// Gives a command and does not wait for it.
    pub fn tell(&mut self, command: &str) -> anyhow::Result<()> {
        self.told += 1;
        self.process.tell(command)
    }

    /// Waits until it has done everything that it was told.
    pub fn done(&mut self) -> anyhow::Result<()> {
        self.process.wait_for("ok ", self.told)
    }

    /// Gives a command, waits for it, and returns the lines that it printed, without its `ok`.
    pub fn ask(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        let before = self.process.lines.len();
        self.tell(command)?;
        self.done()?;
        let new = self.process.lines.get(before..).unwrap_or_default();
        let said = |line: &&String| !line.starts_with("ok ");
        Ok(new.iter().filter(said).cloned().collect())
    }

    /// Ends it and returns all that it said.
    pub fn finish(self) -> anyhow::Result<Vec<String>> {
        self.process.finish()
    }
}
