//! A data frame as text: what pandas' `to_csv` makes of `archive.data(return_type="pandas")`, and our own tables.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use illume_core::Result;

use super::frame::{self, Field, Values};
use super::{Foreign, Rounded, refuse};

/// Reads it. A number that is the shortest text of an f32 counts as one.
///
/// # Errors
/// A line with another number of fields than the header, a gene that is no number, or as [`frame::foreign`].
pub fn read(path: &Path) -> Result<Foreign> {
    let cannot = |e: std::io::Error| refuse(path, &e.to_string());
    let mut lines = BufReader::new(File::open(path).map_err(cannot)?).lines();
    let header = lines.next().transpose().map_err(cannot)?.unwrap_or_default();
    let header = fields(header.trim_start_matches('\u{feff}')).unwrap_or_default();
    if header.iter().all(String::is_empty) {
        return Err(refuse(path, "is empty; expected a header and a line for each elite"));
    }
    let groups = groups(&header);
    let solution = groups
        .iter()
        .find(|g| ["solution", "genome"].contains(&g.name.as_str()));
    let genes = solution.map_or(0..0, |g| g.first..g.first + g.width);
    let mut texts: Vec<Vec<String>> = vec![Vec::new(); header.len()];
    let (mut all_genes, mut rounded) = (Vec::new(), Rounded::default());
    let mut rows = 0;
    for (number, line) in lines.enumerate() {
        let line = line.map_err(cannot)?;
        if line.is_empty() {
            continue;
        }
        let at = |what: String| refuse(path, &format!("line {}: {what}", number + 2));
        let row = fields(&line).ok_or_else(|| at("a quoted field is not closed".into()))?;
        if row.len() != header.len() {
            return Err(at(format!(
                "expected {} fields as in the header, got {}",
                header.len(),
                row.len()
            )));
        }
        for (column, text) in row.into_iter().enumerate() {
            if genes.contains(&column) {
                let gene = gene(&text, &mut rounded);
                let no_number = || at(format!("{} is '{text}', and must be a number", header[column]));
                all_genes.push(gene.ok_or_else(no_number)?);
            } else {
                texts[column].push(text);
            }
        }
        rows += 1;
    }
    let mut found = Vec::new();
    for group in groups {
        let columns = &texts[group.first..group.first + group.width];
        let values = match group.first == genes.start && !genes.is_empty() {
            true => Values::Short(std::mem::take(&mut all_genes)),
            false => values(
                (0..rows).flat_map(|row| columns.iter().map(move |column| column[row].as_str())),
                rows * group.width,
            ),
        };
        found.push(Field {
            name: group.name,
            width: group.width,
            values,
        });
    }
    let mut foreign = frame::foreign(path, "a data frame", found)?;
    foreign.rounded = rounded;
    if header.iter().any(|name| name == "fitness") && foreign.axes.is_empty() {
        foreign.axes = own_axes(&header).unwrap_or_default();
    }
    Ok(foreign)
}

/// Columns of one name: `measures_0`, `measures_1`, ... are two numbers of `measures`.
struct Group {
    name: String,
    first: usize,
    width: usize,
}

fn groups(header: &[String]) -> Vec<Group> {
    let own = own_axes(header).map_or(0, |axes| axes.len());
    let mut groups: Vec<Group> = Vec::new();
    for (column, name) in header.iter().enumerate() {
        // Row numbers, which pandas writes before all else.
        if column == 0 && (name.is_empty() || name == "Unnamed: 0") {
            continue;
        }
        if own > 0 && (2..2 + own).contains(&column) {
            if column == 2 {
                groups.push(Group {
                    name: "descriptor".into(),
                    first: column,
                    width: own,
                });
            }
            continue;
        }
        let numbered = name
            .rsplit_once('_')
            .and_then(|(base, i)| Some((base, i.parse::<usize>().ok()?)));
        match (numbered, groups.last_mut()) {
            (Some((base, i)), Some(last)) if base == last.name && i == last.width && last.first + i == column => {
                last.width += 1;
            }
            (Some(("parent", 2)), Some(last)) if last.name == "parents" => last.width += 1,
            (Some((base, i)), _) => groups.push(Group {
                name: match (base, i) {
                    ("parent", 1) => "parents".into(),
                    (base, 0) => base.into(),
                    _ => name.clone(),
                },
                first: column,
                width: 1,
            }),
            (None, _) => groups.push(Group {
                name: name.clone(),
                first: column,
                width: 1,
            }),
        }
    }
    groups
}

/// The axes of our own tables: what stands between fitness and generation.
fn own_axes(header: &[String]) -> Option<Vec<String>> {
    let generation = header.iter().position(|name| name == "generation")?;
    (header.first()? == "cell" && header.get(1)? == "fitness").then(|| header[2..generation].to_vec())
}

