//! The command line: a promise to scripts. What a command takes stands where the command is.

use clap::Parser;

use crate::commands::Command;
use crate::terminal::log_filter;

/// A lakehouse for seismic networks: packets in, earthquakes out, every row in open Iceberg tables.
#[derive(Debug, Parser)]
#[command(
    name = "seislake",
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Exit status: 0 done; 1 failed, the last line on standard error says why; 2 wrong command line; 130 or 143 cut short by Ctrl-C or SIGTERM (serve and demo end with 0 then)."
)]
pub(crate) struct CommandLine {
    /// What is logged to standard error: off, error, warn, info, debug, trace, or filters by module such as seislake_streams=debug,warn. Default: warn.
    #[arg(long, global = true, value_name = "LEVEL", env = "SEISLAKE_LOG", value_parser = parse_log_level)]
    pub(crate) log_level: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

fn parse_log_level(text: &str) -> Result<String, String> {
    log_filter(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every command without commands below it, with the names that lead to it.
    fn leaves(command: &clap::Command, path: &[String]) -> Vec<(Vec<String>, String)> {
        if !command.has_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            return vec![(path.to_vec(), help)];
        }
        let below = |below: &clap::Command| leaves(below, &[path, &[below.get_name().to_owned()]].concat());
        command.get_subcommands().flat_map(below).collect()
    }

    /// Words as a shell cuts them.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for character in line.chars() {
            match (character, quote) {
                (open, None) if open == '"' || open == '\'' => quote = Some(open),
                (close, Some(open)) if close == open => quote = None,
                (' ', None) => words.push(String::new()),
                (other, _) => words.last_mut().unwrap().push(other),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_an_example_that_its_command_line_takes() {
        for (path, help) in leaves(&CommandLine::command(), &[]) {
            let examples: Vec<&str> = help
                .lines()
                .filter_map(|line| line.find("seislake ").map(|begin| &line[begin..]))
                .filter(|line| line.starts_with(&format!("seislake {}", path.join(" "))))
                .collect();
            assert!(!examples.is_empty(), "{path:?} has no example: {help}");
            for example in examples {
                // What the shell does with the results is its own affair.
                let own = example.split([';', '<', '>', '|']).next().unwrap();
                for command in own.split("&&") {
                    let parsed = CommandLine::try_parse_from(words(command.trim()));
                    assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
                }
            }
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }
}
