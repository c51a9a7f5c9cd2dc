//! Elites that are evaluated again, so that what was lucky does not stay: those drawn without replacement (Extract-ME; Flageat, Janmohamed, Lim and Cully, 'Extract-QD framework: a generic approach for quality-diversity in noisy,
//! stochastic or uncertain domains', GECCO 2025, <https://arxiv.org/abs/2502.06585>) or all of them (Archive-Sampling; Flageat and Cully, 'Uncertain quality-diversity: evaluation methodology and new methods for
//! quality-diversity in uncertain domains', IEEE TEVC 2023, <https://arxiv.org/abs/2302.00463>), and children that share a generation's evaluations with them.

use illume_core::{
    Archive, Context, Error, Inbox, InsertReport, Purpose, Result, Rule, Standing, State, Stream, Told, params,
};

use super::{Emitter, LivesOn, Operator, Part, Proposal, Rows, Run, Variation, missing};

params! {
    /// How elites are drawn whose evaluation is repeated.
    pub struct DrawParams {
        /// Weight of an elite in the draw by its rank r in its cell, from 0 for the best: "exponential" exp(-r), "linear" depth - r, "reciprocal" 1 / (r + 1), or "uniform".
        weights: String = "exponential".into(), one_of(&WEIGHTS);
    }
}

const WEIGHTS: [&str; 4] = ["exponential", "linear", "reciprocal", "uniform"];

/// The weight of a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weights {
    Exponential,
    Linear,
    Reciprocal,
    Uniform,
}

impl DrawParams {
    pub(crate) fn weights(&self) -> Weights {
        match self.weights.as_str() {
            "linear" => Weights::Linear,
            "reciprocal" => Weights::Reciprocal,
            "uniform" => Weights::Uniform,
            _ => Weights::Exponential,
        }
    }
}

impl Weights {
    fn of(self, rank: usize, depth: usize) -> f64 {
        match self {
            Weights::Exponential => (-(rank as f64)).exp(),
            Weights::Linear => depth.saturating_sub(rank) as f64,
            Weights::Reciprocal => 1.0 / (rank as f64 + 1.0),
            Weights::Uniform => 1.0,
        }
    }
}

/// Evaluations of each child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Samples {
    Fixed(u32),
    /// The median of what elites have had, at most so many.
    Median(u32),
}

/// Children that have the evaluations which elites leave of a generation's.
pub(crate) struct Children {
    /// Evaluations of a generation.
    pub evaluations: usize,
    pub samples: Samples,
    pub operator: Operator,
}

/// What the archive must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// Cells of several elites, in which estimates are averaged.
    Members,
    /// Elites that give way to what spreads no more.
    LowSpread,
    /// Elites that give way to what is better after as many evaluations: what is evaluated again is what contests wait for.
    Adaptive,
}

/// Evaluates elites again, and makes children.
pub(crate) struct Resampling {
    name: &'static str,
    /// Elites evaluated again in a generation, at most.
    again: usize,
    weights: Weights,
    needs: Needs,
    children: Option<Children>,
    variation: Variation,
    /// Elites that are evaluated again in this generation, in the order of their rows.
    drawn: Vec<u32>,
    /// Children of this generation, and evaluations of each.
    offspring: (usize, u32),
    inbox: Inbox,
}

/// Its parts.
const AGAIN: usize = 0;
const CHILDREN: usize = 1;

/// The stream of the draw, among those of the selection of parents.
const DRAW: u64 = 2;

impl Resampling {
    /// `again` elites at most in each generation, `usize::MAX` for all.
    pub fn new(
        name: &'static str,
        again: usize,
        weights: Weights,
        needs: Needs,
        children: Option<Children>,
    ) -> Resampling {
        let operators = children.iter().map(|own| (own.operator, 0)).collect();
        let mut all = Resampling {
            name,
            again,
            weights,
            needs,
            children,
            variation: Variation::new(operators),
            drawn: Vec::new(),
            offspring: (0, 1),
            inbox: Inbox::default(),
        };
        all.share(1);
        all
    }

    /// Divides a generation's evaluations: to those that are drawn one each, the rest to children of so many each at most.
    fn share(&mut self, samples: u32) {
        let Some(children) = &self.children else {
            return;
        };
        let left = children.evaluations.saturating_sub(self.drawn.len());
        let samples = match children.samples {
            Samples::Fixed(samples) => samples,
            // As the authors: fewer each, before there is no child.
            Samples::Median(most) => samples.min(most).min(left as u32).max(1),
        };
        self.offspring = (left / samples as usize, samples);
    }
}

