//! Cells that hold several elites: the table of members, which of them lie in which cell, and the shard of their genomes. Which members stay is decided by the archive on top.
//!
//! Members are numbered from 0, and a number that becomes free goes to the next one that comes, the smallest first. `Elites::filled` names them in the order in which they came; all
//! else follows from the table and this order, so that they are all that a file needs to hold.

use illume_core::{
    Archive, ArchiveSpec, Batch, Comm, Elites, Error, Fetched, Genomes, Inbox, Result, Standing, Taken, block,
};

use crate::archive::{Storing, check_block};
use crate::division::{Division, Outside};
use crate::exchange;
use crate::neighbours::among_elites;
use crate::numbered::is_offered;
use crate::registry::check_spec;
use crate::store::Shard;

/// The column of members that says in which cell each lies.
pub(crate) const NICHE: &str = "niche";

/// One of these, each as often as any other; `draw` is uniform over all numbers.
pub(crate) fn draw_uniformly(members: &[u32], draw: u64) -> u32 {
    members[((u128::from(draw) * members.len() as u128) >> 64) as usize]
}

/// One of these in proportion to its share, of which `sum` are all; none where rounding leaves none.
pub(crate) fn draw_by_share(members: &[u32], share: impl Fn(u32) -> f64, sum: f64, draw: u64) -> Option<u32> {
    let mut left = (draw >> 11) as f64 / (1u64 << 53) as f64 * sum;
    let drawn = members.iter().find(|member| {
        left -= share(**member);
        left < 0.0
    });
    drawn.copied()
}

/// The column of members that says of each whether it is an elite (0) or contends with one, for archives that have contenders.
pub(crate) const STANDING: &str = "standing";

/// What an archive of cells with several elites is made of.
#[derive(Debug)]
pub(crate) struct Niches {
    pub spec: ArchiveSpec,
    pub division: Division,
    elites: Elites,
    shard: Shard,
    /// Members by cell, each cell's in the order in which they came; those of cell c are `starts[c]..starts[c + 1]`.
    members: Vec<u32>,
    starts: Vec<u32>,
    /// Cells that have members, in the order of the first of them that came.
    filled: Vec<u32>,
    /// Numbers below the table's end that nobody has, the smallest last.
    free: Vec<u32>,
}

impl Niches {
    /// Empty cells for genomes of `genome_dim` genes, or lineages. `declare` adds columns of the archive's own.
    ///
    /// # Errors
    /// A spec that does not hang together.
    pub fn new(
        spec: ArchiveSpec,
        outside: Outside,
        (genome_dim, lineage): (usize, bool),
        declare: impl Fn(&mut Elites),
    ) -> Result<Niches> {
        check_spec(&spec)?;
        let mut elites = Elites::new(0, spec.axes.len());
        elites.declare::<i64>(NICHE, "", "number of the cell in which it lies");
        declare(&mut elites);
        Ok(Niches {
            division: Division::new(&spec, outside)?,
            elites,
            shard: Shard::growing(spec.most_elites(), genome_dim, lineage),
            members: Vec::new(),
            starts: vec![0; spec.capacity + 1],
            filled: Vec::new(),
            free: Vec::new(),
            spec,
        })
    }

    /// The table of members.
    pub fn elites(&self) -> &Elites {
        &self.elites
    }

    /// A column of the archive's own, to be written.
    ///
    /// # Errors
    /// No such column, or one of another element type.
    pub fn column_mut<T: illume_core::Element>(&mut self, name: &str) -> Result<&mut [T]> {
        self.elites.get_mut(name)
    }

    /// Cells that have members, in the order of the first of these that came.
    pub fn filled(&self) -> &[u32] {
        &self.filled
    }

    /// The members of a cell, in the order in which they came.
    pub fn members(&self, cell: u32) -> &[u32] {
        let cell = cell as usize;
        &self.members[self.starts[cell] as usize..self.starts[cell + 1] as usize]
    }

    /// The elite of a cell with the highest fitness, of equals the one that came first; none of an empty cell.
    pub fn best(&self, cell: u32) -> Option<u32> {
        let fitness = |member: u32| self.elites.fitness()[member as usize];
        let standing = self.elites.columns().get::<u8>(STANDING).ok();
        let elite = |member: &u32| standing.is_none_or(|all| all[*member as usize] == Standing::Elite as u8);
        let members = self.members(cell).iter().copied().filter(elite);
        members.reduce(|best, other| if fitness(other) > fitness(best) { other } else { best })
    }

    /// The cell of a member; none where nobody has this number.
    pub fn cell_of(&self, member: i64) -> Option<u32> {
        let cells = self.elites.columns().get::<i64>(NICHE).ok()?;
        let member = usize::try_from(member).ok()?;
        let there = self.elites.fitness().get(member).is_some_and(|f| !f.is_nan());
        there.then(|| cells[member] as u32)
    }

