//! In what two configurations differ that should be one.

use illume_core::{Error, Result};
use toml::{Table, Value};

/// The sections that may change while a run goes on, since its results do not depend on them: when it ends, and what it writes when.
pub const FREE: [&str; 2] = ["budget", "output"];

/// The keys outside of the sections `free` that have other values in a resolved configuration than in another, `whose` it is, with both:
/// `task.joints is 12, the run's 20`. Where the name of a part differs, its parameters are not compared.
///
/// # Errors
/// One of the texts is no TOML.
pub fn keys(given: &str, own: &str, whose: &str, free: &[&str]) -> Result<Vec<String>> {
    let parse = |text: &str| text.parse::<Table>().map_err(|e| Error::failed(e.to_string()));
    let (given, own) = (parse(given)?, parse(own)?);
    let mut found = Vec::new();
    for section in union(&given, &own).filter(|section| !free.contains(section)) {
        match (given.get(section), own.get(section)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => {
                let names = ["name", "kind"].into_iter().find(|name| a.get(*name) != b.get(*name));
                let keys: Vec<&str> = names.map_or_else(|| union(a, b).collect(), |name| vec![name]);
                found.extend(
                    keys.iter()
                        .filter_map(|key| differing(&format!("{section}.{key}"), [a.get(*key), b.get(*key)], whose)),
                );
            }
            (a, b) => found.extend(differing(section, [a, b], whose)),
        }
    }
    Ok(found)
}

/// The keys of both tables, each once, in order.
fn union<'a>(a: &'a Table, b: &'a Table) -> impl Iterator<Item = &'a str> {
    a.keys()
        .chain(b.keys().filter(|key| !a.contains_key(*key)))
        .map(String::as_str)
}

fn differing(key: &str, [given, own]: [Option<&Value>; 2], whose: &str) -> Option<String> {
    let shown = |value: Option<&Value>| match value {
        None => "not there".to_string(),
        Some(Value::Table(_)) => "there".into(),
        Some(value) => value.to_string(),
    };
    (given != own).then(|| format!("{key} is {}, {whose} {}", shown(given), shown(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_run(given: &str, own: &str) -> Result<Vec<String>> {
        keys(given, own, "the run's", &FREE)
    }

    #[test]
    fn what_differs_is_named_with_both_values_budget_and_output_aside() {
        let own = "seed = 1\n[task]\nname = \"arm\"\njoints = 20\n[strategy]\nname = \"a\"\nx = 1\n[budget]\ngenerations = 3\n";
        assert_eq!(of_run(own, own).unwrap(), [""; 0]);
        let other = own
            .replace("generations = 3", "generations = 4")
            .replace("[budget]", "[output]\ndir = \"x\"\n[budget]");
        assert_eq!(of_run(&other, own).unwrap(), [""; 0]);
        let other = own
            .replace("20", "12")
            .replace("seed = 1", "seed = 2")
            .replace("\"a\"\nx", "\"b\"\ny");
        let expected = [
            "seed is 2, the run's 1",
            "strategy.name is \"b\", the run's \"a\"",
            "task.joints is 12, the run's 20",
        ];
        assert_eq!(of_run(&other, own).unwrap(), expected);
        let other = own.replace("joints = 20\n", "");
        assert_eq!(of_run(&other, own).unwrap(), ["task.joints is not there, the run's 20"]);
        assert_eq!(
            of_run("[policy]\nx = 1", "").unwrap(),
            ["policy is there, the run's not there"]
        );
    }
}
