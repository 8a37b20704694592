//! Names for what is put aside: nothing that is kept is ever replaced.

use std::path::{Path, PathBuf};

/// Names that are tried.
const NAMES_MAX: u32 = 1000;

/// `path`, or the first of `path-1`, `path-2` … that is not taken; `None` where a thousand are.
pub fn free_name(path: &Path, is_taken: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let numbered = (1..NAMES_MAX).map(|number| PathBuf::from(format!("{}-{number}", path.display())));
    std::iter::once(path.to_owned()).chain(numbered).find(|name| !is_taken(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_that_is_not_taken_is_given() {
        let path = Path::new("state/seen.redb.damaged");
        let after =
            |taken: &[&str]| free_name(path, |name| taken.iter().any(|taken| name == Path::new(taken)));
        assert_eq!(after(&[]).as_deref(), Some(path));
        let taken = ["state/seen.redb.damaged", "state/seen.redb.damaged-1"];
        assert_eq!(after(&taken), Some("state/seen.redb.damaged-2".into()));
        assert_eq!(free_name(path, |_| true), None);
    }
}
