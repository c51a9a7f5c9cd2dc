//! A table as text: a header, then a line a row.

use std::borrow::Cow;
use std::io::Write;

use illume_core::{Axis, Batch, Column, Data};

use super::scalars;

/// Writes every column but genomes: descriptors under the names of their axes, operators by name, columns of several numbers with
/// these numbered from 1. Numbers are written so that they come back as they were.
///
/// # Errors
/// `to` cannot be written.
pub fn csv(to: &mut dyn Write, table: &Batch, axes: &[Axis], operators: &[String]) -> std::io::Result<()> {
    let mut line = String::new();
    for column in scalars(table) {
        for name in names(column, table, axes) {
            line += &quoted(&name);
            line.push(',');
        }
    }
    finish(&mut line);
    to.write_all(line.as_bytes())?;
    for row in 0..table.rows() {
        line.clear();
        for column in scalars(table) {
            for at in row * column.width..(row + 1) * column.width {
                match (&column.data, column.name.as_str()) {
                    (Data::I32(values), "operator") => {
                        let name = usize::try_from(values[at]).ok().and_then(|i| operators.get(i));
                        line += &name.map_or_else(|| values[at].to_string().into(), |name| quoted(name));
                    }
                    (data, _) => line += &number(data, at),
                }
                line.push(',');
            }
        }
        finish(&mut line);
        to.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn finish(line: &mut String) {
    line.pop();
    line.push('\n');
}

/// What the numbers of a column are called.
fn names(column: &Column, table: &Batch, axes: &[Axis]) -> Vec<String> {
    if column.name == "descriptor" && axes.len() == column.width {
        let taken = |name: &str| scalars(table).any(|c| c.name == name);
        let name = |axis: &Axis| match taken(&axis.name) {
            true => format!("descriptor_{}", axis.name),
            false => axis.name.clone(),
        };
        return axes.iter().map(name).collect();
    }
    match (column.width, column.name.as_str()) {
        (1, name) => vec![name.into()],
        (width, "parents") => (1..=width).map(|i| format!("parent_{i}")).collect(),
        (width, name) => (1..=width).map(|i| format!("{name}_{i}")).collect(),
    }
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
        csv(&mut text, &table, &axes, &["random".into(), "iso_line".into()]).unwrap();
        let expected = "cell,fitness,\"x, \"\"left\"\"\",descriptor_seed,operator,parent_1,parent_2,seed\n\
                        3,0.30000000000000004,1.0,2.5,iso_line,-1,-1,18446744073709551615\n";
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with(expected), "{text}");
        let last: Vec<&str> = text.lines().last().unwrap().split(',').collect();
        assert_eq!(last[1].parse::<f64>().unwrap(), -1e300);
        assert_eq!(last[2..], ["", "1e-7", "7", "3", "4", "0"]);
    }
}
