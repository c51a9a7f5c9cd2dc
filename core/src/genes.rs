//! Genes that mean something by themselves: each with bounds, a kind and a name.
//!
//! Strategies search in coordinates from 0 to 1, one for each gene, and archives hold these. [`GeneSpace`] says which value of a gene a coordinate stands for:
//! linear between the bounds for real genes, linear in the logarithm for those on a log scale; integers and categories divide the interval into cells of
//! equal width, of which each stands for one value. The middle of a cell is the coordinate that operators write ([`GeneSpace::snap`]).

use std::ops::Range;

use crate::params::{Params, read};
use crate::{Error, Problem, Result, params};

/// The widest integer that every f32 up to it can hold, and so the largest bound of an integer gene.
const LARGEST_INTEGER: f64 = (1 << 24) as f64;
/// Values that an integer gene may take: the middle of each cell is still told from its neighbours by an f32 in [0, 1].
const MOST_VALUES: f64 = (1 << 22) as f64;

params! {
    /// One entry of `[[task.genes]]`: a gene, or a group of equal ones.
    pub struct GeneParams {
        /// Name of the gene; genes of a group are called name_0, name_1, and so on.
        name: String = String::new(), any();
        /// Genes of the group.
        count: usize = 1, range(1, 1 << 24);
        /// What values it takes; "categorical" follows from `values`.
        kind: String = "real".into(), one_of(&["real", "integer", "categorical"]);
        /// Lowest value.
        lower: f64 = f64::NAN, finite();
        /// Highest value.
        upper: f64 = f64::NAN, finite();
        /// Whether real values are spread evenly by themselves or by their logarithm.
        scale: String = "linear".into(), one_of(&["linear", "log"]);
        /// Names of the categories; the value is an index into this list, from 0.
        values: Vec<String> = Vec::new(), any();
        /// Unit of the values.
        unit: String = String::new(), any();
    }
}

/// The widest interval of single precision that lies within one of double precision: a task that checks its bounds must not find a gene an ulp beyond them.
pub fn inward([lower, upper]: [f64; 2]) -> [f32; 2] {
    let (low, high) = (lower as f32, upper as f32);
    [
        if f64::from(low) < lower { low.next_up() } else { low },
        if f64::from(high) > upper {
            high.next_down()
        } else {
            high
        },
    ]
}

/// What values a gene takes, and how they are spread over its coordinates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneKind {
    Real,
    /// Real, evenly spread by the logarithm.
    Log,
    /// Whole numbers, both bounds among them.
    Integer,
    /// One of these, without an order; the value is its index.
    Categorical(Vec<String>),
}

/// Genes that are alike: `count` of them, one behind the other.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneGroup {
    pub name: String,
    pub count: usize,
    pub kind: GeneKind,
    /// Bounds of the values, both allowed; 0 and n - 1 for n categories.
    pub lower: f64,
    pub upper: f64,
    /// Unit of the values, or empty.
    pub unit: String,
}

impl GeneGroup {
    /// Of categories, with their bounds.
    pub fn categorical(name: &str, count: usize, labels: Vec<String>) -> GeneGroup {
        GeneGroup {
            name: name.into(),
            count,
            lower: 0.0,
            upper: labels.len() as f64 - 1.0,
            kind: GeneKind::Categorical(labels),
            unit: String::new(),
        }
    }

    /// How many values there are; none for real genes.
    pub fn cells(&self) -> Option<u32> {
        match &self.kind {
            GeneKind::Real | GeneKind::Log => None,
            GeneKind::Integer | GeneKind::Categorical(_) => Some((self.upper - self.lower) as u32 + 1),
        }
    }

    /// Whether its values have no order: three or more categories. Two are 0 and 1.
    pub fn unordered(&self) -> bool {
        matches!(&self.kind, GeneKind::Categorical(labels) if labels.len() > 2)
    }

