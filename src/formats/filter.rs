//! Which elites are meant: a condition on their columns, such as `fitness > 100 and (x < 2 or operator == 'iso_line')`.

use std::cmp::Ordering;

use illume_core::{Batch, Data, Error, Result};

use super::export::names::{self, Names, Words};

/// Columns that an error lists at most.
const LISTED: usize = 24;
/// Brackets and negations within one another, at most.
const DEEPEST: usize = 100;

/// The rows of a table for which a condition holds. Columns are named as in an exported CSV file, descriptors also by number
/// (`descriptor_0`), and all as pyribs names them. Comparisons are `< <= > >= == !=`; they are put together by `and`, `or`, `not` and
/// parentheses. A name with blanks stands in backquotes, a text in quotes. A comparison with a number that does not exist does not hold.
///
/// # Errors
/// A condition that is none, a column that is not there, or one that is compared with something of another kind.
pub fn rows(condition: &str, table: &Batch, words_of: Words<'_>) -> Result<Vec<usize>> {
    let parsed = words(condition).and_then(|words| {
        let mut parser = Parser {
            words: &words,
            at: 0,
            depth: 0,
            columns: Columns {
                table,
                named: named(table, words_of),
                operators: words_of.operators,
            },
        };
        let condition = parser.any()?;
        match parser.words.get(parser.at) {
            None => Ok(condition),
            Some(word) => Err(format!("expected \"and\", \"or\" or the end, got {}", word.shown())),
        }
    });
    let condition = parsed.map_err(|what| Error::input(format!("--where '{condition}': {what}")))?;
    Ok((0..table.rows()).filter(|&row| condition.holds(row)).collect())
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Name(String),
    Quoted(String),
    Number(Value),
    Sign(&'static str),
}

impl Word {
    fn shown(&self) -> String {
        match self {
            Word::Name(name) => format!("\"{name}\""),
            Word::Quoted(text) => format!("'{text}'"),
            Word::Number(Value::Whole(n)) => n.to_string(),
            Word::Number(Value::Real(x)) => x.to_string(),
            Word::Number(Value::Text(text)) => text.clone(),
            Word::Sign(sign) => format!("\"{sign}\""),
        }
    }

    fn is(&self, keywords: [&str; 2]) -> bool {
        match self {
            Word::Name(name) => name.eq_ignore_ascii_case(keywords[0]),
            Word::Sign(sign) => *sign == keywords[1],
            _ => false,
        }
    }
}

/// Longer ones first.
const SIGNS: [&str; 12] = ["<=", ">=", "==", "!=", "&&", "||", "<", ">", "=", "!", "(", ")"];

type Parsed<T> = std::result::Result<T, String>;

fn words(text: &str) -> Parsed<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            words.push(Word::Sign(sign));
            rest = &rest[sign.len()..];
        } else if ['\'', '"', '`'].contains(&first) {
            let inside = &rest[1..];
            let end = inside.find(first).ok_or_else(|| format!("{first} is not closed"))?;
            let text = inside[..end].to_string();
            words.push(if first == '`' {
                Word::Name(text)
            } else {
                Word::Quoted(text)
            });
            rest = &inside[end + 1..];
        } else {
            let after_e =
                |before: &str| before.ends_with(['e', 'E']) && before.starts_with(|c: char| !c.is_alphabetic());
            let end = rest.char_indices().find(|&(i, c)| {
                let sign = "+-".contains(c) && (i == 0 || after_e(&rest[..i]));
                !(c.is_alphanumeric() || "_.".contains(c) || sign)
            });
            let (word, after) = rest.split_at(end.map_or(rest.len(), |(i, _)| i));
            words.push(match word {
                "" => return Err(format!("'{first}' has no meaning here")),
                _ if first.is_alphabetic() || first == '_' => Word::Name(word.into()),
                _ => Word::Number(number(word).ok_or_else(|| format!("{word} is no number"))?),
            });
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(words)
}

fn number(word: &str) -> Option<Value> {
    let whole = word.parse().ok().map(Value::Whole);
    whole.or_else(|| word.parse().ok().map(Value::Real))
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Whole(i128),
    Real(f64),
    Text(String),
}

impl Value {
    fn against(&self, other: &Value) -> Option<Ordering> {
        let real = |value: &Value| match value {
            Value::Whole(n) => *n as f64,
            Value::Real(x) => *x,
            Value::Text(_) => f64::NAN,
        };
        match (self, other) {
            (Value::Whole(a), Value::Whole(b)) => Some(a.cmp(b)),
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (a, b) => real(a).partial_cmp(&real(b)),
        }
    }
}

enum Operand<'t> {
    /// One number of each row: data, width, which.
    Column(&'t Data, usize, usize),
    Operator(&'t Data, &'t [String]),
    Value(Value),
}

