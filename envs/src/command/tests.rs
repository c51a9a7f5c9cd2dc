//! What answers of programs mean, byte by byte; programs themselves are tried in `tests/command.rs` of the root.

use super::log::{Log, Tail};
use super::protocol::{Answered, Asked, Frames, Shape, greeting, request};

fn shape(rows: usize, k: usize, frames: Frames) -> Shape {
    Shape {
        rows,
        objectives: 0,
        k,
        frames,
        steps: false,
    }
}

fn read(shape: Shape, text: &str) -> (Result<Answered, String>, Option<String>) {
    let mut failed = None;
    let answered = shape.read(text.as_bytes(), &mut failed);
    (answered, failed)
}

#[test]
fn numbers_that_are_none_are_nan_as_python_c_and_javascript_write_them() {
    let json = shape(2, 1, Frames::Json);
    for word in [
        "null",
        "NaN",
        "-NaN",
        "nan",
        "-nan",
        "Infinity",
        "-Infinity",
        "inf",
        "-inf",
    ] {
        let text = format!("{{\"fitness\": [{word}, 1.5], \"descriptor\": [[0.25], [{word}]]}}\n");
        let answered = read(json, &text).0.unwrap_or_else(|e| panic!("{word}: {e}"));
        assert!(answered.values[0].is_nan() && answered.descriptor[1].is_nan(), "{word}");
        assert_eq!((answered.values[1], answered.descriptor[0]), (1.5, 0.25));
    }
    // Within a text such a word is one.
    let (answered, failed) = read(json, "{\"error\": \"NaN in the \\\"solver\\\"\", \"fitness\": [NaN]}\n");
    assert_eq!(
        (answered.unwrap(), failed.unwrap()),
        (Answered::default(), "NaN in the \"solver\"".into())
    );
}

#[test]
fn an_answer_of_another_shape_is_told() {
    let json = shape(2, 2, Frames::Json);
    for text in [
        "{\"fitness\": [1, 2]}",
        "{\"fitness\": [1], \"descriptor\": [[0, 0], [0, 0]]}",
        "{\"fitness\": [1, 2], \"descriptor\": [[0, 0], [0]]}",
        "{\"fitness\": [1, 2], \"descriptor\": [[0, 0], [0, 0]], \"steps\": [1, 2]}",
        "{\"fitnes\": [1, 2]}",
        "[1, 2]",
        "",
    ] {
        let error = read(json, text).0.unwrap_err();
        assert!(
            error.contains("expected a line of JSON {\"fitness\": 2 numbers"),
            "{text}: {error}"
        );
    }
    // A descriptor without axes may be said as lists of nothing.
    let plain = read(
        shape(2, 0, Frames::Json),
        "{\"fitness\": [1, 2], \"descriptor\": [[], []]}",
    );
    assert_eq!(plain.0.unwrap().values, [1.0, 2.0]);
}

#[test]
fn frames_end_where_they_say_and_a_wrong_length_is_told_at_once() {
    let binary = shape(2, 1, Frames::Binary);
    let mut answer = 32u32.to_le_bytes().to_vec();
    [1.0, 0.5, f64::NAN, 0.25]
        .iter()
        .for_each(|x: &f64| answer.extend(x.to_le_bytes()));
    for cut in 0..answer.len() {
        assert_eq!(binary.ends(&answer[..cut], 0), Ok(None), "{cut}");
    }
    assert_eq!(binary.ends(&answer, 0), Ok(Some(36)));
    let answered = binary.read(&answer, &mut None).unwrap();
    assert!(answered.values[0] == 1.0 && answered.values[1].is_nan() && answered.descriptor == [0.5, 0.25]);
    assert_eq!(binary.ends(&0u32.to_le_bytes(), 0), Ok(Some(4)), "the request failed");
    let error = binary.ends(b"hello", 0).unwrap_err();
    assert!(
        error.contains("expected 32 for 2 rows of 2 numbers") && error.contains("\"hello\""),
        "{error}"
    );
}

