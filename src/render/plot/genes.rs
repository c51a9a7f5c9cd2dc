//! Genomes on their principal components.

use illume_core::Axis;

use super::colour::{Colours, ends};
use super::map::{Layer, Map, Paint, Panel, legend};
use super::tiles::Tiles;
use crate::analysis::principal::Principal;

/// A dot for each genome, coloured by its value.
pub fn genes([title, subtitle]: [String; 2], principal: &Principal, values: &[f64], colours: &Colours) -> Map {
    let axes = [0, 1].map(|component| {
        let [low, high] = ends(principal.places.iter().map(|place| place[component]));
        let pad = if high > low { 0.05 * (high - low) } else { 1.0 };
        let share = 100.0 * principal.explained[component];
        let name = format!("component {} ({share:.1} % of the variance)", component + 1);
        Axis::new(&name, "", low - pad, high + pad)
    });
    Map {
        title,
        subtitle,
        axes,
        panels: vec![Panel {
            title: String::new(),
            layers: vec![Layer {
                tiles: Tiles::Points {
                    places: principal.places.clone(),
                    values: values.iter().map(|x| Some(*x)).collect(),
                },
                paint: Paint::By(colours.clone()),
            }],
            lines: Vec::new(),
        }],
        bar: Some(colours.clone()),
        legend: legend(colours, values.iter().copied()),
    }
}
