//! MAP-Elites (Mouret and Clune, 'Illuminating search spaces by mapping elites', 2015, <https://arxiv.org/abs/1504.04909>) with the
//! Iso+LineDD operator and polynomial mutation; parents are drawn uniformly from the filled cells.

use illume_core::{
    Archive, Candidates, Context, Error, Inbox, Next, Params, Purpose, Result, State, Strategy, StrategyConfig,
    StrategyEntry, StrategySpec, Stream, Told, params,
};
use rayon::prelude::*;

use crate::{evaluation_seeds, variation};

params! {
    /// Parameters of `map_elites`.
    pub struct MapElitesParams {
        /// Candidates per generation.
        batch: usize = 256, range(1, 1 << 31);
        /// Random candidates in the first generation; 0 for as many as `batch`.
        initial: usize = 0, range(0, 1 << 31);
        /// Standard deviation of the isotropic noise of iso+line-dd.
        iso_sigma: f64 = 0.005, at_least(0.0);
        /// Standard deviation of the step along the line to a second parent.
        line_sigma: f64 = 0.05, at_least(0.0);
        /// Share of the batch made by polynomial mutation instead of iso+line-dd.
        polynomial_share: f64 = 0.0, range(0.0, 1.0);
        /// Probability with which polynomial mutation changes a gene.
        polynomial_rate: f64 = 0.1, range(0.0, 1.0);
        /// Distribution index of polynomial mutation: larger stays nearer to the parent.
        polynomial_eta: f64 = 10.0, at_least(0.0);
        /// Lower and upper bound of a gene for polynomial mutation, which puts genes from outside on them first; empty for the task's own.
        polynomial_bounds: Vec<f64> = vec![], any();
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cells: true,
    ..StrategyEntry::new(
        "map_elites",
        "MAP-Elites (Mouret and Clune 2015) with iso+line-dd and polynomial mutation",
        MapElitesParams::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: MapElitesParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let given: Vec<f32> = params.polynomial_bounds.iter().map(|x| *x as f32).collect();
    let bounds = match given.as_slice() {
        [] => config.task.bounds,
        // What the distribution divides by.
        &[low, high] if low < high && (high - low).is_finite() => Some([low, high]),
        _ => {
            let message = format!(
                "expected [lower, upper] with lower < upper as numbers of single precision, got {:?}",
                params.polynomial_bounds
            );
            return Err(Error::config("strategy", "polynomial_bounds", message));
        }
    };
    if params.polynomial_share > 0.0 && bounds.is_none() {
        let message = format!(
            "polynomial mutation needs bounds of a gene and task \"{}\" has none; set strategy.polynomial_bounds = [lower, upper]",
            config.task.name
        );
        return Err(Error::config("strategy", "polynomial_share", message));
    }
    // In both generations a candidate is made in one piece.
    let (key, rows) = [("initial", params.initial), ("batch", params.batch)]
        .into_iter()
        .max_by_key(|(_, rows)| *rows)
        .expect("two");
    config.claim_rows(key, rows as f64, 1)?;
    Ok(Box::new(MapElites::new(params, bounds)))
}

const RANDOM: i32 = 0;
const ISO_LINE: i32 = 1;
const POLYNOMIAL: i32 = 2;

/// Genes that one parallel task makes, about: microseconds of work, so that threads end together.
const GENES_PER_TASK: usize = 1 << 11;
/// Rows of a task are a multiple of this, so that tasks mostly begin where a group of noise begins.
const ROWS_TOGETHER: usize = 16;

/// MAP-Elites: vary elites, let the archive choose.
pub struct MapElites {
    params: MapElitesParams,
    spec: StrategySpec,
    polynomial_bounds: Option<[f32; 2]>,
    inbox: Inbox,
    parents: Vec<u32>,
}

impl MapElites {
    pub fn new(params: MapElitesParams, polynomial_bounds: Option<[f32; 2]>) -> MapElites {
        let spec = StrategySpec {
            name: "map_elites".into(),
            operators: ["random", "iso_line", "polynomial"].map(String::from).to_vec(),
            history: Vec::new(),
            lineage: false,
            first_generation: if params.initial == 0 {
                params.batch
            } else {
                params.initial
            },
            sized_by: &["batch", "initial"],
            facts: Vec::new(),
        };
        MapElites {
            params,
            spec,
            polynomial_bounds,
            inbox: Inbox::default(),
            parents: Vec::new(),
        }
    }

    fn vary(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        let (block, dim) = (candidates.block.clone(), context.task.genome_dim);
        let filled = archive.elites().filled.as_slice();
        let selection = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let (size, mut bounds) = (context.comm.size(), Vec::new());
        self.parents.clear();
        if size > 1 {
            // Every rank knows every candidate's parents, so genomes are sent without being asked for.
            self.parents.resize(2 * candidates.total, 0);
            select(&selection, 0, filled, &mut self.parents);
            bounds.extend((0..size).map(|r| 2 * illume_core::block(candidates.total, r, size).start));
            bounds.push(2 * candidates.total);
        }
        let fetched = archive.fetch(&self.parents, &bounds, context.comm, &mut self.inbox)?;

        let free = [f32::NEG_INFINITY, f32::INFINITY];
        let limits = context.task.bounds.unwrap_or(free);
        let p = &self.params;
        let (iso, line_sigma) = (p.iso_sigma as f32, p.line_sigma as f32);
        // The first candidates of the batch are iso+line children, the last ones polynomial mutants.
        let lines = p.batch - (p.polynomial_share * p.batch as f64).round() as usize;
        let noise = Stream::new(context.seed, Purpose::Variation, context.generation, 0);
        let line_noise = Stream::new(context.seed, Purpose::Line, context.generation, 0);
        let mutation = Stream::new(context.seed, Purpose::Variation, context.generation, 1);
        let (rate, eta) = (p.polynomial_rate as f32, p.polynomial_eta as f32);
        let polynomial_bounds = self.polynomial_bounds.unwrap_or(free);

        let rows = match GENES_PER_TASK / dim {
            0 => 1,
            rows => rows.next_multiple_of(ROWS_TOGETHER),
        };
        let children = candidates
            .genomes
            .dense_rows(block.len(), dim)
            .par_chunks_mut(rows * dim);
        let [operators, cells] = candidates.tags.columns_mut(["operator", "parents"])?;
        let (operators, cells) = (operators.values_mut::<i32>()?, cells.values_mut::<i64>()?);
        let tags = operators.par_chunks_mut(rows).zip(cells.par_chunks_mut(2 * rows));
        children
            .zip(tags)
            .enumerate()
            .try_for_each(|(task, (children, (operators, cells)))| {
                let (first, count) = (block.start + task * rows, operators.len());
                let by_line = lines.clamp(first, first + count) - first;
                let mut chosen = vec![0; 2 * count];
                select(&selection, first, filled, &mut chosen);
                cells
                    .iter_mut()
                    .zip(&chosen)
                    .for_each(|(cell, chosen)| *cell = i64::from(*chosen));
                let genes = |&cell: &u32| fetched.genome(cell).ok_or_else(|| missing(cell))?.dense();
                let parents = chosen.iter().map(genes).collect::<Result<Vec<&[f32]>>>()?;

                let (iso_children, mutants) = children.split_at_mut(by_line * dim);
                operators[..by_line].fill(ISO_LINE);
                noise.normals((first * dim) as u64, iso_children);
                let mut draws = vec![0.0; by_line];
                line_noise.normals(first as u64, &mut draws);
                draws.iter_mut().for_each(|l| *l *= line_sigma);
                variation::iso_line_rows(iso_children, &parents, iso, &draws, limits);

                operators[by_line..].fill(POLYNOMIAL);
                for (i, child) in mutants
                    .chunks_exact_mut(dim)
                    .enumerate()
                    .map(|(i, child)| (by_line + i, child))
                {
                    variation::polynomial(
                        child,
                        parents[2 * i],
                        &mutation,
                        (first + i) as u64,
                        rate,
                        eta,
                        polynomial_bounds,
                    );
                    child.iter_mut().for_each(|x| *x = x.clamp(limits[0], limits[1]));
                    cells[2 * i + 1] = -1;
                }
                Ok(())
            })
    }
}

/// Two parents, drawn uniformly from the filled cells, for each of the candidates from `first` on; `[candidates, 2]`.
pub(crate) fn select(stream: &Stream, first: usize, filled: &[u32], parents: &mut [u32]) {
    let mut words = [0; 256];
    for (piece, parents) in parents.chunks_mut(words.len() / 2).enumerate() {
        let start = 4 * first + piece * words.len();
        let words = &mut words[..2 * parents.len()];
        stream.words(start as u64, words);
        for (parent, w) in parents.iter_mut().zip(words.chunks_exact(2)) {
            let bits = u64::from(w[0]) | u64::from(w[1]) << 32;
            *parent = filled[((u128::from(bits) * filled.len() as u128) >> 64) as usize];
        }
    }
}

pub(crate) fn missing(cell: u32) -> Error {
    Error::failed(format!("the genome of cell {cell} is not there"))
}

/// Prepares a block for refilling: rows, seeds and the tags `operator` and `parents`.
pub(crate) fn prepare(context: &Context<'_>, total: usize, phase: u64, candidates: &mut Candidates) {
    candidates.total = total;
    candidates.block = context.block(total);
    candidates.offered = 0..total;
    candidates.tests = total..total;
    candidates.uncapped = total..total;
    candidates.crowd = false;
    candidates.admitted = total..total;
    candidates.expected_steps.clear();
    let block = candidates.block.clone();
    evaluation_seeds(
        context.seed,
        context.generation,
        phase,
        block.clone(),
        &mut candidates.seeds,
    );
    candidates.tags.resize(block.len());
    candidates.tags.declare::<i32>(
        "operator",
        1,
        "",
        "variation operator; names in the attribute operators",
    );
    candidates
        .tags
        .declare::<i64>("parents", 2, "", "cells of the parents, -1 for none");
}

/// Random genomes of the task's own distribution, in a block that is prepared; operator 0.
pub(crate) fn draw_initial(context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
    let (start, dim) = (candidates.block.start, context.task.genome_dim);
    let genes = candidates.genomes.dense_rows(candidates.block.len(), dim);
    genes.par_chunks_mut(dim).enumerate().for_each(|(i, genes)| {
        let stream = Stream::new(context.seed, Purpose::Init, context.generation, (start + i) as u64);
        context.task.init.draw(&stream, genes);
    });
    candidates.tags.get_mut::<i32>("operator")?.fill(RANDOM);
    candidates.tags.get_mut::<i64>("parents")?.fill(-1);
    Ok(())
}

impl Strategy for MapElites {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        if !archive.elites().filled.is_empty() {
            prepare(context, self.params.batch, 0, candidates);
            return self.vary(context, archive, candidates);
        }
        let initial = if self.params.initial == 0 {
            self.params.batch
        } else {
            self.params.initial
        };
        prepare(context, initial, 0, candidates);
        draw_initial(context, candidates)
    }

    fn tell(&mut self, _context: &Context<'_>, _told: &Told<'_>) -> Result<Next> {
        Ok(Next::Generation)
    }

    fn history(&self, _row: &mut Vec<f64>) {}

    /// Nothing: the archive and the generation number are all the state there is.
    fn save(&self, _context: &Context<'_>) -> Result<State> {
        Ok(State::default())
    }

    fn load(&mut self, _context: &Context<'_>, _state: &State) -> Result<()> {
        Ok(())
    }
}
