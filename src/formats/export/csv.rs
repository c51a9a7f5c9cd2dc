//! A table as text: a header, then a line a row.

use std::borrow::Cow;
use std::io::Write;

use illume_core::{Batch, Data};

use super::names::{Names, Words, flat};
use super::{Genes, pieces, scalars};
use crate::engine::output::Fault;

/// Writes every column but genomes: descriptors under the names of their axes, operators by name, columns of several numbers with
/// these numbered, from 1 or, under the names of pyribs, from 0. Where there are genes, they stand before all others, a column for
/// each; those that have names of their own stand under these, with their values. Numbers are written so that they come back as they were. `written` is told how many genomes are.
///
/// # Errors
/// `to` cannot be written, or the genes cannot be read.
pub fn csv(
    to: &mut dyn Write,
    table: &Batch,
    names: Names,
    words: Words<'_>,
    genes: Option<&Genes<'_>>,
    mut written: impl FnMut(usize),
) -> Result<(), Fault> {
    let dim = genes.map_or(0, |genes| genes.dim);
    let of_genes = genes.map_or_else(Vec::new, |genes| names.genes(genes, table, words));
    let mut line: String = of_genes.iter().map(|name| quoted(name).into_owned() + ",").collect();
    let space = names.space(genes);
    for column in scalars(table) {
        for name in flat(names, column, table, words) {
            line += &quoted(&name);
            line.push(',');
        }
    }
    finish(&mut line);
    to.write_all(line.as_bytes())?;
    for piece in pieces(table.rows(), dim) {
        let data = genes.map(|genes| genes.read(piece.clone())).transpose()?;
        for row in piece.clone() {
            line.clear();
            let at = (row - piece.start) * dim;
            match (&data, space) {
                (None, _) => (),
                (Some(data), None) => data[at..at + dim].iter().for_each(|gene| line += &format!("{gene:?},")),
                (Some(data), Some(space)) => {
                    for (run, group) in space.runs() {
                        for z in &data[at..][run] {
                            line += &quoted(&group.shown(group.value(*z)));
                            line.push(',');
                        }
                    }
                }
            }
            row_of_scalars(&mut line, table, row, words.operators);
            finish(&mut line);
            to.write_all(line.as_bytes())?;
        }
        if genes.is_some() {
            written(piece.end);
        }
    }
    Ok(())
}

fn row_of_scalars(line: &mut String, table: &Batch, row: usize, operators: &[String]) {
    for column in scalars(table) {
        for at in row * column.width..(row + 1) * column.width {
            match (&column.data, column.name.as_str()) {
                (Data::I32(values), "operator") => *line += &quoted(&operator(values[at], operators)),
                (data, _) => *line += &number(data, at),
            }
            line.push(',');
        }
    }
}

/// An operator by name, or by number where it has none.
pub(super) fn operator(number: i32, operators: &[String]) -> Cow<'_, str> {
    let name = usize::try_from(number).ok().and_then(|i| operators.get(i));
    name.map_or_else(|| number.to_string().into(), Cow::from)
}

fn finish(line: &mut String) {
    line.pop();
    line.push('\n');
}

/// The shortest text that gives the number again; nothing for one that does not exist.
fn number(data: &Data, at: usize) -> String {
    match data {
        Data::F64(values) if values[at].is_nan() => String::new(),
        Data::F32(values) if values[at].is_nan() => String::new(),
        data => illume_core::each_data!(data, values => format!("{:?}", values[at])),
    }
}

/// A text as a field: in quotes where it must be.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Axis;

    #[test]
    fn a_table_becomes_lines_with_every_number_as_it_was() {
        let mut table = Batch::new();
        table.push("cell", 1, "", "", vec![3i64, 9]);
        table.push("fitness", 1, "", "", vec![0.1f64 + 0.2, -1e300]);
        table.push("descriptor", 2, "", "", vec![1.0f64, 2.5, f64::NAN, 1e-7]);
        table.push("operator", 1, "", "", vec![1i32, 7]);
        table.push("parents", 2, "", "", vec![-1i64, -1, 3, 4]);
        table.push("seed", 1, "", "", vec![u64::MAX, 0]);
        table.push("genome", 1, "", "", vec![0.5f32, 0.5]);
        let axes = [Axis::new("x, \"left\"", "m", 0.0, 3.0), Axis::new("seed", "", 0.0, 3.0)];
        let mut text = Vec::new();
        let operators = ["random".into(), "iso_line".into()];
        csv(
            &mut text,
            &table,
            Names::Own,
            Words {
                axes: &axes,
                operators: &operators,
                objectives: &[],
            },
            None,
            |_| (),
        )
        .unwrap();
        let expected = "cell,fitness,\"x, \"\"left\"\"\",descriptor_seed,operator,parent_1,parent_2,seed\n\
                        3,0.30000000000000004,1.0,2.5,iso_line,-1,-1,18446744073709551615\n";
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with(expected), "{text}");
        let last: Vec<&str> = text.lines().last().unwrap().split(',').collect();
        assert_eq!(last[1].parse::<f64>().unwrap(), -1e300);
        assert_eq!(last[2..], ["", "1e-7", "7", "3", "4", "0"]);
    }
}
