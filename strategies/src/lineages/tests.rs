use illume_core::genome::stream_id;
use illume_core::{Purpose, Scratch, Stream};

use super::*;
use crate::testing::{Silent, task};

const DIM: usize = 37;

/// Five parents a generation, each a child of one of the five before (or still one of them).
fn next_parents(parents: &[Individual], generation: u64) -> Vec<Individual> {
    let draw = Stream::new(3, Purpose::Selection, generation, 0);
    (0..5)
        .map(|i| {
            let parent = parents.get(draw.below(i, 5) as usize);
            match parent {
                Some(parent) if i == 4 => parent.clone(),
                _ => Individual::child(parent, stream_id(generation, i), 0.1),
            }
        })
        .collect()
}

fn params(room: usize, noise: &str) -> LineageParams {
    LineageParams {
        noise: noise.into(),
        noise_table: 300_000,
        cache_mb: room,
    }
}

/// Genes of the fifty children of a generation, as evaluation sees them.
fn genes(nursery: &Nursery, candidates: &mut Candidates, parents: &[Individual], generation: u64) -> Vec<Vec<f32>> {
    candidates.block = 0..50;
    let child = |i: usize| Individual::child(parents.get(i % 5), stream_id(generation, i as u64), 0.1);
    nursery.fill(candidates, child);
    let mut scratch = Scratch::default();
    (0..50)
        .map(|i| candidates.genomes.genes(i, &mut scratch).to_vec())
        .collect()
}

#[test]
fn genes_do_not_depend_on_how_many_parents_are_kept_and_no_more_are_kept_than_there_is_room_for() {
    // Genomes of 1 MB: `cache_mb` is the number that fits.
    let task = task(250_000, false);
    for noise in ["counter", "table"] {
        let run = |room: usize| {
            let (mut nursery, mut candidates) = (Nursery::new(params(room, noise)), Candidates::default());
            let (comm, mut parents, mut sums) = (Silent(0, 1), Vec::new(), Vec::new());
            for generation in 0..6 {
                let context = Context {
                    seed: 4,
                    generation,
                    task: &task,
                    comm: &comm,
                };
                nursery.remember(&context, &mut candidates, &parents.iter().collect::<Vec<_>>());
                let kept = nursery.decoder.as_ref().unwrap().cache.len();
                let different: HashSet<u64> = parents.iter().map(Individual::id).collect();
                assert_eq!(kept, room.min(different.len()));
                for (i, parent) in parents.iter().enumerate() {
                    candidates.block = 0..1;
                    nursery.fill(&mut candidates, |_| {
                        Individual::child(Some(parent), stream_id(generation, i as u64), 0.1)
                    });
                    let mut scratch = Scratch::default();
                    let sum = candidates
                        .genomes
                        .genes(0, &mut scratch)
                        .iter()
                        .map(|x| f64::from(*x))
                        .sum::<f64>();
                    sums.push(sum.to_bits());
                }
                parents = next_parents(&parents, generation);
            }
            sums
        };
        let without = run(0);
        for room in [1, 3, 4, 5, 9] {
            assert_eq!(run(room), without, "{noise}, room for {room}");
        }
    }
}

#[test]
fn a_lineage_of_a_thousand_generations_weighs_less_than_20_kb_and_decodes_the_same_with_its_parents_at_hand() {
    let task = task(DIM, false);
    let (mut nursery, mut candidates) = (Nursery::new(params(1, "counter")), Candidates::default());
    let (comm, mut parents) = (Silent(0, 1), Vec::new());
    for generation in 0..1001 {
        let context = Context {
            seed: 4,
            generation,
            task: &task,
            comm: &comm,
        };
        nursery.remember(&context, &mut candidates, &parents.iter().collect::<Vec<_>>());
        if generation < 1000 {
            parents = next_parents(&parents, generation);
        }
    }
    let with = genes(&nursery, &mut candidates, &parents, 1000);
    let longest = parents.iter().max_by_key(|p| p.streams.len()).unwrap();
    let bytes = size_of_val(&longest.streams[..]) + size_of_val(&longest.scales[..]);
    assert!(longest.streams.len() > 700 && bytes < 20_000, "{bytes} bytes");
    assert!(
        (1001 * (size_of::<u64>() + size_of::<f32>())) < 20_000,
        "had each generation added a step"
    );

    let fresh = params(0, "counter").decoder(4, &task);
    for (i, with) in with.iter().enumerate() {
        let child = Individual::child(Some(&parents[i % 5]), stream_id(1000, i as u64), 0.1);
        let mut alone = Vec::new();
        fresh.decode(&child.streams, &child.scales, &mut alone);
        assert_eq!(*with, alone);
    }
}

#[test]
fn tables_give_back_the_individuals_and_damage_is_an_error() {
    let first = Individual::child(None, 7, 0.1);
    let second = Individual {
        score: 2.5,
        steps: 12,
        ..Individual::child(Some(&first), stream_id(3, 1), 0.25)
    };
    let mut state = State::default();
    state.tables.extend(tables("parents", [&second, &second]));
    assert_eq!(individuals(&state, "parents", 4).unwrap(), [second.clone(), second]);
    let late = individuals(&state, "parents", 3).unwrap_err().to_string();
    assert!(late.contains("reaches generation 3, the file has 3"), "{late}");
    let cut = state.tables[1].1.select(&[0, 1, 2]);
    state.tables[1].1 = cut;
    assert!(
        individuals(&state, "parents", 4)
            .unwrap_err()
            .to_string()
            .contains("damaged")
    );
}
