use super::*;
use crate::testing::{evaluate, push, task};

fn game(iterations: i32) -> Game {
    let mut game = Game {
        state: State::default(),
        pays: true,
        iterations,
    };
    game.reset(0, &mut [0.0; OBSERVATION]);
    game
}

/// The authors' program under these pushes (tools/record_curling.py). Nothing but rounding differs at first; what a ball does after it met arm and walls many times hangs on that.
#[test]
fn pushes_take_ball_and_arm_where_the_authors_program_says() {
    let lines = include_str!("../../tests/data/curling.csv").lines().skip(1);
    let rows: Vec<Vec<f64>> = lines
        .map(|line| line.split(',').map(|v| v.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 300);
    let mut errors: std::collections::BTreeMap<u32, Vec<f64>> = Default::default();
    let mut observation = [0.0; OBSERVATION];
    for pushed in rows.chunk_by(|a, b| a[0] == b[0]) {
        let (mut game, mut step) = (game(100), 0);
        for row in pushed {
            while step < row[1] as u32 {
                game.step(&push::<ACTION>(row[0] as u32, step, 25), &mut observation);
                step += 1;
            }
            let error = observation
                .iter()
                .zip(&row[2..6])
                .map(|(a, b)| (f64::from(*a) - b).abs());
            errors.entry(step).or_default().push(error.fold(0.0, f64::max));
        }
    }
    for (step, errors) in &mut errors {
        errors.sort_by(f64::total_cmp);
        let share = |share: f64| errors[(share * errors.len() as f64) as usize];
        let (median, most) = match step {
            25 => (1e-4, 5e-3),
            50 => (1e-4, 0.01),
            100 => (1e-3, 0.02),
            200 => (5e-3, 0.05),
            _ => (0.02, 0.2),
        };
        assert!(share(0.5) < median && share(0.85) < most, "step {step}: {errors:.4?}");
    }
}

/// `curling.py:30-51`.
#[test]
fn areas_pay_what_the_authors_program_pays() {
    let mut game = game(8);
    for (ball, reward, area) in [
        ([0.8, 0.8], 1.0, 0),
        ([0.8, 0.6], 0.5, 0),
        ([0.8, -0.8], 1.0, 1),
        ([0.7, -0.8], 0.5, 1),
        ([0.8, -0.55], 0.0, 2),
        (BALL_START, 0.0, 2),
    ] {
        game.state.ball = ball;
        assert!((game.final_reward().unwrap() - reward).abs() < 1e-5, "{ball:?}");
        let mut found = [0.0; 2];
        game.measures(&mut found);
        assert_eq!(found.iter().position(|x| *x == 1.0).unwrap_or(2), area, "{ball:?}");
    }
    game.pays = false;
    assert_eq!(game.final_reward(), None);
}

#[test]
fn a_ball_that_is_not_pushed_stays_where_it_is_and_pays_nothing() {
    let still = task("name = \"curling\"\niterations = 8");
    let results = evaluate(&*still, &vec![0.0; still.spec().genome_dim], 1);
    assert_eq!((results.fitness[0], results.steps[0]), (0.0, 500));
    for (found, start) in results.descriptor.iter().zip(BALL_START) {
        assert!((found - f64::from(start)).abs() < 1e-6);
    }
}

#[test]
fn an_episode_does_not_depend_on_the_one_before() {
    let mut observation = [0.0; OBSERVATION];
    let mut play = |game: &mut Game, k: u32| {
        game.reset(0, &mut observation);
        (0..200).for_each(|step| {
            game.step(&push::<ACTION>(k, step, 25), &mut observation);
        });
        game.state
    };
    let mut first = game(20);
    let alone = play(&mut first, 2);
    let mut second = game(20);
    play(&mut second, 35);
    assert_eq!(play(&mut second, 2), alone);
    assert_ne!(alone.ball, BALL_START);
}
