//! The `seislake` binary: command line, configuration, wiring. It wires, it does not think.

mod arguments;
mod beside;
mod command_line;
mod commands;
mod ingest;
mod interruption;
mod server;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use mimalloc::MiMalloc;
use seislake_query::CountingAllocator;

use crate::command_line::CommandLine;
use crate::interruption::Interrupted;
use crate::terminal::ReaderLeft;

#[global_allocator]
static ALLOCATOR: CountingAllocator<MiMalloc> = CountingAllocator(MiMalloc);

/// Exit status of a failed command; 2 is a wrong command line. The help of the command line promises them.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    terminal::start_logging(command_line.log_level.as_deref());
    match commands::run(command_line.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if ReaderLeft::ended(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                terminal::tell(&interrupted.to_string());
                return ExitCode::from(interrupted.asked.status());
            }
            terminal::print_error(&error);
            ExitCode::from(FAILED)
        }
    }
}
