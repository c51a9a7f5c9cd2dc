use super::*;

/// Text, its number behind `####`, its number.
type Row = (&'static str, Option<&'static str>, Option<&'static str>);

#[track_caller]
fn check(rows: &[Row]) {
    for (text, strict, flexible) in rows {
        for (extraction, expected) in [(Extraction::Strict, strict), (Extraction::Flexible, flexible)] {
            assert_eq!(
                final_number(text, extraction).as_deref(),
                *expected,
                "{extraction:?}: {text}"
            );
        }
    }
}

/// The same number, of a text without a mark.
#[track_caller]
fn check_flexible(rows: &[(&'static str, &'static str)]) {
    for (text, expected) in rows {
        check(&[(text, None, Some(expected))]);
    }
}

#[test]
fn final_numbers_are_found_as_the_field_finds_them() {
    check(&[
        ("#### 72", Some("72"), Some("72")),
        (
            "He sold 48/2 = 24 clips.\n24 + 48 = 72\n#### 72",
            Some("72"),
            Some("72"),
        ),
        ("#### $1,234.50", Some("1234.5"), Some("1234.5")),
        ("#### -5", Some("-5"), Some("-5")),
        ("#### $-5", Some("-5"), Some("-5")),
        ("#### -$5", Some("-5"), Some("-5")),
        ("####18.", Some("18"), Some("18")),
        ("#### 18.00", Some("18"), Some("18")),
        ("#### 018", Some("18"), Some("18")),
        ("#### **18**", Some("18"), Some("18")),
        ("#### _18_", Some("18"), Some("18")),
        ("#### 5 apples, not 6", Some("5"), Some("5")),
        // A base model that goes on to write the next problem.
        ("#### 5\n\nQuestion: 7 + 1?\n#### 8", Some("5"), Some("5")),
        ("#### none", None, None),
        ("####\n7", None, Some("7")),
        ("##### 7", None, Some("7")),
        ("The answer is 42.", None, Some("42")),
        ("The answer is $1,000,000!", None, Some("1000000")),
        ("It costs $3.50, which is 350 cents.", None, Some("350")),
        ("so 10-3", None, Some("3")),
        ("so 10 - 3 = 7", None, Some("7")),
        ("it falls to -3", None, Some("-3")),
        ("(2)-3", None, Some("3")),
        ("x = .5", None, Some("0.5")),
        ("-0.0", None, Some("0")),
        ("\\boxed{18} dollars, or 20 with tax", None, Some("18")),
        ("\\boxed{\\$1,800} in 3 years", None, Some("1800")),
        ("first \\boxed{1}, then \\boxed{2 \\text{ km}}", None, Some("2")),
        ("\\boxed{x} = 3", None, Some("3")),
        ("the numbers 1, 2, 3", None, Some("3")),
        ("1,2", None, Some("2")),
        ("12,3456", None, Some("3456")),
        ("version 1.2.3", None, Some("3")),
        ("50%", None, Some("50")),
        (
            "100000000000000000000000000000001",
            None,
            Some("100000000000000000000000000000001"),
        ),
        ("forty-two", None, None),
        ("", None, None),
        ("é 7 é", None, Some("7")),
    ]);
}

#[test]
fn thousands_are_read_however_they_are_separated() {
    check_flexible(&[
        ("\\boxed{9{,}500}", "9500"),
        ("\\boxed{$9{,}500}", "9500"),
        ("\\boxed{\\$9{,}500}", "9500"),
        ("It is $9{,}500$.", "9500"),
        ("It is $9{ , }500$.", "9500"),
        ("\\boxed{10\\,000}", "10000"),
        ("that makes 10\\,000", "10000"),
        ("that makes 10,\\!000", "10000"),
        ("\\boxed{1,\\!234,\\!567.5}", "1234567.5"),
        ("that makes 10\\ 000", "10000"),
        ("that makes 10\u{2009}000", "10000"),
        ("that makes 10\u{202f}000", "10000"),
        ("that makes 10\u{a0}000", "10000"),
        ("that makes 10_000", "10000"),
        ("that makes 10'000", "10000"),
        ("that makes 1,234.50", "1234.5"),
        ("\\boxed{10 000}", "10000"),
        // In a sentence a space separates numbers, and elsewhere a comma does.
        ("there were 10 000", "0"),
        ("\\boxed{3\\,kg}", "3"),
        ("0,500", "500"),
        ("(1,200)", "1200"),
        ("1{,}2", "2"),
    ]);
    check(&[
        ("#### 10 000", Some("10000"), Some("10000")),
        ("#### 9{,}500", Some("9500"), Some("9500")),
        ("#### $9{,}500$", Some("9500"), Some("9500")),
    ]);
}

#[test]
fn fonts_formulas_and_signs_around_a_number_do_not_matter() {
    check_flexible(&[
        ("\\boxed{\\text{18}}", "18"),
        ("\\boxed{\\textbf{18}}", "18"),
        ("\\boxed{\\mathbf{18}}", "18"),
        ("\\boxed{{\\bf 18}}", "18"),
        ("\\boxed{\\mathrm{18\\ eggs}}", "18"),
        ("\\boxed{\\text{She has } 18 \\text{ eggs, of 20}}", "18"),
        ("\\boxed{\\left(18\\right)}", "18"),
        ("\\boxed{\\boxed{18}} of 20", "18"),
        ("\\fbox{18} of 20", "18"),
        ("\\boxed 18$ of 20", "18"),
        ("$\\boxed{18}$ of 20", "18"),
        ("\\[\\boxed{18}\\] of 20", "18"),
        // Escaped once more, as within JSON.
        ("\\\\boxed{18} of 20", "18"),
        // Cut off.
        ("of 20, \\boxed{\\text{18", "18"),
        ("\\boxed{18}, that is \\boxed{}", "18"),
        ("\\boxed{17}, no, \\boxed{18}", "18"),
        ("\\boxed{18\\%} of 20", "18"),
        ("\\boxed{90^\\circ} of 360", "90"),
        ("\\boxed{90^{\\circ}} of 360", "90"),
        ("\\boxed{15\\text{ cm}^2}", "15"),
        ("an area of 15 m^2", "15"),
        ("an area of 15 m^{2}", "15"),
        ("an area of 15 m²", "15"),
        ("a_1 = 15, a_{2}", "15"),
        ("**18**", "18"),
        ("**_18_**", "18"),
        ("`18`", "18"),
        ("\\(18\\)", "18"),
        ("it costs 18€", "18"),
        ("it costs €18.50", "18.5"),
        ("it costs ₹1,800", "1800"),
        ("so...18", "18"),
        ("it is.18", "18"),
        ("18...", "18"),
        ("it is １８．５", "18.5"),
        ("共1，200", "200"),
    ]);
    check(&[
        ("#### \\boxed{18}", Some("18"), Some("18")),
        ("#### \\text{18}", Some("18"), Some("18")),
        ("#### \\(18\\)", Some("18"), Some("18")),
        ("#### ≈ 18", Some("18"), Some("18")),
        ("#### 18%", Some("18"), Some("18")),
        ("#### The answer is 18", None, Some("18")),
    ]);
}

#[test]
fn signs_are_those_of_all_keyboards_and_parentheses_are_none() {
    check_flexible(&[
        ("it falls to \u{2212}3", "-3"),
        ("it falls to \u{2013}3", "-3"),
        ("it falls to \u{ff0d}３", "-3"),
        ("\\boxed{\u{2212}3}", "-3"),
        ("\\boxed{-\\$3}", "-3"),
        ("\\boxed{$-3$}", "-3"),
        ("it falls to -€3", "-3"),
        ("so 10\u{2212}3", "3"),
        ("pages 10\u{2013}20", "20"),
        ("it rises by +5", "5"),
        ("a loss of (5)", "5"),
        ("a loss of (-5)", "-5"),
    ]);
    check(&[
        ("#### \u{2212}1,200", Some("-1200"), Some("-1200")),
        ("#### +5", Some("5"), Some("5")),
    ]);
}

#[test]
fn fractions_and_powers_of_ten_have_their_value() {
    check_flexible(&[
        ("\\boxed{\\frac{1}{2}}", "0.5"),
        ("\\boxed{\\dfrac{1}{2}}", "0.5"),
        ("\\boxed{\\tfrac12}", "0.5"),
        ("\\boxed{\\frac{10}{4}}", "2.5"),
        ("\\boxed{\\frac{10}{5}}", "2"),
        ("\\boxed{-\\frac{1}{3}}", "-1/3"),
        ("\\boxed{\\frac{2}{6}}", "1/3"),
        ("\\boxed{1/2}", "0.5"),
        ("\\boxed{1 / 2}", "0.5"),
        ("\\boxed{2\\frac{1}{2}}", "2.5"),
        ("\\boxed{2 \\frac{1}{3}}", "7/3"),
        ("it takes 2 1/2", "2.5"),
        ("it takes 2½", "2.5"),
        ("it takes 1/8", "0.125"),
        ("it is 7/0", "0"),
        ("on 12/25/2020", "2020"),
        ("at 60 km/h", "60"),
        ("1.5e3", "1500"),
        ("2E-3", "0.002"),
        ("2eggs", "2"),
        ("\\boxed{9.5 \\times 10^{3}}", "9500"),
        ("\\boxed{9.5 \\cdot 10^3}", "9500"),
        ("9.5×10³", "9500"),
        ("3 × 10⁻²", "0.03"),
    ]);
    check(&[
        ("#### 1/2", Some("0.5"), Some("0.5")),
        ("#### 1.5e3", Some("1500"), Some("1500")),
        ("#### 24/2", Some("12"), Some("12")),
    ]);
}

#[test]
fn a_calculation_is_worth_what_is_behind_its_last_equals_sign() {
    check_flexible(&[
        ("\\boxed{5 + 3 = 8}", "8"),
        ("\\boxed{x = 5}", "5"),
        ("\\boxed{24 \\times 2 = 48 \\text{ clips}}", "48"),
        ("\\boxed{18 \\text{ dollars} = 1800 \\text{ cents}}", "18"),
        ("\\boxed{18 - that is all}", "18"),
    ]);
    check(&[
        ("#### 24 + 24 = 48", Some("48"), Some("48")),
        ("#### 7 x 8 = 56", Some("56"), Some("56")),
        // What nobody worked out is no number.
        ("2 and \\boxed{24 \\times 2}", None, None),
        ("\\boxed{3\\sqrt{13}}", None, None),
        ("\\boxed{\\sqrt{13}}", None, None),
        ("\\boxed{2\\pi}", None, None),
        ("\\boxed{2^{10}}", None, None),
    ]);
}

#[test]
fn numbered_headings_are_no_answers() {
    check(&[
        (
            "#### 1. Eggs\nThere are 16.\n#### 2. Sales\nShe sells 9.\n#### 18",
            Some("18"),
            Some("18"),
        ),
        ("#### **1. Eggs**\n16\n#### 18", Some("18"), Some("18")),
        ("#### 1) Eggs\n16\n#### 18", Some("18"), Some("18")),
        ("#### 1: Eggs\n16\n#### 18", Some("18"), Some("18")),
        ("#### 1 - Eggs\n16\n#### 18", Some("18"), Some("18")),
        ("#### Step 1: Eggs\n16\n#### 18", Some("18"), Some("18")),
        ("#### Eggs\n16\n#### 18", Some("18"), Some("18")),
        ("#### 1. Eggs\n16 eggs, \\boxed{18} dollars", None, Some("18")),
        // Sections begin at 1.
        ("#### 18. That is all.", Some("18"), Some("18")),
        ("#### 18. That is all.\n\nQuestion: ?\n#### 8", Some("18"), Some("18")),
        ("#### 1.", Some("1"), Some("1")),
        ("#### 1 egg\n#### 2", Some("1"), Some("1")),
    ]);
}

#[test]
fn an_answer_without_a_number_is_wrong_even_where_the_reference_has_none() {
    let reward = NumberReward(Extraction::Flexible);
    let case = |answer: &str| Case {
        answer: answer.into(),
        ..Case::default()
    };
    assert_eq!(reward.score(&case("1,000"), "It is 1000.00 now.").unwrap(), 1.0);
    assert_eq!(reward.score(&case("1,000"), "It is 1001.").unwrap(), 0.0);
    assert_eq!(reward.score(&case("none"), "nothing").unwrap(), 0.0);
    assert_eq!(reward.score(&case("0.5"), "\\boxed{\\frac{1}{2}}").unwrap(), 1.0);
    let strict = NumberReward(Extraction::Strict);
    assert_eq!(strict.score(&case("7"), "7").unwrap(), 0.0);
    assert_eq!(strict.score(&case("7"), "#### 7").unwrap(), 1.0);
}
