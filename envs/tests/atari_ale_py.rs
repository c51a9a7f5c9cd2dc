//! The Atari games against ale-py, ALE's own Python package: memory, points, lives and screen of every frame; and preprocessing
//! against one written anew in numpy (`tests/python/check_atari.py`).
//!
//! The interpreter is `ILLUME_PYTHON` (now, or when this was built), as `make setup` makes it.
#![cfg(feature = "atari")]

use std::io::Write;
use std::process::{Command, Stdio};

use illume_core::{Purpose, Stream};
use illume_envs::End;
use illume_envs::atari::{Ale, AtariParams, Game, rom};
use illume_envs::pixels::{FrameStack, PixelEnv, SIDE, STACK};

const FRAMES: u64 = 2500;
const STEPS: u64 = 300;

/// What the script writes when it is given these actions.
fn ask(arguments: &[&str], actions: &[i32]) -> Vec<u8> {
    let python = std::env::var("ILLUME_PYTHON")
        .ok()
        .or_else(|| option_env!("ILLUME_PYTHON").map(String::from))
        .expect("ILLUME_PYTHON is not set: `make setup` makes a Python with ale-py, and remembers it");
    let mut child = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/check_atari.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("ILLUME_PYTHON={python} does not start: {e}"));
    let text: String = actions.iter().map(|a| format!("{a}\n")).collect();
    // The script reads all of it before it writes anything.
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{python} check_atari.py {arguments:?} failed");
    output.stdout
}

fn integer(record: &[u8], place: usize) -> i32 {
    i32::from_le_bytes(record[4 * place..4 * place + 4].try_into().unwrap())
}

/// CRC-32 as zlib computes it.
fn checksum(bytes: impl Iterator<Item = u8>) -> i32 {
    let table: Vec<u32> = (0..256u32)
        .map(|i| (0..8).fold(i, |c, _| if c & 1 == 1 { 0xedb8_8320 ^ c >> 1 } else { c >> 1 }))
        .collect();
    !bytes.fold(!0u32, |c, b| table[((c ^ u32::from(b)) & 0xff) as usize] ^ c >> 8) as i32
}

fn random(seed: u64, count: u64, held: u64, choices: &[i32]) -> Vec<i32> {
    let stream = Stream::new(seed, Purpose::Variation, 0, 0);
    (0..count)
        .map(|i| choices[stream.below(i / held, choices.len() as u64) as usize])
        .collect()
}

#[test]
fn every_frame_is_that_of_ale_py() {
    let mut scored = 0;
    for game in ["frostbite", "skiing", "breakout", "pong", "qbert", "montezuma_revenge"] {
        let rom = rom(game).unwrap();
        let mut ale = Ale::open(&rom).unwrap();
        let facts = ale.facts().clone();
        let actions = random(1, FRAMES, 5, &facts.legal);
        let records = ask(&["frames", rom.to_str().unwrap()], &actions);
        assert_eq!(
            records.len(),
            actions.len() * (20 + 128),
            "{game}: records of all frames"
        );
        // Played before, so that starting again is tested too.
        ale.act(&random(2, 500, 3, &facts.minimal)).unwrap();
        ale.restart().unwrap();
        let mut points = 0;
        for (i, (action, record)) in actions.iter().zip(records.chunks_exact(148)).enumerate() {
            let outcome = ale.act(&[*action]).unwrap();
            points += outcome.reward.abs();
            let [newest, _] = ale.frames();
            let colors = newest.iter().flat_map(|pixel| facts.palette[usize::from(*pixel)]);
            let over = i32::from(outcome.over);
            let ours = [
                outcome.reward as i32,
                outcome.lives,
                over,
                checksum(newest.iter().copied()),
                checksum(colors),
            ];
            let theirs = [0, 1, 2, 3, 4].map(|place| integer(record, place));
            assert_eq!(ours, theirs, "{game}, frame {i}: points, lives, over, screen, colors");
            assert_eq!(ale.ram()[..], record[20..], "{game}, frame {i}: memory");
        }
        scored += u32::from(points > 0);
    }
    assert!(scored >= 4, "games without points prove little: {scored} have some");
}

#[test]
fn preprocessing_is_that_of_the_paper_written_in_numpy() {
    let mut worst = 0;
    for (game, fire, full, noops) in [
        ("frostbite", "auto", false, 30),
        ("breakout", "auto", false, 7),
        ("breakout", "never", true, 1),
        ("bank_heist", "auto", false, 12),
        ("skiing", "auto", false, 30),
    ] {
        let rom = rom(game).unwrap();
        let params = AtariParams {
            noops,
            fire: fire.into(),
            full_action_set: full,
            ..AtariParams::default()
        };
        let mut env = Game::new(Ale::open(&rom).unwrap(), &params);
        let seed = 11;
        let drawn = Stream::new(seed, Purpose::Episode, 0, 0).below(0, u64::from(noops)) + 1;
        let choices: Vec<i32> = (0..env.actions() as i32).collect();
        let actions = random(3, STEPS, 2, &choices);
        let flag = |b: bool| if b { "1" } else { "0" };
        let arguments = [
            "episode",
            rom.to_str().unwrap(),
            &drawn.to_string(),
            flag(fire == "auto"),
            flag(full),
        ];
        let records = ask(&arguments, &actions);
        let mut frames = FrameStack::default();
        env.reset(seed, &mut frames);
        let (mut history, mut different, mut compared) = (vec![vec![0; SIDE * SIDE]; STACK], 0, 0);
        let count = records.len() / (12 + SIDE * SIDE);
        for (i, record) in records.chunks_exact(12 + SIDE * SIDE).enumerate() {
            if i > 0 {
                let step = env.step(actions[i - 1] as usize, &mut frames);
                assert_eq!(step.reward as i32, integer(record, 0), "{game}, step {i}: points");
                assert_eq!(
                    step.end == End::Terminated,
                    integer(record, 2) == 1,
                    "{game}, step {i}: end"
                );
            }
            history.push(record[12..].to_vec());
            for (pixel, stack) in frames.pixels.chunks_exact(STACK).enumerate() {
                for (ours, theirs) in stack.iter().zip(&history[history.len() - STACK..]) {
                    let difference = i32::from(*ours).abs_diff(i32::from(theirs[pixel]));
                    // Single precision may round a number that lies between two bytes to the other one.
                    assert!(
                        difference <= 1,
                        "{game}, step {i}, pixel {pixel}: {ours} is not {}",
                        theirs[pixel]
                    );
                    different += difference;
                    compared += 1;
                }
            }
        }
        assert!(count > 100, "{game}: an episode of {count} steps proves little");
        assert!(
            different * 1000 < compared,
            "{game}: {different} of {compared} pixels differ"
        );
        worst = worst.max(different);
    }
    println!("at most {worst} pixels differ by 1");
}
