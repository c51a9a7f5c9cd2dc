use std::collections::HashSet;
use std::ops::Range;

use illume_core::{Answer, Dense, Genomes, Request, Scores, Status, Task, Trajectory, case_seed, test_part_seed, toml};

use super::*;
use crate::tiny_model;

/// A folder with the tiny model.
fn model() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    tiny_model(dir.path()).unwrap();
    dir
}

fn table(dir: &tempfile::TempDir, name: &str, own: &str) -> toml::Table {
    let path = dir.path().display();
    let text = format!("name = \"{name}\"\nmodel = '{path}'\nadapter = '{path}/adapter'\n{own}");
    text.parse().unwrap()
}

const SMALL: &str = "batch = 3\nmax_new_tokens = 4\ntrain_cases = 20\nvalidation_cases = 10\nsft_cases = 5\n";

fn task(dir: &tempfile::TempDir, own: &str) -> LmTask {
    LmTask::new(&table(dir, "lm/arithmetic", &format!("{SMALL}{own}"))).unwrap()
}

#[derive(Debug, PartialEq, Clone)]
struct Found {
    status: Vec<u8>,
    fitness: Vec<f64>,
    descriptor: Vec<f64>,
    steps: Vec<u32>,
    measures: Vec<f64>,
    answers: Vec<Trajectory>,
}

fn evaluate(task: &LmTask, genomes: &[Vec<f32>], seeds: &[u64], tests: Range<usize>) -> Found {
    capped(task, genomes, seeds, u32::MAX, 0..0, tests)
}

/// The same with at most so many steps, but for the rows that are uncapped or test.
fn capped(
    task: &LmTask,
    genomes: &[Vec<f32>],
    seeds: &[u64],
    max_steps: u32,
    uncapped: Range<usize>,
    tests: Range<usize>,
) -> Found {
    let (rows, dim, k) = (genomes.len(), task.spec().genome_dim, task.spec().descriptor_dim());
    let data = genomes.concat();
    let genomes = Genomes::Dense(Dense { dim, data });
    let request = Request {
        genomes: &genomes,
        seeds,
        max_steps,
        uncapped,
        tests,
        normalization: None,
        observed: &[],
        network: None,
    };
    let mut found = Found {
        status: vec![0; rows],
        fitness: vec![0.0; rows],
        descriptor: vec![0.0; rows * k],
        steps: vec![0; rows],
        measures: vec![0.0; rows * MEASURES],
        answers: vec![Trajectory::default(); rows],
    };
    let mut scores = Scores {
        status: &mut found.status,
        fitness: &mut found.fitness,
        descriptor: &mut found.descriptor,
        steps: &mut found.steps,
        moments: &mut [],
        measures: &mut found.measures,
        objectives: &mut [],
        trajectories: &mut found.answers,
        features: &mut [],
    };
    task.worker().unwrap().evaluate(&request, 0..rows, &mut scores);
    found
}

fn genome(task: &LmTask, seed: u64) -> Vec<f32> {
    let mut genes = vec![0.0; task.spec().genome_dim];
    Stream::new(seed, Purpose::Perturbation, 0, 0).add_normals(0, 0.5, &mut genes);
    genes
}

fn cases(found: &Found, row: usize) -> Vec<u32> {
    found.answers[row].answers.iter().map(|a| a.case).collect()
}

#[test]
fn rows_whose_seeds_agree_in_the_upper_half_share_their_prompts() {
    let dir = model();
    let task = task(&dir, "temperature = 1.0");
    let genomes = [genome(&task, 1), genome(&task, 1), genome(&task, 2), genome(&task, 1)];
    let seeds = [case_seed(5, 0), case_seed(5, 1), case_seed(5, 0), case_seed(6, 0)];
    let found = evaluate(&task, &genomes, &seeds, 0..0);
    let first = cases(&found, 0);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3, "{first:?}");
    assert_eq!((&cases(&found, 1), &cases(&found, 2)), (&first, &first));
    assert_ne!(cases(&found, 3), first);
    // Tokens are drawn by the whole seed.
    assert_ne!(found.answers[0].answers, found.answers[1].answers);
    assert!(
        found
            .answers
            .iter()
            .flat_map(|t| &t.answers)
            .all(|a| a.tokens.len() == a.log_probs.len())
    );
}

