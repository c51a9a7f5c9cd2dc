//! A table as Parquet: the columns of a `.csv`, a row group for each piece of genomes, without compression.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use illume_core::{Batch, Column, Data, GeneGroup, GeneKind};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::csv::operator;
use super::names::{Names, Words, flat};
use super::{Genes, pieces, scalars};
use crate::engine::output::Fault;

impl From<ParquetError> for Fault {
    fn from(e: ParquetError) -> Fault {
        match e {
            ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
                Ok(disk) => Fault::Disk(*disk),
                Err(other) => Fault::Disk(std::io::Error::other(other)),
            },
            other => Fault::Disk(std::io::Error::other(other)),
        }
    }
}

/// Writes every column but genomes, a column of Parquet for each number, under the names of a `.csv`; genes, if there are any, stand
/// before all others. `written` is told how many genomes are.
///
/// # Errors
/// `to` cannot be written, or the genes cannot be read.
pub fn parquet(
    to: &mut (impl Write + Send),
    table: &Batch,
    names: Names,
    words: Words<'_>,
    genes: Option<&Genes<'_>>,
    mut written: impl FnMut(usize),
) -> std::result::Result<(), Fault> {
    let dim = genes.map_or(0, |genes| genes.dim);
    let mut fields = Vec::new();
    let space = names.space(genes);
    let of_genes = genes.map_or_else(Vec::new, |genes| names.genes(genes, table, words));
    for (i, name) in of_genes.iter().enumerate() {
        let (physical, logical) = match space.map(|space| &space.group_of(i).kind) {
            Some(GeneKind::Categorical(_)) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Some(GeneKind::Integer) => (Physical::INT32, None),
            _ => (Physical::FLOAT, None),
        };
        fields.push(field(name, physical, logical)?);
    }
    for column in scalars(table) {
        let (physical, logical) = kind(column);
        for name in flat(names, column, table, words) {
            fields.push(field(&name, physical, logical.clone())?);
        }
    }
    let schema = Arc::new(Type::group_type_builder("elites").with_fields(fields).build()?);
    let mut file = SerializedFileWriter::new(to, schema, Arc::new(WriterProperties::builder().build()))?;
    for piece in pieces(table.rows(), dim) {
        let data = genes
            .map(|genes| genes.read(piece.clone()))
            .transpose()?
            .unwrap_or_default();
        let mut group = file.next_row_group()?;
        for i in 0..dim {
            let gene: Vec<f32> = data.chunks_exact(dim).map(|genes| genes[i]).collect();
            match space {
                None => put::<FloatType, _>(&mut group, &gene)?,
                Some(space) => put_gene(&mut group, space.group_of(i), &gene)?,
            }
        }
        for column in scalars(table) {
            (0..column.width).try_for_each(|i| put_column(&mut group, column, i, piece.clone(), words.operators))?;
        }
        group.close()?;
        if genes.is_some() {
            written(piece.end);
        }
    }
    file.close()?;
    Ok(())
}

fn field(name: &str, physical: Physical, logical: Option<LogicalType>) -> Result<Arc<Type>> {
    let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
    field.with_logical_type(logical).build().map(Arc::new)
}

/// How the numbers of a column are stored.
fn kind(column: &Column) -> (Physical, Option<LogicalType>) {
    let unsigned = |bits| Some(LogicalType::integer(bits, false));
    match &column.data {
        Data::I32(_) if column.name == "operator" => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Data::F64(_) => (Physical::DOUBLE, None),
        Data::F32(_) => (Physical::FLOAT, None),
        Data::I32(_) => (Physical::INT32, None),
        Data::I64(_) => (Physical::INT64, None),
        Data::U8(_) => (Physical::INT32, unsigned(8)),
        Data::U32(_) => (Physical::INT32, unsigned(32)),
        Data::U64(_) => (Physical::INT64, unsigned(64)),
    }
}

