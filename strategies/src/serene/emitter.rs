//! An emitter: a small population that climbs the reward around the agent that it began from (`serene.py` of SERENE's program, `FitnessEmitter`).

use illume_core::{Batch, Error, Result, State};

use super::agents::{Agent, Widths, agents, highest_first, table};

/// Steps whose mean rewards are compared for the improvement.
const COMPARED: usize = 3;
/// Steps at the ends of what stagnation looks at.
const ENDS: usize = 20;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Emitter {
    /// Standard deviation of its mutations.
    pub sigma: f64,
    pub ancestor: Agent,
    pub population: Vec<Agent>,
    /// Rewards of the population after each step, its first ones among them.
    pub values: Vec<Vec<f64>>,
    /// Highest reward that it has put into the reward archive.
    pub archived: Option<f64>,
    pub improvement: f64,
    /// Novelty of the most novel agent that it has found.
    pub most_novel: f64,
    /// Agents that were more novel than any before.
    pub novel: Vec<Agent>,
    pub steps: usize,
}

impl Emitter {
    pub fn new(ancestor: Agent, sigma: f64) -> Emitter {
        Emitter {
            sigma,
            ancestor,
            population: Vec::new(),
            values: Vec::new(),
            archived: None,
            improvement: 0.0,
            most_novel: 0.0,
            novel: Vec::new(),
            steps: 0,
        }
    }

    /// The parent of a child: of each member two, of the ancestor the first ones.
    pub fn parent(&self, child: usize) -> &Agent {
        self.population.get(child / 2).unwrap_or(&self.ancestor)
    }

    fn note(&mut self) {
        self.values
            .push(self.population.iter().map(|agent| agent.reward).collect());
    }

    /// Takes its first population.
    pub fn begin(&mut self, first: Vec<Agent>) {
        self.population = first;
        self.note();
    }

    /// The fittest of members and children stay; of equals the children, so that a search on a plateau moves. What is to be remembered as rewarding is appended.
    pub fn take(&mut self, children: Vec<Agent>, rewarded: &mut Vec<Agent>) {
        let size = self.population.len();
        let all: Vec<Agent> = children.into_iter().chain(self.population.drain(..)).collect();
        let rewards: Vec<f64> = all.iter().map(|agent| agent.reward).collect();
        let order = highest_first(&rewards);
        self.population = order.into_iter().take(size).map(|i| all[i].clone()).collect();
        self.steps += 1;
        self.note();
        // The best once, then those above all that were remembered before.
        let (limit, most) = match self.archived {
            None => (0.0, 1),
            Some(limit) => (limit, size),
        };
        let better = self.population.iter().filter(|agent| agent.reward > limit).take(most);
        rewarded.extend(better.map(Agent::remembered));
        let best = self.population.first().map_or(0.0, |agent| agent.reward);
        if best > limit {
            self.archived = Some(best);
        }
    }

    /// How far the last steps are above the first ones; never below 0.
    pub fn estimate(&mut self) {
        let mean = |values: &[Vec<f64>]| {
            // Those of evaluations that failed are no numbers.
            let all: Vec<f64> = values.iter().flatten().copied().filter(|x| x.is_finite()).collect();
            all.iter().sum::<f64>() / all.len().max(1) as f64
        };
        let first = &self.values[..self.values.len().min(COMPARED)];
        let last = &self.values[self.values.len().saturating_sub(COMPARED)..];
        self.improvement = (mean(last) - mean(first)).max(0.0);
    }

    /// Remembers members that are more novel than any before.
    pub fn note_novel(&mut self, novelty: &[f64]) {
        let before = self.most_novel;
        for (agent, novelty) in self.population.iter().zip(novelty) {
            if *novelty > before {
                self.novel.push(agent.remembered());
            }
            self.most_novel = self.most_novel.max(*novelty);
        }
    }

    /// Whether it gets nowhere any more: over the last 20 n / population + 120 steps, the median or the best of the first twenty is not below that of the last twenty.
    pub fn stagnates(&self, genes: usize, population: usize) -> bool {
        let window = ENDS * genes / population + 120;
        if self.steps <= window || self.values.len() < window {
            return false;
        }
        let values = &self.values[self.values.len() - window..];
        let of = |part: &[Vec<f64>]| {
            let mut all: Vec<f64> = part.iter().flatten().copied().collect();
            all.sort_by(f64::total_cmp);
            let (n, middle) = (all.len(), all.len() / 2);
            let median = if n.is_multiple_of(2) {
                0.5 * (all[middle - 1] + all[middle])
            } else {
                all[middle]
            };
            (median, all[n - 1])
        };
        let (first, last) = (of(&values[..ENDS]), of(&values[window - ENDS..]));
        first.0 >= last.0 || first.1 >= last.1
    }

