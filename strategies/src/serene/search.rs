//! The search: what is asked for next, and what is made of it.

use illume_core::{
    Archive, Candidates, Context, FEATURES, Next, Purpose, Result, State, Status, Strategy, StrategySpec, Stream,
    TaskSpec, Told,
};

use super::agents::{Agent, Widths, highest_first, novelty, places};
use super::emitter::Emitter;
use super::{EmitterParams, ExplorationParams};
use crate::candidates::prepare;
use crate::encoders::{Encoder, Key};
use crate::record::{Column, HistoryRow, columns, history_row};
use crate::visited::{VISITED, Visited};

/// Steps of a candidate for an emitter beside its first population, by which its improvement is found.
pub(super) const BOOTSTRAP: usize = 5;

/// What is asked for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The first population.
    First,
    /// A generation of exploration.
    Explore,
    /// This step of the first so many candidates for emitters, the first populations being step 0.
    Bootstrap { step: usize, count: usize },
    /// A step of this emitter.
    Emit { emitter: usize },
}

const RANDOM: i32 = 0;
const EXPLORATION: i32 = 1;
const EMITTER: i32 = 2;

pub(super) struct Search {
    pub spec: StrategySpec,
    pub params: ExplorationParams,
    pub emitter_params: EmitterParams,
    pub bounds: Option<[f32; 2]>,
    pub encoder: Option<Encoder>,
    pub widths: Widths,
    pub population: Vec<Agent>,
    /// Of the last generation of exploration, without genes.
    pub offspring: Vec<Agent>,
    pub archive: Vec<Agent>,
    pub rewarded: Vec<Agent>,
    /// Where an emitter may begin, the next ones first.
    pub candidates: Vec<Emitter>,
    pub emitters: Vec<Emitter>,
    /// What finished emitters of this chunk give to the novelty archive.
    pub finished: Vec<Agent>,
    pub mode: Mode,
    /// Evaluations that are left of the chunk.
    pub left: i64,
    /// Agents of the reward archive that novelty is measured against in this chunk of emitters.
    pub known: usize,
    /// Chunks of exploration, those since the encoder learned last, and after how many it learns next.
    pub chunks: u64,
    pub since: u64,
    pub interval: u64,
    pub best: f64,
    pub visited: Option<Visited>,
}

history_row! {
    struct Row {
        best_reward: "", "highest fitness so far";
        novelty_archive: "", "agents in the novelty archive";
        reward_archive: "", "agents in the reward archive";
        emitters: "", "emitters that are not finished";
        waiting: "", "agents from which an emitter may begin yet";
        chunks: "", "chunks of exploration so far";
    }
}

const ENCODER_UPDATES: Column = ("encoder_updates", "", "times that the encoder has learned");

impl Search {
    pub fn new(
        name: &'static str,
        task: &TaskSpec,
        params: ExplorationParams,
        bounds: Option<[f32; 2]>,
        emitter_params: EmitterParams,
        encoder: Option<Encoder>,
    ) -> Search {
        let visited = Visited::of(task);
        let history = Row::columns_but(None)
            .chain(encoder.as_ref().map(|_| ENCODER_UPDATES))
            .chain(visited.as_ref().map(|_| VISITED));
        let spec = StrategySpec {
            name: name.into(),
            operators: ["random", "exploration", "emitter"].map(String::from).to_vec(),
            history: columns(history),
            lineage: false,
            first_generation: params.population,
            sized_by: &["population"],
            facts: encoder.iter().map(|e| ("encoder".to_string(), e.in_words())).collect(),
        };
        Search {
            spec,
            widths: Widths {
                genes: task.genome_dim,
                place: encoder.as_ref().map_or(task.descriptor_dim(), Encoder::latent),
                features: encoder.as_ref().map_or(0, Encoder::inputs),
            },
            left: params.chunk as i64,
            params,
            emitter_params,
            bounds,
            encoder,
            population: Vec::new(),
            offspring: Vec::new(),
            archive: Vec::new(),
            rewarded: Vec::new(),
            candidates: Vec::new(),
            emitters: Vec::new(),
            finished: Vec::new(),
            mode: Mode::First,
            known: 0,
            chunks: 0,
            since: 0,
            interval: 1,
            best: f64::NEG_INFINITY,
            visited,
        }
    }