impl Operand<'_> {
    fn is_text(&self) -> bool {
        matches!(self, Operand::Operator(..) | Operand::Value(Value::Text(_)))
    }

    fn at(&self, row: usize) -> Value {
        let whole_or_real = |data: &Data, at: usize| match data {
            Data::F64(v) => Value::Real(v[at]),
            Data::F32(v) => Value::Real(v[at].into()),
            Data::U8(v) => Value::Whole(v[at].into()),
            Data::I32(v) => Value::Whole(v[at].into()),
            Data::U32(v) => Value::Whole(v[at].into()),
            Data::I64(v) => Value::Whole(v[at].into()),
            Data::U64(v) => Value::Whole(v[at].into()),
        };
        match self {
            Operand::Column(data, width, i) => whole_or_real(data, row * width + i),
            Operand::Operator(data, names) => {
                let Value::Whole(number) = whole_or_real(data, row) else {
                    return Value::Text(String::new());
                };
                let name = usize::try_from(number).ok().and_then(|i| names.get(i));
                Value::Text(name.cloned().unwrap_or_else(|| number.to_string()))
            }
            Operand::Value(value) => value.clone(),
        }
    }
}

enum Condition<'t> {
    Any(Vec<Condition<'t>>),
    All(Vec<Condition<'t>>),
    Not(Box<Condition<'t>>),
    Compare(Operand<'t>, &'static str, Operand<'t>),
}

impl Condition<'_> {
    fn holds(&self, row: usize) -> bool {
        match self {
            Condition::Any(parts) => parts.iter().any(|c| c.holds(row)),
            Condition::All(parts) => parts.iter().all(|c| c.holds(row)),
            Condition::Not(inner) => !inner.holds(row),
            Condition::Compare(a, sign, b) => {
                let order = a.at(row).against(&b.at(row));
                match *sign {
                    "<" => order == Some(Ordering::Less),
                    "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                    ">" => order == Some(Ordering::Greater),
                    ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                    "!=" => order.is_some_and(|o| o != Ordering::Equal),
                    _ => order == Some(Ordering::Equal),
                }
            }
        }
    }
}

struct Columns<'t> {
    table: &'t Batch,
    /// Name, column and which of its numbers.
    named: Vec<(String, usize, usize)>,
    operators: &'t [String],
}

/// What each number of a row may be called: first as in a CSV file, then otherwise.
fn named(table: &Batch, words: Words<'_>) -> Vec<(String, usize, usize)> {
    let mut named = Vec::new();
    let own = |at: usize| names::flat(Names::Own, &table.columns()[at], table, words);
    let by_number = |at: usize| {
        let column = &table.columns()[at];
        (0..column.width).map(|i| format!("{}_{i}", column.name)).collect()
    };
    let pyribs = |at: usize| match table.columns()[at].name.as_str() {
        "fitness" => vec!["objective".to_string()],
        "cell" => vec!["index".into()],
        "descriptor" => (0..words.axes.len()).map(|i| format!("measures_{i}")).collect(),
        _ => Vec::new(),
    };
    let ways: [&dyn Fn(usize) -> Vec<String>; 3] = [&own, &by_number, &pyribs];
    for way in ways {
        for at in 0..table.columns().len() {
            named.extend(way(at).into_iter().enumerate().map(|(i, name)| (name, at, i)));
        }
    }
    named
}

impl<'t> Columns<'t> {
    fn find(&self, name: &str) -> Parsed<Operand<'t>> {
        let Some((_, at, i)) = self.named.iter().find(|(known, ..)| known == name) else {
            let own: usize = self.table.columns().iter().map(|c| c.width).sum();
            let names: Vec<&str> = self.named.iter().map(|(name, ..)| name.as_str()).collect();
            let more = if own > LISTED { ", ..." } else { "" };
            let listed = names[..own.min(LISTED)].join(", ");
            return Err(format!("there is no column \"{name}\"; expected one of {listed}{more}"));
        };
        let column = &self.table.columns()[*at];
        Ok(match column.name.as_str() {
            "operator" => Operand::Operator(&column.data, self.operators),
            _ => Operand::Column(&column.data, column.width, *i),
        })
    }
}

struct Parser<'w, 't> {
    words: &'w [Word],
    at: usize,
    columns: Columns<'t>,
    /// Brackets and negations around what is read now.
    depth: usize,
}

