//! The way from nothing to an adapter, as users walk it: a model from scratch, a warm start, a search, an adapter for PEFT, answers. On a model that is far
//! too small to know anything.

mod common;

use common::refused::assert_refused;
use common::{arg, folder, run};

#[cfg(not(feature = "torch"))]
#[test]
fn without_libtorch_no_model_is_trained_from_scratch() {
    let folder = folder();
    let ended = run(1, &["lm", "pretrain", "--out", arg(&folder.path().join("model"))]);
    assert_refused(&ended, &["from scratch", "libtorch", "--features torch"]);
}

#[cfg(not(feature = "lm"))]
#[test]
fn without_language_models_each_command_says_so() {
    let folder = folder();
    let config = common::write_config(folder.path(), common::refused::GOOD);
    for arguments in [
        &["lm", "import", "model.gguf", "--out", "model"][..],
        &["lm", "sft", arg(&config)],
        &["lm", "answer", arg(&config)],
        &["export", arg(folder.path()), "--adapter", "adapter"],
    ] {
        assert_refused(&run(1, arguments), &["language models", "--features lm"]);
    }
}

#[cfg(feature = "torch")]
mod with_torch {
    use std::fs;
    use std::path::{Path, PathBuf};

    use illume_lm::{Lora, ModelConfig, tiny_model};
    use serde_json::Value;

    use super::common::write_config;
    use super::*;

