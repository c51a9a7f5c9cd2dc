//! Plots: drawn once as SVG, turned into PNG from the same drawing.

mod axes;
mod ccdf;
mod colour;
mod comparison;
mod difference;
mod front;
mod genes;
mod legend;
mod map;
mod page;
mod paper;
mod parallel;
mod pdf;
mod projections;
mod stack;
mod strip;
mod sweep;
mod tiles;

pub use ccdf::ccdf;
pub use colour::Colours;
pub(crate) use colour::viridis;
pub use comparison::comparison;
pub use difference::difference;
pub use front::{Front, fronts};
pub use genes::genes;
pub use map::{Line, Map};
pub use page::Drawing;
pub use paper::{Length, Paper};
pub use parallel::parallel;
pub use projections::projections;
pub use stack::stack;
pub use strip::strips;
pub use sweep::overview;

use illume_core::{Error, Result};

use crate::engine::output::{significant, thousands};

pub(crate) const FONTS: &str = "Ubuntu, 'DejaVu Sans', Helvetica, Arial, sans-serif";

/// A name with its unit, if it has one.
pub(super) fn named(name: &str, unit: &str) -> String {
    if unit.is_empty() {
        name.into()
    } else {
        format!("{name} ({unit})")
    }
}

/// A drawing as PNG, `scale` pixels for a unit of the SVG.
///
/// # Errors
/// The drawing cannot be rendered (a defect).
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>> {
    render(svg, scale)?.encode_png().map_err(|e| unrendered(&e))
}

fn unrendered(what: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("the drawing cannot be rendered: {what}"))
}

/// A drawing as pixels, `scale` for a unit of the SVG; transparent where nothing is drawn.
///
/// # Errors
/// The drawing cannot be rendered (a defect).
pub(crate) fn render(svg: &str, scale: f32) -> Result<resvg::tiny_skia::Pixmap> {
    rendered(&parsed(svg)?, scale)
}

/// A drawing with its font.
fn parsed(svg: &str) -> Result<resvg::usvg::Tree> {
    let mut options = resvg::usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts
        .faces()
        .next()
        .and_then(|face| face.families.first().map(|(name, _)| name.clone()));
    options.fontdb_mut().set_sans_serif_family(family.unwrap_or_default());
    resvg::usvg::Tree::from_str(svg, &options).map_err(|e| unrendered(&e))
}

fn rendered(tree: &resvg::usvg::Tree, scale: f32) -> Result<resvg::tiny_skia::Pixmap> {
    use resvg::tiny_skia::{Pixmap, Transform};
    let [width, height] = [tree.size().width(), tree.size().height()].map(|x| (x * scale).round() as u32);
    let mut pixels = Pixmap::new(width, height).ok_or_else(|| unrendered(&"no such size"))?;
    resvg::render(tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    Ok(pixels)
}

/// Round numbers within an interval, about so many of them.
fn ticks(low: f64, high: f64, about: u32) -> Vec<f64> {
    let raw = (high - low) / f64::from(about);
    if !(raw.is_finite() && raw > 0.0) {
        return vec![low];
    }
    let power = 10f64.powf(raw.log10().floor());
    let step = power
        * [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .find(|m| m * power >= raw * 0.999)
            .unwrap_or(10.0);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Title and subtitle of an archive's plot.
pub fn captions(
    attributes: &illume_archives::file::Attributes,
    metrics: &illume_archives::metrics::Metrics,
) -> (String, String) {
    let archive = if metrics.coverage.is_finite() {
        let score = significant(metrics.qd_score);
        format!("QD score {score} · coverage {:.1} %", 100.0 * metrics.coverage)
    } else {
        format!("{} members", thousands(metrics.filled as u64))
    };
    (
        format!("{}, {}", attributes.task, attributes.strategy),
        format!(
            "{archive} · best {} · {} evaluations · seed {}",
            significant(metrics.max_fitness),
            thousands(attributes.evaluations),
            attributes.seed
        ),
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(0.0, 1.0, 6), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(-30.0, 30.0, 6), [-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0]);
        assert!(ticks(5.0, 5.0, 6).len() == 1);
    }
}
