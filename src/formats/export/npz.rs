//! numpy's `.npz`: a ZIP archive (APPNOTE 6.3) of `.npy` files (format 1.0 of numpy/lib/format.py), stored without compression. No crate
//! was found that writes both without holding an array in memory, and neither takes more than a page.

use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;

use illume_core::{Batch, Column};

use super::{Genes, scalars};
use crate::engine::output::Fault;

/// Genes that are held at a time.
const GENES_AT_ONCE: usize = 1 << 23;

/// Writes every column of these tables but genomes as an array (`[rows]`, or `[rows, width]` for descriptors and other columns of several
/// numbers), the names of the descriptor's axes and of the operators, and, if there are any, the genes as `genome` `[rows, dim]` f32.
/// `written` is told how many genomes are.
///
/// # Errors
/// `to` cannot be written, or the genes cannot be read.
pub fn npz(
    to: &mut (impl Write + Seek),
    tables: [Option<&Batch>; 2],
    [axes, operators]: [&[String]; 2],
    genes: Option<&Genes<'_>>,
    mut written: impl FnMut(usize),
) -> Result<(), Fault> {
    let mut zip = Zip::new(to);
    for table in tables.into_iter().flatten() {
        for column in scalars(table) {
            zip.array(column, table.rows())?;
        }
    }
    for (name, words) in [("axes", axes), ("operators", operators)] {
        zip.words(name, words)?;
    }
    if let Some(genes) = genes {
        let (rows, dim) = (genes.rows(), genes.dim);
        zip.begin("genome", "<f4", &[rows, dim], (rows * dim * 4) as u64)?;
        let mut bytes = Vec::new();
        for piece in pieces(rows, dim) {
            bytes.clear();
            let data = genes.read(piece.clone())?;
            bytes.extend(data.iter().flat_map(|x| x.to_le_bytes()));
            zip.add(&bytes)?;
            written(piece.end);
        }
        zip.end()?;
    }
    Ok(zip.finish()?)
}

fn pieces(rows: usize, dim: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (GENES_AT_ONCE / dim.max(1)).max(1);
    (0..rows)
        .step_by(step)
        .map(move |start| start..(start + step).min(rows))
}

/// A file in a ZIP archive.
struct Entry {
    name: String,
    /// Where its header begins.
    at: u64,
    size: u64,
    crc: u32,
}

/// A ZIP archive being written. Sizes are known before and checksums after: these are put in when an entry ends.
struct Zip<'a, W> {
    to: &'a mut W,
    at: u64,
    entries: Vec<Entry>,
    crc: crc32fast::Hasher,
    /// What does not fit into 32 bits: from here on fields of 64 bits are used.
    large: u64,
}

/// 1 January 1980, the beginning of ZIP's time: equal archives give equal files.
const DATE: u16 = 0x21;
/// Version 4.5 of the format has fields of 64 bits.
const VERSION: u16 = 45;
const UNIX: u16 = 3 << 8;
const UTF8: u16 = 1 << 11;

