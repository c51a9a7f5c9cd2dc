//! Text to pretrain a small model on: the problems of the generated tasks (those of the validation splits excepted), answered in many ways but not, or
//! seldom, in the way that the tasks' rewards ask for, and counting. A warm start then teaches the form, and a search the rest.

use illume_core::{Purpose, Result, Stream, params};

use super::arithmetic::{Arithmetic, Posed, Work};
use super::generated::{Split, split_of};
use super::number::MARK;
use super::{Countdown, Style};
use crate::text::Prompter;

params! {
    /// What the text is made of.
    pub struct CorpusParams {
        /// The most digits of a number in a sum.
        digits: u32 = 3, range(1, 9);
        /// Numbers in a sum.
        terms: usize = 2, range(2, 6);
        /// Share of word problems among those of arithmetic; the others are sums.
        words: f64 = 0.5, range(0.0, 1.0);
        /// Share of countdown problems.
        countdown: f64 = 0.2, range(0.0, 1.0);
        /// Share of worked steps in a row, `12 + 34 = 46` on each line, with no question before them.
        plain: f64 = 0.3, range(0.0, 1.0);
        /// Share of counting.
        counting: f64 = 0.1, range(0.0, 1.0);
        /// Share of answers in the form that the tasks' rewards ask for.
        task_form: f64 = 0.0, range(0.0, 1.0);
        /// Share of answers with a wrong result.
        mistakes: f64 = 0.0, range(0.0, 1.0);
        /// Numbers of a countdown problem.
        numbers: usize = 3, range(2, 6);
        /// The largest number of a countdown problem.
        largest: u32 = 20, range(2, 1000);
        /// The largest target of a countdown problem.
        target: u32 = 99, range(2, 100_000);
    }
}

/// Pieces of text by (seed, step, number).
pub struct Corpus {
    prompter: Prompter,
    params: CorpusParams,
}

/// Attempts at a problem that is not of a validation split; the chance that all fail is 16^-64.
const ATTEMPTS: u64 = 64;
/// Problems in a text of worked steps.
const LINES: u64 = 4;
/// Random numbers that a text takes for itself.
const DRAWS: u64 = 8;
/// Streams of the corpus; those of the generators are 1, 2 and 3.
const CORPUS: u64 = 4;

impl Corpus {
    pub fn new(prompter: Prompter, params: CorpusParams) -> Corpus {
        Corpus { prompter, params }
    }

    /// The examples of one step of training, each the tokens of one text with the token that ends it.
    ///
    /// # Errors
    /// The tokenizer names no token that ends a text.
    pub fn examples(&self, seed: u64, step: u64, batch: usize) -> Result<Vec<Vec<u32>>> {
        let number = |i: usize| step * batch as u64 + i as u64;
        (0..batch).map(|i| self.example(seed, number(i))).collect()
    }

    /// Text `number` of this seed.
    ///
    /// # Errors
    /// As [`Corpus::examples`].
    pub fn example(&self, seed: u64, number: u64) -> Result<Vec<u32>> {
        let case = self.text(seed, number);
        if case.prompt.is_empty() {
            self.prompter.plain(&case.solution)
        } else {
            Ok(self.prompter.example(&case)?.0)
        }
    }

    /// Text `number` of this seed: a prompt (or none), and as solution what follows it.
    pub fn text(&self, seed: u64, number: u64) -> super::Case {
        let p = &self.params;
        let stream = Stream::new(seed, Purpose::Text, CORPUS, number);
        let kind = stream.uniform(0);
        if kind < p.countdown {
            self.countdown(&stream, number)
        } else if kind < p.countdown + p.counting {
            counting(&stream)
        } else if kind < p.countdown + p.counting + p.plain {
            let lines: Vec<String> = (0..LINES).flat_map(|line| self.posed(&stream, line).1).collect();
            super::Case {
                solution: lines.join("\n"),
                ..super::Case::default()
            }
        } else {
            self.arithmetic(&stream)
        }
    }

