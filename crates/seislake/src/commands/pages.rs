//! `seislake completions` and `seislake man`: what the declarations of the command line say, for shells and readers.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use crate::command_line::CommandLine;
use crate::terminal::print_result;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples: seislake completions bash > ~/.local/share/bash-completion/completions/seislake
          seislake completions fish > ~/.config/fish/completions/seislake.fish"
)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples: seislake man --output ~/.local/share/man/man1
          seislake man | man -l -")]
pub(crate) struct ManArgs {
    /// Folder for all pages; without it the page of the whole goes to standard output.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "seislake", &mut script);
    print_result(&String::from_utf8(script)?)
}

pub(crate) fn man(args: &ManArgs) -> anyhow::Result<()> {
    let Some(folder) = &args.output else {
        let mut page = Vec::new();
        clap_mangen::Man::new(CommandLine::command()).render(&mut page)?;
        return print_result(&String::from_utf8(page)?);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(CommandLine::command(), folder))
        .with_context(|| format!("cannot write man pages to \"{}\"", folder.display()))
}
