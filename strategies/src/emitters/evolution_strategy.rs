//! A search by an evolution strategy whose order is what the archive made of its candidates, and which begins anew at an elite when it is spent: the
//! emitter of CMA-ME and CMA-MAE, as `EvolutionStrategyEmitter` of pyribs (0.12.0, `_evolution_strategy_emitter.py`).

use illume_core::{Archive, Context, InsertReport, Result, State, Told};

use super::{Column, Course, Emitter, LivesOn, Part, Piece, Proposal, Rows};
use crate::optimizers::{Optimizer, Optimizers, Ranking};

/// See the module.
pub(crate) struct EvolutionStrategy {
    distributions: Optimizers,
    distribution: Box<dyn Optimizer>,
    course: Course,
}

impl EvolutionStrategy {
    pub fn new(distributions: Optimizers, course: Course) -> EvolutionStrategy {
        EvolutionStrategy {
            distribution: distributions.first(),
            distributions,
            course,
        }
    }
}

impl Emitter for EvolutionStrategy {
    fn parts(&self) -> Vec<Part> {
        vec![Part::new("sample", self.distribution.members())]
    }

    fn lives_on(&self) -> LivesOn {
        self.course.ranker.lives_on()
    }

    fn needs_competition(&self) -> bool {
        self.course.ranker.needs_competition()
    }

    fn in_turn(&self, ranks: usize) -> bool {
        ranks > 1 && self.distribution.communicates()
    }

    fn prepare(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        if !self.course.begun() {
            self.course.turn(context);
            // A run that was given genomes has evaluated them: the search begins at one of them.
            if context.task.given.is_some()
                && let Some(genes) = self.course.elite(context, archive)?
            {
                self.distribution.reset(context, &genes);
            }
        }
        if self.course.spent {
            // At an elite; where there is none, as it began.
            self.course.spent = false;
            self.course.restarts += 1;
            self.course.turn(context);
            self.distribution = self.distributions.first();
            if let Some(genes) = self.course.elite(context, archive)? {
                self.distribution.reset(context, &genes);
            }
        }
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let (rows, mut pieces) = (proposal.rows, proposal.pieces);
        // What it draws on this rank follows one another, and is drawn at once, also where there is nothing.
        let start = pieces.first().map_or(0, |piece| rows.before(piece.first));
        let count: usize = pieces.iter().map(Piece::rows).sum();
        if let [piece] = pieces.as_mut_slice() {
            return self.distribution.ask(context, start..start + count, piece.genes);
        }
        let mut genes = vec![0.0; count * context.task.genome_dim];
        self.distribution.ask(context, start..start + count, &mut genes)?;
        let mut rest = genes.as_slice();
        for piece in pieces {
            let (own, after) = rest.split_at(piece.genes.len());
            piece.genes.copy_from_slice(own);
            rest = after;
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>, report: &InsertReport, rows: &Rows<'_>) -> Result<()> {
        let ranked = self.course.rank(told, report, rows)?;
        let ranking = Ranking {
            parents: self.course.filter.then_some(ranked.taken),
            ..Ranking::of(&ranked.order)
        };
        self.distribution.tell(context, &ranking)?;
        self.course.over(context, &ranked, &*self.distribution)
    }

    fn restarts(&self) -> Option<u64> {
        Some(self.course.restarts)
    }

    fn columns(&self) -> Vec<Column> {
        self.course.columns()
    }

    fn values(&self) -> Vec<f64> {
        self.course.values(&*self.distribution)
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        Ok(State {
            tables: self.course.save(context, &*self.distribution, &[])?,
            solution: None,
        })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.course.load(context, state)?;
        self.distribution = self.distributions.first();
        if self.course.begun() {
            self.distribution.load(context, state)?;
        }
        Ok(())
    }
}
