//! The structure of a result, part by part: unions, sets, tuples, lists, matrices, relations, and what these are made of.

use super::super::number::exact_number;
use super::clean::{SET, WORD, clean};
use super::value::{Point, value};

/// Characters of the longest result that is looked into; longer ones are the same if their texts are.
const LONGEST: usize = 1000;
/// Structures within one another: unordered ones are compared from both sides, at each depth.
const DEEPEST: usize = 4;
/// Two values are the same that differ by no more than this share of them.
const TOLERANCE: f64 = 1e-9;
/// And smaller values by no more than this times it, since that of `\sin\pi` is not quite 0.
const LEAST: f64 = 1e-6;
/// Where expressions are compared.
const POINTS: [Point; 3] = [Point(1), Point(2), Point(3)];

/// What a result is.
#[derive(Debug)]
enum Structure {
    /// In any order: a set, a union, or values without brackets.
    Unordered(Vec<Structure>),
    /// Brackets with what is in them, in order: tuples, intervals.
    Ordered([char; 2], Vec<Structure>),
    /// Rows of a matrix.
    Matrix(Vec<Vec<Structure>>),
    /// Sides with the signs between them.
    Relation(Vec<Structure>, Vec<&'static str>),
    /// A number, an expression or words.
    Leaf(Vec<char>),
}

pub(super) fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (clean(one), clean(other));
    if one.is_empty() || other.is_empty() {
        return one.is_empty() && other.is_empty();
    }
    if one.len().max(other.len()) > LONGEST {
        return one == other;
    }
    // 1,234 is a number, or two.
    let read = |text: &[char]| read(text, DEEPEST);
    same(&read(&joined(&one)), &read(&joined(&other))) || same(&read(&one), &read(&other))
}

/// Without the commas between thousands, outside brackets.
fn joined(text: &[char]) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len());
    let digits = |from: usize| text[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let c = text[at];
        depth += depth_change(c);
        let n = digits(at);
        if n == 0 {
            out.push(c);
            at += 1;
            continue;
        }
        out.extend(&text[at..at + n]);
        let grouped = depth == 0 && n <= 3 && c != '0' && !(at > 0 && text[at - 1] == '.');
        at += n;
        while grouped && text.get(at) == Some(&',') && digits(at + 1) == 3 {
            out.extend(&text[at + 1..at + 4]);
            at += 4;
        }
    }
    out
}

fn depth_change(c: char) -> i32 {
    match c {
        '(' | '[' | '{' => 1,
        ')' | ']' | '}' => -1,
        c if c == SET[0] => 1,
        c if c == SET[1] => -1,
        _ => 0,
    }
}

/// Parts outside brackets, divided by what `divider` finds: the length of a divider that begins there.
fn parts(text: &[char], divider: impl Fn(&[char]) -> Option<usize>) -> Vec<&[char]> {
    let (mut all, mut depth, mut from, mut at) = (Vec::new(), 0, 0, 0);
    while at < text.len() {
        depth += depth_change(text[at]);
        match divider(&text[at..]).filter(|_| depth == 0) {
            Some(len) => {
                all.push(&text[from..at]);
                at += len;
                from = at;
            }
            None => at += 1,
        }
    }
    all.push(&text[from..]);
    all
}

fn starts_with(text: &[char], word: &str) -> Option<usize> {
    let n = word.chars().count();
    (text.len() >= n && word.chars().zip(text).all(|(a, b)| a == *b)).then_some(n)
}

fn trimmed(text: &[char]) -> &[char] {
    let from = text.iter().take_while(|c| **c == ' ').count();
    let behind = text[from..].iter().rev().take_while(|c| **c == ' ').count();
    &text[from..text.len() - behind]
}

/// What a text is, structures within structures as deep as that.
fn read(text: &[char], depth: usize) -> Structure {
    let text = without_name(trimmed(text));
    let Some(depth) = depth.checked_sub(1) else {
        return Structure::Leaf(text.into());
    };
    let read = |text: &[char]| read(text, depth);
    let unions = parts(text, |rest| starts_with(rest, "\\cup "));
    if unions.len() > 1 {
        return Structure::Unordered(unions.into_iter().map(read).collect());
    }
    if let Some(rows) = matrix(text, read) {
        return rows;
    }
    let comma = |rest: &[char]| starts_with(rest, ",").or_else(|| starts_with(rest, ";"));
    if let Some((open, inside, close)) = bracketed(text) {
        let items = parts(inside, comma);
        if open == SET[0] {
            let filled = items.into_iter().filter(|part| !trimmed(part).is_empty());
            return Structure::Unordered(filled.map(read).collect());
        }
        if items.len() > 1 {
            return Structure::Ordered([open, close], items.into_iter().map(read).collect());
        }
    }
    let list = parts(text, comma);
    if list.len() > 1 {
        let filled = list.into_iter().filter(|part| !trimmed(part).is_empty());
        return Structure::Unordered(filled.map(read).collect());
    }
    relation(text).unwrap_or_else(|| either_sign(text))
}

/// What follows `x =`, `a_1 =`, `f(x) =`, `(x, y) =`, `x \in`, where there is one such sign.
fn without_name(text: &[char]) -> &[char] {
    let is = |rest: &[char]| starts_with(rest, "=").or_else(|| starts_with(rest, "\\in "));
    let sides = parts(text, is);
    let [name, rest] = sides[..] else { return text };
    let (mut letters, mut run, mut command, mut index) = (0, 0, false, false);
    for &c in name {
        command = c == '\\' || command && c.is_ascii_alphabetic();
        index = c == '_' || index && c != ',' && c != ')';
        run = if c.is_alphabetic() && !command { run + 1 } else { 0 };
        letters += usize::from(c.is_alphabetic());
        let allowed = c.is_alphabetic() || index || "\\(), ".contains(c);
        if !allowed || c == WORD || run > 1 {
            return text;
        }
    }
    if letters > 0 { trimmed(rest) } else { text }
}

