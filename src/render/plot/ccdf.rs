//! Complementary cumulative distributions of fitness: how many elites are at least so fit.

use std::fmt::Write as _;

use super::axes::{FOOT, Frame, MARGIN, RIGHT, Scale, fitting, left_of};
use super::colour::{colour, dash};
use super::comparison::entries;
use super::legend::Legend;
use super::named;
use super::page::{Drawing, Head, head_width};
use crate::analysis::exceedance::{Curve, Exceedance};

const SIZE: [f64; 2] = [520.0, 340.0];

/// A curve for each group, with a band of several runs. `subtitle` says what these are.
pub fn ccdf(e: &Exceedance, [title, subtitle]: [&str; 2], width: Option<f64>) -> Drawing {
    let highest = e
        .curves
        .iter()
        .flat_map(|c| &c.points)
        .map(|(_, band)| band[1])
        .fold(0.0, f64::max);
    let mut y = Scale::of_column(
        if e.share { "coverage" } else { "" },
        [0.0, highest.max(f64::MIN_POSITIVE)],
        true,
    );
    y.low = 0.0;
    let (first, last) = (e.fitness[0], e.fitness[e.fitness.len() - 1]);
    let pad = if last > first { 0.0 } else { 0.1 * first.abs().max(1e-3) };
    let x = Scale::plain(first - pad, last + pad);
    let y_ticks = y.labelled(&y.ticks(6));
    let y_name = if e.share {
        "share at least this fit"
    } else {
        "elites at least this fit"
    };
    let y_name = named(y_name, y.unit.1);
    let left = left_of(&y_ticks, &y_name).max(MARGIN[0]);
    let entries = entries(&e.comparison);
    let width = width.unwrap_or_else(|| {
        let texts = (head_width(title, subtitle) / 2.0).max(Legend::least_width(entries.iter()).min(900.0));
        (left + SIZE[0] + RIGHT).max(texts).ceil()
    });
    let head = Head::new(title, subtitle, width, left);
    let legend = Legend::new(entries, width, head.left);
    let mut svg = String::new();
    head.draw(&mut svg);
    let several: Vec<bool> = e.curves.iter().map(|c| c.elites.len() > 1).collect();
    legend.draw_lines(&mut svg, head.bottom() + 14.0, &several);
    let top = head.bottom() + legend.height() + 14.0;
    let wide = width - left - RIGHT;
    let frame = Frame {
        corner: [left, top],
        size: [wide, SIZE[1] * (wide / SIZE[0]).min(1.0)],
        x_ticks: fitting(&x, wide),
        x_name: "fitness".into(),
        y_ticks,
        y_name,
        title: String::new(),
        foot: FOOT,
        grid: true,
    };
    frame.draw(&mut svg);
    for (i, curve) in e.curves.iter().enumerate() {
        draw(&mut svg, &frame, [&x, &y], &e.fitness, curve, i);
    }
    Drawing {
        size: [width, (top + frame.size[1] + FOOT + 4.0).ceil()],
        body: svg,
    }
}

/// A number holds from the place before to its own, and falls there.
fn steps(frame: &Frame, scales: [&Scale; 2], fitness: &[f64], height: impl Fn(usize) -> f64) -> Vec<[f64; 2]> {
    let mut points = Vec::with_capacity(2 * fitness.len() + 1);
    let mut from = scales[0].low;
    for (i, x) in fitness.iter().enumerate() {
        points.push(frame.place(scales, [from, height(i)]));
        points.push(frame.place(scales, [*x, height(i)]));
        from = *x;
    }
    points
}

fn draw(svg: &mut String, frame: &Frame, scales: [&Scale; 2], fitness: &[f64], curve: &Curve, number: usize) {
    let path = |points: &[[f64; 2]]| {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.2} {y:.2}")).collect();
        points.join("L")
    };
    let colour = colour(number);
    if curve.elites.len() > 1 {
        let mut outline = steps(frame, scales, fitness, |i| curve.points[i].1[1]);
        let mut low = steps(frame, scales, fitness, |i| curve.points[i].1[0]);
        low.reverse();
        outline.extend(low);
        let _ = writeln!(
            svg,
            "<path fill=\"{colour}\" fill-opacity=\"0.18\" d=\"M{}z\"/>",
            path(&outline)
        );
    }
    let mut line = steps(frame, scales, fitness, |i| curve.points[i].0);
    // Above the highest there is none.
    if let Some([x, _]) = line.last().copied().filter(|_| !curve.beyond) {
        line.push([x, frame.corner[1] + frame.size[1]]);
    }
    let _ = writeln!(
        svg,
        "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{} d=\"M{}\"/>",
        dash(number),
        path(&line)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_holds_up_to_its_fitness_and_falls_there() {
        let (x, y) = (Scale::plain(0.0, 4.0), Scale::plain(0.0, 2.0));
        let frame = Frame {
            corner: [0.0, 0.0],
            size: [40.0, 20.0],
            x_ticks: Vec::new(),
            x_name: String::new(),
            y_ticks: Vec::new(),
            y_name: String::new(),
            title: String::new(),
            foot: FOOT,
            grid: false,
        };
        // Two elites, of fitness 1 and 4.
        let counts = [2.0, 1.0];
        assert_eq!(
            steps(&frame, [&x, &y], &[1.0, 4.0], |i| counts[i]),
            [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [40.0, 10.0]]
        );
    }
}
