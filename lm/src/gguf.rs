//! Files in llama.cpp's format GGUF: metadata (the model's shape, its tokenizer, its chat template) and tensors, most of them quantized, in one file.
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod model;
mod read;
mod tokenizer;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use illume_core::{Error, Result};
use memmap2::Mmap;

pub(crate) use model::checkpoint;
pub(crate) use tokenizer::tokenizer;

use crate::checkpoint::{Encoding, map};

/// A value of the metadata. Lists hold values of one type, and no lists.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Integer(i128),
    Float(f64),
    Flag(bool),
    Text(String),
    List(Vec<Value>),
}

/// A tensor as the file describes it.
#[derive(Debug)]
struct Described {
    /// Row by row, as everywhere here: the file's list of dimensions the other way around.
    shape: Vec<usize>,
    encoding: Encoding,
    /// In the file.
    bytes: Range<usize>,
}

/// A file's description, and the file itself.
#[derive(Debug)]
struct Gguf {
    path: PathBuf,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, Described>,
    file: Mmap,
}

impl Gguf {
    /// Maps a file, and reads all of it but the tensors.
    ///
    /// # Errors
    /// The file cannot be read, is no GGUF of version 2 or 3, is damaged or cut short, or holds tensors of a type that is not supported.
    fn open(path: &Path) -> Result<Gguf> {
        let unreadable = |e| Error::input(format!("{} cannot be read: {e}", path.display()));
        let file = map(path).map_err(unreadable)?;
        let (metadata, tensors) =
            read::description(&file).map_err(|what| Error::input(format!("{}: {what}", path.display())))?;
        Ok(Gguf {
            path: path.to_owned(),
            metadata,
            tensors,
            file,
        })
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::input(format!("{}: {what}", self.path.display()))
    }

    /// The value of a key, if there is one, of a type that `read` takes.
    fn optional<'a, T>(&'a self, key: &str, words: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(x) => Ok(Some(x)),
                None => Err(self.wrong(format!("{key} is {}, and must be {words}", value.shown()))),
            },
        }
    }

    fn missing(&self, key: &str) -> Error {
        self.wrong(format!("the metadata has no {key}"))
    }

    fn text(&self, key: &str) -> Result<Option<&str>> {
        self.optional(key, "a string", |v| match v {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.optional(key, "true or false", |v| match v {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        self.optional(key, "a number", |v| match v {
            Value::Float(x) => Some(*x),
            Value::Integer(x) => Some(*x as f64),
            _ => None,
        })
    }

    /// A size, or a list of equal ones, which is how a size is written that may differ between layers.
    fn count(&self, key: &str) -> Result<Option<usize>> {
        self.optional(key, "a whole number, the same for all layers", |v| match v {
            Value::List(list) => {
                let first = list.first()?;
                list.iter().all(|v| v == first).then(|| first.count())?
            }
            v => v.count(),
        })
    }

    fn need_count(&self, key: &str) -> Result<usize> {
        self.count(key)?.ok_or_else(|| self.missing(key))
    }

    /// The number of a token.
    fn token(&self, key: &str) -> Result<Option<u32>> {
        let read = |v: &Value| v.count().and_then(|n| u32::try_from(n).ok());
        self.optional(key, "the number of a token", read)
    }

    fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        self.optional(key, "a list of strings", |v| {
            let Value::List(list) = v else { return None };
            let text = |v: &'_ Value| matches!(v, Value::Text(_));
            list.iter()
                .all(text)
                .then(|| list.iter().filter_map(Value::text).collect())
        })
    }

    fn counts(&self, key: &str) -> Result<Option<Vec<usize>>> {
        self.optional(key, "a list of whole numbers", |v| match v {
            Value::List(list) => list.iter().map(Value::count).collect(),
            _ => None,
        })
    }
}

impl Value {
    fn count(&self) -> Option<usize> {
        match self {
            Value::Integer(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// For messages.
    fn shown(&self) -> String {
        match self {
            Value::Integer(n) => n.to_string(),
            Value::Float(x) => x.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(list) => format!("a list of {} values", list.len()),
        }
    }
}
