//! The instructions that can be checked: what each takes, and when an answer follows it.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::super::jsonl::short;
use super::text::{capital_words, count_sentences, is_lower, is_upper};

type Result<T> = std::result::Result<T, String>;

/// A regular expression that is made once.
macro_rules! constant {
    ($text:expr) => {{
        static REGEX: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).expect("a constant expression"));
        &*REGEX
    }};
}

/// How a count is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    number: usize,
    at_least: bool,
}

impl Bound {
    fn holds(self, count: usize) -> bool {
        (count >= self.number) == self.at_least
    }
}

/// One instruction.
#[derive(Debug)]
pub(super) enum Check {
    /// All of these are in the text, whatever their case.
    Existence(Vec<Regex>),
    Frequency(Regex, Bound),
    /// None of these is there as a word.
    Forbidden(Vec<Regex>),
    LetterFrequency(char, Bound),
    Sentences(Bound),
    /// Paragraphs, divided by `***`.
    Paragraphs(usize),
    Words(Bound),
    NthParagraph {
        paragraphs: usize,
        nth: usize,
        first_word: String,
    },
    /// At least so many `[…]`.
    Placeholders(usize),
    Postscript(Regex),
    Bullets(usize),
    Constrained,
    /// At least so many `*…*`.
    Highlights(usize),
    Sections(Regex, usize),
    Json,
    /// `<<…>>`
    Title,
    TwoResponses,
    Repeat(String),
    End(String),
    CapitalWords(Bound),
    Upper,
    Lower,
    NoComma,
    Quotation,
}

/// The ids that are known, in IFEval's order.
const IDS: [&str; 24] = [
    "keywords:existence",
    "keywords:frequency",
    "keywords:forbidden_words",
    "keywords:letter_frequency",
    "length_constraints:number_sentences",
    "length_constraints:number_paragraphs",
    "length_constraints:number_words",
    "length_constraints:nth_paragraph_first_word",
    "detectable_content:number_placeholders",
    "detectable_content:postscript",
    "detectable_format:number_bullet_lists",
    "detectable_format:constrained_response",
    "detectable_format:number_highlighted_sections",
    "detectable_format:multiple_sections",
    "detectable_format:json_format",
    "detectable_format:title",
    "combination:two_responses",
    "combination:repeat_prompt",
    "startend:end_checker",
    "startend:quotation",
    "change_case:capital_word_frequency",
    "change_case:english_capital",
    "change_case:english_lowercase",
    "punctuation:no_comma",
];

/// What an answer to a constrained question must hold one of.
const CONSTRAINED: [&str; 3] = ["My answer is yes.", "My answer is no.", "My answer is maybe."];

impl Check {
    /// # Errors
    /// A sentence: an id that is not known, or arguments that are missing, of another kind or not the instruction's.
    pub fn new(id: &str, kwargs: &Map<String, Value>) -> Result<Check> {
        let mut k = Arguments::new(id, kwargs);
        let check = match id {
            "keywords:existence" => Check::Existence(k.words("keywords", literal)?),
            "keywords:frequency" => Check::Frequency(literal(&k.text("keyword")?), k.bound("frequency", "relation")?),
            "keywords:forbidden_words" => Check::Forbidden(k.words("forbidden_words", |word| {
                pattern(&format!(r"\b{}\b", regex::escape(word)))
            })?),
            "keywords:letter_frequency" => {
                let letter = k.letter("letter")?;
                Check::LetterFrequency(letter, k.bound("let_frequency", "let_relation")?)
            }
            "length_constraints:number_sentences" => Check::Sentences(k.bound("num_sentences", "relation")?),
            "length_constraints:number_paragraphs" => Check::Paragraphs(k.number("num_paragraphs")?),
            "length_constraints:number_words" => Check::Words(k.bound("num_words", "relation")?),
            "length_constraints:nth_paragraph_first_word" => {
                let (paragraphs, nth) = (k.number("num_paragraphs")?, k.number("nth_paragraph")?);
                if nth > paragraphs {
                    return k.wrong("nth_paragraph", "at most \"num_paragraphs\"", &nth.into());
                }
                Check::NthParagraph {
                    paragraphs,
                    nth,
                    first_word: k.text("first_word")?.to_lowercase(),
                }
            }
            "detectable_content:number_placeholders" => Check::Placeholders(k.number("num_placeholders")?),
            "detectable_content:postscript" => Check::Postscript(postscript(&k.text("postscript_marker")?)),
            "detectable_format:number_bullet_lists" => Check::Bullets(k.number("num_bullets")?),
            "detectable_format:constrained_response" => Check::Constrained,
            "detectable_format:number_highlighted_sections" => Check::Highlights(k.number("num_highlights")?),
            "detectable_format:multiple_sections" => {
                let splitter = regex::escape(k.text("section_spliter")?.trim());
                let divider = Regex::new(&format!(r"\s?{splitter}\s?\d+\s?")).expect("an escaped text");
                Check::Sections(divider, k.number("num_sections")?)
            }
            "detectable_format:json_format" => Check::Json,
            "detectable_format:title" => Check::Title,
            "combination:two_responses" => Check::TwoResponses,
            "combination:repeat_prompt" => Check::Repeat(k.text("prompt_to_repeat")?.trim().to_lowercase()),
            "startend:end_checker" => Check::End(k.text("end_phrase")?.trim().to_lowercase()),
            "startend:quotation" => Check::Quotation,
            "change_case:capital_word_frequency" => {
                Check::CapitalWords(k.bound("capital_frequency", "capital_relation")?)
            }
            "change_case:english_capital" => Check::Upper,
            "change_case:english_lowercase" => Check::Lower,
            "punctuation:no_comma" => Check::NoComma,
            "language:response_language" => {
                return Err(format!(
                    "{id} would need a detector of languages, which there is none of; supported: {}",
                    IDS.join(", ")
                ));
            }
            _ => {
                return Err(format!(
                    "there is no instruction {id:?}{}; supported: {}",
                    illume_core::params::suggest(id, &IDS),
                    IDS.join(", ")
                ));
            }
        };
        k.finish()?;
        Ok(check)
    }

