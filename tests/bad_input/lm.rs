//! What is wrong with a language model's configuration and files is said in one sentence, whether or not this build has them.

#[cfg(not(feature = "lm"))]
#[test]
fn a_task_that_this_build_lacks_says_which_feature_it_needs() {
    let text = crate::common::refused::GOOD.replace("\"arm\"", "\"lm/gsm8k\"");
    let folder = crate::common::folder();
    let config = crate::common::write_config(folder.path(), &text);
    let ended = crate::common::run(1, &["run", crate::common::arg(&config)]);
    let words = [":3: task.name: task \"lm/gsm8k\" needs a build with feature \"lm\""];
    crate::common::refused::assert_refused(&ended, &words);
}

#[cfg(feature = "lm")]
mod with_models {
    use std::fs;
    use std::path::Path;

    use illume::core::toml::{Table, Value};
    use illume::envs::lm::{Lora, Module, tiny_config};
    use serde_json::Value as Json;

    use crate::common::refused::{assert_refused, assert_says, tried};
    use crate::common::{Ended, arg, folder, run, tiny_lm, write_config};

    const REST: &str = "[strategy]\nname = \"map_elites\"\nbatch = 4\n[archive]\nkind = \"grid\"\nshape = [5]\n[budget]\ngenerations = 1\n";

    /// Begins a small good configuration of a task after a change to its table and its files.
    fn changed(task: &str, change: impl FnOnce(&Path, &mut Table)) -> Ended {
        changed_with(REST, task, change)
    }

    fn changed_with(rest: &str, task: &str, change: impl FnOnce(&Path, &mut Table)) -> Ended {
        changed_on(0, rest, task, change)
    }

    /// By a program of so many ranks, which runs it; 0 for none.
    fn changed_on(ranks: usize, rest: &str, task: &str, change: impl FnOnce(&Path, &mut Table)) -> Ended {
        let folder = folder();
        let files = folder.path().join("model");
        fs::create_dir(&files).unwrap();
        let mut table = tiny_lm(&files, task);
        change(&files, &mut table);
        let config = write_config(folder.path(), &format!("[task]\n{table}{rest}"));
        if ranks == 0 {
            return tried(&config, &[]);
        }
        let out = folder.path().join("out");
        run(ranks, &["run", arg(&config), "--out", arg(&out)])
    }

    #[track_caller]
    fn refused(task: &str, words: &[&str], change: impl FnOnce(&Path, &mut Table)) {
        assert_refused(&changed(task, change), words);
    }

    /// A value of the table, changed.
    #[track_caller]
    fn set(task: &str, key: &str, value: impl Into<Value>, words: &[&str]) {
        refused(task, words, |_, table| {
            table.insert(key.into(), value.into());
        });
    }

    fn edit(path: &Path, change: impl FnOnce(&mut Json)) {
        let mut json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }

    #[test]
    fn what_is_changed_here_runs_without_the_change() {
        for task in ["lm/arithmetic", "lm/countdown", "lm/gsm8k", "lm/jsonl"] {
            changed_on(1, REST, task, |_, _| ()).succeeded();
        }
    }

    #[test]
    fn keys_and_values_are_checked_by_name() {
        let sums = "lm/arithmetic";
        set(sums, "bach", 3, &["task.bach: unknown key; did you mean \"batch\"?"]);
        set(
            sums,
            "alpha",
            0.0,
            &["task.alpha: expected a number, above 0, at most 1, got 0"],
        );
        set(sums, "alpha", 1.5, &["task.alpha", "at most 1, got 1.5"]);
        set(sums, "rank", 0, &["task.rank", "from 1 to", "got 0"]);
        set(sums, "date", "today", &["task.date", "\"2024-07-26\"", "got \"today\""]);
        set(
            sums,
            "batch",
            13,
            &["task.batch: 13 prompts", "more than the 12 cases of the train split"],
        );
        let words = ["task.train_cases: there are no 5000 different problems"];
        refused(sums, &words, |_, table| {
            table.insert("digits".into(), 1.into());
            table.insert("words".into(), 0.into());
            table.insert("train_cases".into(), 5000.into());
        });
        set("lm/gsm8k", "digits", 3, &["task.digits: unknown key"]);
        set(
            sums,
            "temperature",
            1e-40,
            &["task.temperature", "0 (greedy), or from 0.000001 to 100"],
        );
    }