impl<'t> Parser<'_, 't> {
    fn next_is(&mut self, keywords: [&str; 2]) -> bool {
        let is = self.words.get(self.at).is_some_and(|word| word.is(keywords));
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Parsed<Condition<'t>> {
        let mut parts = vec![self.all()?];
        while self.next_is(["or", "||"]) {
            parts.push(self.all()?);
        }
        Ok(Condition::Any(parts))
    }

    fn all(&mut self) -> Parsed<Condition<'t>> {
        let mut parts = vec![self.one()?];
        while self.next_is(["and", "&&"]) {
            parts.push(self.one()?);
        }
        Ok(Condition::All(parts))
    }

    fn one(&mut self) -> Parsed<Condition<'t>> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!(
                "expected at most {DEEPEST} brackets and negations within one another"
            ));
        }
        let condition = self.within();
        self.depth -= 1;
        condition
    }

    fn within(&mut self) -> Parsed<Condition<'t>> {
        if self.next_is(["not", "!"]) {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.next_is(["", "("]) {
            let inside = self.any()?;
            return match self.next_is(["", ")"]) {
                true => Ok(inside),
                false => Err("\"(\" is not closed".into()),
            };
        }
        let left = self.operand()?;
        let sign = match self.words.get(self.at) {
            Some(Word::Sign(sign)) if ["<", "<=", ">", ">=", "==", "=", "!="].contains(sign) => *sign,
            other => {
                let got = other.map_or("the end".into(), Word::shown);
                return Err(format!("expected a comparison (< <= > >= == !=), got {got}"));
            }
        };
        self.at += 1;
        let right = self.operand()?;
        match (left.is_text(), right.is_text()) {
            (true, true) if ["==", "=", "!="].contains(&sign) => {}
            (true, true) => {
                return Err(format!(
                    "texts are equal or not (== !=), and have no order (\"{sign}\")"
                ));
            }
            (false, false) => {}
            _ => return Err("a text is compared with a number; expected such as operator == 'iso_line'".into()),
        }
        Ok(Condition::Compare(left, sign, right))
    }

    fn operand(&mut self) -> Parsed<Operand<'t>> {
        let expected = "expected a column, a number or a text in quotes, got";
        let operand = match self.words.get(self.at) {
            Some(Word::Name(name)) => self.columns.find(name)?,
            Some(Word::Quoted(text)) => Operand::Value(Value::Text(text.clone())),
            Some(Word::Number(value)) => Operand::Value(value.clone()),
            Some(sign) => return Err(format!("{expected} {}", sign.shown())),
            None => return Err(format!("{expected} the end")),
        };
        self.at += 1;
        Ok(operand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Axis;

    fn found(condition: &str) -> Result<Vec<usize>> {
        let mut table = Batch::new();
        table.push("cell", 1, "", "", vec![2i64, 3, 5, 9]);
        table.push("fitness", 1, "", "", vec![1.0f64, -2.5, 100.0, f64::NAN]);
        table.push("descriptor", 2, "", "", vec![0.0f64, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        table.push("operator", 1, "", "", vec![0i32, 1, 1, 7]);
        table.push("seed", 1, "", "", vec![u64::MAX, u64::MAX - 1, 0, 1]);
        table.push("parents", 2, "", "", vec![-1i64, -1, 0, 1, 2, 3, 4, 5]);
        let axes = [Axis::new("first half", "", 0.0, 9.0), Axis::new("seed", "", 0.0, 9.0)];
        let operators = ["random".to_string(), "iso_line".into()];
        rows(
            condition,
            &table,
            Words {
                axes: &axes,
                operators: &operators,
                objectives: &[],
            },
        )
    }

    #[test]
    fn conditions_find_the_rows_that_they_say() {
        for (condition, rows) in [
            ("fitness > 0", &[0, 2][..]),
            ("fitness>=1 and fitness<100", &[0]),
            ("not fitness > 0", &[1, 3]),
            ("fitness != 1", &[1, 2]),
            ("-2.5e0 = fitness or cell == 9", &[1, 3]),
            ("fitness < -2 or fitness > 2 and cell > 5", &[1]),
            ("(fitness < -2 or fitness > 2) and cell >= 5", &[2]),
            ("`first half` >= 4 && descriptor_seed < 7", &[2]),
            ("descriptor_0 == 6 || measures_1 == 1.0", &[0, 3]),
            ("operator == 'iso_line' and !(index = 3)", &[2]),
            ("operator == \"7\"", &[3]),
            ("seed == 18446744073709551615", &[0]),
            ("seed > 18446744073709551614", &[0]),
            ("parent_1 < 0", &[0]),
            ("parents_1 > parent_1 AND objective < 1e3", &[1, 2]),
            ("cell < descriptor_1", &[3].as_slice()[..0]),
        ] {
            assert_eq!(found(condition).unwrap(), rows, "{condition}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_in_one_sentence() {
        for (condition, part) in [
            ("", "got the end"),
            ("fitness", "expected a comparison (< <= > >= == !=), got the end"),
            ("fitness > ", "got the end"),
            (
                "fitnes > 1",
                "no column \"fitnes\"; expected one of cell, fitness, first half,",
            ),
            ("fitness > 1 1", "got 1"),
            ("0 < fitness < 1", "got \"<\""),
            ("(fitness > 1", "\"(\" is not closed"),
            (&("not ".repeat(5000) + "fitness > 1"), "at most 100 brackets"),
            (&"(".repeat(5000), "at most 100 brackets"),
            ("fitness > 1)", "got \")\""),
            ("fitness > 1.2.3", "1.2.3 is no number"),
            ("fitness + 1 > 2", "+ is no number"),
            ("fitness > 2 % 3", "'%' has no meaning here"),
            ("operator > 'random'", "have no order"),
            ("operator == 1", "a text is compared with a number"),
            ("operator == 'random", "' is not closed"),
            ("and fitness > 1", "no column \"and\""),
        ] {
            let message = found(condition).unwrap_err().to_string();
            assert!(message.starts_with(&format!("--where '{condition}': ")), "{message}");
            assert!(
                message.contains(part) && !message.contains('\n'),
                "{condition}: {message}"
            );
        }
    }
}
