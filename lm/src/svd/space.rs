//! What the genes of a search over adapters are, and what a genome means to the model.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use illume_core::{Error, Result};

use super::SvdAdapter;
use crate::array::Array;
use crate::config::Module;
use crate::lora::{Lora, LoraTarget};
use crate::population::{Basis, Population};

/// What a genome adds its offsets to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    /// The largest singular values of each factor.
    SingularValues,
    /// All numbers of the factors.
    Adapters,
}

/// What a gene of 1 adds to a singular value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// 1.
    Absolute,
    /// The root mean square of all singular values of its factor: genes that are normal with deviation s change a factor that is searched whole by s of
    /// its norm. `(c A, B / c)` is the same adapter as `(A, B)`, and this way its search is the same too.
    Relative,
}

/// Offsets to an adapter as genes: target after target, A then B; a factor's singular values from the largest, or its numbers row by row.
#[derive(Debug)]
pub struct SearchSpace {
    rank: usize,
    alpha: f64,
    rslora: bool,
    every_layer: bool,
    base: String,
    /// The factors that the search starts from, row by row.
    factors: Vec<Factors>,
    searched: Searched,
    /// What a gene of 1 adds, `[dim]`; empty: 1.
    steps: Vec<f32>,
}

#[derive(Debug)]
pub(crate) struct Factors {
    pub layer: usize,
    pub module: Module,
    /// `[rank, inputs]`.
    pub a: Vec<f32>,
    /// `[outputs, rank]`.
    pub b: Vec<f32>,
}

#[derive(Debug)]
enum Searched {
    Values {
        svd: SvdAdapter,
        /// Singular values of each factor that are searched.
        count: usize,
        /// What members share, made when it is first asked for.
        basis: OnceLock<Arc<Basis>>,
    },
    Factors,
}

impl SearchSpace {
    /// `share`: singular values that are searched, of each factor the largest `ceil(share rank)`; not used for whole adapters. Steps are absolute.
    ///
    /// # Errors
    /// `share` is not in (0, 1], the rank is above a side of a target, or singular values are searched of a factor that is all zeros.
    pub fn new(lora: &Lora, kind: SearchKind, share: f64) -> Result<SearchSpace> {
        let factors = lora.targets.iter().map(|t| Factors {
            layer: t.layer,
            module: t.module,
            a: t.a.values().to_vec(),
            b: t.b.values().to_vec(),
        });
        let searched = match kind {
            SearchKind::Adapters => Searched::Factors,
            SearchKind::SingularValues => Searched::Values {
                count: searched_values(lora.rank, share)?,
                svd: decomposed(lora)?,
                basis: OnceLock::new(),
            },
        };
        Ok(SearchSpace {
            rank: lora.rank,
            alpha: lora.alpha,
            rslora: lora.rslora,
            every_layer: lora.every_layer,
            base: lora.base.clone(),
            factors: factors.collect(),
            searched,
            steps: Vec::new(),
        })
    }

    /// The same search with these steps of singular values. Those of whole adapters stay absolute: a factor of a new one is zero and has no size.
    pub fn with_steps(mut self, steps: Steps) -> SearchSpace {
        self.steps = match (&self.searched, steps) {
            (Searched::Values { svd, count, .. }, Steps::Relative) => svd
                .targets
                .iter()
                .flat_map(|t| [&t.s_a, &t.s_b])
                .flat_map(|s| std::iter::repeat_n(root_mean_square(s), *count))
                .collect(),
            _ => Vec::new(),
        };
        self
    }

    /// The smallest and the largest that a gene of 1 adds.
    pub fn steps(&self) -> [f32; 2] {
        let mut steps = self.steps.iter().copied();
        let Some(first) = steps.next() else { return [1.0; 2] };
        steps.fold([first; 2], |[low, high], s| [low.min(s), high.max(s)])
    }

