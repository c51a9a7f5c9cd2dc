//! Evaluation seeds that say more than that they differ.
//!
//! A task that draws the cases it scores a genome on (prompts of a language model) draws them by the upper half of the seed, and what happens
//! within a case (sampled tokens) by the whole of it: rows with the same upper half are compared on the same cases.

/// The seed of repetition `repetition` on the cases that `case` stands for; all of them are the same number to a task without cases.
pub fn case_seed(case: u32, repetition: u32) -> u64 {
    u64::from(case) << 32 | u64::from(repetition)
}

/// By what a task draws the cases of this evaluation seed.
pub fn case_of_seed(seed: u64) -> u32 {
    (seed >> 32) as u32
}

/// The seed of a test row that is scored on part `part` of `parts` of the task's test cases: those of [`block`](crate::block)`(test_cases, part, parts)`.
pub fn test_part_seed(part: u32, parts: u32) -> u64 {
    u64::from(parts) << 32 | u64::from(part)
}

/// The part and the number of parts that a test row's seed means; all cases if it is no part.
pub fn test_part_of_seed(seed: u64) -> (u32, u32) {
    let (part, parts) = (seed as u32, (seed >> 32) as u32);
    if part < parts { (part, parts) } else { (0, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_give_back_what_they_were_made_of() {
        assert_eq!(case_of_seed(case_seed(7, 9)), 7);
        assert_ne!(case_seed(7, 9), case_seed(7, 10));
        assert_eq!(test_part_of_seed(test_part_seed(3, 16)), (3, 16));
        assert_eq!(test_part_of_seed(0), (0, 1));
        assert_eq!(test_part_of_seed(test_part_seed(16, 16)), (0, 1));
    }
}
