//! The configuration: one TOML file, `--set` overrides, every problem reported at once with its line.

mod lines;

use illume_core::params::{ParamInfo, Params};
use illume_core::{Error, Problem, Result, params};
use toml::{Table, Value};

use super::start::StartParams;

params! {
    /// The top level of a configuration.
    pub struct General {
        /// Run seed: the same seed gives the same archive for any number of ranks and threads.
        seed: u64 = 1, range(0, i64::MAX as u64);
    }
}

params! {
    /// `[budget]`: the first limit reached ends the run.
    pub struct Budget {
        /// Evaluations (episodes), 0 for no limit. Without any limit at all a run ends after 1,000,000.
        evaluations: u64 = 0, range(0, i64::MAX as u64);
        /// Frames of the simulator, 0 for no limit: environment steps times the frames that the task plays in a step. Tests do not count.
        frames: u64 = 0, range(0, i64::MAX as u64);
        /// Generations, 0 for no limit.
        generations: u64 = 0, range(0, (1 << 32) - 1);
        /// Minutes of wall-clock time, resumed runs counted together, 0 for no limit.
        wall_minutes: f64 = 0.0, at_least(0.0);
    }
}

/// Evaluations of a run whose configuration names no limit.
const DEFAULT_EVALUATIONS: u64 = 1_000_000;

params! {
    /// `[output]`.
    pub struct Output {
        /// Run directory; empty for `runs/` and the configuration file's name.
        dir: String = String::new(), any();
        /// Minutes between checkpoints, 0 for none by time.
        checkpoint_minutes: f64 = 10.0, at_least(0.0);
        /// Generations between checkpoints, 0 for none by generations.
        checkpoint_generations: u64 = 0, range(0, (1 << 32) - 1);
        /// Deflate level of the files' datasets, 0 for none.
        compress: u32 = 0, range(0, 9);
        /// Rows that the history may have: when it is full, every second one is dropped.
        history_rows: usize = 10_000, range(2, 100_000_000);
        /// Seconds between lines of the log.
        log_seconds: f64 = 10.0, at_least(0.0);
        /// Fresh episodes of each elite at the run's end, 0 for none: expected and corrected scores, as `illume eval` finds them.
        evaluate: usize = 0, range(0, 1_000_000);
        /// Generations between those whose elites are evaluated anew for the history's columns `qd_score_corrected`, `coverage_corrected` and `max_fitness_corrected`, 0 for none. Neither counts as an evaluation nor changes the archive.
        corrected_every: u64 = 0, range(0, (1 << 32) - 1);
        /// Evaluations of each of these elites, whose means count; one, where the task knows its means or is deterministic.
        corrected_samples: u32 = 32, range(1, 1 << 16);
        /// Whether the history and the final map are written for TensorBoard as well (`tensorboard --logdir` the run directory).
        tensorboard: bool = false, any();
    }
}

/// A configuration, checked as far as it can be without building its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub seed: u64,
    pub task: Table,
    pub policy: Table,
    pub strategy: Table,
    pub archive: Table,
    pub start: StartParams,
    pub budget: Budget,
    pub output: Output,
    source: Source,
}

/// Where the text came from, to give problems their line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    file: String,
    text: String,
    /// Keys given by `--set`, as written.
    set: Vec<String>,
}

const SECTIONS: [&str; 7] = ["task", "policy", "strategy", "archive", "start", "budget", "output"];

