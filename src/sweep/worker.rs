//! A worker: claims runs, runs them as processes of their own, and writes what became of them, until nothing is left or it is told to stop.
//!
//! The main thread decides and keeps claims fresh; each slot is a thread that waits for one child at a time.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use illume_cluster::nursery::Nursery;
use illume_cluster::signals;
use illume_core::toml::Table;
use illume_core::{Error, Result};

use super::child::{Launch, Outcome};
use super::claims::{Claim, Ending, Past, State, TOUCH};
use super::deadline::{Deadline, NOTICE};
use super::queue::{Job, Jobs, Part, longest_first};
use super::result::{Curve, Results, Row, Status, Timing, read_run};
use super::{Claims, Sweep, duration};

/// What a worker is.
pub struct Work {
    /// The program that runs are started with.
    pub program: PathBuf,
    /// Cores that this worker may use.
    pub cores: usize,
    /// Number of this worker among those of its node, for GPUs.
    pub number: usize,
    /// Whether it is the first of those that a launcher started: mpirun ends the others when one leaves with a code other than 0, so they leave with 0
    /// and the first leaves last.
    pub first: bool,
    pub deadline: Option<Deadline>,
    /// This run alone.
    pub only: Option<String>,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// All runs have a result, of which so many are not done; the last one may be this worker's.
    Finished { failed: usize, last: bool },
    /// It was told to stop, or the allocation ends.
    Stopped,
    /// The run that it was asked for is in others' hands.
    Taken,
}

/// How often a worker that waits for others looks again.
const WAIT: Duration = Duration::from_millis(500);

/// How often it looks for signals.
const TICK: Duration = Duration::from_millis(100);

/// How long a run is left alone that another process still has, as one that outlives its worker by a checkpoint.
const BUSY: Duration = Duration::from_secs(2);

/// Least time that a run is given: none is begun that could not reach a checkpoint.
const LEAST: Duration = Duration::from_secs(10);

struct Task {
    job: Job,
    claim: Claim,
}

/// What a slot reports: the task with how it ended.
struct Report {
    task: Task,
    /// With the last lines of standard error.
    outcome: Result<(Outcome, Vec<String>)>,
    seconds: f64,
}

/// Works until nothing is left. Runs of one process that use no GPU are forks of the nurseries, of which a slot has one; where there is none, and for all others,
/// a run is a program of its own.
///
/// # Errors
/// The sweep's folder cannot be used, or runs cannot be started at all.
pub fn work(sweep: &mut Sweep, options: &Work, mut nurseries: Vec<Nursery>) -> Result<Left> {
    let threads = sweep.plan.resources.threads(options.cores);
    let ranks = sweep.plan.resources.ranks_per_run;
    // One worker takes care of steps on all nodes.
    let nodes = if sweep.plan.resources.are_steps() {
        nodes_of_job()
    } else {
        1
    };
    let slots = match options.only {
        Some(_) => 1,
        None => (options.cores * nodes / (threads * ranks)).max(1),
    };
    let forks = ranks == 1 && sweep.plan.resources.gpus_per_run == 0;
    nurseries.truncate(if forks { slots } else { 0 });
    let stop = AtomicBool::new(false);
    let gpus = Gpus::of_node(sweep.plan.resources.gpus_per_run);
    std::thread::scope(|scope| {
        let (tasks, received) = bounded::<(Sweep, Task)>(0);
        let (reports, reported) = unbounded::<Report>();
        for slot in 0..slots {
            let (received, reports) = (received.clone(), reports.clone());
            let place = Slot {
                options,
                threads,
                gpus: gpus.share(options.number * slots + slot),
                node_has_gpus: !gpus.names.is_empty(),
                nursery: nurseries.pop(),
                stop: &stop,
            };
            scope.spawn(move || place.serve(&received, &reports));
        }
        drop(received);
        let mut worker = Worker {
            claims: sweep.claims(),
            results: sweep.results()?,
            sweep,
            options,
            slots,
            running: HashMap::new(),
            resting: HashMap::new(),
            after_mine: 0,
            longest: Duration::ZERO,
            started: Instant::now(),
            touched: Instant::now(),
        };
        let left = worker.serve(&tasks, &reported);
        // Whatever happened, children are told and waited for.
        stop.store(true, Ordering::Relaxed);
        drop(tasks);
        while !worker.running.is_empty() {
            match reported.recv() {
                Ok(report) => worker.settle(report)?,
                Err(_) => break,
            }
        }
        if left.as_ref().is_ok_and(|left| *left == Left::Stopped) && options.first {
            worker.wait_for_others()?;
        }
        left
    })
}