#[test]
fn both_forms_say_the_same_numbers() {
    let (genes, seeds) = ([0.1f32, -3.5, 1e-30, 0.7], [7, (1 << 53) - 1]);
    let asked = Asked {
        genes: &genes,
        seeds: &seeds,
    };
    let mut out = Vec::new();
    request(Frames::Json, &asked, &mut out);
    let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let found: Vec<f64> = line["genomes"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|x| x.as_f64().unwrap())
        .collect();
    assert_eq!(found, genes.map(f64::from));
    assert_eq!(line["seeds"][1].as_u64(), Some((1 << 53) - 1));
    request(Frames::Binary, &asked, &mut out);
    assert_eq!(out.len(), 12 + 16 + 16);
    assert_eq!(
        (&out[..4], &out[4..8]),
        (&40u32.to_le_bytes()[..], &2u32.to_le_bytes()[..])
    );
    assert_eq!(&out[28..32], &0.1f32.to_le_bytes());
}

#[test]
fn a_greeting_is_checked_word_by_word() {
    assert!(greeting(b"{\"illume\": 1, \"dim\": 3}").is_ok());
    for (text, part) in [
        ("{\"illume\": 2}", "version 2"),
        ("{\"dim\": 3}", "missing field `illume`"),
        ("{\"illume\": 1, \"dim\": -3}", "invalid value"),
        ("{\"illume\": 1, \"frames\": \"xml\"}", "unknown variant `xml`"),
        ("{\"error\": \"no licence\"}", "reported: no licence"),
    ] {
        let error = greeting(text.as_bytes()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_last_words_are_the_last_line_that_says_something() {
    let mut tail = Tail::default();
    assert_eq!(tail.last(), None);
    for piece in [
        &b"Traceback\nZero"[..],
        b"DivisionError: no mass\n",
        b"\n  \n",
        b"begun",
    ] {
        tail.push(piece);
    }
    assert_eq!(tail.last(), Some("ZeroDivisionError: no mass"));
    tail.push(&[b'x'; 100_000]);
    tail.push(b"\n");
    assert_eq!(tail.last().map(str::len), Some(200));
}

#[test]
fn what_is_written_before_there_is_a_file_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = (Log::default(), folder.path().join("program-0.log"));
    log.write(b"early\n");
    assert_eq!(log.path(), None);
    log.open(&path);
    log.write(b"late\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "early\nlate\n");
    assert_eq!(log.path(), Some(path));
}

#[test]
fn several_objectives_stand_where_the_fitness_does() {
    let json = Shape {
        objectives: 2,
        ..shape(2, 1, Frames::Json)
    };
    let answer = "{\"objectives\": [[1, null], [2.5, -3]], \"descriptor\": [[0.5], [0.25]]}";
    let answered = read(json, answer).0.unwrap();
    assert!(answered.values[0] == 1.0 && answered.values[1].is_nan() && answered.values[2..] == [2.5, -3.0]);
    for (text, part) in [
        (
            "{\"objectives\": [[1, 2], [1]], \"descriptor\": [[0], [0]]}",
            "objectives of 1 numbers",
        ),
        ("{\"fitness\": [1, 2], \"descriptor\": [[0], [0]]}", "0 of objectives"),
    ] {
        let error = read(json, text).0.unwrap_err();
        let expected = "expected a line of JSON {\"objectives\": 2 lists of 2 numbers";
        assert!(error.contains(part) && error.contains(expected), "{error}");
    }
    let binary = Shape {
        frames: Frames::Binary,
        ..json
    };
    let mut answer = 48u32.to_le_bytes().to_vec();
    [1.0, 2.0, 0.5, 3.0, 4.0, 0.25]
        .iter()
        .for_each(|x: &f64| answer.extend(x.to_le_bytes()));
    let answered = binary.read(&answer, &mut None).unwrap();
    assert_eq!(
        (answered.values, answered.descriptor),
        (vec![1.0, 2.0, 3.0, 4.0], vec![0.5, 0.25])
    );
}
