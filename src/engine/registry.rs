//! Names in a configuration become tasks, archives and strategies.

use std::sync::Arc;

use illume_cluster::memory;
use illume_core::params::{ParamInfo, suggest};
use illume_core::serde::Serialize;
use illume_core::{
    Answer, ArchiveConfig, ArchiveEntry, ArchiveMut, Axis, Credit, Error, Init, Memory, Objective, PolicyGradient,
    Problem, Result, Strategy, StrategyConfig, StrategyEntry, StrategySpec, Surrogate, SurrogateReport, Task,
    TaskConfig, TaskSpec, both,
};

use illume_strategies::emitters::Emitters;

use crate::Config;

/// The kind of archive that measures novelty.
const UNSTRUCTURED: &str = "unstructured";
/// The kind of archive that keeps the front of all elites.
const FRONT: &str = "front";

/// The kind of archive that tells elites apart by learned descriptors.
const CONTAINER: &str = "container";

/// The task that a configuration names.
///
/// # Errors
/// Unknown name, wrong parameters, missing model files; with file and line.
pub fn task(config: &Config) -> Result<Box<dyn Task>> {
    task_of_rank(config, 1)
}

/// The same for one of so many `ranks` that share this node's memory.
///
/// # Errors
/// As [`task`].
pub fn task_of_rank(config: &Config, ranks: usize) -> Result<Box<dyn Task>> {
    let parts = TaskConfig {
        task: &config.task,
        genes: None,
        policy: &config.policy,
        ranks,
    };
    illume_envs::build(&parts).map_err(|e| {
        let Error::Config(mut problems) = e else { return e };
        problems.extend(without_task(config));
        config.locate(Error::Config(problems))
    })
}

/// The task of a run that is to be looked at here, and whether its networks run on the CPU although the run's ran on a GPU: where there is
/// none, or where `cpu` says that an episode alone is not worth one.
///
/// # Errors
/// As [`task`].
pub fn task_here(config: &Config, cpu: bool) -> Result<(Box<dyn Task>, bool)> {
    let on_gpu = config.policy.get("device").and_then(toml::Value::as_str) == Some("cuda");
    let found = task(config);
    if !on_gpu || (found.is_ok() && !cpu) {
        return Ok((found?, false));
    }
    let mut here = config.clone();
    here.policy.insert("device".into(), "cpu".into());
    Ok((task(&here)?, true))
}

/// The columns of a strategy's history that say how far a run is, and what they are called ([`StrategyEntry::shown`]); empty for one that is in no registry.
pub(crate) fn shown(strategy: &str) -> &'static [(&'static str, &'static str)] {
    let entry = illume_strategies::registry()
        .iter()
        .find(|entry| entry.name == strategy);
    entry.map_or(&[], |entry| entry.shown)
}

/// What is wrong with the strategy whatever the task: of one objective, or of two.
fn without_task(config: &Config) -> Vec<Problem> {
    let objective = |name: &str| Objective::new(name, "", [f64::NAN; 2]);
    let of = |objectives| {
        let task = TaskSpec {
            objectives,
            ..placeholder()
        };
        match strategy(config, &task, &Memory::unlimited()) {
            Err(Error::Config(problems)) => problems,
            _ => Vec::new(),
        }
    };
    let of_two = of(vec![objective("a"), objective("b")]);
    let mut problems = of(Vec::new());
    problems.retain(|problem| of_two.contains(problem));
    problems
}

/// A task that any strategy of one objective accepts.
fn placeholder() -> TaskSpec {
    TaskSpec {
        bounds: Some([0.0, 1.0]),
        descriptor: vec![Axis::new("", "", 0.0, 1.0)],
        observation_dim: 1,
        action_dim: 1,
        network: Some(illume_core::Network::policy(vec![1, 1], illume_core::Activation::Tanh)),
        test_cases: 1,
        matrices: vec![[1, 1]],
        features: 1 << 10,
        policy_gradient: Some(Arc::new(AnyGradient)),
        ..TaskSpec::new("", 1, Init::Uniform { lower: 0.0, upper: 1.0 })
    }
}

