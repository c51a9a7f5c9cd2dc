//! What a checkpoint keeps of Deep GA, and what it holds to be its result.

use illume_core::{Batch, Result, State};

use super::{DeepGa, Phase, Reported, Row};
use crate::lineages::{individuals, push_lineage, tables};
use crate::record::scalars;

scalars! {
    struct Scalars {
        reported_mean: f64, "", "validated mean of the reported elite's generation";
        reported_test: f64, "", "mean of the reported elite's test episodes";
        known_test: f64, "", "mean of the elite's tests if no generation has told it yet";
        row: Row, "", "last values of the strategy's history columns";
        generations: [u64; 2], "", "generation of the reported elite, and that of the elite if it is not tested yet; 2^64 - 1 for none";
        // Schedules of earlier versions went by generations alone.
        charged_steps: u64 = 0, "steps", "environment steps charged to the budget so far, by which the mutation power may go";
    }
}

impl DeepGa {
    /// All that is needed to go on; between generations, so that no validation is under way.
    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        state.tables.extend(tables("parents", &self.parents));
        state.tables.extend(tables("elite", &self.elite));
        let reported = self.reported.as_ref();
        state.tables.extend(tables("reported", reported.map(|r| &r.individual)));
        let scalars = Scalars {
            reported_mean: reported.map_or(f64::NAN, |r| r.mark),
            reported_test: reported.map_or(f64::NAN, |r| r.test),
            known_test: self.known_test,
            row: self.row,
            generations: [
                reported.map_or(u64::MAX, |r| r.generation),
                self.untested.unwrap_or(u64::MAX),
            ],
            charged_steps: self.steps,
        };
        state.tables.push(("scalars".into(), scalars.table()));
        state.solution = self.solution();
        state
    }

    /// Goes back to a state of a run with so many finished generations.
    ///
    /// # Errors
    /// A table is missing or damaged.
    pub(super) fn restore(&mut self, state: &State, generations: u64) -> Result<()> {
        let read = |name| individuals(state, name, generations);
        self.parents = read("parents")?;
        self.elite = read("elite")?.pop();
        let scalars = Scalars::read(state.table("scalars")?)?;
        let [generation, untested] = scalars.generations;
        self.reported = read("reported")?.pop().map(|individual| Reported {
            individual,
            mark: scalars.reported_mean,
            generation,
            test: scalars.reported_test,
        });
        self.untested = Some(untested).filter(|generation| *generation != u64::MAX && self.elite.is_some());
        self.known_test = scalars.known_test;
        self.row = scalars.row;
        self.steps = scalars.charged_steps;
        self.steps_now = 0;
        self.phase = Phase::Children;
        self.nursery.forget();
        Ok(())
    }

    fn solution(&self) -> Option<Batch> {
        let best = self.reported.as_ref()?;
        let mut solution = Batch::new();
        let mut value = |name, description, value| solution.push(name, 1, "", description, vec![value]);
        value("fitness", "validated mean of the reported elite", best.individual.score);
        value(
            "validated_mean",
            "mean of all validated candidates of its generation",
            best.mark,
        );
        value(
            "test_mean",
            "mean fitness of its test episodes, NaN if there were none",
            best.test,
        );
        push_lineage(&mut solution, &best.individual, "the reported elite");
        Some(solution)
    }
}