impl Config {
    /// Reads a file and applies `--set key=value` overrides.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Config::parse`].
    pub fn read(path: &std::path::Path, set: &[String]) -> Result<Config> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::input(format!("cannot read the configuration {}: {e}", path.display())))?;
        let mut config = Config::parse(&text, &path.display().to_string(), set)?;
        if config.output.dir.is_empty() {
            let stem = path
                .file_stem()
                .map_or_else(|| "run".into(), |s| s.to_string_lossy().into_owned());
            config.output.dir = format!("runs/{stem}");
        }
        Ok(config)
    }

    /// The same configuration with its run directory elsewhere, if one is given.
    pub fn at(mut self, dir: Option<&std::path::Path>) -> Config {
        if let Some(dir) = dir {
            self.output.dir = dir.display().to_string();
        }
        self
    }

    /// The same configuration, of which nobody has the text: its problems have no line.
    pub(crate) fn without_lines(mut self) -> Config {
        self.source.text.clear();
        self
    }

    /// The file that it was read from, as messages call it.
    pub fn file(&self) -> &str {
        &self.source.file
    }

    /// Parses a configuration; `file` is what messages call it.
    ///
    /// # Errors
    /// Every problem of the general keys, the budget and the output; unknown sections; missing names.
    pub fn parse(text: &str, file: &str, set: &[String]) -> Result<Config> {
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| syntax(file, text, &e))?;
        let mut source = Source::new(file, text);
        for assignment in set {
            source.set.push(override_key(&mut table, assignment)?);
        }
        Config::checked(table, source)
    }

    /// The same of a table that was made by a program; `whence` is what messages call it.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn of_table(table: Table, whence: &str) -> Result<Config> {
        Config::checked(table, Source::new(whence, ""))
    }

    fn checked(mut table: Table, source: Source) -> Result<Config> {
        let mut problems = Vec::new();
        let general = General::take(&mut table, "", &mut problems);
        let [task, policy, strategy, archive, start, budget, output] = SECTIONS.map(|name| match table.remove(name) {
            None => Table::new(),
            Some(Value::Table(t)) => t,
            Some(other) => {
                let message = format!("expected a table [{name}], got {other}");
                problems.push(Problem {
                    section: String::new(),
                    key: name.into(),
                    message,
                });
                Table::new()
            }
        });
        for key in table.keys() {
            let known = [&SECTIONS[..], &["seed"]].concat();
            problems.push(params::unknown_key("", key, &known));
        }
        let start: StartParams = collect(params::read(&start, "start", &[]), &mut problems);
        if let Some((key, message)) = start.fault() {
            problems.push(Problem {
                section: "start".into(),
                key: key.into(),
                message: message.into(),
            });
        }
        let mut budget: Budget = collect(params::read(&budget, "budget", &[]), &mut problems);
        let output = collect(params::read(&output, "output", &[]), &mut problems);
        for (section, table) in [("task", &task), ("strategy", &strategy)] {
            let is_table = !problems.iter().any(|p| p.section.is_empty() && p.key == section);
            if is_table && !table.get("name").is_some_and(Value::is_str) {
                let message = format!("expected the name of a {section}, a string; `illume list {section}` shows them");
                problems.push(Problem {
                    section: section.into(),
                    key: "name".into(),
                    message,
                });
            }
        }
        if budget == Budget::default() {
            budget.evaluations = DEFAULT_EVALUATIONS;
        }
        let config = Config {
            seed: general.seed,
            task,
            policy,
            strategy,
            archive,
            start,
            budget,
            output,
            source,
        };
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(config.locate(Error::Config(problems)))
        }
    }

    /// The configuration that a file of a run holds, overridden: complete when it was written, so that a key which came later has the value that says
    /// what was done without it.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn stored(text: &str, file: &str, set: &[String]) -> Result<Config> {
        let mut config = Config::parse(text, file, set)?;
        let language_model = config.name("task").starts_with("lm/");
        let grpo = config.name("strategy") == "grpo";
        let learns = ["pga_me", "dcg_me", "dcrl_me"].contains(&config.name("strategy"));
        let dcg_unlabelled = config.name("strategy") == "dcg_me" && !config.strategy.contains_key("labels");
        let mut earlier = |table: fn(&mut Config) -> &mut Table, key: &str, value: Value| {
            table(&mut config).entry(key).or_insert(value);
        };
        if language_model {
            earlier(|c| &mut c.task, "scale", "absolute".into());
        }
        if grpo {
            earlier(|c| &mut c.strategy, "loss", "grpo".into());
            earlier(|c| &mut c.strategy, "scale_rewards", "group".into());
            earlier(|c| &mut c.strategy, "max_grad_norm", 0.0.into());
        }
        if learns {
            earlier(|c| &mut c.strategy, "target_delay", 2.into());
        }
        if dcg_unlabelled {
            earlier(|c| &mut c.strategy, "labels", "parent".into());
            // It was on the scale [-1, 1], which is twice as long as the range of which it is a share.
            if let Some(Value::Float(noise)) = config.strategy.get_mut("descriptor_noise") {
                *noise /= 2.0;
            }
        }
        Ok(config)
    }

    /// Gives the problems of an error their file and line.
    pub fn locate(&self, error: Error) -> Error {
        match error {
            Error::Config(problems) => self.source.locate(&problems),
            other => other,
        }
    }

    /// The value of a section's string key.
    pub fn name(&self, section: &str) -> &str {
        let table = if section == "task" { &self.task } else { &self.strategy };
        table.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The whole configuration as TOML, every parameter with its value. `parts` are the parameters of the named sections.
    ///
    /// # Errors
    /// A default that is no TOML (a defect).
    pub fn resolved(&self, parts: &[(String, Vec<ParamInfo>)]) -> Result<String> {
        let failed = |e: &dyn std::fmt::Display| Error::failed(format!("the configuration cannot be written: {e}"));
        let mut all = Table::new();
        all.insert("seed".into(), Value::Integer(self.seed as i64));
        let given = [
            ("task", &self.task),
            ("policy", &self.policy),
            ("strategy", &self.strategy),
            ("archive", &self.archive),
        ];
        for (section, table) in given {
            let mut full = table.clone();
            for (name, infos) in parts {
                let within = within(&mut full, name.strip_prefix(section));
                within
                    .map_or(Ok(()), |table| complete(table, infos))
                    .map_err(|e| failed(&e))?;
            }
            if !full.is_empty() {
                all.insert(section.into(), Value::Table(full));
            }
        }
        if self.start.source().is_some() {
            all.insert("start".into(), Value::try_from(&self.start).map_err(|e| failed(&e))?);
        }
        all.insert("budget".into(), Value::try_from(&self.budget).map_err(|e| failed(&e))?);
        all.insert("output".into(), Value::try_from(&self.output).map_err(|e| failed(&e))?);
        toml::to_string(&all).map_err(|e| failed(&e))
    }
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Source {
        Source {
            file: file.into(),
            text: text.into(),
            set: Vec::new(),
        }
    }

    /// An error that gives each problem its file and line.
    pub(crate) fn locate(&self, problems: &[Problem]) -> Error {
        let lines: Vec<String> = problems.iter().map(|p| self.describe(p)).collect();
        Error::Input(lines.join("\n"))
    }

    /// One line: `file:line: section.key: message`; the line of the section where it has no such key.
    fn describe(&self, problem: &Problem) -> String {
        let section = &problem.section;
        let whole = if section.is_empty() {
            problem.key.clone()
        } else {
            format!("{section}.{}", problem.key)
        };
        let line = lines::line(&self.text, &whole);
        let within = |key: &String| key.strip_prefix(&whole).is_some_and(|rest| rest.starts_with('.'));
        // A section that is wrong as such comes from an override if the file has none of that name.
        if self.set.contains(&whole) || line.is_none() && self.set.iter().any(within) {
            return format!("--set {problem}");
        }
        match line.or_else(|| lines::line(&self.text, section)) {
            Some(line) => format!("{}:{line}: {problem}", self.file),
            None => format!("{}: {problem}", self.file),
        }
    }
}

