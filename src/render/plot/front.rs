//! Fronts of two objectives, each with the staircase of what it dominates.

use std::fmt::Write as _;

use super::axes::{FOOT, Frame, MARGIN, RIGHT, Scale, fitting, left_of};
use super::colour::{colour, dash};
use super::legend::Legend;
use super::page::{Drawing, Head, head_width};

const SIZE: [f64; 2] = [520.0, 420.0];
/// Points of the others, at most, which tell nothing where they are many.
const OTHERS: usize = 3000;

/// What is drawn of one archive.
pub struct Front {
    pub name: String,
    /// Those that no other dominates.
    pub points: Vec<[f64; 2]>,
    /// Elites that are dominated.
    pub others: Vec<[f64; 2]>,
}

/// Fronts of archives on one plane; `names` are those of the objectives with their units.
pub fn fronts(fronts: &[Front], [title, subtitle]: [&str; 2], names: [&str; 2], width: Option<f64>) -> Drawing {
    let scale = |objective: usize| {
        let values = fronts
            .iter()
            .flat_map(|front| &front.points)
            .map(|point| point[objective]);
        let ends = values.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], x| [a.min(x), b.max(x)]);
        Scale::of_column("", ends, false)
    };
    let (x, y) = (scale(0), scale(1));
    let with_unit = |scale: &Scale, name: &str| match scale.unit.1 {
        "" => name.to_string(),
        unit => format!("{name}, {unit}"),
    };
    let y_ticks = y.labelled(&y.ticks(6));
    let left = left_of(&y_ticks, names[1]).max(MARGIN[0]);
    let width = width.unwrap_or_else(|| {
        let own = left + SIZE[0] + RIGHT;
        own.max((head_width(title, subtitle) / 2.0).min(1.3 * SIZE[0])).ceil()
    });
    let head = Head::new(title, subtitle, width, left);
    let entries = match fronts {
        [_] => Vec::new(),
        several => several.iter().map(|front| front.name.clone()).collect(),
    };
    let legend = Legend::new(entries, width, head.left);
    let mut svg = String::new();
    head.draw(&mut svg);
    legend.draw_lines(&mut svg, head.bottom() + 12.0, &vec![false; fronts.len()]);
    let top = head.bottom() + legend.height() + 14.0;
    let size = [(width - left - RIGHT).max(1.0), SIZE[1]];
    let frame = Frame {
        corner: [left, top],
        size,
        x_ticks: fitting(&x, size[0]),
        x_name: with_unit(&x, names[0]),
        y_ticks,
        y_name: with_unit(&y, names[1]),
        title: String::new(),
        foot: FOOT,
        grid: true,
    };
    frame.draw(&mut svg);
    for (number, front) in fronts.iter().enumerate() {
        draw(&mut svg, &frame, [&x, &y], front, number);
    }
    if fronts.iter().all(|front| front.points.is_empty()) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"middle\" fill=\"#555\">the archive is empty</text>",
            left + size[0] / 2.0,
            top + size[1] / 2.0
        );
    }
    Drawing {
        size: [width, (top + size[1] + FOOT + 4.0).ceil()],
        body: svg,
    }
}

fn draw(svg: &mut String, frame: &Frame, scales: [&Scale; 2], front: &Front, number: usize) {
    let within = |point: &&[f64; 2]| (0..2).all(|o| (0.0..=1.0).contains(&scales[o].share(point[o])));
    let dots = |svg: &mut String, points: &mut dyn Iterator<Item = &[f64; 2]>, radius: f64, opacity: f64| {
        let colour = colour(number);
        for point in points {
            let [px, py] = frame.place(scales, *point);
            let _ = writeln!(
                svg,
                "<circle cx=\"{px:.2}\" cy=\"{py:.2}\" r=\"{radius}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"
            );
        }
    };
    let every = front.others.len().div_ceil(OTHERS).max(1);
    dots(svg, &mut front.others.iter().step_by(every).filter(within), 1.6, 0.25);
    let mut points = front.points.clone();
    points.sort_by(|a, b| b[0].total_cmp(&a[0]).then(a[1].total_cmp(&b[1])));
    // From the point of the best first objective up: between two points the second objective is that of the nearer to the right.
    let mut path = String::new();
    for (i, point) in points.iter().enumerate() {
        let [px, py] = frame.place(scales, *point);
        match i {
            0 => path = format!("M{px:.2} {py:.2}"),
            _ => {
                let [_, before] = frame.place(scales, points[i - 1]);
                let _ = write!(path, "L{px:.2} {before:.2}L{px:.2} {py:.2}");
            }
        }
    }
    if points.len() > 1 {
        let _ = writeln!(
            svg,
            "<path fill=\"none\" stroke=\"{}\" stroke-opacity=\"0.6\"{} d=\"{path}\"/>",
            colour(number),
            dash(number)
        );
    }
    dots(svg, &mut points.iter(), 2.8, 0.9);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(points: &[[f64; 2]], others: &[[f64; 2]]) -> Front {
        Front {
            name: "seed 1".into(),
            points: points.to_vec(),
            others: others.to_vec(),
        }
    }

    #[test]
    fn every_point_has_a_dot_and_stairs_go_from_one_to_the_next() {
        let one = front(&[[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], &[[0.1, 0.1], [-9.0, 0.0]]);
        let svg = fronts(&[one], ["t", "s"], ["speed", "economy"], None).svg(None);
        // One of the others lies outside of the frame of the front.
        assert_eq!(svg.matches("<circle").count(), 4);
        let path = svg.split(" d=\"M").last().unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('L').count(), 4);
        assert!(svg.contains(">speed<") && svg.contains(">economy<") && !svg.contains("seed 1"));
    }

    #[test]
    fn several_have_a_legend_and_none_is_said_to_be_empty() {
        let two = [front(&[[0.0, 1.0]], &[]), front(&[[0.5, 0.5]], &[])];
        assert!(
            fronts(&two, ["t", "s"], ["a", "b"], Some(390.0))
                .svg(None)
                .contains("seed 1")
        );
        let svg = fronts(&[front(&[], &[])], ["t", "s"], ["a", "b"], None).svg(None);
        assert!(svg.contains("empty") && !svg.contains("NaN"));
    }
}
