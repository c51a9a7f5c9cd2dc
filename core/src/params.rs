//! Parameter structs that describe and check themselves.
//!
//! [`params!`](macro@crate::params) makes a plain public-field struct with `Default` and serde, plus a reader that reports every
//! problem at once, and the table that `illume list` prints.

use crate::{Error, Problem, Result};

/// One parameter, as `illume list` shows it.
#[derive(Debug, Clone)]
pub struct ParamInfo {
    pub name: &'static str,
    /// What values it takes, in words.
    pub accepts: String,
    /// Its default, as TOML.
    pub default: String,
    pub meaning: String,
}

/// A type a parameter may have.
pub trait ParamType: serde::Serialize + serde::de::DeserializeOwned + Clone {
    /// What a TOML value of this type is, in words: `an integer`.
    const WORDS: &'static str;
}

macro_rules! param_type {
    ($($ty:ty => $words:literal),* $(,)?) => { $(impl ParamType for $ty { const WORDS: &'static str = $words; })* };
}
param_type! {
    usize => "a non-negative integer", u32 => "a non-negative integer", u64 => "a non-negative integer",
    i64 => "an integer", f64 => "a number", bool => "true or false", String => "a string",
    Vec<usize> => "a list of non-negative integers", Vec<f64> => "a list of numbers", Vec<String> => "a list of strings",
}

/// What a value must satisfy beyond its type.
pub struct Rule<T> {
    pub words: String,
    pub holds: Box<dyn Fn(&T) -> bool>,
}

/// Any value of the type.
pub fn any<T>() -> Rule<T> {
    Rule {
        words: String::new(),
        holds: Box::new(|_| true),
    }
}

/// A number that is neither infinite nor NaN.
pub fn finite() -> Rule<f64> {
    Rule {
        words: "finite".into(),
        holds: Box::new(|v| v.is_finite()),
    }
}

/// A value between two bounds, both allowed. (NaN is outside of every range.)
pub fn range<T: PartialOrd + std::fmt::Display + 'static>(low: T, high: T) -> Rule<T> {
    Rule {
        words: format!("from {low} to {high}"),
        holds: Box::new(move |v| *v >= low && *v <= high),
    }
}

/// A value not below a bound; for numbers, finite.
pub fn at_least<T: PartialOrd + std::fmt::Display + Into<f64> + Copy + 'static>(low: T) -> Rule<T> {
    Rule {
        words: format!("at least {low}"),
        holds: Box::new(move |v| *v >= low && (*v).into().is_finite()),
    }
}

/// A finite number above zero.
pub fn positive() -> Rule<f64> {
    Rule {
        words: "above 0".into(),
        holds: Box::new(|v| *v > 0.0 && v.is_finite()),
    }
}

/// One of a closed set of strings.
pub fn one_of(options: &'static [&'static str]) -> Rule<String> {
    let words = format!(
        "one of {}",
        options
            .iter()
            .map(|o| format!("\"{o}\""))
            .collect::<Vec<_>>()
            .join(", ")
    );
    Rule {
        words,
        holds: Box::new(|v| options.contains(&v.as_str())),
    }
}

/// A list of which each entry satisfies a rule.
pub fn each<T: 'static>(rule: Rule<T>) -> Rule<Vec<T>> {
    Rule {
        words: format!("each {}", rule.words),
        holds: Box::new(move |v| v.iter().all(|x| (rule.holds)(x))),
    }
}

/// A parameter struct made by [`params!`](macro@crate::params).
pub trait Params: Default + Clone + serde::Serialize {
    /// Every parameter with its default and meaning.
    fn describe() -> Vec<ParamInfo>;
    /// Takes the parameters out of a table, leaving unknown keys in it; every problem is appended.
    fn take(table: &mut toml::Table, section: &str, problems: &mut Vec<Problem>) -> Self;
    /// The names of all parameters.
    fn names() -> Vec<&'static str> {
        Self::describe().iter().map(|p| p.name).collect()
    }
}

/// Parameters that several structs share stand in one of their own; two structs must not have a name in common.
impl<A: Params, B: Params> Params for (A, B) {
    fn describe() -> Vec<ParamInfo> {
        [A::describe(), B::describe()].concat()
    }

    fn take(table: &mut toml::Table, section: &str, problems: &mut Vec<Problem>) -> Self {
        let first = A::take(table, section, problems);
        (first, B::take(table, section, problems))
    }
}

/// Reads all parameters of a section; a key that is no parameter (and not in `also`) is a problem.
///
/// # Errors
/// Every wrong type, wrong value and unknown key at once.
pub fn read<P: Params>(table: &toml::Table, section: &str, also: &[&str]) -> Result<P> {
    let mut rest = table.clone();
    let mut problems = Vec::new();
    let params = P::take(&mut rest, section, &mut problems);
    let mut known = P::names();
    for key in rest.keys().filter(|k| !also.contains(&k.as_str())) {
        known.extend(also.iter().filter(|a| !P::names().contains(a)));
        problems.push(unknown_key(section, key, &known));
    }
    if problems.is_empty() {
        Ok(params)
    } else {
        Err(Error::Config(problems))
    }
}

/// The problem of a key that is not known, with the nearest known one.
pub fn unknown_key(section: &str, key: &str, known: &[&str]) -> Problem {
    let message = format!("unknown key{}", suggest(key, known));
    Problem {
        section: section.into(),
        key: key.into(),
        message,
    }
}

