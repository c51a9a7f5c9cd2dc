use serde_json::Value;

use super::*;

/// What MATH's own comparison and Math-Verify say, which `tools/check_math.py` has written.
const RECORDED: &str = include_str!("recorded.jsonl");

/// Where we say otherwise than Math-Verify: reference, answer. MATH's own comparison, which compares texts, says as we do but where it is noted.
const DIFFERENCES: [(&str, &str); 12] = [
    // Percent is left out, not divided by.
    ("\\frac{1}{2}", "50\\%"),
    // It rounds to six decimals.
    ("3.14", "3.1400001"),
    // Brackets say what a result is.
    ("(1,2)", "1,2"),
    ("(1,2)", "\\{1,2\\}"),
    ("[0,\\infty)", "[0,\\infty]"),
    // It ignores the base.
    ("1011_2", "1011"),
    ("1011_2", "1011_3"),
    // It does not read these, which MATH's own finds different as texts.
    ("42", "42."),
    ("10000", "10\\,000"),
    ("2\\pi", "2pi"),
    ("1\\le x\\le 5", "5\\ge x\\ge1"),
    // Spaces are left out, as by MATH's own.
    ("42", "4 2"),
];

#[test]
fn pairs_are_the_same_where_the_references_say_so() {
    let (mut compared, mut differences) = (0, Vec::new());
    for line in RECORDED.lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| recorded[key].as_str().unwrap();
        let said = |key: &str| recorded[key].as_bool().unwrap();
        let (reference, answer) = (text("reference"), text("answer"));
        let ours = is_equivalent(final_answer(answer), reference);
        assert!(
            ours || !said("is_equiv"),
            "MATH's own comparison takes {answer} for {reference}"
        );
        assert_eq!(
            is_equivalent(reference, answer),
            ours,
            "it is the same from both sides: {line}"
        );
        assert!(
            is_equivalent(reference, reference) && is_equivalent(answer, answer),
            "{line}"
        );
        compared += 1;
        if ours != said("math_verify") {
            differences.push((reference.to_string(), answer.to_string()));
        }
    }
    assert!(compared > 180, "{compared}");
    let expected = DIFFERENCES.map(|(reference, answer)| (reference.to_string(), answer.to_string()));
    let missing = |of: &[(String, String)], among: &[(String, String)]| -> Vec<(String, String)> {
        of.iter().filter(|pair| !among.contains(pair)).cloned().collect()
    };
    assert_eq!(missing(&differences, &expected), [], "differences that are not listed");
    assert_eq!(missing(&expected, &differences), [], "no differences any more");
}

#[test]
fn a_result_is_in_the_last_box_behind_the_mark_or_the_words_or_in_dollars() {
    for (text, result) in [
        ("So \\boxed{1}, no, \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{\\{1,2\\}} it is", "\\{1,2\\}"),
        ("$\\boxed 5$ apples", "5"),
        ("\\fbox{7}", "7"),
        ("It is \\boxed{3 + \\frac{1}{2", "3 + \\frac{1}{2"),
        ("#### 12\nand more", "12"),
        ("The answer is $x=4$. That is all.", "$x=4$"),
        ("**Answer:** 3.5\nThanks", "3.5"),
        ("We get $2$ and then $3$.", "3"),
        ("It costs \\$5 or $7$", "7"),
        ("  42 ", "42"),
        ("", ""),
    ] {
        assert_eq!(final_answer(text), result, "{text}");
    }
}

#[test]
fn an_answer_is_right_if_its_result_is_that_of_the_solution() {
    let case = Case {
        answer: "Adding up, we get $\\boxed{\\dfrac{7}{2}}$.".into(),
        ..Case::default()
    };
    for (answer, reward) in [
        ("It is \\boxed{3.5}", 1.0),
        ("The answer is 7/2.", 1.0),
        ("7/2", 1.0),
        ("\\boxed{7}", 0.0),
        ("", 0.0),
        ("\\boxed{}", 0.0),
        ("no idea", 0.0),
    ] {
        assert_eq!(MathReward.score(&case, answer).unwrap(), reward, "{answer}");
    }
}

#[test]
fn hyperbolic_functions_and_rarer_letters_are_read_as_themselves() {
    for (one, other) in [
        ("\\tanh x", "\\frac{\\sinh x}{\\cosh x}"),
        ("\\cosh^2 x - \\sinh^2 x", "1"),
        ("\\coth 2", "\\frac{1}{\\tanh(2)}"),
        ("\\ell w", "w\\ell"),
        ("2\\varphi r", "r\\varphi+\\varphi r"),
    ] {
        assert!(is_equivalent(one, other), "{one} {other}");
    }
    for (one, other) in [
        ("\\tanh x", "\\tan x"),
        ("\\ell", "l"),
        ("\\ell w", "\\ell"),
        ("\\varphi", "\\phi"),
    ] {
        assert!(!is_equivalent(one, other), "{one} {other}");
    }
}

#[test]
fn texts_without_sense_are_read_to_their_end() {
    let deep = "(".repeat(5000) + "1";
    let nested = "\\{".repeat(300) + "1" + &"\\}".repeat(300);
    for text in [
        "\\frac",
        "\\frac{1",
        "\\sqrt[3",
        "{",
        "}",
        "((",
        "\\",
        "\\begin{pmatrix}",
        "^",
        "_",
        "x_{",
        "\\text{",
        "\\text{a",
        "=",
        "<",
        ",",
        "±",
        "\\cup",
        "|x",
        "5!!!",
        "200!",
        "\\binom{2}{3}",
        "1/0",
        "\\ln 0",
        "\\sqrt{-1}",
        "°",
        "^°",
        "^{\\circ",
        "5 cm^",
        "\\{",
        "é^½",
        &deep,
        &nested,
    ] {
        assert!(is_equivalent(text, text), "{text}");
        assert!(!is_equivalent(text, "17"), "{text}");
    }
}