    fn json(arguments: &[&str]) -> Value {
        let text = run(1, arguments).succeeded();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    const SMALL: [&str; 14] = [
        "--layers",
        "1",
        "--hidden",
        "32",
        "--heads",
        "2",
        "--kv-heads",
        "1",
        "--intermediate",
        "48",
        "--batch",
        "4",
        "--warmup",
        "1",
    ];

    fn pretrain(model: &Path, steps: &str) -> Value {
        let more = ["--steps", steps, "--text", "digits=1", "--threads", "1", "--json"];
        json(&[&["lm", "pretrain", "--out", arg(model)][..], &SMALL, &more].concat())
    }

    /// A configuration whose search is over the singular values of an adapter in `folder`, of a model there.
    fn experiment(folder: &Path, task: &str) -> PathBuf {
        let text = format!(
            "seed = 3\n[task]\nname = \"lm/arithmetic\"\nmodel = \"{0}/model\"\nadapter = \"{0}/sft\"\nbatch = 3\n\
             max_new_tokens = 6\nvalidation_cases = 8\ntrain_cases = 20\nsft_cases = 10\nrank = 2\n{task}\n[strategy]\n\
             name = \"essa\"\npopulation = 4\nsigma = 0.1\n[budget]\ngenerations = 3\n",
            folder.display()
        );
        write_config(folder, &text)
    }

    #[test]
    fn a_gguf_file_answers_and_learns_as_the_folder_that_is_made_of_it() {
        let folder = folder();
        let gguf = concat!(env!("CARGO_MANIFEST_DIR"), "/lm/tests/data/gguf_llama.gguf");
        let model = folder.path().join("model");
        let imported = json(&["lm", "import", gguf, "--out", arg(&model), "--json"]);
        let config = ModelConfig::read(&model).unwrap();
        assert_eq!(imported["parameters"], config.parameters());
        assert_eq!(
            (&imported["architecture"], &imported["dtype"], &imported["bytes"]),
            (
                &"LlamaForCausalLM".into(),
                &"f32".into(),
                &(4 * config.parameters()).into()
            )
        );
        let experiment = experiment(folder.path(), "");
        let of = |model: &str| {
            let set = ["--set", &format!("task.model={model}")];
            let teach = [
                &[
                    "lm",
                    "sft",
                    arg(&experiment),
                    "--steps",
                    "2",
                    "--batch",
                    "2",
                    "--json",
                    "--force",
                ][..],
                &set,
            ];
            let loss = json(&teach.concat())["loss"].clone();
            let answers = json(&[&["lm", "answer", arg(&experiment), "--show", "8", "--json"][..], &set].concat());
            (loss, answers["answers"].clone())
        };
        assert_eq!(of(gguf), of(arg(&model)));
    }

    #[test]
    fn a_run_does_not_go_on_with_another_adapter() {
        let folder = folder();
        let gguf = concat!(env!("CARGO_MANIFEST_DIR"), "/lm/tests/data/gguf_llama.gguf");
        let experiment = experiment(folder.path(), "");
        let out = folder.path().join("run");
        let model = ["--set", &format!("task.model={gguf}")];
        let learn = |steps: &str| {
            let taught = [
                "lm",
                "sft",
                arg(&experiment),
                "--steps",
                steps,
                "--batch",
                "2",
                "--force",
            ];
            run(1, &[&taught[..], &model].concat()).succeeded();
        };
        learn("2");
        run(
            1,
            &[&["run", arg(&experiment), "--out", arg(&out)][..], &model].concat(),
        )
        .succeeded();
        let kept = illume::archives::file::open(&out.join("archive.h5"))
            .unwrap()
            .attributes
            .sources;
        let names: Vec<&str> = kept.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
        assert_eq!(names, ["task.model", "the task's data", "task.adapter"]);
        let resume = ["resume", arg(&out), "--set", "budget.generations=5"];
        learn("3");
        assert_refused(&run(1, &resume), &["task.adapter is not what it was", arg(&out)]);
        learn("2");
        run(1, &resume).succeeded();
    }

    #[test]
    fn from_nothing_to_an_adapter_for_peft() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let trained = pretrain(&at("model"), "12");
        assert_eq!(trained["steps"], 12);
        assert!(trained["loss"].as_f64().unwrap() < 5.1, "{trained}");
        let model = ModelConfig::read(&at("model")).unwrap();
        assert_eq!(trained["parameters"], model.parameters());

        let config = experiment(folder.path(), "");
        let sft = [
            "lm",
            "sft",
            arg(&config),
            "--steps",
            "3",
            "--batch",
            "4",
            "--learning-rate",
            "0.05",
            "--json",
        ];
        let adapted = json(&sft);
        assert_eq!((&adapted["rank"], &adapted["examples"]), (&2.into(), &10.into()));
        let start = Lora::read(&at("sft"), &model).unwrap();
        assert!(start.zero_factor().is_none(), "a warm start leaves no factor at zero");
        assert!(fs::canonicalize(&start.base).unwrap() == fs::canonicalize(at("model")).unwrap());

        let ran = run(1, &["run", arg(&config), "--out", arg(&at("run")), "--threads", "1"]);
        // Such a model ends hardly any of its answers within six tokens.
        let said = ran.stderr.clone();
        let words = ran.succeeded();
        for part in [
            "mean reward 0",
            "validation 0",
            " tokens, cut off ",
            "max_new_tokens = 6",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
        assert!(said.contains("generation 1: nearly all answers were cut off"), "{said}");
        assert!(!words.contains("coverage"), "{words}");
        let shown = run(1, &["info", arg(&at("run"))]).succeeded();
        assert!(
            shown.contains("lm/arithmetic") && shown.contains("validation"),
            "{shown}"
        );

        let svg = at("run.svg");
        run(1, &["plot", arg(&at("run")), "-o", arg(&svg)]).succeeded();
        let drawn = fs::read_to_string(&svg).unwrap();
        assert!(drawn.contains(">Validation<") && drawn.contains("tokens"), "{drawn}");

        let exported = json(&["export", arg(&at("run")), "--adapter", arg(&at("found")), "--json"]);
        assert_eq!((&exported["elite"], &exported["rank"]), (&"solution".into(), &2.into()));
        let found = Lora::read(&at("found"), &model).unwrap();
        assert_eq!(found.targets.len(), start.targets.len());

        // The run's result answers as the adapter that was written of it.
        let answers =
            |arguments: &[&str]| json(&[&["lm", "answer"][..], arguments, &["--show", "8", "--json"]].concat());
        let of_run = answers(&[arg(&at("run"))]);
        let elsewhere = format!("task.adapter={}", at("found").display());
        let of_adapter = answers(&[arg(&config), "--set", &elsewhere]);
        assert_eq!(of_run["answers"], of_adapter["answers"]);
        assert_eq!(of_run["cases"], 8);
        let base = answers(&[arg(&config), "--base", "--cases", "5"]);
        assert_eq!((&base["adapter"], &base["cases"]), (&"none".into(), &5.into()));
        assert_eq!(
            (&base["samples"], &base["pass_at"]),
            (&1.into(), &Value::Array(Vec::new()))
        );
        let sampled = answers(&[
            arg(&config),
            "--samples",
            "3",
            "--temperature",
            "0.8",
            "--passes-from",
            "0.5",
        ]);
        let ks: Vec<&Value> = sampled["pass_at"].as_array().unwrap().iter().map(|p| &p["k"]).collect();
        assert_eq!(
            (ks, &sampled["temperature"]),
            (vec![&1.into(), &2.into(), &3.into()], &0.8.into())
        );
        assert_eq!(
            sampled["pass_at"][0]["pass"], sampled["mean_reward"],
            "rewards are 0 or 1"
        );
        let words = run(1, &["lm", "answer", arg(&config), "--samples", "2"]).succeeded();
        for part in [
            "pass@2",
            "2 answers to each drawn at temperature 1\n",
            "from a reward of 1 on",
            "cut off ",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
        let own = run(1, &["lm", "answer", arg(&at("run")), "--prompt", "What is 1 + 1?"]).succeeded();
        assert!(own.contains("What is 1 + 1?") && !own.contains("reward"), "{own}");
    }

    #[test]
    fn the_same_seed_trains_the_same_model_and_adapter_at_any_number_of_threads() {
        let folder = folder();
        let config = experiment(folder.path(), "");
        let mut files = Vec::new();
        for threads in ["1", "2"] {
            let model = folder.path().join("model");
            let _ = fs::remove_dir_all(&model);
            let more = ["--steps", "3", "--threads", threads];
            run(
                1,
                &[&["lm", "pretrain", "--out", arg(&model)][..], &SMALL, &more].concat(),
            )
            .succeeded();
            let adapter = folder.path().join(format!("sft{threads}"));
            let sft = [
                "lm",
                "sft",
                arg(&config),
                "--out",
                arg(&adapter),
                "--steps",
                "3",
                "--threads",
                threads,
            ];
            run(1, &sft).succeeded();
            files.push([
                fs::read(model.join("model.safetensors")).unwrap(),
                fs::read(adapter.join("adapter_model.safetensors")).unwrap(),
            ]);
        }
        assert!(files[0] == files[1]);
    }

    #[test]
    fn pretrain_refuses_what_cannot_be() {
        let folder = folder();
        let out = folder.path().join("model");
        let refused = |more: &[&str], parts: &[&str]| {
            let arguments = [&["lm", "pretrain", "--out", arg(&out), "--steps", "1"][..], more].concat();
            assert_refused(&run(1, &arguments), parts);
            assert!(!out.join("config.json").exists());
        };
        refused(&["--hidden", "30", "--heads", "4"], &["--hidden 30", "multiple"]);
        refused(&["--text", "digit=2"], &["--text.digit", "did you mean \"digits\"?"]);
        refused(&["--text", "digits"], &["--text digits", "KEY=VALUE"]);
        refused(&["--learning-rate", "0"], &["learning rate", "above 0"]);
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join("notes"), "mine").unwrap();
        refused(&[], &["not empty", "--force"]);
    }

    #[test]
    fn sft_answer_and_export_refuse_what_is_not_there_or_does_not_fit() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        tiny_model(&path("model")).unwrap();
        let config = experiment(folder.path(), "");
        let (config, own) = (arg(&config), write_config(&path("model"), common::refused::GOOD));
        let own = arg(&own);
        assert_refused(&run(1, &["lm", "sft", own]), &["\"arm\"", "lm/arithmetic"]);
        assert_refused(&run(1, &["lm", "answer", own]), &["\"arm\"", "lm/arithmetic"]);
        let set = |assignment: &'static str| run(1, &["lm", "sft", config, "--set", assignment]);
        assert_refused(&set("task.rank=999"), &["task.rank", "999"]);
        assert_refused(
            &set("task.model=nowhere"),
            &["task.model", "nowhere", "illume lm pretrain"],
        );
        assert_refused(&set("task.sft_cases=0"), &["keeps 0 cases", "sft_cases"]);
        assert_refused(&set("task.adapter="), &["--out"]);
        assert_refused(
            &run(1, &["lm", "sft", config, "--cases", "99"]),
            &["--cases 99", "10 cases"],
        );
        assert_refused(&run(1, &["lm", "answer", config]), &["task.adapter", "illume lm sft"]);
        assert_refused(
            &run(1, &["lm", "answer", config, "--elite", "best"]),
            &["--elite", "configuration"],
        );
        for (more, parts) in [
            (
                &["--samples", "4", "--temperature", "0"][..],
                &["--samples 4", "above 0"][..],
            ),
            (&["--temperature", "-1"], &["--temperature -1", "0 (greedy)"]),
            (&["--temperature", "nan"], &["--temperature NaN", "0 (greedy)"]),
        ] {
            let own = format!("task.adapter={}", path("model/adapter").display());
            let arguments = [&["lm", "answer", config, "--set", &own][..], more].concat();
            assert_refused(&run(1, &arguments), parts);
        }
        // What the parser of arguments refuses takes several lines.
        for (more, part) in [
            (&["--samples", "0"][..], "--samples <N>"),
            (&["--samples", "2", "--prompt", "x"], "cannot be used with"),
        ] {
            let ended = run(1, &[&["lm", "answer", config][..], more].concat());
            assert!(ended.code() == Some(2) && ended.stderr.contains(part), "{ended}");
        }
        let arm = path("arm");
        run(1, &["run", own, "--out", arg(&arm)]).succeeded();
        let adapter = path("adapter");
        let export = ["export", arg(&arm), "--adapter", arg(&adapter)];
        assert_refused(&run(1, &export), &["\"arm\"", "no language model"]);
        assert!(!adapter.exists());
    }
}