/// The table of which a section's name says, behind that of `table`, where it is: nothing for itself, `.emitters[1]` for the second table of a list.
fn within<'t>(table: &'t mut Table, rest: Option<&str>) -> Option<&'t mut Table> {
    match rest? {
        "" => Some(table),
        rest => {
            let (key, index) = rest.strip_prefix('.')?.strip_suffix(']')?.split_once('[')?;
            let list = table.get_mut(key)?.as_array_mut()?;
            list.get_mut(index.parse::<usize>().ok()?)?.as_table_mut()
        }
    }
}

/// Fills in the defaults of the parameters that a table leaves out.
fn complete(table: &mut Table, infos: &[ParamInfo]) -> std::result::Result<(), toml::de::Error> {
    for info in infos {
        if !table.contains_key(info.name) {
            let parsed: Table = format!("v = {}", info.default).parse()?;
            table.extend(parsed.into_iter().map(|(_, v)| (info.name.to_string(), v)));
        }
    }
    Ok(())
}

/// The value, or its default with the problems kept.
fn collect<T: Default>(read: Result<T>, problems: &mut Vec<Problem>) -> T {
    match read {
        Ok(value) => value,
        Err(Error::Config(found)) => {
            problems.extend(found);
            T::default()
        }
        Err(_) => T::default(),
    }
}

