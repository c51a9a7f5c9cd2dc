//! `report.h5`: the report, request by request. docs/format.md lists the columns.

use std::path::Path;

use illume_archives::file::{ArchiveFile, Table, write_table};
use illume_core::{Batch, Result};

use super::report::{Comparison, Side};

const FORMAT: &str = "illume distillation";

impl Comparison {
    /// Writes the report as HDF5; the file appears whole or not at all.
    ///
    /// # Errors
    /// The folder or disk.
    pub fn write(&self, path: &Path, archive: &ArchiveFile) -> Result<()> {
        let a = &archive.attributes;
        let axes: Vec<String> = archive.spec.axes.iter().map(|axis| axis.name.clone()).collect();
        let [qd_score, coverage, best, requested] = self.kept();
        write_table(
            path,
            &Table {
                format: FORMAT,
                texts: &[
                    ("software_version", env!("CARGO_PKG_VERSION").into()),
                    ("created", crate::log::now()),
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
                numbers: &[
                    ("qd_offset", self.qd_offset),
                    ("qd_score", self.policy.metrics.qd_score),
                    ("archive_qd_score", self.archive.metrics.qd_score),
                    ("coverage", self.policy.metrics.coverage),
                    ("archive_coverage", self.archive.metrics.coverage),
                    ("max_fitness", self.policy.metrics.max_fitness),
                    ("archive_max_fitness", self.archive.metrics.max_fitness),
                    ("requested_qd_score", self.policy.requested_qd_score),
                    ("archive_requested_qd_score", self.archive.requested_qd_score),
                    ("qd_score_kept_percent", qd_score),
                    ("coverage_kept_percent", coverage),
                    ("max_fitness_kept_percent", best),
                    ("requested_qd_score_kept_percent", requested),
                ],
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
        for (who, side) in [("policy", &self.policy), ("archive", &self.archive)] {
            add(&mut b, who, side, k, unit);
        }
        Ok(b)
    }
}

fn add(b: &mut Batch, who: &str, side: &Side, k: usize, unit: &str) {
    let whose = match who {
        "policy" => "the policy's",
        _ => "the elite's",
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
    for (name, width, unit, description, values) in columns {
        let description = description.replace("WHOSE", whose);
        b.push(&format!("{who}_{name}"), width, unit, &description, values.clone());
    }
    let reached = format!("cell of the mean descriptor of {whose} fresh episodes, -1 for none");
    b.push(&format!("{who}_cell"), 1, "", &reached, side.reached.cells.clone());
    let episodes = format!("{whose} fresh episodes that ended well; the others count nowhere");
    b.push(&format!("{who}_episodes"), 1, "", &episodes, r.episodes.clone());
}
