//! Speed of Frostbite from pixels, apart and together: `cargo bench -p illume-envs --features atari --bench atari`.
//!
//! The same stretch of one episode, again and again in turn: frames of the emulator alone; steps of the game with its picture;
//! the network alone on the frames that it saw; both together. Times are the thread's own on a processor where the system tells them
//! (Linux), and the fastest turn of each counts: neighbours on the machine only slow.

use std::hint::black_box;
use std::sync::{Barrier, LazyLock};
use std::time::Instant;

use illume_core::{Purpose, Stream};
use illume_envs::End;
use illume_envs::atari::{Ale, AtariParams, Game, rom};
use illume_envs::pixels::{ConvNet, ConvScratch, FrameStack, PixelEnv, PixelPolicyParams};

const GAME: &str = "frostbite";
/// Steps of the stretch, if the episode lasts as long.
const STEPS: usize = 150;
const TURNS: usize = 15;
/// Agent steps per second and core of the paper's run on 720 cores: a billion frames in an hour.
const PAPER: f64 = 1e9 / 4.0 / 3600.0 / 720.0;

/// Seconds that this thread has had a processor, or of the wall clock where that is not known.
fn clock() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let running = schedule.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    running.map_or_else(|| START.elapsed().as_secs_f64(), |nanoseconds| nanoseconds * 1e-9)
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One thread's emulator, game and network, and the stretch that it plays.
struct Player {
    ale: Ale,
    game: Game,
    net: ConvNet,
    genes: Vec<f32>,
    scratch: ConvScratch,
    frames: FrameStack,
    logits: Vec<f32>,
    actions: Vec<usize>,
    seen: Vec<FrameStack>,
}

impl Player {
    fn new(network: &str, index: u64) -> Player {
        let path = rom(GAME).expect("a ROM");
        let params = AtariParams {
            noops: 0,
            ..AtariParams::default()
        };
        let game = Game::new(Ale::open(&path).expect("an emulator"), &params);
        let policy = PixelPolicyParams {
            network: network.into(),
            ..PixelPolicyParams::default()
        };
        let net = ConvNet::new(&policy, game.actions());
        let mut genes = vec![0.0; net.params()];
        net.init().draw(&Stream::new(1, Purpose::Init, 0, index), &mut genes);
        let mut player = Player {
            ale: Ale::open(&path).expect("an emulator"),
            scratch: net.scratch(),
            logits: vec![0.0; game.actions()],
            frames: FrameStack::default(),
            actions: Vec::new(),
            seen: Vec::new(),
            game,
            net,
            genes,
        };
        player.start();
        while player.actions.len() < STEPS {
            player.seen.push(player.frames.clone());
            let action = player.choose();
            player.actions.push(action);
            if player.game.step(action, &mut player.frames).end != End::Running {
                break;
            }
        }
        player
    }

    /// The beginning of the stretch, in both emulators.
    fn start(&mut self) {
        self.ale.restart().expect("a game");
        self.game.reset(1, &mut self.frames);
    }

    fn choose(&mut self) -> usize {
        let pixels = &self.frames.pixels;
        self.net
            .forward(&self.genes, pixels, &mut self.scratch, &mut self.logits);
        let greatest = |best: usize, i: usize| if self.logits[i] > self.logits[best] { i } else { best };
        (0..self.logits.len()).fold(0, greatest)
    }

    /// Plays the stretch in one of four ways; seconds.
    fn play(&mut self, way: usize, barrier: &Barrier) -> f64 {
        self.start();
        let minimal = self.ale.facts().minimal.clone();
        barrier.wait();
        let started = clock();
        for step in 0..self.actions.len() {
            let action = self.actions[step];
            match way {
                0 => {
                    black_box(self.ale.act(&[minimal[action]; 4]).expect("a game"));
                }
                1 => {
                    black_box(self.game.step(action, &mut self.frames));
                }
                2 => {
                    std::mem::swap(&mut self.frames, &mut self.seen[step]);
                    black_box(self.choose());
                    std::mem::swap(&mut self.frames, &mut self.seen[step]);
                }
                _ => {
                    let chosen = self.choose();
                    assert_eq!(chosen, action, "the same stretch");
                    self.game.step(chosen, &mut self.frames);
                }
            }
        }
        let seconds = clock() - started;
        barrier.wait();
        seconds
    }
}

/// Steps per second of each way, over all threads.
fn measure(network: &str, threads: usize) -> [f64; 4] {
    let barrier = &Barrier::new(threads);
    let rates: Vec<[f64; 4]> = std::thread::scope(|scope| {
        let run = |index: u64| {
            let mut player = Player::new(network, index);
            let mut best = [f64::INFINITY; 4];
            for _ in 0..TURNS {
                for (way, best) in best.iter_mut().enumerate() {
                    *best = best.min(player.play(way, barrier));
                }
            }
            best.map(|seconds| player.actions.len() as f64 / seconds)
        };
        let players: Vec<_> = (0..threads as u64).map(|i| scope.spawn(move || run(i))).collect();
        players
            .into_iter()
            .map(|p| p.join().expect("a thread that does not panic"))
            .collect()
    });
    [0, 1, 2, 3].map(|way| rates.iter().map(|rate| rate[way]).sum())
}

fn main() {
    // `cargo test --benches` only asks whether it runs.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    println!(
        "{GAME}, {STEPS} steps of 4 frames, the fastest of {TURNS} turns; the paper's run made {PAPER:.0} steps/s a core"
    );
    println!(
        "| network | threads | emulator, frames/s | game with picture, steps/s | network, steps/s | together, steps/s | a core | \
         time against the sum of both |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for network in ["large", "small"] {
        for threads in [1, 2] {
            let [emulator, game, alone, together] = measure(network, threads);
            let sum = 1.0 / (1.0 / game + 1.0 / alone);
            println!(
                "| {network} | {threads} | {:.0} | {game:.0} | {alone:.0} | {together:.0} | {:.0} | {:.2} |",
                emulator * 4.0,
                together / threads as f64,
                sum / together
            );
        }
    }
}
