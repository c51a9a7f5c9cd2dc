//! A result without what does not change it: fonts, spaces, sizes, units, degrees, currencies, percent.

use super::super::number::unified;

/// A word, from `\text{…}`: begins and ends with it.
pub(super) const WORD: char = '\u{e010}';
/// `\{` and `\}`.
pub(super) const SET: [char; 2] = ['\u{e011}', '\u{e012}'];

/// Where a unit was.
const UNIT: char = '\u{e013}';

/// Commands that only say how something is set.
const DROPPED: [&str; 29] = [
    "left",
    "right",
    "big",
    "Big",
    "bigg",
    "Bigg",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "displaystyle",
    "textstyle",
    "boldsymbol",
    "bm",
    "mathbf",
    "mathit",
    "mathsf",
    "mathcal",
    "mathbb",
    "limits",
    "nolimits",
    "bf",
    "rm",
    "it",
    "cr",
    "boxed",
    "fbox",
    "dollar",
    "textdollar",
];
const SPACES: [&str; 8] = [
    "quad",
    "qquad",
    "space",
    "thinspace",
    "nobreakspace",
    "hspace",
    "enspace",
    "hfill",
];
const TEXTS: [&str; 9] = [
    "text",
    "textbf",
    "textit",
    "textrm",
    "textsf",
    "texttt",
    "textnormal",
    "mbox",
    "hbox",
];

/// Functions that are written without a backslash, too.
const FUNCTIONS: [&str; 10] = ["sqrt", "pi", "sin", "cos", "tan", "ln", "log", "exp", "infty", "frac"];

/// What may stand behind a number without a command.
const UNITS: [&str; 49] = [
    "unit",
    "units",
    "square",
    "cubic",
    "sq",
    "cm",
    "mm",
    "km",
    "kg",
    "mg",
    "ml",
    "inch",
    "inches",
    "foot",
    "feet",
    "ft",
    "yard",
    "yards",
    "mile",
    "miles",
    "meter",
    "meters",
    "metre",
    "metres",
    "centimeters",
    "kilometers",
    "gram",
    "grams",
    "pound",
    "pounds",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "day",
    "days",
    "week",
    "weeks",
    "year",
    "years",
    "degree",
    "degrees",
    "dollars",
    "cents",
    "percent",
    "per",
    "mph",
];

/// The characters of a result as [`super::compare`] reads it. Commands that mean something stay, `\dfrac` and its kin as `\frac`.
pub(super) fn clean(text: &str) -> Vec<char> {
    let source = unified(text);
    let mut out: Vec<char> = Vec::with_capacity(source.len());
    let mut at = 0;
    while let Some(&c) = source.get(at) {
        at += 1;
        match c {
            '\\' => at += command(&source[at..], &mut out),
            '$' | '%' | '€' | '£' => (),
            '~' | '\n' | '\t' => out.push(' '),
            '·' => out.push('×'),
            '∪' => out.extend("\\cup ".chars()),
            '∞' => out.extend("\\infty ".chars()),
            '≤' => out.extend("\\le ".chars()),
            '≥' => out.extend("\\ge ".chars()),
            '≠' => out.extend("\\ne ".chars()),
            '√' => out.extend("\\sqrt ".chars()),
            'π' => out.extend("\\pi ".chars()),
            // A sign of thousands, so that it does not divide elements.
            '{' if source[at..].starts_with(&[',', '}']) => at += 2,
            c if c.is_ascii_alphabetic() => {
                let end = at + source[at..].iter().take_while(|c| c.is_ascii_alphabetic()).count();
                letters(&source[at - 1..end], &mut out);
                at = end;
            }
            c => out.push(c),
        }
    }
    let mut out = without_units(&without_marks(&out));
    while out.last().is_some_and(|c| [' ', '.', ';'].contains(c)) {
        out.pop();
    }
    let blank = out.iter().take_while(|c| **c == ' ').count();
    out.drain(..blank);
    out
}

/// A run of letters without a backslash: the name of a function becomes a command.
fn letters(run: &[char], out: &mut Vec<char>) {
    let name: String = run.iter().collect();
    match FUNCTIONS.contains(&name.as_str()) {
        true => out.extend(format!("\\{name} ").chars()),
        false => out.extend(run),
    }
}

