use super::*;

/// What IFEval's own checks say, which `tools/check_instructions.py` has written.
const RECORDED: &str = include_str!("recorded.jsonl");

/// Where the checks here say otherwise, and why: instruction, beginning of the answer.
const DIFFERENCES: [(&str, &str); 11] = [
    // A stop amid a word without spaces ends no sentence.
    ("length_constraints:number_sentences", "Same.***"),
    ("length_constraints:number_sentences", "One.***"),
    ("length_constraints:number_sentences", "******One."),
    // Numbers of lists, abbreviations and initials end none; Punkt has some of them end one.
    ("length_constraints:number_sentences", "1. First item"),
    ("length_constraints:number_sentences", "He said: \"Stop!\""),
    ("length_constraints:number_sentences", "A. B. Carter"),
    // That a text is English is not checked.
    ("change_case:english_lowercase", "- a\n"),
    ("change_case:english_lowercase", "** not a bullet"),
    ("change_case:english_lowercase", "{\"a\""),
    ("change_case:english_lowercase", "```json"),
    ("change_case:english_lowercase", "<<>>"),
];

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn answers_follow_what_ifeval_says_they_do() {
    let mut lines = RECORDED.lines();
    let answers = parsed(lines.next().unwrap());
    let answers: Vec<&str> = answers["answers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let reward = InstructionReward { all: false };
    let (mut compared, mut differences) = (0, Vec::new());
    for line in lines {
        let recorded = parsed(line);
        let case = Case {
            answer: serde_json::json!([recorded]).to_string(),
            ..Case::default()
        };
        let followed = recorded["followed"].as_str().unwrap();
        assert_eq!(followed.len(), answers.len());
        for (answer, followed) in answers.iter().zip(followed.chars()) {
            compared += 1;
            if reward.score(&case, answer).unwrap() != f64::from(followed == '1') {
                differences.push((recorded["id"].as_str().unwrap().to_string(), *answer));
            }
        }
    }
    assert!(compared > 3000, "{compared}");
    let is_known = |(id, answer): &(String, &str)| DIFFERENCES.iter().any(|(i, a)| i == id && answer.starts_with(a));
    let unknown: Vec<_> = differences.iter().filter(|d| !is_known(d)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    for (id, answer) in DIFFERENCES {
        assert!(
            differences.iter().any(|(i, a)| i == id && a.starts_with(answer)),
            "{id}: {answer} is no difference any more"
        );
    }
}

fn case(instructions: &str) -> Case {
    Case {
        answer: instructions.into(),
        source: "cases.jsonl:1".into(),
        ..Case::default()
    }
}

#[test]
fn an_answer_is_worth_the_share_of_instructions_that_it_follows_or_all_or_nothing() {
    let case = case(
        "[{\"id\": \"punctuation:no_comma\"}, {\"id\": \"startend:quotation\", \"kwargs\": {}}, \
         {\"id\": \"keywords:existence\", \"kwargs\": {\"keywords\": [\"a.b\"], \"num_words\": null}}]",
    );
    for (answer, share, all) in [
        ("\"A.B\"", 1.0, 1.0),
        ("a.b", 2.0 / 3.0, 0.0),
        ("axb, so", 0.0, 0.0),
        ("", 0.0, 0.0),
        (" \n", 0.0, 0.0),
    ] {
        let score = |all| InstructionReward { all }.score(&case, answer).unwrap();
        assert_eq!([score(false), score(true)], [share, all], "{answer:?}");
    }
}

#[test]
fn files_have_our_form_or_that_of_ifeval() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cases.jsonl");
    let read = |text: &str, solution: &str| {
        std::fs::write(&path, text).unwrap();
        read_instructed(&path, "prompt", solution)
    };
    let ours = "{\"prompt\": \"p\", \"s\": \"so\", \"instructions\": [{\"id\": \"length_constraints:number_words\", \"kwargs\": {\"num_words\": 3.0, \"relation\": \"at least\"}}]}";
    let theirs = "{\"key\": 1, \"prompt\": \"p\", \"instruction_id_list\": [\"length_constraints:number_words\"], \"kwargs\": [{\"num_words\": 3, \"relation\": \"at least\", \"letter\": null}]}";
    for (text, solution) in [(ours, "s"), (theirs, "")] {
        let cases = read(text, solution).unwrap();
        assert_eq!((cases.len(), cases[0].prompt.as_str()), (1, "p"));
        assert_eq!(cases[0].solution, if solution.is_empty() { "" } else { "so" });
        let score = |answer: &str| InstructionReward { all: true }.score(&cases[0], answer).unwrap();
        assert_eq!([score("one two"), score("one two three")], [0.0, 1.0]);
    }
    let refused = |text: &str, parts: &[&str]| {
        let message = read(text, "").unwrap_err().to_string();
        assert!(
            message.contains("cases.jsonl:1: ") && !message.contains('\n'),
            "{message}"
        );
        parts
            .iter()
            .for_each(|part| assert!(message.contains(part), "{part} in {message}"));
    };
    let of = |id: &str, kwargs: &str| {
        format!("{{\"prompt\": \"p\", \"instructions\": [{{\"id\": \"{id}\", \"kwargs\": {kwargs}}}]}}")
    };
    refused("{\"prompt\": \"p\"}", &["\"instructions\"", "instruction_id_list"]);
    refused(
        "{\"prompt\": \"p\", \"instructions\": []}",
        &["expected a list", "got []"],
    );
    refused(
        "{\"prompt\": \"p\", \"instructions\": [{\"kwargs\": {}}]}",
        &["expected a list"],
    );
    refused(
        "{\"prompt\": \"p\", \"instruction_id_list\": [\"punctuation:no_comma\"]}",
        &["1 entries", "\"kwargs\" 0"],
    );
    refused(
        &of("punctuation:no_coma", "{}"),
        &["did you mean \"punctuation:no_comma\"?", "startend:quotation"],
    );
    refused(
        &of("language:response_language", "{}"),
        &["detector of languages", "supported: keywords:existence"],
    );
    refused(&of("punctuation:no_comma", "{\"n\": 1}"), &["takes no arguments"]);
    refused(&of("punctuation:no_comma", "3"), &["\"kwargs\"", "got 3"]);
    let words = "length_constraints:number_words";
    refused(
        &of(words, "{\"num_words\": 3}"),
        &["\"relation\"", "\"at least\" or \"less than\""],
    );
    refused(
        &of(words, "{\"num_words\": 0, \"relation\": \"at least\"}"),
        &["whole number from 1 on, got 0"],
    );
    refused(
        &of(words, "{\"num_words\": 3, \"relation\": \"around\"}"),
        &["got \"around\""],
    );
    refused(
        &of(
            words,
            "{\"num_words\": 3, \"relation\": \"at least\", \"letter\": \"x\"}",
        ),
        &["has no \"letter\"; it has num_words, relation"],
    );
    refused(
        &of(
            "length_constraints:nth_paragraph_first_word",
            "{\"num_paragraphs\": 2, \"nth_paragraph\": 3, \"first_word\": \"x\"}",
        ),
        &["\"nth_paragraph\" to be at most \"num_paragraphs\", got 3"],
    );
    refused(
        &of("keywords:existence", "{\"keywords\": \"x\"}"),
        &["a list of texts, got \"x\""],
    );
    refused(
        &of(
            "keywords:letter_frequency",
            "{\"letter\": \"ab\", \"let_frequency\": 1, \"let_relation\": \"at least\"}",
        ),
        &["a single letter, got \"ab\""],
    );
}
