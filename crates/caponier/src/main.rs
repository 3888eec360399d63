//! The `caponier` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(caponier::commands::main().code())
}
