//! The genomes that this rank stores: a slot for each elite it owns.
//!
//! Dense genomes live in pages of some megabytes that are allocated as cells fill, so that an empty archive of many
//! cells costs nothing and a growing one never moves a genome.

use illume_core::{Error, GenomeRef, Genomes, Result, Scratch};
use rayon::prelude::*;

use crate::pages::{HUGE, Page};

/// Huge pages of a page of large genomes: little is lost where a genome does not fill its last one.
const LARGE: usize = 8;

/// Bytes below which a copy is not worth a second thread.
const PARALLEL_BYTES: usize = 1 << 19;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Form {
    /// A page has `1 << shift` rows.
    Dense {
        dim: usize,
        shift: u32,
        pages: Vec<Page>,
    },
    Lineage {
        rows: Vec<(Vec<u64>, Vec<f32>)>,
    },
}

/// One genome to be stored: row `row` of the genomes at hand goes to `slot`.
#[derive(Debug, Clone, Copy)]
struct Job {
    slot: u32,
    row: u32,
}

/// Slots of genomes with a free list, addressed by cell.
#[derive(Debug)]
pub(crate) struct Shard {
    form: Form,
    slot_of: Vec<u32>,
    free: Vec<u32>,
    used: u32,
    jobs: Vec<Job>,
    by_page: Vec<Job>,
    page_ends: Vec<usize>,
}

impl Shard {
    /// An empty shard for `cells` cells and genomes of `dim` genes, or lineages of any length.
    pub(crate) fn new(cells: usize, dim: usize, lineage: bool) -> Shard {
        let mut shard = Shard::growing(cells, dim, lineage);
        shard.grow(cells);
        shard
    }

    /// An empty shard without cells, which will not get more than `cells` of them.
    pub(crate) fn growing(cells: usize, dim: usize, lineage: bool) -> Shard {
        let form = if lineage {
            Form::Lineage { rows: Vec::new() }
        } else {
            Form::Dense {
                dim,
                shift: rows_per_page(dim, cells).ilog2(),
                pages: Vec::new(),
            }
        };
        Shard {
            form,
            slot_of: Vec::new(),
            free: Vec::new(),
            used: 0,
            jobs: Vec::new(),
            by_page: Vec::new(),
            page_ends: Vec::new(),
        }
    }

    /// Makes room for cells up to this number.
    pub(crate) fn grow(&mut self, cells: usize) {
        self.slot_of.resize(self.slot_of.len().max(cells), NONE);
    }

    /// Forgets every genome; memory is kept for those to come.
    pub(crate) fn clear(&mut self) {
        self.slot_of.fill(NONE);
        self.free.clear();
        self.used = 0;
    }

    /// Whether `genomes` have the form and size that this shard stores.
    ///
    /// # Errors
    /// They do not; the sentence says which was given and which wanted.
    pub(crate) fn accepts(&self, genomes: &Genomes) -> Result<()> {
        let given = match (&self.form, genomes) {
            (Form::Lineage { .. }, Genomes::Lineage(_)) => return Ok(()),
            (Form::Dense { dim, .. }, Genomes::Dense(d)) if d.dim == *dim || d.data.is_empty() => return Ok(()),
            (Form::Dense { dim, .. }, Genomes::Perturbation(p)) if p.center.len() == *dim => return Ok(()),
            (_, Genomes::Lineage(_)) => "lineages".to_string(),
            (_, Genomes::Dense(d)) => format!("genomes of {} genes", d.dim),
            (_, Genomes::Perturbation(p)) => format!("genomes of {} genes", p.center.len()),
        };
        let wanted = match &self.form {
            Form::Dense { dim, .. } => format!("genomes of {dim} genes"),
            Form::Lineage { .. } => "lineages".to_string(),
        };
        Err(Error::failed(format!(
            "the archive stores {wanted}, {given} were offered to it"
        )))
    }

    pub(crate) fn dim(&self) -> Option<usize> {
        if let Form::Dense { dim, .. } = self.form {
            Some(dim)
        } else {
            None
        }
    }