/// Nodes of the Slurm job that this process belongs to, 1 outside of one.
fn nodes_of_job() -> usize {
    let number = std::env::var("SLURM_JOB_NUM_NODES")
        .ok()
        .and_then(|n| n.trim().parse().ok());
    number.unwrap_or(1)
}

/// Where one run after another finds its place.
struct Slot<'a> {
    options: &'a Work,
    threads: usize,
    gpus: Option<String>,
    node_has_gpus: bool,
    nursery: Option<Nursery>,
    stop: &'a AtomicBool,
}

impl Slot<'_> {
    fn serve(mut self, tasks: &Receiver<(Sweep, Task)>, reports: &Sender<Report>) {
        for (sweep, task) in tasks {
            let start = Instant::now();
            let outcome = self.run(&sweep, &task.job);
            let report = Report {
                task,
                outcome,
                seconds: start.elapsed().as_secs_f64(),
            };
            if reports.send(report).is_err() {
                return;
            }
        }
    }

    fn run(&mut self, sweep: &Sweep, job: &Job) -> Result<(Outcome, Vec<String>)> {
        let dir = sweep.run_dir(&job.id);
        // What was kept of a run whose result is gone: there is nothing to go on from.
        let [archive, checkpoint] = ["archive.h5", "checkpoint.h5"].map(|name| dir.join(name));
        if archive.exists() && !checkpoint.exists() && !dir.join("checkpoint.previous.h5").exists() {
            fs::remove_dir_all(&dir).map_err(|e| Error::failed(format!("cannot remove {}: {e}", dir.display())))?;
        }
        let configuration = sweep.run_config(&job.id);
        let text = sweep.plan.configurations[job.configuration].with_seed(job.seed);
        crate::engine::output::write_atomically(&configuration, text.as_bytes())?;
        let limit = duration::parse(&sweep.plan.resources.time_per_run).ok().flatten();
        let launch = Launch {
            program: &self.options.program,
            resources: &sweep.plan.resources,
            configuration,
            dir,
            evaluations: job.evaluations,
            threads: self.threads,
            gpus: self.gpus.clone(),
            limit,
        };
        let mut none = None;
        let alone = self.node_has_gpus && may_take_gpu(&text);
        launch.run(if alone { &mut none } else { &mut self.nursery }, self.stop)
    }
}

struct Worker<'a> {
    sweep: &'a mut Sweep,
    options: &'a Work,
    claims: Claims,
    results: Results,
    slots: usize,
    running: HashMap<String, Claim>,
    /// Runs to be left alone until then.
    resting: HashMap<String, Instant>,
    /// Results that were there after this worker wrote one.
    after_mine: usize,
    /// Of the attempts that ended here.
    longest: Duration,
    started: Instant,
    touched: Instant,
}