#[test]
fn greedy_rows_ignore_the_lower_half_and_every_case_is_drawn_by_some_seed() {
    let dir = model();
    let task = task(&dir, "");
    let genomes: Vec<Vec<f32>> = (0..120).map(|_| genome(&task, 3)).collect();
    let seeds: Vec<u64> = (0..120).map(|i| case_seed(i / 2, i)).collect();
    let found = evaluate(&task, &genomes, &seeds, 0..0);
    for pair in 0..60 {
        assert_eq!(found.answers[2 * pair], found.answers[2 * pair + 1]);
    }
    let drawn: HashSet<u32> = (0..120).flat_map(|row| cases(&found, row)).collect();
    assert_eq!(drawn, (0..20).collect());
}

#[test]
fn test_rows_cover_the_validation_split_in_parts_and_greedily() {
    let dir = model();
    let task = task(&dir, "temperature = 1.0\ndescriptor = \"length\"");
    assert_eq!(
        (task.spec().test_cases, task.spec().max_steps, task.spec().test_steps),
        (10, 12, 40)
    );
    let genomes = vec![genome(&task, 1); 5];
    let parts = |n: u32| (0..n).map(|i| test_part_seed(i, n)).collect::<Vec<u64>>();
    let seeds = [&[case_seed(1, 0)][..], &parts(4)].concat();
    let found = evaluate(&task, &genomes, &seeds, 1..5);
    let all: Vec<u32> = (1..5).flat_map(|row| cases(&found, row)).collect();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    let whole = evaluate(&task, &genomes[..1], &parts(1), 0..1);
    let parted: Vec<Answer> = found.answers[1..].iter().flat_map(|t| t.answers.clone()).collect();
    assert_eq!(whole.answers[0].answers, parted);
    let tokens: usize = parted.iter().map(|a| a.tokens.len()).sum();
    assert_eq!(
        (whole.steps[0] as usize, whole.descriptor[0]),
        (tokens, tokens as f64 / 10.0)
    );
}

/// Some answers of this model end by themselves within so many tokens, and some do not.
#[test]
fn tokens_are_counted_with_prompts_and_answers_that_did_not_end_are_cut_off() {
    let dir = model();
    let task = task(
        &dir,
        "temperature = 1.0\nstop = [\"1\", \"2\", \"3\", \" \", \"a\", \"e\"]",
    );
    let genomes: Vec<Vec<f32>> = (0..8).map(|i| genome(&task, i)).collect();
    let seeds: Vec<u64> = (0..8).map(|i| case_seed(1, i)).collect();
    let found = evaluate(&task, &genomes, &seeds, 0..0);
    let stop = task.setup().stop_tokens();
    let mut shares = HashSet::new();
    for (row, measures) in found.measures.chunks_exact(MEASURES).enumerate() {
        let answers = &found.answers[row].answers;
        let tokens = answers
            .iter()
            .map(|a| task.train[a.case as usize].len() + a.tokens.len());
        let ended = |a: &Answer| stop.contains(a.tokens.last().unwrap()) || task.setup().stop.ended(&a.tokens);
        let cut = answers.iter().filter(|a| !ended(a));
        let cut = cut.count() as f64;
        assert_eq!(measures, [tokens.sum::<usize>() as f64, cut / 3.0]);
        shares.insert((3.0 * measures[1]) as u32);
    }
    assert!(shares.len() > 1, "{shares:?}");
}

