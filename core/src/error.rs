//! The error type that crosses the seams between the crates.

use thiserror::Error;

/// What went wrong, sorted by whose fault it is: the binary turns it into an exit code.
#[derive(Debug, Error)]
pub enum Error {
    /// The user's input is wrong: one sentence that names what, where, and what would be accepted (exit code 2).
    #[error("{0}")]
    Input(String),
    /// Several things are wrong with the user's configuration, all reported at once (exit code 2).
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Problem>),
    /// The machine or a library failed: a full disk, a lost rank, a corrupt file (exit code 1).
    #[error("{0}")]
    Failed(String),
    /// Another process has what this one needs, a run directory say: one sentence that names it; later may be better (exit code 75).
    #[error("{0}")]
    Busy(String),
}

/// One thing wrong with a configuration. `section` is the TOML table, empty for the top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub section: String,
    pub key: String,
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.section.is_empty() {
            write!(f, "{}: {}", self.key, self.message)
        } else {
            write!(f, "{}.{}: {}", self.section, self.key, self.message)
        }
    }
}

impl Error {
    pub fn input(message: impl Into<String>) -> Self {
        Error::Input(message.into())
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Error::Failed(message.into())
    }

    pub fn busy(message: impl Into<String>) -> Self {
        Error::Busy(message.into())
    }

    /// A single configuration problem.
    pub fn config(section: &str, key: &str, message: impl Into<String>) -> Self {
        Error::Config(vec![Problem {
            section: section.into(),
            key: key.into(),
            message: message.into(),
        }])
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// Both values, or the configuration problems of both at once; of other errors the first.
///
/// # Errors
/// Either's.
pub fn both<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(Error::Config(mut a)), Err(Error::Config(b))) => {
            a.extend(b);
            Err(Error::Config(a))
        }
        (Err(e), _) | (_, Err(e)) => Err(e),
    }
}
