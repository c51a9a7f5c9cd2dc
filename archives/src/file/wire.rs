//! Tables and records as bytes, for handing a checkpoint from rank 0 to the others. Records go by serde and postcard; tables, which may have gigabytes, by columns in one piece each
//! (postcard takes numbers one by one).

use illume_core::serde::Serialize;
use illume_core::serde::de::DeserializeOwned;
use illume_core::{Batch, Column, Data, Element, Error, Result};

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

    /// A record, by serde.
    ///
    /// # Errors
    /// One that cannot be written (a defect).
    pub(super) fn record<T: Serialize>(&mut self, record: &T) -> Result<()> {
        let bytes = postcard::to_stdvec(record).map_err(|e| Error::failed(format!("a record cannot be sent: {e}")))?;
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(&bytes);
        Ok(())
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

    pub(super) fn record<T: DeserializeOwned>(&mut self) -> Result<T> {
        let n = self.size()?;
        postcard::from_bytes(self.take(n)?).map_err(|e| Error::failed(format!("a record cannot be read: {e}")))
    }
}
