//! Texts that end an answer, though they may be of several tokens.

use super::tokenizer::TextTokenizer;

/// Texts at each of which an answer ends; it is read without them.
#[derive(Debug)]
pub struct StopTexts {
    tokenizer: TextTokenizer,
    texts: Vec<String>,
    /// As many tokens as the longest has bytes, and one before them: what the last token completes lies in them.
    window: usize,
}

impl StopTexts {
    /// Empty texts end nothing.
    pub fn new(tokenizer: TextTokenizer, texts: &[String]) -> StopTexts {
        let texts: Vec<String> = texts.iter().filter(|t| !t.is_empty()).cloned().collect();
        let longest = texts.iter().map(String::len).max();
        StopTexts {
            tokenizer,
            texts,
            window: longest.unwrap_or(0) + 1,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether the last of an answer's tokens completed one of the texts.
    pub fn ended(&self, tokens: &[u32]) -> bool {
        let has_one = |tokens: &[u32]| self.first(&self.tokenizer.decode(tokens)).is_some();
        let tail = &tokens[tokens.len().saturating_sub(self.window)..];
        // Some decoders write a token otherwise where a text begins: the whole answer decides.
        !self.is_empty() && has_one(tail) && has_one(tokens)
    }

    /// The text of an answer's tokens, up to the first of the texts.
    pub fn text(&self, tokens: &[u32]) -> String {
        let mut text = self.tokenizer.decode(tokens);
        if let Some(end) = self.first(&text) {
            text.truncate(end);
        }
        text
    }

    /// Where the first of them begins.
    fn first(&self, text: &str) -> Option<usize> {
        self.texts.iter().filter_map(|t| text.find(t.as_str())).min()
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::Tokenizer;
    use tokenizers::models::bpe::BPE;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;
    use crate::text::{TokenizerSettings, small_tokenizer};

    /// Every byte is a token, so that characters beyond ASCII are several.
    fn bytes() -> TextTokenizer {
        let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        let vocabulary = (0..).zip(&alphabet).map(|(id, c)| (c.to_string(), id)).collect();
        let model = BPE::new(vocabulary, Vec::new());
        let mut inner = Tokenizer::new(model);
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        inner.with_decoder(Some(ByteLevel::new(false, true, true)));
        TextTokenizer::made(inner, TokenizerSettings::default(), std::path::Path::new(""))
    }

    #[test]
    fn an_answer_ends_with_the_token_that_completes_a_text_and_not_before() {
        let text = "Ann has 12 €, says so – and\n12 + 30 = 42\n\nQuestion: ünd €; more";
        let stops = [
            "\n\nQuestion:",
            "\n\n",
            "= 4",
            "€;",
            "€, s",
            "–",
            "ünd",
            "A",
            "nowhere",
            "e",
        ];
        for tokenizer in [small_tokenizer(), bytes()] {
            let tokens = tokenizer.encode(text, false).unwrap();
            for stop in stops {
                let stops = StopTexts::new(tokenizer.clone(), &[String::new(), stop.into()]);
                let end = (0..=tokens.len()).find(|n| tokenizer.decode(&tokens[..*n]).contains(stop));
                let found = (0..=tokens.len()).find(|n| stops.ended(&tokens[..*n]));
                assert_eq!(found, end, "{stop:?}");
                let Some(end) = end else { continue };
                assert_eq!(stops.text(&tokens[..end]), stops.text(&tokens), "{stop:?}");
                assert!(!stops.text(&tokens).contains(stop));
            }
        }
    }

    #[test]
    fn no_text_or_an_empty_one_ends_nothing() {
        let tokenizer = small_tokenizer();
        let tokens = tokenizer.encode("1 + 1 = 2", false).unwrap();
        for texts in [&[][..], &[String::new()]] {
            let stops = StopTexts::new(tokenizer.clone(), texts);
            assert!(stops.is_empty() && !stops.ended(&tokens));
            assert_eq!(stops.text(&tokens), "1 + 1 = 2");
        }
    }
}
