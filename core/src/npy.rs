//! numpy's `.npy` (numpy/lib/format.py): arrays of numbers or texts in one or two dimensions.

use std::path::Path;

use crate::{Error, Result};

/// The numbers of a column, row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Whole(Vec<i64>),
    /// Whole numbers of which one is beyond i64.
    Large(Vec<u64>),
    Real(Vec<f64>),
    /// Real numbers that are f32.
    Short(Vec<f32>),
    Text(Vec<String>),
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// Numbers of a row.
    pub width: usize,
    pub values: Values,
}

impl Field {
    /// Whether it has so many rows.
    pub fn has_rows(&self, n: usize) -> bool {
        self.width.checked_mul(n) == Some(self.values.len())
    }
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Values::Whole(v) => v.len(),
            Values::Large(v) => v.len(),
            Values::Real(v) => v.len(),
            Values::Short(v) => v.len(),
            Values::Text(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As real numbers, where they are numbers.
    pub fn real(self) -> Option<Vec<f64>> {
        Some(match self {
            Values::Whole(v) => v.into_iter().map(|x| x as f64).collect(),
            Values::Large(v) => v.into_iter().map(|x| x as f64).collect(),
            Values::Real(v) => v,
            Values::Short(v) => v.into_iter().map(f64::from).collect(),
            Values::Text(_) => return None,
        })
    }

    /// As whole numbers, where they are.
    pub fn whole(&self) -> Option<Vec<i64>> {
        let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 9e15).then_some(x as i64);
        match self {
            Values::Whole(v) => Some(v.clone()),
            Values::Real(v) => v.iter().map(|&x| whole(x)).collect(),
            Values::Short(v) => v.iter().map(|&x| whole(x.into())).collect(),
            Values::Large(_) | Values::Text(_) => None,
        }
    }
}

/// An array in a file of its own, named as the file is.
///
/// # Errors
/// No such file, or as [`array()`].
pub fn file(path: &Path) -> Result<Field> {
    let refuse = |what: String| Error::input(format!("{}: {what}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    array(&name, &bytes).map_err(refuse)
}

/// The array in these bytes.
///
/// # Errors
/// No array of numpy, one of something else than numbers or texts, of more than two dimensions, or shorter than it says; in words.
pub fn array(name: &str, bytes: &[u8]) -> std::result::Result<Field, String> {
    let truncated = || "is truncated".to_string();
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("is no array of numpy".into());
    }
    let about = bytes.get(6..12).ok_or_else(truncated)?;
    let (start, length): (usize, usize) = match about[0] {
        1 => (10, usize::from(u16::from_le_bytes([about[2], about[3]]))),
        2 | 3 => {
            let more = bytes.get(8..12).ok_or_else(truncated)?;
            (12, u32::from_le_bytes([more[0], more[1], more[2], more[3]]) as usize)
        }
        other => return Err(format!("has version {other} of numpy's format, and 1 to 3 are known")),
    };
    let header = bytes.get(start..start.saturating_add(length)).ok_or_else(truncated)?;
    let header = String::from_utf8_lossy(header).into_owned();
    let odd = || format!("has the unusable header {}", header.trim());
    let kind = value(&header, "descr")
        .ok_or_else(odd)?
        .trim_matches(['\'', '"'])
        .to_string();
    let fortran = value(&header, "fortran_order").ok_or_else(odd)? == "True";
    let shape = value(&header, "shape").ok_or_else(odd)?;
    let lengths = shape
        .trim_matches(['(', ')'])
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty());
    let shape: Vec<usize> = lengths.map(|n| n.parse().ok()).collect::<Option<_>>().ok_or_else(odd)?;
    let [rows, width] = match shape[..] {
        [] => [1, 1],
        [n] => [n, 1],
        [n, width] => [n, width],
        _ => return Err(format!("has {} dimensions, and expected are one or two", shape.len())),
    };
    let data = &bytes[start + length..];
    let values = values(&kind, data, rows.checked_mul(width).ok_or_else(odd)?)?;
    let values = if fortran && width > 1 {
        transposed(values, rows, width)
    } else {
        values
    };
    Ok(Field {
        name: name.into(),
        width,
        values,
    })
}

/// What stands behind a key of the header, a literal of Python.
fn value<'t>(header: &'t str, key: &str) -> Option<&'t str> {
    let at = header.find(&format!("'{key}':"))?;
    let rest = header[at + key.len() + 3..].trim_start();
    let end = match rest.starts_with('(') {
        true => rest.find(')')? + 1,
        false => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim())
}