    /// Whether an answer that is not empty follows it.
    pub fn is_followed(&self, answer: &str) -> bool {
        let trimmed = answer.trim();
        match self {
            Check::Existence(words) => words.iter().all(|word| word.is_match(answer)),
            Check::Frequency(word, bound) => bound.holds(word.find_iter(answer).count()),
            Check::Forbidden(words) => !words.iter().any(|word| word.is_match(answer)),
            Check::LetterFrequency(letter, bound) => {
                bound.holds(answer.to_lowercase().chars().filter(|c| c == letter).count())
            }
            Check::Sentences(bound) => bound.holds(count_sentences(answer)),
            Check::Paragraphs(n) => paragraphs(answer) == Some(*n),
            Check::Words(bound) => bound.holds(constant!(r"\w+").find_iter(answer).count()),
            Check::NthParagraph {
                paragraphs,
                nth,
                first_word,
            } => {
                let all: Vec<&str> = answer.split("\n\n").collect();
                let filled = all.iter().filter(|p| !p.trim().is_empty()).count();
                // As IFEval has it, empty paragraphs count where the n-th is looked for.
                let found = all
                    .get(nth - 1)
                    .filter(|_| *nth <= filled)
                    .and_then(|p| first_word_of(p));
                filled == *paragraphs && found.as_ref() == Some(first_word)
            }
            Check::Placeholders(n) => constant!(r"\[.*?\]").find_iter(answer).count() >= *n,
            Check::Postscript(mark) => mark.is_match(&answer.to_lowercase()),
            Check::Bullets(n) => {
                let stars = constant!(r"(?m)^\s*\*[^\*].*$").find_iter(answer).count();
                stars + constant!(r"(?m)^\s*-.*$").find_iter(answer).count() == *n
            }
            Check::Constrained => CONSTRAINED.iter().any(|option| trimmed.contains(option)),
            Check::Highlights(n) => highlights(answer) >= *n,
            Check::Sections(divider, n) => divider.find_iter(answer).count() >= *n,
            Check::Json => is_json(trimmed),
            Check::Title => constant!(r"<<[^\n]+>>").find_iter(answer).any(|title| {
                !title
                    .as_str()
                    .trim_start_matches('<')
                    .trim_end_matches('>')
                    .trim()
                    .is_empty()
            }),
            Check::TwoResponses => are_two(answer),
            Check::Repeat(prompt) => trimmed.to_lowercase().starts_with(prompt),
            Check::End(phrase) => trimmed.trim_matches('"').to_lowercase().ends_with(phrase),
            Check::CapitalWords(bound) => bound.holds(capital_words(answer)),
            Check::Upper => is_upper(answer),
            Check::Lower => is_lower(answer),
            Check::NoComma => !answer.contains(','),
            Check::Quotation => trimmed.chars().count() > 1 && trimmed.starts_with('"') && trimmed.ends_with('"'),
        }
    }
}

/// An expression of an escaped text, letters of either case.
fn pattern(text: &str) -> Regex {
    let built = RegexBuilder::new(text).case_insensitive(true).build();
    built.expect("an escaped expression")
}

fn literal(text: &str) -> Regex {
    pattern(&regex::escape(text))
}

/// The same, `^` and `$` being those of lines.
fn lines(text: &str) -> Regex {
    let built = RegexBuilder::new(text).multi_line(true).build();
    built.expect("an escaped expression")
}

/// Of the answer in lower case.
fn postscript(marker: &str) -> Regex {
    match marker {
        "P.P.S" => lines(r"\s*p\.\s?p\.\s?s.*$"),
        "P.S." => lines(r"\s*p\.\s?s\..*$"),
        other => lines(&format!(r"\s*{}.*$", regex::escape(&other.to_lowercase()))),
    }
}

/// How many paragraphs `***` divides; none if one in the middle is empty.
fn paragraphs(answer: &str) -> Option<usize> {
    let divider = constant!(r"\s?\*\*\*\s?");
    let all: Vec<&str> = divider.split(answer).collect();
    let empty = |i: usize| all[i].trim().is_empty();
    let last = all.len() - 1;
    if (1..last).any(empty) {
        return None;
    }
    let ends = if last == 0 { vec![0] } else { vec![0, last] };
    Some(all.len() - ends.into_iter().filter(|i| empty(*i)).count())
}

