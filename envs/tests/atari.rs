//! The Atari games: emulators that start again are as good as new, episodes follow the Deep GA program's rules.
#![cfg(feature = "atari")]

use illume_core::{Purpose, Result, Stream, Task, TaskConfig, toml};
use illume_envs::atari::{ATARI_TASKS, Ale, AtariParams, Game, NOOP, PREFIX, rom};
use illume_envs::pixels::{FrameStack, PixelEnv};
use illume_envs::{End, build};

fn open(game: &str) -> Ale {
    Ale::open(&rom(game).unwrap()).unwrap_or_else(|e| panic!("{game}: {e}"))
}

fn games() -> impl Iterator<Item = &'static str> {
    ATARI_TASKS.iter().map(|name| name.strip_prefix(PREFIX).unwrap())
}

/// Everything that can be seen of an emulator, as one number.
fn digest(ale: &Ale, seen: u64) -> u64 {
    let [newest, previous] = ale.frames();
    [newest, previous, ale.ram()].into_iter().fold(seen, mixed)
}

fn mixed(seen: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|w| u64::from_le_bytes(*w));
    let all = words.chain(rest.iter().map(|b| u64::from(*b)));
    all.fold(seen, |h, word| {
        (h ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    })
}

/// Plays random actions of the game's own; gives what was seen at each of them, and whether it ended.
fn play(ale: &mut Ale, seed: u64, frames: u64) -> (Vec<u64>, bool) {
    let stream = Stream::new(seed, Purpose::Variation, 0, 0);
    let actions = ale.facts().minimal.clone();
    let mut seen = vec![digest(ale, 0)];
    for i in 0..frames {
        // Held for a while, as policies do.
        let action = actions[stream.below(i / 7, actions.len() as u64) as usize];
        let outcome = ale.act(&[action]).unwrap();
        seen.push(digest(ale, outcome.reward as u64 ^ (outcome.lives as u64) << 32));
        if outcome.over {
            return (seen, true);
        }
    }
    (seen, false)
}

#[test]
fn an_emulator_that_starts_again_is_as_good_as_new_in_every_game() {
    let mut ended = 0;
    for game in games() {
        let expected = play(&mut open(game), 1, 150).0;
        let mut used = open(game);
        // Frostbite is played until it is over.
        let many = if game == "frostbite" { 100_000 } else { 400 };
        for (seed, before) in [(2, many), (3, 1)] {
            ended += u32::from(play(&mut used, seed, before).1);
            used.restart().unwrap();
            let again = play(&mut used, 1, 150).0;
            let same = expected.iter().zip(&again).take_while(|(a, b)| a == b).count();
            assert!(again == expected, "{game}: differs from frame {same} on");
        }
    }
    assert_eq!(ended, 1, "Frostbite was over before it was started again");
}

#[test]
fn the_games_are_those_that_there_are_roms_for() {
    let folder = rom("frostbite").unwrap().parent().unwrap().to_path_buf();
    let mut playable: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin") && Ale::open(path).is_ok())
        .map(|path| format!("{PREFIX}{}", path.file_stem().unwrap().display()))
        .collect();
    playable.sort();
    assert_eq!(playable, ATARI_TASKS);
}

fn game(name: &str, edit: impl FnOnce(&mut AtariParams)) -> Game {
    let mut params = AtariParams::default();
    edit(&mut params);
    Game::new(open(name), &params)
}

/// Points and ends of an episode under the given actions, and a digest of all that was seen.
fn episode(game: &mut Game, seed: u64, actions: &[usize]) -> (Vec<f64>, End, u64) {
    let mut frames = FrameStack::default();
    game.reset(seed, &mut frames);
    let (mut points, mut end, mut seen) = (Vec::new(), End::Running, 0);
    for action in actions {
        let step = game.step(*action, &mut frames);
        points.push(step.reward);
        seen = mixed(digest(game.ale(), seen), &frames.pixels);
        end = step.end;
        if end != End::Running {
            break;
        }
    }
    (points, end, seen)
}

