//! `illume export --policy`: one elite as a policy directory.

use std::fs;
use std::path::Path;

use illume_core::{Error, Genomes, Result};
use serde_json::{Value, json};

use super::ExportArgs;
use crate::analysis::subject::{self, Subject};
use crate::commands::elite::{self, Solution, Which};
use crate::engine::output::{json_text, named, significant, thousands};
use crate::formats::export::Genes;
use crate::formats::policy::PolicyFile;

/// Writes the folder; returns what is printed.
///
/// # Errors
/// No archive, no such elite, a task without a policy, or a folder that holds something else.
pub(super) fn policy(args: &ExportArgs, folder: &Path) -> Result<String> {
    let path = super::super::archive_path(&args.path)?;
    let subject = Subject::open_on_cpu(&path)?;
    let (file, spec) = (&subject.file, subject.task.spec());
    let Some(network) = &spec.network else {
        return Err(Error::input(format!(
            "--policy: task \"{}\" of {} acts through no perceptron, so its elites are no policies; hard_maze and the robots have one",
            spec.name,
            path.display()
        )));
    };
    if PolicyFile::is_at(folder) && !args.force {
        return Err(Error::input(format!(
            "{} holds a policy already and is left as it is; --force replaces it",
            folder.display()
        )));
    }
    let (genes, name, fitness, descriptor) = chosen(&subject, args)?;
    let a = &file.attributes;
    let from = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let policy = PolicyFile {
        layers: network.layers.clone(),
        activation: network.hidden,
        params: genes,
        observation: spec.observation_dim,
        axes: Vec::new(),
        normalization: subject::normalization(file)?.as_deref().cloned(),
        task: a.task.clone(),
        config: a.config.clone(),
        provenance: json!({
            "archive": from.display().to_string(),
            "strategy": a.strategy,
            "run_seed": a.seed,
            "generation": a.generation,
            "evaluations": a.evaluations,
            "from": name,
            "fitness": fitness,
            "elite_descriptor": descriptor,
        }),
    };
    let mut notes = policy.write(folder)?;
    if policy.normalization.is_some() {
        notes.push("observations are normalized by the run's last statistics, not by those of the day".into());
    }
    if args.json {
        let mut fields = policy.provenance.clone();
        fields["file"] = json!(folder.display().to_string());
        fields["elite"] = json!(name.split(' ').next());
        fields["genome_dim"] = json!(policy.params.len());
        fields["notes"] = json!(notes);
        return Ok(json_text(&fields));
    }
    let layers: Vec<String> = policy.layers.iter().map(ToString::to_string).collect();
    let rows = [
        ("task", a.task.clone()),
        ("strategy", a.strategy.clone()),
        ("elite", name),
        ("fitness", fitness.as_f64().map_or("unknown".into(), significant)),
        (
            "network",
            format!(
                "{}; {} weights",
                layers.join(" x "),
                thousands(policy.params.len() as u64)
            ),
        ),
        ("written", folder.display().to_string()),
    ];
    Ok(named(rows) + &notes.iter().map(|note| format!("{note}\n")).collect::<String>())
}

/// The genes of the elite that is meant, what it is called, its fitness and its descriptor.
fn chosen(subject: &Subject, args: &ExportArgs) -> Result<(Vec<f32>, String, Value, Value)> {
    let file = &subject.file;
    let row = match (&args.descriptor, args.elite) {
        (Some(text), _) => elite::nearest_to(file, text)?,
        (None, Some(Which::Solution)) => {
            let solution = Solution::of(file)?.ok_or_else(|| elite::no_solution(file))?;
            let lineage = matches!(solution.genomes, Genomes::Lineage(_));
            let name = if lineage { "solution (decoded)" } else { "solution" };
            let genes = Genes::of_genome(file, solution.genomes)?.read(0..1)?;
            return Ok((genes, name.into(), json!(solution.fitness), Value::Null));
        }
        (None, which) => elite::row(file, which.unwrap_or(Which::Best))?,
    };
    let k = file.spec.axes.len();
    let genes = Genes::of_elites(file, vec![row])?.read(0..1)?;
    let cell = file.elites.get::<i64>("cell")?[row];
    let fitness = file.elites.get::<f64>("fitness")?[row];
    let descriptor = &file.elites.get::<f64>("descriptor")?[row * k..(row + 1) * k];
    Ok((genes, format!("cell {cell}"), json!(fitness), json!(descriptor)))
}