/// The answers of the validation split are those that a test row is scored on; samples differ, and depend on their own number alone.
#[test]
fn the_validation_split_is_answered_greedily_or_several_times() {
    let dir = model();
    let task = task(&dir, "");
    let genes = genome(&task, 1);
    let found = evaluate(&task, std::slice::from_ref(&genes), &[test_part_seed(0, 1)], 0..1);
    let greedy = task.validate(&genes, 1, 0.0, 5).unwrap();
    let texts = |answers: &[Answer]| answers.iter().map(|a| task.setup().text(&a.tokens)).collect::<Vec<_>>();
    let text = |v: &Validated| v.text.clone();
    assert_eq!(
        greedy.iter().map(text).collect::<Vec<_>>(),
        texts(&found.answers[0].answers)
    );
    let mean = greedy.iter().map(|v| v.reward).sum::<f64>() / greedy.len() as f64;
    assert_eq!(mean, found.fitness[0]);
    let cut = greedy.iter().filter(|v| v.cut_off).count() as f64 / greedy.len() as f64;
    assert_eq!(cut, found.measures[1]);

    let three = task.validate(&genes, 3, 1.0, 5).unwrap();
    let cases: Vec<usize> = three.iter().map(|v| v.case).collect();
    assert_eq!(cases, (0..30).map(|i| i / 3).collect::<Vec<_>>());
    assert!(three.chunks(3).any(|c| c[0].text != c[1].text));
    let two = task.validate(&genes, 2, 1.0, 5).unwrap();
    let firsts = |all: &[Validated], k: usize| all.chunks(k).map(|c| c[..2].to_vec()).collect::<Vec<_>>();
    assert_eq!(firsts(&three, 3), firsts(&two, 2));
    assert_ne!(task.validate(&genes, 2, 1.0, 6).unwrap(), two);
}

#[test]
fn a_cap_shortens_the_answers_of_rows_that_are_neither_uncapped_nor_tests() {
    let dir = model();
    let task = task(&dir, "temperature = 1.0");
    let genomes: Vec<Vec<f32>> = (0..3).map(|i| genome(&task, i)).collect();
    let seeds = [case_seed(1, 0), case_seed(1, 1), test_part_seed(0, 1)];
    let free = evaluate(&task, &genomes, &seeds, 2..3);
    // Three prompts, one token for each.
    let found = capped(&task, &genomes, &seeds, 3, 1..2, 2..3);
    assert!(free.steps[0] > 3 && found.steps[0] == 3, "{:?}", found.steps);
    assert_eq!(found.answers[1..], free.answers[1..]);
}