impl<'a, W: Write + Seek> Zip<'a, W> {
    fn new(to: &'a mut W) -> Zip<'a, W> {
        Zip {
            to,
            at: 0,
            entries: Vec::new(),
            crc: crc32fast::Hasher::new(),
            large: 0xffff_ffff,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.at += bytes.len() as u64;
        self.to.write_all(bytes)
    }

    /// A column as an array.
    fn array(&mut self, column: &Column, rows: usize) -> std::io::Result<()> {
        let kind = column.data.type_name();
        let (letter, bits) = kind.split_at(1);
        let size = bits.parse::<u32>().unwrap_or(8) / 8;
        let kind = format!("{}{letter}{size}", if size == 1 { '|' } else { '<' });
        let plain = column.width == 1 && column.name != "descriptor";
        let shape = if plain { vec![rows] } else { vec![rows, column.width] };
        let mut bytes = Vec::new();
        column.data.write_bytes(0..column.data.len(), &mut bytes);
        self.begin(&column.name, &kind, &shape, bytes.len() as u64)?;
        self.add(&bytes)?;
        self.end()
    }

    /// Texts as an array of numpy's `str`: all as long as the longest, four bytes a character.
    fn words(&mut self, name: &str, words: &[String]) -> std::io::Result<()> {
        let longest = words.iter().map(|w| w.chars().count()).max().unwrap_or(0).max(1);
        let mut bytes = Vec::new();
        for word in words {
            let letters = word.chars().chain(std::iter::repeat('\0')).take(longest);
            bytes.extend(letters.flat_map(|c| u32::from(c).to_le_bytes()));
        }
        self.begin(name, &format!("<U{longest}"), &[words.len()], bytes.len() as u64)?;
        self.add(&bytes)?;
        self.end()
    }

    /// Begins the file of an array of `bytes` bytes.
    fn begin(&mut self, name: &str, kind: &str, shape: &[usize], bytes: u64) -> std::io::Result<()> {
        let lengths: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let lengths = lengths.trim_end_matches(if shape.len() > 1 { ", " } else { " " });
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({lengths}), }}");
        // Data begin at a multiple of 64 bytes from the file's start.
        let before = 10;
        let padding = 63 - (before + header.len()) % 64;
        header.extend(std::iter::repeat_n(' ', padding));
        header.push('\n');
        let mut preamble = b"\x93NUMPY\x01\x00".to_vec();
        preamble.extend((header.len() as u16).to_le_bytes());
        preamble.extend(header.as_bytes());

        let size = preamble.len() as u64 + bytes;
        let name = format!("{name}.npy");
        let mut fields = Fields::default();
        fields.word(0x0403_4b50).halves(&[VERSION, UTF8, 0, 0, DATE]).word(0);
        // As numpy itself writes it: sizes in the 64 bits of the extra field, for readers of any age.
        fields.word(u32::MAX).word(u32::MAX).halves(&[name.len() as u16, 20]);
        fields.0.extend(name.as_bytes());
        fields.halves(&[1, 16]).long(size).long(size);
        self.entries.push(Entry {
            name,
            at: self.at,
            size,
            crc: 0,
        });
        self.put(&fields.0)?;
        self.add(&preamble)
    }

    /// Goes on with the file that was begun.
    fn add(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.crc.update(bytes);
        self.put(bytes)
    }

    /// Ends it: its checksum goes into its header.
    fn end(&mut self) -> std::io::Result<()> {
        let crc = std::mem::replace(&mut self.crc, crc32fast::Hasher::new()).finalize();
        let entry = self.entries.last_mut().expect("a file was begun");
        entry.crc = crc;
        let of_crc = entry.at + 14;
        self.to.seek(SeekFrom::Start(of_crc))?;
        self.to.write_all(&crc.to_le_bytes())?;
        self.to.seek(SeekFrom::Start(self.at)).map(drop)
    }

    /// The directory of all files, at the end.
    fn finish(mut self) -> std::io::Result<()> {
        let (start, entries) = (self.at, std::mem::take(&mut self.entries));
        let large = |x: u64| x >= self.large;
        let narrow = |x: u64| if large(x) { u32::MAX } else { x as u32 };
        let mut directory = Fields::default();
        for e in &entries {
            let mut extra = Fields::default();
            if large(e.size) {
                extra.long(e.size).long(e.size);
            }
            if large(e.at) {
                extra.long(e.at);
            }
            let wide = extra.0.len() as u16;
            directory.word(0x0201_4b50);
            directory
                .halves(&[UNIX | VERSION, VERSION, UTF8, 0, 0, DATE])
                .word(e.crc);
            directory.word(narrow(e.size)).word(narrow(e.size));
            let of_extra = if wide > 0 { wide + 4 } else { 0 };
            directory.halves(&[e.name.len() as u16, of_extra, 0, 0, 0]);
            // Permissions of a file of Unix: -rw-r--r--.
            directory.word(0o100_644 << 16).word(narrow(e.at));
            directory.0.extend(e.name.as_bytes());
            if wide > 0 {
                directory.halves(&[1, wide]);
                directory.0.extend(&extra.0);
            }
        }
        let (count, size, end) = (
            entries.len() as u64,
            directory.0.len() as u64,
            start + directory.0.len() as u64,
        );
        if large(start) || large(size) {
            directory.word(0x0606_4b50).long(44).halves(&[UNIX | VERSION, VERSION]);
            directory.word(0).word(0).long(count).long(count).long(size).long(start);
            directory.word(0x0706_4b50).word(0).long(end).word(1);
        }
        directory.word(0x0605_4b50).halves(&[0, 0, count as u16, count as u16]);
        directory.word(narrow(size)).word(narrow(start)).halves(&[0]);
        self.put(&directory.0)
    }
}