    /// Rows of what is asked for, and their operator.
    fn rows(&self) -> (usize, i32) {
        let members = self.emitter_params.emitter_population;
        match self.mode {
            Mode::First => (self.params.population, RANDOM),
            Mode::Explore => (2 * self.population.len(), EXPLORATION),
            Mode::Bootstrap { step: 0, count } => (members * count, EMITTER),
            Mode::Bootstrap { count, .. } => (2 * members * count, EMITTER),
            Mode::Emit { .. } => (2 * members, EMITTER),
        }
    }

    /// Rows of one emitter, in a step of the bootstrap.
    fn rows_each(&self, step: usize) -> usize {
        match step {
            0 => self.emitter_params.emitter_population,
            _ => 2 * self.emitter_params.emitter_population,
        }
    }

    /// Writes the genes of a row: every rank can, whoever evaluates it.
    fn genes(&self, context: &Context<'_>, row: usize, genes: &mut [f32]) {
        let (parent, sigma) = match self.mode {
            Mode::First => {
                let given = context.task.given_rows().unwrap_or(0);
                match self.bounds {
                    Some([low, high]) if row >= given => {
                        let stream = Stream::new(context.seed, Purpose::Init, 0, row as u64);
                        stream.uniforms(0, genes);
                        genes.iter_mut().for_each(|x| *x = x.mul_add(high - low, low));
                    }
                    _ => context.task.first(context.seed, row as u64, genes),
                }
                return self.clip(context.task, genes);
            }
            Mode::Explore => (&self.population[row / 2], self.params.sigma),
            Mode::Bootstrap { step, .. } => {
                let each = self.rows_each(step);
                let emitter = &self.candidates[row / each];
                let parent = if step == 0 {
                    &emitter.ancestor
                } else {
                    emitter.parent(row % each)
                };
                (parent, emitter.sigma)
            }
            Mode::Emit { emitter } => (self.emitters[emitter].parent(row), self.emitters[emitter].sigma),
        };
        genes.copy_from_slice(&parent.genes);
        let noise = Stream::new(context.seed, Purpose::Variation, context.generation, 0);
        noise.add_normals((row * genes.len()) as u64, sigma as f32, genes);
        self.clip(context.task, genes);
    }

    fn clip(&self, task: &TaskSpec, genes: &mut [f32]) {
        for [low, high] in self.bounds.iter().chain(&task.bounds) {
            genes.iter_mut().for_each(|x| *x = x.clamp(*low, *high));
        }
    }

    /// Those among whom novelty is measured, behind whoever is asked about.
    fn reference(&self, rewarded: usize) -> Vec<f64> {
        let all = self.population.iter().chain(&self.offspring).chain(&self.archive);
        places(all.chain(&self.rewarded[..rewarded]))
    }

