//! Parameters of the tasks: those that all have, and those of each.

use illume_core::params::{Params, Rule};
use illume_core::{Result, params, toml};

/// A share of which nothing is left out of the question but 0.
fn share() -> Rule<f64> {
    Rule {
        words: "above 0, at most 1".into(),
        holds: Box::new(|v| *v > 0.0 && *v <= 1.0),
    }
}

/// None, or one whose inverse single precision can hold.
fn temperature() -> Rule<f64> {
    Rule {
        words: "0 (greedy), or from 0.000001 to 100".into(),
        holds: Box::new(|v| *v == 0.0 || (1e-6..=100.0).contains(v)),
    }
}

/// A share that leaves something.
fn part() -> Rule<f64> {
    Rule {
        words: "from 0 to below 1".into(),
        holds: Box::new(|v| (0.0..1.0).contains(v)),
    }
}

fn date() -> Rule<String> {
    Rule {
        words: "a date such as \"2024-07-26\"".into(),
        holds: Box::new(|v| v.parse::<jiff::civil::Date>().is_ok()),
    }
}

params! {
    /// Parameters of all tasks `lm/…`.
    pub struct LmParams {
        /// Folder of the model, as Hugging Face writes it: config.json, tokenizer.json, model.safetensors; or a .gguf file.
        model: String = "runs/lm/small".into(), any();
        /// Folder of the adapter that the search starts from, as PEFT writes it; empty: a new one, for which search must be "adapters", or with "weights" none.
        adapter: String = String::new(), any();
        /// Rank of a new adapter; one that is read has its own.
        rank: usize = 8, range(1, 65_536);
        /// Linear maps that a new adapter changes, in every layer.
        modules: Vec<String> = ["q_proj", "k_proj", "v_proj", "o_proj"].map(String::from).into(), any();
        /// What a genome changes: the singular values of the adapter's factors ("singular_values"), all their weights ("adapters"), or all linear maps of the
        /// model's layers, to which the adapter has been added ("weights").
        search: String = "singular_values".into(), one_of(&["singular_values", "adapters", "weights"]);
        /// Share of each factor's singular values, the largest first, that a genome changes.
        alpha: f64 = 1.0, share();
        /// What a gene of 1 adds to a singular value: the root mean square of its factor's ("relative"), or 1 ("absolute"). Weights of whole adapters always have the latter.
        scale: String = "relative".into(), one_of(&["relative", "absolute"]);
        /// Prompts that a candidate is scored on.
        batch: usize = 100, range(1, 1_000_000);
        /// Temperature at which tokens are drawn; 0: the most probable token.
        temperature: f64 = 0.0, temperature();
        /// Tokens are drawn from the most probable that hold this much probability together.
        top_p: f64 = 1.0, share();
        /// How weights are stored; int8 and int4 are rounded from what the model's files hold, and on the processor int8 weights meet rows of eight bits.
        precision: String = "f32".into(), one_of(&["f32", "bf16", "int8", "int4"]);
        /// Inputs that share a scale in int4.
        group: usize = 64, range(16, 256);
        /// Where the model runs; "auto": on a CUDA device if there is one.
        device: String = "auto".into(), one_of(&["auto", "cpu", "cuda"]);
        /// Answers that are written at a time; 0: as many as fit into a quarter of the free memory, divided by the ranks of the node, at most 256; on a GPU half of its free memory, divided by its ranks, at most 2048. Results do not depend on it.
        slots: usize = 0, range(0, 65_536);
        /// Message of the role "system" before each prompt; empty for none.
        system: String = String::new(), any();
        /// Whether prompts go through the model's chat template ("auto": if it has one) or stand as they are ("never").
        chat: String = "auto".into(), one_of(&["auto", "never"]);
        /// The day that is told to templates which ask for it.
        date: String = "2024-07-26".into(), date();
        /// Texts that end an answer; it is scored without them.
        stop: Vec<String> = Vec::new(), any();
        /// Cases of the validation split, spread over it; 0 for all.
        validation: usize = 0, any();
        /// What tells adapters apart: the mean length of their answers ("length"), or nothing ("none").
        descriptor: String = "none".into(), one_of(&["none", "length"]);
    }
}

params! {
    /// Parameters of `lm/gsm8k` alone.
    pub struct Gsm8kParams {
        /// JSON lines with "question" and "answer".
        data: String = "data/gsm8k/train.jsonl".into(), any();
        /// The same, for validation.
        validation_data: String = "data/gsm8k/test.jsonl".into(), any();
        /// Share of the training lines that is kept for a warm start.
        sft_share: f64 = 0.2, part();
        /// By which the lines are divided.
        data_seed: u64 = 1, any();
        /// Follows each question on a line of its own.
        instruction: String = "Think step by step, and write the final number behind \"####\".".into(), any();
        /// What counts as the final number: the one behind "####" ("strict"), else also the one in \boxed{} or the last of all ("flexible").
        extraction: String = "flexible".into(), one_of(&["strict", "flexible"]);
        /// Tokens of the longest answer.
        max_new_tokens: usize = 256, range(1, 1_000_000);
    }
}

