//! A sweep: learning curves of its configurations, and what its runs end with at the values of each parameter.

use std::fmt::Write as _;

use super::axes::{FOOT, Frame, MARGIN, PANEL, RIGHT, Scale, Tick, fit, shortened, text_width, title, upright_foot};
use super::colour::{colour, ends};
use super::comparison::{Curves, bands, least_width};
use super::legend::Legend;
use super::named;
use super::page::{Drawing, Head};
use crate::analysis::compare::{Mark, Overview, Parameter, Places, spoken};
use crate::analysis::statistics::{Band, Spread};
use crate::engine::output::thousands;

/// Above the first section, between the sections, and above a legend.
const BEFORE: f64 = 10.0;
const BETWEEN: f64 = 12.0;
const LEGEND: f64 = 10.0;
/// The least width of a panel in a narrow drawing.
const LEAST: f64 = 200.0;
/// Panels by parameter in a row, at most.
const ACROSS: usize = 3;
/// Room left and right of the outermost values, as a share of their distance.
const PAD: f64 = 0.1;
/// Share of the distance to the next value that a value's dots and box take, and their largest width.
const SLOT: f64 = 0.8;
const WIDEST_SLOT: f64 = 44.0;
/// Names below a panel, at most; of more, some go without.
const NAMES: usize = 18;
/// Letters of a name.
const LETTERS: usize = 28;
/// Of the only variant: none of the curves' colours.
const PLAIN: &str = "#46525e";

/// The drawing as SVG text: above, learning curves as [`comparison`](super::comparison()) draws them, against the first axis and core time; below, a panel
/// for each parameter with a dot for each run, and medians and quartiles where several runs share a value. Variants have colours.
pub fn overview(o: &Overview, band: Band, width: Option<f64>) -> Drawing {
    let subtitle = subtitle(o);
    let (heading, explanation) = (curves_heading(o), bands(&o.curves, band));
    let by_parameter = format!("{} at the end, by parameter", title(&o.metric));
    let dots = dots(o);
    let texts = [
        (o.title.as_str(), 19.0),
        (&subtitle, 13.0),
        (&heading, 16.0),
        (&explanation, 13.0),
        (dots, 13.0),
    ];
    let texts = texts.map(|(text, size)| MARGIN[0] + text_width(text, size) + RIGHT);
    let fixed = width.is_some();
    let fitting = width.map_or(ACROSS, |width| {
        (((width - RIGHT) / (LEAST + MARGIN[0])) as usize).max(1)
    });
    let across = o.parameters.len().min(ACROSS).min(fitting);
    let variants: Vec<String> = if o.variants.len() > 1 {
        o.variants.clone()
    } else {
        Vec::new()
    };
    let natural = texts
        .into_iter()
        .chain([
            least_width(&o.curves),
            across as f64 * (PANEL[0] + MARGIN[0]) + RIGHT,
            Legend::least_width(variants.iter()),
        ])
        .fold(0.0, f64::max)
        .ceil();
    let width = width.unwrap_or(natural);
    let wide = if fixed {
        (width - RIGHT) / across.max(1) as f64 - MARGIN[0]
    } else {
        PANEL[0]
    };

    let head = Head::new(&o.title, &subtitle, width, MARGIN[0]);
    let curves = Curves::new(&o.curves, band, [head.left, width], fixed);
    let legend = Legend::new(variants, width, head.left);
    let panels: Vec<Panel> = o.parameters.iter().map(|p| Panel::new(p, o.halving, wide)).collect();
    let rows: Vec<&[Panel]> = panels.chunks(across.max(1)).collect();

    let mut svg = String::new();
    head.draw(&mut svg);
    let section = |heading: &str, explanation: &str| Head::section(heading, explanation, width, MARGIN[0]);
    let mut top = section(&heading, &explanation).draw_at(&mut svg, head.bottom() + BEFORE) + LEGEND;
    curves.draw(&mut svg, top);
    top += curves.height();
    if !panels.is_empty() {
        top = section(&by_parameter, dots).draw_at(&mut svg, top + BETWEEN);
        if o.variants.len() > 1 {
            legend.draw(&mut svg, top + LEGEND, |svg, i, [x, y]| {
                let _ = writeln!(
                    svg,
                    "<circle fill=\"{}\" r=\"4\" cx=\"{}\" cy=\"{y}\"/>",
                    colour(i),
                    x + 13.0
                );
            });
            top += LEGEND + legend.height();
        }
        let y = Scale::of_column(
            &o.metric,
            ends(o.parameters.iter().flat_map(|p| &p.marks).map(|mark| mark.value)),
            false,
        );
        for row in rows {
            for (i, panel) in row.iter().enumerate() {
                let corner = [MARGIN[0] + i as f64 * (wide + MARGIN[0]), top + MARGIN[1]];
                panel.draw(&mut svg, corner, &y, &o.metric, o.variants.len());
            }
            top += MARGIN[1] + PANEL[1] + row.iter().map(|p| p.foot).fold(0.0, f64::max);
        }
    }
    Drawing {
        size: [width, (top + 6.0).ceil()],
        body: svg,
    }
}

