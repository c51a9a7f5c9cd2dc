//! The learner on the processor.

use illume_core::Result;

use super::{Ascent, Learner, Losses, Minibatches, Networks, Td3Config};

/// TD3 and policy-gradient variation on the processor's own threads, bit-equal for any number of them.
pub struct Native {
    config: Td3Config,
    networks: Networks,
}

impl Native {
    /// # Panics
    /// `networks` are not of `config` ([`Networks::check`]).
    pub fn new(config: &Td3Config, networks: &Networks) -> Native {
        Native {
            config: config.clone(),
            networks: networks.clone(),
        }
    }
}

impl Learner for Native {
    fn device(&self) -> String {
        let threads = rayon::current_num_threads();
        format!("native, {threads} {}", if threads == 1 { "thread" } else { "threads" })
    }

    fn train(&mut self, batches: &Minibatches) -> Result<Losses> {
        todo!("{:?} {:?}", self.config, batches.steps)
    }

    fn networks(&self) -> Result<Networks> {
        Ok(self.networks.clone())
    }

    fn load(&mut self, networks: &Networks) -> Result<()> {
        networks.check(&self.config)?;
        self.networks = networks.clone();
        Ok(())
    }

    fn improve(
        &mut self,
        ascent: &Ascent,
        critic: &[f32],
        policies: &mut [f32],
        conditions: &[f32],
        states: &[f32],
    ) -> Result<()> {
        todo!(
            "{ascent:?} {} {} {} {}",
            critic.len(),
            policies.len(),
            conditions.len(),
            states.len()
        )
    }
}