    #[test]
    fn the_unit_of_genes_is_one_of_two() {
        let words = ["task.scale: expected a string, one of \"relative\", \"absolute\", got \"relativ\""];
        set("lm/arithmetic", "scale", "relativ", &words);
        set(
            "lm/arithmetic",
            "scale",
            0.5,
            &["task.scale: expected a string", "got 0.5"],
        );
    }

    /// A run of `grpo` with this in its table.
    fn grpo(line: &str) -> String {
        format!(
            "[strategy]\nname = \"grpo\"\ngroup = 2\n{line}\n[archive]\nkind = \"grid\"\nshape = [5]\n[budget]\ngenerations = 1\n"
        )
    }

    #[test]
    fn grpo_checks_the_form_of_its_loss_and_the_size_of_its_steps() {
        for (line, words) in [
            (
                "loss = \"bnpo\"",
                "strategy.loss: expected a string, one of \"dapo\", \"grpo\", \"dr_grpo\", got \"bnpo\"",
            ),
            ("loss = 1", "strategy.loss: expected a string"),
            (
                "scale_rewards = \"std\"",
                "strategy.scale_rewards: expected a string, one of \"group\", \"batch\", \"none\", got \"std\"",
            ),
            ("scale_rewards = true", "strategy.scale_rewards: expected a string"),
            (
                "max_grad_norm = -1.0",
                "strategy.max_grad_norm: expected a number, at least 0, got -1",
            ),
            ("max_grad_norm = nan", "strategy.max_grad_norm"),
            (
                "max_grad_norms = 1.0",
                "strategy.max_grad_norms: unknown key; did you mean \"max_grad_norm\"?",
            ),
            ("kl = -0.1", "strategy.kl: expected a number, at least 0, got -0.1"),
        ] {
            let ended = changed_with(&grpo(line), "lm/arithmetic", |_, table| {
                table.insert("temperature".into(), 1.0.into());
            });
            assert_refused(&ended, &[words]);
        }
    }

    #[test]
    fn answers_of_which_grpo_has_no_gradient_are_refused() {
        let rest = &grpo("");
        for (temperature, top_p, words) in [
            (0.0, 1.0, "expected task.temperature above 0"),
            (1.0, 0.9, "expected an lm/ task with task.top_p = 1"),
        ] {
            let ended = changed_with(rest, "lm/arithmetic", |_, table| {
                table.insert("temperature".into(), temperature.into());
                table.insert("top_p".into(), top_p.into());
            });
            assert_refused(&ended, &["strategy.name: \"grpo\"", words]);
        }
    }

    #[test]
    fn a_rank_above_a_side_of_the_model_is_refused_for_a_new_adapter() {
        refused("lm/arithmetic", &["task.rank", "300"], |_, table| {
            table.insert("adapter".into(), "".into());
            table.insert("search".into(), "adapters".into());
            table.insert("rank".into(), 300.into());
        });
    }

    #[test]
    fn a_model_that_is_missing_or_of_another_kind_is_named() {
        let sums = "lm/arithmetic";
        set(
            sums,
            "model",
            "no/such/folder",
            &["task.model: there is no folder \"no/such/folder\"", "lm pretrain"],
        );
        refused(
            sums,
            &["config.json", "MambaForCausalLM", "Qwen2ForCausalLM"],
            |dir, _| {
                edit(&dir.join("config.json"), |json| {
                    json["model_type"] = "mamba".into();
                    json["architectures"] = serde_json::json!(["MambaForCausalLM"]);
                });
            },
        );
        refused(sums, &["model-00001-of-00001.safetensors"], |dir, _| {
            fs::remove_file(dir.join("model.safetensors")).unwrap();
            let names = tiny_config().tensors().into_iter();
            let map: serde_json::Map<String, Json> = names
                .map(|(name, _)| (name, "model-00001-of-00001.safetensors".into()))
                .collect();
            let index = serde_json::json!({"metadata": {}, "weight_map": map});
            fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
        });
    }

    /// A small model in a GGUF file.
    const GGUF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lm/tests/data/gguf_llama.gguf");

