//! One swept parameter: listed values, or a distribution that values are drawn from; read from TOML or in Hydra's grammar.

use illume_core::{Error, Purpose, Result, Stream};
use rand_distr::{Distribution as _, Normal, Uniform};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::spec::refused_key;

/// A key of the configuration and the values that it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub key: String,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Listed(Vec<Value>),
    Drawn(Distribution),
}

/// Distributions, in the words of W&B and Optuna.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Distribution {
    Uniform([f64; 2]),
    LogUniform([f64; 2]),
    IntUniform([i64; 2]),
    IntLogUniform([i64; 2]),
    Normal { mean: f64, sd: f64 },
    LogNormal { mean: f64, sd: f64 },
}

const NAMES: [&str; 6] = [
    "uniform",
    "log_uniform",
    "int_uniform",
    "int_log_uniform",
    "normal",
    "log_normal",
];

/// Values that one axis may list.
const MOST: usize = 1_000_000;

impl Axis {
    /// A list, `{ values = [...] }`, `{ min = a, max = b, distribution = "log_uniform" }`, or one value.
    ///
    /// # Errors
    /// What would be accepted.
    pub fn from_toml(key: &str, value: &Value) -> std::result::Result<Axis, String> {
        let values = match value {
            Value::Array(list) => listed(list)?,
            Value::Table(table) => match table.get("values") {
                Some(Value::Array(list)) if table.len() == 1 => listed(list)?,
                Some(_) => return Err("expected { values = [...] } and nothing beside it".into()),
                None => Values::Drawn(distribution(table)?),
            },
            one => Values::Listed(vec![one.clone()]),
        };
        Ok(Axis {
            key: key.into(),
            values,
        })
    }

    /// `key=value`, `key=a,b,c`, `key=range(start,stop[,step])` without its stop, `key=choice(a,b)`: Hydra's grammar.
    ///
    /// # Errors
    /// One sentence that names the override.
    pub fn from_override(text: &str) -> Result<Axis> {
        let wrong = |what: &str| Error::input(format!("{text}: {what}"));
        let Some((key, value)) = text.split_once('=') else {
            return Err(wrong(
                "expected key=value,value,... or key=range(start,stop,step), such as strategy.iso_sigma=0.01,0.1",
            ));
        };
        let (key, value) = (key.trim(), value.trim());
        if let Some(message) = refused_key(key) {
            return Err(wrong(message));
        }
        let call = |name: &str| value.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')');
        let values = if let Some(arguments) = call("range") {
            range(arguments).map_err(|e| wrong(&e))?
        } else {
            let items = call("choice").unwrap_or(value);
            split(items)
                .into_iter()
                .map(item)
                .collect::<std::result::Result<Vec<_>, _>>()
                .map_err(|e| wrong(&e))?
        };
        let values = listed(&values).map_err(|e| wrong(&e))?;
        Ok(Axis {
            key: key.into(),
            values,
        })
    }

    /// Whether its values are drawn.
    pub fn drawn(&self) -> bool {
        matches!(self.values, Values::Drawn(_))
    }

    /// The listed values; none where they are drawn.
    pub fn listed(&self) -> &[Value] {
        match &self.values {
            Values::Listed(values) => values,
            Values::Drawn(_) => &[],
        }
    }

    /// Value number `index` of a random sweep: the same on every machine, whatever other axes there are and however many are drawn. Numbers have
    /// six significant digits.
    pub fn draw(&self, seed: u64, index: u64) -> Value {
        let hash = Sha256::digest(self.key.as_bytes());
        let place = hash[..5].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let stream = Stream::new(seed, Purpose::Sweep, place, index);
        let drawn_from = match &self.values {
            Values::Listed(values) => return values[stream.below(0, values.len() as u64) as usize].clone(),
            Values::Drawn(distribution) => *distribution,
        };
        let mut generator = stream.generator();
        let mut uniform =
            |[low, high]: [f64; 2]| Uniform::new_inclusive(low, high).map_or(low, |u| u.sample(&mut generator));
        match drawn_from {
            Distribution::Uniform(ends) => Value::Float(six_digits(uniform(ends)).clamp(ends[0], ends[1])),
            Distribution::LogUniform(ends) => {
                Value::Float(six_digits(uniform(ends.map(f64::ln)).exp()).clamp(ends[0], ends[1]))
            }
            Distribution::IntUniform([low, high]) => {
                Value::Integer(low + stream.below(0, high.abs_diff(low) + 1) as i64)
            }
            Distribution::IntLogUniform([low, high]) => {
                // Equal shares of the logarithm for [n, n + 1).
                let drawn = uniform([low as f64, high as f64 + 1.0].map(f64::ln)).exp();
                Value::Integer((drawn as i64).clamp(low, high))
            }
            Distribution::Normal { mean, sd } => Value::Float(six_digits(normal(mean, sd, stream))),
            Distribution::LogNormal { mean, sd } => Value::Float(six_digits(normal(mean, sd, stream).exp())),
        }
    }
}

