//! What `/elites/objectives` says of a task's several objectives: names and units, where hypervolumes are measured from, and the best that there is.

use hdf5::{Dataset, Group};
use illume_core::{Batch, Objective};

use super::h5;

/// The column and dataset.
pub(super) const NAME: &str = "objectives";

/// Describes the objectives in attributes of their dataset.
pub(super) fn describe(dataset: &Dataset, objectives: &[Objective]) -> hdf5::Result<()> {
    let texts = |of: fn(&Objective) -> &String| objectives.iter().map(|o| of(o).clone()).collect::<Vec<_>>();
    h5::put_texts(dataset, "names", &texts(|o| &o.name))?;
    h5::put_texts(dataset, "units", &texts(|o| &o.unit))?;
    for (at, name) in ["reference", "ideal"].into_iter().enumerate() {
        let values: Vec<f64> = objectives.iter().map(|o| o.range[at]).collect();
        let attribute = dataset.new_attr::<f64>().shape(values.len()).create(name)?;
        attribute.write_raw(&values)?;
    }
    Ok(())
}

/// The objectives of these elites; none where there is no such column.
pub(super) fn read(elites: &Group, table: &Batch) -> Result<Vec<Objective>, String> {
    let Some(column) = table.find(NAME) else {
        return Ok(Vec::new());
    };
    let wrong = |what: &str| format!("/elites/{NAME} {what}");
    let dataset = elites.dataset(NAME).map_err(|e| wrong(&format!("is damaged ({})", h5::cause(&e))))?;
    let texts = |name: &str| h5::get_texts(&dataset, name).map_err(|_| wrong(&format!("has no attribute '{name}'")));
    let numbers = |name: &str| {
        let values = dataset.attr(name).and_then(|attribute| attribute.read_raw::<f64>());
        values.map_err(|_| wrong(&format!("has no usable attribute '{name}'")))
    };
    let (names, units) = (texts("names")?, texts("units")?);
    let (reference, ideal) = (numbers("reference")?, numbers("ideal")?);
    let m = column.width;
    if [names.len(), units.len(), reference.len(), ideal.len()] != [m; 4] {
        return Err(wrong(&format!("has {m} numbers a row, and attributes for another number of objectives")));
    }
    table
        .get::<f64>(NAME)
        .map_err(|e| wrong(&e.to_string()))?
        .iter()
        .position(|x| !x.is_finite())
        .map_or(Ok(()), |at| Err(wrong(&format!("is not finite in row {}", at / m))))?;
    let ranges = reference.into_iter().zip(ideal).map(|(reference, ideal)| [reference, ideal]);
    let named = names.iter().zip(&units).zip(ranges);
    Ok(named.map(|((name, unit), range)| Objective::new(name, unit, range)).collect())
}