/// Brackets around all of a text, and what is in them.
fn bracketed(text: &[char]) -> Option<(char, &[char], char)> {
    let (&open, &close) = (text.first()?, text.last()?);
    if depth_change(open) != 1 || open == '{' || depth_change(close) != -1 || close == '}' {
        return None;
    }
    let mut depth = 0;
    for (i, c) in text.iter().enumerate() {
        depth += depth_change(*c);
        if depth == 0 && i + 1 < text.len() {
            return None;
        }
    }
    Some((open, &text[1..text.len() - 1], close))
}

fn matrix(text: &[char], read: impl Fn(&[char]) -> Structure) -> Option<Structure> {
    let whole: String = text.iter().collect();
    let inside = whole.strip_prefix("\\begin {")?;
    let (kind, inside) = inside.split_once('}')?;
    let inside = inside.strip_suffix(&format!("\\end {{{kind}}}"))?;
    if !kind.ends_with("matrix") {
        return None;
    }
    let row = |row: &str| {
        row.split('&')
            .map(|cell| read(&cell.chars().collect::<Vec<_>>()))
            .collect()
    };
    let rows = inside.split("\\\\").filter(|r| !r.trim().is_empty());
    Some(Structure::Matrix(rows.map(row).collect()))
}

/// Signs of relations, with those that say the same from the other side.
const SIGNS: [(&str, &str); 6] = [
    ("\\le ", "\\ge "),
    ("\\ge ", "\\le "),
    ("\\ne ", "\\ne "),
    ("<", ">"),
    (">", "<"),
    ("=", "="),
];

fn relation(text: &[char]) -> Option<Structure> {
    let sign = |rest: &[char]| SIGNS.iter().find_map(|(sign, _)| starts_with(rest, sign));
    let sides = parts(text, sign);
    if sides.len() < 2 {
        return None;
    }
    let mut signs = Vec::new();
    let mut at = 0;
    for side in &sides[..sides.len() - 1] {
        at += side.len();
        let (sign, _) = SIGNS
            .iter()
            .find(|(sign, _)| starts_with(&text[at..], sign).is_some())?;
        at += sign.chars().count();
        signs.push(*sign);
    }
    Some(Structure::Relation(
        sides.into_iter().map(|s| Structure::Leaf(trimmed(s).into())).collect(),
        signs,
    ))
}

/// Both values of `a ± b`.
fn either_sign(text: &[char]) -> Structure {
    let with = |sign: char| text.iter().map(|c| if *c == '±' { sign } else { *c }).collect();
    match text.contains(&'±') {
        true => Structure::Unordered(vec![Structure::Leaf(with('+')), Structure::Leaf(with('-'))]),
        false => Structure::Leaf(text.into()),
    }
}

fn same(one: &Structure, other: &Structure) -> bool {
    use Structure::{Leaf, Matrix, Ordered, Relation, Unordered};
    let all = |a: &[Structure], b: &[Structure]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    match (one, other) {
        (Unordered(a), Unordered(b)) => same_unordered(a, b),
        (Ordered(p, a), Ordered(q, b)) => p == q && all(a, b),
        (Matrix(a), Matrix(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| all(a, b)),
        (Relation(a, s), Relation(b, t)) => s == t && all(a, b) || is_reverse(a, s, b, t),
        (Leaf(a), Leaf(b)) => same_leaf(a, b),
        // {5} and 5
        (Unordered(a), b) | (b, Unordered(a)) => a.len() == 1 && same(&a[0], b),
        _ => false,
    }
}

fn is_reverse(a: &[Structure], s: &[&str], b: &[Structure], t: &[&str]) -> bool {
    let turned = |sign: &str| SIGNS.iter().find(|(own, _)| *own == sign).map(|(_, turned)| *turned);
    a.len() == b.len()
        && s.iter().rev().zip(t).all(|(s, t)| turned(s) == Some(*t))
        && a.iter().rev().zip(b).all(|(a, b)| same(a, b))
}

/// Whether each of the one is among the others and the other way around: an element counts once.
fn same_unordered(a: &[Structure], b: &[Structure]) -> bool {
    let within = |a: &[Structure], b: &[Structure]| a.iter().all(|x| b.iter().any(|y| same(x, y)));
    within(a, b) && within(b, a)
}

fn same_leaf(one: &[char], other: &[char]) -> bool {
    let words = are_words(one) || are_words(other);
    let letters = |text: &[char]| -> String {
        let kept = text
            .iter()
            .filter(|c| !(**c == ' ' || **c == WORD || words && "(){}".contains(**c)));
        kept.flat_map(|c| c.to_lowercase()).collect()
    };
    if words || letters(one) == letters(other) {
        return letters(one) == letters(other);
    }
    if let (Some(a), Some(b)) = (exact_number(one), exact_number(other)) {
        return a == b;
    }
    POINTS
        .iter()
        .all(|point| match (value(one, *point), value(other, *point)) {
            (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(LEAST),
            _ => false,
        })
}

/// Whether a text is read as words: marked so, or with a longer run of letters than a product of variables has.
fn are_words(text: &[char]) -> bool {
    const LONGEST_PRODUCT: usize = 3;
    let (mut run, mut command) = (0, false);
    for c in text {
        command = *c == '\\' || command && c.is_ascii_alphabetic();
        run = if c.is_alphabetic() && !command { run + 1 } else { 0 };
        if run > LONGEST_PRODUCT || *c == WORD {
            return true;
        }
    }
    false
}
