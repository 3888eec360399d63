//! `caponier docs`: what the program says of itself, for other programs.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum DocsCommand {
    /// Print the OpenAPI 3.1 document of the control API.
    Openapi,
    /// Print a script that completes commands and options in a shell.
    Completions {
        /// For which shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write a manual page for every command, in roff.
    Man {
        /// Folder to write to; made when absent.
        dir: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}