/// The first word of a paragraph, in lower case, as far as its first punctuation.
fn first_word_of(paragraph: &str) -> Option<String> {
    let word = paragraph.split_whitespace().next()?;
    let word = word.trim_start_matches('\'').trim_start_matches('"');
    let letters = word
        .chars()
        .take_while(|c| !['.', ',', '?', '!', '\'', '"'].contains(c));
    Some(letters.flat_map(char::to_lowercase).collect())
}

/// Both `*…*` and `**…**` count, the latter for themselves.
fn highlights(answer: &str) -> usize {
    let single = constant!(r"\*[^\n\*]*\*");
    let double = constant!(r"\*\*[^\n\*]*\*\*");
    let says = |text: &str| !text.trim_matches('*').trim().is_empty();
    let singles = single.find_iter(answer).filter(|m| says(m.as_str())).count();
    singles + double.find_iter(answer).filter(|m| says(m.as_str())).count()
}

fn is_json(answer: &str) -> bool {
    let mut text = answer;
    for fence in ["```json", "```Json", "```JSON", "```"] {
        text = text.strip_prefix(fence).unwrap_or(text);
    }
    let text = text.strip_suffix("```").unwrap_or(text).trim();
    serde_json::from_str::<Value>(text).is_ok()
}

/// Whether `******` divides it into two answers that differ.
fn are_two(answer: &str) -> bool {
    let all: Vec<&str> = answer.split("******").map(str::trim).collect();
    let last = all.len() - 1;
    if (1..last).any(|i| all[i].is_empty()) {
        return false;
    }
    let filled: Vec<&&str> = all.iter().filter(|text| !text.is_empty()).collect();
    filled.len() == 2 && filled[0] != filled[1]
}

/// The arguments of an instruction; those that are null, as in IFEval's files, are not there.
struct Arguments<'a> {
    id: &'a str,
    kwargs: &'a Map<String, Value>,
    taken: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    fn new(id: &'a str, kwargs: &'a Map<String, Value>) -> Arguments<'a> {
        let taken = Vec::new();
        Arguments { id, kwargs, taken }
    }

    fn take(&mut self, name: &'static str, expected: &str) -> Result<&'a Value> {
        self.taken.push(name);
        let found = self.kwargs.get(name).filter(|value| !value.is_null());
        found.ok_or_else(|| format!("{}: expected \"{name}\", {expected}", self.id))
    }

    fn wrong<T>(&self, name: &str, expected: &str, got: &Value) -> Result<T> {
        Err(format!(
            "{}: expected \"{name}\" to be {expected}, got {}",
            self.id,
            short(&got.to_string())
        ))
    }

    fn number(&mut self, name: &'static str) -> Result<usize> {
        let expected = "a whole number from 1 on";
        let value = self.take(name, expected)?;
        match value.as_f64() {
            Some(x) if x >= 1.0 && x.fract() == 0.0 && x < 1e9 => Ok(x as usize),
            _ => self.wrong(name, expected, value),
        }
    }

    fn text(&mut self, name: &'static str) -> Result<String> {
        let expected = "a text that is not empty";
        let value = self.take(name, expected)?;
        match value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.into()),
            _ => self.wrong(name, expected, value),
        }
    }

    fn letter(&mut self, name: &'static str) -> Result<char> {
        let text = self.text(name)?.trim().to_lowercase();
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(letter), None) => Ok(letter),
            _ => self.wrong(name, "a single letter", &text.into()),
        }
    }

    fn words(&mut self, name: &'static str, regex: impl Fn(&str) -> Regex) -> Result<Vec<Regex>> {
        let expected = "a list of texts";
        let value = self.take(name, expected)?;
        let texts = value.as_array().filter(|list| !list.is_empty());
        let text = |word: &Value| word.as_str().filter(|w| !w.is_empty()).map(&regex);
        match texts.and_then(|list| list.iter().map(text).collect()) {
            Some(words) => Ok(words),
            None => self.wrong(name, expected, value),
        }
    }

    fn bound(&mut self, number: &'static str, relation: &'static str) -> Result<Bound> {
        let number = self.number(number)?;
        let expected = "\"at least\" or \"less than\"";
        let value = self.take(relation, expected)?;
        let at_least = match value.as_str() {
            Some("at least") => true,
            Some("less than") => false,
            _ => return self.wrong(relation, expected, value),
        };
        Ok(Bound { number, at_least })
    }

    /// That there is nothing else.
    fn finish(self) -> Result<()> {
        let given = self.kwargs.iter().filter(|(_, value)| !value.is_null());
        match given
            .map(|(name, _)| name)
            .find(|name| !self.taken.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) if self.taken.is_empty() => Err(format!("{} has no \"{name}\": it takes no arguments", self.id)),
            Some(name) => Err(format!(
                "{} has no \"{name}\"; it has {}",
                self.id,
                self.taken.join(", ")
            )),
        }
    }
}