/// Draws up to `most` of an archive's members without replacement, with weights by their rank in their cell: the largest of ln(w) + Gumbel noise (Efraimidis and Spirakis 2006), which is one
/// draw after another over all that are left. There are no empty slots to draw.
///
/// # Errors
/// Members that do not say where they lie.
pub(crate) fn draw(archive: &dyn Archive, weights: Weights, most: usize, stream: &Stream) -> Result<Vec<u32>> {
    let elites = archive.elites();
    if elites.filled.len() <= most {
        return Ok(elites.filled.clone());
    }
    let (niches, fitness) = (elites.columns().get::<i64>("niche")?, elites.fitness());
    let depth = match archive.spec().rule("depth") {
        Some(Rule::Count(depth)) => *depth as usize,
        _ => 1,
    };
    // Each cell's members together, the best first; the sort is stable, so of equals the one that came first.
    let mut ordered = elites.filled.clone();
    ordered.sort_by(|a, b| {
        let (a, b) = (*a as usize, *b as usize);
        niches[a].cmp(&niches[b]).then(fitness[b].total_cmp(&fitness[a]))
    });
    let mut keys: Vec<(f64, u32)> = Vec::with_capacity(ordered.len());
    for cell in ordered.chunk_by(|a, b| niches[*a as usize] == niches[*b as usize]) {
        for (rank, &member) in cell.iter().enumerate() {
            let weight = weights.of(rank, depth);
            // Never 0 or 1.
            let uniform = (stream.word64(u64::from(member)) >> 12) as f64 + 0.5;
            let uniform = uniform / (1u64 << 52) as f64;
            keys.push((uniform.ln() / weight, member));
        }
    }
    keys.select_nth_unstable_by(most, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    keys.truncate(most);
    keys.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    Ok(keys.into_iter().map(|(_, member)| member).collect())
}

/// The members whose evaluation contests wait for, up to `most` in the order in which they came: contenders, and the elites of cells that have a contender which is no better than they are.
///
/// # Errors
/// Members that do not say how they stand.
pub(crate) fn contested(archive: &dyn Archive, most: usize) -> Result<Vec<u32>> {
    let elites = archive.elites();
    let (niches, standing) = (
        elites.columns().get::<i64>("niche")?,
        elites.columns().get::<u8>("standing")?,
    );
    let stands = |member: u32, how: Standing| standing[member as usize] == how as u8;
    let mut challenged = vec![false; archive.spec().capacity];
    for &member in elites.filled.iter().filter(|m| stands(**m, Standing::Challenges)) {
        challenged[niches[member as usize] as usize] = true;
    }
    let waited_for = |member: &u32| {
        let challenged = challenged[niches[*member as usize] as usize];
        stands(*member, Standing::Contends) || (challenged && stands(*member, Standing::Elite))
    };
    Ok(elites.filled.iter().copied().filter(waited_for).take(most).collect())
}

/// The median of how often members have been evaluated, rounded down.
fn median_samples(archive: &dyn Archive) -> Result<u32> {
    let elites = archive.elites();
    let samples = elites.columns().get::<u32>("samples")?;
    let mut all: Vec<u32> = elites.filled.iter().map(|member| samples[*member as usize]).collect();
    all.sort_unstable();
    Ok(match all.len() {
        0 => 1,
        n => (all[(n - 1) / 2] + all[n / 2]) / 2,
    })
}

impl Emitter for Resampling {
    fn parts(&self) -> Vec<Part> {
        let again = Part {
            again: true,
            ..Part::new("again", self.drawn.len())
        };
        let children = self.children.as_ref().map(|children| Part {
            samples: self.offspring.1,
            ..Part::new(children.operator.name(), self.offspring.0)
        });
        std::iter::once(again).chain(children).collect()
    }

    fn changes(&self) -> bool {
        true
    }

    fn needs_elites(&self) -> bool {
        true
    }

    fn lives_on(&self) -> LivesOn {
        LivesOn::Cells
    }

    fn in_turn(&self, _ranks: usize) -> bool {
        true
    }

    fn check(&self, archive: &dyn Archive) -> Result<()> {
        let (name, spec) = (self.name, archive.spec());
        let keep = spec.keep();
        match self.needs {
            Needs::Members if spec.rule("depth").is_none() || ["low_spread", "adaptive"].contains(&keep) => {
                let message = format!(
                    "\"{name}\" lives on cells of several elites: expected at least 2 (in the papers 8 for extract_me, 2 for archive_sampling, 32 for deep_grid), with keep \"best\", \"recent\" or \"random\""
                );
                return Err(Error::config("archive", "depth", message));
            }
            Needs::Adaptive if !spec.has_contenders() => {
                let message = format!("\"{name}\" has candidates contend with elites: expected keep = \"adaptive\"");
                return Err(Error::config("archive", "keep", message));
            }
            Needs::LowSpread if keep != "low_spread" => {
                let message = format!("\"{name}\" compares how far evaluations spread: expected keep = \"low_spread\"");
                return Err(Error::config("archive", "keep", message));
            }
            _ => {}
        }
        let Some(children) = &self.children else {
            return Ok(());
        };
        if self.needs == Needs::Adaptive {
            return Ok(());
        }
        let (most, samples) = match children.samples {
            Samples::Fixed(samples) => (self.again.min(spec.most_elites()), samples as usize),
            Samples::Median(_) => (self.again.min(spec.most_elites()), 1),
        };
        if children.evaluations < most.saturating_add(samples) {
            let message = format!(
                "expected at least {}, {most} evaluations again of the archive's elites and {samples} of a child, got {}: take more, or fewer cells or less depth",
                most.saturating_add(samples),
                children.evaluations
            );
            return Err(Error::config("strategy", "batch", message));
        }
        Ok(())
    }

    fn prepare(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        let stream = Stream::new(context.seed, Purpose::Selection, context.generation, DRAW);
        self.drawn = match self.again {
            0 => Vec::new(),
            most if self.needs == Needs::Adaptive => contested(archive, most)?,
            most => draw(archive, self.weights, most, &stream)?,
        };
        let adaptive = matches!(
            self.children,
            Some(Children {
                samples: Samples::Median(_),
                ..
            })
        );
        self.share(if adaptive { median_samples(archive)? } else { 1 });
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let Proposal { rows, total, pieces } = proposal;
        let (again, children): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| piece.part == AGAIN);
        let of = |part: usize| rows.runs.iter().filter(move |run| run.part == part);
        // Which of the drawn a row is.
        let mut starts = Vec::new();
        let mut before = 0;
        for run in of(AGAIN) {
            starts.push((run.rows.clone(), before));
            before += run.rows.len();
        }
        let member = |row: usize| {
            let at = starts.partition_point(|(rows, _)| rows.end <= row);
            self.drawn[starts[at].1 + row - starts[at].0.start]
        };
        let (ranks, mut wanted, mut bounds) = (context.comm.size(), Vec::new(), vec![0]);
        for rank in (0..ranks).filter(|_| ranks > 1) {
            let here = rows.within(illume_core::block(total, rank, ranks));
            wanted.extend(
                here.filter(|run| run.part == AGAIN)
                    .flat_map(|run| run.rows)
                    .map(member),
            );
            bounds.push(wanted.len());
        }
        let fetched = archive.fetch(&wanted, &bounds, context.comm, &mut self.inbox)?;
        for piece in again {
            let dim = piece.genes.len() / piece.rows().max(1);
            let rows = piece.genes.chunks_exact_mut(dim).zip(piece.parents.chunks_exact_mut(2));
            for (row, (genes, parents)) in (piece.first..).zip(rows) {
                let member = member(row);
                let genome = fetched.genome(member).ok_or_else(|| missing(member))?;
                genes.copy_from_slice(genome.dense()?);
                parents[0] = i64::from(member);
            }
        }
        drop(fetched);
        if self.children.is_none() {
            return Ok(());
        }
        let runs: Vec<Run> = of(CHILDREN)
            .map(|run| Run {
                part: 0,
                rows: run.rows.clone(),
            })
            .collect();
        let pieces = children.into_iter().map(|mut piece| {
            piece.part = 0;
            piece
        });
        let proposal = Proposal {
            rows: Rows { runs: &runs, ..rows },
            total,
            pieces: pieces.collect(),
        };
        self.variation.ask(context, archive, proposal)
    }

    fn tell(&mut self, _: &Context<'_>, _: &Told<'_>, _: &InsertReport, _: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    /// Nothing: the archive and the generation's number are all that it goes by.
    fn save(&self, _context: &Context<'_>) -> Result<State> {
        Ok(State::default())
    }

    fn load(&mut self, _context: &Context<'_>, _state: &State) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