pub(crate) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> Error {
    let line = error
        .span()
        .map(|s| 1 + text[..s.start.min(text.len())].matches('\n').count());
    let message = error.message().replace('\n', ", ");
    Error::input(match line {
        Some(line) => format!("{file}:{line}: not valid TOML: {message}"),
        None => format!("{file}: not valid TOML: {message}"),
    })
}

/// A TOML value; a bare word is a string: `--set task.name=arm`.
pub(crate) fn value(text: &str) -> std::result::Result<Value, String> {
    match format!("v = {text}").parse::<Table>() {
        Ok(mut t) => Ok(t.remove("v").unwrap_or_else(|| Value::String(text.into()))),
        Err(_) if text.chars().all(|c| c.is_alphanumeric() || "_-./+".contains(c)) => Ok(Value::String(text.into())),
        Err(e) => Err(e.message().into()),
    }
}

/// Applies `section.key=value`, or `section.table.key=value` of a table within; returns the key.
fn override_key(table: &mut Table, assignment: &str) -> Result<String> {
    let Some((key, value)) = assignment.split_once('=') else {
        return Err(Error::input(format!(
            "--set {assignment}: expected key=value, such as --set task.episode_length=100"
        )));
    };
    let (key, value) = (key.trim(), value.trim());
    let parsed = self::value(value).map_err(|e| Error::input(format!("--set {key}: {value} is no TOML value: {e}")))?;
    let parts: Vec<&str> = key.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Error::input(format!("--set {key}: expected seed or section.key")));
    }
    let (name, sections) = parts.split_last().expect("a split text has a part");
    let mut inner = table;
    for section in sections {
        let entry = inner.entry(*section).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = entry else {
            return Err(Error::input(format!("--set {key}: {section} is not a table")));
        };
        inner = next;
    }
    inner.insert((*name).into(), parsed);
    Ok(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "seed = 3\n[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\n[budget]\nevaluations = 10\n";

    fn error(text: &str, set: &[&str]) -> String {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        Config::parse(text, "a.toml", &set).unwrap_err().to_string()
    }

    #[test]
    fn overrides_replace_values_and_bare_words_are_strings() {
        let set = [
            "task.name=sphere".to_string(),
            "budget.evaluations=7".into(),
            "seed=9".into(),
        ];
        let c = Config::parse(GOOD, "a.toml", &set).unwrap();
        assert_eq!((c.name("task"), c.budget.evaluations, c.seed), ("sphere", 7, 9));
    }

    #[test]
    fn without_a_limit_the_budget_is_a_million_evaluations() {
        let c = Config::parse(&GOOD.replace("evaluations = 10", ""), "a.toml", &[]).unwrap();
        assert_eq!(c.budget.evaluations, 1_000_000);
    }

    #[test]
    fn every_problem_is_reported_with_its_line() {
        let text = "seed = -1\n[task]\nname = \"arm\"\n[strategie]\nname = \"x\"\n[budget]\ngenerations = \"many\"\n";
        let e = error(text, &[]);
        let lines: Vec<&str> = e.lines().collect();
        assert!(
            lines
                .iter()
                .any(|l| l.starts_with("a.toml:1: seed: expected a non-negative integer")),
            "{e}"
        );
        assert!(
            lines
                .iter()
                .any(|l| l.starts_with("a.toml:4: strategie: unknown key; did you mean \"strategy\"?")),
            "{e}"
        );
        assert!(
            lines
                .iter()
                .any(|l| l.starts_with("a.toml:7: budget.generations: expected")),
            "{e}"
        );
        assert!(
            lines
                .iter()
                .any(|l| l.contains("strategy.name: expected the name of a strategy")),
            "{e}"
        );
    }

    #[test]
    fn bad_syntax_and_bad_overrides_name_the_place() {
        assert!(error("seed = 1\n[task\n", &[]).starts_with("a.toml:2: not valid TOML"));
        assert!(error(GOOD, &["seed"]).contains("expected key=value"));
        assert!(error(GOOD, &["a..c=1"]).contains("expected seed or section.key"));
        assert!(error(GOOD, &["task.name.c=1"]).contains("name is not a table"));
        assert!(error(GOOD, &["budget.generations=-4"]).starts_with("--set budget.generations: expected"));
        let unknown = error(GOOD, &["nosuch.key=1"]);
        assert!(unknown.starts_with("--set nosuch: unknown key"), "{unknown}");
        let unknown = error(&format!("{GOOD}[nosuch]\nx = 1"), &["nosuch.key=1"]);
        assert!(unknown.starts_with("a.toml:8: nosuch: unknown key"), "{unknown}");
    }

    #[test]
    fn the_resolved_configuration_reads_back_as_itself() {
        let c = Config::parse(GOOD, "a.toml", &[]).unwrap();
        let text = c
            .resolved(&[("strategy".into(), illume_strategies::IsoLineParams::describe())])
            .unwrap();
        let again = Config::parse(&text, "b.toml", &[]).unwrap();
        assert_eq!(again.resolved(&[]).unwrap(), text);
        assert!(text.contains("iso_sigma = 0.005"), "{text}");
    }

    #[test]
    fn a_stored_configuration_means_what_it_meant_before_later_keys_came() {
        let text = |task: &str, strategy: &str| {
            format!("[task]\nname = \"lm/arithmetic\"\n{task}[strategy]\nname = \"grpo\"\n{strategy}")
        };
        let old = Config::stored(&text("", ""), "old.h5", &[]).unwrap();
        assert_eq!(old.task["scale"].as_str(), Some("absolute"));
        assert_eq!(old.strategy["loss"].as_str(), Some("grpo"));
        assert_eq!(old.strategy["max_grad_norm"].as_float(), Some(0.0));
        let new = text("scale = \"relative\"\n", "loss = \"dapo\"\nmax_grad_norm = 1.0\n");
        let new = Config::stored(&new, "new.h5", &[]).unwrap();
        assert_eq!(new.task["scale"].as_str(), Some("relative"));
        assert_eq!(new.strategy["loss"].as_str(), Some("dapo"));
        let dcg = "[task]\nname = \"hard_maze\"\n[strategy]\nname = \"dcg_me\"\nlength_scale = 0.008\ndescriptor_noise = 0.0004\n";
        let old = Config::stored(dcg, "old.h5", &[]).unwrap().strategy;
        assert_eq!(old["target_delay"].as_integer(), Some(2));
        assert_eq!(old["labels"].as_str(), Some("parent"));
        assert_eq!(old["descriptor_noise"].as_float(), Some(0.0002));
        let new = Config::stored(
            &format!("{dcg}labels = \"achieved\"\ntarget_delay = 1\n"),
            "new.h5",
            &[],
        )
        .unwrap();
        assert_eq!(new.strategy["target_delay"].as_integer(), Some(1));
        assert_eq!(new.strategy["descriptor_noise"].as_float(), Some(0.0004));
        let other = Config::stored(GOOD, "a.h5", &[]).unwrap();
        assert_eq!(
            other.task,
            Config::parse(GOOD, "a.h5", &[]).unwrap().task,
            "no key where none belongs"
        );
    }
}
