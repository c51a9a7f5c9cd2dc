//! What a genome is scored on: one file per family of tasks, policy networks, rollouts.
