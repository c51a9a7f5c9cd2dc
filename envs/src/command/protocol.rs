//! What is said to a program and what it answers. [docs/own-task.md](../../../docs/own-task.md) is its description for users.

use std::sync::Arc;

use illume_core::{Axis, Error, GeneGroup, GeneKind, GeneSpace, Objective, Problem, Result, inward, toml};
use serde::{Deserialize, Serialize};

use super::CommandParams;
use super::process::shown;

/// The version of the protocol.
pub(super) const VERSION: u64 = 1;
/// The longest greeting, in bytes.
const GREETING: usize = 1 << 20;
/// Bytes that a number may take in JSON, with all around it.
const WIDEST: usize = 256;
/// Most genes of a genome and rows of a request.
const MOST: usize = 1 << 24;

/// How requests and answers look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Frames {
    #[default]
    Json,
    Binary,
}

/// What this program says first.
#[derive(Serialize)]
struct Hello<'a> {
    illume: u64,
    dim: Option<usize>,
    bounds: Option<[f64; 2]>,
    genes: Option<Vec<GeneWord<'a>>>,
    descriptor: Option<Vec<AxisWord>>,
    arguments: Option<&'a toml::Value>,
}

/// Genes that are alike, as the configuration says them.
#[derive(Serialize)]
struct GeneWord<'a> {
    name: &'a str,
    count: usize,
    kind: &'a str,
    lower: f64,
    upper: f64,
    unit: &'a str,
    values: &'a [String],
}

impl GeneWord<'_> {
    fn of(group: &GeneGroup) -> GeneWord<'_> {
        GeneWord {
            name: &group.name,
            count: group.count,
            kind: group.kind_name(),
            lower: group.lower,
            upper: group.upper,
            unit: &group.unit,
            values: match &group.kind {
                GeneKind::Categorical(values) => values,
                _ => &[],
            },
        }
    }
}

/// An axis of the descriptor, as both sides say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AxisWord {
    name: String,
    #[serde(default)]
    unit: String,
    lower: f64,
    upper: f64,
}

/// What the user's program answers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Greeting {
    illume: u64,
    dim: Option<usize>,
    bounds: Option<[f64; 2]>,
    /// As `[[task.genes]]`.
    genes: Option<toml::Value>,
    pub init: Option<InitWord>,
    descriptor: Option<Vec<AxisWord>>,
    pub fitness: Option<String>,
    objectives: Option<Vec<ObjectiveWord>>,
    pub qd_offset: Option<f64>,
    #[serde(default)]
    pub deterministic: bool,
    pub version: Option<String>,
    pub batch: Option<usize>,
    #[serde(default)]
    pub frames: Frames,
    #[serde(default)]
    pub steps: bool,
}

/// An objective of the program: its name, or all that is known of it, in the program's own values.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum ObjectiveWord {
    Name(String),
    Known(KnownObjective),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownObjective {
    name: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    direction: Direction,
    reference: Option<f64>,
    ideal: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    #[default]
    Maximize,
    Minimize,
}

impl ObjectiveWord {
    /// It as it is maximized, and what its values are multiplied by for that.
    fn maximized(&self) -> (Objective, f64) {
        let known = match self {
            ObjectiveWord::Name(name) => return (Objective::new(name, "", [f64::NAN; 2]), 1.0),
            ObjectiveWord::Known(known) => known,
        };
        let (name, sign) = match known.direction {
            Direction::Maximize => (known.name.clone(), 1.0),
            Direction::Minimize => (format!("minus {}", known.name), -1.0),
        };
        let range = [known.reference, known.ideal].map(|x| sign * x.unwrap_or(f64::NAN));
        (Objective::new(&name, &known.unit, range), sign)
    }
}

/// How first genes are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum InitWord {
    /// Uniform between these.
    Uniform([f64; 2]),
    Normal {
        mean: f64,
        sd: f64,
    },
}

/// What both sides have agreed on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Agreed {
    pub dim: usize,
    pub bounds: Option<[f32; 2]>,
    /// What the program says of genes.
    pub genes: Option<Arc<GeneSpace>>,
    pub descriptor: Vec<Axis>,
    /// Several objectives, each with what its values are multiplied by to be maximized; else empty.
    pub objectives: Vec<(Objective, f64)>,
    pub batch: usize,
    pub greeting: Greeting,
}

#[derive(Deserialize)]
struct Complaint {
    error: String,
}

