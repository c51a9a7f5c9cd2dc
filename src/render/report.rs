//! Reports: one HTML file that needs no network and no other file. The page (`report/page.js`, `page.css`) draws what `data` holds.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::plot::escape;

/// By which a file is known to be a report of ours.
pub const MARK: &str = "<meta name=\"generator\" content=\"illume report\">";

/// The file: `data` as the page's script reads it.
pub fn page(title: &str, data: &Value) -> String {
    // Within a script element nothing but `<` could end it or begin a comment.
    let data = data.to_string().replace('<', "\\u003c");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{MARK}\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<noscript>This report is drawn by JavaScript within this file, which is switched off here.</noscript>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
        escape(title),
        include_str!("report/page.css"),
        include_str!("report/page.js"),
    )
}

/// Numbers of a page, as base64 of their bytes.
pub trait Packed: Copy {
    const TYPE: &'static str;
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! packed {
    ($($type:ident)*) => {
        $(impl Packed for $type {
            const TYPE: &'static str = stringify!($type);
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        })*
    };
}
packed!(f32 f64 i32 u64);

/// An array of a page.
pub fn packed<T: Packed>(values: impl IntoIterator<Item = T>) -> Value {
    let mut bytes = Vec::new();
    values.into_iter().for_each(|value| value.put(&mut bytes));
    json!({"type": T::TYPE, "base64": BASE64_STANDARD.encode(bytes)})
}

/// An image within a page.
pub fn image(kind: &str, bytes: &[u8]) -> String {
    format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_page_shows_can_end_its_script_or_title() {
        let page = page(
            "</title><script>alert(1)</script>",
            &json!({"title": "</script><!--<script>"}),
        );
        assert_eq!(page.matches("</script>").count(), 2, "those of the page itself");
        assert_eq!(page.matches("<script").count(), 2);
        assert!(page.contains("<title>&lt;/title&gt;"), "{page}");
        assert!(page.contains(r#"{"title":"\u003c/script>\u003c!--\u003cscript>"}"#));
    }

    #[test]
    fn arrays_are_little_endian_base64() {
        let one = packed([1.0f32, -2.0]);
        assert_eq!(one, json!({"type": "f32", "base64": "AACAPwAAAMA="}));
        assert_eq!(packed([258i32])["base64"], "AgEAAA==");
    }
}