    /// Rows that are offered and lie inside, with the cell of each: by cell, each cell's in their order.
    ///
    /// # Errors
    /// A column is missing.
    pub fn coming(&self, rows: &Batch) -> Result<Vec<(u32, u32)>> {
        let (status, cells): (&[u8], &[i64]) = (rows.get("status")?, rows.get("cell")?);
        let fitness: &[f64] = rows.get("fitness")?;
        let capacity = self.spec.capacity as i64;
        let offered =
            |row: &usize| (0..capacity).contains(&cells[*row]) && is_offered(status[*row], cells[*row], fitness[*row]);
        let rows = (0..rows.rows()).filter(offered);
        let mut coming: Vec<(u32, u32)> = rows.map(|row| (cells[row] as u32, row as u32)).collect();
        coming.sort_unstable();
        Ok(coming)
    }

    /// Parents are members, and a file says in which cells they lay.
    ///
    /// # Errors
    /// A column is missing.
    pub fn say_cells_of_parents(&self, rows: &mut Batch) -> Result<()> {
        for parent in rows.get_mut::<i64>("parents")? {
            *parent = self.cell_of(*parent).map_or(-1, i64::from);
        }
        Ok(())
    }

    /// Whether `genomes` have the form and size that are stored here.
    ///
    /// # Errors
    /// They do not.
    pub fn accepts(&self, genomes: &Genomes) -> Result<()> {
        self.shard.accepts(genomes)
    }

    /// Members that go, and rows that come with the cell of each, in their order. Returns the numbers of those that came.
    ///
    /// # Errors
    /// A column is missing.
    pub fn replace(&mut self, gone: &[u32], come: &[(u32, u32)], storing: &Storing<'_>) -> Result<Vec<u32>> {
        for &member in gone {
            self.shard.release(member as usize);
            self.elites.get_mut::<f64>("fitness")?[member as usize] = f64::NAN;
        }
        if !gone.is_empty() {
            let mut filled = std::mem::take(&mut self.elites.filled);
            filled.retain(|member| !self.elites.fitness()[*member as usize].is_nan());
            self.elites.filled = filled;
            self.free.extend(gone);
            self.free.sort_unstable_by(|a, b| b.cmp(a));
        }
        let mut end = self.elites.fitness().len() as u32;
        let mut number = || {
            self.free.pop().unwrap_or_else(|| {
                end += 1;
                end - 1
            })
        };
        let numbers: Vec<u32> = come.iter().map(|_| number()).collect();
        self.elites.grow(end as usize);
        self.shard.grow(end as usize);
        let taken = come.iter().zip(&numbers);
        let taken: Vec<Taken> = taken.map(|(&(row, _), &cell)| Taken { row, cell }).collect();
        storing.store(&taken, &mut self.elites, &mut self.shard)?;
        let cells = self.elites.get_mut::<i64>(NICHE)?;
        let came = come.iter().zip(&numbers);
        came.for_each(|((_, cell), number)| cells[*number as usize] = i64::from(*cell));
        self.elites.filled.extend(&numbers);
        self.arrange()?;
        Ok(numbers)
    }

    /// Finds the members of each cell anew: a counting sort.
    fn arrange(&mut self) -> Result<()> {
        let cells = self.elites.columns().get::<i64>(NICHE)?;
        self.starts.fill(0);
        self.filled.clear();
        for &member in &self.elites.filled {
            let cell = cells[member as usize] as usize;
            if self.starts[cell + 1] == 0 {
                self.filled.push(cell as u32);
            }
            self.starts[cell + 1] += 1;
        }
        for cell in 1..self.starts.len() {
            self.starts[cell] += self.starts[cell - 1];
        }
        self.members.resize(self.elites.filled.len(), 0);
        // Backwards from each cell's end, which so becomes its start.
        let mut ends = self.starts[1..].to_vec();
        for &member in self.elites.filled.iter().rev() {
            let end = &mut ends[cells[member as usize] as usize];
            *end -= 1;
            self.members[*end as usize] = member;
        }
        Ok(())
    }

