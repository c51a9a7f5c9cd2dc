//! numpy's `.npz`: a ZIP archive of `.npy` files (format 1.0 of numpy/lib/format.py), stored without compression.

use std::io::{Seek, Write};
use std::mem::ManuallyDrop;
use std::ops::Range;

use illume_core::{Batch, Column};
use zip::result::{ZipError, ZipResult};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{Genes, npy, pieces, scalars};
use crate::engine::output::Fault;

/// Writes every column of these tables but genomes as an array (`[rows]`, or `[rows, width]` for descriptors and other columns of several
/// numbers), the names of the descriptor's axes, of the operators and of several objectives (`objective_names`), and, if there are any, the genes under this name, `[rows, dim]` f32; where these have names and
/// values of their own, these as `genes` and `value`.
/// `written` is told how many genomes are.
///
/// # Errors
/// `to` cannot be written, or the genes cannot be read.
pub fn npz(
    to: &mut (impl Write + Seek),
    tables: [Option<&Batch>; 2],
    [axes, operators, objectives]: [&[String]; 3],
    genes: Option<(&str, &Genes<'_>)>,
    mut written: impl FnMut(usize),
) -> Result<(), Fault> {
    let mut npz = Npz::new(to);
    for table in tables.into_iter().flatten() {
        for column in scalars(table) {
            npz.array(column, table.rows())?;
        }
    }
    for (name, words) in [("axes", axes), ("operators", operators)] {
        npz.words(name, words)?;
    }
    if !objectives.is_empty() {
        npz.words("objective_names", objectives)?;
    }
    if let Some((name, genes)) = genes {
        npz.genomes(name, genes, &|piece| genes.read(piece), &mut written)?;
        if let Some(space) = &genes.space {
            npz.words("genes", &space.names())?;
            npz.genomes("value", genes, &|piece| genes.values(piece), &mut written)?;
        }
    }
    Ok(npz.finish()?)
}

impl From<ZipError> for Fault {
    fn from(e: ZipError) -> Fault {
        Fault::Disk(match e {
            ZipError::Io(e) => e,
            other => other.into(),
        })
    }
}

/// A ZIP archive being written. One that was dropped unfinished, as on a full disk, would try to finish and write on standard error.
struct Npz<'a, W: Write + Seek> {
    zip: ManuallyDrop<ZipWriter<&'a mut W>>,
}

