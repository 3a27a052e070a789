//! Man pages and shell completions, made from the command-line definition.

use std::io::{self, Write};

use clap::{Command, ValueEnum};
use clap_complete::Shell;

/// What `--generate` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// A man page in roff, subcommands included.
    Man,
    /// Completion for bash.
    Bash,
    /// Completion for zsh.
    Zsh,
    /// Completion for fish.
    Fish,
}

/// Writes `what` for `command`.
pub fn generate(mut command: Command, what: Generate, out: &mut dyn Write) -> io::Result<()> {
    let shell = match what {
        Generate::Man => return man(command, out),
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
    };
    let name = command.get_name().to_owned();
    // The generator panics when its writer fails, so it gets one that cannot.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    out.write_all(&script)
}

/// The page of the command, followed by the synopsis and the options of each subcommand.
fn man(mut command: Command, out: &mut dyn Write) -> io::Result<()> {
    command.build();
    let subcommands: Vec<Command> = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help")
        .cloned()
        .collect();
    clap_mangen::Man::new(command).render(out)?;
    for subcommand in subcommands {
        let heading = subcommand.get_name().to_uppercase();
        let page = clap_mangen::Man::new(subcommand);
        writeln!(out, ".SH {heading}")?;
        let mut section = Vec::new();
        page.render_description_section(&mut section)?;
        page.render_synopsis_section(&mut section)?;
        page.render_options_section(&mut section)?;
        // A section of a subcommand's own page is a subsection here.
        out.write_all(
            String::from_utf8_lossy(&section)
                .replace(".SH ", ".SS ")
                .as_bytes(),
        )?;
    }
    Ok(())
}