/// What stands for a task whose cases are in files that need not be there yet: strategies that it goes together with accept it.
pub(crate) fn stand_in(name: &str) -> TaskSpec {
    TaskSpec {
        name: name.into(),
        bounds: None,
        features: 0,
        observation_dim: 0,
        action_dim: 0,
        network: None,
        ..placeholder()
    }
}

/// That of the placeholder, which nothing climbs.
#[derive(Debug)]
struct AnyGradient;

impl PolicyGradient for AnyGradient {
    fn temperature(&self) -> f64 {
        1.0
    }

    fn longest(&self) -> usize {
        1
    }

    fn add_gradient(
        &self,
        _genes: &[f32],
        _answers: &[Answer],
        _credits: &mut [Credit],
        _surrogate: &Surrogate,
        _gradient: &mut [f32],
    ) -> Result<SurrogateReport> {
        Err(Error::failed("a task that could not be built was asked for a gradient"))
    }
}

/// The strategy and the archive that a configuration names, for a task; the problems of both at once.
///
/// # Errors
/// Unknown names, wrong parameters and what does not fit into memory, with file and line.
pub fn strategy_and_archive(
    config: &Config,
    task: &TaskSpec,
    memory: &Memory,
) -> Result<(Box<dyn Strategy>, Box<dyn ArchiveMut>)> {
    let parts = || {
        claim_genomes(task, memory)?;
        let strategy = strategy(config, task, memory).and_then(|strategy| {
            check_start(config, strategy.spec())?;
            Ok(strategy)
        });
        let (mut strategy, mut learned) = (strategy, 0);
        let lineage = strategy.as_ref().is_ok_and(|s| s.spec().lineage);
        if let Ok(strategy) = &mut strategy {
            learned = strategy.learned().map_or(0, |learned| learned.dim());
        }
        let archive = build_archive(config, task, (lineage, learned), memory);
        let (strategy, archive) = both(strategy, archive)?;
        let entry = strategy_entry(config.name("strategy"))?;
        if entry.thresholds && archive.results().is_none() {
            let message = format!(
                "\"{}\" lives on soft thresholds: set it below 1 (0.01 in the paper), and threshold_min to the lowest fitness that counts",
                entry.name
            );
            return Err(Error::config("archive", "learning_rate", message));
        }
        if entry.members && archive.spec().rule("depth").is_none() {
            let message = format!(
                "\"{}\" lives on cells that hold several elites or compare how these spread: expected an archive of cells with depth above 1 or another keep, such as {}",
                entry.name,
                suggested_archive(entry).replace('\n', ", ")
            );
            return Err(Error::config("archive", "depth", message));
        }
        if entry.fronts && entry.cells && !archive.spec().holds_fronts() {
            let message = format!(
                "\"{}\" breeds from a front in each cell: expected \"front\" with a depth such as 50",
                entry.name
            );
            return Err(Error::config("archive", "keep", message));
        }
        if archive.spec().has_contenders() && !suggested_archive(entry).contains("adaptive") {
            let message = format!(
                "\"{}\" does not evaluate contenders again, which \"adaptive\" has: expected \"best\", or strategy.name = \"adaptive_sampling\"",
                entry.name
            );
            return Err(Error::config("archive", "keep", message));
        }
        strategy.check(archive.as_ref())?;
        Ok((strategy, archive))
    };
    parts().map_err(|e| config.locate(e))
}

/// The keys of `[archive]` that a strategy suggests.
fn suggested_archive(entry: &StrategyEntry) -> String {
    let table: toml::Table = entry.suggested.parse().unwrap_or_default();
    let keys = table.get("archive").map(toml::to_string);
    keys.and_then(|text| text.ok()).unwrap_or_default().trim().to_string()
}

