//! MAP-Elites (Mouret and Clune, 'Illuminating search spaces by mapping elites', 2015, <https://arxiv.org/abs/1504.04909>) with the
//! Iso+LineDD operator and polynomial mutation; parents are drawn uniformly from the filled cells.

use std::ops::Range;

use illume_core::{
    Archive, Candidates, Context, Error, Inbox, Next, Params, Purpose, Result, State, Strategy, StrategyConfig, StrategyEntry,
    StrategySpec, Stream, Told, params,
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
        /// Lower and upper bound of a gene for polynomial mutation; empty for the task's own.
        polynomial_bounds: Vec<f64> = vec![], any();
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    name: "map_elites",
    summary: "MAP-Elites (Mouret and Clune 2015) with iso+line-dd and polynomial mutation",
    params: MapElitesParams::describe,
    build,
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: MapElitesParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let bounds = match params.polynomial_bounds.as_slice() {
        [] => config.task.bounds,
        [low, high] if low < high => Some([*low as f32, *high as f32]),
        _ => return Err(Error::config("strategy", "polynomial_bounds", "expected [lower, upper] with lower < upper")),
    };
    if params.polynomial_share > 0.0 && bounds.is_none() {
        let message = format!(
            "polynomial mutation needs bounds of a gene and task \"{}\" has none; set strategy.polynomial_bounds = [lower, upper]",
            config.task.name
        );
        return Err(Error::config("strategy", "polynomial_share", message));
    }
    Ok(Box::new(MapElites::new(params, bounds)))
}

const RANDOM: i32 = 0;
const ISO_LINE: i32 = 1;
const POLYNOMIAL: i32 = 2;

/// Children that one parallel task makes when genomes are short; longer genomes get fewer.
const GENES_PER_TASK: usize = 1 << 13;

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
        };
        MapElites { params, spec, polynomial_bounds, inbox: Inbox::default(), parents: Vec::new() }
    }

    /// Two parents (cells) for every candidate of every rank.
    fn select(&mut self, context: &Context<'_>, filled: &[u32]) {
        let stream = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let mut words = vec![0; 4 * self.params.batch];
        stream.words(0, &mut words);
        let pick = |w: &[u32]| {
            let bits = u64::from(w[0]) | u64::from(w[1]) << 32;
            filled[((u128::from(bits) * filled.len() as u128) >> 64) as usize]
        };
        self.parents.clear();
        self.parents.extend(words.chunks_exact(2).map(pick));
    }

    fn vary(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        let block = candidates.block.clone();
        self.select(context, &archive.elites().filled);
        let size = context.comm.size();
        let mut bounds: Vec<usize> =
            (0..size).map(|r| 2 * illume_core::block(candidates.total, r, size).start).collect();
        bounds.push(2 * candidates.total);
        // The first candidates of the batch are iso+line children, the last ones polynomial mutants.
        let lines = self.iso_line_rows();
        let genomes = archive.fetch(&self.parents, &bounds, context.comm, &mut self.inbox)?;
        let parents = genomes.into_iter().map(|g| g.dense()).collect::<Result<Vec<&[f32]>>>()?;

        let dim = context.task.genome_dim;
        let free = [f32::NEG_INFINITY, f32::INFINITY];
        let limits = context.task.bounds.unwrap_or(free);
        let (iso, line_sigma) = (self.params.iso_sigma as f32, self.params.line_sigma as f32);
        let noise = Stream::new(context.seed, Purpose::Variation, context.generation, 0);
        let line_noise = Stream::new(context.seed, Purpose::Line, context.generation, 0);
        let mutation = Stream::new(context.seed, Purpose::Variation, context.generation, 1);
        let (rate, eta) = (self.params.polynomial_rate as f32, self.params.polynomial_eta as f32);
        let polynomial_bounds = self.polynomial_bounds.unwrap_or(free);
        let rows = GENES_PER_TASK.div_ceil(dim).max(1);
        let children = candidates.genomes.dense_rows(block.len(), dim);
        children.par_chunks_mut(rows * dim).enumerate().for_each(|(task, children)| {
            let first = block.start + task * rows;
            let parents = &parents[2 * task * rows..];
            let count = children.len() / dim;
            let by_line = lines.clamp(first, first + count) - first;
            let (iso_children, mutants) = children.split_at_mut(by_line * dim);
            noise.normals((first * dim) as u64, iso_children);
            let mut draws = vec![0.0; by_line];
            line_noise.normals(first as u64, &mut draws);
            draws.iter_mut().for_each(|l| *l *= line_sigma);
            variation::iso_line_rows(iso_children, parents, iso, &draws, limits);
            for (i, child) in mutants.chunks_exact_mut(dim).enumerate() {
                let (row, parent) = (first + by_line + i, parents[2 * (by_line + i)]);
                variation::polynomial(child, parent, &mutation, row as u64, rate, eta, polynomial_bounds);
            }
        });
        self.tag(block, candidates)
    }

    fn iso_line_rows(&self) -> usize {
        self.params.batch - (self.params.polynomial_share * self.params.batch as f64).round() as usize
    }

    fn tag(&self, block: Range<usize>, candidates: &mut Candidates) -> Result<()> {
        let lines = self.iso_line_rows();
        let [operator, parents] = candidates.tags.columns_mut(["operator", "parents"])?;
        for ((i, op), cells) in block.zip(operator.values_mut()?).zip(parents.values_mut()?.chunks_exact_mut(2)) {
            *op = if i < lines { ISO_LINE } else { POLYNOMIAL };
            cells[0] = i64::from(self.parents[2 * i]);
            cells[1] = if i < lines { i64::from(self.parents[2 * i + 1]) } else { -1 };
        }
        Ok(())
    }
}

/// Prepares a block for refilling: rows, seeds and the tags `operator` and `parents`.
pub(crate) fn prepare(context: &Context<'_>, total: usize, phase: u64, candidates: &mut Candidates) {
    candidates.total = total;
    candidates.block = context.block(total);
    candidates.offered = 0..total;
    let block = candidates.block.clone();
    evaluation_seeds(context.seed, context.generation, phase, block.clone(), &mut candidates.seeds);
    candidates.tags.resize(block.len());
    candidates.tags.declare::<i32>("operator", 1, "", "variation operator; names in the attribute operators");
    candidates.tags.declare::<i64>("parents", 2, "", "cells of the parents, -1 for none");
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
        let initial = if self.params.initial == 0 { self.params.batch } else { self.params.initial };
        prepare(context, initial, 0, candidates);
        let (block, dim) = (candidates.block.clone(), context.task.genome_dim);
        let genes = candidates.genomes.dense_rows(block.len(), dim);
        genes.par_chunks_mut(dim).enumerate().for_each(|(i, genes)| {
            let stream = Stream::new(context.seed, Purpose::Init, context.generation, (block.start + i) as u64);
            context.task.init.draw(&stream, genes);
        });
        candidates.tags.get_mut::<i32>("operator")?.fill(RANDOM);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
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
