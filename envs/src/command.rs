//! `command`: a program of the user's own, in any language, says what genomes are worth.
//!
//! Each thread keeps one running and speaks to it over its standard input and output, in lines of JSON or in binary frames
//! (`protocol`). What happens to a program is no result: rows that were under way when it ended, hung or answered rubbish are asked
//! again one by one, so that a genome on which it fails costs its own row alone, whatever rows stood beside it.

mod log;
mod process;
mod protocol;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use illume_core::{
    Axis, Error, GeneSpace, Init, Problem, Request, Result, Scores, Scratch, Status, Task, TaskConfig, TaskEntry,
    TaskSpec, Worker, inward, mix64, params,
};

use self::log::Log;
use self::process::{END, Fault, Process};
use self::protocol::{Agreed, Answered, Asked, Greeting, InitWord, Shape};
use crate::genes::WithGenes;

params! {
    /// Parameters of `command`.
    pub struct CommandParams {
        /// The program and its arguments: ["python3", "simulator.py"]. One is started for each thread; docs/own-task.md says how it is spoken to.
        command: Vec<String> = vec![], any();
        /// Genes of a genome; 0 for what the program says.
        dim: usize = 0, range(0, 1 << 24);
        /// The interval of every gene, [lower, upper]; empty for what the program says.
        bounds: Vec<f64> = vec![], each(finite());
        /// Names of the descriptor's axes; empty for what the program says.
        descriptor: Vec<String> = vec![], any();
        /// Lower and upper bound of each of these axes: [0, 1, 0, 1] for two.
        descriptor_bounds: Vec<f64> = vec![], each(finite());
        /// Rows that the program is handed at a time; 0 for what it says, or 1. Results do not depend on it; many for what takes less than a millisecond a row.
        batch: usize = 0, range(0, 1 << 24);
        /// Seconds that a batch may take before the program is ended and its rows are asked one by one, or, if it is one row, count as failed; 0 for no limit.
        timeout: f64 = 600.0, range(0.0, 1e9);
        /// Seconds that the program may take to start; 0 for no limit.
        start_timeout: f64 = 600.0, range(0.0, 1e9);
        /// The run ends, with a checkpoint, after a generation in which so many consecutive rows made the program fail; 0 for never.
        give_up: u32 = 20, range(0, u32::MAX);
    }
}

impl CommandParams {
    fn interval(&self) -> Option<[f64; 2]> {
        self.bounds.as_slice().try_into().ok()
    }

    fn axes(&self) -> Vec<Axis> {
        let bounds = self.descriptor_bounds.chunks_exact(2);
        let named = self.descriptor.iter().zip(bounds);
        named
            .map(|(name, bounds)| Axis::new(name, "", bounds[0], bounds[1]))
            .collect()
    }

    /// The number of genes, if the configuration says it.
    fn genes(&self, genes: Option<&GeneSpace>) -> Option<usize> {
        let counted = genes.map(GeneSpace::dim);
        (self.dim > 0).then_some(self.dim).or(counted)
    }

    /// What makes no sense, whatever the program says.
    fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, message: String| {
            problems.push(Problem {
                section: "task".into(),
                key: key.into(),
                message,
            });
        };
        if self.command.first().is_none_or(String::is_empty) {
            problem(
                "command",
                "expected a program and its arguments, as [\"python3\", \"simulator.py\"]".into(),
            );
        }
        if !(self.bounds.is_empty() || matches!(self.bounds[..], [lower, upper] if lower < upper)) {
            problem(
                "bounds",
                format!("expected two numbers, the lower first, got {:?}", self.bounds),
            );
        }
        let (names, numbers) = (self.descriptor.len(), self.descriptor_bounds.len());
        if numbers != 2 * names {
            problem(
                "descriptor_bounds",
                format!(
                    "expected {} numbers, lower and upper bound of each of {names} axes in descriptor, got {numbers}",
                    2 * names
                ),
            );
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::Config(problems))
        }
    }
}

/// The registry's entry.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "command",
    family: &[],
    summary: "a program of your own in any language: fitness and descriptor are what it answers",
    params: <CommandParams as params::Params>::describe,
    network: false,
    cases: false,
    policy: None,
    small: SMALL,
    suggested: "[task]\ncommand = [\"python3\", \"simulator.py\"]",
    gene_scale: 0.05,
    sketch: Some(|| TaskSpec {
        bounds: Some([0.0, 1.0]),
        descriptor: ["x", "y"].map(|name| Axis::new(name, "", 0.0, 1.0)).into(),
        ..TaskSpec::new("command", 12, Init::Uniform { lower: 0.0, upper: 1.0 })
    }),
    build,
};

