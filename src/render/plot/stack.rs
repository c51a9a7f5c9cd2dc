//! Numbers by what made them, one above another, over generations.

use std::fmt::Write as _;

use super::axes::{FOOT, Frame, MARGIN, RIGHT, Scale, fitting, left_of};
use super::colour::area;
use super::legend::Legend;
use super::named;
use super::page::{Drawing, Head, head_width};
use crate::analysis::activity::Activity;

const SIZE: [f64; 2] = [580.0, 320.0];

/// An area for each name, the first at the bottom; with `share` of all of them together.
pub fn stack(a: &Activity, [title, subtitle]: [&str; 2], share: bool, width: Option<f64>) -> Drawing {
    let stretches = a.edges.len().saturating_sub(1);
    let total = |i: usize| a.values.iter().map(|values| values[i]).sum::<f64>();
    let of = |value: f64, i: usize| {
        if share && total(i) > 0.0 {
            value / total(i)
        } else {
            value
        }
    };
    let highest = (0..stretches).map(|i| of(total(i), i)).fold(0.0, f64::max);
    let mut y = Scale::of_column(
        if share { "coverage" } else { "" },
        [0.0, highest.max(f64::MIN_POSITIVE)],
        true,
    );
    if share {
        y.high = 1.0;
    }
    let x = Scale::plain(a.edges[0], a.edges[stretches]);
    let y_ticks = y.labelled(&y.ticks(6));
    let y_name = named(if share { "share of elites" } else { "elites" }, y.unit.1);
    let left = left_of(&y_ticks, &y_name).max(MARGIN[0]);
    let width = width.unwrap_or_else(|| (left + SIZE[0] + RIGHT).max(head_width(title, subtitle) / 2.0).ceil());
    let head = Head::new(title, subtitle, width, left);
    // What never made an elite has no area, and no place in the legend.
    let shown: Vec<usize> = (0..a.names.len())
        .filter(|i| a.values[*i].iter().any(|x| *x > 0.0))
        .collect();
    let keys: Vec<(String, String)> = shown
        .iter()
        .enumerate()
        .map(|(i, name)| (a.names[*name].clone(), area(i).into()))
        .collect();
    let legend = Legend::new(keys.iter().map(|(name, _)| name.clone()).collect(), width, head.left);
    let mut svg = String::new();
    head.draw(&mut svg);
    legend.draw_boxes(&mut svg, head.bottom() + 14.0, &keys);
    let top = head.bottom() + legend.height() + 14.0;
    let wide = width - left - RIGHT;
    let frame = Frame {
        corner: [left, top],
        size: [wide, SIZE[1] * (wide / SIZE[0]).min(1.0)],
        x_ticks: fitting(&x, wide),
        x_name: "generation".into(),
        y_ticks,
        y_name,
        title: String::new(),
        foot: FOOT,
        grid: true,
    };
    frame.draw(&mut svg);
    let mut below = vec![0.0; stretches];
    for (number, name) in shown.iter().enumerate() {
        let above: Vec<f64> = (0..stretches).map(|i| below[i] + a.values[*name][i]).collect();
        let edge = |heights: &[f64]| -> Vec<[f64; 2]> {
            let ends = |i: usize| [a.edges[i], a.edges[i + 1]].map(|at| frame.place([&x, &y], [at, of(heights[i], i)]));
            (0..stretches).flat_map(ends).collect()
        };
        let outline = edge(&above).into_iter().chain(edge(&below).into_iter().rev());
        let outline: Vec<String> = outline.map(|[x, y]| format!("{x:.2} {y:.2}")).collect();
        let _ = writeln!(
            svg,
            "<path fill=\"{0}\" fill-opacity=\"0.85\" stroke=\"{0}\" stroke-width=\"0.4\" d=\"M{1}z\"/>",
            area(number),
            outline.join("L")
        );
        below = above;
    }
    Drawing {
        size: [width, (top + frame.size[1] + FOOT + 4.0).ceil()],
        body: svg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_lie_on_one_another_and_shares_reach_the_top() {
        let activity = Activity {
            meaning: "m".into(),
            names: ["a", "never", "b"].map(String::from).to_vec(),
            edges: vec![1.0, 2.0, 3.0],
            values: vec![vec![1.0, 0.0], vec![0.0, 0.0], vec![3.0, 0.0]],
        };
        let svg = stack(&activity, ["t", "s"], true, None).svg(None);
        assert!(svg.contains(">a<") && svg.contains(">b<") && !svg.contains(">never<") && !svg.contains("NaN"));
        let areas: Vec<Vec<f64>> = svg
            .split("stroke-width=\"0.4\" d=\"M")
            .skip(1)
            .map(|path| {
                let points = path.split('z').next().unwrap().split('L');
                points.map(|p| p.split(' ').nth(1).unwrap().parse().unwrap()).collect()
            })
            .collect();
        // Upper edge first: a quarter, then all of the height.
        let (bottom, quarter, top) = (areas[0][7], areas[0][0], areas[1][0]);
        assert!(((bottom - quarter) / (bottom - top) - 0.25).abs() < 1e-3, "{areas:?}");
        assert_eq!(areas[1][7], quarter);
        assert!(
            stack(&activity, ["t", "s"], false, Some(390.0))
                .svg(None)
                .contains(">elites<")
        );
    }
}