    /// Novelty of agents that are not themselves among those that it is measured against.
    fn novelty_of<'a>(&self, agents: impl Iterator<Item = &'a Agent>, reference: &[f64]) -> Vec<f64> {
        novelty(
            &places(agents),
            self.widths.place,
            reference,
            self.params.neighbours,
            false,
        )
    }

    /// Whoever is rewarded and has not been begun from becomes a candidate for an emitter, and is remembered.
    fn note_rewarded(&mut self, offspring: &mut [Agent]) {
        let mut found: Vec<usize> = Vec::new();
        let all: Vec<&mut Agent> = self.population.iter_mut().chain(offspring.iter_mut()).collect();
        for (number, agent) in all.into_iter().enumerate() {
            if agent.reward > 0.0 && !agent.used {
                agent.used = true;
                found.push(number);
            }
        }
        let all: Vec<&Agent> = self.population.iter().chain(offspring.iter()).collect();
        let distance = |a: &Agent, b: &Agent| {
            let squares = a.genes.iter().zip(&b.genes).map(|(a, b)| f64::from(a - b).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let begun: Vec<Emitter> = found
            .iter()
            .map(|&number| {
                let others = all.iter().enumerate().filter(|(other, _)| *other != number);
                let nearest = others
                    .map(|(_, other)| distance(all[number], other))
                    .fold(f64::INFINITY, f64::min);
                let sigma = if nearest > 0.0 && nearest.is_finite() {
                    nearest / 3.0
                } else {
                    self.params.sigma
                };
                Emitter::new(all[number].clone(), sigma)
            })
            .collect();
        self.rewarded
            .extend(found.iter().map(|number| all[*number].remembered()));
        self.candidates.extend(begun);
    }

    /// After a generation of exploration.
    fn explored(&mut self, context: &Context<'_>, mut offspring: Vec<Agent>) {
        if self.emitter_params.schedule == "alternating" {
            self.note_rewarded(&mut offspring);
        }
        let all = || self.population.iter().chain(&offspring);
        let rows = places(all());
        let reference = [rows.as_slice(), &places(self.archive.iter().chain(&self.rewarded))].concat();
        let novelty = novelty(&rows, self.widths.place, &reference, self.params.neighbours, true);
        let draws = Stream::new(context.seed, Purpose::Admission, context.generation, 0);
        for agent in drawn(&draws, 0, offspring.len(), self.params.archived) {
            self.archive.push(offspring[agent].remembered());
        }
        let coin = Stream::new(context.seed, Purpose::Selection, context.generation, 0).below(0, 2);
        let values = match &self.encoder {
            Some(_) if coin == 1 => all().map(|agent| agent.surprise).collect(),
            _ => novelty,
        };
        let order = highest_first(&values);
        let best = order.into_iter().take(self.params.population);
        let population = best.map(|i| all().nth(i).cloned().unwrap_or_default()).collect();
        self.population = population;
        self.offspring = offspring.iter().map(Agent::remembered).collect();
        if self.left <= 0 {
            self.chunks += 1;
            self.since += 1;
            if self.encoder.is_some() && self.since == self.interval {
                self.learn(context);
                (self.since, self.interval) = (0, self.interval + 1);
            }
            self.begin_chunk(context);
        }
    }

    /// After a chunk of exploration: one of emitters, if there are any.
    fn begin_chunk(&mut self, context: &Context<'_>) {
        self.left = self.params.chunk as i64;
        self.mode = Mode::Explore;
        if self.candidates.is_empty() && self.emitters.is_empty() {
            return;
        }
        // The most novel ones first, among what was rewarded.
        let ancestors = self.candidates.iter().map(|emitter| &emitter.ancestor);
        let novelty = self.novelty_of(ancestors, &places(self.rewarded.iter()));
        let mut waiting: Vec<Option<Emitter>> = self.candidates.drain(..).map(Some).collect();
        let order = highest_first(&novelty);
        self.candidates
            .extend(order.into_iter().filter_map(|i| waiting[i].take()));
        // As long as more than a third of the chunk is left.
        let each = (self.rows_each(0) + BOOTSTRAP * self.rows_each(1)) as i64;
        let (mut left, mut count) = (self.left, 0);
        while count < self.candidates.len() && 3 * left > self.params.chunk as i64 {
            left -= each;
            count += 1;
        }
        self.known = self.rewarded.len();
        match count {
            0 => self.choose(context),
            _ => self.mode = Mode::Bootstrap { step: 0, count },
        }
    }

    /// After a step of the bootstrap.
    fn bootstrapped(&mut self, context: &Context<'_>, step: usize, count: usize, mut agents: Vec<Agent>) {
        let each = self.rows_each(step);
        for emitter in &mut self.candidates[..count] {
            let own = agents.drain(..each).collect();
            match step {
                0 => emitter.begin(own),
                _ => emitter.take(own, &mut self.rewarded),
            }
        }
        if step < BOOTSTRAP {
            self.mode = Mode::Bootstrap { step: step + 1, count };
            return;
        }
        for mut emitter in self.candidates.drain(..count) {
            emitter.estimate();
            if emitter.improvement > 0.0 {
                self.emitters.push(emitter);
            }
        }
        self.known = self.rewarded.len();
        self.choose(context);
    }

    /// Chooses the emitter that goes on, one of the first front of novelty among the rewarded and improvement; without any, or at the end of the chunk, exploration goes on.
    fn choose(&mut self, context: &Context<'_>) {
        if self.left <= 0 || self.emitters.is_empty() {
            self.archive.append(&mut self.finished);
            self.left = self.params.chunk as i64;
            self.mode = Mode::Explore;
            return;
        }
        let ancestors = self.emitters.iter().map(|emitter| &emitter.ancestor);
        let novelty = self.novelty_of(ancestors, &places(self.rewarded.iter()));
        let points: Vec<[f64; 2]> = novelty
            .iter()
            .zip(&self.emitters)
            .map(|(novelty, emitter)| [*novelty, emitter.improvement])
            .collect();
        let dominates = |a: [f64; 2], b: [f64; 2]| a[0] >= b[0] && a[1] >= b[1] && a != b;
        let first = |i: &usize| points.iter().all(|other| !dominates(*other, points[*i]));
        let front: Vec<usize> = (0..points.len()).filter(first).collect();
        let draw = Stream::new(context.seed, Purpose::Selection, context.generation, 1);
        let emitter = front[draw.below(0, front.len() as u64) as usize];
        let reference = self.reference(self.known);
        let own = self.novelty_of(std::iter::once(&self.emitters[emitter].ancestor), &reference);
        let most = &mut self.emitters[emitter].most_novel;
        *most = most.max(own[0]);
        self.mode = Mode::Emit { emitter };
    }

    /// After a step of an emitter.
    fn emitted(&mut self, context: &Context<'_>, number: usize, children: Vec<Agent>) {
        let reference = self.reference(self.known);
        self.emitters[number].take(children, &mut self.rewarded);
        let novelty = self.novelty_of(self.emitters[number].population.iter(), &reference);
        let emitter = &mut self.emitters[number];
        emitter.note_novel(&novelty);
        if emitter.stagnates(self.widths.genes, self.emitter_params.emitter_population) {
            let emitter = self.emitters.remove(number);
            let draws = Stream::new(context.seed, Purpose::Admission, context.generation, 1);
            let chosen = drawn(&draws, 0, emitter.novel.len(), self.params.archived);
            self.finished
                .extend(chosen.into_iter().map(|i| emitter.novel[i].clone()));
            self.rewarded.push(emitter.ancestor.remembered());
            self.choose(context);
        } else if self.left <= 0 {
            self.emitters[number].estimate();
            self.choose(context);
        }
    }

    /// Learns from all that is remembered, and describes it anew.
    fn learn(&mut self, context: &Context<'_>) {
        let Some(mut encoder) = self.encoder.take() else { return };
        let all = self
            .archive
            .iter()
            .chain(&self.population)
            .chain(&self.offspring)
            .chain(&self.rewarded);
        let seen: Vec<f32> = all.flat_map(|agent| agent.features.iter().copied()).collect();
        let key = Key {
            seed: context.seed,
            generation: context.generation,
        };
        encoder.learn(key, &seen);
        let emitters = self.candidates.iter_mut().chain(&mut self.emitters);
        let theirs = emitters.flat_map(Emitter::agents_mut);
        let own = self
            .population
            .iter_mut()
            .chain(&mut self.offspring)
            .chain(&mut self.archive);
        let mut all: Vec<&mut Agent> = own.chain(&mut self.rewarded).chain(theirs).collect();
        describe(&encoder, &mut all);
        self.encoder = Some(encoder);
    }

    /// The agents of rows that were evaluated. One that failed is worth less than any other.
    fn agents(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Vec<(bool, Agent)>> {
        let rows = told.rows;
        let (status, fitness) = (rows.get::<u8>("status")?, rows.get::<f64>("fitness")?);
        let descriptor = rows.get::<f64>("descriptor")?;
        let features = match &self.encoder {
            Some(_) => rows.get::<f32>(FEATURES)?,
            None => &[],
        };
        let (k, f) = (self.widths.place, self.widths.features);
        let mut agents: Vec<(bool, Agent)> = (0..rows.rows())
            .map(|row| {
                let mut genes = vec![0.0; self.widths.genes];
                self.genes(context, row, &mut genes);
                let ok = status[row] == Status::Ok as u8;
                let agent = Agent {
                    genes,
                    place: match &self.encoder {
                        Some(_) => vec![0.0; k],
                        None => descriptor[row * k..(row + 1) * k].to_vec(),
                    },
                    features: features.get(row * f..(row + 1) * f).unwrap_or_default().to_vec(),
                    reward: if ok { fitness[row] } else { f64::NEG_INFINITY },
                    ..Agent::default()
                };
                (ok, agent)
            })
            .collect();
        if let Some(encoder) = &mut self.encoder {
            if self.mode == Mode::First {
                let key = Key {
                    seed: context.seed,
                    generation: context.generation,
                };
                let ok = agents.iter().filter(|(ok, _)| *ok);
                encoder.begin(
                    key,
                    &ok.flat_map(|(_, agent)| agent.features.iter().copied())
                        .collect::<Vec<f32>>(),
                );
            }
            describe(
                encoder,
                &mut agents.iter_mut().map(|(_, agent)| agent).collect::<Vec<_>>(),
            );
        }
        Ok(agents)
    }
}

/// Codes and surprise of agents by what the encoder knows.
fn describe(encoder: &Encoder, agents: &mut [&mut Agent]) {
    let seen: Vec<f32> = agents.iter().flat_map(|agent| agent.features.iter().copied()).collect();
    let codes = encoder.encode(&seen);
    let codes = codes.chunks_exact(encoder.latent()).zip(encoder.errors(&seen));
    for (agent, (code, error)) in agents.iter_mut().zip(codes) {
        agent.place.clear();
        agent.place.extend_from_slice(code);
        agent.surprise = error;
    }
}

/// So many different numbers below `n` at most, drawn from position `at` of a stream on.
fn drawn(stream: &Stream, at: u64, n: usize, count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    let count = count.min(n);
    for i in 0..count {
        let other = i + stream.below(at + i as u64, (n - i) as u64) as usize;
        all.swap(i, other);
    }
    all.truncate(count);
    all
}

impl Strategy for Search {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        let (total, operator) = self.rows();
        prepare(context, total, 0, candidates);
        candidates.features = self.encoder.is_some();
        candidates.tags.get_mut::<i32>("operator")?.fill(operator);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        let (block, dim) = (candidates.block.clone(), self.widths.genes);
        let rows = candidates.genomes.dense_rows(block.len(), dim).chunks_exact_mut(dim);
        rows.zip(block).for_each(|(genes, row)| self.genes(context, row, genes));
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        if let Some(visited) = &mut self.visited {
            visited.take(told.rows)?;
        }
        let agents = self.agents(context, told)?;
        let rewards = agents.iter().filter(|(ok, _)| *ok).map(|(_, agent)| agent.reward);
        self.best = rewards.fold(self.best, f64::max);
        self.left -= agents.len() as i64;
        let whole = |agents: Vec<(bool, Agent)>| agents.into_iter().filter(|(ok, _)| *ok).map(|(_, agent)| agent);
        match self.mode {
            Mode::First => {
                self.population = whole(agents).collect();
                // With nobody to descend from it begins again.
                if self.population.len() > 1 {
                    self.mode = Mode::Explore;
                }
            }
            Mode::Explore => {
                let offspring = whole(agents).collect();
                self.explored(context, offspring);
            }
            Mode::Bootstrap { step, count } => {
                let agents = agents.into_iter().map(|(_, agent)| agent).collect();
                self.bootstrapped(context, step, count, agents);
            }
            Mode::Emit { emitter } => {
                let agents = agents.into_iter().map(|(_, agent)| agent).collect();
                self.emitted(context, emitter, agents);
            }
        }
        Ok(Next::Generation)
    }

    fn history(&self, row: &mut Vec<f64>) {
        let own = Row {
            best_reward: self.best,
            novelty_archive: self.archive.len() as f64,
            reward_archive: self.rewarded.len() as f64,
            emitters: self.emitters.len() as f64,
            waiting: self.candidates.len() as f64,
            chunks: self.chunks as f64,
        };
        row.extend(own.values());
        row.extend(self.encoder.as_ref().map(|encoder| encoder.learned() as f64));
        row.extend(self.visited.as_ref().map(Visited::share));
    }

    fn save(&self, _context: &Context<'_>) -> Result<State> {
        Ok(self.tables())
    }

    fn load(&mut self, _context: &Context<'_>, state: &State) -> Result<()> {
        self.go_back(state)
    }
}