/// The negative sphere in Python, whose first two genes are the descriptor.
const SMALL: &str = r#"[task]
command = ["python3", "-c", """
import json, sys
input()
axes = [{'name': name, 'lower': 0, 'upper': 1} for name in 'ab']
print(json.dumps({'illume': 1, 'dim': 4, 'bounds': [0, 1], 'descriptor': axes, 'deterministic': True, 'batch': 8, 'qd_offset': 4}), flush=True)
for line in sys.stdin:
    rows = json.loads(line)['genomes']
    print(json.dumps({'fitness': [-sum(x * x for x in row) for row in rows], 'descriptor': [row[:2] for row in rows]}), flush=True)
"""]
"#;

/// Where the rest of a table, which the program is handed, stands.
const ARGUMENTS: &str = "arguments";

fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let params: CommandParams = params::read(config.task, "task", &["name", ARGUMENTS])?;
    params.check()?;
    let hello = protocol::hello(&params, config.genes.as_deref(), config.task.get(ARGUMENTS));
    let limit = |seconds: f64| (seconds > 0.0).then(|| Duration::from_secs_f64(seconds));
    let shared = Shared {
        command: params.command.clone(),
        hello,
        limit: limit(params.timeout),
        start_limit: limit(params.start_timeout),
        give_up: params.give_up,
        log: Arc::new(Log::default()),
        idle: Mutex::new(Vec::new()),
        failures: AtomicU32::new(0),
        given_up: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    let wrong = |message: String| Error::config("task", "command", message);
    let (process, greeting) = shared.greeted().map_err(wrong)?;
    let agreed = protocol::agree(&params, config.genes.as_deref(), greeting)?;
    shared.idle().push(process);
    let spec = spec(&shared, &agreed);
    let genes = agreed.genes.clone();
    let command = Box::new(Command { shared, agreed, spec });
    match genes {
        Some(genes) => Ok(Box::new(WithGenes::new(command, genes)?)),
        None => Ok(command),
    }
}

fn spec(shared: &Shared, agreed: &Agreed) -> TaskSpec {
    let greeting = &agreed.greeting;
    let init = match (greeting.init, agreed.bounds) {
        (Some(InitWord::Normal { mean, sd }), _) => Init::Normal {
            mean: mean as f32,
            sd: sd as f32,
        },
        (Some(InitWord::Uniform(interval)), _) => {
            let [lower, upper] = inward(interval);
            Init::Uniform { lower, upper }
        }
        (None, Some([lower, upper])) => Init::Uniform { lower, upper },
        (None, None) => Init::Normal { mean: 0.0, sd: 1.0 },
    };
    let version = greeting
        .version
        .as_ref()
        .map_or(String::new(), |version| format!(", version {version}"));
    TaskSpec {
        bounds: agreed.bounds,
        descriptor: agreed.descriptor.clone(),
        fitness: greeting.objective(),
        qd_offset: greeting.qd_offset.unwrap_or(0.0),
        objectives: agreed
            .objectives
            .iter()
            .map(|(objective, _)| objective.clone())
            .collect(),
        deterministic: greeting.deterministic,
        facts: vec![("program".into(), format!("{}{version}", shared.command.join(" ")))],
        chunk: agreed.batch,
        ..TaskSpec::new("command", agreed.dim, init)
    }
}

/// The task.
struct Command {
    shared: Shared,
    agreed: Agreed,
    spec: TaskSpec,
}

