//! numpy's `.npy`: a header, then the numbers (format 1.0 of numpy/lib/format.py).

/// What stands before the numbers of an array of this type (as numpy names it: `<f4`) and shape, row-major.
pub fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let lengths: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let lengths = lengths.trim_end_matches(if shape.len() > 1 { ", " } else { " " });
    let mut about = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({lengths}), }}");
    // Numbers begin at a multiple of 64 bytes from the file's start.
    let before = 10;
    let padding = 63 - (before + about.len()) % 64;
    about.extend(std::iter::repeat_n(' ', padding));
    about.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((about.len() as u16).to_le_bytes());
    header.extend(about.as_bytes());
    header
}
