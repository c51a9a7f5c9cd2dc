//! A user's own program as a reward: started once, kept running, asked by a line of JSON for each answer.
//!
//! A line asks `{"prompt": …, "answer": …, "reference": …}`; the program writes a line `{"reward": number}` for each, in the same order, and flushes it.
//! Several lines may be waiting, so it may answer them together.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use illume_core::{Error, Result, companion, was_killed};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::jsonl::short;
use super::{Case, Reward};

/// Longest line that is taken for an answer, in bytes.
const LONGEST: u64 = 1 << 20;
/// How long a program whose output has ended may take to end itself.
const END: Duration = Duration::from_secs(1);
/// Times that a program which fails is started again within one batch of answers, and one that is killed for one answer.
const RESTARTS: usize = 3;

/// Rewards by an external program.
pub struct CommandReward {
    /// The program and its arguments.
    command: Vec<String>,
    timeout: Duration,
    process: Mutex<Option<Process>>,
}

/// A running program; threads write to it and read from it, so that neither pipe can block the other.
struct Process {
    child: Child,
    /// Whether it has been waited for, so that its number may be another's.
    gone: bool,
    ask: Sender<String>,
    answers: Receiver<std::io::Result<String>>,
}

impl Process {
    /// Whether a signal has ended it, or, as a shell reports it, what it had started.
    fn was_killed(&mut self) -> bool {
        let silent = matches!(self.answers.try_recv(), Err(TryRecvError::Disconnected));
        let began = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.gone = true;
                    return was_killed(status);
                }
                // Its output ends a moment before it does.
                Ok(None) if silent && began.elapsed() < END => std::thread::sleep(Duration::from_millis(1)),
                _ => return false,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        // With what it has started; it may have left its group, or ended by itself.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_lines(mut stdin: ChildStdin, lines: &Receiver<String>) {
    for line in lines {
        // A program that reads no more is noticed by the answers that stay out.
        if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read_lines(stdout: ChildStdout, answers: &Sender<std::io::Result<String>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        let read = (&mut stdout).take(LONGEST).read_line(&mut line);
        let answer = match read {
            Ok(0) => return,
            Ok(_) => Ok(line),
            Err(e) => Err(e),
        };
        let over = answer.is_err();
        if answers.send(answer).is_err() || over {
            return;
        }
    }
}

impl CommandReward {
    /// Starts the program and asks it once, about `probe` with its own solution as answer.
    ///
    /// # Errors
    /// There is no such program, or it does not answer as it should.
    pub fn new(command: &[String], timeout: Duration, probe: &Case) -> Result<CommandReward> {
        let wrong = |message: String| Err(Error::config("task", "command", message));
        if command.is_empty() {
            return wrong(
                "empty: with reward = \"command\" it is a program and its arguments, as a list of strings".into(),
            );
        }
        let reward = CommandReward {
            command: command.into(),
            timeout,
            process: Mutex::new(None),
        };
        match reward.score(probe, &probe.solution) {
            Ok(_) => Ok(reward),
            Err(e) => wrong(e.to_string()),
        }
    }

    fn start(&self) -> Result<Process> {
        let mut child = companion(&self.command)
            .spawn()
            .map_err(|e| Error::failed(format!("{:?} cannot be started: {e}", self.command[0])))?;
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (ask, lines) = channel();
        let (sender, answers) = channel();
        std::thread::spawn(move || write_lines(stdin, &lines));
        std::thread::spawn(move || read_lines(stdout, &sender));
        Ok(Process {
            child,
            gone: false,
            ask,
            answers,
        })
    }

    /// The next answer of a running program.
    fn answer(&self, process: &Process) -> Result<f64> {
        let failed = |message: String| Err(Error::failed(format!("{:?} {message}", self.command[0])));
        match process.answers.recv_timeout(self.timeout) {
            Ok(Ok(line)) => match serde_json::from_str::<Value>(&line)
                .ok()
                .and_then(|v| v["reward"].as_f64())
            {
                Some(reward) => Ok(reward),
                None => failed(format!(
                    "answered {:?}, expected a line of JSON {{\"reward\": number}}",
                    short(line.trim_end())
                )),
            },
            Ok(Err(e)) => failed(format!("answered no text: {e}")),
            Err(RecvTimeoutError::Timeout) => failed(format!(
                "did not answer within {} s (task.timeout); it has to flush its output after each line",
                self.timeout.as_secs_f64()
            )),
            Err(RecvTimeoutError::Disconnected) => failed("ended without an answer".into()),
        }
    }
}

impl Reward for CommandReward {
    fn score(&self, case: &Case, answer: &str) -> Result<f64> {
        self.score_all(&[(case, answer)]).pop().expect("one answer, one reward")
    }

