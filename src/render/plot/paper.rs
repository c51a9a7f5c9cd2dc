//! How large a plot is on paper, and the file that it becomes.

use illume_core::{Error, Result};
use resvg::tiny_skia::Pixmap;

use super::page::{Drawing, TEXT};
use super::{parsed, pdf, rendered, unrendered};

/// Font size of ordinary text on paper, points.
const FONT: f64 = 7.5;
const MILLIMETRES_OF_INCH: f64 = 25.4;
const POINTS_OF_INCH: f64 = 72.0;
/// Pixels of CSS, which SVG and PDF count by.
const PIXELS_OF_INCH: f64 = 96.0;
/// Resolution of a PNG whose width is given, and of one whose is not: two pixels for a unit.
const DPI: f64 = 300.0;
const SCREEN_DPI: f64 = 192.0;
/// Widths that are drawn, in millimetres.
const WIDTHS: [f64; 2] = [40.0, 2000.0];
/// Pixels of a PNG, at most.
const MOST_PIXELS: f64 = 1e8;

/// A width with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Length {
    millimetres: f64,
}

impl std::str::FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Length, String> {
        const EXPECTED: &str = "expected a width from 4cm to 200cm, such as 8cm, 85mm, 3.3in, 240pt or 800px";
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
        let of_inch = match unit {
            "mm" => MILLIMETRES_OF_INCH,
            "cm" => MILLIMETRES_OF_INCH / 10.0,
            "in" => 1.0,
            "pt" => POINTS_OF_INCH,
            "px" => PIXELS_OF_INCH,
            _ => return Err(EXPECTED.into()),
        };
        let number: f64 = number.trim().parse().map_err(|_| EXPECTED.to_string())?;
        let millimetres = number / of_inch * MILLIMETRES_OF_INCH;
        if (WIDTHS[0]..=WIDTHS[1]).contains(&millimetres) {
            Ok(Length { millimetres })
        } else {
            Err(EXPECTED.into())
        }
    }
}

/// The size of a plot, as it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Paper {
    pub width: Option<Length>,
    /// Pixels of an inch, in a PNG.
    pub dpi: Option<f64>,
}

impl Paper {
    /// How wide a drawing has to be, in its units, for its text to have the size of a paper's captions; none if any width will do.
    pub fn units(&self) -> Option<f64> {
        let points = self.width?.millimetres / MILLIMETRES_OF_INCH * POINTS_OF_INCH;
        Some((points / FONT * TEXT).round())
    }

    /// The drawing as SVG.
    pub fn svg(&self, drawing: &Drawing) -> String {
        drawing.svg(self.width.map(|length| length.millimetres))
    }

    /// The drawing as PNG, which says its resolution if a size was asked for.
    ///
    /// # Errors
    /// More pixels than fit.
    pub fn png(&self, drawing: &Drawing) -> Result<Vec<u8>> {
        let tree = parsed(&self.svg(drawing))?;
        let dpi = self.dpi.unwrap_or(if self.width.is_some() { DPI } else { SCREEN_DPI });
        let [width, height] =
            [tree.size().width(), tree.size().height()].map(|px| f64::from(px) * dpi / PIXELS_OF_INCH);
        if width * height > MOST_PIXELS {
            return Err(Error::input(format!(
                "a PNG of {width:.0} x {height:.0} pixels is too large, the most are 100 million: a smaller --width or --dpi, or an .svg or .pdf"
            )));
        }
        let pixels: Pixmap = rendered(&tree, (dpi / PIXELS_OF_INCH) as f32)?;
        let bytes = pixels.encode_png().map_err(|e| unrendered(&e))?;
        Ok(if self.width.is_some() || self.dpi.is_some() {
            with_resolution(&bytes, dpi)
        } else {
            bytes
        })
    }

    /// The drawing as a PDF of one page.
    ///
    /// # Errors
    /// It cannot be rendered (a defect).
    pub fn pdf(&self, drawing: &Drawing, title: &str) -> Result<Vec<u8>> {
        pdf::pdf(&parsed(&self.svg(drawing))?, title)
    }
}

