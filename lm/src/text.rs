//! Text and tokens: tokenizers, chat templates, and how a case becomes the tokens of a prompt.

mod chat;
mod prompt;
mod small;
mod stop;
mod tokenizer;

pub use chat::{ChatTemplate, Message};
pub use prompt::Prompter;
pub use small::{SMALL_SPECIAL, small_tokenizer};
pub use stop::StopTexts;
pub(crate) use tokenizer::copy;
pub use tokenizer::{TextTokenizer, TokenizerSettings};
