//! What columns are called: as in our files, or as in the data frames of pyribs (`ribs.archives.ArchiveDataFrame`, 0.12).

use illume_archives::file::ArchiveFile;
use illume_core::{Axis, Batch, Column, GeneSpace, Objective, Result};

use super::{Genes, scalars};

/// What numbers of a table are called by an archive.
#[derive(Debug, Clone, Copy, Default)]
pub struct Words<'a> {
    /// Of the descriptor.
    pub axes: &'a [Axis],
    pub operators: &'a [String],
    pub objectives: &'a [Objective],
}

impl<'a> Words<'a> {
    pub fn of(file: &'a ArchiveFile) -> Words<'a> {
        Words {
            axes: &file.spec.axes,
            operators: &file.attributes.operators,
            objectives: &file.attributes.objectives,
        }
    }
}

/// Whose names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Names {
    /// Those of the archive's own columns
    #[default]
    #[value(name = "illume")]
    Own,
    /// Those of pyribs' data frames: solution_0, ..., objective, measures_0, ..., threshold, further columns, index
    Pyribs,
}

impl Names {
    /// The columns of a table under these names, without genomes.
    ///
    /// # Errors
    /// A column of elites has another type than it should.
    pub fn of(self, table: &Batch) -> Result<Batch> {
        match self {
            Names::Own => {
                let mut own = Batch::new();
                scalars(table).for_each(|column| own.push_column(column.clone()));
                Ok(own)
            }
            Names::Pyribs => pyribs(table),
        }
    }

    /// What the genes are, where columns have their names and hold their values: in other programs' frames they stay what was searched in.
    pub fn space<'a>(self, genes: Option<&'a Genes<'_>>) -> Option<&'a GeneSpace> {
        genes?.space.as_deref().filter(|_| self == Names::Own)
    }

    /// Names of the columns of genes, beside those of a table.
    pub fn genes(self, genes: &Genes<'_>, table: &Batch, words: Words<'_>) -> Vec<String> {
        let Some(space) = self.space(Some(genes)) else {
            return (0..genes.dim).map(|i| format!("{}_{i}", self.genome())).collect();
        };
        let others: Vec<String> = scalars(table)
            .flat_map(|column| flat(self, column, table, words))
            .collect();
        let name = |name: String| match others.contains(&name) {
            true => format!("gene_{name}"),
            false => name,
        };
        space.names().into_iter().map(name).collect()
    }

    /// What genomes are called.
    pub fn genome(self) -> &'static str {
        match self {
            Names::Own => "genome",
            Names::Pyribs => "solution",
        }
    }
}

/// Objective, measures and threshold (what a candidate must exceed: the elite's own objective, if the archive has no soft thresholds),
/// then the fields that pyribs calls extra, then the index.
fn pyribs(table: &Batch) -> Result<Batch> {
    let mut renamed = Batch::new();
    for (own, theirs) in [("fitness", "objective"), ("descriptor", "measures")] {
        if let Some(column) = table.find(own) {
            renamed.push_column(Column {
                name: theirs.into(),
                ..column.clone()
            });
        }
    }
    if let (None, Some(fitness), Some(_)) = (table.find("threshold"), table.find("fitness"), table.find("cell")) {
        let name = "threshold".into();
        renamed.push_column(Column {
            name,
            ..fitness.clone()
        });
    }
    for column in scalars(table).filter(|c| !["fitness", "descriptor", "cell"].contains(&c.name.as_str())) {
        renamed.push_column(column.clone());
    }
    if table.find("cell").is_some() {
        let cells = table.get::<i64>("cell")?.iter().map(|&cell| cell as i32);
        renamed.push("index", 1, "", "number of the cell", cells.collect());
    }
    Ok(renamed)
}

/// What the numbers of a column are called where each is a column of its own.
pub fn flat(names: Names, column: &Column, table: &Batch, words: Words<'_>) -> Vec<String> {
    let name = column.name.as_str();
    if names == Names::Pyribs {
        return match (column.width, name) {
            (1, name) if name != "measures" => vec![name.into()],
            (width, name) => (0..width).map(|i| format!("{name}_{i}")).collect(),
        };
    }
    let taken = |name: &str| scalars(table).any(|c| c.name == name);
    let named = |kind: &str, own: &str| match taken(own)
        || (kind == "objective" && words.axes.iter().any(|axis| axis.name == own))
    {
        true => format!("{kind}_{own}"),
        false => own.to_string(),
    };
    if name == "descriptor" && words.axes.len() == column.width {
        return words.axes.iter().map(|axis| named("descriptor", &axis.name)).collect();
    }
    if name == "objectives" && words.objectives.len() == column.width {
        return words.objectives.iter().map(|o| named("objective", &o.name)).collect();
    }
    match (column.width, name) {
        (1, name) => vec![name.into()],
        (width, "parents") => (1..=width).map(|i| format!("parent_{i}")).collect(),
        (width, name) => (1..=width).map(|i| format!("{name}_{i}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_take_the_names_and_the_order_of_pyribs() {
        let mut table = Batch::new();
        table.push("cell", 1, "", "", vec![3i64, 9]);
        table.push("fitness", 1, "", "", vec![0.5f64, -1.0]);
        table.push("descriptor", 1, "", "", vec![1.0f64, 2.5]);
        table.push("parents", 2, "", "", vec![-1i64, -1, 3, 4]);
        table.push("genome", 1, "", "", vec![0.5f32, 0.5]);
        let renamed = Names::Pyribs.of(&table).unwrap();
        let named: Vec<String> = renamed
            .columns()
            .iter()
            .flat_map(|c| flat(Names::Pyribs, c, &renamed, Words::default()))
            .collect();
        assert_eq!(
            named,
            [
                "objective",
                "measures_0",
                "threshold",
                "parents_0",
                "parents_1",
                "index"
            ]
        );
        assert_eq!(renamed.get::<f64>("threshold").unwrap(), [0.5, -1.0]);
        assert_eq!(renamed.get::<i32>("index").unwrap(), [3, 9]);
        table.push("threshold", 1, "", "", vec![0.25f64, -2.0]);
        let renamed = Names::Pyribs.of(&table).unwrap();
        assert_eq!(renamed.get::<f64>("threshold").unwrap(), [0.25, -2.0]);
    }
}
