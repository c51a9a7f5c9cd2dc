//! A strategy of one's own: the (1, n) evolution strategy with Rechenberg's one-fifth rule (Rechenberg, 'Evolutionsstrategie', 1973).
//!
//! Symbols: theta = the parent, sigma = its step, n = children of a generation.

// ANCHOR: uses
use illume::archives::GridParams;
use illume::cluster::Solo;
use illume::core::{
    Archive, Batch, Candidates, Context, Next, Purpose, Result, State, Status, Strategy, StrategySpec, Stream,
    TaskSpec, Told,
};
use illume::strategies::prepare;
use illume::{Budget, Config, Run, Settings, registry};
// ANCHOR_END: uses

// ANCHOR: strategy
pub struct OneFifth {
    spec: StrategySpec,
    children: usize,
    theta: Vec<f32>,
    /// Fitness of theta, once it has one.
    best: f64,
    sigma: f64,
}

impl OneFifth {
    pub fn new(task: &TaskSpec, children: usize, sigma: f64) -> OneFifth {
        OneFifth {
            spec: StrategySpec {
                name: "one_fifth".into(),
                operators: vec!["mutation".into()],
                history: vec![("sigma".into(), String::new(), "step of the mutation".into())],
                lineage: false,
                first_generation: children,
                sized_by: &[],
                facts: Vec::new(),
            },
            children,
            theta: vec![0.0; task.genome_dim],
            best: f64::NEG_INFINITY,
            sigma,
        }
    }

    /// The child in a global row. It is a function of seed, generation and row, so any rank can make it anew and none has to send it.
    fn child(&self, context: &Context<'_>, row: usize, genes: &mut [f32]) {
        let stream = Stream::new(context.seed, Purpose::Variation, context.generation, row as u64);
        genes.copy_from_slice(&self.theta);
        stream.add_normals(0, self.sigma as f32, genes);
        if let Some([lower, upper]) = context.task.bounds {
            genes.iter_mut().for_each(|x| *x = x.clamp(lower, upper));
        }
    }
}

impl Strategy for OneFifth {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        // This rank's block of rows, evaluation seeds, everything else as it is by default.
        prepare(context, self.children, 0, candidates);
        candidates.tags.get_mut::<i32>("operator")?.fill(0);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        let (block, dim) = (candidates.block.clone(), context.task.genome_dim);
        let genes = candidates.genomes.dense_rows(block.len(), dim);
        for (row, genes) in block.zip(genes.chunks_exact_mut(dim)) {
            self.child(context, row, genes);
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        // All rows of all ranks, in order: every rank decides the same.
        let fitness: &[f64] = told.rows.get("fitness")?;
        let status: &[u8] = told.rows.get("status")?;
        let ok = |row: &usize| status[*row] == Status::Ok as u8;
        let better = (0..self.children).filter(ok).filter(|row| fitness[*row] > self.best);
        let successes = better.clone().count();
        // Of equals the first.
        let winner = better.reduce(|a, b| if fitness[b] > fitness[a] { b } else { a });
        if let Some(row) = winner {
            let mut theta = vec![0.0; self.theta.len()];
            self.child(context, row, &mut theta);
            (self.theta, self.best) = (theta, fitness[row]);
        }
        // Larger steps if more than one child in five is better, smaller ones otherwise.
        let share = successes as f64 / self.children as f64;
        self.sigma *= ((share - 0.2) / 0.8).exp();
        Ok(Next::Generation)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.push(self.sigma);
    }

    fn save(&self, _context: &Context<'_>) -> Result<State> {
        let mut parent = Batch::new();
        parent.push("theta", self.theta.len(), "", "genes of the parent", self.theta.clone());
        parent.push("best", 1, "", "its fitness", vec![self.best]);
        parent.push("sigma", 1, "", "its step", vec![self.sigma]);
        Ok(State {
            tables: vec![("parent".into(), parent)],
            solution: None,
        })
    }

    fn load(&mut self, _context: &Context<'_>, state: &State) -> Result<()> {
        let parent = state.table("parent")?;
        self.theta = parent.get::<f32>("theta")?.to_vec();
        self.best = parent.get::<f64>("best")?[0];
        self.sigma = parent.get::<f64>("sigma")?[0];
        Ok(())
    }
}
// ANCHOR_END: strategy

// ANCHOR: main
pub fn main() -> Result<()> {
    let file = "[task]\nname = \"sphere\"\ndim = 20\n[strategy]\nname = \"map_elites\"";
    let task = registry::task(&Config::parse(file, "sphere", &[])?)?;
    let strategy = OneFifth::new(task.spec(), 20, 0.5);
    let archive = registry::archive_of("grid", &GridParams::default(), task.spec())?;
    let settings = Settings {
        seed: 1,
        budget: Budget {
            generations: 300,
            ..Budget::default()
        },
        ..Settings::default()
    };
    let mut run = Run::from_parts(task.as_ref(), Box::new(strategy), archive, settings, &Solo)?;
    while run.generation()? {}
    println!("best fitness {:.4} of 100", run.metrics().max_fitness);
    run.write("one_fifth.h5".as_ref(), true)
}
// ANCHOR_END: main