/// The line that opens a conversation.
pub(super) fn hello(params: &CommandParams, genes: Option<&GeneSpace>, arguments: Option<&toml::Value>) -> Vec<u8> {
    let axes = params.axes();
    let hello = Hello {
        illume: VERSION,
        dim: params.genes(genes),
        bounds: params.interval(),
        genes: genes.map(|genes| genes.groups().iter().map(GeneWord::of).collect()),
        descriptor: (!axes.is_empty()).then(|| {
            let words = axes.into_iter().map(|axis| AxisWord {
                name: axis.name,
                unit: axis.unit,
                lower: axis.lower,
                upper: axis.upper,
            });
            words.collect()
        }),
        arguments,
    };
    let mut line = serde_json::to_vec(&hello).expect("a table of TOML is one of JSON");
    line.push(b'\n');
    line
}

/// Where a line ends that may be so long and has no end among its first `seen` bytes.
pub(super) fn line(bytes: &[u8], seen: usize, longest: usize) -> std::result::Result<Option<usize>, String> {
    let end = bytes[seen..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map(|at| seen + at + 1);
    match end {
        None if bytes.len() > longest => Err(format!(
            "answered more than {longest} bytes without the end of a line, beginning with {}",
            shown(bytes)
        )),
        end => Ok(end),
    }
}

/// Where the greeting ends.
pub(super) fn greeting_ends(bytes: &[u8], seen: usize) -> std::result::Result<Option<usize>, String> {
    line(bytes, seen, GREETING)
}

/// Reads a greeting.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the program.
pub(super) fn greeting(bytes: &[u8]) -> std::result::Result<Greeting, String> {
    if let Ok(Complaint { error }) = serde_json::from_slice(bytes) {
        return Err(format!("reported: {error}"));
    }
    let greeting: Greeting = serde_json::from_slice(bytes).map_err(|e| {
        format!(
            "answered {} to the greeting, expected a line of JSON such as {{\"illume\": 1, \"dim\": 20, \"bounds\": [0, 1]}} ({e})",
            shown(bytes)
        )
    })?;
    if greeting.illume != VERSION {
        return Err(format!(
            "speaks version {} of the protocol, this illume speaks version {VERSION}",
            greeting.illume
        ));
    }
    Ok(greeting)
}

/// Brings what the configuration and the program say together.
///
/// # Errors
/// Everything that one of the two should have said, that both say differently, or that makes no sense, by keys of `[task]`.
pub(super) fn agree(params: &CommandParams, own_genes: Option<&GeneSpace>, greeting: Greeting) -> Result<Agreed> {
    let mut problems = Vec::new();
    let its_genes = greeting
        .genes
        .as_ref()
        .map(|genes| GeneSpace::from_toml(genes, "the program's genes"));
    let its_genes = match its_genes.transpose() {
        Ok(genes) => genes.map(Arc::new),
        Err(Error::Config(found)) => {
            problems.extend(found);
            None
        }
        Err(other) => return Err(other),
    };
    let mut problem = |key: &str, message: String| {
        problems.push(Problem {
            section: "task".into(),
            key: key.into(),
            message,
        });
    };
    if own_genes.is_some() && greeting.genes.is_some() {
        problem(
            "genes",
            "the program says its genes itself: remove them here, or there".into(),
        );
    }
    let own = params.genes(own_genes);
    let its_dim = greeting.dim.or(its_genes.as_ref().map(|genes| genes.dim()));
    if let (Some(own), Some(its)) = (own, its_dim)
        && own != its
    {
        problem("dim", format!("{own}, but the program says {its}"));
    }
    let dim = own.or(its_dim).unwrap_or(0);
    if !(1..=MOST).contains(&dim) {
        let message =
            format!("the number of genes has to be said here or by the program (\"dim\"), from 1 to {MOST}; got {dim}");
        problem("dim", message);
    }
    let bounds = params.interval().or(greeting.bounds);
    if let (Some(own), Some(its)) = (params.interval(), greeting.bounds)
        && own != its
    {
        problem("bounds", format!("{own:?}, but the program says {its:?}"));
    }
    if its_genes.is_some() && (bounds.is_some() || greeting.init.is_some()) {
        problem(
            "bounds",
            "the program says bounds of each of its genes: bounds and init for all have no meaning beside them".into(),
        );
    }
    let drawn = match greeting.init {
        Some(InitWord::Uniform(interval)) => Some(interval),
        _ => None,
    };
    if let Some(InitWord::Normal { mean, sd }) = greeting.init
        && !(mean.is_finite() && (sd as f32).is_finite() && sd > 0.0)
    {
        problem(
            "bounds",
            format!(
                "the program's init has the mean {mean} and the standard deviation {sd}, expected finite numbers, the second above 0"
            ),
        );
    }
    for (what, interval) in [("bounds", bounds), ("init", drawn)] {
        if let Some([lower, upper]) = interval
            && !(lower < upper
                && inward([lower, upper]).is_sorted()
                && [lower, upper].iter().all(|x| (*x as f32).is_finite()))
        {
            problem(
                "bounds",
                format!("the {what} are [{lower}, {upper}], expected two finite numbers, the lower first"),
            );
        }
    }
    if let (Some([lower, upper]), Some([from, to])) = (bounds, drawn)
        && (from < lower || to > upper)
    {
        problem(
            "bounds",
            format!("[{lower}, {upper}], but the program's init is [{from}, {to}], beyond them"),
        );
    }
    let own = params.axes();
    let its = greeting.descriptor.iter().flatten();
    let its: Vec<Axis> = its
        .map(|axis| Axis::new(&axis.name, &axis.unit, axis.lower, axis.upper))
        .collect();
    let alike = |a: &Axis, b: &Axis| a.name == b.name && (a.lower, a.upper) == (b.lower, b.upper);
    if !own.is_empty()
        && greeting.descriptor.is_some()
        && !(own.len() == its.len() && own.iter().zip(&its).all(|(a, b)| alike(a, b)))
    {
        problem(
            "descriptor",
            format!("{}, but the program says {}", words(&own), words(&its)),
        );
    }
    let descriptor = if own.is_empty() { its } else { own };
    for (i, axis) in descriptor.iter().enumerate() {
        if axis.name.is_empty() || descriptor[..i].iter().any(|other| other.name == axis.name) {
            problem(
                "descriptor",
                format!(
                    "the axes' names have to differ and to be there, got {}",
                    words(&descriptor)
                ),
            );
            break;
        }
        if !(axis.lower < axis.upper && axis.lower.is_finite() && axis.upper.is_finite()) {
            problem(
                "descriptor",
                format!(
                    "the bounds of {:?} are [{}, {}], expected two finite numbers, the lower first",
                    axis.name, axis.lower, axis.upper
                ),
            );
        }
    }
    let mut objectives: Vec<(Objective, f64)> = Vec::new();
    if let Some(words) = &greeting.objectives {
        objectives.extend(words.iter().map(ObjectiveWord::maximized));
        if let Some(message) = wrong_objectives(&objectives, &greeting) {
            problem("command", message);
        }
    }
    if objectives.len() == 1 {
        objectives.clear();
    }
    if let Some(offset) = greeting.qd_offset.filter(|offset| !offset.is_finite()) {
        problem(
            "command",
            format!("the program's qd_offset is {offset}, expected a finite number"),
        );
    }
    let batch = match params.batch {
        0 => greeting.batch.unwrap_or(1),
        batch => batch,
    };
    let most = MOST.min((u32::MAX as usize - 8) / (8 + 4 * dim.clamp(1, MOST)));
    if !(1..=most).contains(&batch) {
        let message = format!("{batch}, expected from 1 to {most} rows of {dim} genes");
        problem("batch", message);
    }
    if !problems.is_empty() {
        return Err(Error::Config(problems));
    }
    Ok(Agreed {
        dim,
        bounds: bounds.map(inward),
        genes: its_genes,
        descriptor,
        objectives,
        batch,
        greeting,
    })
}

/// What makes no sense of the objectives that a program says.
fn wrong_objectives(objectives: &[(Objective, f64)], greeting: &Greeting) -> Option<String> {
    let names: Vec<&str> = objectives.iter().map(|(objective, _)| objective.name.as_str()).collect();
    let twice = (0..names.len()).any(|i| names[..i].contains(&names[i]) || names[i].is_empty());
    if objectives.is_empty() || twice {
        return Some(format!("the program's objectives are {names:?}, expected at least one, each with a name of its own"));
    }
    if greeting.fitness.is_some() {
        return Some(format!("the program says the objectives {names:?} and a \"fitness\": expected one of both"));
    }
    if let [(objective, -1.0)] = objectives {
        return Some(format!(
            "the program's only objective is {:?}: expected \"maximize\", or task.direction = \"minimize\" in the configuration",
            objective.name
        ));
    }
    let backwards = |o: &&(Objective, f64)| o.0.range[0] >= o.0.range[1] || o.0.range.iter().any(|x| x.is_infinite());
    let (objective, sign) = objectives.iter().find(backwards)?;
    let [reference, ideal] = objective.range.map(|x| sign * x);
    Some(format!(
        "the program's objective {:?} has the reference {reference} and the ideal {ideal}: expected numbers, the reference worse",
        objective.name
    ))
}

impl Greeting {
    /// What the fitness is.
    pub fn objective(&self) -> String {
        let named: Vec<String> = self.objectives.iter().flatten().map(|word| word.maximized().0.name).collect();
        match (&self.fitness, &named[..]) {
            (Some(fitness), _) => fitness.clone(),
            (None, []) => "fitness of the program".into(),
            (None, [one]) => one.clone(),
            (None, several) => format!("mean of {}", several.join(", ")),
        }
    }
}

fn words(axes: &[Axis]) -> String {
    let words: Vec<String> = axes
        .iter()
        .map(|axis| format!("{:?} from {} to {}", axis.name, axis.lower, axis.upper))
        .collect();
    if words.is_empty() {
        "none".into()
    } else {
        words.join(", ")
    }
}

/// Rows of a request.
pub(super) struct Asked<'a> {
    /// `[rows, dim]`.
    pub genes: &'a [f32],
    /// `[rows]`, below 2^53.
    pub seeds: &'a [u64],
}