/// Numbers of a type that numpy names, such as `<f8`.
fn values(kind: &str, data: &[u8], n: usize) -> std::result::Result<Values, String> {
    let short = || "is truncated".to_string();
    fn read<const N: usize, T>(data: &[u8], n: usize, of: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let data = data.get(..n.checked_mul(N)?)?;
        Some(data.as_chunks::<N>().0.iter().map(|b| of(*b)).collect())
    }
    let whole = |values: Option<Vec<i64>>| values.map(Values::Whole);
    let read = match kind {
        "<f8" => read(data, n, f64::from_le_bytes).map(Values::Real),
        "<f4" => read(data, n, f32::from_le_bytes).map(Values::Short),
        "<i8" => whole(read(data, n, i64::from_le_bytes)),
        "<i4" => whole(read(data, n, |b| i32::from_le_bytes(b).into())),
        "<i2" => whole(read(data, n, |b| i16::from_le_bytes(b).into())),
        "|i1" => whole(read(data, n, |b: [u8; 1]| (b[0] as i8).into())),
        "|u1" | "|b1" => whole(read(data, n, |b: [u8; 1]| b[0].into())),
        "<u2" => whole(read(data, n, |b| u16::from_le_bytes(b).into())),
        "<u4" => whole(read(data, n, |b| u32::from_le_bytes(b).into())),
        "<u8" => read(data, n, u64::from_le_bytes).map(Values::Large),
        "|O" => return Err("holds Python objects, and expected are numbers".into()),
        text if text.starts_with("<U") => {
            let letters: usize = text[2..]
                .parse()
                .map_err(|_| format!("holds the unknown type {text}"))?;
            let length = letters.max(1).checked_mul(4).ok_or_else(short)?;
            let data = data.get(..n.saturating_mul(length)).ok_or_else(short)?;
            let word = |bytes: &[u8]| {
                let codes = bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
                codes.take_while(|&c| c != 0).filter_map(char::from_u32).collect()
            };
            Some(Values::Text(data.chunks_exact(length).map(word).collect()))
        }
        other => {
            return Err(format!(
                "holds the type {other}; expected are <f8, <f4 and whole numbers"
            ));
        }
    };
    read.ok_or_else(short)
}

fn transposed(values: Values, rows: usize, width: usize) -> Values {
    fn turn<T: Clone>(v: &[T], rows: usize, width: usize) -> Vec<T> {
        (0..rows * width)
            .map(|i| v[(i % width) * rows + i / width].clone())
            .collect()
    }
    match values {
        Values::Whole(v) => Values::Whole(turn(&v, rows, width)),
        Values::Large(v) => Values::Large(turn(&v, rows, width)),
        Values::Real(v) => Values::Real(turn(&v, rows, width)),
        Values::Short(v) => Values::Short(turn(&v, rows, width)),
        Values::Text(v) => Values::Text(turn(&v, rows, width)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn arrays_in_either_order_are_read_row_by_row() {
        let numbers: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        for (fortran, expected) in [
            ("False", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            ("True", [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
        ] {
            let header = format!("{{'descr': '<f4', 'fortran_order': {fortran}, 'shape': (2, 3), }}\n");
            let field = array("a", &npy(&header, &numbers)).unwrap();
            assert_eq!((field.width, field.values), (3, Values::Short(expected.to_vec())));
        }
        let header = "{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }\n";
        let words: Vec<u8> = ['a', 'b', 'ü', '\0']
            .iter()
            .flat_map(|c| u32::from(*c).to_le_bytes())
            .collect();
        let field = array("a", &npy(header, &words)).unwrap();
        assert_eq!(field.values, Values::Text(vec!["ab".into(), "ü".into()]));
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        let header =
            |kind: &str, shape: &str| format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        for (bytes, part) in [
            (b"text".to_vec(), "no array of numpy"),
            (b"\x93NUMPY".to_vec(), "truncated"),
            (npy(&header("<f8", "(2,)"), &[0; 15]), "truncated"),
            (
                npy(&header("<f8", "(18446744073709551615, 2)"), &[0; 15]),
                "unusable header",
            ),
            (npy(&header("<U4611686018427387904", "(1,)"), &[0; 8]), "truncated"),
            (npy(&header("|O", "(1,)"), &[0; 8]), "Python objects"),
            (npy(&header("<c16", "(1,)"), &[0; 16]), "<c16"),
            (npy(&header("<f8", "(1, 1, 1)"), &[0; 8]), "3 dimensions"),
            (npy("{}", &[]), "unusable header {}"),
        ] {
            let what = array("a", &bytes).unwrap_err();
            assert!(what.contains(part), "{what}");
        }
    }
}