/// What all threads share.
struct Shared {
    command: Vec<String>,
    /// The greeting's line.
    hello: Vec<u8>,
    limit: Option<Duration>,
    start_limit: Option<Duration>,
    give_up: u32,
    log: Arc<Log>,
    /// Programs that run and that no worker has.
    idle: Mutex<Vec<Process>>,
    /// Consecutive rows that made the program fail.
    failures: AtomicU32,
    /// Whether there were so many that no row is asked any more.
    given_up: AtomicBool,
    /// Why the first row failed.
    failure: Mutex<Option<String>>,
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A program that has been started and has answered the greeting.
    ///
    /// # Errors
    /// It cannot be started or does not answer as it should: a sentence.
    fn greeted(&self) -> std::result::Result<(Process, Greeting), String> {
        let name = &self.command[0];
        let mut process =
            Process::start(&self.command, &self.log).map_err(|e| format!("{name:?} cannot be started: {e}"))?;
        let answer = process.ask(
            &self.hello,
            self.start_limit,
            &protocol::greeting_ends,
            protocol::greeting,
        );
        let late = |limit: Duration| {
            format!(
                "did not greet within {} s (task.start_timeout); it has to flush its output",
                limit.as_secs_f64()
            )
        };
        let answer = answer.unwrap_or_else(|fault| {
            let late = self.start_limit.filter(|_| fault == Fault::Late).map(late);
            Err(late.unwrap_or_else(|| fault.to_string()))
        });
        match answer {
            Ok(greeting) => Ok((process, greeting)),
            Err(why) => {
                let said = process.last_words().filter(|words| !why.contains(words));
                let said = said.map_or(String::new(), |words| format!("; its last words: {words}"));
                process.kill();
                Err(format!("{} {why}{said}", self.program()))
            }
        }
    }

    /// The program, as messages call it.
    fn program(&self) -> String {
        format!("the program {:?}", self.command.join(" "))
    }

    /// What a fault is, as the end of a sentence.
    fn words(&self, fault: &Fault) -> String {
        match (fault, self.limit) {
            (Fault::Late, Some(limit)) => format!(
                "did not answer within {} s (task.timeout); it has to flush its output after each answer",
                limit.as_secs_f64()
            ),
            (fault, _) => fault.to_string(),
        }
    }

    /// Whether it has failed so often that no row is asked any more.
    fn given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Takes down that a row failed; `program` if the program did, not the row alone.
    fn row_failed(&self, why: String, program: bool) {
        if !program {
            self.failures.store(0, Ordering::Relaxed);
        } else if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= self.give_up && self.give_up > 0 {
            self.given_up.store(true, Ordering::Relaxed);
        }
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(why);
    }
}

impl Drop for Shared {
    /// All are told at once that nothing more will come, and have the same time to end themselves.
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        idle.iter_mut().for_each(Process::close);
        let began = Instant::now();
        idle.drain(..)
            .for_each(|process| process.end_within(END.saturating_sub(began.elapsed())));
    }
}

impl Task for Command {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(CommandWorker {
            task: self,
            process: None,
            was_used: false,
            genes: Vec::new(),
            seeds: Vec::new(),
            request: Vec::new(),
            scratch: Scratch::default(),
        }))
    }

    fn failure(&self) -> Option<String> {
        let failure = self
            .shared
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        let log = self.shared.log.path().map_or(String::new(), |path| {
            format!(" (its standard error: {})", path.display())
        });
        Some(format!("{} {failure}{log}", self.shared.program()))
    }

    fn gave_up(&self) -> Option<String> {
        let shared = &self.shared;
        shared.given_up().then(|| {
            let first = self.failure().unwrap_or_default();
            format!(
                "{} consecutive rows made the program fail (task.give_up); the first time {first}",
                shared.give_up
            )
        })
    }

    fn keep_logs(&self, folder: &Path, rank: usize) {
        self.shared.log.open(&folder.join(format!("program-{rank}.log")));
    }
}

struct CommandWorker<'t> {
    task: &'t Command,
    process: Option<Process>,
    /// Whether the program that was asked last had answered another request before.
    was_used: bool,
    genes: Vec<f32>,
    seeds: Vec<u64>,
    request: Vec<u8>,
    scratch: Scratch,
}

impl Worker for CommandWorker<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let (first, batch) = (rows.start, self.task.agreed.batch);
        for start in rows.clone().step_by(batch) {
            let end = rows.end.min(start + batch);
            self.genes.clear();
            self.seeds.clear();
            for row in start..end {
                self.genes.extend(request.genomes.genes(row, &mut self.scratch));
                // Of as many bits as a number of JSON has.
                self.seeds.push(mix64(request.seeds[row]) >> 11);
            }
            self.score(start - first, 0..end - start, scores);
        }
    }
}

