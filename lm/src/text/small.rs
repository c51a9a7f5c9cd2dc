//! The tokenizer of the small model: single characters, among them every digit for itself, and whole words of the generated text.

use std::path::Path;

use tokenizers::models::unigram::Unigram;
use tokenizers::{AddedToken, Tokenizer};

use super::tokenizer::{TextTokenizer, TokenizerSettings};
use crate::data::WORDS;

/// Its special tokens; their numbers are 0, 1, 2, …
pub const SMALL_SPECIAL: [&str; 6] = [
    "<|pad|>",
    "<|unk|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
];
const UNKNOWN: usize = 1;

/// Each message behind its role's token; an answer ends by the last token.
const TEMPLATE: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}\
    {% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// Log-probabilities by which the segmentation is chosen: one word beats its characters, and of two words the one listed first.
const CHARACTER: f64 = -10.0;
const WORD: f64 = -5.0;
const WORD_STEP: f64 = -0.001;

/// A Unigram tokenizer of the special tokens, the printable ASCII characters, the line's end and the words of the generated text, each with a space
/// before it and without. Its vocabulary is the same in every build.
pub fn small_tokenizer() -> TextTokenizer {
    let mut vocabulary: Vec<(String, f64)> = SMALL_SPECIAL.map(|t| (t.to_string(), 10.0 * CHARACTER)).into();
    let characters = std::iter::once('\n').chain(' '..='~');
    vocabulary.extend(characters.map(|c| (c.to_string(), CHARACTER)));
    for (i, word) in WORDS.iter().enumerate() {
        vocabulary.push(((*word).into(), WORD + WORD_STEP * i as f64));
    }
    let model = Unigram::from(vocabulary, Some(UNKNOWN), false).expect("the unknown token is in the vocabulary");
    let mut inner = Tokenizer::new(model);
    inner.with_decoder(Some(tokenizers::decoders::fuse::Fuse::new()));
    inner.add_special_tokens(&SMALL_SPECIAL.map(|t| AddedToken::from(t, true)));
    let settings = TokenizerSettings {
        bos_token: None,
        eos_token: Some(SMALL_SPECIAL[2].into()),
        pad_token: Some(SMALL_SPECIAL[0].into()),
        unk_token: Some(SMALL_SPECIAL[UNKNOWN].into()),
        chat_template: Some(TEMPLATE.into()),
    };
    TextTokenizer::made(inner, settings, Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_alone_words_are_whole_and_every_text_comes_back() {
        let t = small_tokenizer();
        let text = "Ann has 120 apples. What is 7 + 13?\n#### 20 {~}";
        let tokens = t.encode(text, true).unwrap();
        assert_eq!(t.decode(&tokens), text);
        let pieces: Vec<String> = tokens.iter().map(|id| t.decode(&[*id])).collect();
        assert_eq!(&pieces[..8], ["Ann", " has", " ", "1", "2", "0", " apples", ". "]);
        assert!(tokens.len() < 35, "{pieces:?}");
        for digit in '0'..='9' {
            assert_eq!(t.encode(&digit.to_string(), true).unwrap().len(), 1);
        }
    }

    #[test]
    fn special_tokens_are_one_token_each_and_unknown_characters_become_the_unknown_one() {
        let t = small_tokenizer();
        for (i, special) in SMALL_SPECIAL.iter().enumerate() {
            assert_eq!(t.encode(special, true).unwrap(), [i as u32]);
        }
        assert_eq!(t.encode("é", true).unwrap(), [UNKNOWN as u32]);
        assert_eq!(t.decode(&t.encode("1<|end|>", true).unwrap()), "1");
        assert!(t.vocab() > 100 && t.vocab() < 256, "{}", t.vocab());
    }
}
