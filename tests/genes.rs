//! `[[task.genes]]` from the configuration to files, exports and plots: equal archives, resumed runs, values and names for other programs, and what is refused.

mod common;

use common::refused::{finished, refused};
use common::{arg, assert_equal_runs, folder, open, python, run, write_config};

/// Eight genes of every kind, on a function of their values.
fn task(categories: &str) -> String {
    format!(
        "[task]\nname = \"sphere\"\ndim = 8\n\
         [[task.genes]]\nname = \"x\"\nlower = -5.0\nupper = 5.0\ncount = 4\nunit = \"m\"\n\
         [[task.genes]]\nname = \"rate\"\nlower = 0.01\nupper = 5.0\nscale = \"log\"\n\
         [[task.genes]]\nname = \"n\"\nlower = -3\nupper = 6\nkind = \"integer\"\ncount = 2\n\
         [[task.genes]]\nname = \"solver\"\nvalues = [{categories}]\n"
    )
}

const THREE: &str = "\"adam\", \"sgd, plain\", \"lbfgs\"";
/// Which have an order, so that every strategy takes them.
const TWO: &str = "\"no\", \"yes\"";

fn config(categories: &str, strategy: &str) -> String {
    format!(
        "seed = 5\n{}[strategy]\n{strategy}\n[archive]\nshape = [12, 12]\n[budget]\ngenerations = 6\n",
        task(categories)
    )
}

const MAP_ELITES: &str =
    "name = \"map_elites\"\nbatch = 70\npolynomial_share = 0.4\niso_sigma = 0.05\nline_sigma = 0.2";
const MULTI_EMITTER: &str =
    "name = \"multi_emitter\"\nemitters = [{ kind = \"iso_line\", batch = 40 }, { kind = \"polynomial\", batch = 30 }]";
/// Those that search along numbers.
const NUMBERS: [&str; 7] = [
    "name = \"cma_es\"",
    "name = \"sep_cma_es\"\nrestarts = \"ipop\"\ntol_x = 0.9",
    "name = \"cma_me\"\nemitters = 3\nbatch = 12\nsigma = 0.05\nrestart_every = 3",
    "name = \"multi_emitter\"\nemitters = [{ kind = \"iso_line\", batch = 40 }, { kind = \"evolution_strategy\", batch = 12, optimizer = \"sep_cma_es\" }]",
    "name = \"snes\"",
    "name = \"openai_es\"\npopulation = 20\nsigma = 0.1",
    "name = \"deep_ga\"\npopulation = 30\nparents = 5\nsigma = 0.05",
];

fn all() -> Vec<String> {
    let numbers = NUMBERS.iter().map(|strategy| config(TWO, strategy));
    let categories = [MAP_ELITES, MULTI_EMITTER].map(|strategy| config(THREE, strategy));
    categories.into_iter().chain(numbers).collect()
}

/// Equal on any number of ranks and threads, and when it was stopped by its budget and went on.
#[test]
fn archives_are_equal_on_all_layouts_and_when_resumed() {
    let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
    for text in all() {
        let folder = folder();
        let config = write_config(folder.path(), &text);
        let [once, other, twice] = ["once", "other", "twice"].map(|name| folder.path().join(name));
        run(1, &["run", arg(&config), "--out", arg(&once), "--threads", "1"]).succeeded();
        run(ranks, &["run", arg(&config), "--out", arg(&other), "--threads", "2"]).succeeded();
        assert!(open(&once.join("archive.h5")).rows() > 0);
        assert_equal_runs(&once, &other);
        let short = ["--set", "budget.generations=3"];
        run(1, &[&["run", arg(&config), "--out", arg(&twice)], &short[..]].concat()).succeeded();
        run(ranks, &["resume", arg(&twice), "--set", "budget.generations=6"]).succeeded();
        assert_equal_runs(&once, &twice);
    }
}