    /// After a failure the program is started again and asked for the rest; after a signal that ended it, for the same answer once more, since
    /// that says nothing of the answer.
    fn score_all(&self, answers: &[(&Case, &str)]) -> Vec<Result<f64>> {
        let mut running = self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut rewards = Vec::with_capacity(answers.len());
        let (mut failures, mut killed) = (0, 0);
        let mut last = String::new();
        while rewards.len() < answers.len() {
            if running.is_none() {
                if failures > RESTARTS {
                    rewards.push(Err(Error::failed(last.clone())));
                    continue;
                }
                match self.start() {
                    Ok(process) => *running = Some(process),
                    Err(e) => {
                        last = e.to_string();
                        failures = RESTARTS + 1;
                        continue;
                    }
                }
            }
            let process = running.as_mut().expect("just started");
            for (case, answer) in &answers[rewards.len()..] {
                let line = json!({"prompt": case.prompt, "answer": answer, "reference": case.answer});
                // Its end shows in the answers.
                let _ = process.ask.send(format!("{line}\n"));
            }
            while rewards.len() < answers.len() {
                let reward = self.answer(process);
                let over = reward.is_err();
                if over && killed < RESTARTS && process.was_killed() {
                    killed += 1;
                    *running = None;
                    break;
                }
                killed = 0;
                failures += usize::from(over);
                last = reward.as_ref().err().map(ToString::to_string).unwrap_or(last);
                rewards.push(reward);
                if over {
                    *running = None;
                    break;
                }
            }
        }
        rewards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(reference: &str) -> Case {
        Case {
            prompt: "p".into(),
            answer: reference.into(),
            solution: reference.into(),
            ..Case::default()
        }
    }

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(String::from).into()
    }

    const SECOND: Duration = Duration::from_secs(1);
    /// Rewards the length of the line; a line that holds "garble" is answered by garbage, one with "crash" ends it.
    const LENGTHS: &str = "while read -r line; do case \"$line\" in *garble*) echo what;; *crash*) exit 3;; *) echo \"{\\\"reward\\\": ${#line}}\";; esac; done";

    #[test]
    fn a_program_is_asked_line_by_line_and_kept_running() {
        let reward = CommandReward::new(&shell(LENGTHS), 60 * SECOND, &case("x")).unwrap();
        let base = reward.score(&case("x"), "").unwrap();
        let cases = [case("x"), case("xx")];
        let long = "y".repeat(70_000);
        let answers = [
            (&cases[0], "a"),
            (&cases[1], "abc"),
            (&cases[0], long.as_str()),
            (&cases[0], "two\nlines"),
        ];
        let found: Vec<f64> = reward.score_all(&answers).into_iter().map(Result::unwrap).collect();
        // A line's end is two characters in JSON.
        assert_eq!(found, [base + 1.0, base + 4.0, base + 70_000.0, base + 10.0]);
    }

    /// Far more than a pipe holds, asked of a program that reads all before it answers any.
    #[test]
    fn neither_pipe_blocks_the_other() {
        let script = "read -r first; echo '{\"reward\": 0}'; n=0; while [ $n -lt 100 ]; do read -r l; n=$((n+1)); done; \
                      n=0; while [ $n -lt 100 ]; do echo '{\"reward\": 0.5}'; n=$((n+1)); done; read -r l";
        let reward = CommandReward::new(&shell(script), 60 * SECOND, &case("x")).unwrap();
        let text = "z".repeat(2000);
        let one = case("x");
        let answers: Vec<(&Case, &str)> = (0..100).map(|_| (&one, text.as_str())).collect();
        assert!(reward.score_all(&answers).into_iter().all(|r| r.unwrap() == 0.5));
    }

    #[test]
    fn a_failure_costs_its_own_answer_alone() {
        let reward = CommandReward::new(&shell(LENGTHS), 60 * SECOND, &case("x")).unwrap();
        let one = case("x");
        let found = reward.score_all(&[(&one, "a"), (&one, "garble"), (&one, "b"), (&one, "crash"), (&one, "c")]);
        let ok: Vec<bool> = found.iter().map(Result::is_ok).collect();
        assert_eq!(ok, [true, false, true, false, true]);
        let message = found[1].as_ref().unwrap_err().to_string();
        assert!(
            message.contains("answered \"what\", expected a line of JSON {\"reward\": number}"),
            "{message}"
        );
        let message = found[3].as_ref().unwrap_err().to_string();
        assert!(message.contains("ended without an answer"), "{message}");
    }