/// What a backslash begins; returns how many characters behind it were read.
fn command(rest: &[char], out: &mut Vec<char>) -> usize {
    let letters = rest.iter().take_while(|c| c.is_ascii_alphabetic()).count();
    let Some(&first) = rest.first() else { return 0 };
    if letters == 0 {
        match first {
            ',' | ';' | ':' | ' ' | '>' => out.push(' '),
            '!' | '$' | '%' | '(' | ')' | '[' | ']' => (),
            '{' => out.push(SET[0]),
            '}' => out.push(SET[1]),
            '|' => out.push('|'),
            // A new row of a matrix.
            '\\' => out.extend("\\\\".chars()),
            c => out.push(c),
        }
        return 1;
    }
    let name: String = rest[..letters].iter().collect();
    let name = name.as_str();
    let unit = ["mathrm", "operatorname"].contains(&name);
    if TEXTS.contains(&name) || unit {
        let (content, read) = argument(&rest[letters..]);
        words(&content, unit, out);
        return letters + read;
    }
    match name {
        _ if DROPPED.contains(&name) => (),
        _ if SPACES.contains(&name) => out.push(' '),
        "dfrac" | "tfrac" | "cfrac" => out.extend("\\frac ".chars()),
        "circ" | "degree" | "degrees" => out.push('°'),
        "cdot" | "times" | "ast" => out.push('×'),
        "div" => out.push('÷'),
        "pm" | "mp" => out.push('±'),
        "emptyset" | "varnothing" => out.extend(SET),
        "lbrace" => out.push(SET[0]),
        "rbrace" => out.push(SET[1]),
        "lvert" | "rvert" | "vert" | "mid" => out.push('|'),
        "leq" | "leqslant" => out.extend("\\le ".chars()),
        "geq" | "geqslant" => out.extend("\\ge ".chars()),
        "neq" => out.extend("\\ne ".chars()),
        "lt" => out.push('<'),
        "gt" => out.push('>'),
        name => {
            out.push('\\');
            out.extend(name.chars());
            // What ends a command's name does not matter any more.
            out.push(' ');
        }
    }
    letters
}

/// What is between the braces of a command of text, and how many characters that was.
fn argument(rest: &[char]) -> (String, usize) {
    let blank = rest.iter().take_while(|c| **c == ' ').count();
    if rest.get(blank) != Some(&'{') {
        return (String::new(), 0);
    }
    let mut depth = 0;
    for (i, c) in rest.iter().enumerate().skip(blank) {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return (rest[blank + 1..i].iter().collect(), i + 1);
        }
    }
    (rest[blank + 1..].iter().collect(), rest.len())
}

/// Text in a formula: 'and' and 'or' divide elements, other words behind something are a unit or a remark, and are left out; else they are the result. A font for letters
/// (`unit`) is no text where there is one letter alone.
fn words(content: &str, unit: bool, out: &mut Vec<char>) {
    let content: String = content.chars().filter(|c| !"$\\%".contains(*c)).collect();
    let said = content.trim().trim_matches(',').trim();
    if ["and", "or"].contains(&said) {
        return out.push(',');
    }
    if unit && said.chars().count() < 2 {
        return out.extend(said.chars());
    }
    let number = said
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_digit() || "(-.".contains(c));
    let before = out.iter().rev().find(|c| **c != ' ');
    match before {
        // \text{(C)}, \text{12}
        _ if number => out.extend(said.chars()),
        Some(c) if !"(=,".contains(*c) && !SET.contains(c) => out.push(UNIT),
        _ => out.extend([&[WORD][..], &said.chars().collect::<Vec<_>>(), &[WORD]].concat()),
    }
}

/// Without degrees (`^°`, `^{°}`, `°`) and without the places of units with their powers.
fn without_marks(text: &[char]) -> Vec<char> {
    let mut out: Vec<char> = Vec::with_capacity(text.len());
    let mut rest = text;
    let behind = |rest: &[char]| rest.iter().take_while(|c| **c == ' ').count();
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        let power = |rest: &[char]| {
            let sign = behind(rest);
            let at = sign + 1 + behind(rest.get(sign + 1..)?);
            (rest.get(sign) == Some(&'^')).then_some(at)
        };
        if c == UNIT {
            if let Some(at) = power(rest) {
                let group = rest.get(at) == Some(&'{');
                let end = if group {
                    rest.iter().position(|c| *c == '}')
                } else {
                    Some(at)
                };
                rest = rest.get(end.unwrap_or(at) + 1..).unwrap_or_default();
            }
        } else if c == '^' {
            let sign: Vec<char> = rest.iter().copied().filter(|c| *c != ' ').take(3).collect();
            let signs = if sign.starts_with(&['°']) {
                1
            } else if sign == ['{', '°', '}'] {
                3
            } else {
                out.push(c);
                continue;
            };
            for _ in 0..signs {
                rest = &rest[behind(rest) + 1..];
            }
        } else if c != '°' {
            out.push(c);
        }
    }
    out
}

/// Without the words of [`UNITS`] at the end, and their powers, if something is left to have them.
fn without_units(text: &[char]) -> Vec<char> {
    let whole: String = text.iter().collect();
    let mut rest = whole.as_str();
    loop {
        let trimmed = rest.trim_end_matches([' ', '.', '/']);
        let powers = ["^2", "^3", "^{2}", "^{3}"];
        let base = powers
            .iter()
            .find_map(|power| trimmed.strip_suffix(power))
            .unwrap_or(trimmed);
        let start = base.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = UNITS.contains(&base[start.len()..].to_ascii_lowercase().as_str());
        // Not a command's name.
        if !unit || start.ends_with('\\') {
            break;
        }
        rest = start;
    }
    match rest.contains(|c: char| c.is_ascii_digit() || c == '\\') {
        true => rest.chars().collect(),
        false => text.into(),
    }
}
