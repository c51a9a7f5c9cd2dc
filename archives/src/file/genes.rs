//! `/genes`: what the genes of a task are, a row for each group of equal ones, as attributes (datasets where they are too many).

use hdf5::File;
use illume_core::{GeneGroup, GeneKind, GeneSpace};

use super::h5::{self, Maker};

/// The group's name.
const GROUP: &str = "genes";

/// # Errors
/// HDF5's.
pub(super) fn write(file: &File, genes: &GeneSpace) -> hdf5::Result<()> {
    let maker = Maker::new(file, GROUP, 0, "what genes are, group by group")?;
    let texts = |name: &str, of: &dyn Fn(&GeneGroup) -> String| {
        h5::put_many_texts(&maker.group, name, &genes.groups().iter().map(of).collect::<Vec<_>>())
    };
    texts("names", &|group| group.name.clone())?;
    texts("kinds", &|group| group.kind_name().into())?;
    texts("units", &|group| group.unit.clone())?;
    texts("values", &|group| match &group.kind {
        GeneKind::Categorical(labels) => labels.join("\n"),
        _ => String::new(),
    })?;
    let numbers = |of: fn(&GeneGroup) -> f64| genes.groups().iter().map(of).collect::<Vec<f64>>();
    h5::put_many_numbers(&maker.group, "lower", &numbers(|group| group.lower))?;
    h5::put_many_numbers(&maker.group, "upper", &numbers(|group| group.upper))?;
    let counts: Vec<u64> = genes.groups().iter().map(|group| group.count as u64).collect();
    h5::put_many_numbers(&maker.group, "counts", &counts)
}

/// None of a file without.
///
/// # Errors
/// What is wrong with the group, one phrase.
pub(super) fn read(file: &File, genome_dim: usize, bytes: u64) -> Result<Option<GeneSpace>, String> {
    if !file.link_exists(GROUP) {
        return Ok(None);
    }
    let group = file
        .group(GROUP)
        .map_err(|e| format!("/genes is damaged ({})", h5::cause(&e)))?;
    let missing = |name: &str, e: &hdf5::Error| format!("/genes has no usable attribute '{name}' ({})", h5::cause(e));
    let texts = |name: &str| h5::get_many_texts(&group, name, bytes).map_err(|e| missing(name, &e));
    let numbers = |name: &str| h5::get_many_numbers::<f64>(&group, name, bytes).map_err(|e| missing(name, &e));
    let (names, kinds, units, values) = (texts("names")?, texts("kinds")?, texts("units")?, texts("values")?);
    let (lower, upper) = (numbers("lower")?, numbers("upper")?);
    let counts = h5::get_many_numbers::<u64>(&group, "counts", bytes).map_err(|e| missing("counts", &e))?;
    let n = names.len();
    if [
        kinds.len(),
        units.len(),
        values.len(),
        lower.len(),
        upper.len(),
        counts.len(),
    ] != [n; 6]
    {
        return Err("/genes has columns of different lengths".into());
    }
    // Before any of them is believed.
    let total = counts.iter().try_fold(0u64, |sum, count| sum.checked_add(*count));
    if total != Some(genome_dim as u64) {
        return Err(format!("/genes does not count the {genome_dim} genes of a genome"));
    }
    let groups = (0..n).map(|i| {
        let count = counts[i] as usize;
        let kind = match kinds[i].as_str() {
            "real" => GeneKind::Real,
            "log" => GeneKind::Log,
            "integer" => GeneKind::Integer,
            "categorical" => {
                let labels = values[i].split('\n').map(String::from).collect();
                return Ok(GeneGroup::categorical(&names[i], count, labels));
            }
            other => return Err(format!("/genes has the unknown kind '{other}'")),
        };
        Ok(GeneGroup {
            name: names[i].clone(),
            count,
            kind,
            lower: lower[i],
            upper: upper[i],
            unit: units[i].clone(),
        })
    });
    let groups = groups.collect::<Result<Vec<GeneGroup>, String>>()?;
    let damaged = |e: illume_core::Error| format!("/genes is damaged: {}", e.to_string().replace('\n', "; "));
    GeneSpace::new(groups, GROUP).map(Some).map_err(damaged)
}
