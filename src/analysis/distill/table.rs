//! `report.h5`: the report, request by request. docs/format.md lists the columns.

use std::path::Path;

use illume_archives::centers;
use illume_archives::file::{ArchiveFile, Table, write_table};
use illume_core::{Batch, Result};

use super::report::{Comparison, Side, numbers};

const FORMAT: &str = "illume distillation";

/// Version 1 had other names: its `qd_score` is the corrected one now, its `requested_qd_score` the expected one.
const VERSION: u64 = 2;

impl Comparison {
    /// Writes the report as HDF5; the file appears whole or not at all.
    ///
    /// # Errors
    /// The folder or disk.
    pub fn write(&self, path: &Path, archive: &ArchiveFile) -> Result<()> {
        let a = &archive.attributes;
        let axes: Vec<String> = archive.spec.axes.iter().map(|axis| axis.name.clone()).collect();
        let mut totals = vec![("qd_offset".to_string(), self.qd_offset)];
        for (who, side) in self.sides() {
            totals.extend(
                numbers(&side.scores)
                    .into_iter()
                    .map(|(name, x)| (format!("{who}_{name}"), x)),
            );
            totals.push((format!("{who}_mean_descriptor_distance"), side.descriptor_distance));
            totals.push((format!("{who}_mean_center_distance"), side.center_distance));
            if who != "archive" {
                totals.extend(self.kept(side).map(|(name, x)| (format!("{who}_{name}"), x)));
            }
        }
        let totals: Vec<(&str, f64)> = totals.iter().map(|(name, x)| (&**name, *x)).collect();
        write_table(
            path,
            &Table {
                format: FORMAT,
                version: VERSION,
                texts: &[
                    ("software_version", env!("CARGO_PKG_VERSION").into()),
                    ("created", crate::engine::log::now()),
                    ("archive", archive.path().display().to_string()),
                    ("task", a.task.clone()),
                    ("strategy", a.strategy.clone()),
                ],
                counts: &[
                    ("seed", a.seed),
                    ("generation", a.generation),
                    ("evaluations", a.evaluations),
                    ("episodes", self.episodes as u64),
                    ("cells", archive.spec.capacity as u64),
                ],
                numbers: &totals,
                axes: &axes,
                group: [
                    "requests",
                    "a descriptor requested of the policy for each elite, in cell order",
                ],
                rows: ("request", "descriptors requested, in cell order"),
                columns: &self.columns(archive)?,
            },
        )
    }

    /// The sides by the names that columns and totals begin with.
    fn sides(&self) -> [(&'static str, &Side); 3] {
        [
            ("policy", &self.policy),
            ("archive", &self.archive),
            ("at_center", &self.policy_at_centers),
        ]
    }

    fn columns(&self, archive: &ArchiveFile) -> Result<Batch> {
        let (k, unit) = (archive.spec.axes.len(), archive.spec.unit());
        let mut b = Batch::new();
        let cells = archive.elites.get::<i64>("cell")?.to_vec();
        b.push(
            "cell",
            1,
            "",
            "number of the cell whose elite's descriptor is requested",
            cells,
        );
        let requested = archive.elites.get::<f64>("descriptor")?.to_vec();
        b.push(
            "requested_descriptor",
            k,
            unit,
            "descriptor requested: that of the elite as stored",
            requested,
        );
        let stored = archive.elites.get::<f64>("fitness")?.to_vec();
        b.push("stored_fitness", 1, "", "fitness of the elite as stored", stored);
        b.push(
            "center",
            k,
            unit,
            "center of the cell, which is requested in place of the elite's descriptor in the columns at_center",
            centers(&archive.spec, archive.elites.get("cell")?),
        );
        for (who, side) in self.sides() {
            add(&mut b, who, side, k, unit);
        }
        Ok(b)
    }
}

fn add(b: &mut Batch, who: &str, side: &Side, k: usize, unit: &str) {
    let whose = match who {
        "policy" => "the policy's",
        "archive" => "the elite's",
        _ => "the policy's, asked for the center,",
    };
    let r = &side.rows;
    let columns: [(&str, usize, &str, &str, &Vec<f64>); 6] = [
        ("fitness", 1, "", "mean fitness over WHOSE fresh episodes", &r.fitness),
        (
            "fitness_sd",
            1,
            "",
            "standard deviation of the fitness over WHOSE fresh episodes (divided by their number)",
            &r.fitness_sd,
        ),
        (
            "descriptor",
            k,
            unit,
            "mean descriptor over WHOSE fresh episodes",
            &r.descriptor,
        ),
        (
            "descriptor_sd",
            1,
            unit,
            "root mean square distance of the descriptors of WHOSE fresh episodes to their mean",
            &r.descriptor_sd,
        ),
        (
            "descriptor_distance",
            1,
            unit,
            "mean over WHOSE fresh episodes of the distance of their descriptor to the requested one",
            &r.distances[0],
        ),
        (
            "center_distance",
            1,
            unit,
            "mean over WHOSE fresh episodes of the distance of their descriptor to the center of the cell",
            &r.distances[1],
        ),
    ];
    // Where the center is what was requested, there is one distance.
    let last = if who == "at_center" { 5 } else { 6 };
    for (name, width, unit, description, values) in columns.into_iter().take(last) {
        let description = description.replace("WHOSE", whose);
        b.push(&format!("{who}_{name}"), width, unit, &description, values.clone());
    }
    let reached = format!("cell of the mean descriptor of {whose} fresh episodes, -1 for none");
    b.push(&format!("{who}_cell"), 1, "", &reached, side.scores.cells.clone());
    let episodes = format!("{whose} fresh episodes that ended well; the others count nowhere");
    b.push(&format!("{who}_episodes"), 1, "", &episodes, r.episodes.clone());
}
