//! The advantages by hand; the climb itself is in the root crate's `tests/grpo.rs`.

use super::*;
use crate::testing::task;

fn heard(rows: &[&[(u32, u32, f64)]]) -> Vec<Vec<Heard>> {
    let one = |&(case, tokens, reward): &(u32, u32, f64)| Heard { case, tokens, reward };
    rows.iter().map(|row| row.iter().map(one).collect()).collect()
}

#[track_caller]
fn close(a: f32, b: f64) {
    assert!((f64::from(a) - b).abs() < 1e-5, "{a} is not {b}");
}

#[test]
fn advantages_compare_with_the_answers_to_the_same_case_alone() {
    let heard = heard(&[&[(5, 1, 1.0), (9, 1, 0.0)], &[(9, 1, 0.0), (5, 1, 0.0)], &[(5, 1, 0.5)]]);
    let (group, sd) = advantages(&heard, "group");
    close(group[0][0], 1.0);
    close(group[1][1], -1.0);
    close(group[2][0], 0.0);
    assert_eq!([group[0][1], group[1][0]], [0.0; 2], "equal answers teach nothing");
    assert!((sd - 0.25).abs() < 1e-12, "sd of 1, 0, 0.5 is 0.5, that of 0, 0 is 0");
    let (plain, _) = advantages(&heard, "none");
    close(plain[0][0], 0.5);
    close(plain[1][1], -0.5);
    // Of 1, 0, 0, 0, 0.5: mean 0.3, variance 0.8 / 4.
    let (batch, _) = advantages(&heard, "batch");
    close(batch[0][0], 0.5 / 0.2_f64.sqrt());
}

#[test]
fn each_form_of_the_loss_weighs_tokens_as_trl_does() {
    // Answers of 2, 6 and 4 tokens, the longest allowed 8.
    let heard = heard(&[&[(0, 2, 0.0), (0, 6, 0.0)], &[(0, 4, 0.0)]]);
    let flat = |loss: &str| -> Vec<f32> { weights(&heard, loss, 8).concat() };
    let expected = [
        ("dapo", [1.0 / 12.0; 3]),
        ("grpo", [1.0 / 6.0, 1.0 / 18.0, 1.0 / 12.0]),
        ("dr_grpo", [1.0 / 24.0; 3]),
    ];
    for (loss, by_hand) in expected {
        flat(loss).into_iter().zip(by_hand).for_each(|(w, b)| close(w, b));
    }
}

#[test]
fn a_gradient_is_cut_to_its_norm_and_a_short_one_left() {
    let cut_of = |most: f64| {
        let mut gradient = [3.0, -4.0];
        let norm = cut(&mut gradient, most);
        assert!((norm - 5.0).abs() < 1e-12);
        gradient
    };
    let [x, y] = cut_of(1.0);
    close(x, 0.6);
    close(y, -0.8);
    for most in [0.0, 6.0] {
        assert_eq!(cut_of(most), [3.0, -4.0]);
    }
}

#[test]
fn a_task_without_a_gradient_or_with_greedy_answers_is_refused() {
    #[derive(Debug)]
    struct Greedy;
    impl PolicyGradient for Greedy {
        fn temperature(&self) -> f64 {
            0.0
        }

        fn longest(&self) -> usize {
            1
        }

        fn add_gradient(
            &self,
            _genes: &[f32],
            _answers: &[illume_core::Answer],
            _credits: &mut [Credit],
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
