//! What can be drawn, and which options belong to it.

use illume_core::{Error, Result};

use super::PlotArgs;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Elites on one or two axes; several archives side by side on one scale
    Map,
    /// Every pair of axes as a small map
    Projections,
    /// A line for each elite across all axes
    Parallel,
    /// Number of elites with at least some fitness, of one archive or several
    Ccdf,
    /// Learning curves of one run or several
    Curves,
    /// What each operator gave the archive, generation by generation
    Operators,
    /// Generations of birth, and arrows from parents to children
    Lineage,
    /// Two archives of the same cells, cell by cell
    Difference,
    /// Principal components of the genomes
    Genes,
    /// What no other elite dominates of several objectives: two as a plane (of one archive or several), more as parallel axes
    Front,
}

impl Kind {
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// How many archives it shows, at most.
    fn archives(self) -> usize {
        match self {
            Kind::Map | Kind::Ccdf | Kind::Curves | Kind::Front => usize::MAX,
            Kind::Difference => 2,
            _ => 1,
        }
    }

    /// Refuses options that are for other kinds, and paths that are too many or too few.
    pub fn check(self, args: &PlotArgs) -> Result<()> {
        use Kind::{Ccdf, Curves, Difference, Front, Genes, Lineage, Map, Operators, Parallel, Projections};
        let options: [(&str, bool, &[Kind]); 10] = [
            (
                "--axes",
                args.axes.is_some(),
                &[Map, Projections, Parallel, Lineage, Difference, Front],
            ),
            (
                "--color",
                args.color.is_some(),
                &[Map, Projections, Parallel, Lineage, Difference, Genes],
            ),
            (
                "--range",
                args.range.is_some(),
                &[Map, Projections, Parallel, Lineage, Difference, Genes, Ccdf],
            ),
            ("--paths", args.paths_shown.is_some(), &[Map]),
            ("--share", args.share, &[Ccdf, Operators]),
            ("--band", args.band.is_some(), &[Ccdf, Curves]),
            ("--measures", !args.measures.is_empty(), &[Curves]),
            ("--against", args.against.is_some(), &[Curves]),
            ("--at", args.at.is_some(), &[Curves]),
            ("--at-core-seconds", args.at_core_seconds.is_some(), &[Curves]),
        ];
        if let Some((option, _, kinds)) = options
            .iter()
            .find(|(_, given, kinds)| *given && !kinds.contains(&self))
        {
            let kinds: Vec<String> = kinds.iter().map(|kind| kind.name()).collect();
            return Err(Error::input(format!(
                "{option} is for --kind {}, and what is drawn here is {}: leave it out or name the kind",
                kinds.join(", "),
                self.name()
            )));
        }
        let given = args.paths.len();
        let expected = match self {
            Difference if given != 2 => "two archives, the first of which is subtracted from the second",
            _ if given > self.archives() => "one archive",
            _ => return Ok(()),
        };
        Err(Error::input(format!(
            "--kind {} shows {expected}, and {given} {} given",
            self.name(),
            if given == 1 { "path was" } else { "paths were" }
        )))
    }
}
