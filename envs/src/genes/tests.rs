use illume_core::{TaskConfig, toml};

use super::*;
use crate::testing::{evaluate, task};

const MIXED: &str = r#"
name = "sphere"
dim = 5
[[genes]]
name = "x"
lower = -2.0
upper = 4.0
count = 2
[[genes]]
name = "rate"
lower = 0.01
upper = 1.0
scale = "log"
[[genes]]
name = "layers"
lower = 1
upper = 4
kind = "integer"
[[genes]]
name = "solver"
values = ["a", "b", "c"]
"#;

fn message(text: &str) -> String {
    let table: toml::Table = text.parse().unwrap();
    let built = crate::build(&TaskConfig {
        task: &table,
        genes: None,
        policy: &toml::Table::new(),
        ranks: 1,
    });
    built.err().expect("a task with bad genes").to_string()
}

#[test]
fn a_task_is_asked_in_values() {
    let (with, plain) = (task(MIXED), task("name = \"sphere\"\ndim = 5"));
    let spec = with.spec();
    assert_eq!((spec.bounds, spec.genome_dim), (Some([0.0, 1.0]), 5));
    assert_eq!(spec.init, Init::Uniform { lower: 0.0, upper: 1.0 });
    assert!(spec.gradients.is_none());
    assert!(
        spec.facts
            .iter()
            .any(|(name, value)| name == "genes" && value == "2 real, 1 log, 1 integer, 1 categorical")
    );
    let coordinates = [0.0, 0.5, 0.5, 0.6, 0.9, 1.0, 0.25, 0.0, 0.1, 0.4];
    // 0.01 in single precision lies below the bound.
    let values = [-2.0, 1.0, 0.1, 3.0, 2.0, 4.0, -0.5, 0.01f32.next_up(), 1.0, 1.0];
    assert_eq!(evaluate(&*with, &coordinates, 2), evaluate(&*plain, &values, 2));
}

#[test]
fn rows_in_the_middle_of_a_request_are_scored_as_alone() {
    let (task, dim) = (task(MIXED), 5);
    let data: Vec<f32> = (0..200 * dim).map(|i| (i * 7 % 101) as f32 / 100.0).collect();
    let whole = evaluate(&*task, &data, 200);
    for row in [0, 63, 64, 65, 199] {
        let alone = evaluate(&*task, &data[row * dim..(row + 1) * dim], 1);
        assert_eq!(alone.fitness[0], whole.fitness[row]);
        assert_eq!(alone.descriptor[..], whole.descriptor[2 * row..2 * row + 2]);
    }
}

#[test]
fn what_does_not_fit_the_task_is_said_in_one_sentence() {
    let gene = "[[genes]]\nname = \"x\"\nlower = 0\nupper = 2\n";
    let count = message(&format!("name = \"sphere\"\ndim = 5\n{gene}"));
    assert_eq!(
        count,
        "task.genes: the counts of all entries add up to 1 genes, and genomes of task \"sphere\" have 5: expected as many"
    );
    let maze = message(&format!("name = \"hard_maze\"\n{gene}"));
    assert!(
        maze.starts_with("task.genes: genomes of task \"hard_maze\" are the weights of a network"),
        "{maze}"
    );
    let arm = message(&format!("name = \"arm\"\njoints = 1\n{gene}"));
    assert_eq!(
        arm,
        "task.genes: values of \"x\" go from 0 to 2, and task \"arm\" takes genes from 0 to 1 alone"
    );
    // With what else is wrong.
    let both = message("name = \"sphere\"\ndim = 0\n[[genes]]\nname = \"x\"\nlower = 1\nupper = 0");
    assert_eq!(both.lines().count(), 2, "{both}");
    assert!(
        both.contains("task.dim") && both.contains("task.genes[x].upper"),
        "{both}"
    );
}