/// Refuses `[start]` where a strategy cannot begin with genomes.
fn check_start(config: &Config, strategy: &StrategySpec) -> Result<()> {
    let Some((key, _)) = config.start.source() else {
        return Ok(());
    };
    if strategy.lineage {
        let message = format!(
            "genomes of \"{}\" are lineages of noise, which begin with a draw and not with a genome: expected a strategy of other genomes, such as map_elites, cma_me or openai_es",
            strategy.name
        );
        return Err(Error::config("start", key, message));
    }
    if config.strategy.get("center").and_then(toml::Value::as_str) == Some("zeros") {
        let message = format!("expected \"init\", as start.{key} says where the search begins, got \"zeros\"");
        return Err(Error::config("strategy", "center", message));
    }
    Ok(())
}

/// A strategy by its name and those of its parameters that are given, as a struct of them (`MapElitesParams`) or a TOML table; all others have their defaults.
///
/// # Errors
/// An unknown name, wrong parameters, and what does not fit the task or into memory.
pub fn strategy_of(name: &str, params: &impl Serialize, task: &TaskSpec) -> Result<Box<dyn Strategy>> {
    let entry = strategy_entry(name)?;
    let config = StrategyConfig {
        strategy: &table_of(params)?,
        task,
        memory: &Memory::alone(memory::available(1)),
    };
    illume_strategies::build(entry, &config)
}

/// Emitters of a kind, for [`illume_strategies::strategy_of_emitters`], with those of its parameters that are given, as [`strategy_of`]: one, or as many as `count` says.
///
/// # Errors
/// An unknown kind, wrong parameters, and what does not fit the task or into memory.
pub fn emitters_of(kind: &str, params: &impl Serialize, task: &TaskSpec) -> Result<Emitters> {
    let entries = illume_strategies::emitters();
    let names: Vec<&str> = entries.iter().map(|e| e.kind).collect();
    let found = entries.iter().find(|e| e.kind == kind);
    let entry = found.ok_or_else(|| unknown("emitter", "kind", kind, &names))?;
    entry.checked(&StrategyConfig {
        strategy: &table_of(params)?,
        task,
        memory: &Memory::alone(memory::available(1)),
    })
}

/// An archive of dense genomes by its kind and those of its parameters that are given, as [`strategy_of`]. Where it draws at random, the seed is 0 unless the parameters have one.
///
/// # Errors
/// An unknown kind, wrong parameters, and what does not fit the task or into memory.
pub fn archive_of(kind: &str, params: &impl Serialize, task: &TaskSpec) -> Result<Box<dyn ArchiveMut>> {
    let (entry, archive) = (archive_of_kind(kind)?, table_of(params)?);
    (entry.build)(&ArchiveConfig {
        archive: &archive,
        seed: 0,
        axes: &task.descriptor,
        objectives: &task.objectives,
        genome_dim: task.genome_dim,
        qd_offset: qd_offset(&archive, task)?,
        lineage: false,
        learned: 0,
        memory: &Memory::alone(memory::available(1)),
    })
}

/// What is added to each elite's fitness in the QD score: the archive's own, or the task's.
fn qd_offset(archive: &toml::Table, task: &TaskSpec) -> Result<f64> {
    let Some(value) = archive.get("qd_offset") else {
        return Ok(task.qd_offset);
    };
    let number = value.as_float().or(value.as_integer().map(|n| n as f64));
    number
        .filter(|x| x.is_finite())
        .ok_or_else(|| Error::config("archive", "qd_offset", format!("expected a finite number, got {value}")))
}

/// Parameters that every archive has beside its own.
pub(crate) fn archive_parameters() -> Vec<ParamInfo> {
    let info = |name, accepts: &str, default: &str, meaning: &str| ParamInfo {
        name,
        accepts: accepts.into(),
        default: default.into(),
        meaning: meaning.into(),
    };
    vec![
        info(
            "kind",
            "a string",
            "\"grid\"",
            "Kind of archive: a CVT for more than two axes, and what the strategy needs, if it is left out.",
        ),
        info(
            "qd_offset",
            "a finite number",
            "0.0",
            "Added to the fitness of each elite in the QD score, so that no elite lowers it; the task's own if it is left out.",
        ),
    ]
}

fn table_of(params: &impl Serialize) -> Result<toml::Table> {
    toml::Table::try_from(params).map_err(|e| Error::input(format!("parameters are no table: {e}")))
}

