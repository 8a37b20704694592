//! The `seislake` binary: command line, configuration, wiring. It wires, it does not think.

mod arguments;
mod command_line;
mod commands;
mod doors;
mod exit;
mod interruption;
mod log_lines;
mod server;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use mimalloc::MiMalloc;
use seislake_query::CountingAllocator;

use crate::command_line::CommandLine;
use crate::exit::Exit;
use crate::interruption::Interruption;
use crate::terminal::ReaderLeft;

#[global_allocator]
static ALLOCATOR: CountingAllocator<MiMalloc> = CountingAllocator(MiMalloc);

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let exit = if asked { Exit::Done } else { Exit::Usage };
            return exit.into();
        }
    };
    terminal::start_logging(command_line.log_level.as_deref());
    let end = commands::run(command_line.command);
    terminal::finish_logging();
    let exit = match end {
        Ok(()) => Exit::Done,
        Err(error) if ReaderLeft::ended(&error) => Exit::Done,
        Err(error) => match error.downcast_ref::<Interruption>() {
            Some(interrupted) => {
                terminal::tell(&interrupted.to_string());
                Exit::Interruption(interrupted.asked)
            }
            None => {
                terminal::print_error(&error);
                Exit::Failed
            }
        },
    };
    exit.into()
}