params! {
    /// Parameters of `lm/countdown` alone.
    pub struct CountdownParams {
        /// Numbers that are given.
        numbers: usize = 3, range(2, 8);
        /// The largest of them.
        largest: u32 = 20, range(2, 1000);
        /// The largest target.
        target: u32 = 99, range(2, 100_000);
        /// How a problem is put: in a sentence, answered by an equation ("short"), or at length, answered between tags ("tags").
        style: String = "short".into(), one_of(&["short", "tags"]);
        /// Reward of an answer that is an expression but misses the target; 0.1 is usual.
        format_reward: f64 = 0.0, range(0.0, 1.0);
        /// Problems to train on.
        train_cases: usize = 2000, range(1, 10_000_000);
        /// Problems to validate on.
        validation_cases: usize = 256, range(1, 10_000_000);
        /// Problems that are kept for a warm start.
        sft_cases: usize = 256, range(0, 10_000_000);
        /// By which problems are drawn. Those for validation differ from all others whatever the seed.
        data_seed: u64 = 1, any();
        /// Tokens of the longest answer.
        max_new_tokens: usize = 24, range(1, 1_000_000);
    }
}

params! {
    /// Parameters of `lm/arithmetic` alone.
    pub struct ArithmeticParams {
        /// The most digits of a number in a sum; each number of digits is as likely.
        digits: u32 = 2, range(1, 9);
        /// Numbers in a sum.
        terms: usize = 2, range(2, 6);
        /// Share of word problems; the others are sums.
        words: f64 = 0.5, range(0.0, 1.0);
        /// What counts as the final number: the one behind "####" ("strict"), else also the last of all ("flexible").
        extraction: String = "strict".into(), one_of(&["strict", "flexible"]);
        /// Problems to train on.
        train_cases: usize = 2000, range(1, 10_000_000);
        /// Problems to validate on.
        validation_cases: usize = 256, range(1, 10_000_000);
        /// Problems that are kept for a warm start.
        sft_cases: usize = 256, range(0, 10_000_000);
        /// By which problems are drawn. Those for validation differ from all others whatever the seed.
        data_seed: u64 = 1, any();
        /// Tokens of the longest answer.
        max_new_tokens: usize = 32, range(1, 1_000_000);
    }
}

params! {
    /// Parameters of `lm/jsonl` alone.
    pub struct JsonlParams {
        /// JSON lines, an object on each.
        data: String = String::new(), any();
        /// The same, for validation; empty: a share of the data.
        validation_data: String = String::new(), any();
        /// Share of the data that is for validation if there is no other.
        validation_share: f64 = 0.1, part();
        /// Share of the other data that is kept for a warm start.
        sft_share: f64 = 0.2, part();
        /// By which the lines are divided.
        data_seed: u64 = 1, any();
        /// The field that is the prompt.
        prompt: String = "prompt".into(), any();
        /// The field that is the reference.
        answer: String = "answer".into(), any();
        /// The field that is a whole answer to learn from; empty: the reference.
        solution: String = String::new(), any();
        /// How answers are scored: by the reference ("exact"), by a regular expression ("regex"), by whether their mathematical result is the reference's ("math"), by the
        /// instructions of each line that they follow ("instructions"), or by a program ("command").
        reward: String = "exact".into(), one_of(&["exact", "regex", "math", "instructions", "command"]);
        /// With reward "regex": searched in answers; if it has a group, what the last match's first group holds is compared with the reference.
        pattern: String = String::new(), any();
        /// With reward "instructions": an answer is worth the share that it follows ("share"), or 1 if it follows all ("all").
        follow: String = "share".into(), one_of(&["share", "all"]);
        /// With reward "command": a program and its arguments, which for each line {"prompt": …, "answer": …, "reference": …} that it reads writes a line
        /// {"reward": number}.
        command: Vec<String> = Vec::new(), any();
        /// Seconds that the program may take for an answer.
        timeout: f64 = 60.0, range(0.01, 1e6);
        /// Tokens of the longest answer.
        max_new_tokens: usize = 256, range(1, 1_000_000);
    }
}

/// The parameters that all tasks have and those of one, out of one table; every problem at once.
pub(super) fn read<P: Params>(table: &toml::Table) -> Result<(LmParams, P)> {
    illume_core::params::read(table, "task", &["name"])
}