    /// Notes that row `row` of the genomes to come belongs to `cell`; [`Shard::copy`] does the copying.
    pub(crate) fn put(&mut self, cell: usize, row: usize) {
        let slot = match self.slot_of[cell] {
            NONE => self.free.pop().unwrap_or_else(|| {
                self.used += 1;
                self.used - 1
            }),
            slot => slot,
        };
        self.slot_of[cell] = slot;
        self.jobs.push(Job { slot, row: row as u32 });
    }

    /// The cell's elite is stored elsewhere now.
    pub(crate) fn release(&mut self, cell: usize) {
        let slot = std::mem::replace(&mut self.slot_of[cell], NONE);
        if slot != NONE {
            self.free.push(slot);
        }
    }

    /// Genomes of some cells become those of others, (from, to), and of `before` cells `after` are left.
    pub(crate) fn renumber(&mut self, moved: &[(usize, usize)], before: usize, after: usize) {
        for &(from, to) in moved {
            self.release(to);
            self.slot_of[to] = std::mem::replace(&mut self.slot_of[from], NONE);
        }
        (after..before).for_each(|cell| self.release(cell));
        self.grow(after);
    }

    /// Keeps the genomes of these cells, in this order, as those of cells 0, 1, ….
    pub(crate) fn keep(&mut self, cells: &[u32]) {
        let kept: Vec<u32> = cells
            .iter()
            .map(|cell| std::mem::replace(&mut self.slot_of[*cell as usize], NONE))
            .collect();
        self.free.extend(self.slot_of.iter().filter(|slot| **slot != NONE));
        self.slot_of = kept;
    }

    /// Copies all rows noted by [`Shard::put`] since the last call.
    pub(crate) fn copy(&mut self, genomes: &Genomes) {
        match &mut self.form {
            Form::Lineage { rows } => {
                rows.resize_with(rows.len().max(self.used as usize), Default::default);
                if let Genomes::Lineage(lineages) = genomes {
                    for job in self.jobs.drain(..) {
                        let (streams, scales) = lineages.row(job.row as usize);
                        let row = &mut rows[job.slot as usize];
                        row.0.clear();
                        row.0.extend_from_slice(streams);
                        row.1.clear();
                        row.1.extend_from_slice(scales);
                    }
                }
            }
            Form::Dense { dim, shift, pages } => {
                let (dim, per_page) = (*dim, 1 << *shift);
                while pages.len() * per_page < self.used as usize {
                    pages.push(Page::new(per_page * dim));
                }
                if self.jobs.len() * dim * size_of::<f32>() < PARALLEL_BYTES {
                    let mut scratch = Scratch::default();
                    for job in self.jobs.drain(..) {
                        let (page, at) = (job.slot as usize / per_page, job.slot as usize % per_page);
                        let genes = genomes.genes(job.row as usize, &mut scratch);
                        pages[page][at * dim..(at + 1) * dim].copy_from_slice(genes);
                    }
                    return;
                }
                sort_by_page(
                    &mut self.jobs,
                    &mut self.by_page,
                    &mut self.page_ends,
                    pages.len(),
                    per_page,
                );
                let (jobs, ends) = (&self.by_page, &self.page_ends);
                pages.par_iter_mut().with_max_len(1).enumerate().for_each_init(
                    Scratch::default,
                    |scratch, (p, page)| {
                        let first = if p == 0 { 0 } else { ends[p - 1] };
                        for job in &jobs[first..ends[p]] {
                            let at = job.slot as usize % per_page;
                            page[at * dim..(at + 1) * dim].copy_from_slice(genomes.genes(job.row as usize, scratch));
                        }
                    },
                );
            }
        }
    }

    /// The genome of a cell, if this shard stores it.
    pub(crate) fn get(&self, cell: usize) -> Option<GenomeRef<'_>> {
        let slot = self.slot_of.get(cell).copied().filter(|&slot| slot != NONE)? as usize;
        Some(match &self.form {
            Form::Dense { dim, shift, pages } => {
                let at = (slot & ((1 << shift) - 1)) * dim;
                GenomeRef::Dense(&pages[slot >> shift][at..at + dim])
            }
            Form::Lineage { rows } => {
                let (streams, scales) = &rows[slot];
                GenomeRef::Lineage { streams, scales }
            }
        })
    }

    /// Slots in use and slots ever made: that replaced genomes are freed shows here.
    #[cfg(test)]
    pub(crate) fn usage(&self) -> (usize, usize) {
        (self.used as usize - self.free.len(), self.used as usize)
    }
}