#[test]
fn what_operators_make_are_values_that_genes_have_and_the_optimum_is_found() {
    let text = config(THREE, MAP_ELITES).replace("generations = 6", "generations = 150");
    let (_folder, dir) = finished(&text);
    let file = open(&dir.join("archive.h5"));
    let genes = file.genes.clone().expect("the file says what genes are");
    let data = match file.genomes(0..file.rows()).unwrap() {
        illume::core::Genomes::Dense(dense) => dense.data,
        other => panic!("{other:?}"),
    };
    let (mut seen, mut values) = ([false; 3], [0.0; 8]);
    for genome in data.chunks_exact(8) {
        let mut snapped = genome.to_vec();
        genes.snap(&mut snapped);
        assert_eq!(
            snapped, genome,
            "integers and categories lie in the middle of their cells"
        );
        genes.decode(genome, &mut values);
        assert!((0.01..=5.0).contains(&values[4]) && values[5].fract() == 0.0);
        seen[values[7] as usize] = true;
    }
    assert_eq!(seen, [true; 3]);
    // The optimum has genes of 2.048: integers of 2, the category of number 2.
    let best = file.elites.get::<f64>("fitness").unwrap();
    let best = (0..best.len()).max_by(|a, b| best[*a].total_cmp(&best[*b])).unwrap();
    genes.decode(&data[8 * best..][..8], &mut values);
    assert_eq!(values[5..], [2.0, 2.0, 2.0], "{values:?}");
    assert!(values[..5].iter().all(|x| (x - 2.048).abs() < 0.5), "{values:?}");
}

/// The archive, its exports and its plots name genes and show their values.
#[test]
fn names_and_values_of_genes_reach_other_programs() {
    let (folder, dir) = finished(&config(THREE, MAP_ELITES));
    let [csv, npz, h5, parquet, svg] =
        ["e.csv", "e.npz", "e.h5", "e.parquet", "m.svg"].map(|name| folder.path().join(name));
    for output in [&csv, &npz, &h5] {
        let genomes: &[&str] = if output == &npz { &["--genomes"] } else { &[] };
        run(1, &[&["export", arg(&dir), "-o", arg(output)], genomes].concat()).succeeded();
    }
    if cfg!(feature = "parquet") {
        run(1, &["export", arg(&dir), "-o", arg(&parquet), "--genomes"]).succeeded();
    }
    let code = r#"
import sys, h5py, numpy as np, csv
archive, exported, text, arrays = sys.argv[1:5]
names = ["x_0", "x_1", "x_2", "x_3", "rate", "n_0", "n_1", "solver"]
labels = ["adam", "sgd, plain", "lbfgs"]
with h5py.File(archive) as f, h5py.File(exported) as g:
    genes = dict(f["genes"].attrs)
    assert list(genes["names"]) == ["x", "rate", "n", "solver"] and list(genes["counts"]) == [4, 1, 2, 1], genes
    assert list(genes["kinds"]) == ["real", "log", "integer", "categorical"]
    assert genes["values"][3].split("\n") == labels and list(genes["units"]) == ["m", "", "", ""]
    assert [n.decode() for n in f["elites/gene"][:]] == names
    z, value = f["elites/genome"][:].astype(float), f["elites/value"][:]
    assert np.allclose(value[:, :4], -5 + 10 * z[:, :4], atol=1e-5)
    assert np.allclose(value[:, 4], 0.01 * 500 ** z[:, 4], rtol=1e-5)
    assert (value[:, 5:7] == np.minimum(np.floor(10 * z[:, 5:7]), 9) - 3).all()
    assert (value[:, 7] == np.minimum(np.floor(3 * z[:, 7]), 2)).all() and len(set(value[:, 7])) == 3
    assert (g["elites/value"][:] == value).all() and list(g["genes"].attrs["names"]) == list(genes["names"])
rows = list(csv.DictReader(open(text)))
assert list(rows[0])[:8] == names, list(rows[0])
assert [r["solver"] for r in rows] == [labels[int(v)] for v in value[:, 7]]
assert [int(r["n_1"]) for r in rows] == [int(v) for v in value[:, 6]]
assert (np.array([float(r["rate"]) for r in rows], np.float32) == value[:, 4]).all()
with np.load(arrays) as data:
    assert list(data["genes"]) == names and (data["value"] == value).all() and (data["genome"] == z.astype(np.float32)).all()
"#;
    let checked = python()
        .args(["-c", code, arg(&dir.join("archive.h5")), arg(&h5), arg(&csv), arg(&npz)])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    #[cfg(feature = "parquet")]
    assert_table_has_the_values_of(&parquet, &dir.join("archive.h5"));

    let said = run(1, &["info", arg(&dir)]).succeeded();
    assert!(
        said.contains("x (4 real, -5 to 5 m), rate (log, 0.01 to 5), n (2 integer, -3 to 6), solver (categorical, adam | sgd, plain | lbfgs)"),
        "{said}"
    );
    let json = run(1, &["info", arg(&dir), "--json"]).succeeded();
    let fields: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(fields["genes"][3]["values"][2], "lbfgs");
    // A map of a gene, a category by its names.
    for (gene, word) in [("rate", "rate"), ("x_1", "x 1 (m)"), ("solver", "lbfgs")] {
        let drawn = ["plot", arg(&dir), "--color", gene, "-o", arg(&svg), "--force"];
        run(1, &drawn[..6]).succeeded();
        let picture = std::fs::read_to_string(&svg).unwrap();
        assert!(picture.contains(word), "{gene}: no {word:?} in the plot");
    }
    let page = folder.path().join("report.html");
    run(1, &["report", arg(&dir), "-o", arg(&page)]).succeeded();
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("\"gene solver\"") && page.contains("\"lbfgs\""));
}

