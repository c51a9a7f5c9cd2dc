//! Nurseries, in a program of one thread.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use illume_cluster::children::{self, wait_readable};
use illume_cluster::nursery::Nursery;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the forks do.
fn entry(arguments: Vec<OsString>) -> u8 {
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap()).collect();
    match words[1..] {
        ["code", code] => return code.parse().unwrap(),
        ["signal", number] => signal_hook::low_level::emulate_default_handler(number.parse().unwrap()).unwrap(),
        ["say", text] => eprintln!("{text}"),
        ["say", text, variable] => eprintln!("{text} {:?}", std::env::var(variable).ok()),
        ["name"] => eprint!("{}", std::fs::read_to_string("/proc/self/comm").unwrap()),
        ["loud"] => (0..100_000).for_each(|i| eprintln!("line {i}")),
        ["sleep"] => std::thread::sleep(Duration::from_secs(100)),
        ["threads"] => {
            let sum = std::thread::scope(|scope| (0..4_u8).map(|i| scope.spawn(move || i).join().unwrap()).sum());
            println!("nobody reads this");
            return sum;
        }
        _ => panic!("{words:?}"),
    }
    0
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new("program");
    command.args(words);
    command
}

/// Runs one to its end; with what it said.
fn run(nursery: &mut Nursery, command: &Command) -> (ExitStatus, String) {
    nursery.start(command, "some run").unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 1 << 16];
    loop {
        wait_readable(&[nursery.end(), nursery.errors().as_fd()], Duration::from_secs(60)).unwrap();
        let ended = nursery.try_wait().unwrap();
        if let Ok(n) = nursery.errors().read(&mut buffer) {
            said.extend(&buffer[..n]);
        }
        if let Some(status) = ended {
            return (status, String::from_utf8(said).unwrap());
        }
    }
}

fn main() {
    let mut nurseries = Nursery::open(3, entry);
    assert_eq!(nurseries.len(), 3);
    let nursery = &mut nurseries[1];

    for code in [0, 2, 75, 255] {
        let (status, _) = run(nursery, &command(&["code", &code.to_string()]));
        assert_eq!(status.code(), Some(code));
    }
    for number in [2, 9, 10, 11, 15] {
        let (status, _) = run(nursery, &command(&["signal", &number.to_string()]));
        assert_eq!(status.signal(), Some(number));
    }
    let panicked = run(nursery, &command(&["what?"]));
    assert!(
        panicked.0.code() == Some(101) && panicked.1.contains("what?"),
        "{panicked:?}"
    );
    assert_eq!(run(nursery, &command(&["threads"])).0.code(), Some(6));

    // What it says, whatever it is, the last words too.
    assert_eq!(run(nursery, &command(&["say", "a b\n\"c\"="])).1, "a b\n\"c\"=\n");
    assert_eq!(run(nursery, &command(&["say", ""])).1, "\n");
    let loud = run(nursery, &command(&["loud"])).1;
    assert!(loud.starts_with("line 0\n") && loud.ends_with("line 99999\n"));
    assert_eq!(run(nursery, &command(&["name"])).1, "some run\n");

    // An environment of its own.
    let mut with = command(&["say", "got", "ILLUME_TEST"]);
    with.env("ILLUME_TEST", "x=y");
    assert_eq!(run(nursery, &with).1, "got Some(\"x=y\")\n");
    assert_eq!(run(nursery, &command(&["say", "got", "ILLUME_TEST"])).1, "got None\n");
    let mut without = command(&["say", "got", "PATH"]);
    without.env_remove("PATH");
    assert_eq!(run(nursery, &without).1, "got None\n");

    // Several beside one another, ended by signals to their groups, of which the nurseries know nothing.
    let sleep = command(&["sleep"]);
    let pids: Vec<u32> = nurseries
        .iter_mut()
        .map(|n| n.start(&sleep, "sleeps").unwrap())
        .collect();
    children::terminate(pids[0]);
    children::kill(pids[2]);
    for (i, number) in [(0, 15), (2, 9)] {
        wait_readable(&[nurseries[i].end()], Duration::from_secs(60)).unwrap();
        let status = nurseries[i].try_wait().unwrap().unwrap();
        assert_eq!(status.signal(), Some(number));
    }
    assert_eq!(nurseries[1].try_wait().unwrap(), None);

    // A nursery that is killed takes its run with it, and says so when that is gone.
    let parent = |pid: u32| -> u32 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after = stat.rsplit_once(')').unwrap().1;
        after.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    children::kill(parent(pids[1]));
    wait_readable(&[nurseries[1].end()], Duration::from_secs(60)).unwrap();
    assert_eq!(
        nurseries[1].try_wait().unwrap_err().kind(),
        std::io::ErrorKind::UnexpectedEof
    );
    assert!(nurseries[1].start(&sleep, "none").is_err());
    assert_eq!(run(&mut nurseries[0], &command(&["code", "7"])).0.code(), Some(7));

    // Dropped, it ends, and so does its run.
    let pid = nurseries[2].start(&sleep, "sleeps").unwrap();
    drop(nurseries);
    let start = Instant::now();
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z")) {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }

    // Open files are left for other work.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(64),
            ..limit
        },
    )
    .unwrap();
    assert_eq!(Nursery::open(100, entry).len(), 8);

    // A process with a second thread makes none.
    std::thread::scope(|scope| {
        let (send, wait) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || wait.recv());
        assert!(Nursery::open(1, entry).is_empty());
        drop(send);
    });
    let _ = writeln!(std::io::stdout(), "nurseries: ok");
}