/// Claims the genome that each thread works on.
fn claim_genomes(task: &TaskSpec, memory: &Memory) -> Result<()> {
    let threads = rayon::current_num_threads();
    let what = format!("genomes of {} genes on {threads} threads", task.genome_dim);
    let (section, key) = if task.network.is_some() {
        ("policy", "hidden")
    } else {
        ("task", "name")
    };
    let bytes = size_of::<f32>() as f64 * task.genome_dim as f64 * threads as f64;
    memory.claim(section, key, bytes, &what)
}

fn strategy(config: &Config, task: &TaskSpec, memory: &Memory) -> Result<Box<dyn Strategy>> {
    let entry = strategy_entry(config.name("strategy"))?;
    let config = StrategyConfig {
        strategy: &config.strategy,
        task,
        memory,
    };
    illume_strategies::build(entry, &config)
}

/// The archive alone that a configuration names, for a task: evaluating elites again needs none of what a strategy sets up.
///
/// # Errors
/// An unknown kind and wrong parameters, with file and line.
pub fn archive(config: &Config, task: &TaskSpec, lineage: bool) -> Result<Box<dyn ArchiveMut>> {
    let memory = Memory::alone(memory::available(1));
    build_archive(config, task, (lineage, 0), &memory).map_err(|e| config.locate(e))
}

/// `lineage` and `learned` are as in [`ArchiveConfig`].
fn build_archive(
    config: &Config,
    task: &TaskSpec,
    (lineage, learned): (bool, usize),
    memory: &Memory,
) -> Result<Box<dyn ArchiveMut>> {
    let entry = archive_entry(config, task)?;
    (entry.build)(&ArchiveConfig {
        archive: &config.archive,
        seed: config.seed,
        axes: &task.descriptor,
        objectives: &task.objectives,
        genome_dim: task.genome_dim,
        qd_offset: qd_offset(&config.archive, task)?,
        lineage,
        learned,
        memory,
    })
}

fn strategy_entry(name: &str) -> Result<&'static StrategyEntry> {
    let entries = illume_strategies::registry();
    let names: Vec<&str> = entries.iter().map(|e| e.name).collect();
    entries
        .iter()
        .find(|e| e.name == name)
        .ok_or_else(|| unknown("strategy", "name", name, &names))
}

fn archive_of_kind(kind: &str) -> Result<&'static ArchiveEntry> {
    let entries = illume_archives::registry();
    let names: Vec<&str> = entries.iter().map(|e| e.kind).collect();
    let found = entries.iter().find(|e| e.kind == kind);
    found.ok_or_else(|| unknown("archive", "kind", kind, &names))
}