fn subtitle(o: &Overview) -> String {
    let standing = format!("{} of {} runs done", thousands(o.done as u64), thousands(o.runs as u64));
    [vec![standing], o.curves.notes.clone()].concat().join("; ")
}

fn curves_heading(o: &Overview) -> String {
    match o.curves.groups.len() {
        n if n < o.configurations => format!(
            "Learning curves of the best {n} of {} configurations, by {}median {}",
            thousands(o.configurations as u64),
            if o.halving { "rung and " } else { "" },
            spoken(&o.metric)
        ),
        _ => "Learning curves".into(),
    }
}

/// What is drawn by parameter.
fn dots(o: &Overview) -> &'static str {
    let listed = o.parameters.iter().filter(|p| p.listed).count();
    match listed {
        _ if o.halving => "a dot for each run; hollow ones ended at an earlier rung, with a smaller budget",
        0 => "a dot for each run",
        n if n == o.parameters.len() => "a dot for each run; bars are medians, boxes reach from quartile to quartile",
        _ => "a dot for each run; of listed values bars are medians, boxes reach from quartile to quartile",
    }
}

/// The panel of a parameter.
struct Panel<'a> {
    parameter: &'a Parameter,
    x: Scale,
    /// The values, on that axis.
    places: Vec<f64>,
    ticks: Vec<Tick>,
    foot: f64,
    /// Its width.
    width: f64,
    /// Width of what belongs to a value; 0 where dots lie at their value.
    slot: f64,
    boxes: bool,
}

