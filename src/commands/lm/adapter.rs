//! A run's genome as an adapter or as a model: `illume export PATH --adapter DIR` and `--model DIR`, and what `illume lm answer` answers by.

use std::path::Path;

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Error, Genomes, Result, Scratch, Task};
use illume_lm::LmTask;
use serde_json::json;

use super::training::prepare;
use crate::Config;
use crate::commands::elite::{self, Solution, Which};
use crate::engine::output::{json_text, named, significant, thousands};

/// One genome of a run on a language model.
pub(super) struct Found {
    pub genome: Vec<f32>,
    /// `solution`, `cell 0`, `start`.
    pub name: String,
    pub fitness: f64,
    /// What that fitness is.
    pub meaning: String,
}

/// Whether a path is a configuration, not a run.
pub(super) fn is_config(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "toml")
}

/// The configuration that a run was made with, overridden.
///
/// # Errors
/// The run's task is no language model.
pub(super) fn config_of(file: &ArchiveFile, set: &[String]) -> Result<Config> {
    let shown = file.path().display();
    let config = Config::stored(&file.attributes.config, &format!("{shown} (its configuration)"), set)?;
    check_task(&config, &shown.to_string())?;
    Ok(config)
}

/// # Errors
/// The configuration's task is no language model.
pub(super) fn check_task(config: &Config, shown: &str) -> Result<()> {
    let name = config.name("task");
    if name.starts_with("lm/") {
        return Ok(());
    }
    Err(Error::input(format!(
        "{shown}: task \"{name}\" is no language model; expected one of lm/arithmetic, lm/countdown, lm/gsm8k and lm/jsonl"
    )))
}

/// The genome that is meant: without a wish the solution if there is one, else the best.
///
/// # Errors
/// There is none.
pub(super) fn found(file: &ArchiveFile, which: Option<Which>) -> Result<Found> {
    let mut scratch = Scratch::default();
    let solution = match which {
        Some(Which::Solution) => Some(Solution::of(file)?.ok_or_else(|| elite::no_solution(file))?),
        None => Solution::of(file)?,
        _ => None,
    };
    if let Some(solution) = solution {
        return Ok(Found {
            genome: solution.genomes.genes(0, &mut scratch).to_vec(),
            name: "solution".into(),
            fitness: solution.fitness.unwrap_or(f64::NAN),
            meaning: solution.meaning,
        });
    }
    if which == Some(Which::Best)
        && let Some(found) = validated(file)?
    {
        return Ok(found);
    }
    let row = elite::row(file, which.unwrap_or(Which::Best))?;
    let genomes: Genomes = file.genomes(row..row + 1)?;
    Ok(Found {
        genome: genomes.genes(0, &mut scratch).to_vec(),
        name: format!("cell {}", file.elites.get::<i64>("cell")?[row]),
        fitness: file.elites.get::<f64>("fitness")?[row],
        meaning: "mean reward of the minibatch that it was found with".into(),
    })
}

/// The best candidate by validation, of a strategy that knows one beside its solution.
fn validated(file: &ArchiveFile) -> Result<Option<Found>> {
    let Some(table) = file.solution()? else { return Ok(None) };
    let score = table.get::<f64>("best_fitness").ok().and_then(|f| f.first().copied());
    let (Ok(genes), Some(fitness)) = (table.get::<f32>("best"), score) else {
        return Ok(None);
    };
    Ok(fitness.is_finite().then(|| Found {
        genome: genes.to_vec(),
        name: "best".into(),
        fitness,
        meaning: "score on the test cases of the best candidate".into(),
    }))
}

/// The genome of a run that is to be exported, with its task on the processor.
fn exported(path: &Path, elite: Option<Which>) -> Result<(ArchiveFile, Found, LmTask)> {
    let file = file::open(&crate::commands::archive_path(path)?)?;
    let config = config_of(&file, &["task.device=\"cpu\"".into()])?;
    let found = found(&file, elite)?;
    let task = LmTask::new(&illume_envs::own_keys(&config.task)).map_err(|e| config.locate(e))?;
    Ok((file, found, task))
}

/// What an export has written.
struct Written {
    /// `adapter` or `model`.
    what: &'static str,
    about: String,
    base: String,
    /// Fields of its own.
    fields: serde_json::Value,
}

/// The text or the JSON that an export prints.
fn report(
    (file, found, task): &(ArchiveFile, Found, LmTask),
    folder: &Path,
    written: Written,
    as_json: bool,
) -> Result<String> {
    let (folder, name) = (folder.display().to_string(), &task.spec().name);
    if as_json {
        let mut fields = written.fields;
        fields[written.what] = json!(folder);
        fields["archive"] = json!(file.path().display().to_string());
        fields["task"] = json!(name);
        fields["strategy"] = json!(file.attributes.strategy);
        fields["elite"] = json!(found.name.split(' ').next());
        fields["fitness"] = json!(found.fitness.is_finite().then_some(found.fitness));
        fields["base"] = json!(written.base);
        return Ok(json_text(&fields));
    }
    let fitness = significant(found.fitness);
    Ok(named([
        ("task", name.clone()),
        ("strategy", file.attributes.strategy.clone()),
        (
            "elite",
            format!("{}, fitness {fitness} ({})", found.name, found.meaning),
        ),
        (written.what, written.about),
        ("base model", written.base),
        ("written", folder),
    ]))
}

/// The text that `illume export PATH --model DIR` prints; a folder that transformers loads is written.
///
/// # Errors
/// As [`adapter`].
pub(in crate::commands) fn model(
    path: &Path,
    folder: &Path,
    elite: Option<Which>,
    force: bool,
    as_json: bool,
) -> Result<String> {
    let all = exported(path, elite)?;
    let (_, found, task) = &all;
    prepare(folder, "model", force)?;
    task.save_model(&found.genome, folder)?;
    let setup = task.setup();
    let parameters = setup.checkpoint.config.parameters();
    let written = Written {
        what: "model",
        about: format!("{} parameters in f32", thousands(parameters)),
        base: setup.params.model.clone(),
        fields: json!({ "parameters": parameters }),
    };
    report(&all, folder, written, as_json)
}

/// The text that `illume export PATH --adapter DIR` prints; a folder that PEFT loads is written.
///
/// # Errors
/// No archive, one of another kind of task, no such elite, a model that is not there any more, or a folder that cannot be written.
pub(in crate::commands) fn adapter(
    path: &Path,
    folder: &Path,
    elite: Option<Which>,
    force: bool,
    as_json: bool,
) -> Result<String> {
    let all = exported(path, elite)?;
    let (_, found, task) = &all;
    let lora = task.adapter(&found.genome)?;
    prepare(folder, "adapter", force)?;
    lora.write(folder)?;
    let (rank, matrices, parameters) = (lora.rank, lora.targets.len(), lora.parameters());
    let written = Written {
        what: "adapter",
        about: format!(
            "rank {rank}, {matrices} matrices, {} parameters",
            thousands(parameters as u64)
        ),
        base: lora.base,
        fields: json!({ "rank": rank, "parameters": parameters }),
    };
    report(&all, folder, written, as_json)
}