#[test]
fn a_result_does_not_depend_on_the_rows_beside_it_nor_on_slots() {
    let dir = model();
    let genomes: Vec<Vec<f32>> = (0..6).map(|i| genome(&task(&dir, ""), i)).collect();
    let seeds: Vec<u64> = (0..6).map(|i| case_seed(i / 3, i)).collect();
    let mut all = Vec::new();
    for slots in [1, 2, 7, 0] {
        let task = task(&dir, &format!("temperature = 1.0\nslots = {slots}"));
        let whole = evaluate(&task, &genomes, &seeds, 4..5);
        for i in 0..6 {
            let tests = if i == 4 { 0..1 } else { 0..0 };
            let alone = evaluate(&task, &genomes[i..=i], &seeds[i..=i], tests);
            assert_eq!(
                (alone.fitness[0], &alone.answers[0]),
                (whole.fitness[i], &whole.answers[i])
            );
        }
        all.push(whole);
    }
    assert!(all.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn an_answer_ends_at_a_stop_text_of_several_tokens_and_reads_as_if_it_had_been_cut_there() {
    let dir = model();
    let own =
        "batch = 3\nmax_new_tokens = 12\ntrain_cases = 20\nvalidation_cases = 10\nsft_cases = 5\ntemperature = 1.0";
    let mut table = table(&dir, "lm/arithmetic", own);
    let free = LmTask::new(&table).unwrap();
    let genomes: Vec<Vec<f32>> = (0..6).map(|i| genome(&free, i)).collect();
    let seeds: Vec<u64> = (0..6).map(|i| case_seed(1, i)).collect();
    let whole = evaluate(&free, &genomes, &seeds, 0..0);
    let tokenizer = free.setup().prompter.tokenizer();
    let all: Vec<&Answer> = whole.answers.iter().flat_map(|t| &t.answers).collect();
    let pieces = all.iter().filter_map(|a| Some(tokenizer.decode(a.tokens.get(3..5)?)));
    let stop = pieces
        .into_iter()
        .find(|t| tokenizer.encode(t, false).unwrap().len() == 2);
    let stop = stop.expect("two tokens that are no word together");
    table.insert("stop".into(), vec![stop.clone()].into());
    let mut found = Vec::new();
    for slots in [1, 7] {
        table.insert("slots".into(), slots.into());
        let task = LmTask::new(&table).unwrap();
        let cut = evaluate(&task, &genomes, &seeds, 0..0);
        for (answer, whole) in cut.answers.iter().flat_map(|t| &t.answers).zip(&all) {
            let n = (1..=whole.tokens.len()).find(|n| tokenizer.decode(&whole.tokens[..*n]).contains(&stop));
            let n = n.unwrap_or(whole.tokens.len());
            assert_eq!(
                (&answer.tokens[..], &answer.log_probs[..]),
                (&whole.tokens[..n], &whole.log_probs[..n])
            );
            assert_eq!(task.setup().text(&answer.tokens), task.setup().text(&whole.tokens));
        }
        let tokens = |t: &Trajectory| t.answers.iter().map(|a| a.tokens.len() as u32).sum::<u32>();
        assert_eq!(cut.steps, cut.answers.iter().map(tokens).collect::<Vec<_>>());
        assert!(cut.steps.iter().sum::<u32>() < whole.steps.iter().sum::<u32>());
        found.push(cut);
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn genes_that_are_no_numbers_are_marked_and_do_not_touch_the_others() {
    let dir = model();
    let task = task(&dir, "");
    let mut bad = genome(&task, 1);
    bad[3] = f32::NAN;
    let genomes = [genome(&task, 1), bad, genome(&task, 2)];
    let found = evaluate(&task, &genomes, &[1, 1, 1], 0..0);
    assert_eq!(
        found.status,
        [Status::Ok, Status::NotFinite, Status::Ok].map(|s| s as u8)
    );
    assert!(found.answers[1].answers.is_empty() && found.steps[0] > 0);
}

/// The reward of each row is that of its own answers: a program that pays for the answer's length says which they were.
#[test]
fn rewards_go_to_the_rows_whose_answers_they_are() {
    let dir = model();
    let data = dir.path().join("cases.jsonl");
    let lines: Vec<String> = (0..20)
        .map(|i| format!("{{\"prompt\": \"What is {i} + 1?\", \"answer\": {i}}}"))
        .collect();
    std::fs::write(&data, lines.join("\n")).unwrap();
    // The length of the answer in characters: what stands behind "answer":" as JSON writes it, keys sorted.
    let script = "while read -r l; do l=\"${l#*\\\"answer\\\":\\\"}\"; l=\"${l%%\\\",\\\"prompt\\\"*}\"; echo \"{\\\"reward\\\": ${#l}}\"; done";
    let own = format!(
        "data = '{}'\nbatch = 4\nmax_new_tokens = 5\ntemperature = 1.0\nreward = \"command\"\ncommand = [\"sh\", \"-c\", '{}']",
        data.display(),
        script
    );
    let task = LmTask::new(&table(&dir, "lm/jsonl", &own)).unwrap();
    let genomes: Vec<Vec<f32>> = (0..5).map(|i| genome(&task, i)).collect();
    let seeds: Vec<u64> = (0..5).map(|i| case_seed(1, i)).collect();
    let found = evaluate(&task, &genomes, &seeds, 0..0);
    for (row, trajectory) in found.answers.iter().enumerate() {
        let lengths = trajectory.answers.iter().map(|a| {
            let text = task.setup().text(&a.tokens);
            let json = toml::Value::String(text.clone());
            assert!(!json.to_string().is_empty());
            serde_json::to_string(&text).unwrap().chars().count() as f64 - 2.0
        });
        let lengths: Vec<f64> = lengths.collect();
        let rewards: Vec<f64> = trajectory.answers.iter().map(|a| a.reward).collect();
        assert_eq!(rewards, lengths, "row {row}");
        assert_eq!(found.fitness[row], lengths.iter().sum::<f64>() / 4.0);
    }
}

#[test]
fn own_cases_are_scored_by_their_mathematical_result_or_by_the_instructions_that_are_followed() {
    let dir = model();
    let data = dir.path().join("cases.jsonl");
    let setup = |lines: &str, own: &str| {
        std::fs::write(&data, lines.repeat(20)).unwrap();
        let own = format!("data = '{}'\n{own}", data.display());
        LmSetup::read(&table(&dir, "lm/jsonl", &format!("batch = 2\n{own}"))).unwrap()
    };
    let score = |setup: &LmSetup, answer: &str| setup.dataset.reward.score(&setup.dataset.train[0], answer).unwrap();
    let math = setup(
        "{\"prompt\": \"?\", \"answer\": \"So $\\\\boxed{\\\\frac12}$.\"}\n",
        "reward = \"math\"",
    );
    assert_eq!([score(&math, "0.5"), score(&math, "\\boxed{2}")], [1.0, 0.0]);
    assert_eq!(math.dataset.sft.len(), 4);
    let lines = "{\"prompt\": \"?\", \"so\": \"yes\", \"instructions\": [{\"id\": \"punctuation:no_comma\"}, {\"id\": \"startend:quotation\"}]}\n";
    for (own, worth, sft) in [("", 0.5, 0), ("follow = \"all\"\nsolution = \"so\"", 0.0, 4)] {
        let setup = setup(lines, &format!("reward = \"instructions\"\n{own}"));
        assert_eq!([score(&setup, "yes"), score(&setup, "\"yes\"")], [worth, 1.0]);
        assert_eq!((setup.dataset.sft.len(), setup.dataset.train.len()), (sft, 18 - sft));
    }
}

#[test]
fn no_two_parameters_of_a_task_share_a_name() {
    for entry in &ENTRIES {
        let list = (entry.params)();
        let names: HashSet<&str> = list.iter().map(|p| p.name).collect();
        assert_eq!(names.len(), list.len());
        assert!(!names.contains("name"));
    }
}

#[test]
fn prompts_are_answered_as_users_type_them_and_genomes_of_another_length_are_refused() {
    let dir = model();
    let task = task(&dir, "");
    let zeros = vec![0.0; task.spec().genome_dim];
    let answers = task.answer(&zeros, &["What is 1 + 1?", "What is 2 + 2?"], 1).unwrap();
    assert_eq!(answers.len(), 2);
    let long = "1 ".repeat(400);
    let message = task.answer(&zeros, &[&long], 1).unwrap_err().to_string();
    assert!(message.contains("max_position_embeddings"), "{message}");
    let message = task.adapter(&zeros[1..]).unwrap_err().to_string();
    assert!(message.contains("whose genomes have"), "{message}");
}

#[test]
fn a_model_is_not_written_over_the_one_that_it_began_as() {
    let dir = model();
    let task = task(&dir, "");
    let zeros = vec![0.0; task.spec().genome_dim];
    let files = ["model.safetensors", "tokenizer.json"].map(|file| dir.path().join(file));
    let before = files.each_ref().map(|file| std::fs::read(file).unwrap());
    let message = task.save_model(&zeros, dir.path()).unwrap_err().to_string();
    assert!(message.contains("is the model that the search began with"), "{message}");
    assert_eq!(files.each_ref().map(|file| std::fs::read(file).unwrap()), before);
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("chat_template.jinja"), "another model's").unwrap();
    task.save_model(&zeros, other.path()).unwrap();
    assert_eq!(std::fs::read(other.path().join("tokenizer.json")).unwrap(), before[1]);
    assert!(!other.path().join("chat_template.jinja").exists(), "it would be read");
}

#[test]
fn a_warm_start_asks_for_no_minibatch() {
    let dir = model();
    let task = table(&dir, "lm/arithmetic", &SMALL.replace("batch = 3", "batch = 21"));
    assert_eq!(LmSetup::read(&task).unwrap().dataset.sft.len(), 5);
    let error = LmTask::new(&task).err().unwrap().to_string();
    assert!(error.contains("more than the 20 cases"), "{error}");
}