fn normal(mean: f64, sd: f64, stream: Stream) -> f64 {
    Normal::new(mean, sd).map_or(mean, |n| n.sample(&mut stream.generator()))
}

/// To be read and typed, and so that a mathematical library's last bit makes no other configuration.
fn six_digits(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

fn listed(values: &[Value]) -> std::result::Result<Values, String> {
    if values.is_empty() || values.len() > MOST {
        return Err(format!("expected from 1 to {MOST} values, got {}", values.len()));
    }
    for (i, value) in values.iter().enumerate() {
        if values[..i].contains(value) {
            return Err(format!("expected values that are all different, got {value} twice"));
        }
    }
    Ok(Values::Listed(values.to_vec()))
}

fn distribution(table: &Table) -> std::result::Result<Distribution, String> {
    const ACCEPTED: &str = "expected { min, max } with a distribution of \"uniform\", \"log_uniform\", \"int_uniform\" or \"int_log_uniform\", or { mean, sd } with \
                            \"normal\" or \"log_normal\", or { values = [...] }";
    let wrong = |what: String| format!("{what}; {ACCEPTED}");
    let number = |key: &str| match table.get(key) {
        Some(Value::Float(x)) if x.is_finite() => Ok(*x),
        Some(Value::Integer(n)) => Ok(*n as f64),
        Some(other) => Err(wrong(format!("{key} is {other}"))),
        None => Err(wrong(format!("there is no {key}"))),
    };
    let integers = ["min", "max"]
        .iter()
        .all(|key| table.get(*key).is_some_and(Value::is_integer));
    let name = match table.get("distribution") {
        Some(Value::String(name)) => name.as_str(),
        None if integers => "int_uniform",
        None if table.contains_key("mean") => "normal",
        None => "uniform",
        Some(other) => return Err(wrong(format!("the distribution is {other}"))),
    };
    if !NAMES.contains(&name) {
        return Err(wrong(format!("there is no distribution \"{name}\"")));
    }
    let keys: [&str; 2] = if name.ends_with("normal") {
        ["mean", "sd"]
    } else {
        ["min", "max"]
    };
    if let Some(other) = table
        .keys()
        .find(|key| *key != "distribution" && !keys.contains(&key.as_str()))
    {
        return Err(wrong(format!("\"{name}\" has no {other}")));
    }
    let [a, b] = [number(keys[0])?, number(keys[1])?];
    if name.ends_with("normal") {
        if b <= 0.0 {
            return Err(wrong(format!("sd is {b}, which is not above 0")));
        }
        return Ok(if name == "normal" {
            Distribution::Normal { mean: a, sd: b }
        } else {
            Distribution::LogNormal { mean: a, sd: b }
        });
    }
    if a >= b {
        return Err(wrong(format!("min is {a} and max {b}, which is not above it")));
    }
    if name.contains("log") && a <= 0.0 {
        return Err(wrong(format!("min is {a}, and a logarithm needs it above 0")));
    }
    if name.starts_with("int") {
        if !integers {
            return Err(wrong(format!("\"{name}\" needs whole numbers")));
        }
        let ends = [
            table["min"].as_integer().unwrap_or(0),
            table["max"].as_integer().unwrap_or(0),
        ];
        return Ok(if name == "int_uniform" {
            Distribution::IntUniform(ends)
        } else {
            Distribution::IntLogUniform(ends)
        });
    }
    Ok(if name == "uniform" {
        Distribution::Uniform([a, b])
    } else {
        Distribution::LogUniform([a, b])
    })
}

/// `start,stop[,step]` or `stop`, without its stop.
fn range(arguments: &str) -> std::result::Result<Vec<Value>, String> {
    const ACCEPTED: &str =
        "expected range(start,stop,step) with a step towards the stop, which is itself left out, as Hydra has it";
    let items: std::result::Result<Vec<Value>, _> = split(arguments).into_iter().map(item).collect();
    let items = items.map_err(|_| ACCEPTED.to_string())?;
    let numbers: Option<Vec<f64>> = items
        .iter()
        .map(|v| v.as_float().or(v.as_integer().map(|n| n as f64)))
        .collect();
    let numbers = numbers.ok_or(ACCEPTED)?;
    let [start, stop, step] = match numbers[..] {
        [stop] => [0.0, stop, 1.0],
        [start, stop] => [start, stop, 1.0],
        [start, stop, step] => [start, stop, step],
        _ => return Err(ACCEPTED.into()),
    };
    let count = ((stop - start) / step - 1e-9).ceil();
    if !(count >= 1.0 && count <= MOST as f64) {
        return Err(ACCEPTED.into());
    }
    let whole = items.iter().all(Value::is_integer);
    Ok((0..count as u64)
        .map(|i| {
            let x = start + i as f64 * step;
            if whole {
                Value::Integer(x as i64)
            } else {
                Value::Float(six_digits(x))
            }
        })
        .collect())
}

/// At commas outside of brackets and quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut quote, mut begin) = (Vec::new(), 0usize, None, 0);
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[begin..i]);
                begin = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// A TOML value; a bare word is a string.
