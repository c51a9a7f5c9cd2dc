//! What a search needs to go on, as tables.

use illume_core::{Batch, ENCODER, Error, Result, State};

use super::agents::{Agent, Widths, agents, table};
use super::emitter;
use super::search::{Mode, Search};

/// The lists of agents, and whether they have genes.
const LISTS: [(&str, bool); 5] = [
    ("population", true),
    ("offspring", false),
    ("novelty_archive", false),
    ("reward_archive", false),
    ("finished", false),
];

impl Search {
    fn list(&mut self, name: &str) -> &mut Vec<Agent> {
        match name {
            "population" => &mut self.population,
            "offspring" => &mut self.offspring,
            "novelty_archive" => &mut self.archive,
            "reward_archive" => &mut self.rewarded,
            _ => &mut self.finished,
        }
    }

    fn widths_of(&self, genes: bool) -> Widths {
        Widths {
            genes: if genes { self.widths.genes } else { 0 },
            ..self.widths
        }
    }

    pub(super) fn tables(&self) -> State {
        let mut state = State::default();
        let lists = [
            &self.population,
            &self.offspring,
            &self.archive,
            &self.rewarded,
            &self.finished,
        ];
        for ((name, genes), list) in LISTS.iter().zip(lists) {
            let agents = table(list.iter(), self.widths_of(*genes));
            state.tables.push(((*name).into(), agents));
        }
        emitter::save("candidates", &self.candidates, self.widths, &mut state);
        emitter::save("emitters", &self.emitters, self.widths, &mut state);
        let (mode, numbers) = match self.mode {
            Mode::First => (0, [0, 0]),
            Mode::Explore => (1, [0, 0]),
            Mode::Bootstrap { step, count } => (2, [step as u64, count as u64]),
            Mode::Emit { emitter } => (3, [emitter as u64, 0]),
        };
        let mut scalars = Batch::new();
        let meaning = "what is asked for next: 0 the first population, 1 exploration, 2 a step of candidates, 3 one of an emitter";
        scalars.push("mode", 1, "", meaning, vec![mode as u64]);
        scalars.push(
            "numbers",
            2,
            "",
            "which step and how many, or which emitter",
            numbers.to_vec(),
        );
        scalars.push("left", 1, "", "evaluations left of the chunk", vec![self.left]);
        let meaning = "agents of the reward archive that novelty is measured against in this chunk";
        scalars.push("known", 1, "", meaning, vec![self.known as u64]);
        let counts = vec![self.chunks, self.since, self.interval];
        let meaning = "chunks of exploration, those since the encoder learned, and after how many it learns";
        scalars.push("counts", 3, "", meaning, counts);
        scalars.push("best", 1, "", "highest fitness so far", vec![self.best]);
        state.tables.push(("scalars".into(), scalars));
        state
            .tables
            .extend(self.encoder.as_ref().map(|e| (ENCODER.to_string(), e.table())));
        state
            .tables
            .extend(self.visited.as_ref().map(|v| ("visited".to_string(), v.save())));
        state
    }

    pub(super) fn go_back(&mut self, state: &State) -> Result<()> {
        for (name, genes) in LISTS {
            *self.list(name) = agents(state.table(name)?, self.widths_of(genes))?;
        }
        self.candidates = emitter::load("candidates", self.widths, state)?;
        self.emitters = emitter::load("emitters", self.widths, state)?;
        let scalars = state.table("scalars")?;
        let short = || Error::failed("the checkpoint's state of the search is cut short");
        let one = |name: &str| scalars.get::<u64>(name)?.first().copied().ok_or_else(short);
        let numbers = scalars.get::<u64>("numbers")?;
        let &[first, second] = numbers else { return Err(short()) };
        let (first, second) = (first as usize, second as usize);
        self.mode = match one("mode")? {
            0 => Mode::First,
            1 => Mode::Explore,
            2 if second <= self.candidates.len() => Mode::Bootstrap {
                step: first,
                count: second,
            },
            3 if first < self.emitters.len() => Mode::Emit { emitter: first },
            _ => return Err(short()),
        };
        self.left = scalars.get::<i64>("left")?.first().copied().ok_or_else(short)?;
        self.known = (one("known")? as usize).min(self.rewarded.len());
        let &[chunks, since, interval] = scalars.get::<u64>("counts")? else {
            return Err(short());
        };
        (self.chunks, self.since, self.interval) = (chunks, since, interval);
        self.best = scalars.get::<f64>("best")?.first().copied().ok_or_else(short)?;
        if let Some(encoder) = &mut self.encoder {
            encoder.load(state.table(ENCODER)?)?;
        }
        match &mut self.visited {
            Some(visited) => visited.load(state.table("visited")?),
            None => Ok(()),
        }
    }
}