    /// The value that a coordinate stands for; one outside [0, 1] counts as the nearer end.
    pub fn value(&self, coordinate: f32) -> f32 {
        let z = f64::from(coordinate).clamp(0.0, 1.0);
        match (self.cells(), &self.kind) {
            (Some(cells), _) => (self.lower + f64::from(cell(coordinate, cells))) as f32,
            (None, GeneKind::Log) => self.within(self.lower * (self.upper / self.lower).powf(z)),
            (None, _) => self.within(self.lower * (1.0 - z) + self.upper * z),
        }
    }

    fn within(&self, value: f64) -> f32 {
        let [lower, upper] = inward([self.lower, self.upper]);
        (value as f32).max(lower).min(upper)
    }

    /// The coordinate that stands for a value; one outside the bounds counts as the nearer, and of numbers between integers the nearest integer is meant.
    pub fn coordinate(&self, value: f32) -> f32 {
        let x = f64::from(value).clamp(self.lower, self.upper);
        match (self.cells(), &self.kind) {
            (Some(cells), _) => middle((x - self.lower).round() as u32, cells),
            (None, GeneKind::Log) => ((x / self.lower).ln() / (self.upper / self.lower).ln()).clamp(0.0, 1.0) as f32,
            (None, _) => ((x - self.lower) / (self.upper - self.lower)) as f32,
        }
    }

    /// A value as people write it: a category by its name, an integer without a point.
    pub fn shown(&self, value: f32) -> String {
        match (self.label(value), &self.kind) {
            (Some(label), _) => label.into(),
            (None, GeneKind::Integer) => format!("{value:.0}"),
            (None, _) => format!("{value:?}"),
        }
    }

    /// The name of a value; none where values are numbers.
    pub fn label(&self, value: f32) -> Option<&str> {
        match &self.kind {
            GeneKind::Categorical(labels) => labels.get(value as usize).map(String::as_str),
            _ => None,
        }
    }

    /// What the kind is called.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            GeneKind::Real => "real",
            GeneKind::Log => "log",
            GeneKind::Integer => "integer",
            GeneKind::Categorical(_) => "categorical",
        }
    }

    /// What is wrong with it: (key, message).
    fn problems(&self) -> Vec<(&'static str, String)> {
        let (lower, upper) = (self.lower, self.upper);
        let mut found = Vec::new();
        if self.name.is_empty() {
            found.push((
                "name",
                "missing: what the gene is called, a string that is not empty".into(),
            ));
        }
        let labels = match &self.kind {
            GeneKind::Categorical(labels) => labels.as_slice(),
            _ => &[],
        };
        let texts = [
            ("name", std::slice::from_ref(&self.name)),
            ("unit", std::slice::from_ref(&self.unit)),
            ("values", labels),
        ];
        for (key, text) in texts
            .into_iter()
            .flat_map(|(key, all)| all.iter().map(move |text| (key, text)))
        {
            if text.chars().any(char::is_control) {
                found.push((key, format!("expected text on one line, got {text:?}")));
            }
        }
        if self.count == 0 {
            found.push(("count", "expected at least 1, got 0".into()));
        }
        if let GeneKind::Categorical(labels) = &self.kind {
            if labels.len() < 2 {
                let message = format!("expected the names of at least two categories, got {}", labels.len());
                found.push(("values", message));
            } else if labels.len() as f64 > MOST_VALUES {
                let message = format!("expected at most {MOST_VALUES} categories, got {}", labels.len());
                found.push(("values", message));
            }
            let mut sorted: Vec<&String> = labels.iter().collect();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                found.push(("values", format!("the category {:?} is named twice", pair[0])));
            }
            return found;
        }
        for (key, bound) in [("lower", lower), ("upper", upper)] {
            if !(bound as f32).is_finite() {
                let message = format!("expected a finite number, at most {:e} in size, got {bound}", f32::MAX);
                found.push((key, message));
            } else if self.kind == GeneKind::Integer && (bound.fract() != 0.0 || bound.abs() > LARGEST_INTEGER) {
                let message = format!(
                    "expected an integer from -{LARGEST_INTEGER} to {LARGEST_INTEGER} (genomes are f32), got {bound}"
                );
                found.push((key, message));
            }
        }
        if !found.is_empty() {
            return found;
        }
        if lower as f32 >= upper as f32 {
            found.push(("upper", format!("expected a number above lower = {lower}, got {upper}")));
        } else if self.kind == GeneKind::Log && (lower as f32) < f32::MIN_POSITIVE {
            let message = format!(
                "a log scale begins above 0: expected at least {:e}, got {lower}",
                f32::MIN_POSITIVE
            );
            found.push(("lower", message));
        } else if self.kind == GeneKind::Integer && upper - lower + 1.0 > MOST_VALUES {
            let values = upper - lower + 1.0;
            let message = format!(
                "expected at most {MOST_VALUES} values from lower to upper, got {values}: take kind = \"real\" and round"
            );
            found.push(("upper", message));
        }
        found
    }
}