    /// A problem of a text, and the lines of its solution.
    fn posed(&self, stream: &Stream, line: u64) -> (Posed, Vec<String>) {
        let p = &self.params;
        let generator = Arithmetic {
            words: p.words,
            digits: p.digits,
            terms: p.terms,
        };
        let held = |works: &[Work]| split_of(generator.key(works)) == Split::Validation;
        // A stream of its own for each attempt, keyed by this text's.
        let key = stream.word64(1);
        let posed = (0..ATTEMPTS)
            .map(|attempt| generator.posed(&Stream::new(key, Purpose::Text, CORPUS + 1 + attempt, line)))
            .find(|posed| !held(&posed.works) && !posed.works.iter().any(|w| held(&[*w])))
            .expect("one problem in 16 is of a validation split");
        // Behind the numbers that the text takes for itself.
        let at = DRAWS + 2 * line;
        let wrong = stream.uniform(at) < p.mistakes;
        let shown = |w: &Work| match wrong {
            true => mistaken(w.value(), stream.below(at + 1, 1000)),
            false => w.value(),
        };
        let written = |w: &Work| format!("{} {} {} = {}", w.a, w.op, w.b, shown(w));
        let lines = posed.works.iter().map(written).collect();
        (posed, lines)
    }

    fn is_task_form(&self, stream: &Stream) -> bool {
        stream.uniform(3) < self.params.task_form
    }

    fn arithmetic(&self, stream: &Stream) -> super::Case {
        let (posed, lines) = self.posed(stream, 0);
        let last = lines.last().expect("a problem has a step");
        let (asked, result) = last.split_once(" = ").expect("a step has a result");
        let solution = match stream.below(2, 6) {
            _ if self.is_task_form(stream) => format!("{}\n{MARK} {result}", lines.join("\n")),
            0 => result.into(),
            1 => format!("The answer is {result}."),
            2 => format!("I think it is {result}."),
            3 => format!("{asked} is {result}."),
            _ => lines.join("\n"),
        };
        super::Case {
            prompt: posed.prompt,
            solution,
            ..super::Case::default()
        }
    }

    fn countdown(&self, stream: &Stream, number: u64) -> super::Case {
        let p = &self.params;
        let generator = Countdown {
            numbers: p.numbers,
            largest: p.largest,
            target: p.target,
            style: Style::Short,
        };
        let key = stream.word64(1);
        let problem = (0..ATTEMPTS)
            .map(|attempt| generator.problem(key.wrapping_add(attempt), number))
            .find(|problem| split_of(problem.key) != Split::Validation)
            .expect("one problem in 16 is of a validation split");
        let case = problem.case;
        let (expression, target) = case.solution.split_once(" = ").unwrap_or_default();
        let solution = match stream.below(2, 3) {
            _ if self.is_task_form(stream) => case.solution.clone(),
            0 => format!("{expression} makes {target}."),
            1 => format!("I think it is {expression}."),
            _ => format!("The answer is {expression}."),
        };
        super::Case { solution, ..case }
    }
}

/// A result with one digit changed.
fn mistaken(value: u64, draw: u64) -> u64 {
    let digits = value.max(1).ilog10() + 1;
    let unit = 10u64.pow(draw as u32 % digits);
    let digit = value / unit % 10;
    let other = (digit + 1 + draw / 10 % 9) % 10;
    value - digit * unit + other * unit
}

