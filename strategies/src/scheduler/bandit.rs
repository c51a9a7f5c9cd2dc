//! Which emitters take part: Cully, 'Multi-emitter MAP-Elites: improving quality, diversity and data efficiency with heterogeneous sets of emitters', GECCO 2021,
//! <https://arxiv.org/abs/2007.05352>: those of the highest upper confidence bound (UCB1) on the share of candidates that the archive takes. As `BanditScheduler` of pyribs
//! (0.12.0, `_bandit_scheduler.py`), but for the bound's logarithm, which is of the candidates as in the paper (there of those that were taken), and for equal bounds, of
//! which the first emitter's counts as higher.

use illume_core::{Batch, Error, Result};

/// When an emitter makes room for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reselect {
    /// When it begins anew; one that never does is chosen or not in every generation.
    Terminated,
    /// In every generation.
    All,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Bandit {
    /// Emitters of a generation.
    active: usize,
    reselect: Reselect,
    /// Weight of what is not known.
    zeta: f64,
    arms: Vec<Arm>,
}

/// What is known of an emitter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Arm {
    candidates: u64,
    taken: u64,
    /// How often it had begun anew when it was last looked at.
    restarts: u64,
    active: bool,
}

impl Bandit {
    pub fn new(emitters: usize, active: usize, reselect: Reselect, zeta: f64) -> Bandit {
        Bandit {
            active,
            reselect,
            zeta,
            arms: vec![Arm::default(); emitters],
        }
    }

    /// Those that take part in the next generation, by how often each has begun anew.
    pub fn choose(&mut self, restarts: &[Option<u64>]) -> Vec<bool> {
        for (arm, restarts) in self.arms.iter_mut().zip(restarts) {
            let ended = restarts.is_none_or(|restarts| restarts > arm.restarts);
            arm.active &= self.reselect == Reselect::Terminated && !ended;
            arm.restarts = restarts.unwrap_or(0);
        }
        let all: u64 = self.arms.iter().map(|arm| arm.candidates).sum();
        let bound = |arm: &Arm| match arm.candidates {
            0 => f64::INFINITY,
            n => arm.taken as f64 / n as f64 + self.zeta * ((all as f64).ln() / n as f64).sqrt(),
        };
        let mut free: Vec<usize> = (0..self.arms.len()).filter(|i| !self.arms[*i].active).collect();
        free.sort_by(|a, b| bound(&self.arms[*b]).total_cmp(&bound(&self.arms[*a])).then(a.cmp(b)));
        let busy = self.arms.len() - free.len();
        for chosen in free.into_iter().take(self.active - busy) {
            self.arms[chosen].active = true;
        }
        self.arms.iter().map(|arm| arm.active).collect()
    }

    /// So many of an emitter's candidates were offered to the archive, and so many taken.
    pub fn learn(&mut self, emitter: usize, candidates: usize, taken: usize) {
        self.arms[emitter].candidates += candidates as u64;
        self.arms[emitter].taken += taken as u64;
    }

    pub fn save(&self) -> Batch {
        let mut table = Batch::new();
        type Number = fn(&Arm) -> u64;
        let columns: [(&str, &str, Number); 4] = [
            ("candidates", "candidates of each emitter so far", |a| a.candidates),
            ("taken", "those that the archive took", |a| a.taken),
            ("restarts", "restarts when it was last chosen or kept", |a| a.restarts),
            ("active", "whether it took part in the last generation", |a| {
                u64::from(a.active)
            }),
        ];
        for (name, meaning, of) in columns {
            table.push(name, 1, "", meaning, self.arms.iter().map(of).collect());
        }
        table
    }

    /// # Errors
    /// A table of other emitters.
    pub fn load(&mut self, table: &Batch) -> Result<Vec<bool>> {
        if table.rows() != self.arms.len() {
            return Err(Error::failed("the checkpoint's bandit has other emitters"));
        }
        let column = |name: &str| table.get::<u64>(name);
        let (candidates, taken) = (column("candidates")?, column("taken")?);
        let (restarts, active) = (column("restarts")?, column("active")?);
        for (i, arm) in self.arms.iter_mut().enumerate() {
            *arm = Arm {
                candidates: candidates[i],
                taken: taken[i],
                restarts: restarts[i],
                active: active[i] != 0,
            };
        }
        Ok(self.arms.iter().map(|arm| arm.active).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: [Option<u64>; 3] = [None; 3];

    #[test]
    fn emitters_that_were_never_chosen_come_first_and_then_the_highest_bound() {
        let mut bandit = Bandit::new(3, 1, Reselect::All, 0.05);
        for (expected, taken) in [10, 30, 20].into_iter().enumerate() {
            let active = bandit.choose(&NEVER);
            assert_eq!(active.iter().position(|a| *a), Some(expected));
            bandit.learn(expected, 100, taken);
        }
        assert_eq!(bandit.choose(&NEVER), [false, true, false]);
        // By hand: ln 4200 = 8.343; 0.23 + 0.05 sqrt(8.343 / 4000) = 0.2323 < 0.2 + 0.05 sqrt(8.343 / 100) = 0.2144 is false, and at 0.21 it is 0.2123 < 0.2144.
        bandit.arms[1] = Arm {
            candidates: 4000,
            taken: 920,
            ..bandit.arms[1]
        };
        assert_eq!(bandit.choose(&NEVER), [false, true, false]);
        bandit.arms[1].taken = 840;
        assert_eq!(bandit.choose(&NEVER), [false, false, true]);
    }

    #[test]
    fn an_emitter_stays_until_it_begins_anew() {
        let mut bandit = Bandit::new(3, 2, Reselect::Terminated, 0.05);
        assert_eq!(bandit.choose(&[Some(0), Some(0), Some(0)]), [true, true, false]);
        bandit.learn(0, 10, 0);
        bandit.learn(1, 10, 0);
        assert_eq!(bandit.choose(&[Some(0), Some(0), Some(0)]), [true, true, false]);
        // The second begins anew; the third has never been tried.
        assert_eq!(bandit.choose(&[Some(0), Some(1), Some(0)]), [true, false, true]);
        bandit.learn(2, 10, 5);
        let saved = bandit.save();
        let mut other = Bandit::new(3, 2, Reselect::Terminated, 0.05);
        assert_eq!(other.load(&saved).unwrap(), [true, false, true]);
        assert_eq!(other.arms, bandit.arms);
        assert!(Bandit::new(2, 1, Reselect::All, 0.1).load(&saved).is_err());
    }
}
