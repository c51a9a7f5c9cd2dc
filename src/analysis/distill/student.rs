//! A policy conditioned on a descriptor: pi(a | o, d).

use std::ops::Range;
use std::sync::Arc;

use illume_archives::file::ArchiveFile;
use illume_core::{Activation, Axis, Candidates, Dense, Error, Genomes, Network, Normalization, Result, TaskSpec};
use illume_numerics::mlp::fold_condition;

use crate::analysis::reevaluate::candidates;
use crate::formats::policy::PolicyFile;

/// One policy for all behaviours: a perceptron that sees `[observation, scaled descriptor]`, its outputs passing through tanh.
#[derive(Debug, Clone, PartialEq)]
pub struct Student {
    pub net: Network,
    /// `[net.params()]`, in the order of genomes.
    pub params: Vec<f32>,
    /// What observations go through before the network sees them.
    pub normalization: Option<Arc<Normalization>>,
}

impl Student {
    pub fn new(network: &Network, params: Vec<f32>, normalization: Option<Arc<Normalization>>) -> Student {
        Student {
            net: network.clone(),
            params,
            normalization,
        }
    }

    /// The conditioned actor that a run has trained itself (`dcg_me`, `dcrl_me`), if it has.
    ///
    /// # Errors
    /// A damaged file.
    pub fn of_run(file: &ArchiveFile, spec: &TaskSpec) -> Result<Option<Student>> {
        let Some(solution) = file.solution()?.filter(|s| s.find("actor").is_some()) else {
            return Ok(None);
        };
        let refuse = |what: &str| Error::input(format!("{}: the actor in /solution {what}", file.path().display()));
        let damaged = |e: Error| refuse(&format!("is damaged ({e})"));
        let params = solution.get::<f32>("actor").map_err(damaged)?.to_vec();
        let layers = solution.get::<i64>("actor_layers").map_err(damaged)?;
        let relu = solution.get::<u8>("actor_relu").map_err(damaged)?;
        let layers_of = layers.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect();
        let network = match relu {
            [0] => Network::policy(layers_of, Activation::Tanh),
            _ => Network::policy(layers_of, Activation::Relu),
        };
        let ends = [network.layers.first(), network.layers.last()].map(|n| n.copied().unwrap_or(0));
        let expected = [spec.observation_dim + spec.descriptor_dim(), spec.action_dim];
        let possible = network.layers.iter().all(|n| (1..=1 << 16).contains(n)) && network.layers.len() > 1;
        if ends != expected || !possible || network.params() != params.len() || params.iter().any(|x| !x.is_finite()) {
            return Err(refuse(&format!(
                "has layers {layers:?} and {} weights; task \"{}\" takes one from {} numbers to {}",
                params.len(),
                spec.name,
                expected[0],
                expected[1]
            )));
        }
        Ok(Some(Student::new(&network, params, None)))
    }

    /// The policy that a file describes.
    pub fn of_file(file: &PolicyFile) -> Student {
        let normalization = file.normalization.clone().map(Arc::new);
        Student::new(&file.network(), file.params.clone(), normalization)
    }

    /// As a file, for a task with this descriptor.
    pub fn file(&self, archive: &ArchiveFile, provenance: serde_json::Value) -> PolicyFile {
        PolicyFile {
            layers: self.net.layers.clone(),
            activation: self.net.hidden,
            params: self.params.clone(),
            observation: self.net.inputs() - archive.spec.axes.len(),
            axes: archive.spec.axes.clone(),
            normalization: self.normalization.as_deref().cloned(),
            task: archive.attributes.task.clone(),
            config: archive.attributes.config.clone(),
            provenance,
        }
    }

    /// The policies that it is for the descriptors `conditions` `[n, k]`, scaled, of the rows `rows`: ordinary genomes, as the
    /// descriptor's inputs go into the first layer's bias.
    pub fn candidates(&self, conditions: &[f32], k: usize, rows: Range<usize>) -> Candidates {
        let n = rows.len();
        let network = self.net.folded(k);
        let folded = conditions[rows.start * k..rows.end * k].chunks_exact(k);
        let data = folded
            .flat_map(|d| fold_condition(&self.net, &self.params, d))
            .collect();
        let genomes = Genomes::Dense(Dense {
            dim: network.params(),
            data,
        });
        Candidates {
            network: Some(Arc::new(network)),
            ..candidates(genomes, n, self.normalization.clone())
        }
    }
}

/// Descriptors `[n, k]` as networks see them: each axis from its bounds to [-1, 1], not clipped.
pub fn scaled(axes: &[Axis], descriptors: &[f64]) -> Vec<f32> {
    let scale = |(x, a): (&f64, &Axis)| ((2.0 * x - a.lower - a.upper) / (a.upper - a.lower)) as f32;
    descriptors.iter().zip(axes.iter().cycle()).map(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::{Purpose, Scratch, Stream};

    #[test]
    fn a_student_for_a_fixed_descriptor_is_a_genome_that_acts_like_the_whole_network() {
        let network = Network::policy(vec![5, 7, 2], Activation::Tanh);
        let mut params = vec![0.0; network.params()];
        Stream::new(1, Purpose::Network, 0, 0).add_normals(0, 0.5, &mut params);
        let student = Student::new(&network, params.clone(), None);
        let conditions = [9.0, 9.0, 0.3, -0.8, -1.0, 1.0];
        let candidates = student.candidates(&conditions, 2, 1..3);
        assert_eq!(candidates.network.as_ref().unwrap().layers, [3, 7, 2]);
        let (whole, folded) = (&network, student.net.folded(2));
        for (row, condition) in conditions[2..].chunks_exact(2).enumerate() {
            let (mut scratch, mut a, mut b) = (Scratch::default(), [0.0; 2], [0.0; 2]);
            let observation = [0.4, -1.2, 2.0];
            let genes = candidates.genomes.genes(row, &mut scratch);
            folded.forward(genes, &observation, &mut folded.units(), &mut a);
            let input = [&observation[..], condition].concat();
            whole.forward(&params, &input, &mut whole.units(), &mut b);
            assert!(a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-6), "{a:?} {b:?}");
        }
    }

    #[test]
    fn descriptors_are_scaled_by_the_bounds_and_not_clipped() {
        let axes = [Axis::new("x", "m", -30.0, 30.0), Axis::new("share", "", 0.0, 1.0)];
        let all = scaled(&axes, &[-30.0, 1.0, 0.0, 0.5, 60.0, 0.25]);
        assert_eq!(all, [-1.0, 1.0, 0.0, 0.0, 2.0, -0.5]);
    }
}