impl CommandWorker<'_> {
    /// Scores rows of the batch at hand; the first row of the batch has its scores at `at`.
    fn score(&mut self, at: usize, rows: Range<usize>, scores: &mut Scores<'_>) {
        let fault = match self.ask(rows.clone(), false) {
            Ok(answered) => return self.take(at + rows.start, &answered, scores),
            Err(fault) => fault,
        };
        if rows.len() > 1 {
            // Which row it was can only be told one by one.
            return rows.for_each(|row| self.score(at, row..row + 1, scores));
        }
        // Whoever sends signals (a scheduler, the system where memory runs out) means the process, not the row; and what a program did that had answered others
        // before may come from these: a fresh one is to say it.
        let again = match fault {
            Fault::Died { killed: true, .. } => self.ask(rows.clone(), true),
            Fault::Died { .. } | Fault::Garbled(_) if self.was_used => self.ask(rows.clone(), true),
            fault => Err(fault),
        };
        match again {
            Ok(answered) => self.take(at + rows.start, &answered, scores),
            Err(fault) => {
                scores.status[at + rows.start] = Status::Failed as u8;
                scores.steps[at + rows.start] = 1;
                let shared = &self.task.shared;
                shared.row_failed(shared.words(&fault), !matches!(fault, Fault::Said(_)));
            }
        }
    }

    fn take(&self, at: usize, answered: &Answered, scores: &mut Scores<'_>) {
        let objectives = &self.task.agreed.objectives;
        let (m, k) = (objectives.len(), self.task.spec.descriptor_dim());
        let n = answered.values.len() / m.max(1);
        if m == 0 {
            scores.fitness[at..at + n].copy_from_slice(&answered.values);
        } else {
            let signs = objectives.iter().map(|(_, sign)| sign).cycle();
            let own = scores.objectives[m * at..m * (at + n)].iter_mut();
            // 0 added: no value is -0.
            own.zip(&answered.values)
                .zip(signs)
                .for_each(|((own, x), sign)| *own = 0.0 + sign * x);
            let rows = scores.objectives[m * at..m * (at + n)].chunks_exact(m);
            let fitness = scores.fitness[at..at + n].iter_mut().zip(rows);
            fitness.for_each(|(fitness, own)| *fitness = own.iter().sum::<f64>() / m as f64);
        }
        scores.descriptor[k * at..k * (at + n)].copy_from_slice(&answered.descriptor);
        match answered.steps.is_empty() {
            true => scores.steps[at..at + n].fill(1),
            false => scores.steps[at..at + n].copy_from_slice(&answered.steps),
        }
        self.task.shared.failures.store(0, Ordering::Relaxed);
    }

    /// Asks the program about rows of the batch, a `fresh` one or started anew if need be. A program that did not answer as it should is ended.
    fn ask(&mut self, rows: Range<usize>, fresh: bool) -> std::result::Result<Answered, Fault> {
        self.was_used = false;
        let (shared, agreed) = (&self.task.shared, &self.task.agreed);
        if shared.given_up() {
            return Err(Fault::Garbled("is not asked any more".into()));
        }
        if self.process.is_none() {
            let idle = if fresh { None } else { shared.idle().pop() };
            let started = idle.map_or_else(|| self.start(), Ok);
            self.process = Some(started?);
        }
        let asked = Asked {
            genes: &self.genes[agreed.dim * rows.start..agreed.dim * rows.end],
            seeds: &self.seeds[rows.clone()],
        };
        let shape = Shape {
            rows: rows.len(),
            objectives: agreed.objectives.len(),
            k: agreed.descriptor.len(),
            frames: agreed.greeting.frames,
            steps: agreed.greeting.steps,
        };
        protocol::request(shape.frames, &asked, &mut self.request);
        let process = self.process.as_mut().expect("just started");
        self.was_used = process.was_used;
        let mut failed = None;
        let answer = process.ask(
            &self.request,
            shared.limit,
            &|bytes, seen| shape.ends(bytes, seen),
            |bytes| shape.read(bytes, &mut failed),
        );
        match (answer, failed) {
            (Ok(Ok(_)), Some(why)) => Err(Fault::Said(why)),
            (Ok(Ok(answered)), None) => {
                process.was_used = true;
                Ok(answered)
            }
            (Ok(Err(what)), _) => Err(self.end(Fault::Garbled(what))),
            (Err(fault), _) => Err(self.end(fault)),
        }
    }

    fn start(&self) -> std::result::Result<Process, Fault> {
        let (process, greeting) = self.task.shared.greeted().map_err(Fault::Garbled)?;
        if greeting != self.task.agreed.greeting {
            process.kill();
            return Err(Fault::Garbled(
                "greeted otherwise than at the start: all that it says there must be the same".into(),
            ));
        }
        Ok(process)
    }

    fn end(&mut self, fault: Fault) -> Fault {
        if let Some(process) = self.process.take() {
            process.kill();
        }
        fault
    }
}

impl Drop for CommandWorker<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.task.shared.idle().push(process);
        }
    }
}