/// Genomes of a page: one huge page's worth of small ones, several of large ones, no more than the archive can hold.
fn rows_per_page(dim: usize, cells: usize) -> usize {
    let bytes = dim.max(1) * size_of::<f32>();
    let rows = if bytes * LARGE <= HUGE {
        HUGE / bytes
    } else {
        HUGE * LARGE / bytes
    };
    rows.clamp(1, cells.next_power_of_two())
}

/// Counting sort of the jobs by page, leaving `jobs` empty; `ends[p]` is one past the last job of page p.
fn sort_by_page(jobs: &mut Vec<Job>, sorted: &mut Vec<Job>, ends: &mut Vec<usize>, pages: usize, per_page: usize) {
    ends.clear();
    ends.resize(pages, 0);
    for job in jobs.iter() {
        ends[job.slot as usize / per_page] += 1;
    }
    let mut start = 0;
    for end in ends.iter_mut() {
        start += std::mem::replace(end, start);
    }
    sorted.clear();
    sorted.resize(jobs.len(), Job { slot: 0, row: 0 });
    for job in jobs.drain(..) {
        let at = &mut ends[job.slot as usize / per_page];
        sorted[*at] = job;
        *at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Dense;

    #[test]
    fn released_slots_are_used_again() {
        let mut shard = Shard::new(4, 2, false);
        let genomes = Genomes::Dense(Dense {
            dim: 2,
            data: vec![1.0, 2.0, 3.0, 4.0],
        });
        shard.put(3, 0);
        shard.copy(&genomes);
        shard.release(3);
        assert!(shard.get(3).is_none());
        shard.put(1, 1);
        shard.copy(&genomes);
        assert_eq!(shard.get(1), Some(GenomeRef::Dense(&[3.0, 4.0])));
        assert_eq!(shard.usage(), (1, 1));
    }

    #[test]
    fn genomes_that_are_kept_are_found_under_their_new_numbers() {
        let mut shard = Shard::new(3, 1, false);
        let genomes = Genomes::Dense(Dense {
            dim: 1,
            data: vec![1.0, 2.0, 3.0],
        });
        (0..3).for_each(|i| shard.put(i, i));
        shard.copy(&genomes);
        shard.keep(&[2, 0]);
        assert_eq!(shard.get(0), Some(GenomeRef::Dense(&[3.0])));
        assert_eq!(shard.get(1), Some(GenomeRef::Dense(&[1.0])));
        assert!(shard.get(2).is_none());
        assert_eq!(shard.usage(), (2, 3));
    }

    #[test]
    fn large_copies_over_many_pages_keep_every_row() {
        let (rows, dim) = (600, 1000);
        let mut shard = Shard::new(rows, dim, false);
        let data = (0..rows * dim).map(|i| i as f32).collect();
        let genomes = Genomes::Dense(Dense { dim, data });
        (0..rows).for_each(|i| shard.put(rows - 1 - i, i));
        shard.copy(&genomes);
        for i in 0..rows {
            let genes = shard.get(rows - 1 - i).unwrap().dense().unwrap();
            assert_eq!(
                (genes[0], genes[dim - 1]),
                ((i * dim) as f32, (i * dim + dim - 1) as f32)
            );
        }
    }

    #[test]
    fn genomes_of_another_form_or_size_are_refused() {
        let shard = Shard::new(4, 2, false);
        let three = Genomes::Dense(Dense {
            dim: 3,
            data: vec![0.0; 3],
        });
        let message = shard.accepts(&three).unwrap_err().to_string();
        assert!(message.contains("2 genes") && message.contains("3 genes"), "{message}");
        assert!(Shard::new(4, 2, true).accepts(&three).is_err());
    }
}