impl<'a, W: Write + Seek> Npz<'a, W> {
    fn new(to: &'a mut W) -> Npz<'a, W> {
        let zip = ManuallyDrop::new(ZipWriter::new(to));
        Npz { zip }
    }

    /// A column as an array.
    fn array(&mut self, column: &Column, rows: usize) -> ZipResult<()> {
        let kind = column.data.type_name();
        let (letter, bits) = kind.split_at(1);
        let size = bits.parse::<u32>().unwrap_or(8) / 8;
        let kind = format!("{}{letter}{size}", if size == 1 { '|' } else { '<' });
        let plain = column.width == 1 && !["descriptor", "measures"].contains(&column.name.as_str());
        let shape = if plain { vec![rows] } else { vec![rows, column.width] };
        let mut bytes = Vec::new();
        column.data.write_bytes(0..column.data.len(), &mut bytes);
        self.begin(&column.name, &kind, &shape)?;
        Ok(self.zip.write_all(&bytes)?)
    }

    /// Numbers of all genomes, `[rows, dim]`, that are read piece by piece.
    fn genomes(
        &mut self,
        name: &str,
        genes: &Genes<'_>,
        read: &dyn Fn(Range<usize>) -> illume_core::Result<Vec<f32>>,
        written: &mut impl FnMut(usize),
    ) -> Result<(), Fault> {
        let (rows, dim) = (genes.rows(), genes.dim);
        self.begin(name, "<f4", &[rows, dim])?;
        for piece in pieces(rows, dim) {
            let data = read(piece.clone())?;
            let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.zip.write_all(&bytes)?;
            written(piece.end);
        }
        Ok(())
    }

    /// Texts as an array of numpy's `str`: all as long as the longest, four bytes a character.
    fn words(&mut self, name: &str, words: &[String]) -> ZipResult<()> {
        let longest = words.iter().map(|w| w.chars().count()).max().unwrap_or(0).max(1);
        let mut bytes = Vec::new();
        for word in words {
            let letters = word.chars().chain(std::iter::repeat('\0')).take(longest);
            bytes.extend(letters.flat_map(|c| u32::from(c).to_le_bytes()));
        }
        self.begin(name, &format!("<U{longest}"), &[words.len()])?;
        Ok(self.zip.write_all(&bytes)?)
    }

    /// Begins the file of an array, whose data are written next.
    fn begin(&mut self, name: &str, kind: &str, shape: &[usize]) -> ZipResult<()> {
        // As numpy itself writes it: sizes of 64 bits, whatever they are. One time for all: equal archives give equal files.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644)
            .large_file(true);
        self.zip.start_file(format!("{name}.npy"), options)?;
        Ok(self.zip.write_all(&npy::header(kind, shape))?)
    }

    /// The directory of all files, at the end.
    fn finish(self) -> ZipResult<()> {
        ManuallyDrop::into_inner(self.zip).finish().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read as _};

    fn written() -> Vec<u8> {
        let mut table = Batch::new();
        table.push("fitness", 1, "", "", vec![1.5f64, -2.0]);
        table.push("descriptor", 1, "", "", vec![0.25f64, 0.5]);
        table.push("operator", 1, "", "", vec![0i32, 1]);
        let mut file = Cursor::new(Vec::new());
        let words = [&["x".to_string(), "über".into()][..], &[], &[]];
        npz(&mut file, [Some(&table), None], words, None, |_| ()).unwrap();
        file.into_inner()
    }

    #[test]
    fn arrays_of_all_kinds_are_read_back() {
        let mut archive = zip::ZipArchive::new(Cursor::new(written())).unwrap();
        let files: Vec<(String, Vec<u8>)> = (0..archive.len())
            .map(|i| {
                let mut file = archive.by_index(i).unwrap();
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                (file.name().unwrap().to_string(), bytes)
            })
            .collect();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "fitness.npy",
                "descriptor.npy",
                "operator.npy",
                "axes.npy",
                "operators.npy"
            ]
        );
        let header = |i: usize| String::from_utf8_lossy(&files[i].1[10..128]).trim_end().to_string();
        assert_eq!(header(0), "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }");
        assert_eq!(header(1), "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }");
        assert_eq!(header(2), "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }");
        assert_eq!(header(3), "{'descr': '<U4', 'fortran_order': False, 'shape': (2,), }");
        assert_eq!(header(4), "{'descr': '<U1', 'fortran_order': False, 'shape': (0,), }");
        assert_eq!(
            files[0].1[128..],
            [1.5f64.to_le_bytes(), (-2.0f64).to_le_bytes()].concat()
        );
        assert_eq!(written(), written());
    }

    /// A disk that is full after so many bytes.
    struct Full(Cursor<Vec<u8>>, usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.position() as usize + bytes.len() > self.1 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Full {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn a_full_disk_is_reported_as_the_disk_says_it() {
        let mut table = Batch::new();
        table.push("fitness", 1, "", "", vec![0.0f64; 100]);
        let export = |room| {
            let mut disk = Full(Cursor::new(Vec::new()), room);
            npz(&mut disk, [Some(&table), None], [&[], &[], &[]], None, |_| ()).map(|()| disk.0.into_inner().len())
        };
        let size = export(usize::MAX).unwrap();
        for room in [0, 40, size / 2, size - 1] {
            let Err(Fault::Disk(e)) = export(room) else {
                panic!("{room} of {size} bytes were enough");
            };
            assert_eq!(e.kind(), std::io::ErrorKind::StorageFull, "{room}");
        }
        assert_eq!(export(size).unwrap(), size);
    }
}
