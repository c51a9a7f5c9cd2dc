use illume_core::{Purpose, Status, Stream};

use crate::testing::{evaluate, task};

/// What pymoo makes of drawn genomes and says of fronts (`tools/check_objectives.py`), as words.
fn recorded() -> Vec<Vec<&'static str>> {
    let lines = include_str!("../../tests/data/pymoo_functions.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect()).collect()
}

fn numbers(words: &[&str]) -> Vec<f64> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn table(name: &str, objectives: usize, dim: usize) -> String {
    match name.starts_with("dtlz") {
        true => format!("name = \"{name}\"\nobjectives = {objectives}\ndim = {dim}"),
        false => format!("name = \"{name}\"\ndim = {dim}"),
    }
}

#[test]
fn costs_are_those_of_pymoo() {
    let mut compared = 0;
    for words in recorded().iter().filter(|words| words[0] != "front") {
        let (m, dim): (usize, usize) = (words[1].parse().unwrap(), words[2].parse().unwrap());
        let genes: Vec<f32> = numbers(&words[3..3 + dim]).iter().map(|x| *x as f32).collect();
        let costs = numbers(&words[3 + dim..]);
        let found = evaluate(task(&table(words[0], m, dim)).as_ref(), &genes, 1);
        assert_eq!((found.objectives.len(), costs.len()), (m, m));
        for (own, cost) in found.objectives.iter().zip(&costs) {
            // Single precision carries genes of ZDT4 alone elsewhere, by what its own mapping rounds.
            assert!((own + cost).abs() <= 1e-9 * (1.0 + cost.abs()), "{words:?}: {:?}", found.objectives);
        }
        let mean = -costs.iter().sum::<f64>() / m as f64;
        assert!((found.fitness[0] - mean).abs() <= 1e-9 * (1.0 + mean.abs()));
        compared += 1;
    }
    assert_eq!(compared, 5 * 4 + 7 * 3 * 3);
}

#[test]
fn the_best_and_the_references_are_those_of_the_fronts() {
    for words in recorded().iter().filter(|words| words[0] == "front") {
        let (name, m): (&str, usize) = (words[1], words[2].parse().unwrap());
        let ends = numbers(&words[4..]);
        let task = task(&format!("name = \"{name}\""));
        for (i, objective) in task.spec().objectives.iter().enumerate() {
            let [least, most] = [ends[i], ends[m + i]];
            // pymoo has 100 points of it.
            let ideal = objective.ideal().unwrap();
            assert!((ideal + least).abs() < 1e-2 && ideal >= -least - 1e-9, "{name} {i}: {ideal} {least}");
            let reference = -objective.reference().unwrap();
            assert!(reference >= 1.05 * most && reference <= 2.0 * most.max(0.6), "{name} {i}: {reference} {most}");
        }
    }
}

/// Points of the fronts by their equations, from genes that lie on them.
#[test]
fn genes_of_the_fronts_are_on_them() {
    let shares = [0.0f32, 0.25, 0.5, 0.75, 1.0];
    type Front = fn(f64) -> f64;
    let fronts: [(&str, f32, Front); 4] = [
        ("zdt1", 0.0, |f| 1.0 - f.sqrt()),
        ("zdt2", 0.0, |f| 1.0 - f * f),
        ("zdt4", 0.5, |f| 1.0 - f.sqrt()),
        ("zdt6", 0.0, |f| 1.0 - f * f),
    ];
    for (name, rest, front) in fronts {
        for share in shares {
            let genes = [&[share][..], &[rest; 4]].concat();
            let found = evaluate(task(&table(name, 2, 5)).as_ref(), &genes, 1).objectives;
            assert!((found[1] + front(-found[0])).abs() < 1e-12, "{name} {share}: {found:?}");
        }
    }
    for (name, m) in [("dtlz1", 3), ("dtlz2", 4), ("dtlz3", 2), ("dtlz4", 3), ("dtlz5", 3), ("dtlz6", 3)] {
        for share in shares {
            let rest = if name == "dtlz6" { 0.0 } else { 0.5 };
            let genes = [&vec![share; m - 1][..], &[rest; 5]].concat();
            let found = evaluate(task(&table(name, m, m + 4)).as_ref(), &genes, 1).objectives;
            let (sum, length) = (found.iter().sum::<f64>(), found.iter().map(|x| x * x).sum::<f64>());
            let right = if name == "dtlz1" { (sum + 0.5).abs() } else { (length - 1.0).abs() };
            assert!(right < 1e-12, "{name} {share}: {found:?}");
        }
    }
}

#[test]
fn the_rastrigin_pair_is_that_of_mome() {
    // QDax's `rastrigin_scorer`, gene by gene.
    let twin = |genes: &[f32], lag: f64| -> f64 {
        let terms = genes.iter().map(|x| {
            let d = f64::from(*x) - lag;
            d * d - 10.0 * (std::f64::consts::TAU * d).cos()
        });
        -(10.0 * genes.len() as f64 + terms.sum::<f64>())
    };
    let mut genes = vec![0.0; 40];
    Stream::new(3, Purpose::Init, 0, 0).uniforms(0, &mut genes);
    genes.iter_mut().for_each(|x| *x = 6.0 * *x - 2.0);
    genes[..8].copy_from_slice(&[0.0, 0.0, 0.0, 0.0, 2.2, 2.2, 2.2, 2.2]);
    let task = task("name = \"rastrigin_pair\"\ndim = 4");
    let found = evaluate(task.as_ref(), &genes, 10);
    for (row, own) in genes.chunks(4).zip(found.objectives.chunks(2)) {
        assert!((own[0] - twin(row, 0.0)).abs() < 1e-9 && (own[1] - twin(row, 2.2)).abs() < 1e-9);
    }
    assert_eq!(found.objectives[0], 0.0);
    // Where the other has its optimum a gene costs 11.7498.
    let reference = task.spec().objectives[1].reference().unwrap();
    assert!((reference + 4.0 * 11.7498).abs() < 1e-3 && (found.objectives[1] - reference).abs() < 1e-6);
    assert_eq!(found.descriptor[..2], [0.0, 0.0]);
}

#[test]
fn no_row_is_worse_than_the_offset_says() {
    let names = ["zdt1", "zdt2", "zdt3", "zdt4", "zdt6", "rastrigin_pair"].into_iter().map(String::from);
    for name in names.chain((1..8).map(|i| format!("dtlz{i}"))) {
        let task = task(&table(&name, 3, 7));
        let [lower, upper] = task.spec().bounds.unwrap();
        let mut genes = vec![0.0; 7 * 300];
        Stream::new(5, Purpose::Init, 0, 0).uniforms(0, &mut genes);
        // Corners among them.
        genes[..700].iter_mut().for_each(|x| *x = x.round());
        genes.iter_mut().for_each(|x| *x = lower + (upper - lower) * *x);
        let found = evaluate(task.as_ref(), &genes, 300);
        assert!(found.status.iter().all(|status| *status == Status::Ok as u8), "{name}");
        let worst = found.fitness.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(worst + task.spec().qd_offset >= 0.0, "{name}: {worst}");
    }
}