impl<'a> Panel<'a> {
    fn new(parameter: &'a Parameter, halving: bool, width: f64) -> Panel<'a> {
        let (x, places, ticks) = match &parameter.places {
            Places::Numbers { values, logarithmic } => {
                let x = numbers(values, *logarithmic);
                let ticks = number_ticks(&x, values, parameter.listed, width);
                (x, values.clone(), ticks)
            }
            Places::Names(names) => {
                let x = Scale {
                    low: -0.5,
                    high: names.len() as f64 - 0.5,
                    logarithmic: false,
                    unit: (1.0, ""),
                };
                let ticks = names
                    .iter()
                    .enumerate()
                    .step_by(names.len().div_ceil(NAMES))
                    .map(|(i, name)| Tick {
                        share: x.share(i as f64),
                        label: shortened(name, LETTERS),
                    });
                let ticks = ticks.collect();
                (x, (0..names.len()).map(|i| i as f64).collect(), ticks)
            }
        };
        let gaps = places.windows(2).map(|p| x.share(p[1]) - x.share(p[0]));
        let slot = (SLOT * width * gaps.fold(f64::INFINITY, f64::min)).min(WIDEST_SLOT);
        Panel {
            foot: if fit(&ticks, width) { FOOT } else { upright_foot(&ticks) },
            slot: if parameter.listed { slot } else { 0.0 },
            boxes: parameter.listed && !halving,
            width,
            parameter,
            x,
            places,
            ticks,
        }
    }

    fn draw(&self, svg: &mut String, corner: [f64; 2], y: &Scale, metric: &str, variants: usize) {
        let frame = Frame {
            corner,
            x_ticks: self.ticks.clone(),
            x_name: self.parameter.name.clone(),
            y_ticks: y.labelled(&y.ticks(5)),
            y_name: String::new(),
            title: named(&title(metric), y.unit.1),
            foot: self.foot,
            size: [self.width, PANEL[1]],
            grid: true,
        };
        frame.draw(svg);
        let vertical = |value: f64| corner[1] + (1.0 - y.share(value)) * PANEL[1];
        let width = self.slot / variants as f64;
        let mut at: Vec<Vec<&Mark>> = vec![Vec::new(); self.places.len() * variants];
        for mark in &self.parameter.marks {
            at[mark.place * variants + mark.variant].push(mark);
        }
        for variant in 0..variants {
            let colour = if variants > 1 { colour(variant) } else { PLAIN };
            let mut medians: Vec<[f64; 2]> = Vec::new();
            for (place, x) in self.places.iter().enumerate() {
                let marks = &at[place * variants + variant];
                let aside = (variant as f64 - (variants - 1) as f64 / 2.0) * width;
                let centre = corner[0] + self.x.share(*x) * self.width + aside;
                if self.boxes && !marks.is_empty() {
                    let Spread { median, quartiles, .. } = Spread::of(marks.iter().map(|mark| mark.value).collect());
                    let [low, high] = quartiles.map(vertical);
                    let middle = vertical(median);
                    let left = centre - width / 2.0;
                    let _ = writeln!(
                        svg,
                        "<rect x=\"{left:.2}\" y=\"{high:.2}\" width=\"{width:.2}\" height=\"{:.2}\" fill=\"{colour}\" fill-opacity=\"0.18\"/>\
                         <path stroke=\"{colour}\" stroke-width=\"2\" d=\"M{left:.2} {middle:.2}h{width:.2}\"/>",
                        low - high
                    );
                    medians.push([centre, middle]);
                }
                for (i, mark) in marks.iter().enumerate() {
                    // Beside one another, in the order of the plan.
                    let cx = centre + ((i as f64 + 0.5) / marks.len() as f64 - 0.5) * SLOT * width;
                    let paint = if mark.whole {
                        format!("fill=\"{colour}\" fill-opacity=\"0.6\"")
                    } else {
                        format!("fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.6\"")
                    };
                    let cy = vertical(mark.value);
                    let _ = writeln!(svg, "<circle {paint} r=\"2.5\" cx=\"{cx:.2}\" cy=\"{cy:.2}\"/>");
                }
            }
            if matches!(self.parameter.places, Places::Numbers { .. }) && medians.len() > 1 {
                let line: Vec<String> = medians.iter().map(|[x, y]| format!("{x:.2} {y:.2}")).collect();
                let _ = writeln!(
                    svg,
                    "<path fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.5\" d=\"M{}\"/>",
                    line.join("L")
                );
            }
        }
    }
}

/// An axis on which all of these values, in order, are well inside.
fn numbers(values: &[f64], logarithmic: bool) -> Scale {
    let (low, high) = (values[0], values[values.len() - 1]);
    let (low, high) = if logarithmic {
        let pad = (high / low).powf(PAD);
        (low / pad, high * pad)
    } else if low < high {
        (low - PAD * (high - low), high + PAD * (high - low))
    } else {
        let pad = 0.1 * low.abs().max(1e-3);
        (low - pad, high + pad)
    };
    Scale {
        low,
        high,
        logarithmic,
        unit: (1.0, ""),
    }
}

/// Ticks at listed values if their labels stand beside one another, else round ones.
fn number_ticks(x: &Scale, values: &[f64], listed: bool, width: f64) -> Vec<Tick> {
    let own = x.labelled(values);
    if listed && fit(&own, width) {
        return own;
    }
    let round = [5, 3, 2].map(|about| x.labelled(&x.ticks(about)));
    let chosen = round.iter().find(|ticks| fit(ticks, width)).unwrap_or(&round[2]);
    chosen.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::compare::tests::run;
    use crate::analysis::compare::{Columns, Comparison, Group};

    fn parameter(places: Places, listed: bool, variants: usize) -> Parameter {
        let count = match &places {
            Places::Numbers { values, .. } => values.len(),
            Places::Names(names) => names.len(),
        };
        let marks = (0..count * variants * 3).map(|i| Mark {
            place: i % count,
            variant: i / count % variants,
            value: i as f64,
            whole: i % 2 == 0,
        });
        Parameter {
            key: "strategy.iso_sigma".into(),
            name: "iso sigma".into(),
            listed,
            marks: marks.collect(),
            places,
        }
    }

    fn numbers_of(values: &[f64]) -> Places {
        Places::Numbers {
            values: values.to_vec(),
            logarithmic: values[0] > 0.0 && values[values.len() - 1] / values[0] > 10.0,
        }
    }

    fn sweep(parameters: Vec<Parameter>, variants: usize, label: &str) -> Overview {
        let group = |i: u64| Group {
            label: format!("{label} {i}"),
            strategy: "a".into(),
            runs: (1..=3)
                .map(|seed| run("a", seed, &[100.0, 200.0], &[1.0, (seed + i) as f64], ""))
                .collect(),
        };
        Overview {
            title: "w: arm".into(),
            metric: "qd_score".into(),
            runs: 12,
            done: 11,
            configurations: 20,
            curves: Comparison {
                task: "arm".into(),
                columns: Columns {
                    measures: vec!["qd_score".into()],
                    axes: ["evaluations", "core_seconds"].map(String::from),
                },
                groups: (0..3).map(group).collect(),
                notes: vec!["1 run failed and is not drawn".into()],
            },
            variants: (0..variants).map(|i| format!("variant_{i}")).collect(),
            parameters,
            halving: false,
        }
    }

    fn attribute(tag: &str, name: &str) -> Option<f64> {
        tag.split_once(&format!(" {name}=\""))?
            .1
            .split('"')
            .next()?
            .parse()
            .ok()
    }

    /// Left, right and baseline of each text, those that stand upright apart.
    fn texts(svg: &str) -> Vec<(f64, f64, f64, String)> {
        let tags = svg.split("<text").skip(1).filter(|tag| !tag.contains("rotate"));
        tags.map(|tag| {
            let (head, text) = tag.split("</text>").next().unwrap().split_once('>').unwrap();
            let width = text_width(text, attribute(head, "font-size").unwrap_or(13.0));
            let x = attribute(head, "x").unwrap();
            let left = match head {
                head if head.contains("middle") => x - width / 2.0,
                head if head.contains("\"end\"") => x - width,
                _ => x,
            };
            (left, left + width, attribute(head, "y").unwrap(), text.to_string())
        })
        .collect()
    }

    #[test]
    fn no_text_is_cut_and_none_lies_on_another() {
        let names =
            |n: usize, letters: usize| Places::Names((0..n).map(|i| format!("{}{i}", "n".repeat(letters))).collect());
        let close: Vec<f64> = (0..10).map(|i| 0.001 + 0.0001 * f64::from(i)).collect();
        for (parameters, variants, label) in [
            (Vec::new(), 1, "short"),
            (vec![parameter(numbers_of(&[0.005, 0.02]), true, 1)], 1, "short"),
            (
                vec![parameter(names(3, 40), true, 3), parameter(names(50, 3), true, 3)],
                3,
                "a long name of a configuration, with a value of every parameter",
            ),
            (
                vec![
                    parameter(numbers_of(&close), true, 2),
                    parameter(numbers_of(&[1e-9, 1.0]), false, 2),
                    parameter(numbers_of(&[-5.0, 0.0, 123_456.0]), true, 2),
                    parameter(numbers_of(&[7.0]), true, 2),
                ],
                2,
                "c",
            ),
        ] {
            let svg = overview(&sweep(parameters, variants, label), Band::Quartiles, None).svg(None);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            let [width, height] = ["width", "height"].map(|name| attribute(&svg, name).unwrap());
            let mut all = texts(&svg);
            for (left, right, y, text) in &all {
                assert!(
                    *left >= 0.0 && *right <= width && *y < height,
                    "{text}: {left} to {right} of {width}"
                );
            }
            all.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.total_cmp(&b.0)));
            for pair in all.windows(2).filter(|pair| pair[0].2 == pair[1].2) {
                assert!(pair[0].1 < pair[1].0, "{} and {}", pair[0].3, pair[1].3);
            }
            crate::render::plot::png(&svg, 1.0).unwrap();
        }
    }

    #[test]
    fn listed_values_are_ticks_where_there_is_room_and_dots_stay_at_their_value() {
        let panel = |values: &[f64]| {
            let p = parameter(numbers_of(values), true, 1);
            let panel = Panel::new(&p, false, PANEL[0]);
            let labels: Vec<String> = panel.ticks.iter().map(|tick| tick.label.clone()).collect();
            (labels, panel.slot, panel.x.clone())
        };
        let (labels, slot, _) = panel(&[0.005, 0.02]);
        assert_eq!((labels, slot), (vec!["0.005".into(), "0.02".into()], WIDEST_SLOT));
        let (labels, _, x) = panel(&[10.0, 20.0, 500.0]);
        assert_eq!(
            (labels, x.logarithmic),
            (["10", "20", "500"].map(String::from).to_vec(), true)
        );
        let close: Vec<f64> = (0..30).map(f64::from).collect();
        let (labels, slot, x) = panel(&close);
        assert_eq!(labels, ["0", "10", "20", "30"]);
        // Neighbours keep apart.
        assert!(slot < PANEL[0] * (x.share(1.0) - x.share(0.0)));
        let p = parameter(numbers_of(&[1.0, 2.0]), false, 1);
        assert_eq!(Panel::new(&p, false, PANEL[0]).slot, 0.0);
        assert!(!Panel::new(&parameter(numbers_of(&[1.0, 2.0]), true, 1), true, PANEL[0]).boxes);
    }
}