fn item(text: &str) -> std::result::Result<Value, String> {
    if text.trim().is_empty() {
        return Err("a value is missing between commas".into());
    }
    crate::engine::config::value(text.trim()).map_err(|e| format!("\"{}\" is no TOML value: {e}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        let axis = Axis::from_override(text).unwrap();
        axis.listed().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn overrides_are_read_in_the_grammar_of_hydra() {
        assert_eq!(values("strategy.iso_sigma=0.01,0.1"), ["0.01", "0.1"]);
        assert_eq!(values("task.name=arm, sphere"), ["\"arm\"", "\"sphere\""]);
        assert_eq!(values("task.episode_length=range(100,400,100)"), ["100", "200", "300"]);
        assert_eq!(values("strategy.x=range(0,1,0.25)"), ["0.0", "0.25", "0.5", "0.75"]);
        assert_eq!(values("strategy.x=range(3)"), ["0", "1", "2"]);
        assert_eq!(values("strategy.x=range(3,0,-1)"), ["3", "2", "1"]);
        assert_eq!(values("policy.hidden=[8,8],[64]"), ["[8, 8]", "[64]"]);
        assert_eq!(values("strategy.x=choice(true,false)"), ["true", "false"]);
        assert_eq!(values("strategy.x=5"), ["5"]);
        assert_eq!(values("task.arguments.mass=1,2.5"), ["1", "2.5"]);
        for wrong in [
            "strategy.x",
            "seed=1,2",
            "output.dir=a,b",
            "strategy=1",
            "strategy.x=1,1",
            "strategy.x=",
            "strategy.x=1,,2",
            "strategy.x=range(4,1)",
            "strategy.x=range(0,1,0)",
            "strategy.x=range(a,b)",
            "strategy.x=range(0,1e12)",
            "a..c=1",
        ] {
            let error = Axis::from_override(wrong).unwrap_err().to_string();
            assert!(error.starts_with(wrong) && !error.contains('\n'), "{error}");
        }
    }

    fn toml(text: &str) -> std::result::Result<Axis, String> {
        let table: Table = format!("v = {text}").parse().unwrap();
        Axis::from_toml("strategy.x", &table["v"])
    }

    #[test]
    fn draws_lie_where_their_distribution_has_them() {
        let draws = |text: &str| -> Vec<f64> {
            let axis = toml(text).unwrap();
            let number = |v: Value| v.as_float().or(v.as_integer().map(|n| n as f64)).unwrap();
            (0..4000).map(|i| number(axis.draw(1, i))).collect()
        };
        let quantile = |values: &[f64], q: f64| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted[(q * (sorted.len() - 1) as f64) as usize]
        };
        let near =
            |x: f64, y: f64, what: &str| assert!((x - y).abs() < 0.06 * y.abs().max(1e-9), "{what}: {x}, not {y}");
        let u = draws("{ min = 1.0, max = 3.0 }");
        near(quantile(&u, 0.25), 1.5, "uniform");
        let l = draws("{ min = 0.01, max = 1.0, distribution = \"log_uniform\" }");
        near(quantile(&l, 0.5).ln(), 0.1f64.ln(), "log_uniform");
        assert!(l.iter().all(|x| (0.01..=1.0).contains(x)));
        let i = draws("{ min = 1, max = 4 }");
        for n in 1..=4 {
            near(
                i.iter().filter(|x| **x == f64::from(n)).count() as f64,
                1000.0,
                "int_uniform",
            );
        }
        let il = draws("{ min = 1, max = 7, distribution = \"int_log_uniform\" }");
        near(
            il.iter().filter(|x| **x == 1.0).count() as f64,
            4000.0 * 2f64.ln() / 8f64.ln(),
            "int_log_uniform",
        );
        let n = draws("{ mean = 5.0, sd = 2.0, distribution = \"normal\" }");
        near(quantile(&n, 0.8413), 7.0, "normal");
        let ln = draws("{ mean = 0.0, sd = 1.0, distribution = \"log_normal\" }");
        near(quantile(&ln, 0.8413), std::f64::consts::E, "log_normal");
        let v = draws("{ values = [2, 4] }");
        near(v.iter().filter(|x| **x == 2.0).count() as f64, 2000.0, "values");
    }

    #[test]
    fn draws_are_those_that_were_recorded() {
        let axis = toml("{ min = 0.01, max = 0.5, distribution = \"log_uniform\" }").unwrap();
        let drawn: Vec<String> = (0..3).map(|i| axis.draw(1, i).to_string()).collect();
        assert_eq!(drawn, ["0.0287446", "0.172741", "0.44922"]);
    }

    #[test]
    fn what_is_no_axis_is_refused_in_one_sentence() {
        for wrong in [
            "[]",
            "[1, 1]",
            "{}",
            "{ values = 3 }",
            "{ values = [1], min = 2 }",
            "{ min = 1.0 }",
            "{ min = 2.0, max = 1.0 }",
            "{ min = 0.0, max = 1.0, distribution = \"log_uniform\" }",
            "{ min = 0.5, max = 1.5, distribution = \"int_uniform\" }",
            "{ min = nan, max = 1.0 }",
            "{ min = 1, max = 2, distribution = \"gauss\" }",
            "{ min = 1, max = 2, distribution = \"normal\" }",
            "{ mean = 1.0, sd = 0.0, distribution = \"normal\" }",
            "{ min = 1, max = 2, distribution = 3 }",
        ] {
            let error = toml(wrong).unwrap_err();
            assert!(error.contains("expected") && !error.contains('\n'), "{wrong}: {error}");
        }
    }
}
