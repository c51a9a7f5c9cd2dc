//! `illume eval` of a policy directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use illume_core::{Axis, Batch, Candidates, Dense, Error, Genomes, Result, Status, Task};
use serde_json::{Value, json};

use super::EvalArgs;
use crate::analysis::distill::{Student, compare, scaled};
use crate::analysis::reevaluate::{candidates, fresh_seed};
use crate::analysis::subject::Subject;
use crate::commands::distill::experts;
use crate::engine::output::{json_text, significant};
use crate::formats::policy::PolicyFile;
use crate::{Config, Evaluator, registry};

/// The text that `illume eval POLICY_DIR` prints.
///
/// # Errors
/// A damaged policy, a task that cannot be built here, a descriptor that the task has not, an archive that is not found.
pub(super) fn eval(dir: &Path, args: &EvalArgs) -> Result<String> {
    let (policy, task) = open(dir)?;
    match &args.descriptor {
        Some(text) => {
            let descriptor = parse(text, &policy.axes)?;
            one(&policy, task.as_ref(), &descriptor, args)
        }
        None if policy.axes.is_empty() => one(&policy, task.as_ref(), &[], args),
        None => whole(dir, &policy, args),
    }
}

/// A policy with the task that it is for.
///
/// # Errors
/// A damaged policy, or a task that cannot be built here.
pub(in crate::commands) fn open(dir: &Path) -> Result<(PolicyFile, Box<dyn Task>)> {
    let policy = PolicyFile::read(dir)?;
    let task = task(dir, &policy)?;
    Ok((policy, task))
}

