//! `illume distill`: an archive becomes one policy, and a report says how much of it that keeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use illume_core::{Error, Result};
use serde_json::{Value, json};

use super::launch::{Threads, first_rank, on_all_ranks};
use crate::Evaluator;
use crate::analysis::distill::{
    Comparison, Experts, Imitation, Schedule, Student, Training, check_size, compare, imitate, scaled,
};
use crate::analysis::subject::{Subject, normalization};
use crate::engine::output::{Progress, json_text, write_atomically};
use crate::formats::policy::PolicyFile;

/// Written beside the policy.
const REPORT: &str = "report.json";
const TABLE: &str = "report.h5";

/// Seconds between lines of progress where there is no terminal.
const LINE_SECONDS: f64 = 10.0;

/// Where the policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum From {
    /// The run's own conditioned actor if it has one, else its elites
    Auto,
    /// The run's own conditioned actor (dcg_me, dcrl_me)
    Actor,
    /// The elites, by imitation
    Archive,
}

/// Units of hidden layers; a type of its own, so that one argument is the whole list.
#[derive(Clone)]
struct Hidden(Vec<usize>);

impl FromStr for Hidden {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Hidden, Self::Err> {
        let layers: std::result::Result<Vec<usize>, _> = text.split(',').map(|p| p.trim().parse()).collect();
        match layers {
            Ok(layers) if layers.iter().all(|n| (1..=65_536).contains(n)) => Ok(Hidden(layers)),
            _ => Err("expected the units of each hidden layer, from 1 to 65536, such as 256,256"),
        }
    }
}

/// Turn an archive into one policy that executes its whole range of behaviours
#[derive(clap::Args)]
pub struct DistillArgs {
    /// Run directory or .h5 file
    path: PathBuf,
    /// Folder to write [default: `distilled` beside the archive]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Fresh episodes by which archive and policy are compared, for each descriptor
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    episodes: u32,
    /// Keys all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Units of each hidden layer
    #[arg(long, default_value = "256,256", value_name = "N,N")]
    hidden: Hidden,
    /// Rounds of correction on the policy's own states
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=1000))]
    rounds: u32,
    /// Passes over the data in each round at most, of at least 1000 minibatches each; 0 leaves the policy untrained
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    epochs: u32,
    /// Learn from the corrected archive: each elite under the descriptor that its first episodes have on average, of each cell the best alone, and of each as much as its share of episodes that end there
    #[arg(long)]
    reliable: bool,
    /// Where the policy comes from
    #[arg(long, value_enum, default_value_t = From::Auto)]
    from: From,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

impl DistillArgs {
    pub fn run(&self) -> u8 {
        on_all_ranks(&self.threads, first_rank(|| distill(self)))
    }
}

/// Writes the policy and the report to a folder; returns what is printed.
///
/// # Errors
/// No archive, an empty one, or one of a task without a policy; a folder that holds something else or cannot be written.
fn distill(args: &DistillArgs) -> Result<String> {
    let path = super::archive_path(&args.path)?;
    let subject = Subject::open(&path)?;
    let actor = source(&subject, args.from)?;
    let folder = match &args.output {
        Some(folder) => folder.clone(),
        None => path.with_file_name("distilled"),
    };
    if actor.is_none() {
        check_size(subject.task.spec(), &args.hidden.0)?;
    }
    prepare(&folder)?;

    let experts = experts(&subject, args.seed)?;
    let mut evaluator = Evaluator::new(subject.task.as_ref())?;
    let mut progress = Progress::new(true, LINE_SECONDS);
    let (student, training) = match actor {
        Some(actor) => (actor, None),
        None => {
            let how = Imitation {
                hidden: args.hidden.0.clone(),
                rounds: args.rounds as usize,
                schedule: Schedule {
                    epochs: args.epochs as usize,
                    ..Schedule::default()
                },
                seed: args.seed,
                reliable: args.reliable,
                ..Imitation::default()
            };
            let (student, training) = imitate(&experts, &mut evaluator, &how, &mut progress)?;
            (student, Some(training))
        }
    };
    let comparison = compare(&experts, &mut evaluator, &student, args.episodes as usize)?;
    let report = report(&subject, &comparison, training.as_ref(), args);
    let notes = student
        .file(&subject.file, provenance(&subject, &report))
        .write(&folder)?;
    comparison.write(&folder.join(TABLE), &subject.file)?;
    let text = json_text(&report);
    write_atomically(&folder.join(REPORT), text.as_bytes())?;
    if args.json {
        return Ok(text);
    }
    let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
    Ok(comparison.text() + &notes + &format!("written      {}\n", folder.display()))
}