/// The fields of a line, none where a quoted one is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = letters.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    (!quoted).then_some(fields)
}

/// A gene; rounded if it is neither an f32 nor the shortest text of one.
fn gene(text: &str, rounded: &mut Rounded) -> Option<f32> {
    let text = text.trim();
    let (kept, given): (f32, f64) = (text.parse().ok()?, text.parse().ok()?);
    let shortest = || kept.to_string().parse::<f64>().ok();
    if f64::from(kept) != given && shortest() != Some(given) && !given.is_nan() {
        rounded.add(given, kept);
    }
    Some(kept)
}

/// Texts as what all of them are: whole numbers, real ones (nothing is NaN), or texts.
fn values<'t>(texts: impl Iterator<Item = &'t str> + Clone, n: usize) -> Values {
    fn all<'t, T: std::str::FromStr>(texts: impl Iterator<Item = &'t str>) -> Option<Vec<T>> {
        texts.map(|text| text.trim().parse().ok()).collect()
    }
    let real = |text: &str| match text.trim() {
        "" => Some(f64::NAN),
        text => text.parse().ok(),
    };
    if let Some(whole) = all::<i64>(texts.clone()) {
        return Values::Whole(whole);
    }
    if let Some(large) = all::<u64>(texts.clone()) {
        return Values::Large(large);
    }
    if let Some(values) = texts.clone().map(real).collect::<Option<Vec<f64>>>() {
        return Values::Real(values);
    }
    let mut words = Vec::with_capacity(n);
    words.extend(texts.map(String::from));
    Values::Text(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Foreign> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frame.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_frame_of_pyribs_is_read_with_its_further_fields() {
        let foreign = parse(
            ",solution_0,solution_1,objective,measures_0,threshold,extra_0,extra_1,word,index\n\
             0,0.1,-2.0,1.5,0.30000000000000004,1.5,1,2,a,7\n\
             1,0.10000000149011612,0.1234567890123,-1e-300,1.0,-1e-300,3,4,b,0\n",
        )
        .unwrap();
        assert_eq!((foreign.rows(), foreign.k, foreign.dim), (2, 1, 2));
        assert_eq!(foreign.fitness, [1.5, -1e-300]);
        assert_eq!(foreign.descriptor, [0.1 + 0.2, 1.0]);
        assert_eq!(foreign.genes, [0.1, -2.0, 0.1, 0.123_456_79]);
        assert_eq!(foreign.rounded.genes, 1);
        assert!(foreign.rounded.largest > 1e-11 && foreign.rounded.largest < 1e-8);
        assert_eq!(foreign.index, Some(vec![7, 0]));
        assert_eq!(foreign.further.get::<i32>("extra").unwrap(), [1, 2, 3, 4]);
        assert!(foreign.further.find("threshold").is_none());
        assert_eq!(foreign.notes, ["column word is left out: it holds no numbers"]);
    }

    #[test]
    fn our_own_table_is_read_with_the_names_of_its_axes() {
        let foreign = parse(
            "cell,fitness,\"x, left\",y_0,generation,operator,parent_1,parent_2,seed\n\
             3,1.0,0.5,2.5,4,iso_line,-1,-1,18446744073709551615\n\
             9,2.0,0.5,3.5,5,random,3,4,0\n",
        )
        .unwrap();
        assert_eq!(foreign.axes, ["x, left", "y_0"]);
        assert_eq!(foreign.descriptor, [0.5, 2.5, 0.5, 3.5]);
        assert_eq!(foreign.further.get::<i32>("operator").unwrap(), [0, 1]);
        assert_eq!(foreign.operators, ["iso_line", "random"]);
        assert_eq!(foreign.further.get::<i64>("parents").unwrap(), [-1, -1, 3, 4]);
        assert_eq!(foreign.further.get::<u64>("seed").unwrap(), [u64::MAX, 0]);
        assert_eq!(foreign.notes, [""; 0]);
    }

    #[test]
    fn a_table_that_is_no_frame_is_refused() {
        for (text, part) in [
            ("", "is empty"),
            ("a,b\n1,2\n", "has no objective"),
            ("objective\n1\n", "has no measures"),
            ("objective,measures_0\n1\n", "line 2: expected 2 fields"),
            ("objective,measures_0\n1,\"2\n", "line 2: a quoted field"),
            ("objective,measures_0,solution_0\n1,2,x\n", "line 2: solution_0 is 'x'"),
            (
                "objective,measures_0\none,2\n",
                "objective holds something else than numbers",
            ),
            ("objective,measures_0,index\n1,2,0.5\n", "index holds something else"),
            ("objective,measures_0,index\n1,2,-1\n", "index of elite 0 is -1"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains('\n'), "{text}: {message}");
        }
    }
}
