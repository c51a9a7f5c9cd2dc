//! Episodes of some elites, to be shown beside their numbers.

use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::analysis::farthest::farthest;
use crate::analysis::subject::{self, Subject};
use crate::commands::replay;
use crate::render::report::image;

/// Episodes that a report shows; where each is a single frame, as many as take about so many seconds, up to all of this many.
const FEW: usize = 12;
const ALL: usize = 2000;
const SECONDS: f64 = 10.0;
/// Bytes of images that a report takes.
const BYTES: usize = 2_000_000;

/// Images by the number of their cell.
#[derive(Default)]
pub(super) struct Films {
    pub images: Map<String, Value>,
    /// Whether the task can be shown at all.
    pub possible: bool,
    pub note: Option<String>,
}

/// Films of some elites of an archive, as far as they fit: of so many as are asked for, else of [`FEW`], or of more where a single frame shows the whole way and is soon made. None of a
/// task that cannot be shown, or built here.
pub(super) fn films(archive: &Path, asked: Option<usize>) -> Films {
    let mut films = Films::default();
    let Ok(subject) = Subject::open_on_cpu(archive) else {
        return films;
    };
    let Ok(normalization) = subject::normalization(&subject.file) else {
        return films;
    };
    let elites = &subject.file.elites;
    let (Ok(cells), Ok(seeds)) = (elites.get::<i64>("cell"), elites.get::<u64>("seed")) else {
        return films;
    };
    let (Ok(fitness), Ok(descriptor)) = (elites.get::<f64>("fitness"), elites.get::<f64>("descriptor")) else {
        return films;
    };
    let range: Vec<f64> = subject.file.spec.axes.iter().map(|a| a.upper - a.lower).collect();
    let mut bytes = 0;
    let mut few = asked.unwrap_or(FEW);
    for (number, row) in farthest(fitness, descriptor, &range).enumerate() {
        if number >= few.max(1) {
            break;
        }
        let start = Instant::now();
        let candidates = subject::elites(&subject, row..row + 1, normalization.clone());
        let film = candidates.and_then(|candidates| replay::small_film(subject.task.as_ref(), candidates, seeds[row]));
        let film = match film {
            Ok(None) => break,
            Err(e) => {
                films.note = Some(format!("Without episodes: {e}"));
                break;
            }
            Ok(Some(film)) => film,
        };
        films.possible = true;
        bytes += film.bytes.len();
        if few == 0 || bytes > BYTES {
            break;
        }
        if number == 1 && film.still && asked.is_none() {
            // The first was not alone in taking time: libraries were loaded.
            few = ((SECONDS / start.elapsed().as_secs_f64()) as usize).clamp(FEW, ALL);
        }
        films
            .images
            .insert(cells[row].to_string(), image(film.kind, &film.bytes).into());
    }
    films
}