fn random(game: &Game, seed: u64, steps: u64) -> Vec<usize> {
    let stream = Stream::new(seed, Purpose::Variation, 0, 0);
    (0..steps)
        .map(|i| stream.below(i / 3, game.actions() as u64) as usize)
        .collect()
}

#[test]
fn an_episode_is_a_function_of_seed_and_actions() {
    for sticky in [0.0, 0.25] {
        let make = || game("breakout", |p| p.sticky_actions = sticky);
        let (mut a, mut b) = (make(), make());
        let actions = random(&a, 1, 200);
        let first = episode(&mut a, 5, &actions);
        let disturbing = random(&b, 2, 60);
        episode(&mut b, 9, &disturbing);
        assert_eq!(episode(&mut b, 5, &actions), first);
        assert_ne!(episode(&mut b, 6, &actions).2, first.2, "the seed matters");
    }
    let mut still = game("breakout", |p| p.noops = 0);
    let actions = random(&still, 1, 100);
    assert_eq!(
        episode(&mut still, 1, &actions),
        episode(&mut still, 2, &actions),
        "without no-ops it does not"
    );
}

#[test]
fn sticky_actions_repeat_the_last_frame_as_often_as_they_say() {
    let mut frames = FrameStack::default();
    // Always: nothing is ever done but what is done before the first action, which is nothing.
    let mut stuck = game("pong", |p| {
        (p.sticky_actions, p.fire, p.noops) = (1.0, "never".into(), 0)
    });
    let mut idle = open("pong");
    stuck.reset(1, &mut frames);
    for action in random(&stuck, 1, 50) {
        stuck.step(action, &mut frames);
        idle.act(&[NOOP; 4]).unwrap();
    }
    assert_eq!(stuck.ale().ram(), idle.ram());
    // Sometimes: an emulator that is told which.
    let mut sticky = game("pong", |p| {
        (p.sticky_actions, p.fire, p.noops) = (0.25, "never".into(), 0)
    });
    let mut told = open("pong");
    let (actions, minimal) = (random(&sticky, 1, 250), told.facts().minimal.clone());
    sticky.reset(7, &mut frames);
    let draws = Stream::new(7, Purpose::Episode, 0, 1);
    let (mut last, mut repeated) = (NOOP, 0);
    for (i, action) in actions.iter().enumerate() {
        sticky.step(*action, &mut frames);
        for frame in 4 * i..4 * i + 4 {
            let stays = draws.uniform(frame as u64) < 0.25;
            repeated += u32::from(stays);
            last = if stays { last } else { minimal[*action] };
            told.act(&[last]).unwrap();
        }
    }
    assert_eq!(sticky.ale().ram(), told.ram());
    assert!(
        (200..300).contains(&repeated),
        "{repeated} of 1000 frames at probability 0.25"
    );
}

#[test]
fn a_lost_life_ends_an_episode_where_that_is_asked_for() {
    let [mut whole, mut cut] = [false, true].map(|ends| game("breakout", |p| p.end_on_life_loss = ends));
    let actions = vec![0; 400];
    let (all, some) = (episode(&mut whole, 1, &actions), episode(&mut cut, 1, &actions));
    assert_eq!(some.1, End::Terminated);
    assert!(some.0.len() < all.0.len(), "{} and {} steps", some.0.len(), all.0.len());
    assert_eq!(cut.ale().facts().minimal.len(), 4);
    assert_eq!(game("breakout", |p| p.full_action_set = true).actions(), 18);
}

