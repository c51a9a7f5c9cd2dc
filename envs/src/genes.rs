//! `[[task.genes]]`: a task whose genes have bounds, kinds and names of their own. Strategies and archives have its genomes in coordinates
//! ([`GeneSpace`]); the task itself is handed values.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use illume_core::{
    Camera, Error, GeneGroup, GeneSpace, Genomes, Init, Request, Result, Scores, Scratch, Task, TaskSpec, Worker,
    inward,
};

/// A task that is asked in values and answers for coordinates.
pub struct WithGenes {
    inner: Box<dyn Task>,
    genes: Arc<GeneSpace>,
    spec: TaskSpec,
}

impl WithGenes {
    /// # Errors
    /// The task has another number of genes, no genes that mean something by themselves, or bounds that the values leave.
    pub fn new(inner: Box<dyn Task>, genes: Arc<GeneSpace>) -> Result<WithGenes> {
        let spec = inner.spec();
        let wrong = |message: String| Err(Error::config("task", "genes", message));
        if spec.network.is_some() || spec.observation_dim > 0 || !spec.matrices.is_empty() {
            return wrong(weights(&spec.name));
        }
        let (dim, count) = (spec.genome_dim, genes.dim());
        if count != dim {
            return wrong(format!(
                "the counts of all entries add up to {count} genes, and genomes of task \"{}\" have {dim}: expected as many",
                spec.name
            ));
        }
        if let Some([low, high]) = spec.bounds {
            // Values are single-precision numbers within the group's bounds.
            let beyond = |group: &&GeneGroup| {
                let [lower, upper] = inward([group.lower, group.upper]);
                lower < low || upper > high
            };
            if let Some(group) = genes.groups().iter().find(beyond) {
                return wrong(format!(
                    "values of \"{}\" go from {} to {}, and task \"{}\" takes genes from {low} to {high} alone",
                    group.name, group.lower, group.upper, spec.name
                ));
            }
        }
        let spec = TaskSpec {
            bounds: Some([0.0, 1.0]),
            init: Init::Uniform { lower: 0.0, upper: 1.0 },
            genes: Some(genes.clone()),
            // Strategies that go along gradients take no bounds.
            gradients: None,
            facts: [spec.facts.clone(), vec![("genes".into(), genes.summary())]].concat(),
            ..spec.clone()
        };
        Ok(WithGenes { inner, genes, spec })
    }
}

/// Why a task whose genomes are weights takes no genes.
pub(crate) fn weights(task: &str) -> String {
    format!(
        "genomes of task \"{task}\" are the weights of a network, which have neither kinds nor names; remove the genes"
    )
}

impl Task for WithGenes {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(self.over(self.inner.worker()?))
    }

    fn failure(&self) -> Option<String> {
        self.inner.failure()
    }

    fn gave_up(&self) -> Option<String> {
        self.inner.gave_up()
    }

    fn keep_logs(&self, folder: &Path, rank: usize) {
        self.inner.keep_logs(folder, rank);
    }

    fn noiseless(&self) -> Result<Option<Box<dyn Worker + '_>>> {
        Ok(self.inner.noiseless()?.map(|inner| self.over(inner)))
    }

    fn filming<'a>(&'a self, camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        Ok(self.inner.filming(camera)?.map(|inner| self.over(inner)))
    }
}

impl WithGenes {
    fn over<'a>(&'a self, inner: Box<dyn Worker + 'a>) -> Box<dyn Worker + 'a> {
        Box::new(Decoding {
            inner,
            genes: &self.genes,
            values: Genomes::default(),
            scratch: Scratch::default(),
        })
    }
}

/// Decodes what its worker is handed.
struct Decoding<'a> {
    inner: Box<dyn Worker + 'a>,
    genes: &'a GeneSpace,
    values: Genomes,
    scratch: Scratch,
}

impl Worker for Decoding<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let dim = self.genes.dim();
        let values = self.values.dense_rows(rows.len(), dim);
        for (row, values) in rows.clone().zip(values.chunks_exact_mut(dim)) {
            self.genes.decode(request.genomes.genes(row, &mut self.scratch), values);
        }
        // The decoded rows are numbered from 0.
        let moved =
            |range: &Range<usize>| range.start.max(rows.start) - rows.start..range.end.max(rows.start) - rows.start;
        let decoded = Request {
            genomes: &self.values,
            seeds: &request.seeds[rows.clone()],
            max_steps: request.max_steps,
            uncapped: moved(&request.uncapped),
            tests: moved(&request.tests),
            normalization: request.normalization,
            observed: request.observed.get(rows.clone()).unwrap_or_default(),
            network: request.network,
        };
        self.inner.evaluate(&decoded, 0..rows.len(), scores);
    }
}

#[cfg(test)]
mod tests;
