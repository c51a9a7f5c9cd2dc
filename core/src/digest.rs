//! Short numbers by which contents are compared.

use illume_numerics::noise::mix64;

/// Sums up bytes, part by part, in a number that differs for different contents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// That of one part.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut digest = Digest::default();
        digest.take(bytes);
        digest.value()
    }

    pub fn take(&mut self, bytes: &[u8]) {
        self.0 = mix64(self.0 ^ bytes.len() as u64);
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            self.0 = mix64(self.0 ^ u64::from_le_bytes(padded));
        }
    }

    pub fn take_numbers(&mut self, values: &[f32]) {
        let add = |sum: u64, value: &f32| mix64(sum ^ u64::from(value.to_bits()));
        self.0 = values.iter().fold(mix64(self.0 ^ values.len() as u64), add);
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

/// What a task read at its start: what it is, as the option that names it, and the [`Digest`] of what was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub digest: u64,
}

impl Source {
    pub fn new(name: impl Into<String>, digest: u64) -> Source {
        Source {
            name: name.into(),
            digest,
        }
    }

    /// As files of archives keep them: a line for each.
    pub fn lines(sources: &[Source]) -> String {
        let line = |s: &Source| format!("{} {:016x}", s.name, s.digest);
        sources.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Names of those that are not what they were, by the lines of then. What either time does not know is not compared.
    pub fn changed<'a>(sources: &'a [Source], lines: &str) -> Vec<&'a str> {
        let then = |name: &str| {
            let mut all = lines.lines().filter_map(|line| line.rsplit_once(' '));
            all.find(|(n, _)| *n == name).map(|(_, digest)| digest)
        };
        let other = |s: &&Source| then(&s.name).is_some_and(|digest| digest != format!("{:016x}", s.digest));
        sources.iter().filter(other).map(|s| s.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_and_so_does_every_byte() {
        let sum = |parts: &[&str]| {
            let mut digest = Digest::default();
            parts.iter().for_each(|part| digest.take(part.as_bytes()));
            digest.value()
        };
        let all = [
            sum(&["one", "two"]),
            sum(&["on", "etwo"]),
            sum(&["onetwo"]),
            sum(&["onetwo\0"]),
            sum(&["two", "one"]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| b != a), "{all:?}");
        }
    }

    #[test]
    fn what_changed_is_named_and_what_is_not_known_is_not() {
        let then = Source::lines(&[Source::new("task.model", 1), Source::new("the data", u64::MAX)]);
        let now = [
            Source::new("task.model", 2),
            Source::new("the data", u64::MAX),
            Source::new("task.adapter", 3),
        ];
        assert_eq!(Source::changed(&now, &then), ["task.model"]);
        assert!(Source::changed(&now, "").is_empty());
    }
}