/// What came of them: NaN where a value is missing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answered {
    /// `[rows]`, or of several objectives `[rows, m]`.
    pub values: Vec<f64>,
    /// `[rows, k]`.
    pub descriptor: Vec<f64>,
    /// `[rows]`, or empty.
    pub steps: Vec<u32>,
}

/// Writes a request over `out`.
pub(super) fn request(frames: Frames, asked: &Asked<'_>, out: &mut Vec<u8>) {
    out.clear();
    let rows = asked.seeds.len();
    match frames {
        Frames::Binary => {
            let length = 8 + 8 * rows + 4 * asked.genes.len();
            out.extend((length as u32).to_le_bytes());
            out.extend((rows as u32).to_le_bytes());
            out.extend(0u32.to_le_bytes());
            asked.seeds.iter().for_each(|seed| out.extend(seed.to_le_bytes()));
            asked.genes.iter().for_each(|gene| out.extend(gene.to_le_bytes()));
        }
        Frames::Json => {
            #[derive(Serialize)]
            struct Line<'a> {
                genomes: Vec<Vec<f64>>,
                seeds: &'a [u64],
            }
            let dim = asked.genes.len() / rows.max(1);
            // As double precision reads them, so that a program finds the same numbers in either form.
            let genomes = asked.genes.chunks_exact(dim.max(1));
            let genomes = genomes.map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
            let line = Line {
                genomes,
                seeds: asked.seeds,
            };
            serde_json::to_writer(&mut *out, &line).expect("numbers are JSON");
            out.push(b'\n');
        }
    }
}