    #[test]
    fn a_program_that_always_fails_is_given_up_within_a_batch() {
        let script = "read -r l; echo '{\"reward\": 1}'; read -r l; exit 1";
        let reward = CommandReward::new(&shell(script), 60 * SECOND, &case("x")).unwrap();
        let one = case("x");
        let answers = vec![(&one, "a"); 50];
        let found = reward.score_all(&answers);
        assert_eq!(found.len(), 50);
        assert!(found.iter().filter(|r| r.is_ok()).count() <= RESTARTS + 1);
    }

    #[test]
    fn what_is_wrong_with_a_program_is_said_at_the_start() {
        for (command, words) in [
            (vec![], "task.command: empty"),
            (
                vec!["no/such/program".to_string()],
                "\"no/such/program\" cannot be started",
            ),
            (
                shell("read -r l; echo hello"),
                "answered \"hello\", expected a line of JSON",
            ),
            (
                shell("read -r l; echo '{\"reward\": \"high\"}'"),
                "expected a line of JSON",
            ),
            (shell("exit 0"), "ended without an answer"),
        ] {
            let message = CommandReward::new(&command, 60 * SECOND, &case("x"))
                .err()
                .unwrap()
                .to_string();
            assert!(
                message.starts_with("task.command: ") && message.contains(words),
                "{message}"
            );
        }
        let slow = CommandReward::new(&shell("sleep 30"), Duration::from_millis(200), &case("x"));
        let message = slow.err().unwrap().to_string();
        assert!(message.contains("did not answer within 0.2 s"), "{message}");
        assert!(message.contains("flush"), "{message}");
    }

    /// What a scheduler or the system's want of memory does to it says nothing of the answer, and must not change a result.
    #[test]
    fn a_program_that_a_signal_ended_is_asked_the_same_again() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        // Directly, and under a shell that reports it: the first time that a line holds "fatal" a signal comes.
        for ended in ["kill -KILL $$", "sh -c 'kill -TERM $$'; exit $?"] {
            let script = format!(
                "while read -r l; do case \"$l\" in *fatal*) if [ ! -e {0} ]; then touch {0}; {ended}; fi;; esac; echo '{{\"reward\": 1}}'; done",
                mark.display()
            );
            let _ = std::fs::remove_file(&mark);
            let reward = CommandReward::new(&shell(&script), 60 * SECOND, &case("x")).unwrap();
            let one = case("x");
            let found = reward.score_all(&[(&one, "a"), (&one, "fatal"), (&one, "b")]);
            assert!(found.iter().all(|r| matches!(r, Ok(1.0))), "{found:?}");
            assert!(mark.exists());
        }
        let script = "while read -r l; do case \"$l\" in *fatal*) kill -KILL $$;; esac; echo '{\"reward\": 1}'; done";
        let reward = CommandReward::new(&shell(script), 60 * SECOND, &case("x")).unwrap();
        let one = case("x");
        let found = reward.score_all(&[(&one, "a"), (&one, "fatal"), (&one, "b"), (&one, "fatal"), (&one, "c")]);
        let ok: Vec<bool> = found.iter().map(Result::is_ok).collect();
        assert_eq!(
            ok,
            [true, false, true, false, true],
            "each time: it is the answer's fault"
        );
    }

    #[test]
    fn what_a_program_started_ends_with_it() {
        // The sleeper holds no pipe of the program's, so that nothing else ends it.
        let script = "sleep 600 < /dev/null > /dev/null 2>&1 & while read -r l; do echo \"{\\\"reward\\\": $!}\"; done";
        let reward = CommandReward::new(&shell(script), 60 * SECOND, &case("x")).unwrap();
        let sleeper = reward.score(&case("x"), "a").unwrap() as u32;
        let alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
            // One that nobody has waited for yet is a zombie.
            !stat.is_empty() && !stat.contains(") Z ")
        };
        assert!(alive());
        drop(reward);
        let began = Instant::now();
        while alive() && began.elapsed() < 20 * SECOND {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!alive());
    }

    #[test]
    fn a_program_is_in_a_group_of_its_own_and_python_flushes() {
        let script =
            "while read -r l; do echo \"{\\\"reward\\\": $PYTHONUNBUFFERED$(cut -d' ' -f5 /proc/$$/stat)}\"; done";
        let reward = CommandReward::new(&shell(script), 60 * SECOND, &case("x")).unwrap();
        let pid = reward.process.lock().unwrap().as_ref().unwrap().child.id();
        let expected: f64 = format!("1{pid}").parse().unwrap();
        assert_eq!(reward.score(&case("x"), "a").unwrap(), expected);
    }
}