fn counting(stream: &Stream) -> super::Case {
    let from = stream.below(1, 100);
    let by = 1 + stream.below(2, 10);
    let numbers: Vec<String> = (1..=5).map(|i| (from + i * by).to_string()).collect();
    super::Case {
        prompt: format!("Count from {from} by {by}."),
        solution: numbers.join(", "),
        ..super::Case::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::data::{Extraction, NumberReward, Reward, Sizes, drawn, evaluate};
    use crate::text::{ChatTemplate, small_tokenizer};

    fn corpus(params: CorpusParams) -> Corpus {
        let t = small_tokenizer();
        let template = ChatTemplate::of(&t, jiff::civil::date(2024, 7, 26)).unwrap();
        Corpus::new(Prompter::new(t, template, ""), params)
    }

    #[test]
    fn no_text_poses_a_problem_of_a_validation_split() {
        let corpus = corpus(CorpusParams {
            digits: 2,
            plain: 0.0,
            countdown: 0.0,
            counting: 0.0,
            ..CorpusParams::default()
        });
        let generator = Arithmetic {
            words: 0.5,
            digits: 2,
            terms: 2,
        };
        let sizes = Sizes {
            train: 500,
            validation: 500,
            sft: 0,
        };
        let [train, validation, _] = drawn(sizes, |i| generator.problem(5, i)).unwrap();
        let texts: HashSet<String> = (0..20_000).map(|i| corpus.text(1, i).prompt).collect();
        assert!(validation.iter().all(|c| !texts.contains(&c.prompt)));
        assert!(train.iter().filter(|c| texts.contains(&c.prompt)).count() > 50);
    }

    #[test]
    fn texts_are_whole_tokens_of_the_small_tokenizer_and_none_has_the_tasks_form() {
        let corpus = corpus(CorpusParams::default());
        let t = small_tokenizer();
        let unknown = t.token("<|unk|>").unwrap();
        let mut kinds = HashSet::new();
        for i in 0..2000 {
            let case = corpus.text(1, i);
            assert!(!case.solution.contains("####"), "{case:?}");
            let strict = NumberReward(Extraction::Strict);
            assert_eq!(strict.score(&case, &case.solution).unwrap(), 0.0);
            kinds.insert(case.prompt.split(' ').next().unwrap().to_string());
            let tokens = corpus.example(1, i).unwrap();
            assert!(
                tokens.len() <= 64 && !tokens.contains(&unknown),
                "{case:?}: {} tokens",
                tokens.len()
            );
            assert_eq!(tokens.last(), t.eos().as_ref());
            assert_eq!(t.decode(&tokens), format!("{}{}", case.prompt, case.solution));
        }
        assert!(kinds.contains("What") && kinds.contains("Use") && kinds.contains("Count") && kinds.contains("Eva"));
        assert_eq!(corpus.examples(1, 3, 4).unwrap()[1], corpus.example(1, 13).unwrap());
    }

    #[test]
    fn a_share_of_the_answers_can_have_the_tasks_form() {
        for (countdown, style) in [(0.0, "sums"), (1.0, "countdown")] {
            let corpus = corpus(CorpusParams {
                plain: 0.0,
                counting: 0.0,
                countdown,
                task_form: 0.2,
                ..CorpusParams::default()
            });
            let paid = |case: &crate::data::Case| match countdown {
                0.0 => case.solution.contains("\n#### "),
                _ => case.solution.contains(" = "),
            };
            let cases: Vec<crate::data::Case> = (0..4000).map(|i| corpus.text(1, i)).collect();
            let share = cases.iter().filter(|case| paid(case)).count() as f64 / cases.len() as f64;
            // Standard error 0.006.
            assert!((share - 0.2).abs() < 0.03, "{style}: {share}");
        }
    }

    #[test]
    fn results_are_right_but_for_the_share_of_mistakes() {
        let wrong = |mistakes: f64| {
            let corpus = corpus(CorpusParams {
                mistakes,
                plain: 0.5,
                countdown: 0.0,
                counting: 0.0,
                ..CorpusParams::default()
            });
            let (mut wrong, mut all) = (0, 0);
            for i in 0..4000 {
                let text = corpus.text(2, i).solution;
                let Some((left, right)) = text.lines().last().unwrap().split_once(" = ") else {
                    continue;
                };
                all += 1;
                wrong += usize::from(evaluate(left).unwrap().0 != (right.parse().unwrap(), 1));
            }
            assert!(all > 1000);
            wrong as f64 / all as f64
        };
        assert_eq!(wrong(0.0), 0.0);
        assert!((wrong(0.3) - 0.3).abs() < 0.05);
    }
}