/// An archive's elites as experts.
pub(super) fn experts(subject: &Subject, seed: u64) -> Result<Experts<'_>> {
    Ok(Experts {
        subject,
        normalization: normalization(&subject.file)?,
        conditions: scaled(&subject.file.spec.axes, subject.file.elites.get("descriptor")?),
        seed,
    })
}

/// The actor to take as it is, or none where elites are to be imitated.
fn source(subject: &Subject, from: From) -> Result<Option<Student>> {
    let (spec, shown) = (subject.task.spec(), subject.file.path().display());
    if spec.network.is_none() {
        return Err(Error::input(format!(
            "{shown}: task \"{}\" acts through no perceptron, so there is no policy to distill; hard_maze and the robots have one",
            spec.name
        )));
    }
    if !subject.file.spec.has_cells() {
        return Err(Error::input(format!(
            "{shown}: the archive is unstructured, and what a policy keeps of an archive is measured by cells: expected one of kind grid or cvt"
        )));
    }
    if spec.descriptor.is_empty() {
        return Err(Error::input(format!(
            "{shown}: task \"{}\" has no descriptor, so its one elite is the whole range of behaviours",
            spec.name
        )));
    }
    let actor = match from {
        From::Archive => None,
        From::Auto | From::Actor => Student::of_run(&subject.file, spec)?,
    };
    if from == From::Actor && actor.is_none() {
        return Err(Error::input(format!(
            "--from actor: {shown} is of strategy \"{}\", which trains no conditioned actor (dcg_me and dcrl_me do); --from archive \
             imitates its elites",
            subject.file.attributes.strategy
        )));
    }
    Ok(actor)
}

/// Makes the folder, or takes one that is empty or holds a policy: asked before the work of hours.
fn prepare(folder: &Path) -> Result<()> {
    let shown = folder.display();
    let cannot = |e: std::io::Error| Error::input(format!("cannot write the policy directory {shown}: {e}"));
    fs::create_dir_all(folder).map_err(cannot)?;
    let full = fs::read_dir(folder).map_err(cannot)?.next().is_some();
    if full && !PolicyFile::is_at(folder) {
        return Err(Error::input(format!(
            "{shown} exists, is not empty and holds no policy: choose another folder with --output"
        )));
    }
    let probe = folder.join(format!(".probe.tmp-{}", std::process::id()));
    fs::File::create(&probe).map_err(cannot)?;
    fs::remove_file(&probe).map_err(cannot)
}

/// The documented fields of `report.json`.
fn report(subject: &Subject, comparison: &Comparison, training: Option<&Training>, args: &DistillArgs) -> Value {
    let a = &subject.file.attributes;
    let mut report = json!({
        "software_version": env!("CARGO_PKG_VERSION"),
        "source": subject.file.path().display().to_string(),
        "task": a.task,
        "strategy": a.strategy,
        "from": if training.is_some() { "archive" } else { "actor" },
        "seed": args.seed,
        "training": training.map(Training::json),
    });
    if let (Value::Object(report), Value::Object(compared)) = (&mut report, comparison.json()) {
        report.extend(compared);
    }
    report
}

/// What `policy.json` says of where the policy comes from: enough to find the archive again, and what was kept of it.
fn provenance(subject: &Subject, report: &Value) -> Value {
    let (a, path) = (&subject.file.attributes, subject.file.path());
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let kept = |name: &str| report[name].clone();
    let share = |name: &str| report["policy"][name].clone();
    json!({
        "archive": path.display().to_string(),
        "strategy": a.strategy,
        "run_seed": a.seed,
        "generation": a.generation,
        "evaluations": a.evaluations,
        "from": kept("from"),
        "seed": kept("seed"),
        "requests": kept("requests"),
        "episodes": kept("episodes"),
        "corrected_qd_score_kept_percent": share("corrected_qd_score_kept_percent"),
        "corrected_coverage_kept_percent": share("corrected_coverage_kept_percent"),
        "corrected_max_fitness_kept_percent": share("corrected_max_fitness_kept_percent"),
    })
}
