//! Panics of libraries that are known to panic: who expects one catches it, and nothing is printed.
//!
//! The hook of panics is one for the whole process. It is set here alone, once, and asks the thread that panics whether it
//! expects that: threads that begin and end such work at one moment do not know of each other. A panic in code of this
//! house is a fault of ours and is printed all the same, by the hook that was there before.

use std::cell::{Cell, RefCell};
use std::panic::{set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

thread_local! {
    /// Whether the work at hand expects panics.
    static SILENT: Cell<bool> = const { Cell::new(false) };
    /// The file whose code panicked last on this thread.
    static FILE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Puts back what stood there before.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        SILENT.set(self.0);
    }
}

/// Does work during which a panic in code that is not ours prints nothing. It is not caught here.
pub fn silently<T>(work: impl FnOnce() -> T) -> T {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            let file = panic.location().map_or("", |location| location.file());
            FILE.with_borrow_mut(|last| file.clone_into(last));
            if !SILENT.get() || is_own_code(file) {
                before(panic);
            }
        }));
    });
    let _restore = Restore(SILENT.replace(true));
    work()
}

/// Whether the work at hand is done [`silently`].
pub fn is_silent() -> bool {
    SILENT.get()
}

/// The file whose code panicked last on this thread, since [`silently`] was first called; forgotten then.
pub fn take_panicking_file() -> String {
    FILE.take()
}

/// Whether `file` is of this house. Code that a registry or the toolchain brought has a path from the root, ours one in the
/// repository.
pub fn is_own_code(file: &str) -> bool {
    Path::new(file).is_relative()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_panics_of_our_own_are_printed() {
        let theirs = "/home/somebody/.cargo/registry/src/index/arrow-buffer-58/src/buffer.rs";
        let ours = "crates/query/src/panics.rs";
        assert!(!is_own_code(theirs) && is_own_code(ours));
    }

    #[test]
    fn silent_work_within_silent_work_leaves_it_silent() {
        assert!(!is_silent());
        silently(|| {
            silently(|| assert!(is_silent()));
            assert!(is_silent());
        });
        assert!(!is_silent());
    }
}