fn put_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
    i: usize,
    rows: Range<usize>,
    operators: &[String],
) -> Result<()> {
    fn of<A: Copy, B>(v: &[A], (width, i): (usize, usize), rows: Range<usize>, as_: impl Fn(A) -> B) -> Vec<B> {
        rows.map(|row| as_(v[row * width + i])).collect()
    }
    let at = (column.width, i);
    match &column.data {
        Data::I32(v) if column.name == "operator" => {
            let name = |n| ByteArray::from(operator(n, operators).as_ref());
            put::<ByteArrayType, _>(group, &of(v, at, rows, name))
        }
        Data::F64(v) => put::<DoubleType, _>(group, &of(v, at, rows, |x| x)),
        Data::F32(v) => put::<FloatType, _>(group, &of(v, at, rows, |x| x)),
        Data::I32(v) => put::<Int32Type, _>(group, &of(v, at, rows, |x| x)),
        Data::I64(v) => put::<Int64Type, _>(group, &of(v, at, rows, |x| x)),
        Data::U8(v) => put::<Int32Type, _>(group, &of(v, at, rows, i32::from)),
        Data::U32(v) => put::<Int32Type, _>(group, &of(v, at, rows, |x| x as i32)),
        Data::U64(v) => put::<Int64Type, _>(group, &of(v, at, rows, |x| x as i64)),
    }
}

/// A gene's values by its coordinates.
fn put_gene<W: Write + Send>(
    to: &mut SerializedRowGroupWriter<'_, W>,
    gene: &GeneGroup,
    coordinates: &[f32],
) -> Result<()> {
    let values = coordinates.iter().map(|z| gene.value(*z));
    match &gene.kind {
        GeneKind::Categorical(_) => {
            let labels = values.map(|value| ByteArray::from(gene.shown(value).as_str()));
            put::<ByteArrayType, _>(to, &labels.collect::<Vec<_>>())
        }
        GeneKind::Integer => put::<Int32Type, _>(to, &values.map(|value| value as i32).collect::<Vec<_>>()),
        GeneKind::Real | GeneKind::Log => put::<FloatType, _>(to, &values.collect::<Vec<_>>()),
    }
}

fn put<T: DataType, W: Write + Send>(group: &mut SerializedRowGroupWriter<'_, W>, values: &[T::T]) -> Result<()> {
    let missing = || ParquetError::General("there are more columns than in the schema".into());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Axis;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    #[test]
    fn a_table_is_read_back_with_its_types() {
        let mut table = Batch::new();
        table.push("cell", 1, "", "", vec![3i64, 9]);
        table.push("fitness", 1, "", "", vec![0.1f64 + 0.2, -1e300]);
        table.push("descriptor", 2, "", "", vec![1.0f64, 2.5, 3.0, 1e-7]);
        table.push("operator", 1, "", "", vec![1i32, 7]);
        table.push("seed", 1, "", "", vec![u64::MAX, 0]);
        let axes = [Axis::new("x", "m", 0.0, 3.0), Axis::new("seed", "", 0.0, 3.0)];
        let mut file = tempfile::tempfile().unwrap();
        let operators = ["random".to_string(), "iso_line".into()];
        let words = Words {
            axes: &axes,
            operators: &operators,
            objectives: &[],
        };
        parquet(&mut file, &table, Names::Own, words, None, |_| ()).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<Vec<(String, Field)>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                row.unwrap()
                    .get_column_iter()
                    .map(|(name, x)| (name.clone(), x.clone()))
                    .collect()
            })
            .collect();
        let expected = [
            ("cell", Field::Long(3)),
            ("fitness", Field::Double(0.1 + 0.2)),
            ("x", Field::Double(1.0)),
            ("descriptor_seed", Field::Double(2.5)),
            ("operator", Field::Str("iso_line".into())),
            ("seed", Field::ULong(u64::MAX)),
        ];
        assert_eq!(rows[0], expected.map(|(name, x)| (name.to_string(), x)));
        assert_eq!(rows[1][4].1, Field::Str("7".into()));
        assert_eq!(rows.len(), 2);
    }
}