/// `; did you mean "x"? Accepted: …` for a name that is not in a list.
pub fn suggest(name: &str, known: &[&str]) -> String {
    let mut sorted: Vec<&str> = known.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    // A longer or shorter form of the name counts as near: batch_size for batch.
    let near = |(d, k): &(usize, &str)| {
        *d <= 2.max(k.len() / 3) || k.len() > 2 && (name.starts_with(k) || k.starts_with(name))
    };
    let near = sorted
        .iter()
        .map(|k| (distance(name, k), *k))
        .min_by_key(|found| (!near(found), *found))
        .filter(near);
    let hint = near
        .map(|(_, k)| format!("; did you mean \"{k}\"?"))
        .unwrap_or_else(|| ";".into());
    format!(
        "{hint} accepted: {}",
        if sorted.is_empty() {
            "none".into()
        } else {
            sorted.join(", ")
        }
    )
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Reads one value; used by the macro.
pub fn take_value<T: ParamType>(
    table: &mut toml::Table,
    section: &str,
    name: &'static str,
    rule: &Rule<T>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let value = table.remove(name)?;
    let shown = value.to_string();
    let accepts = accepts::<T>(rule);
    // An integer is a fine number.
    let value = match value {
        toml::Value::Integer(i) if T::WORDS == "a number" => toml::Value::Float(i as f64),
        toml::Value::Array(a) if T::WORDS == "a list of numbers" => toml::Value::Array(
            a.into_iter()
                .map(|v| v.as_integer().map_or(v.clone(), |i| toml::Value::Float(i as f64)))
                .collect(),
        ),
        other => other,
    };
    match value.try_into::<T>() {
        Ok(v) if (rule.holds)(&v) => Some(v),
        _ => {
            let message = format!("expected {accepts}, got {shown}");
            problems.push(Problem {
                section: section.into(),
                key: name.into(),
                message,
            });
            None
        }
    }
}

/// What a parameter accepts, in words.
pub fn accepts<T: ParamType>(rule: &Rule<T>) -> String {
    if rule.words.is_empty() {
        T::WORDS.into()
    } else {
        format!("{}, {}", T::WORDS, rule.words)
    }
}

/// A value as TOML text.
pub fn as_toml<T: serde::Serialize>(value: &T) -> String {
    toml::Value::try_from(value).map(|v| v.to_string()).unwrap_or_default()
}

/// Declares a parameter struct: `/// meaning` then `name: type = default, rule;`.
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* pub struct $name:ident { $( $(#[doc = $doc:literal])+ $field:ident: $ty:ty = $default:expr, $rule:expr; )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "illume_core::serde", deny_unknown_fields, default)]
        pub struct $name { $( $(#[doc = $doc])+ pub $field: $ty, )* }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::params::Params for $name {
            fn describe() -> Vec<$crate::params::ParamInfo> {
                #[allow(unused_imports)]
                use $crate::params::*;
                let default = Self::default();
                let _ = &default;
                vec![ $( ParamInfo {
                    name: stringify!($field),
                    accepts: accepts::<$ty>(&$rule),
                    default: as_toml(&default.$field),
                    meaning: [$($doc),+].map(str::trim).join(" "),
                }, )* ]
            }

            #[allow(unused_variables)]
            fn take(table: &mut $crate::toml::Table, section: &str, problems: &mut Vec<$crate::Problem>) -> Self {
                #[allow(unused_imports)]
                use $crate::params::*;
                let default = Self::default();
                Self { $( $field: take_value::<$ty>(table, section, stringify!($field), &$rule, problems)
                    .unwrap_or_else(|| default.$field.clone()), )* }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::params! {
        /// A sample.
        pub struct Sample {
            /// Candidates per generation.
            batch: usize = 256, range(1, 1000);
            /// Width of the noise.
            sigma: f64 = 0.1, positive();
            /// The kind
            /// of thing.
            kind: String = "adam".into(), one_of(&["adam", "sgd"]);
            /// Layers.
            hidden: Vec<usize> = vec![8, 8], each(range(1, 100));
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let table: toml::Table = "batch = -5\nsigma = nan\nkind = \"adamm\"\nhiden = [3]\nhidden=[0]"
            .parse()
            .unwrap();
        let Err(Error::Config(problems)) = read::<Sample>(&table, "strategy", &["name"]) else {
            panic!()
        };
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 5, "{text:?}");
        assert!(text[0].contains("strategy.batch") && text[0].contains("from 1 to 1000") && text[0].contains("-5"));
        assert!(text.iter().any(|t| t.contains("did you mean \"hidden\"")));
    }

    #[test]
    fn an_integer_is_a_fine_number_and_defaults_fill_the_rest() {
        let table: toml::Table = "sigma = 1\nname = \"x\"".parse().unwrap();
        let p: Sample = read(&table, "strategy", &["name"]).unwrap();
        assert_eq!(
            p,
            Sample {
                sigma: 1.0,
                ..Sample::default()
            }
        );
        assert_eq!(Sample::describe()[2].meaning, "The kind of thing.");
    }

    crate::params! {
        /// What others may share.
        pub struct Shared {
            /// How fast.
            rate: f64 = 0.5, positive();
        }
    }

    #[test]
    fn two_structs_read_one_table_and_know_each_others_keys() {
        let table: toml::Table = "sigma = 2\nrate = 3".parse().unwrap();
        let (sample, shared): (Sample, Shared) = read(&table, "task", &[]).unwrap();
        assert_eq!((sample.sigma, sample.batch, shared.rate), (2.0, 256, 3.0));
        assert_eq!(
            <(Shared, Sample)>::names(),
            ["rate", "batch", "sigma", "kind", "hidden"]
        );
        let table: toml::Table = "rates = 1\nsigma = 0\nrate = 0".parse().unwrap();
        let Err(Error::Config(problems)) = read::<(Sample, Shared)>(&table, "task", &[]) else {
            panic!()
        };
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(
            problems[2].to_string().contains("did you mean \"rate\""),
            "{problems:?}"
        );
    }
}