/// A PNG with a `pHYs` chunk behind its header.
fn with_resolution(png: &[u8], dpi: f64) -> Vec<u8> {
    /// Signature and header.
    const HEADER: usize = 8 + 25;
    let per_metre = (dpi / MILLIMETRES_OF_INCH * 1000.0).round() as u32;
    let mut chunk = b"pHYs".to_vec();
    chunk.extend(per_metre.to_be_bytes());
    chunk.extend(per_metre.to_be_bytes());
    chunk.push(1);
    let mut crc = flate2::Crc::new();
    crc.update(&chunk);
    let length = (chunk.len() - 4) as u32;
    [
        &png[..HEADER],
        &length.to_be_bytes(),
        &chunk,
        &crc.sum().to_be_bytes(),
        &png[HEADER..],
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        Drawing {
            size: [390.0, 195.0],
            body:
                "<text x=\"10\" y=\"50\">Q &amp; A</text><path fill=\"#0072b2\" fill-opacity=\"0.5\" stroke=\"#000\" \
                   stroke-dasharray=\"4 2\" d=\"M10 60h50v50z\"/>"
                    .into(),
        }
    }

    #[test]
    fn widths_have_units() {
        let parsed = |text: &str| {
            text.parse::<Length>()
                .map(|length| (length.millimetres * 1000.0).round() / 1000.0)
        };
        assert_eq!(parsed("8cm"), Ok(80.0));
        assert_eq!(parsed(" 85 mm"), Ok(85.0));
        assert_eq!(parsed("3.5in"), Ok(88.9));
        assert_eq!(parsed("144pt"), Ok(50.8));
        assert_eq!(parsed("960px"), Ok(254.0));
        for wrong in ["8", "cm", "8 furlongs", "1cm", "-8cm", "infcm", "nancm", "3m", ""] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        let paper = Paper {
            width: Some("8cm".parse().unwrap()),
            dpi: None,
        };
        // 226.8 points hold 30.24 times the font's size.
        assert_eq!((paper.units(), Paper::default().units()), (Some(393.0), None));
    }

    #[test]
    fn a_png_is_as_large_as_asked_and_says_its_resolution() {
        let paper = |dpi| Paper {
            width: Some("2in".parse().unwrap()),
            dpi,
        };
        for (dpi, width) in [(None, 600), (Some(100.0), 200)] {
            let png = paper(dpi).png(&drawing()).unwrap();
            let pixels = Pixmap::decode_png(&png).unwrap();
            assert_eq!((pixels.width(), pixels.height()), (width, width / 2));
            let at = png.windows(4).position(|w| w == b"pHYs").unwrap();
            let per_metre = u32::from_be_bytes(png[at + 4..at + 8].try_into().unwrap());
            assert_eq!(per_metre, (dpi.unwrap_or(300.0) / 0.0254).round() as u32);
        }
        let plain = Paper::default().png(&drawing()).unwrap();
        assert_eq!(Pixmap::decode_png(&plain).unwrap().width(), 780);
        assert!(!plain.windows(4).any(|w| w == b"pHYs"));
        assert!(paper(Some(1e5)).png(&drawing()).is_err());
    }

    #[test]
    fn a_pdf_has_one_page_of_the_size_that_was_asked_for() {
        let paper = Paper {
            width: Some("2in".parse().unwrap()),
            dpi: None,
        };
        let pdf = paper.pdf(&drawing(), "a <b>").unwrap();
        let text = String::from_utf8_lossy(&pdf);
        assert!(text.starts_with("%PDF-") && text.contains("/Count 1"), "{text}");
        let page = text.split("/MediaBox [").nth(1).unwrap().split(']').next().unwrap();
        let page: Vec<f64> = page.split_whitespace().map(|x| x.parse().unwrap()).collect();
        assert!(
            (page[2] - 144.0).abs() < 0.01 && (page[3] - 72.0).abs() < 0.01,
            "{page:?}"
        );
        assert!(text.contains("/ca 0.5"));
    }
}
