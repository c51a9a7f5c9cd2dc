//! MOME (Pierrot, Richard, Beguir and Cully, 'Multi-objective quality diversity optimization', GECCO 2022, <https://arxiv.org/abs/2202.03057>): MAP-Elites whose cells hold fronts of several objectives. A
//! parent is drawn uniformly from the filled cells, then from the cell's front; what a front keeps, and how often each of it is drawn, is said by the archive (`archive.keep`, `archive.selection`).

use illume_core::{Params, StrategyEntry};

use crate::map_elites::{All, strategy};

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cells: true,
    members: true,
    fronts: true,
    categories: true,
    small: "batch = 30",
    suggested: "[strategy]\nline_sigma = 0.2\n[archive]\nkind = \"cvt\"\ncells = 128\ndepth = 50\nkeep = \"front\"\nselection = \"uniform\"",
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "mome",
        "MOME (Pierrot et al. 2022): MAP-Elites with a front of several objectives in each cell",
        All::describe,
        |config| strategy("mome", config),
    )
};