    /// What genes `[dim]` add.
    pub(crate) fn offsets<'a>(&self, genes: &'a [f32]) -> Cow<'a, [f32]> {
        match self.steps.is_empty() {
            true => genes.into(),
            false => genes.iter().zip(&self.steps).map(|(g, s)| g * s).collect(),
        }
    }

    pub fn kind(&self) -> SearchKind {
        match self.searched {
            Searched::Values { .. } => SearchKind::SingularValues,
            Searched::Factors => SearchKind::Adapters,
        }
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    /// By what the product of the factors is multiplied.
    pub fn scaling(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The decomposed adapter, and how many singular values of each factor are searched; None where whole factors are.
    pub fn singular(&self) -> Option<(&SvdAdapter, usize)> {
        match &self.searched {
            Searched::Values { svd, count, .. } => Some((svd, *count)),
            Searched::Factors => None,
        }
    }

    pub(crate) fn factors(&self) -> &[Factors] {
        &self.factors
    }

    /// Genes of a genome.
    pub fn dim(&self) -> usize {
        match &self.searched {
            Searched::Values { count, .. } => self.factors.len() * 2 * count,
            Searched::Factors => self.factors.iter().map(|f| f.a.len() + f.b.len()).sum(),
        }
    }

    /// Where the genes of each factor lie in a genome: for each target A's and B's.
    pub(crate) fn places(&self) -> Vec<[std::ops::Range<usize>; 2]> {
        let mut from = 0;
        let mut next = |n: usize| {
            from += n;
            from - n..from
        };
        let of = |f: &Factors| match &self.searched {
            Searched::Values { count, .. } => [next(*count), next(*count)],
            Searched::Factors => [next(f.a.len()), next(f.b.len())],
        };
        self.factors.iter().map(of).collect()
    }

    /// The members that have these genomes, each `[dim]`.
    pub fn population(&self, genomes: &[&[f32]]) -> Population {
        genomes.iter().for_each(|g| self.assert_dim(g));
        let genomes: Vec<Cow<'_, [f32]>> = genomes.iter().map(|g| self.offsets(g)).collect();
        let stacked = |base: &[f32], genes: &std::ops::Range<usize>, shape: &[usize]| {
            let mut all = Vec::with_capacity(genomes.len() * base.len());
            for genome in &genomes {
                all.extend(moved(base, &genome[genes.clone()]));
            }
            let shape: Vec<usize> = [genomes.len()].iter().chain(shape).copied().collect();
            Array::new(&shape, all)
        };
        let (mut list_a, mut list_b) = (Vec::new(), Vec::new());
        match &self.searched {
            Searched::Values { svd, basis, .. } => {
                for (t, [a, b]) in svd.targets.iter().zip(self.places()) {
                    list_a.push(stacked(&t.s_a, &a, &[self.rank]));
                    list_b.push(stacked(&t.s_b, &b, &[self.rank]));
                }
                Population::Singular {
                    basis: Arc::clone(basis.get_or_init(|| Arc::new(svd.basis()))),
                    s_a: list_a,
                    s_b: list_b,
                }
            }
            Searched::Factors => {
                for (f, [a, b]) in self.factors.iter().zip(self.places()) {
                    list_a.push(stacked(&f.a, &a, &[self.rank, f.a.len() / self.rank]));
                    list_b.push(stacked(&f.b, &b, &[f.b.len() / self.rank, self.rank]));
                }
                Population::Dense {
                    scaling: self.scaling(),
                    places: self.factors.iter().map(|f| (f.layer, f.module)).collect(),
                    a: list_a,
                    b: list_b,
                }
            }
        }
    }

    /// The adapter of a genome `[dim]`, its offsets multiplied in: to be written for `peft`.
    pub fn adapter(&self, genome: &[f32]) -> Lora {
        self.assert_dim(genome);
        let offsets = self.offsets(genome);
        let rank = self.rank;
        let mut targets = Vec::new();
        for (i, (f, [genes_a, genes_b])) in self.factors.iter().zip(self.places()).enumerate() {
            let (inputs, outputs) = (f.a.len() / rank, f.b.len() / rank);
            let (offsets_a, offsets_b) = (&offsets[genes_a], &offsets[genes_b]);
            let (a, b) = match &self.searched {
                Searched::Values { svd, .. } => {
                    let t = &svd.targets[i];
                    (
                        added(&f.a, &t.u_a, offsets_a, &t.v_a, rank),
                        added(&f.b, &t.u_b, offsets_b, &t.v_b, rank),
                    )
                }
                Searched::Factors => (moved(&f.a, offsets_a), moved(&f.b, offsets_b)),
            };
            targets.push(LoraTarget {
                layer: f.layer,
                module: f.module,
                a: Array::new(&[rank, inputs], a),
                b: Array::new(&[outputs, rank], b),
            });
        }
        Lora {
            rank,
            alpha: self.alpha,
            rslora: self.rslora,
            every_layer: self.every_layer,
            targets,
            base: self.base.clone(),
        }
    }

    fn assert_dim(&self, genome: &[f32]) {
        assert_eq!(genome.len(), self.dim(), "a genome has as many genes as the space");
    }
}

/// Singular values of each factor that are searched.
///
/// # Errors
/// `share` is not in (0, 1].
fn searched_values(rank: usize, share: f64) -> Result<usize> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::config(
            "task",
            "alpha",
            format!(
                "{share} is not in (0, 1]; it is the share of each factor's singular values that is searched, 1 for all"
            ),
        ));
    }
    // Rounding must not make 0.3 of 10 four.
    Ok(((share * rank as f64 - 1e-9).ceil() as usize).clamp(1, rank.max(1)))
}

fn decomposed(lora: &Lora) -> Result<SvdAdapter> {
    if let Some((target, factor)) = lora.zero_factor() {
        return Err(Error::input(format!(
            "the factor {factor} of {} is all zeros, so that it has no singular values to search: an adapter that was not trained yet has these; \
             train it first (illume lm sft), or search whole adapters (task.search = \"adapters\")",
            target.path()
        )));
    }
    SvdAdapter::new(lora)
}

fn root_mean_square(values: &[f32]) -> f32 {
    let squares: f64 = values.iter().map(|s| f64::from(*s).powi(2)).sum();
    (squares / values.len() as f64).sqrt() as f32
}

/// `base` with the offsets added to its first numbers.
fn moved(base: &[f32], offsets: &[f32]) -> Vec<f32> {
    let mut sum = base.to_vec();
    sum.iter_mut().zip(offsets).for_each(|(x, o)| *x += o);
    sum
}

/// `base [n, m] + u diag(offsets) v'` with `u [n, rank]`, `v [m, rank]`; in f64.
fn added(base: &[f32], u: &[f32], offsets: &[f32], v: &[f32], rank: usize) -> Vec<f32> {
    let width = v.len() / rank;
    let rows = base.chunks(width).zip(u.chunks(rank));
    rows.flat_map(|(row, u)| {
        let scaled: Vec<f64> = u
            .iter()
            .zip(offsets)
            .map(|(u, o)| f64::from(*u) * f64::from(*o))
            .collect();
        row.iter().zip(v.chunks(rank)).map(move |(x, v)| {
            let sum: f64 = scaled.iter().zip(v).map(|(s, v)| s * f64::from(*v)).sum();
            (f64::from(*x) + sum) as f32
        })
    })
    .collect()
}