/// Of so many equal cells of [0, 1] the one in which a coordinate lies.
pub fn cell(coordinate: f32, cells: u32) -> u32 {
    let at = f64::from(coordinate).clamp(0.0, 1.0) * f64::from(cells);
    (at as u32).min(cells - 1)
}

/// The middle of a cell.
pub fn middle(cell: u32, cells: u32) -> f32 {
    ((f64::from(cell) + 0.5) / f64::from(cells)) as f32
}

/// The genes of a genome, group by group.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneSpace {
    groups: Vec<GeneGroup>,
    /// First gene of each group, and the number of genes behind them.
    starts: Vec<usize>,
}

impl GeneSpace {
    /// Of these groups, in this order.
    ///
    /// # Errors
    /// Bounds, counts, categories or names that cannot be; each problem is of a section `section[NAME]`.
    pub fn new(groups: Vec<GeneGroup>, section: &str) -> Result<GeneSpace> {
        let mut problems = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            for (key, message) in group.problems() {
                problems.push(Problem {
                    section: place(section, &group.name, i),
                    key: key.into(),
                    message,
                });
            }
        }
        if groups.is_empty() {
            let (table, key) = section.rsplit_once('.').unwrap_or(("", section));
            return Err(Error::config(table, key, "expected at least one gene, got none"));
        }
        for (i, group) in groups.iter().enumerate() {
            if let Some(other) = clash(&groups[..i], group).filter(|_| !group.name.is_empty()) {
                let message = format!("two genes are called {other:?}: expected a name of its own for each");
                problems.push(Problem {
                    section: place(section, &group.name, i),
                    key: "name".into(),
                    message,
                });
            }
        }
        if !problems.is_empty() {
            return Err(Error::Config(problems));
        }
        let mut starts = vec![0];
        for group in &groups {
            starts.push(starts[starts.len() - 1] + group.count);
        }
        Ok(GeneSpace { groups, starts })
    }

    /// Of a list of tables, as `[[task.genes]]` of a configuration; JSON of the same form becomes one by `toml::Value::deserialize`. `section` is what
    /// messages call the list: `task.genes`.
    ///
    /// # Errors
    /// It is no list of tables; keys that are unknown, missing or of another type; as [`GeneSpace::new`]. All at once.
    pub fn from_toml(value: &toml::Value, section: &str) -> Result<GeneSpace> {
        let (table, key) = section.rsplit_once('.').unwrap_or(("", section));
        let form = "expected a list of tables, one for each gene or group in the order of the genome: [[task.genes]] with name, lower and upper";
        let Some(list) = value.as_array() else {
            return Err(Error::config(table, key, format!("{form}; got {}", shown(value))));
        };
        let mut problems = Vec::new();
        let mut groups = Vec::new();
        for (i, entry) in list.iter().enumerate() {
            let Some(entry) = entry.as_table() else {
                let message = format!("{form}; got {} among them", shown(entry));
                return Err(Error::config(table, key, message));
            };
            let name = entry.get("name").and_then(toml::Value::as_str).unwrap_or_default();
            match group(entry, &place(section, name, i)) {
                Ok(group) => groups.push(group),
                Err(Error::Config(found)) => problems.extend(found),
                Err(other) => return Err(other),
            }
        }
        if !problems.is_empty() && groups.is_empty() {
            return Err(Error::Config(problems));
        }
        let space = GeneSpace::new(groups, section);
        if problems.is_empty() {
            return space;
        }
        if let Err(Error::Config(found)) = space {
            problems.extend(found);
        }
        Err(Error::Config(problems))
    }

    /// Genes of a genome.
    pub fn dim(&self) -> usize {
        self.starts[self.groups.len()]
    }

    pub fn groups(&self) -> &[GeneGroup] {
        &self.groups
    }

    /// Each group with its genes.
    pub fn runs(&self) -> impl Iterator<Item = (Range<usize>, &GeneGroup)> {
        let runs = self.starts.windows(2).map(|pair| pair[0]..pair[1]);
        runs.zip(&self.groups)
    }

    /// The group of a gene.
    pub fn group_of(&self, gene: usize) -> &GeneGroup {
        &self.groups[self.starts.partition_point(|start| *start <= gene) - 1]
    }

    /// The name of each gene.
    pub fn names(&self) -> Vec<String> {
        let of = |group: &GeneGroup, i: usize| match group.count {
            1 => group.name.clone(),
            _ => format!("{}_{i}", group.name),
        };
        let groups = self.groups.iter();
        groups
            .flat_map(|group| (0..group.count).map(move |i| of(group, i)))
            .collect()
    }

    /// Values of a genome that is given in coordinates; `[dim]` both.
    pub fn decode(&self, coordinates: &[f32], values: &mut [f32]) {
        for (run, group) in self.runs() {
            let pairs = values[run.clone()].iter_mut().zip(&coordinates[run]);
            pairs.for_each(|(value, z)| *value = group.value(*z));
        }
    }

    /// Coordinates of a genome that is given in values; `[dim]` both. See [`GeneGroup::coordinate`].
    pub fn encode(&self, values: &[f32], coordinates: &mut [f32]) {
        for (run, group) in self.runs() {
            let pairs = coordinates[run.clone()].iter_mut().zip(&values[run]);
            pairs.for_each(|(z, value)| *z = group.coordinate(*value));
        }
    }

    /// Moves the coordinates of integers and categories to the middle of their cells; the genome means the same.
    pub fn snap(&self, coordinates: &mut [f32]) {
        for (run, group) in self.runs() {
            if let Some(cells) = group.cells() {
                let genes = &mut coordinates[run];
                genes.iter_mut().for_each(|z| *z = middle(cell(*z, cells), cells));
            }
        }
    }

    /// The first group of three or more categories, which have no order to search along.
    pub fn unordered(&self) -> Option<&GeneGroup> {
        self.groups.iter().find(|group| group.unordered())
    }

    /// Each group in words: `rate (log, 0.0001 to 0.1 s)`.
    pub fn described(&self) -> Vec<String> {
        let words = |group: &GeneGroup| {
            let mut words = vec![match group.count {
                1 => group.kind_name().to_string(),
                count => format!("{count} {}", group.kind_name()),
            }];
            let unit = if group.unit.is_empty() {
                String::new()
            } else {
                format!(" {}", group.unit)
            };
            words.push(match &group.kind {
                GeneKind::Categorical(labels) => labels.join(" | "),
                _ => format!("{} to {}{unit}", group.lower, group.upper),
            });
            format!("{} ({})", group.name, words.join(", "))
        };
        self.groups.iter().map(words).collect()
    }

    /// How many genes of each kind: `12 real, 1 log`.
    pub fn summary(&self) -> String {
        let kinds = ["real", "log", "integer", "categorical"];
        let of = |kind: &str| {
            let groups = self.groups.iter().filter(|group| group.kind_name() == kind);
            groups.map(|group| group.count).sum::<usize>()
        };
        let counts = kinds.map(|kind| (of(kind), kind)).into_iter();
        let words: Vec<String> = counts
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"))
            .collect();
        words.join(", ")
    }
}