impl Worker<'_> {
    fn serve(&mut self, tasks: &Sender<(Sweep, Task)>, reported: &Receiver<Report>) -> Result<Left> {
        let mut look = Instant::now();
        loop {
            if signals::stop_requested() || self.options.deadline.is_some_and(|d| d.left().is_zero()) {
                self.say("stopping: running runs write a checkpoint and go back into the queue");
                return Ok(Left::Stopped);
            }
            if self.running.len() < self.slots && Instant::now() >= look {
                match self.next()? {
                    Next::Task(task) => {
                        self.running.insert(task.job.name.clone(), task.claim.clone());
                        tasks
                            .send((self.sweep.clone(), *task))
                            .map_err(|_| Error::failed("the threads that wait for runs are gone"))?;
                        continue;
                    }
                    Next::Nothing(left) if self.running.is_empty() => return Ok(left),
                    Next::Nothing(_) | Next::Wait => look = Instant::now() + WAIT,
                }
            }
            match reported.recv_timeout(TICK) {
                Ok(report) => {
                    self.settle(report)?;
                    look = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::failed("the threads that wait for runs are gone"));
                }
            }
            if self.touched.elapsed() >= TOUCH {
                self.running.values().for_each(|claim| self.claims.touch(claim));
                self.touched = Instant::now();
            }
        }
    }

    /// While others of the launch still wait for their runs' checkpoints.
    fn wait_for_others(&self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < NOTICE && self.claims.others_of_launch()? {
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// The next run that nobody has.
    fn next(&mut self) -> Result<Next> {
        self.sweep.refresh()?;
        self.results.refresh()?;
        let Jobs {
            mut known, complete, ..
        } = self.sweep.plan.jobs(&self.results);
        if let Some(only) = &self.options.only {
            known.retain(|job| job.id == *only);
        }
        let open = longest_first(&self.sweep.plan, &known, &self.results);
        if open.is_empty() && (complete || self.options.only.is_some()) {
            let failed = known.iter().filter_map(|job| self.results.get(&job.name));
            let failed = failed.filter(|row| row.status != Status::Done).count();
            let last = self.after_mine == self.results.iter().count();
            return Ok(Next::Nothing(Left::Finished { failed, last }));
        }
        if self.too_late() {
            return Ok(Next::Nothing(Left::Stopped));
        }
        let claimed = self.claims.list()?;
        for job in open {
            let resting = self.resting.get(&job.name).is_some_and(|until| Instant::now() < *until);
            if self.running.contains_key(&job.name) || resting {
                continue;
            }
            let numbers = claimed.get(&job.name).map_or(&[][..], Vec::as_slice);
            let State::Free { next, past } = self.claims.state(&job.name, numbers)? else {
                continue;
            };
            if let Some(why) = self.given_up(&past) {
                self.give_up(&job, past, numbers, why)?;
                continue;
            }
            if let Some(claim) = self.claims.take(
                &job.name,
                next,
                past,
                &self.sweep.run_dir(&job.id).join("checkpoint.h5"),
            )? {
                // It may have been finished, and its claims removed, since the results were read.
                if self.results.look_for(&job.name)? {
                    self.claims.clear(&job.name, &[next]);
                    continue;
                }
                return Ok(Next::Task(Box::new(Task { job, claim })));
            }
        }
        match self.options.only {
            Some(_) if self.running.is_empty() && self.resting.is_empty() => Ok(Next::Nothing(Left::Taken)),
            _ => Ok(Next::Wait),
        }
    }

    /// Whether a run that is begun now might not reach a checkpoint: a signal is heeded after a generation.
    fn too_late(&self) -> bool {
        self.options
            .deadline
            .is_some_and(|d| d.left() < LEAST.min(self.longest.max(Duration::from_secs(1))))
    }

    fn given_up(&self, past: &Past) -> Option<String> {
        let retry = &self.sweep.plan.retry;
        if past.crashed as usize >= retry.attempts {
            return Some(past.why.clone());
        }
        (past.lost_in_vain as usize >= retry.lost).then(|| {
            format!(
                "{} workers vanished one after another while they had it, and it got no further (retry.lost = {})",
                past.lost_in_vain, retry.lost
            )
        })
    }

    /// Takes in how an attempt ended.
    fn settle(&mut self, report: Report) -> Result<()> {
        let Report { task, outcome, seconds } = report;
        let Task { job, claim } = task;
        self.running.remove(&job.name);
        self.longest = self.longest.max(Duration::from_secs_f64(seconds));
        let (outcome, stderr) = match outcome {
            Ok(ended) => ended,
            Err(e) => {
                self.claims.end(&claim, Ending::Interrupted)?;
                return Err(e);
            }
        };
        match outcome {
            Outcome::Done => match read_run(&self.sweep.run_dir(&job.id), self.sweep.plan.metric.evaluate > 0) {
                Ok((mut row, curve)) => self.finish(&job, &claim, &mut row, &curve),
                Err(e) => self.crashed(&job, &claim, format!("it ended well, but {e}"), stderr),
            },
            Outcome::Wrong => {
                let error = complaint(&stderr).unwrap_or_default();
                let mut row = undone(Status::Wrong, error, stderr);
                self.finish(&job, &claim, &mut row, &Curve::default())
            }
            Outcome::Interrupted => {
                self.resting.insert(job.name.clone(), Instant::now() + BUSY);
                self.claims.end(&claim, Ending::Interrupted)
            }
            Outcome::Crashed(mut why) => {
                if let Some(words) = complaint(&stderr) {
                    why += &format!(": {words}");
                }
                self.crashed(&job, &claim, why, stderr)
            }
        }
    }

    fn crashed(&mut self, job: &Job, claim: &Claim, why: String, stderr: Vec<String>) -> Result<()> {
        let attempt = claim.past.crashed + 1;
        let most = self.sweep.plan.retry.attempts;
        self.say(&format!(
            "{} crashed, attempt {attempt} of {most}: {why}",
            self.name(job)
        ));
        self.claims.end(claim, Ending::Crashed { why, stderr })
    }

    fn give_up(&mut self, job: &Job, past: Past, numbers: &[u32], why: String) -> Result<()> {
        let mut row = undone(Status::Failed, why, past.stderr.clone());
        count(&mut row, &past, past.crashed);
        self.write(job, &row, &Curve::default())?;
        self.claims.clear(&job.name, numbers);
        self.say(&format!("{} failed: {}", self.name(job), row.error));
        Ok(())
    }

    fn write(&mut self, job: &Job, row: &Row, curve: &Curve) -> Result<()> {
        self.results.write(&job.name, row, curve)?;
        self.results.refresh()?;
        self.after_mine = self.results.iter().count();
        Ok(())
    }

    /// Writes a result and removes what is not kept.
    fn finish(&mut self, job: &Job, claim: &Claim, row: &mut Row, curve: &Curve) -> Result<()> {
        count(row, &claim.past, claim.past.crashed + 1);
        row.timing.host = crate::engine::lock::Holder::this().host;
        self.write(job, row, curve)?;
        if let Some(numbers) = self.claims.list()?.get(&job.name) {
            self.claims.clear(&job.name, numbers);
        }
        let rung = matches!(job.part, Part::Rung(_));
        if row.status == Status::Done && !(rung && job.evaluations.is_some()) {
            self.sweep.keep(&job.id);
        }
        let jobs = self.sweep.plan.jobs(&self.results);
        let done = jobs
            .known
            .iter()
            .filter(|j| self.results.get(&j.name).is_some())
            .count();
        let metric = &self.sweep.plan.metric.name;
        let value = row.value(metric).map_or("-".into(), crate::engine::output::significant);
        let what = match row.status {
            Status::Done => format!("{metric} {value}"),
            _ => row.error.clone(),
        };
        let time = duration::words(self.started.elapsed().as_secs_f64());
        self.say(&format!(
            "{done} of {} runs  {time}  {}: {what}",
            jobs.known.len(),
            self.name(job)
        ));
        Ok(())
    }

    fn name(&self, job: &Job) -> String {
        format!(
            "{} ({}, seed {})",
            job.name, self.sweep.plan.configurations[job.configuration].label, job.seed
        )
    }

    fn say(&self, text: &str) {
        // A closed stderr (mpirun stopping) must not panic.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

enum Next {
    Task(Box<Task>),
    /// There may be something later.
    Wait,
    /// There will be nothing once what runs here has ended.
    Nothing(Left),
}

/// The run's own words on why it ended.
fn complaint(stderr: &[String]) -> Option<String> {
    let words = stderr.iter().rev().find_map(|line| line.strip_prefix("illume: "));
    words.map(str::to_string)
}

/// What became of a run's attempts, of which so many ended.
fn count(row: &mut Row, past: &Past, attempts: u32) {
    row.timing.attempts = attempts;
    row.timing.lost = past.lost;
    row.timing.interrupted = past.interrupted;
}

fn undone(status: Status, error: String, stderr: Vec<String>) -> Row {
    Row {
        status,
        error,
        stderr,
        values: Vec::new(),
        timing: Timing::default(),
    }
}

impl Sweep {
    /// Removes of a finished run's directory what is not to be kept.
    pub(super) fn keep(&self, id: &str) {
        let dir = self.run_dir(id);
        let _ = match self.plan.keep.as_str() {
            "all" => return,
            "metrics" => fs::remove_dir_all(&dir),
            _ => fs::read_dir(&dir).map(|entries| {
                for entry in entries.flatten() {
                    let kept = ["archive.h5", "eval.h5"].iter().any(|name| entry.file_name() == *name);
                    if !kept {
                        let _ = fs::remove_file(entry.path());
                    }
                }
            }),
        };
        let _ = fs::remove_file(self.run_config(id));
    }
}

/// Whether a configuration leaves open, or says, that its run uses a GPU: CUDA in a fork is not tested.
fn may_take_gpu(text: &str) -> bool {
    let table: Table = text.parse().unwrap_or_default();
    let mut devices = table.values().filter_map(|section| section.get("device")?.as_str());
    devices.any(|device| device != "cpu")
}

/// The GPUs that runs are given in turn.
struct Gpus {
    names: Vec<String>,
    per_run: usize,
}

impl Gpus {
    /// Those that `CUDA_VISIBLE_DEVICES` names, or all of the node.
    fn of_node(per_run: usize) -> Gpus {
        let named = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        let names: Vec<String> = match named {
            Some(list) => list
                .split(',')
                .map(|name| name.trim().to_string())
                .filter(|name| !name.is_empty())
                .collect(),
            None => (0..64)
                .take_while(|i| fs::exists(format!("/dev/nvidia{i}")).unwrap_or(false))
                .map(|i| i.to_string())
                .collect(),
        };
        Gpus { names, per_run }
    }

    /// For slot number `slot` of the node; none if GPUs are left alone.
    fn share(&self, slot: usize) -> Option<String> {
        if self.per_run == 0 || self.names.is_empty() {
            return None;
        }
        let one = |i: usize| self.names[(slot * self.per_run + i) % self.names.len()].clone();
        let mut own: Vec<String> = (0..self.per_run.min(self.names.len())).map(one).collect();
        own.dedup();
        Some(own.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_whether_a_gpu_may_be_used() {
        assert!(may_take_gpu("[strategy]\ndevice = \"auto\"\n") && may_take_gpu("[policy]\ndevice = \"cuda\"\n"));
        assert!(!may_take_gpu("[policy]\ndevice = \"cpu\"\n") && !may_take_gpu("seed = 1\n[task]\nname = \"arm\"\n"));
    }

    #[test]
    fn slots_take_gpus_in_turn() {
        let gpus = |n: usize, per_run| Gpus {
            names: (0..n).map(|i| i.to_string()).collect(),
            per_run,
        };
        let of = |g: &Gpus| (0..5).map(|slot| g.share(slot).unwrap()).collect::<Vec<_>>();
        assert_eq!(of(&gpus(4, 1)), ["0", "1", "2", "3", "0"]);
        assert_eq!(of(&gpus(4, 2)), ["0,1", "2,3", "0,1", "2,3", "0,1"]);
        assert_eq!(of(&gpus(1, 2)), ["0"; 5]);
        assert_eq!((gpus(0, 1).share(0), gpus(4, 0).share(0)), (None, None));
    }
}