/// Without a kind: what a strategy that lives on novelty needs, the one whose parameter is given, else a grid for up to two axes and a CVT
/// beyond.
fn archive_entry(config: &Config, task: &TaskSpec) -> Result<&'static ArchiveEntry> {
    let table = &config.archive;
    let strategy = strategy_entry(config.name("strategy")).ok();
    let novelty = strategy.is_some_and(|s| s.lives_on_novelty(&config.strategy));
    let cells = strategy.is_some_and(|s| s.cells) && !novelty;
    let learns = strategy.is_some_and(|s| s.learns);
    let by_ranker = strategy.is_some_and(|s| s.novelty_by.is_some());
    let kind = match table.get("kind") {
        None if novelty => UNSTRUCTURED,
        None if learns => CONTAINER,
        None if strategy.is_some_and(|s| s.fronts && !s.cells) => FRONT,
        None if table.contains_key("shape") => "grid",
        None if table.contains_key("centroids") => "cvt",
        None if table.contains_key("cells") || task.descriptor_dim() > 2 => "cvt",
        None => "grid",
        Some(toml::Value::String(kind)) => kind,
        Some(other) => {
            return Err(Error::config(
                "archive",
                "kind",
                format!("expected a string, got {other}"),
            ));
        }
    };
    let found = archive_of_kind(kind)?;
    let name = config.name("strategy");
    let fronts = strategy.is_some_and(|s| s.fronts);
    if (fronts || found.fronts) && task.objectives.is_empty() {
        let (section, key, what) = match fronts {
            true => (
                "strategy",
                "name",
                format!("\"{name}\" breeds from fronts of several objectives"),
            ),
            false => (
                "archive",
                "kind",
                format!("an archive of kind \"{kind}\" keeps fronts of several objectives"),
            ),
        };
        let message = format!(
            "{what} and task \"{}\" has one; zdt1, dtlz2, rastrigin_pair, programs that say some, and with task.objectives = 2 arm, hard_maze and robots have several",
            task.name
        );
        return Err(Error::config(section, key, message));
    }
    if fronts && !cells && !found.fronts {
        let message = format!(
            "\"{name}\" breeds from fronts of several objectives, which an archive of kind \"{kind}\" does not keep: leave it out"
        );
        return Err(Error::config("archive", "kind", message));
    }
    if novelty && task.descriptor.is_empty() {
        let why = (config.task.get("descriptor")).map_or_else(String::new, |v| format!(" (task.descriptor = {v})"));
        let message = format!(
            "\"{name}\" searches for new descriptors and task \"{}\" has none{why}; hard_maze, arm and the robots have one",
            task.name
        );
        return Err(Error::config("strategy", "name", message));
    }
    if learns && !found.learned {
        let message = format!(
            "\"{name}\" learns descriptors, by which only an archive of kind \"{CONTAINER}\" tells elites apart, got \"{kind}\": leave it out"
        );
        return Err(Error::config("archive", "kind", message));
    }
    if novelty && !found.novelty {
        let who = if by_ranker { "a ranker of " } else { "" };
        let message = format!(
            "{who}\"{name}\" lives on novelty, which only an archive of kind \"{UNSTRUCTURED}\" measures, got \"{kind}\": leave it out"
        );
        return Err(Error::config("archive", "kind", message));
    }
    if cells && found.novelty {
        let other = if by_ranker {
            "rankers that order by novelty"
        } else {
            "a strategy that lives on novelty"
        };
        let message = format!(
            "\"{name}\" breeds from elites and an archive of kind \"{kind}\" keeps none: take \"grid\" or \"cvt\", or {other}"
        );
        return Err(Error::config("archive", "kind", message));
    }
    Ok(found)
}

fn unknown(section: &str, key: &str, name: &str, known: &[&str]) -> Error {
    let message = format!("unknown {section} \"{name}\"{}", suggest(name, known));
    Error::Config(vec![Problem {
        section: section.into(),
        key: key.into(),
        message,
    }])
}

/// Those of its task and policy alone.
pub(crate) fn task_parameters(config: &Config) -> Vec<(String, Vec<ParamInfo>)> {
    let mut parts = Vec::new();
    if let Ok(entry) = illume_envs::find(config.name("task")) {
        parts.push(("task".into(), [(entry.params)(), illume_envs::common()].concat()));
        if let Some(policy) = entry.policy {
            parts.push(("policy".into(), policy()));
        }
    }
    parts
}

/// The parameters of a configuration's parts, by section: what the resolved configuration is completed with.
///
/// # Errors
/// Unknown names.
pub fn parameters(config: &Config, task: &TaskSpec) -> Result<Vec<(String, Vec<ParamInfo>)>> {
    let mut parts = task_parameters(config);
    let strategy = strategy_entry(config.name("strategy"))?;
    parts.push(("strategy".into(), (strategy.params)()));
    if let Some(nested) = strategy.nested {
        parts.extend(nested(&config.strategy));
    }
    let archive = archive_entry(config, task)?;
    let mut infos = (archive.params)();
    // The offset is the task's own where it is not given, and is not written down: the task may not be here.
    let kind = archive_parameters().into_iter().find(|info| info.name == "kind");
    infos.extend(kind.map(|info| ParamInfo {
        default: format!("\"{}\"", archive.kind),
        ..info
    }));
    parts.push(("archive".into(), infos));
    Ok(parts)
}