    #[test]
    fn gguf_files_that_cannot_be_read_end_a_run_and_an_import_in_one_sentence() {
        let gguf = fs::read(GGUF).unwrap();
        for (bytes, words) in [
            (b"GGUF".to_vec(), "cut short or damaged"),
            (b"PK".to_vec(), "is not a GGUF file"),
            (gguf[..gguf.len() - 4000].to_vec(), "behind the end of the file"),
        ] {
            let folder = folder();
            let file = folder.path().join("model.gguf");
            fs::write(&file, bytes).unwrap();
            let out = folder.path().join("out");
            assert_refused(
                &run(1, &["lm", "import", arg(&file), "--out", arg(&out)]),
                &["model.gguf", words],
            );
            assert!(!out.exists());
            set("lm/arithmetic", "model", arg(&file), &["model.gguf", words]);
        }
    }

    #[test]
    fn what_an_import_is_asked_for_is_checked() {
        let folder = folder();
        let import = |model: &str, more: &[&str]| {
            run(
                1,
                &[&["lm", "import", model, "--out", arg(folder.path())], more].concat(),
            )
        };
        assert_refused(&import("no/such.gguf", &[]), &["there is no file no/such.gguf"]);
        assert_refused(
            &import(arg(folder.path()), &[]),
            &["there is no file", "give a .gguf file"],
        );
        let ended = import(GGUF, &["--dtype", "int8"]);
        assert_eq!(ended.code(), Some(2));
        assert!(
            ended.stderr.contains("int8") && ended.stderr.contains("bf16"),
            "{}",
            ended.stderr
        );
        fs::write(folder.path().join("notes"), "mine").unwrap();
        assert_refused(&import(GGUF, &[]), &["is not empty", "--force"]);
    }

    #[test]
    fn a_tokenizer_of_another_model_is_refused_with_both_sizes() {
        let words = [
            "tokenizer.json: this tokenizer is not the model's: it has 60 tokens",
            "vocab_size = 149",
        ];
        refused("lm/arithmetic", &words, |dir, _| {
            edit(&dir.join("tokenizer.json"), |json| {
                json["model"]["vocab"].as_array_mut().unwrap().truncate(60);
            });
        });
        refused("lm/arithmetic", &["tokenizer.json: there is no such file"], |dir, _| {
            fs::remove_file(dir.join("tokenizer.json")).unwrap();
        });
    }

    #[test]
    fn adapters_that_are_missing_zero_or_of_another_model_are_refused() {
        let sums = "lm/arithmetic";
        set(
            sums,
            "adapter",
            "no/such/adapter",
            &["task.adapter: there is no folder \"no/such/adapter\""],
        );
        set(
            sums,
            "adapter",
            "",
            &["task.adapter: empty", "no singular values", "search = \"adapters\""],
        );
        let write = |dir: &Path, hidden: usize| {
            let config = illume::envs::lm::ModelConfig {
                hidden,
                ..tiny_config()
            };
            let lora = Lora::fresh(&config, 2, 4.0, &Module::ATTENTION, 1).unwrap();
            lora.write(&dir.join("adapter")).unwrap();
        };
        refused(sums, &["task.adapter", "is zero", "no singular values"], |dir, _| {
            write(dir, 16)
        });
        refused(sums, &["adapter_model.safetensors", "32", "16"], |dir, _| {
            write(dir, 32)
        });
        refused(sums, &["task.modules: there is no \"query\"", "q_proj"], |_, table| {
            table.insert("adapter".into(), "".into());
            table.insert("search".into(), "adapters".into());
            table.insert("modules".into(), Value::Array(vec!["query".into()]));
        });
    }

    #[test]
    fn lines_that_are_no_cases_are_named_by_file_and_number() {
        let break_line = |file: &'static str, line: &'static str| {
            move |dir: &Path, _: &mut Table| {
                let path = dir.join(file);
                let text = fs::read_to_string(&path).unwrap();
                let mut lines: Vec<&str> = text.lines().collect();
                lines[6] = line;
                fs::write(&path, lines.join("\n")).unwrap();
            }
        };
        refused(
            "lm/gsm8k",
            &["train.jsonl:7: not JSON", "What is"],
            break_line("train.jsonl", "What is 1 + 1?"),
        );
        refused(
            "lm/gsm8k",
            &["test.jsonl:7: ", "####"],
            break_line("test.jsonl", "{\"question\": \"?\", \"answer\": \"5\"}"),
        );
        refused(
            "lm/jsonl",
            &["cases.jsonl:7: there is no field \"answer\"", "reply"],
            break_line("cases.jsonl", "{\"prompt\": \"?\", \"reply\": 5}"),
        );
        let long: &'static str = Box::leak(format!("{{\"prompt\": \"{}\", \"answer\": 1}}", "7 ".repeat(300)).into());
        let words = [
            "cases.jsonl:7: the prompt has 6",
            "max_new_tokens = 4",
            "context of 512",
            "at most 508 fit",
        ];
        refused("lm/jsonl", &words, break_line("cases.jsonl", long));
        refused(
            "lm/jsonl",
            &["task.data: the validation split has no cases"],
            |dir, table| {
                fs::write(dir.join("cases.jsonl"), "{\"prompt\": \"?\", \"answer\": 5}\n").unwrap();
                table.insert("batch".into(), 1.into());
            },
        );
        set(
            "lm/jsonl",
            "data",
            "no/such.jsonl",
            &["task.data: there is no file \"no/such.jsonl\""],
        );
        set("lm/jsonl", "data", "", &["task.data: missing"]);
        set(
            "lm/gsm8k",
            "validation_data",
            "no/such.jsonl",
            &["task.validation_data: there is no file"],
        );
    }

