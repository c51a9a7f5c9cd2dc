//! Policies: what the `[policy]` table says of the perceptron through which genomes act.

use illume_core::{Activation, Init, Network, Result, Weights, params, toml};

params! {
    /// The `[policy]` table.
    pub struct PolicyParams {
        /// Units of each hidden layer; an empty list makes the policy linear.
        hidden: Vec<usize> = vec![64, 64], each(range(1, 65_536));
        /// Activation of the hidden layers; outputs always pass through tanh.
        activation: String = "tanh".into(), one_of(&["tanh", "relu"]);
        /// Distribution of the first weights: uniform with variance 1 / fan-in, normalized columns, or normal with sd 1 / sqrt(fan-in).
        init: String = "lecun_uniform".into(), one_of(&["lecun_uniform", "norm_column", "fan_in"]);
    }
}

impl PolicyParams {
    /// Reads the `[policy]` table.
    ///
    /// # Errors
    /// Every wrong value and unknown key at once.
    pub fn read(table: &toml::Table) -> Result<PolicyParams> {
        params::read(table, "policy", &[])
    }

    /// The network between an observation and an action of these sizes.
    pub fn network(&self, observation_dim: usize, action_dim: usize) -> Network {
        let activation = if self.activation == "relu" {
            Activation::Relu
        } else {
            Activation::Tanh
        };
        Network::policy([&[observation_dim], &*self.hidden, &[action_dim]].concat(), activation)
    }

    /// How the first genomes of this network are drawn.
    pub fn init(&self, network: &Network) -> Init {
        let weights = match self.init.as_str() {
            "norm_column" => Weights::NormColumn,
            "fan_in" => Weights::FanIn,
            _ => Weights::LecunUniform,
        };
        Init::Network {
            layers: network.layers.clone(),
            weights,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheetah_network_has_the_known_number_of_parameters() {
        let network = PolicyParams::default().network(17, 6);
        assert_eq!((network.layers.clone(), network.params()), (vec![17, 64, 64, 6], 5702));
    }

    #[test]
    fn a_task_may_prefer_other_layers_but_the_user_decides() {
        let read = |text: &str| PolicyParams::read(&text.parse().unwrap());
        assert_eq!(read("").unwrap().hidden, [64, 64]);
        assert_eq!(read("hidden = [3, 4]").unwrap().hidden, [3, 4]);
        assert!(read("hidden = []").unwrap().hidden.is_empty());
        assert!(
            read("activation = \"gelu\"")
                .unwrap_err()
                .to_string()
                .contains("policy.activation")
        );
    }
}
