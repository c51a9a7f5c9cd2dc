//! What a checkpoint keeps of Deep GA, and what it holds to be its result.

use illume_core::{Batch, Error, Result, State};

use super::{DeepGa, Phase, Reported};
use crate::lineages::{individuals, push_lineage, tables};

impl DeepGa {
    /// All that is needed to go on; between generations, so that no validation is under way.
    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        state.tables.extend(tables("parents", &self.parents));
        state.tables.extend(tables("elite", &self.elite));
        let reported = self.reported.as_ref();
        state.tables.extend(tables("reported", reported.map(|r| &r.individual)));
        let mut scalars = Batch::new();
        let mut value = |name: &str, description: &str, values: Vec<f64>| {
            scalars.push(name, values.len(), "", description, values);
        };
        value(
            "reported_mean",
            "validated mean of the reported elite's generation",
            vec![reported.map_or(f64::NAN, |r| r.mark)],
        );
        value(
            "reported_test",
            "mean of the reported elite's test episodes",
            vec![reported.map_or(f64::NAN, |r| r.test)],
        );
        value(
            "known_test",
            "mean of the elite's tests if no generation has told it yet",
            vec![self.known_test],
        );
        value(
            "row",
            "last values of the strategy's history columns",
            self.row.to_vec(),
        );
        scalars.push(
            "generations",
            2,
            "",
            "generation of the reported elite, and that of the elite if it is not tested yet; 2^64 - 1 for none",
            vec![
                reported.map_or(u64::MAX, |r| r.generation),
                self.untested.unwrap_or(u64::MAX),
            ],
        );
        let meaning = "environment steps charged to the budget so far, by which the mutation power may go";
        scalars.push("charged_steps", 1, "steps", meaning, vec![self.steps]);
        state.tables.push(("scalars".into(), scalars));
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
        let scalars = state.table("scalars")?;
        let damaged = || Error::failed("state table 'scalars' is damaged: it has no row");
        let value = |name: &str| scalars.get::<f64>(name)?.first().copied().ok_or_else(damaged);
        let &[generation, untested] = scalars.get::<u64>("generations")? else {
            return Err(damaged());
        };
        let (mark, test) = (value("reported_mean")?, value("reported_test")?);
        self.reported = read("reported")?.pop().map(|individual| Reported {
            individual,
            mark,
            generation,
            test,
        });
        self.untested = Some(untested).filter(|generation| *generation != u64::MAX && self.elite.is_some());
        self.known_test = value("known_test")?;
        let row = scalars.get::<f64>("row")?;
        if row.len() != self.row.len() {
            return Err(damaged());
        }
        self.row.copy_from_slice(row);
        // An older checkpoint has none, and a schedule that goes by generations.
        self.steps = scalars
            .get::<u64>("charged_steps")
            .map_or(0, |steps| steps.first().copied().unwrap_or(0));
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