    #[test]
    fn rewards_that_cannot_be_had_are_refused_before_the_run() {
        let command = |words: &[&str], program: &[&str]| {
            refused("lm/jsonl", words, |_, table| {
                table.insert("reward".into(), "command".into());
                let program = program.iter().map(|w| Value::from(*w)).collect();
                table.insert("command".into(), Value::Array(program));
                table.insert("timeout".into(), 20.0.into());
            });
        };
        let line = |line: &'static str, reward: &'static str| {
            move |dir: &Path, table: &mut Table| {
                fs::write(dir.join("cases.jsonl"), line).unwrap();
                table.insert("reward".into(), reward.into());
            }
        };
        refused(
            "lm/jsonl",
            &["cases.jsonl:1: the reference has no result", "\\boxed{}"],
            line("{\"prompt\": \"?\", \"answer\": \"So \\\\boxed{}\"}", "math"),
        );
        refused(
            "lm/jsonl",
            &[
                "cases.jsonl:1: there is no field \"instructions\"",
                "\"instruction_id_list\"",
            ],
            line("{\"prompt\": \"?\", \"answer\": 1}", "instructions"),
        );
        refused(
            "lm/jsonl",
            &[
                "cases.jsonl:1: language:response_language",
                "supported: keywords:existence",
            ],
            line(
                "{\"prompt\": \"?\", \"instructions\": [{\"id\": \"language:response_language\", \"kwargs\": {\"language\": \"de\"}}]}",
                "instructions",
            ),
        );
        command(&["task.command: empty"], &[]);
        command(
            &["task.command: \"no/such/program\" cannot be started"],
            &["no/such/program"],
        );
        command(
            &["task.command: \"sh\" answered \"hello\"", "{\"reward\": number}"],
            &["sh", "-c", "read -r l; echo hello"],
        );
        command(&["task.command: \"true\" ended without an answer"], &["true"]);
        refused(
            "lm/jsonl",
            &["task.pattern: \"(\" is no regular expression"],
            |_, table| {
                table.insert("reward".into(), "regex".into());
                table.insert("pattern".into(), "(".into());
            },
        );
    }

    /// The run goes on; what failed is told once, though it failed on every rank.
    #[test]
    fn a_program_that_fails_during_the_run_makes_rows_fail() {
        for ranks in [1, 2] {
            let ended = changed_on(ranks, REST, "lm/jsonl", |_, table| {
                table.insert("reward".into(), "command".into());
                let script = "read -r l; echo '{\"reward\": 0.5}'; while read -r l; do echo what; done";
                let program = ["sh", "-c", script].map(Value::from);
                table.insert("command".into(), Value::Array(program.into()));
            });
            let words = ["illume: lm/jsonl: \"sh\" answered \"what\"", "its rows count as failed"];
            assert_says(&ended.stderr, &words);
            assert_eq!(ended.stderr.matches("count as failed").count(), 1, "{ended}");
        }
    }

    #[test]
    fn a_policy_has_no_meaning_here() {
        let folder = folder();
        let table = tiny_lm(folder.path(), "lm/arithmetic");
        let text = format!("[task]\n{table}[policy]\nhidden = [3]\n{REST}");
        let config = write_config(folder.path(), &text);
        let words = ["policy.hidden", "task \"lm/arithmetic\" acts through no network"];
        assert_refused(&tried(&config, &[]), &words);
    }
}
