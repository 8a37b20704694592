//! Exit statuses: the one place where the end of a command becomes a number. The help of the command line promises them.
//!
//! All kinds of errors are one status: what to do about it is said in the sentence.

use std::process::ExitCode;

use crate::interruption::EndRequest;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked for.
    Done,
    /// It could not.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The operator ended it before it was done.
    Interruption(EndRequest),
}

impl Exit {
    /// The number; of an interruption 128 and that of the signal, which shells know.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Interruption(EndRequest::Interrupt) => 130,
            Self::Interruption(EndRequest::Terminate) => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}