/// Numbers one after another, least significant byte first.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn halves(&mut self, values: &[u16]) -> &mut Fields {
        self.0.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        self
    }

    fn word(&mut self, value: u32) -> &mut Fields {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn long(&mut self, value: u64) -> &mut Fields {
        self.0.extend(value.to_le_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn table() -> Batch {
        let mut table = Batch::new();
        table.push("fitness", 1, "", "", vec![1.5f64, -2.0]);
        table.push("descriptor", 1, "", "", vec![0.25f64, 0.5]);
        table.push("operator", 1, "", "", vec![0i32, 1]);
        table
    }

    fn written(large: u64) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut zip = Zip::new(&mut file);
        zip.large = large;
        let table = table();
        scalars(&table).for_each(|c| zip.array(c, 2).unwrap());
        zip.words("axes", &["x".into(), "über".into()]).unwrap();
        zip.finish().unwrap();
        file.into_inner()
    }

    fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
        bytes[at..at + width]
            .iter()
            .rev()
            .fold(0, |n, b| n << 8 | u64::from(*b))
    }

    /// Reads the directory as a reader does, from the end; gives names and contents.
    fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let end = bytes.len() - 22;
        assert_eq!(number(bytes, end, 4), 0x0605_4b50);
        let (count, mut at) = (number(bytes, end + 10, 2), number(bytes, end + 16, 4));
        if at == 0xffff_ffff {
            let locator = end - 20;
            assert_eq!(number(bytes, locator, 4), 0x0706_4b50);
            let record = number(bytes, locator + 8, 8) as usize;
            assert_eq!(
                (number(bytes, record, 4), number(bytes, record + 32, 8)),
                (0x0606_4b50, count)
            );
            at = number(bytes, record + 48, 8);
        }
        let mut at = at as usize;
        let mut files = Vec::new();
        for _ in 0..count {
            assert_eq!(number(bytes, at, 4), 0x0201_4b50);
            let [mut size, mut header] = [number(bytes, at + 24, 4), number(bytes, at + 42, 4)];
            let [name, extra] = [28, 30].map(|field| number(bytes, at + field, 2) as usize);
            let text = String::from_utf8(bytes[at + 46..at + 46 + name].to_vec()).unwrap();
            let mut field = at + 46 + name + 4;
            if size == 0xffff_ffff {
                size = number(bytes, field, 8);
                field += 16;
            }
            if header == 0xffff_ffff {
                header = number(bytes, field, 8);
            }
            let header = header as usize;
            assert_eq!(number(bytes, header, 4), 0x0403_4b50);
            assert_eq!(number(bytes, header + 14, 4), number(bytes, at + 16, 4), "checksums");
            let [name_here, extra_here] = [26, 28].map(|field| number(bytes, header + field, 2) as usize);
            let data = header + 30 + name_here + extra_here;
            let contents = bytes[data..data + size as usize].to_vec();
            assert_eq!(u64::from(crc32fast::hash(&contents)), number(bytes, at + 16, 4));
            files.push((text, contents));
            at += 46 + name + extra;
        }
        files
    }

    #[test]
    fn what_is_written_is_read_with_fields_of_32_and_of_64_bits() {
        let files = unzip(&written(0xffff_ffff));
        assert_eq!(files, unzip(&written(300)));
        assert_eq!(files, unzip(&written(0)));
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["fitness.npy", "descriptor.npy", "operator.npy", "axes.npy"]);
        let header = |i: usize| String::from_utf8_lossy(&files[i].1[10..128]).trim_end().to_string();
        assert_eq!(header(0), "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }");
        assert_eq!(header(1), "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }");
        assert_eq!(header(2), "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }");
        assert_eq!(header(3), "{'descr': '<U4', 'fortran_order': False, 'shape': (2,), }");
        assert_eq!(
            files[0].1[128..],
            [1.5f64.to_le_bytes(), (-2.0f64).to_le_bytes()].concat()
        );
    }
}