/// A column for each gene by its name, with values, and categories as words.
#[cfg(feature = "parquet")]
fn assert_table_has_the_values_of(table: &std::path::Path, archive: &std::path::Path) {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    let file = open(archive);
    let genes = file.genes.clone().expect("the file says what genes are");
    let data = match file.genomes(0..file.rows()).unwrap() {
        illume::core::Genomes::Dense(dense) => dense.data,
        other => panic!("{other:?}"),
    };
    let reader = SerializedFileReader::new(std::fs::File::open(table).unwrap()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), file.rows());
    for (row, genome) in rows.iter().zip(data.chunks_exact(8)) {
        let mut values = [0.0; 8];
        genes.decode(genome, &mut values);
        let expected = genes.names().into_iter().zip(values).enumerate();
        let expected = expected.map(|(i, (name, value))| match i {
            0..5 => (name, Field::Float(value)),
            5..7 => (name, Field::Int(value as i32)),
            _ => (name, Field::Str(["adam", "sgd, plain", "lbfgs"][value as usize].into())),
        });
        let read = row.get_column_iter().take(8).map(|(name, x)| (name.clone(), x.clone()));
        assert!(read.eq(expected), "{row}");
    }
}

#[test]
fn wrong_genes_are_refused_in_one_sentence_with_their_line() {
    let good = config(THREE, MAP_ELITES);
    for (from, to, parts) in [
        (
            "lower = -5.0",
            "lower = 5.0",
            &[".toml:8:", "task.genes[x].upper", "above lower = 5", "got 5"][..],
        ),
        (
            "kind = \"integer\"",
            "kind = \"int\"",
            &["task.genes[n].kind", "\"integer\"", "got \"int\""],
        ),
        (
            "lower = 0.01",
            "lower = 0",
            &["task.genes[rate].lower", "a log scale begins above 0", "got 0"],
        ),
        (
            "upper = 6",
            "upper = 60000000",
            &["task.genes[n].upper", "16777216", "got 60000000"],
        ),
        ("count = 4", "count = 0", &["task.genes[x].count", "from 1", "got 0"]),
        (
            "count = 4",
            "count = 5",
            &["task.genes", "add up to 9 genes", "\"sphere\" have 8"],
        ),
        (
            "name = \"rate\"",
            "name = \"x\"",
            &["task.genes[x].name", "two genes are called"],
        ),
        (
            "upper = 5.0\ncount",
            "upper = nan\ncount",
            &["task.genes[x].upper", "finite", "got nan"],
        ),
        (
            "values = [\"adam\", \"sgd, plain\", \"lbfgs\"]",
            "values = []",
            &["task.genes[solver].values", "at least two", "got 0"],
        ),
        (
            "unit = \"m\"",
            "units = \"m\"",
            &["task.genes[x].units", "did you mean \"unit\"?"],
        ),
        (
            "name = \"sphere\"\ndim = 8",
            "name = \"hard_maze\"",
            &["task.genes", "weights of a network", "remove the genes"],
        ),
    ] {
        assert!(good.contains(from), "{from}");
        refused(&good.replacen(from, to, 1), parts);
    }
    for strategy in NUMBERS {
        let parts = ["strategy", "categories of \"solver\" have no order", "\"map_elites\""];
        refused(&config(THREE, strategy), &parts);
    }
    let table = "[task]\nname = \"sphere\"\ndim = 2\n[task.genes]\nx = { lower = 0, upper = 1 }\n";
    let parts = ["task.genes", "[[task.genes]]", "no order"];
    refused(
        &format!("{table}[strategy]\n{MAP_ELITES}\n[budget]\ngenerations = 1\n"),
        &parts,
    );
}
