//! Tables as bytes, for handing a checkpoint from rank 0 to the others.

use illume_core::{Admission, ArchiveSpec, Axis, Batch, Cells, Column, Data, Element, Error, Result, Unstructured};

use super::Attributes;

/// Forms of cells.
const CVT: u64 = 0;
const GRID: u64 = 1;
const UNSTRUCTURED: u64 = 2;

/// Appends values; [`Source`] reads them back in the same order.
#[derive(Debug, Default)]
pub(super) struct Sink(pub(super) Vec<u8>);

/// Bytes that a [`Sink`] made.
#[derive(Debug)]
pub(super) struct Source<'a>(pub(super) &'a [u8]);

impl Sink {
    pub(super) fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn text(&mut self, value: &str) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn batch(&mut self, batch: &Batch) {
        self.number(batch.rows() as u64);
        self.number(batch.columns().len() as u64);
        for column in batch.columns() {
            self.text(&column.name);
            self.text(&column.unit);
            self.text(&column.description);
            self.number(column.width as u64);
            self.text(column.data.type_name());
            column.data.write_bytes(0..column.data.len(), &mut self.0);
        }
    }

    pub(super) fn attributes(&mut self, a: &Attributes) {
        for text in [&a.software_version, &a.task, &a.strategy, &a.config, &a.created] {
            self.text(text);
        }
        for number in [
            a.seed,
            a.generation,
            a.evaluations,
            a.ranks,
            a.threads,
            a.operators.len() as u64,
        ] {
            self.number(number);
        }
        a.operators.iter().for_each(|o| self.text(o));
    }

    pub(super) fn spec(&mut self, spec: &ArchiveSpec) {
        self.text(&spec.kind);
        self.number(spec.capacity as u64);
        self.number(spec.qd_offset.to_bits());
        self.number(spec.axes.len() as u64);
        for axis in &spec.axes {
            self.text(&axis.name);
            self.text(&axis.unit);
            self.number(axis.lower.to_bits());
            self.number(axis.upper.to_bits());
        }
        let (form, numbers): (u64, Vec<u64>) = match &spec.cells {
            Cells::Cvt { centroids } => (CVT, centroids.iter().map(|x| x.to_bits()).collect()),
            Cells::Grid { shape } => (GRID, shape.iter().map(|&n| n as u64).collect()),
            Cells::Unstructured(rules) => {
                let (rule, value) = match rules.admission {
                    Admission::Random(probability) => (0, probability),
                    Admission::Novelty(threshold) => (1, threshold),
                };
                let numbers = [
                    rules.neighbours as u64,
                    rule,
                    value.to_bits(),
                    u64::from(rules.normalize),
                ];
                (UNSTRUCTURED, numbers.to_vec())
            }
        };
        self.number(form);
        self.number(numbers.len() as u64);
        numbers.into_iter().for_each(|n| self.number(n));
    }
}

impl<'a> Source<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| Error::failed("a checkpoint was cut short on its way"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        Ok(u64::read_le(self.take(8)?))
    }

    pub(super) fn size(&mut self) -> Result<usize> {
        Ok(self.number()? as usize)
    }

    fn float(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.number()?))
    }

    pub(super) fn text(&mut self) -> Result<String> {
        let n = self.size()?;
        Ok(String::from_utf8_lossy(self.take(n)?).into_owned())
    }

    pub(super) fn batch(&mut self) -> Result<Batch> {
        let (rows, columns) = (self.size()?, self.size()?);
        let mut batch = Batch::new();
        let mut all = Vec::with_capacity(columns);
        for _ in 0..columns {
            let (name, unit, description) = (self.text()?, self.text()?, self.text()?);
            let width = self.size()?;
            let data = match self.text()?.as_str() {
                "u8" => self.data::<u8>(rows * width)?,
                "i32" => self.data::<i32>(rows * width)?,
                "u32" => self.data::<u32>(rows * width)?,
                "i64" => self.data::<i64>(rows * width)?,
                "u64" => self.data::<u64>(rows * width)?,
                "f32" => self.data::<f32>(rows * width)?,
                _ => self.data::<f64>(rows * width)?,
            };
            all.push(Column {
                name,
                width,
                unit,
                description,
                data,
            });
        }
        // A column of no width, or none at all, cannot tell the number of rows.
        for (i, column) in all.into_iter().enumerate() {
            batch.push_column(column);
            if i == 0 {
                batch.resize(rows);
            }
        }
        batch.resize(rows);
        Ok(batch)
    }

    fn data<T: Element>(&mut self, n: usize) -> Result<Data> {
        let bytes = self.take(n * size_of::<T>())?;
        Ok(T::wrap(bytes.chunks_exact(size_of::<T>()).map(T::read_le).collect()))
    }

    pub(super) fn attributes(&mut self) -> Result<Attributes> {
        let mut a = Attributes {
            software_version: self.text()?,
            task: self.text()?,
            strategy: self.text()?,
            config: self.text()?,
            created: self.text()?,
            seed: self.number()?,
            generation: self.number()?,
            evaluations: self.number()?,
            ranks: self.number()?,
            threads: self.number()?,
            operators: Vec::new(),
        };
        let n = self.size()?;
        a.operators = (0..n).map(|_| self.text()).collect::<Result<_>>()?;
        Ok(a)
    }

    pub(super) fn spec(&mut self) -> Result<ArchiveSpec> {
        let (kind, capacity, qd_offset) = (self.text()?, self.size()?, self.float()?);
        let k = self.size()?;
        let axis = |s: &mut Self| -> Result<Axis> {
            let (name, unit) = (s.text()?, s.text()?);
            Ok(Axis::new(&name, &unit, s.float()?, s.float()?))
        };
        let axes = (0..k).map(|_| axis(self)).collect::<Result<_>>()?;
        let form = self.number()?;
        let n = self.size()?;
        let numbers = (0..n).map(|_| self.number()).collect::<Result<Vec<u64>>>()?;
        let cells = match (form, numbers.as_slice()) {
            (UNSTRUCTURED, &[neighbours, rule, value, normalize]) => Cells::Unstructured(Unstructured {
                neighbours: neighbours as usize,
                admission: match rule {
                    0 => Admission::Random(f64::from_bits(value)),
                    _ => Admission::Novelty(f64::from_bits(value)),
                },
                normalize: normalize != 0,
            }),
            (GRID, shape) => Cells::Grid {
                shape: shape.iter().map(|&n| n as usize).collect(),
            },
            (_, centroids) => Cells::Cvt {
                centroids: centroids.iter().map(|&n| f64::from_bits(n)).collect(),
            },
        };
        Ok(ArchiveSpec {
            kind,
            axes,
            cells,
            capacity,
            qd_offset,
        })
    }
}
