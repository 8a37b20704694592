//! The page `docs/functions.md`, generated from [`FUNCTIONS`] and [`TABLE_FUNCTIONS`]; `BLESS=1` rewrites it.
#![allow(clippy::disallowed_methods, reason = "a test writes and reads the page")]

use std::fmt::Write;
use std::path::Path;

use datafusion::logical_expr::Documentation;

use crate::{FUNCTIONS, TABLE_FUNCTIONS};

/// What stands before the lists.
const PREFACE: &str = "# SQL functions

Generated from `crates/query/src/functions` and `crates/query/src/table_functions` by `make bless`.
All functions of DataFusion are there too; `SELECT * FROM information_schema.routines` lists everything.

## How they are used

`traces` gives the waveform of a channel and time window, one row a gapless run, merged across segments and ready for the functions below:

```sql
SELECT start_time, rms(bandpass(demean(samples), sample_rate_hz, 1, 10))
FROM traces('FDSN:SY_D001__H_H_Z', '2026-01-01T00:00', '2026-01-01T01:00');
```

Functions also take the rows of `waveform.segments` as they are.
There `samples` holds counts and `samples_float` the values of float encodings; one of both is null, and `coalesce(samples, samples_float)` is the one that is there:

```sql
SELECT source_id, start_time, peak(demean(coalesce(samples, samples_float)))
FROM waveform.segments
WHERE start_time >= '2026-01-01' AND start_time < '2026-01-02';
```

## Rules

- A null argument gives null.
- Nulls, NaN and infinities among samples are gaps.
  A function whose result is as long as its samples runs over each gapless run anew and leaves the gaps null, so no filter ever sees one.
  Numbers (`rms`, `peak`, `energy`) leave gaps out.
  Functions that cannot do either refuse samples with gaps.
- An argument that makes no sense ends the statement with one sentence that names the function and the argument.
- Transforms take up to 10 000 000 samples: a day at 100 Hz.
- What the lists of a batch of rows take, given and made, counts as memory of the session (`query.memory_bytes`); a statement that needs more ends with one sentence.
- Tolerances are stated against SciPy, NumPy and ObsPy; tests hold them.
";

fn function(page: &mut String, name: &str, documentation: &Documentation) {
    let _ = write!(page, "\n### {name}\n\n`{}`\n\n", documentation.syntax_example);
    let _ = writeln!(page, "{}", sentences(&documentation.description));
    if let Some(arguments) = &documentation.arguments {
        page.push_str("\n| argument | meaning |\n|---|---|\n");
        for (name, meaning) in arguments {
            let _ = writeln!(page, "| `{name}` | {meaning} |");
        }
    }
    if let Some(example) = &documentation.sql_example {
        let _ = write!(page, "\n```sql\n{example}\n```\n");
    }
}

/// One sentence a line.
fn sentences(text: &str) -> String {
    text.replace(". ", ".\n")
}

fn page() -> String {
    let mut page = PREFACE.to_owned();
    page.push_str("\n## Table functions\n");
    for table in TABLE_FUNCTIONS {
        let _ = write!(page, "\n### {}\n\n`{}`\n\n{}\n", table.name, table.syntax, sentences(table.doc));
        page.push_str("\n| column | meaning |\n|---|---|\n");
        for (name, meaning) in table.columns {
            let _ = writeln!(page, "| `{name}` | {meaning} |");
        }
        let _ = write!(page, "\n```sql\n{}\n```\n", table.example);
    }
    page.push_str("\n## Functions\n");
    for constructor in FUNCTIONS {
        let udf = constructor();
        let documentation =
            udf.documentation().unwrap_or_else(|| panic!("{} has no documentation", udf.name()));
        function(&mut page, udf.name(), documentation);
    }
    page
}

#[test]
fn docs_functions_md_says_what_the_definitions_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/functions.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/functions.md is out of date: run the tests with BLESS=1");
}
