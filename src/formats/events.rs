//! TensorBoard's event files: records of TensorFlow (length, masked CRC-32C, data, masked CRC-32C) that hold `Event` messages.
//!
//! The messages are those parts of `event.proto` and `summary.proto` that scalars and images need, declared by hand with the numbers of
//! those files (<https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto>).

use prost::Message;

/// What the first event of a file says.
const VERSION: &str = "brain.Event:2";

/// `SessionLog.SessionStatus.START`.
const START: i32 = 1;

/// Red, green, blue and opacity.
const COLOURS: i32 = 4;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded_image_string: Vec<u8>,
}

/// When something was, in seconds since 1970, and at which step.
pub type Moment = (f64, i64);

/// What a file begins with. Readers forget what earlier files of the folder have from this step on.
pub fn start(out: &mut Vec<u8>, (wall_time, step): Moment) {
    let version = Event {
        wall_time,
        file_version: Some(VERSION.into()),
        ..Event::default()
    };
    let start = Event {
        wall_time,
        step,
        session_log: Some(SessionLog { status: START }),
        ..Event::default()
    };
    record(out, &version.encode_to_vec());
    record(out, &start.encode_to_vec());
}

/// Numbers by name; those that do not exist (NaN) are left out.
pub fn scalars<'n>(out: &mut Vec<u8>, moment: Moment, numbers: impl Iterator<Item = (&'n str, f64)>) {
    let value = |(name, x): (&str, f64)| Value {
        tag: name.into(),
        simple_value: Some(x as f32),
        image: None,
    };
    summary(out, moment, numbers.filter(|(_, x)| !x.is_nan()).map(value).collect());
}

/// A picture: a PNG of these pixels.
pub fn image(out: &mut Vec<u8>, moment: Moment, name: &str, [width, height]: [u32; 2], png: Vec<u8>) {
    let pixels = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let image = Image {
        height: pixels(height),
        width: pixels(width),
        colorspace: COLOURS,
        encoded_image_string: png,
    };
    let value = Value {
        tag: name.into(),
        simple_value: None,
        image: Some(image),
    };
    summary(out, moment, vec![value]);
}

fn summary(out: &mut Vec<u8>, (wall_time, step): Moment, value: Vec<Value>) {
    let event = Event {
        wall_time,
        step,
        summary: Some(Summary { value }),
        ..Event::default()
    };
    record(out, &event.encode_to_vec());
}

fn record(out: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked(crc32c(&length)).to_le_bytes());
    out.extend(data);
    out.extend(masked(crc32c(data)).to_le_bytes());
}

/// As TensorFlow stores checksums (`tensorflow/core/lib/hash/crc32c.h`): that of data with a checksum in them would be weak.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Castagnoli's CRC-32 (RFC 3720, appendix B.4).
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let next = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !data.iter().fold(!0, next)
}

const fn table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// Written by `RecordWriter` and the messages of the package tensorboard 2.21.0.
    #[test]
    fn a_file_is_what_the_package_tensorboard_writes_of_the_same_events() {
        let recorded = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c0d000000000000003c37b834\
                        0900000000000004403a0208011da550a8300000000000000095f5d05f09000000000000084010ac022a220a0f0a0871645f7363\
                        6f7265150000a0bf0a0f0a08636f76657261676515000000006a4c851d2700000000000000bbe1b14609000000000000104010ad\
                        022a190a170a0761726368697665220c080210031804220489504e47f022d605";
        let mut out = Vec::new();
        let version = Event {
            wall_time: 1.5,
            file_version: Some(VERSION.into()),
            ..Event::default()
        };
        record(&mut out, &version.encode_to_vec());
        let mut began = Vec::new();
        start(&mut began, (2.5, 0));
        out.extend(&began[version.encoded_len() + 16..]);
        let numbers = [("qd_score", -1.25), ("novelty", f64::NAN), ("coverage", 0.0)];
        scalars(&mut out, (3.0, 300), numbers.into_iter());
        image(&mut out, (4.0, 301), "archive", [3, 2], b"\x89PNG".to_vec());
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, recorded);
    }
}