    /// Replaces all members by rows of a file in the order in which they came. Rows that do not say where they lie (`niche`) are elites of the cells that are their numbers.
    ///
    /// # Errors
    /// Rows that do not fit.
    pub fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm, declared: &[&str]) -> Result<()> {
        let total = rows.rows();
        let (numbers, fitness): (&[i64], &[f64]) = (rows.get("cell")?, rows.get("fitness")?);
        // Members say themselves when they were found.
        rows.get::<i64>("generation")?;
        let own = block(total, comm.rank(), comm.size());
        check_block(total, &own, genomes, comm)?;
        self.shard.accepts(genomes)?;
        if let Some(row) = fitness.iter().position(|f| !f.is_finite()) {
            return Err(Error::failed(format!("member {row} has the fitness {}", fitness[row])));
        }
        let members = rows.get::<i64>(NICHE).ok();
        let cells = members.unwrap_or(numbers);
        if let Some(&cell) = cells.iter().find(|c| !(0..self.spec.capacity as i64).contains(*c)) {
            return Err(Error::failed(format!(
                "cell {cell} of an archive of {} cells",
                self.spec.capacity
            )));
        }
        let numbers: Vec<u32> = match members {
            None => (0..total as u32).collect(),
            Some(_) => {
                if let Some(name) = declared.iter().find(|name| rows.find(name).is_none()) {
                    return Err(Error::failed(format!("members without the column '{name}'")));
                }
                let most = self.spec.most_elites() as i64;
                let fits = |number: &i64| (0..most).contains(number).then_some(*number as u32);
                let fitting: Option<Vec<u32>> = numbers.iter().map(fits).collect();
                fitting.ok_or_else(|| Error::failed(format!("a member's number is not below {most}")))?
            }
        };
        let end = numbers.iter().max().map_or(0, |last| *last as usize + 1);
        let mut free = vec![true; end];
        for number in &numbers {
            if !std::mem::replace(&mut free[*number as usize], false) {
                return Err(Error::failed(format!("two members have the number {number}")));
            }
        }
        self.shard.clear();
        self.shard.grow(end);
        self.elites.clear(end);
        self.free = (0..end as u32).rev().filter(|number| free[*number as usize]).collect();
        let taken = numbers.iter().zip(0..);
        let taken: Vec<Taken> = taken.map(|(&cell, row)| Taken { row, cell }).collect();
        let storing = Storing {
            rows,
            own,
            genomes,
            generation: 0,
            comm,
        };
        storing.store(&taken, &mut self.elites, &mut self.shard)?;
        let niches = self.elites.get_mut::<i64>(NICHE)?;
        let of = numbers.iter().zip(cells);
        of.for_each(|(number, cell)| niches[*number as usize] = *cell);
        self.elites.filled = numbers;
        self.arrange()
    }

    /// See [`Archive::fetch`]: genomes of members.
    pub fn fetch<'a>(
        &'a self,
        members: &[u32],
        bounds: &[usize],
        comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        exchange::fetch(&self.elites, &self.shard, members, bounds, comm, inbox)
    }

    /// See [`Archive::novelty`]: among all members.
    pub fn novelty(&self, descriptors: Option<&[f64]>, neighbours: usize) -> Vec<f64> {
        among_elites(&self.elites, descriptors, neighbours)
    }
}

/// The best of each cell: an archive of one elite a cell, whose genomes are those of members.
#[derive(Debug)]
pub(crate) struct Best {
    pub niches: Niches,
    elites: Elites,
    /// By cell; means nothing of an empty one.
    member: Vec<u32>,
}

impl Best {
    pub fn new(niches: Niches) -> Best {
        let cells = niches.spec.capacity;
        Best {
            elites: Elites::new(cells, niches.spec.axes.len()),
            member: vec![0; cells],
            niches,
        }
    }

    /// The best member of a cell that has some.
    pub fn member(&self, cell: u32) -> u32 {
        self.member[cell as usize]
    }

    /// Looks at these cells again, whose members are others now; a cell may be named more than once.
    ///
    /// # Errors
    /// A column of another shape than before: a defect.
    pub fn refresh(&mut self, cells: impl Iterator<Item = u32>) -> Result<()> {
        let (mut taken, mut emptied) = (Vec::new(), Vec::new());
        for cell in cells {
            match self.niches.best(cell) {
                Some(row) => {
                    self.member[cell as usize] = row;
                    taken.push(Taken { row, cell });
                }
                None => emptied.push(cell as usize),
            }
        }
        self.elites.take(self.niches.elites.columns(), &taken, 0)?;
        let fitness = self.elites.get_mut::<f64>("fitness")?;
        emptied.iter().for_each(|cell| fitness[*cell] = f64::NAN);
        self.elites.filled.clear();
        self.elites.filled.extend_from_slice(&self.niches.filled);
        Ok(())
    }

    /// Looks at all cells again.
    ///
    /// # Errors
    /// As [`Best::refresh`].
    pub fn refresh_all(&mut self) -> Result<()> {
        self.elites.clear(self.niches.spec.capacity);
        let filled = self.niches.filled.clone();
        self.refresh(filled.into_iter())
    }
}

impl Archive for Best {
    fn spec(&self) -> &ArchiveSpec {
        &self.niches.spec
    }

    fn locate(&self, descriptors: &[f64], cells: &mut [i64]) {
        self.niches.division.locate(descriptors, cells);
    }

    fn elites(&self) -> &Elites {
        &self.elites
    }

    fn novelty(&self, descriptors: Option<&[f64]>, neighbours: usize) -> Result<Vec<f64>> {
        Ok(among_elites(&self.elites, descriptors, neighbours))
    }

    fn fetch<'a>(
        &'a self,
        cells: &[u32],
        bounds: &[usize],
        comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        // An empty cell has no member: a number that nobody has, which all ranks refuse.
        let filled = |cell: u32| self.elites.fitness().get(cell as usize).is_some_and(|f| !f.is_nan());
        let member = move |cell: u32| {
            if filled(cell) {
                self.member[cell as usize]
            } else {
                u32::MAX
            }
        };
        let members: Vec<u32> = cells.iter().map(|cell| member(*cell)).collect();
        let fetched = self.niches.fetch(&members, bounds, comm, inbox)?;
        Ok(Fetched::new(move |cell| fetched.genome(member(cell))))
    }
}
