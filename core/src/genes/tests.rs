use super::*;

const FOUR: &str = r#"
[[genes]]
name = "angle"
lower = -3.0
upper = 3
unit = "rad"
count = 3
[[genes]]
name = "rate"
lower = 1e-4
upper = 1e-1
scale = "log"
[[genes]]
name = "layers"
lower = 1
upper = 8
kind = "integer"
[[genes]]
name = "solver"
values = ["adam", "sgd", "lbfgs"]
"#;

fn read_text(text: &str) -> Result<GeneSpace> {
    let table: toml::Table = text.parse().unwrap();
    GeneSpace::from_toml(&table["genes"], "task.genes")
}

fn message(text: &str) -> String {
    read_text(text).unwrap_err().to_string()
}

#[test]
fn a_table_becomes_groups_in_the_order_of_the_file() {
    let space = read_text(FOUR).unwrap();
    assert_eq!(space.dim(), 6);
    assert_eq!(
        space.names(),
        ["angle_0", "angle_1", "angle_2", "rate", "layers", "solver"]
    );
    assert_eq!(space.summary(), "3 real, 1 log, 1 integer, 1 categorical");
    assert_eq!(space.group_of(2).name, "angle");
    assert_eq!(space.group_of(3).name, "rate");
    assert_eq!(space.group_of(5).label(1.0), Some("sgd"));
    assert_eq!(space.unordered().unwrap().name, "solver");
}

#[test]
fn coordinates_stand_for_values_between_the_bounds() {
    let space = read_text(FOUR).unwrap();
    let mut values = [0.0; 6];
    space.decode(&[0.0; 6], &mut values);
    assert_eq!(
        values,
        [-3.0, -3.0, -3.0, 1e-4f32.next_up(), 1.0, 0.0],
        "1e-4 in single precision lies below"
    );
    space.decode(&[1.0; 6], &mut values);
    assert_eq!(values, [3.0, 3.0, 3.0, 0.1f32.next_down(), 8.0, 2.0]);
    space.decode(&[0.5, 0.25, 0.75, 1.0 / 3.0, 0.49, 0.34], &mut values);
    assert_eq!(values[..3], [0.0, -1.5, 1.5]);
    assert!((values[3] - 1e-3).abs() < 1e-8, "{}", values[3]);
    assert_eq!(values[4..], [4.0, 1.0]);
    // Beyond the interval: the nearer end.
    space.decode(&[-0.5, 7.0, 0.0, -1.0, 1.5, f32::NAN], &mut values);
    assert_eq!(values[..2], [-3.0, 3.0]);
    assert_eq!(values[3..5], [1e-4f32.next_up(), 8.0]);
}

#[test]
fn integers_are_equally_likely_and_every_one_comes_back() {
    let group = |lower: f64, upper: f64| GeneGroup {
        name: "n".into(),
        count: 1,
        kind: GeneKind::Integer,
        lower,
        upper,
        unit: String::new(),
    };
    let small = group(-2.0, 4.0);
    let mut counts = [0; 7];
    (0..7000).for_each(|i| counts[(small.value((i as f32 + 0.5) / 7000.0) + 2.0) as usize] += 1);
    assert_eq!(counts, [1000; 7]);
    for (lower, upper) in [
        (-2.0, 4.0),
        (0.0, MOST_VALUES - 1.0),
        (LARGEST_INTEGER - MOST_VALUES + 1.0, LARGEST_INTEGER),
    ] {
        let group = group(lower, upper);
        assert!(group.problems().is_empty());
        let step = (((upper - lower) / 1000.0) as usize).max(1);
        for value in (lower as i64..=upper as i64).step_by(step).chain([upper as i64]) {
            let z = group.coordinate(value as f32);
            assert_eq!(group.value(z), value as f32);
            let mut snapped = [z];
            GeneSpace::new(vec![group.clone()], "genes").unwrap().snap(&mut snapped);
            assert_eq!(snapped, [z], "a middle stays where it is");
        }
    }
}

#[test]
fn values_come_back_from_their_coordinates() {
    let space = read_text(FOUR).unwrap();
    let values = [-2.9, 0.1, 3.0, 0.02, 5.0, 2.0];
    let (mut z, mut again) = ([0.0; 6], [0.0; 6]);
    space.encode(&values, &mut z);
    assert!(z.iter().all(|z| (0.0..=1.0).contains(z)), "{z:?}");
    space.decode(&z, &mut again);
    for (a, b) in again.iter().zip(&values) {
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{again:?}");
    }
}

