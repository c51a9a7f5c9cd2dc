//! How a case becomes tokens: the prompt through the chat template, or as it stands where the model has none.

use illume_core::{Error, Result};

use super::chat::{ChatTemplate, Message};
use super::tokenizer::TextTokenizer;
use crate::data::Case;

/// Turns cases into tokens.
pub struct Prompter {
    tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    /// Message of the role `system` before each prompt; none if empty.
    system: String,
}

impl Prompter {
    /// `template`: the model's, or none for prompts as they stand.
    pub fn new(tokenizer: TextTokenizer, template: Option<ChatTemplate>, system: &str) -> Prompter {
        let system = system.into();
        Prompter {
            tokenizer,
            template,
            system,
        }
    }

    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// The tokens after which the model answers.
    ///
    /// # Errors
    /// The template refuses the messages.
    pub fn prompt(&self, prompt: &str) -> Result<Vec<u32>> {
        let Some(template) = &self.template else {
            let separator = if self.system.is_empty() { "" } else { "\n\n" };
            return self
                .tokenizer
                .encode(&format!("{}{separator}{prompt}", self.system), true);
        };
        let mut messages = Vec::new();
        if !self.system.is_empty() {
            messages.push(Message::new("system", &self.system));
        }
        messages.push(Message::new("user", prompt));
        // The template writes the first token itself.
        self.tokenizer.encode(&template.render(&messages, true)?, false)
    }

    /// An example to learn from: the tokens of prompt, solution and the token that ends an answer, and where the answer begins.
    ///
    /// # Errors
    /// The template refuses the messages, or the tokenizer names no token that ends an answer.
    pub fn example(&self, case: &Case) -> Result<(Vec<u32>, usize)> {
        let mut tokens = self.prompt(&case.prompt)?;
        let answer_from = tokens.len();
        tokens.extend(self.tokenizer.encode(&case.solution, false)?);
        tokens.push(self.end()?);
        Ok((tokens, answer_from))
    }

    /// The tokens of a text that is no answer, with the token that ends it.
    ///
    /// # Errors
    /// The tokenizer names no token that ends a text.
    pub fn plain(&self, text: &str) -> Result<Vec<u32>> {
        let mut tokens = self.tokenizer.encode(text, true)?;
        tokens.push(self.end()?);
        Ok(tokens)
    }

    fn end(&self) -> Result<u32> {
        let Some(end) = self.tokenizer.eos() else {
            let message = "tokenizer_config.json names no eos_token, so that examples to learn from have no end";
            return Err(Error::input(message));
        };
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::small_tokenizer;

    fn case() -> Case {
        Case {
            prompt: "What is 2 + 3?".into(),
            answer: "5".into(),
            solution: "2 + 3 = 5\n#### 5".into(),
            ..Case::default()
        }
    }

    #[test]
    fn a_prompt_goes_through_the_template_and_an_example_ends_by_the_last_token() {
        let t = small_tokenizer();
        let special = |i: usize| t.token(crate::text::SMALL_SPECIAL[i]).unwrap();
        let template = ChatTemplate::of(&t, jiff::civil::date(2024, 7, 26)).unwrap();
        let prompter = Prompter::new(t.clone(), template, "");
        let prompt = prompter.prompt(&case().prompt).unwrap();
        assert_eq!((prompt[0], prompt[prompt.len() - 1]), (special(4), special(5)));
        assert_eq!(t.decode(&prompt), case().prompt);
        let (tokens, from) = prompter.example(&case()).unwrap();
        assert_eq!(tokens[..from], prompt);
        assert_eq!(tokens[tokens.len() - 1], special(2));
        assert_eq!(t.decode(&tokens[from..]), case().solution);
    }

    #[test]
    fn without_a_template_a_prompt_stands_as_it_is_behind_the_system_message() {
        let prompter = Prompter::new(small_tokenizer(), None, "Be brief.");
        let prompt = prompter.prompt("2 + 3 =").unwrap();
        assert_eq!(prompter.tokenizer().decode(&prompt), "Be brief.\n\n2 + 3 =");
    }
}