/// The shape of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub rows: usize,
    /// Several objectives in place of a fitness; 0 for none.
    pub objectives: usize,
    /// Axes of the descriptor.
    pub k: usize,
    pub frames: Frames,
    /// Whether each row has a number of steps.
    pub steps: bool,
}

impl Shape {
    /// Numbers of a row.
    fn width(self) -> usize {
        self.objectives.max(1) + self.k + usize::from(self.steps)
    }

    /// Where an answer ends.
    ///
    /// # Errors
    /// It cannot be one, as the end of a sentence.
    pub fn ends(self, bytes: &[u8], seen: usize) -> std::result::Result<Option<usize>, String> {
        match self.frames {
            Frames::Json => line(bytes, seen, GREETING + WIDEST * self.rows * self.width()),
            Frames::Binary => {
                let Some(length) = bytes.first_chunk::<4>() else {
                    return Ok(None);
                };
                let (length, wanted) = (u32::from_le_bytes(*length) as usize, 8 * self.rows * self.width());
                if length != 0 && length != wanted {
                    return Err(format!(
                        "answered a frame of {length} bytes, expected {wanted} for {} rows of {} numbers (it begins with {}; standard output belongs to the frames)",
                        self.rows,
                        self.width(),
                        shown(bytes)
                    ));
                }
                Ok((bytes.len() >= 4 + length).then_some(4 + length))
            }
        }
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    /// What is wrong with it; the program may say so itself.
    pub fn read(self, bytes: &[u8], failed: &mut Option<String>) -> std::result::Result<Answered, String> {
        match self.frames {
            Frames::Json => self.read_json(bytes, failed),
            Frames::Binary => Ok(self.read_binary(&bytes[4..], failed)),
        }
    }

    fn read_binary(self, bytes: &[u8], failed: &mut Option<String>) -> Answered {
        let mut answered = Answered::default();
        if bytes.is_empty() {
            *failed = Some("it failed (an empty frame)".into());
            return answered;
        }
        let (numbers, _) = bytes.as_chunks::<8>();
        for row in numbers.chunks_exact(self.width()) {
            let mut row = row.iter().map(|bytes| f64::from_le_bytes(*bytes));
            answered.values.extend(row.by_ref().take(self.objectives.max(1)));
            answered.descriptor.extend(row.by_ref().take(self.k));
            answered.steps.extend(row.next().map(|steps| steps as u32));
        }
        answered
    }

    fn read_json(self, bytes: &[u8], failed: &mut Option<String>) -> std::result::Result<Answered, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Line {
            fitness: Option<Vec<Option<f64>>>,
            objectives: Option<Vec<Vec<Option<f64>>>>,
            #[serde(default)]
            descriptor: Vec<Vec<Option<f64>>>,
            #[serde(default)]
            steps: Vec<f64>,
            error: Option<String>,
        }
        let expected = || {
            let mut parts = vec![match self.objectives {
                0 => format!("\"fitness\": {} numbers", self.rows),
                m => format!("\"objectives\": {} lists of {m} numbers", self.rows),
            }];
            if self.k > 0 {
                parts.push(format!("\"descriptor\": {} lists of {} numbers", self.rows, self.k));
            }
            if self.steps {
                parts.push(format!("\"steps\": {} numbers", self.rows));
            }
            format!("expected a line of JSON {{{}}}", parts.join(", "))
        };
        let parsed = serde_json::from_slice(bytes).or_else(|e| match without_nan(bytes) {
            Some(plain) => serde_json::from_slice(&plain).map_err(|_| e),
            None => Err(e),
        });
        let line: Line = parsed.map_err(|_| format!("answered {}, {}", shown(bytes), expected()))?;
        if let Some(error) = line.error {
            *failed = Some(error);
            return Ok(Answered::default());
        }
        let rows_of_values = match self.objectives {
            0 => line.fitness.map(|values| values.into_iter().map(|x| vec![x]).collect()),
            _ => line.objectives,
        };
        let values: Vec<Vec<Option<f64>>> = rows_of_values.unwrap_or_default();
        let narrow = values.iter().find(|row| row.len() != self.objectives.max(1)).map(Vec::len);
        let rows = [values.len(), line.descriptor.len(), line.steps.len()];
        let wanted = [
            self.rows,
            if self.k > 0 { self.rows } else { 0 },
            if self.steps { self.rows } else { 0 },
        ];
        // A program may say lists of nothing for a descriptor without axes.
        let right = rows[0] == wanted[0] && (rows[1] == wanted[1] || self.k == 0) && rows[2] == wanted[2];
        let width = line.descriptor.iter().find(|row| row.len() != self.k).map(Vec::len);
        if !right || width.is_some() || narrow.is_some() {
            let what = if self.objectives == 0 { "fitness" } else { "objectives" };
            let found = format!("{} of {what}, {} of descriptors, {} of steps", rows[0], rows[1], rows[2]);
            let row = match (narrow, width) {
                (Some(width), _) => format!(" (objectives of {width} numbers)"),
                (None, Some(width)) => format!(" (a descriptor of {width} numbers)"),
                (None, None) => String::new(),
            };
            return Err(format!("answered {found}{row}, {}", expected()));
        }
        let number = |x: Option<f64>| x.unwrap_or(f64::NAN);
        Ok(Answered {
            values: values.into_iter().flatten().map(number).collect(),
            descriptor: line.descriptor.into_iter().flatten().map(number).collect(),
            steps: line.steps.into_iter().map(|steps| steps as u32).collect(),
        })
    }
}

/// JSON in which NaN and Infinity, as Python and others write them, are null; none where there is no such word.
fn without_nan(bytes: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 8] = [
        b"-Infinity",
        b"Infinity",
        b"-NaN",
        b"NaN",
        b"-inf",
        b"inf",
        b"-nan",
        b"nan",
    ];
    let mut plain = Vec::with_capacity(bytes.len());
    let (mut at, mut quoted, mut found) = (0, false, false);
    while at < bytes.len() {
        let rest = &bytes[at..];
        match rest[0] {
            b'\\' if quoted => {
                plain.extend(&rest[..rest.len().min(2)]);
                at += 2;
                continue;
            }
            b'"' => quoted = !quoted,
            _ => {}
        }
        match WORDS.iter().find(|word| !quoted && rest.starts_with(word)) {
            Some(word) => {
                plain.extend(b"null");
                at += word.len();
                found = true;
            }
            None => {
                plain.push(rest[0]);
                at += 1;
            }
        }
    }
    found.then_some(plain)
}