#[test]
fn bad_genes_are_said_in_one_sentence_with_their_place() {
    let one = |body: &str| message(&format!("[[genes]]\nname = \"a\"\n{body}"));
    for (body, expected) in [
        (
            "lower = 0\nupper = 1\nkind = \"reel\"",
            "task.genes[a].kind: expected a string, one of \"real\", \"integer\", \"categorical\", got \"reel\"",
        ),
        (
            "lower = 2\nupper = 2",
            "task.genes[a].upper: expected a number above lower = 2, got 2",
        ),
        (
            "lower = 3\nupper = -1",
            "task.genes[a].upper: expected a number above lower = 3, got -1",
        ),
        (
            "lower = 0\nupper = 1\nscale = \"log\"",
            "task.genes[a].lower: a log scale begins above 0: expected at least",
        ),
        (
            "lower = -1.0\nupper = 1\nscale = \"log\"",
            "task.genes[a].lower: a log scale begins above 0",
        ),
        (
            "lower = nan\nupper = 1",
            "task.genes[a].lower: expected a number, finite, got nan",
        ),
        (
            "lower = 0\nupper = inf",
            "task.genes[a].upper: expected a number, finite, got inf",
        ),
        (
            "lower = 0\nupper = 1e300",
            "task.genes[a].upper: expected a finite number, at most 3.4028235e38 in size",
        ),
        (
            "lower = 0\nupper = 100000000\nkind = \"integer\"",
            "task.genes[a].upper: expected an integer from -16777216 to 16777216",
        ),
        (
            "lower = 0\nupper = 5000000\nkind = \"integer\"",
            "task.genes[a].upper: expected at most 4194304 values from lower to upper, got 5000001",
        ),
        (
            "lower = 0.5\nupper = 5\nkind = \"integer\"",
            "task.genes[a].lower: expected an integer from",
        ),
        (
            "lower = 0\nupper = 1\ncount = 0",
            "task.genes[a].count: expected a non-negative integer, from 1 to 16777216, got 0",
        ),
        (
            "values = []",
            "task.genes[a].values: expected the names of at least two categories, got 0",
        ),
        (
            "values = [\"x\"]",
            "task.genes[a].values: expected the names of at least two categories, got 1",
        ),
        (
            "values = [\"x\", \"y\", \"x\"]",
            "task.genes[a].values: the category \"x\" is named twice",
        ),
        (
            "values = [\"x\", \"y\\nz\"]",
            "task.genes[a].values: expected text on one line, got \"y\\nz\"",
        ),
        (
            "values = [1, 2]",
            "task.genes[a].values: expected a list of strings, got [1, 2]",
        ),
        (
            "values = [\"x\", \"y\"]\nlower = 0",
            "task.genes[a].lower: categories have neither bounds",
        ),
        (
            "kind = \"categorical\"",
            "task.genes[a].values: missing: the names of the categories",
        ),
        (
            "kind = \"integer\"\nvalues = [\"x\", \"y\"]\nlower = 0\nupper = 1",
            "task.genes[a].values: only kind = \"categorical\" has values",
        ),
        (
            "lower = 1\nupper = 9\nkind = \"integer\"\nscale = \"log\"",
            "task.genes[a].scale: only real genes have a log scale",
        ),
        (
            "lower = 0",
            "task.genes[a].upper: missing: the highest value of the gene, a number",
        ),
        (
            "lower = 0\nuper = 1",
            "task.genes[a].uper: unknown key; did you mean \"upper\"?",
        ),
    ] {
        let found = one(body);
        assert!(found.starts_with(expected), "{body:?}: {found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
    let bounds = "lower = 0\nupper = 1\n";
    assert!(message(&format!("[[genes]]\n{bounds}")).starts_with("task.genes[0].name: missing"));
    let twice = message(&format!(
        "[[genes]]\nname = \"a\"\n{bounds}[[genes]]\nname = \"a\"\n{bounds}"
    ));
    assert!(
        twice.starts_with("task.genes[a].name: two genes are called \"a\""),
        "{twice}"
    );
    for [first, second] in [["a\"\ncount = 3", "a_2\""], ["a_2\"", "a\"\ncount = 3"]] {
        let twice = message(&format!(
            "[[genes]]\nname = \"{first}\n{bounds}[[genes]]\nname = \"{second}\n{bounds}"
        ));
        assert!(twice.contains("two genes are called \"a_2\""), "{twice}");
    }
    assert!(
        read_text(&format!(
            "[[genes]]\nname = \"a\"\ncount = 3\n{bounds}[[genes]]\nname = \"a_3\"\n{bounds}"
        ))
        .is_ok()
    );
    assert_eq!(
        message("genes = []"),
        "task.genes: expected at least one gene, got none"
    );
    assert!(message("genes = 3").starts_with("task.genes: expected a list of tables"));
    assert!(message("genes = [3]").ends_with("got 3 among them"));
    assert!(message("[genes]\na = { lower = 0, upper = 1 }").ends_with("got a table, which has no order"));
    // Several problems at once.
    let both = message(
        "[[genes]]\nname = \"a\"\nlower = 0\nupper = 0\n[[genes]]\nname = \"b\"\nkind = \"x\"\nlower = 0\nupper = 1",
    );
    assert_eq!(both.lines().count(), 2, "{both}");
}
