//! `illume distill`: from an archive to one policy that executes its whole range of behaviours (Faldor et al. 2023,
//! 'MAP-Elites with Descriptor-Conditioned Gradients and Archive Distillation into a Single Policy',
//! <https://arxiv.org/abs/2303.03832>), and how much of the archive it keeps.

mod dataset;
mod imitate;
mod reliable;
mod report;
mod rollout;
mod student;
mod table;
mod train;

pub use imitate::{Imitation, Round, Training, check_size, imitate};
pub use report::{Comparison, Side, compare};
pub use rollout::Experts;
pub use student::{Student, scaled};
pub use train::{Fitted, Schedule};
