//! `seislake bench NAME`: measures, beside a peer in the same run where there is one.
//!
//! | name | what |
//! |---|---|
//! | `main` | decoding, and an import through the whole path |
//! | `archive` | decoding, bulk import, size, reading back, beside libmseed, pymseed and ObsPy |
//! | `quality` | continuity of a national day, component ratios beside ObsPy |

mod archive;
mod decode;
mod main_path;
mod measure;
mod quality;
mod read_back;

use crate::command_line::BenchArgs;
use crate::terminal::print_result;

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let measures = match args.name.as_str() {
        "archive" => archive::run(args)?,
        "quality" => quality::run(args)?,
        _ => main_path::run(args)?,
    };
    if args.json {
        return print_result(&format!("{}\n", serde_json::to_string(&measures)?));
    }
    print_result(&measure::describe(&measures))
}
