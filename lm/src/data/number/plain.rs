//! Text without what LaTeX and typesetters put around the digits of a number: fonts, spaces, signs of other alphabets.

/// A space between groups of three digits, where an English text has a comma.
pub(super) const THIN: char = '\u{2009}';
/// `\boxed`; the braces behind it stay.
pub(in crate::data) const BOX: char = '\u{e000}';
/// `\frac`; likewise.
pub(super) const FRACTION: char = '\u{e001}';

/// The characters of a text: `9{,}500`, `9\,500`, `\text{9,500}` and the like become digits and separators, `\times` and its kin their signs, every
/// sort of minus `-`. Commands that are not known stay.
pub(in crate::data) fn plain(text: &str) -> Vec<char> {
    let source: Vec<char> = text.chars().collect();
    let mut out = Vec::with_capacity(source.len());
    let mut at = 0;
    while let Some(&c) = source.get(at) {
        at += match c {
            '\\' => escaped(&source[at + 1..], &mut out),
            '{' => braced_separator(&source[at..], &mut out),
            c => {
                single(c, &mut out);
                1
            }
        };
    }
    out
}

/// Every sort of minus, space, quotient and product by one sign, characters of full width as those of ASCII, fractions of one character as LaTeX has them.
pub(in crate::data) fn unified(text: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        single(c, &mut out);
    }
    let latex = |c| match c {
        FRACTION => "\\frac".chars().collect(),
        THIN => vec![' '],
        c => vec![c],
    };
    out.into_iter().flat_map(latex).collect()
}

/// What a backslash begins; returns how many characters it was. `rest` is what follows it.
fn escaped(rest: &[char], out: &mut Vec<char>) -> usize {
    let letters = rest.iter().take_while(|c| c.is_ascii_alphabetic()).count();
    if letters > 0 {
        let name: String = rest[..letters].iter().collect();
        command(&name, out);
        return 1 + letters;
    }
    match rest.first() {
        Some(',' | ';' | ':' | ' ' | '>') => out.push(THIN),
        // A negative space.
        Some('!') => (),
        Some(&c @ ('$' | '%' | '#' | '&' | '_')) => out.push(c),
        Some('(' | ')' | '[' | ']' | '{' | '}') => out.push(' '),
        // A line break, or a backslash that was escaped once more: what follows is read for itself.
        _ => {
            out.push(' ');
            return 1;
        }
    }
    2
}

fn command(name: &str, out: &mut Vec<char>) {
    match name {
        "text" | "textbf" | "textit" | "textrm" | "textsf" | "texttt" | "textnormal" | "mathrm" | "mathbf"
        | "mathit" | "mathsf" | "mathtt" | "mathnormal" | "mbox" | "hbox" | "boldsymbol" | "bm" | "bf" | "rm"
        | "it" | "emph" | "underline" | "displaystyle" | "textstyle" | "left" | "right" | "big" | "Big" | "bigl"
        | "bigr" | "Bigl" | "Bigr" => (),
        "boxed" | "fbox" => out.push(BOX),
        "frac" | "dfrac" | "tfrac" | "cfrac" => out.push(FRACTION),
        "times" | "cdot" | "ast" => out.push('×'),
        "div" => out.push('÷'),
        "pm" => out.push('±'),
        "sqrt" => out.push('√'),
        "pi" => out.push('π'),
        "circ" | "degree" => out.push('°'),
        "approx" | "simeq" => out.push('≈'),
        "textdollar" => out.push('$'),
        "pounds" => out.push('£'),
        "euro" => out.push('€'),
        "thinspace" | "nobreakspace" => out.push(THIN),
        "quad" | "qquad" | "space" => out.push(' '),
        other => {
            out.push('\\');
            out.extend(other.chars());
        }
    }
}

/// `{,}` and `{.}`, with which LaTeX keeps a separator from being set as punctuation; returns how many characters it was.
fn braced_separator(from: &[char], out: &mut Vec<char>) -> usize {
    let blank = |at: usize| from[at..].iter().take_while(|c| **c == ' ').count();
    let sign = 1 + blank(1);
    if let Some(&c @ (',' | '.')) = from.get(sign) {
        let end = sign + 1 + blank(sign + 1);
        if from.get(end) == Some(&'}') {
            out.push(c);
            return end + 1;
        }
    }
    out.push('{');
    1
}

fn single(c: char, out: &mut Vec<char>) {
    match c {
        '\u{2212}' | '\u{2010}'..='\u{2013}' | '\u{fe63}' => out.push('-'),
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => out.push(THIN),
        // They have no width.
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => (),
        '·' | '⋅' | '∙' | '✕' | '✖' | '∗' => out.push('×'),
        '∕' | '⁄' => out.push('/'),
        '\u{3000}' | BOX | FRACTION => out.push(' '),
        // Punctuation in Chinese, never within a number.
        '，' => out.push(';'),
        '￥' => out.push('¥'),
        // Full width.
        '\u{ff01}'..='\u{ff5e}' => out.push(char::from_u32(u32::from(c) - 0xfee0).expect("they stand for ASCII")),
        '½' => fraction('1', '2', out),
        '¼' => fraction('1', '4', out),
        '¾' => fraction('3', '4', out),
        '⅓' => fraction('1', '3', out),
        '⅔' => fraction('2', '3', out),
        c => out.push(c),
    }
}

fn fraction(above: char, below: char, out: &mut Vec<char>) {
    out.extend([FRACTION, '{', above, '}', '{', below, '}']);
}
