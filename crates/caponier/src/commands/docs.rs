//! What the program says of itself: the API's document, shell completions, manual pages. All of it follows from the code that
//! serves and parses, so that none of it can be out of date.

use std::path::Path;

use clap::{Command, CommandFactory as _};
use serde_json::json;

use crate::{
    cli::{
        Cli,
        docs::{DocsCommand, Shell},
    },
    exit::{Exit, Failure},
    output,
};

/// Section of the manual for commands.
const SECTION: &str = "1";

pub(super) fn docs(command: &DocsCommand, as_json: bool) -> Result<Exit, Failure> {
    match command {
        DocsCommand::Openapi => output::line(api::document_text().trim_end()),
        DocsCommand::Completions { shell } => output::line(completions(*shell).trim_end()),
        DocsCommand::Man { dir } => {
            let pages = manual(dir)?;
            if as_json {
                output::line(json!({ "ok": true, "pages": pages }).to_string());
            } else {
                output::line(format!("{pages} pages written to {}", dir.display()));
            }
        }
    }
    Ok(Exit::Ok)
}

fn completions(shell: Shell) -> String {
    use clap_complete::{generate, shells};
    let (mut script, mut command) = (Vec::new(), Cli::command());
    let name = command.get_name().to_owned();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, name, &mut script),
        Shell::Elvish => generate(shells::Elvish, &mut command, name, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, name, &mut script),
        Shell::Powershell => generate(shells::PowerShell, &mut command, name, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, name, &mut script),
    }
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes `caponier.1`, `caponier-run.1` and so on; says how many.
fn manual(dir: &Path) -> Result<usize, Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::io(dir.display(), error))?;
    let mut root = Cli::command();
    root.build();
    let name = root.get_name().to_owned();
    pages(&root, &name, dir)
}

fn pages(command: &Command, name: &str, dir: &Path) -> Result<usize, Failure> {
    let file = dir.join(format!("{name}.{SECTION}"));
    let mut page = Vec::new();
    let titled = command.clone().display_name(name.to_owned());
    clap_mangen::Man::new(titled)
        .section(SECTION)
        .source(format!("caponier {}", env!("CARGO_PKG_VERSION")))
        .manual("Caponier")
        .render(&mut page)
        .and_then(|()| std::fs::write(&file, &page))
        .map_err(|error| Failure::io(file.display(), error))?;
    let mut written = 1;
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        written += pages(inner, &format!("{name}-{}", inner.get_name()), dir)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        let names: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::Powershell, Shell::Zsh] {
            let script = completions(shell);
            for name in &names {
                assert!(script.contains(name.as_str()), "{shell:?} {name}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let pages = manual(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), pages);
        let page = std::fs::read_to_string(dir.path().join("caponier-keys-create.1")).unwrap();
        assert!(page.contains(".TH caponier-keys-create 1") && page.contains("withdraw"), "{page}");
    }
}
