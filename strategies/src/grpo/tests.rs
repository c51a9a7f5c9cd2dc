//! The advantages by hand; the climb itself is in the root crate's `tests/grpo.rs`.

use super::*;
use crate::testing::task;

#[test]
fn advantages_compare_with_the_answers_to_the_same_case_alone() {
    let rewards = vec![vec![(5, 1.0), (9, 0.0)], vec![(9, 0.0), (5, 0.0)], vec![(5, 0.5)]];
    let (advantages, sd) = advantages(&rewards);
    let close = |a: f32, b: f64| assert!((f64::from(a) - b).abs() < 1e-5, "{a} is not {b}");
    close(advantages[0][0], 1.0);
    close(advantages[1][1], -1.0);
    close(advantages[2][0], 0.0);
    assert_eq!(
        [advantages[0][1], advantages[1][0]],
        [0.0; 2],
        "equal answers teach nothing"
    );
    assert!((sd - 0.25).abs() < 1e-12, "sd of 1, 0, 0.5 is 0.5, that of 0, 0 is 0");
}

#[test]
fn a_task_without_a_gradient_or_with_greedy_answers_is_refused() {
    #[derive(Debug)]
    struct Greedy;
    impl PolicyGradient for Greedy {
        fn temperature(&self) -> f64 {
            0.0
        }

        fn add_gradient(
            &self,
            _genes: &[f32],
            _answers: &[illume_core::Answer],
            _advantages: &[f32],
            _surrogate: &Surrogate,
            _gradient: &mut [f32],
        ) -> Result<SurrogateReport> {
            unreachable!("it is refused")
        }
    }
    let without = Grpo::new(GrpoParams::default(), &task(3, false))
        .unwrap_err()
        .to_string();
    assert!(
        without.contains("strategy.name") && without.contains("lm/"),
        "{without}"
    );
    let greedy = TaskSpec {
        policy_gradient: Some(Arc::new(Greedy)),
        ..task(3, false)
    };
    let greedy = Grpo::new(GrpoParams::default(), &greedy).unwrap_err().to_string();
    assert!(greedy.contains("task.temperature above 0"), "{greedy}");
}