#[test]
fn the_joystick_is_the_mean_of_what_was_chosen() {
    let mut frostbite = game("frostbite", |_| {});
    // ALE's numbers, since Frostbite has all 18 actions: right, up and right, down with FIRE, nothing.
    episode(&mut frostbite, 1, &[3, 6, 13, 0]);
    let mut mean = [9.0; 2];
    frostbite.descriptor(&mut mean);
    assert_eq!(mean, [0.5, 0.0]);
    episode(&mut frostbite, 1, &[]);
    frostbite.descriptor(&mut mean);
    assert_eq!(mean, [0.0, 0.0], "before any action");
}

#[test]
fn memory_is_sampled_at_its_times_and_the_last_stays() {
    let mut pong = game("pong", |p| {
        (p.descriptor, p.ram_samples, p.ram_interval) = ("ram".into(), 4, 3)
    });
    let actions = random(&pong, 1, 10);
    let mut frames = FrameStack::default();
    pong.reset(1, &mut frames);
    let mut seen = Vec::new();
    for action in actions {
        pong.step(action, &mut frames);
        seen.push(*pong.ale().ram());
    }
    let mut samples = vec![0.0; 4 * 128];
    pong.descriptor(&mut samples);
    for (sample, step) in samples.chunks_exact(128).zip([2, 5, 8, 9]) {
        let expected = seen[step].map(|byte| f64::from(byte) / 255.0);
        assert_eq!(sample, expected, "after step {step}");
    }
}

fn made(task: &str) -> Result<Box<dyn Task>> {
    let task: toml::Table = task.parse().unwrap();
    let policy = toml::Table::new();
    build(&TaskConfig {
        task: &task,
        genes: None,
        policy: &policy,
        ranks: 1,
    })
}

/// The message of a `[task]` that is refused.
fn refused(task: &str) -> String {
    made(task).err().unwrap().to_string()
}

/// `tf_atari.py:37-39`: `100000 * self.frameskip` frames where a test sets no limit, 5000 steps otherwise.
#[test]
fn tests_are_as_long_as_the_deep_ga_programs() {
    let task = made("name = \"atari/frostbite\"").unwrap();
    let spec = task.spec();
    assert_eq!((spec.max_steps, spec.test_steps), (5000, 100_000));
    assert_eq!(spec.test_steps * spec.frames_per_step, 400_000);
}

#[test]
fn wrong_parameters_are_refused_in_a_sentence() {
    for (option, words) in [
        (
            "sticky_actions = 1.5",
            "task.sticky_actions: expected a number, from 0 to 1, got 1.5",
        ),
        (
            "frame_skip = 0",
            "task.frame_skip: expected a non-negative integer, from 1 to 60",
        ),
        (
            "descriptor = \"rams\"",
            "task.descriptor: expected a string, one of \"joystick\", \"ram\", \"none\"",
        ),
        ("noop = 3", "task.noop: unknown key; did you mean \"noops\"?"),
    ] {
        let message = refused(&format!("name = \"atari/pong\"\n{option}"));
        assert!(message.contains(words), "{message}");
    }
    assert!(refused("name = \"atari/frostbit\"").contains("did you mean \"atari/frostbite\"?"));
}

#[test]
fn a_rom_that_is_damaged_or_unknown_is_refused_in_a_sentence() {
    let folder = std::env::temp_dir().join(format!("illume-roms-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut bytes = std::fs::read(rom("pong").unwrap()).unwrap();
    bytes[100] ^= 1;
    for (name, bytes, words) in [
        (
            "pong.bin",
            &bytes[..],
            "the file is damaged or of another version: its MD5 is",
        ),
        ("pong.bin", &[], "the file is damaged"),
        ("chess_of_mine.bin", &bytes[..], "this is no game that ALE knows"),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = Ale::open(&path).unwrap_err().to_string();
        assert!(
            message.starts_with(path.to_str().unwrap()) && message.contains(words),
            "{message}"
        );
    }
    let missing = Ale::open(&folder.join("tennis.bin")).unwrap_err().to_string();
    assert!(missing.contains("the file cannot be read"), "{missing}");
    std::fs::remove_dir_all(folder).unwrap();
}