/// The policy as a candidate that acts for a descriptor, as it was typed.
///
/// # Errors
/// A descriptor that the task has not, or none where one is needed.
pub(in crate::commands) fn asked(policy: &PolicyFile, descriptor: Option<&str>, dir: &Path) -> Result<Candidates> {
    let names = || {
        policy
            .axes
            .iter()
            .map(|a| a.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let requested = match descriptor {
        Some(text) => parse(text, &policy.axes)?,
        None if policy.axes.is_empty() => {
            return Ok(alike(policy, 1));
        }
        None => {
            return Err(Error::input(format!(
                "{} is a policy, which acts as it is asked to: --descriptor with a number for each of {}",
                dir.display(),
                names()
            )));
        }
    };
    let conditions = scaled(&policy.axes, &requested);
    Ok(Student::of_file(policy).candidates(&conditions, requested.len(), 0..1))
}

/// A policy that always acts alike, as so many candidates.
fn alike(policy: &PolicyFile, n: usize) -> Candidates {
    let genomes = Genomes::Dense(Dense {
        dim: policy.params.len(),
        data: policy.params.repeat(n),
    });
    Candidates {
        network: Some(Arc::new(policy.network())),
        ..candidates(genomes, n, policy.normalization.clone().map(Arc::new))
    }
}

/// The task that the policy is for.
fn task(dir: &Path, policy: &PolicyFile) -> Result<Box<dyn Task>> {
    let config = Config::stored(&policy.config, &format!("{} (its configuration)", dir.display()), &[])?;
    let task = registry::task(&config)?;
    let spec = task.spec();
    let action = policy.layers.last().copied().unwrap_or(0);
    let asked = policy.axes.is_empty() || policy.axes == spec.descriptor;
    let fits = asked && [policy.observation, action] == [spec.observation_dim, spec.action_dim];
    match fits && spec.name == policy.task {
        true => Ok(task),
        false => Err(Error::input(format!(
            "{}: the policy takes {} numbers to {} for task \"{}\", and its configuration makes task \"{}\" with {} and {}",
            dir.display(),
            policy.observation,
            action,
            policy.task,
            spec.name,
            spec.observation_dim,
            spec.action_dim
        ))),
    }
}

/// A descriptor as typed: a number for each axis, within its bounds.
///
/// # Errors
/// Other numbers.
pub(in crate::commands) fn parse(text: &str, axes: &[Axis]) -> Result<Vec<f64>> {
    let names: Vec<&str> = axes.iter().map(|a| a.name.as_str()).collect();
    let numbers: Option<Vec<f64>> = text.split(',').map(|p| p.trim().parse().ok()).collect();
    let Some(numbers) = numbers.filter(|n| n.len() == names.len()) else {
        return Err(Error::input(format!(
            "--descriptor {text}: expected {} (for {}), separated by commas",
            if names.len() == 1 {
                "one number".into()
            } else {
                format!("{} numbers", names.len())
            },
            names.join(", ")
        )));
    };
    for (x, a) in numbers.iter().zip(axes) {
        if !(a.lower..=a.upper).contains(x) {
            return Err(Error::input(format!(
                "--descriptor {text}: '{}' goes from {} to {}, got {x}",
                a.name, a.lower, a.upper
            )));
        }
    }
    Ok(numbers)
}

/// Episodes for one descriptor, or of a policy that always acts alike.
fn one(policy: &PolicyFile, task: &dyn Task, requested: &[f64], args: &EvalArgs) -> Result<String> {
    let (k, n) = (task.spec().descriptor_dim(), args.episodes as usize);
    let config = Config::stored(&policy.config, "the policy's configuration", &[])?;
    let archive = registry::archive(&config, task.spec(), false)?;
    let mut candidates = match requested {
        [] => alike(policy, n),
        _ => Student::of_file(policy).candidates(&scaled(&policy.axes, &requested.repeat(n)), k, 0..n),
    };
    for (episode, seed) in candidates.seeds.iter_mut().enumerate() {
        *seed = fresh_seed(0, episode);
    }
    let (mut rows, mut unused) = (Batch::new(), Vec::new());
    Evaluator::new(task)?.evaluate(&candidates, archive.as_ref(), &mut rows, &mut unused)?;
    let status = rows.get::<u8>("status")?;
    let good: Vec<usize> = (0..n).filter(|&i| status[i] == Status::Ok as u8).collect();
    let mean = |of: &dyn Fn(usize) -> f64| good.iter().map(|&i| of(i)).sum::<f64>() / good.len() as f64;
    let (fitness, descriptor) = (rows.get::<f64>("fitness")?, rows.get::<f64>("descriptor")?);
    let average = mean(&|i| fitness[i]);
    let sd = mean(&|i| (fitness[i] - average).powi(2)).sqrt();
    let achieved: Vec<f64> = (0..k).map(|axis| mean(&|i| descriptor[i * k + axis])).collect();
    let distance = mean(&|i| {
        let squares = (0..requested.len()).map(|axis| (descriptor[i * k + axis] - requested[axis]).powi(2));
        squares.sum::<f64>().sqrt()
    });
    let failed = n - good.len();
    if args.json {
        let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
        let fields = json!({
            "task": policy.task,
            "episodes": n,
            "failed": failed,
            "requested_descriptor": (!requested.is_empty()).then_some(requested),
            "descriptor": achieved.iter().map(|x| number(*x)).collect::<Vec<_>>(),
            "descriptor_distance": if requested.is_empty() { Value::Null } else { number(distance) },
            "fitness": number(average),
            "fitness_sd": number(sd),
        });
        return Ok(json_text(&fields));
    }
    let list = |numbers: &[f64]| numbers.iter().map(|x| significant(*x)).collect::<Vec<_>>().join(", ");
    let (asked, distance) = match requested {
        [] => (String::new(), String::new()),
        _ => (
            format!("requested    {}\n", list(requested)),
            format!(", distance {}", significant(distance)),
        ),
    };
    let mut text = format!(
        "{asked}achieved     {} on average over {n} {}{distance}\nfitness      {}, spread {}\n",
        list(&achieved),
        if n == 1 { "episode" } else { "episodes" },
        significant(average),
        significant(sd)
    );
    if failed > 0 {
        text += &format!("failed       {failed} episodes did not end well\n");
    }
    Ok(text)
}

/// Every filled cell of the archive that the policy comes from, beside that archive.
fn whole(dir: &Path, policy: &PolicyFile, args: &EvalArgs) -> Result<String> {
    let subject = Subject::open(&origin(dir, policy)?)?;
    let (spec, shown) = (subject.task.spec(), subject.file.path().display());
    if spec.name != policy.task || spec.descriptor != policy.axes || spec.observation_dim != policy.observation {
        return Err(Error::input(format!(
            "{shown} is an archive of task \"{}\", the policy in {} is for another (\"{}\"); --descriptor asks it for one behaviour",
            spec.name,
            dir.display(),
            policy.task
        )));
    }
    let mut evaluator = Evaluator::new(subject.task.as_ref())?;
    let experts = experts(&subject, 0)?;
    let comparison = compare(
        &experts,
        &mut evaluator,
        &Student::of_file(policy),
        args.episodes as usize,
    )?;
    Ok(match args.json {
        true => json_text(&comparison.json()),
        false => comparison.text(),
    })
}

/// The archive that the policy comes from: where it was, else in the run directory around the policy's.
fn origin(dir: &Path, policy: &PolicyFile) -> Result<PathBuf> {
    let named = policy.provenance["archive"].as_str().map(PathBuf::from);
    let around = dir.join("..").join("archive.h5");
    let found = named.iter().chain([&around]).find(|path| path.is_file());
    found.cloned().ok_or_else(|| {
        Error::input(format!(
            "{}: the archive that the policy comes from{} is not there any more: say with --descriptor which behaviour to evaluate",
            dir.display(),
            named.map_or(String::new(), |path| format!(" ({})", path.display()))
        ))
    })
}