/// A value as a message shows it.
fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(_) => "a table, which has no order".into(),
        other => other.to_string(),
    }
}

/// What messages call an entry of the list.
fn place(section: &str, name: &str, index: usize) -> String {
    match name {
        "" => format!("{section}[{index}]"),
        name => format!("{section}[{name}]"),
    }
}

/// The name of a gene that a group shares with an earlier one.
fn clash(earlier: &[GeneGroup], group: &GeneGroup) -> Option<String> {
    let is_one_of = |name: &str, group: &GeneGroup| {
        let rest = name.strip_prefix(&group.name).and_then(|rest| rest.strip_prefix('_'));
        let number = rest.and_then(|rest| rest.parse::<usize>().ok().filter(|i| i.to_string() == rest));
        group.count > 1 && number.is_some_and(|i| i < group.count)
    };
    let mut clashing = earlier.iter().filter_map(|other| {
        let clashes = other.name == group.name
            || group.count == 1 && is_one_of(&group.name, other)
            || other.count == 1 && is_one_of(&other.name, group);
        let single = if group.count == 1 { &group.name } else { &other.name };
        clashes.then(|| single.clone())
    });
    clashing.next()
}

/// The group of an entry.
fn group(entry: &toml::Table, section: &str) -> Result<GeneGroup> {
    let params: GeneParams = read(entry, section, &[])?;
    let given = |key: &str| entry.contains_key(key);
    let wrong = |key: &str, message: String| Err(Error::config(section, key, message));
    let categorical = params.kind == "categorical" || given("values") && !given("kind");
    if categorical {
        if let Some(key) = ["lower", "upper", "scale", "unit"].into_iter().find(|key| given(key)) {
            return wrong(
                key,
                "categories have neither bounds nor a scale nor a unit: leave it out".into(),
            );
        }
        if !given("values") {
            return wrong(
                "values",
                "missing: the names of the categories, a list of strings".into(),
            );
        }
        return Ok(GeneGroup::categorical(&params.name, params.count, params.values));
    }
    if given("values") {
        let message = format!("only kind = \"categorical\" has values, got kind = {:?}", params.kind);
        return wrong("values", message);
    }
    let missing = ["lower", "upper"].into_iter().filter(|key| !given(key));
    let problems: Vec<Problem> = missing
        .map(|key| Problem {
            section: section.into(),
            key: key.into(),
            message: format!(
                "missing: the {} value of the gene, a number",
                if key == "lower" { "lowest" } else { "highest" }
            ),
        })
        .collect();
    if !problems.is_empty() {
        return Err(Error::Config(problems));
    }
    let kind = match (params.kind.as_str(), params.scale.as_str()) {
        ("integer", "log") => {
            return wrong(
                "scale",
                "only real genes have a log scale: expected \"linear\", got \"log\"".into(),
            );
        }
        ("integer", _) => GeneKind::Integer,
        (_, "log") => GeneKind::Log,
        _ => GeneKind::Real,
    };
    Ok(GeneGroup {
        name: params.name,
        count: params.count,
        kind,
        lower: params.lower,
        upper: params.upper,
        unit: params.unit,
    })
}

/// The keys of an entry, for lists of parameters.
pub fn gene_parameters() -> Vec<params::ParamInfo> {
    let needed = |info: params::ParamInfo| match info.name {
        "name" | "lower" | "upper" => params::ParamInfo {
            default: "none".into(),
            ..info
        },
        _ => info,
    };
    GeneParams::describe().into_iter().map(needed).collect()
}

#[cfg(test)]
mod tests;
