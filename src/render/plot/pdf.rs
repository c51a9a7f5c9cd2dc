//! A drawing as PDF: one page of its size, in vectors. Text becomes outlines, so that no reader needs the font.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use illume_core::{Error, Result};
use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, TextStr};
use resvg::tiny_skia::{PathSegment, Transform};
use resvg::usvg::{self, FillRule, LineCap, LineJoin, Node, Paint};

/// Points of a pixel of CSS.
const POINTS: f32 = 0.75;

/// One page with this drawing, so large as it says.
///
/// # Errors
/// It has something else than plain paths and texts (a defect).
pub(super) fn pdf(tree: &usvg::Tree, title: &str) -> Result<Vec<u8>> {
    let size = tree.size();
    let (width, height) = (size.width() * POINTS, size.height() * POINTS);
    let mut page = Page {
        content: Content::new(),
        // PDF counts from the lower edge.
        base: Transform::from_row(POINTS, 0.0, 0.0, -POINTS, 0.0, height),
        alphas: Vec::new(),
    };
    page.group(tree.root(), 1.0)?;

    let [catalog, pages, first, contents, info] = [1, 2, 3, 4, 5].map(Ref::new);
    let states = |i: usize| Ref::new(6 + i as i32);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([first]).count(1);
    let mut written = pdf.page(first);
    written
        .parent(pages)
        .media_box(Rect::new(0.0, 0.0, width, height))
        .contents(contents);
    let mut resources = written.resources();
    let mut graphics = resources.ext_g_states();
    for i in 0..page.alphas.len() {
        graphics.pair(Name(state_name(i).as_bytes()), states(i));
    }
    graphics.finish();
    resources.finish();
    written.finish();
    for (i, alpha) in page.alphas.iter().enumerate() {
        pdf.ext_graphics(states(i))
            .non_stroking_alpha(*alpha)
            .stroking_alpha(*alpha);
    }
    pdf.document_info(info).title(TextStr(title)).creator(TextStr("illume"));
    pdf.stream(contents, &deflated(&page.content.finish())?)
        .filter(Filter::FlateDecode);
    Ok(pdf.finish())
}

fn state_name(i: usize) -> String {
    format!("G{i}")
}

fn deflated(bytes: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let done = encoder.write_all(bytes).and_then(|()| encoder.finish());
    done.map_err(|e| super::unrendered(&e))
}

struct Page {
    content: Content,
    base: Transform,
    /// Opacities that something is drawn with.
    alphas: Vec<f32>,
}

impl Page {
    fn group(&mut self, group: &usvg::Group, opacity: f32) -> Result<()> {
        let opacity = opacity * group.opacity().get();
        for node in group.children() {
            match node {
                Node::Group(inner) => self.group(inner, opacity)?,
                Node::Path(path) => self.path(path, opacity)?,
                Node::Text(text) => self.group(text.flattened(), opacity)?,
                Node::Image(_) => return Err(other("a picture")),
            }
        }
        Ok(())
    }

    /// Fills and strokes a path, each with its own opacity.
    fn path(&mut self, path: &usvg::Path, opacity: f32) -> Result<()> {
        if !path.is_visible() {
            return Ok(());
        }
        let at = self.base.pre_concat(path.abs_transform());
        let Some(outline) = path.data().clone().transform(at) else {
            return Ok(());
        };
        if let Some(fill) = path.fill() {
            let [r, g, b] = rgb(fill.paint())?;
            self.alpha(fill.opacity().get() * opacity);
            self.content.set_fill_rgb(r, g, b);
            self.outline(&outline);
            match fill.rule() {
                FillRule::NonZero => self.content.fill_nonzero(),
                FillRule::EvenOdd => self.content.fill_even_odd(),
            };
        }
        if let Some(stroke) = path.stroke() {
            let [r, g, b] = rgb(stroke.paint())?;
            self.alpha(stroke.opacity().get() * opacity);
            // All transforms of our drawings keep shapes.
            let scale = (at.sx * at.sy - at.kx * at.ky).abs().sqrt();
            let dashes = stroke.dasharray().unwrap_or_default().iter().map(|x| x * scale);
            self.content
                .set_stroke_rgb(r, g, b)
                .set_line_width(stroke.width().get() * scale)
                .set_dash_pattern(dashes, stroke.dashoffset() * scale)
                .set_line_cap(match stroke.linecap() {
                    LineCap::Butt => LineCapStyle::ButtCap,
                    LineCap::Round => LineCapStyle::RoundCap,
                    LineCap::Square => LineCapStyle::ProjectingSquareCap,
                })
                .set_line_join(match stroke.linejoin() {
                    LineJoin::Round => LineJoinStyle::RoundJoin,
                    LineJoin::Bevel => LineJoinStyle::BevelJoin,
                    _ => LineJoinStyle::MiterJoin,
                });
            self.outline(&outline);
            self.content.stroke();
        }
        Ok(())
    }

    fn alpha(&mut self, alpha: f32) {
        let known = self.alphas.iter().position(|a| *a == alpha);
        let i = known.unwrap_or_else(|| {
            self.alphas.push(alpha);
            self.alphas.len() - 1
        });
        self.content.set_parameters(Name(state_name(i).as_bytes()));
    }

    fn outline(&mut self, path: &resvg::tiny_skia::Path) {
        let c = &mut self.content;
        let mut last = resvg::tiny_skia::Point::default();
        for segment in path.segments() {
            match segment {
                PathSegment::MoveTo(p) => {
                    c.move_to(p.x, p.y);
                    last = p;
                }
                PathSegment::LineTo(p) => {
                    c.line_to(p.x, p.y);
                    last = p;
                }
                // As a curve of the third degree, which PDF has.
                PathSegment::QuadTo(q, p) => {
                    let third = |from: f32, to: f32| from + (to - from) * 2.0 / 3.0;
                    let (x1, y1) = (third(last.x, q.x), third(last.y, q.y));
                    c.cubic_to(x1, y1, third(p.x, q.x), third(p.y, q.y), p.x, p.y);
                    last = p;
                }
                PathSegment::CubicTo(a, b, p) => {
                    c.cubic_to(a.x, a.y, b.x, b.y, p.x, p.y);
                    last = p;
                }
                PathSegment::Close => {
                    c.close_path();
                }
            }
        }
    }
}

fn rgb(paint: &Paint) -> Result<[f32; 3]> {
    match paint {
        Paint::Color(c) => Ok([c.red, c.green, c.blue].map(|x| f32::from(x) / 255.0)),
        _ => Err(other("a gradient or a pattern")),
    }
}

fn other(what: &str) -> Error {
    super::unrendered(&format_args!("{what} has no place in a PDF of ours"))
}
