//! What a text is made of: sentences, words in capitals.

use std::sync::LazyLock;

use regex::Regex;

/// Words behind which a full stop ends no sentence.
const ABBREVIATIONS: [&str; 19] = [
    "mr", "mrs", "ms", "dr", "st", "prof", "inc", "ltd", "jr", "sr", "co", "vs", "capt", "lt", "gen", "gov", "rev",
    "fig", "no",
];

/// A word and the marks that may end a sentence behind it, with the quotation marks and brackets that close there.
static ENDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?P<word>\S*?)(?P<mark>[.!?]+)["'”’)\]*_]*(?:\s+|$)"#).expect("a constant expression")
});

/// Sentences: each ends with `!` or `?`, or with a full stop behind a word that is no abbreviation, initial or number of a list; dots end one unless a word in lower case follows.
/// What stands behind the last is one more. IFEval has this done by a trained model (Punkt), which agrees on plain prose.
pub(super) fn count_sentences(text: &str) -> usize {
    let mut count = 0;
    let mut end = 0;
    for found in ENDS.captures_iter(text) {
        let whole = found.get(0).expect("the match");
        let behind = text[whole.end()..].chars().next();
        if found["mark"].contains(['!', '?']) || is_full_stop(&found["word"], &found["mark"], behind) {
            count += 1;
            end = whole.end();
        }
    }
    count + usize::from(!text[end..].trim().is_empty())
}

/// Whether a stop behind a word ends a sentence; `behind` is the first character of what follows.
fn is_full_stop(word: &str, mark: &str, behind: Option<char>) -> bool {
    let Some(next) = behind else { return true };
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let number_of_list = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let lower = word.to_lowercase();
    // A, U.S, e.g: letters with stops between them, but for a postscript's.
    let letters = !word.is_empty()
        && word
            .split('.')
            .all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic));
    let initials = letters
        && (word.contains('.') || word.chars().all(char::is_uppercase))
        && !["p.s", "p.p.s"].contains(&lower.as_str());
    match mark {
        "." => !(number_of_list || initials || ABBREVIATIONS.contains(&lower.as_str())),
        _ => !next.is_lowercase(),
    }
}

/// Words all of whose letters are capitals, divided by spaces, punctuation around them left out: `I`, `U.S.`, `WELL-KNOWN`.
pub(super) fn capital_words(text: &str) -> usize {
    text.split(|c: char| c.is_whitespace() || ",;:!?()[]{}\"/".contains(c))
        .filter(|word| is_upper(word))
        .count()
}

/// Whether there are letters that have a case, all of them capitals.
pub(super) fn is_upper(text: &str) -> bool {
    !text.chars().any(char::is_lowercase) && text.chars().any(char::is_uppercase)
}

/// The same with small letters.
pub(super) fn is_lower(text: &str) -> bool {
    !text.chars().any(char::is_uppercase) && text.chars().any(char::is_lowercase)
}
