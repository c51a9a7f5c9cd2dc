//! A file's bytes up to the tensors: nothing in it is believed before it is checked, so that a damaged file is a sentence.

use std::collections::HashMap;
use std::ops::Range;

use super::{Described, Value};
use crate::checkpoint::Encoding;

type Read<T> = Result<T, String>;

/// Where the tensors begin is a multiple of it, unless the metadata says otherwise.
const ALIGNMENT: usize = 32;
/// The most dimensions that a tensor has.
const DIMENSIONS: u32 = 4;
/// The most bytes of a key or a tensor's name that the format allows.
const NAME: usize = 65_535;
/// The most values of a list: some hundred thousand tokens are usual.
const LIST: usize = 1 << 24;

/// The types of tensors by their numbers; those without an encoding are named in messages.
const TYPES: [(u32, &str, Option<Encoding>); 32] = [
    (0, "F32", Some(Encoding::F32)),
    (1, "F16", Some(Encoding::F16)),
    (2, "Q4_0", Some(Encoding::Q4_0)),
    (3, "Q4_1", Some(Encoding::Q4_1)),
    (6, "Q5_0", Some(Encoding::Q5_0)),
    (7, "Q5_1", Some(Encoding::Q5_1)),
    (8, "Q8_0", Some(Encoding::Q8_0)),
    (9, "Q8_1", None),
    (10, "Q2_K", None),
    (11, "Q3_K", None),
    (12, "Q4_K", Some(Encoding::Q4_K)),
    (13, "Q5_K", Some(Encoding::Q5_K)),
    (14, "Q6_K", Some(Encoding::Q6_K)),
    (15, "Q8_K", None),
    (16, "IQ2_XXS", None),
    (17, "IQ2_XS", None),
    (18, "IQ3_XXS", None),
    (19, "IQ1_S", None),
    (20, "IQ4_NL", None),
    (21, "IQ3_S", None),
    (22, "IQ2_S", None),
    (23, "IQ4_XS", None),
    (24, "I8", None),
    (25, "I16", None),
    (26, "I32", None),
    (27, "I64", None),
    (28, "F64", None),
    (29, "IQ1_M", None),
    (30, "BF16", Some(Encoding::BF16)),
    (34, "TQ1_0", None),
    (35, "TQ2_0", None),
    (39, "MXFP4", None),
];

/// Metadata and tensors of a file.
///
/// # Errors
/// What is wrong with it, to be put behind its name.
pub(super) fn description(file: &[u8]) -> Read<(HashMap<String, Value>, HashMap<String, Described>)> {
    let mut cursor = Cursor { file, at: 0 };
    let magic = file.get(..4).unwrap_or(file);
    if magic != b"GGUF" {
        return Err(
            "is not a GGUF file, which begins with the letters GGUF; a model is such a file or a folder as Hugging Face writes it".into(),
        );
    }
    cursor.take(4)?;
    match cursor.u32()? {
        2 | 3 => {}
        swapped if swapped.swap_bytes() < 0x100 => {
            return Err("is a GGUF file for machines of the other byte order, which is not supported".into());
        }
        version => return Err(format!("is in version {version} of GGUF; 2 and 3 can be read")),
    }
    let tensors = cursor.u64()?;
    let entries = cursor.u64()?;
    let mut metadata = HashMap::new();
    for _ in 0..entries {
        let key = cursor.name("a key of the metadata")?;
        let kind = cursor.u32()?;
        let value = cursor.value(kind, &key)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(format!("the metadata has {key} twice"));
        }
    }
    let alignment = match metadata.get("general.alignment") {
        None => ALIGNMENT,
        Some(value) => value
            .count()
            .filter(|n| n.is_power_of_two())
            .ok_or_else(|| format!("general.alignment is {}, and must be a power of two", value.shown()))?,
    };
    let mut described = Vec::new();
    for _ in 0..tensors {
        described.push(cursor.tensor()?);
    }
    let start = cursor.at.checked_next_multiple_of(alignment);
    let start = start.ok_or("general.alignment is larger than any file")?;
    let mut all = HashMap::new();
    for (name, mut tensor, from) in described {
        let range = start
            .checked_add(from)
            .and_then(|from| Some(from..from.checked_add(tensor.bytes.len())?));
        tensor.bytes = range.filter(|r| r.end <= file.len()).ok_or_else(|| {
            format!(
                "is cut short or damaged: the tensor {name} lies behind the end of the file, which has {} bytes",
                file.len()
            )
        })?;
        if !tensor.bytes.start.is_multiple_of(alignment) {
            return Err(format!(
                "is damaged: the tensor {name} does not begin at a multiple of {alignment} bytes"
            ));
        }
        if all.insert(name.clone(), tensor).is_some() {
            return Err(format!("has the tensor {name} twice"));
        }
    }
    Ok((metadata, all))
}

struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let range: Option<Range<usize>> = self.at.checked_add(n).map(|end| self.at..end);
        let bytes = range.and_then(|r| self.file.get(r)).ok_or_else(|| {
            format!(
                "is cut short or damaged: {n} bytes are expected at byte {}, and the file has {}",
                self.at,
                self.file.len()
            )
        })?;
        self.at += n;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were asked for"))
    }

    fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn size(&mut self) -> Read<usize> {
        let n = self.u64()?;
        usize::try_from(n).map_err(|_| format!("is damaged: a size of {n}"))
    }

    fn text(&mut self, what: &str) -> Read<String> {
        let n = self.size()?;
        let at = self.at;
        let text = std::str::from_utf8(self.take(n)?);
        text.map(String::from)
            .map_err(|_| format!("is damaged: {what} at byte {at} is not UTF-8"))
    }

    fn name(&mut self, what: &str) -> Read<String> {
        let name = self.text(what)?;
        if name.len() > NAME || name.contains(char::is_control) {
            return Err(format!(
                "is damaged: {what} before byte {} is no name of printable characters",
                self.at
            ));
        }
        Ok(name)
    }

    /// A value of the type of this number.
    fn value(&mut self, kind: u32, key: &str) -> Read<Value> {
        let value = match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Integer(self.u32()?.into()),
            5 => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(decimal(f32::from_le_bytes(self.array()?))),
            7 => Value::Flag(self.array::<1>()? != [0]),
            8 => Value::Text(self.text(key)?),
            9 => {
                let inner = self.u32()?;
                if inner == 9 {
                    return Err(format!("{key} is a list of lists, which is not supported"));
                }
                let n = self.size()?;
                if n > LIST {
                    return Err(format!(
                        "is damaged: {key} is a list of {n} values; at most {LIST} are read"
                    ));
                }
                let mut list = Vec::new();
                for _ in 0..n {
                    list.push(self.value(inner, key)?);
                }
                Value::List(list)
            }
            10 => Value::Integer(self.u64()?.into()),
            11 => Value::Integer(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("is damaged: {key} has the type {other}, which does not exist")),
        };
        Ok(value)
    }

    /// A tensor's name, what it is, with as many bytes as it has, and where they begin, counted from where the tensors do.
    fn tensor(&mut self) -> Read<(String, Described, usize)> {
        let name = self.name("a tensor's name")?;
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS {
            return Err(format!(
                "is damaged: the tensor {name} has {dimensions} dimensions; at most {DIMENSIONS} are allowed"
            ));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.size()?);
        }
        shape.reverse();
        let kind = self.u32()?;
        let from = self.size()?;
        let known = TYPES.iter().find(|(number, ..)| *number == kind);
        let encoding = known.and_then(|(.., encoding)| *encoding).ok_or_else(|| {
            let shown = known.map_or_else(|| format!("number {kind}"), |(_, name, _)| (*name).into());
            let readable = TYPES.iter().filter(|t| t.2.is_some()).map(|t| t.1);
            format!(
                "the tensor {name} is of the type {shown}, which is not supported; {} are",
                readable.collect::<Vec<_>>().join(", ")
            )
        })?;
        let columns = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().rev().skip(1).try_fold(1_usize, |n, d| n.checked_mul(*d));
        let row = encoding.bytes(columns).ok_or_else(|| {
            format!(
                "is damaged: the tensor {name} has rows of {columns} numbers, which are no whole blocks of {}",
                encoding.block().0
            )
        })?;
        let size = rows.and_then(|rows| rows.checked_mul(row));
        let size = size.ok_or_else(|| format!("is damaged: the tensor {name} is larger than any file"))?;
        let described = Described {
            shape,
            encoding,
            bytes: 0..size,
        };
        Ok((name, described, from))
    }
}

/// The number that its shortest decimal digits mean: 0.00001 is stored in four bytes, and 0.000009999999747378752 is not what was meant.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}