    /// All agents of it that may be described anew.
    pub fn agents_mut(&mut self) -> impl Iterator<Item = &mut Agent> {
        let own = std::iter::once(&mut self.ancestor);
        own.chain(&mut self.population).chain(&mut self.novel)
    }
}

const ROLES: [&str; 3] = ["ancestor", "population", "novel"];

/// Emitters as tables, whose names begin with `name`.
pub(super) fn save(name: &str, emitters: &[Emitter], widths: Widths, state: &mut State) {
    let mut own = Batch::new();
    let archived = "highest reward put into the reward archive, NaN for none";
    type Number = fn(&Emitter) -> f64;
    let numbers: [(&str, &str, Number); 4] = [
        ("sigma", "standard deviation of mutations", |e| e.sigma),
        ("improvement", "how far its rewards rose", |e| e.improvement),
        ("archived", archived, |e| e.archived.unwrap_or(f64::NAN)),
        ("most_novel", "highest novelty that it has found", |e| e.most_novel),
    ];
    for (name, meaning, of) in numbers {
        own.push(name, 1, "", meaning, emitters.iter().map(of).collect());
    }
    let steps = emitters.iter().map(|e| e.steps as u64).collect();
    own.push("steps", 1, "", "steps so far", steps);
    state.tables.push((name.into(), own));
    let lists: [fn(&Emitter) -> &[Agent]; 3] = [|e| std::slice::from_ref(&e.ancestor), |e| &e.population, |e| &e.novel];
    for (role, list) in ROLES.iter().zip(lists) {
        let widths = match *role {
            "novel" => Widths { genes: 0, ..widths },
            _ => widths,
        };
        let mut agents = table(emitters.iter().flat_map(list), widths);
        let owner = emitters
            .iter()
            .zip(0u32..)
            .flat_map(|(e, number)| list(e).iter().map(move |_| number));
        agents.push("owner", 1, "", "number of the emitter", owner.collect());
        state.tables.push((format!("{name}_{role}"), agents));
    }
    let mut values = Batch::new();
    let owner = emitters
        .iter()
        .zip(0u32..)
        .flat_map(|(e, number)| e.values.iter().map(move |_| number));
    values.push("owner", 1, "", "number of the emitter", owner.collect());
    let width = emitters.iter().flat_map(|e| &e.values).map(Vec::len).max().unwrap_or(0);
    if width > 0 {
        let rewards = emitters.iter().flat_map(|e| e.values.iter().flatten().copied());
        let meaning = "rewards of its population after each step";
        values.push("rewards", width, "", meaning, rewards.collect());
    }
    state.tables.push((format!("{name}_values"), values));
}

/// Emitters of [`save`].
///
/// # Errors
/// Tables of another strategy.
pub(super) fn load(name: &str, widths: Widths, state: &State) -> Result<Vec<Emitter>> {
    let own = state.table(name)?;
    let (sigma, improvement) = (own.get::<f64>("sigma")?, own.get::<f64>("improvement")?);
    let (archived, most_novel) = (own.get::<f64>("archived")?, own.get::<f64>("most_novel")?);
    let steps = own.get::<u64>("steps")?;
    let mut emitters: Vec<Emitter> = (0..own.rows())
        .map(|i| Emitter {
            improvement: improvement[i],
            archived: Some(archived[i]).filter(|x| !x.is_nan()),
            most_novel: most_novel[i],
            steps: steps[i] as usize,
            ..Emitter::new(Agent::default(), sigma[i])
        })
        .collect();
    let nobody = || Error::failed("the checkpoint's emitters do not hang together");
    for role in ROLES {
        let widths = match role {
            "novel" => Widths { genes: 0, ..widths },
            _ => widths,
        };
        let list = state.table(&format!("{name}_{role}"))?;
        for (agent, owner) in agents(list, widths)?.into_iter().zip(list.get::<u32>("owner")?) {
            let emitter = emitters.get_mut(*owner as usize).ok_or_else(nobody)?;
            match role {
                "ancestor" => emitter.ancestor = agent,
                "population" => emitter.population.push(agent),
                _ => emitter.novel.push(agent),
            }
        }
    }
    let values = state.table(&format!("{name}_values"))?;
    let owner = values.get::<u32>("owner")?;
    let rewards = if owner.is_empty() {
        &[][..]
    } else {
        values.get::<f64>("rewards")?
    };
    let width = rewards.len() / owner.len().max(1);
    for (owner, rewards) in owner.iter().zip(rewards.chunks_exact(width.max(1))) {
        let emitter = emitters.get_mut(*owner as usize).ok_or_else(nobody)?;
        emitter.values.push(rewards.to_vec());
    }
    Ok(emitters)
}
