//! What a picture is made of: the few SVG elements in use, as text.

use std::fmt::Write;

/// Colours; those of data can be told apart by people who see red and green alike.
pub(super) const INK: &str = "#1f2933";
pub(super) const SOFT: &str = "#616e7c";
pub(super) const RULE: &str = "#e4e7eb";
pub(super) const EMPTY: &str = "#f0f2f4";
pub(super) const BLUE: &str = "#3b7dbb";
pub(super) const RED: &str = "#d1495b";
pub(super) const AMBER: &str = "#edae49";
pub(super) const GREEN: &str = "#2a8c82";

#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

type Point = (f64, f64);

/// A picture under construction.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    body: String,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn points(points: &[Point]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

impl Drawing {
    pub(super) fn rect(&mut self, (x, y): Point, (width, height): Point, fill: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.2}" y="{y:.1}" width="{width:.2}" height="{height:.1}" fill="{fill}"/>"#
        );
    }

    pub(super) fn line(&mut self, (x1, y1): Point, (x2, y2): Point, stroke: &str) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{stroke}"/>"#
        );
    }

    pub(super) fn polygon(&mut self, corners: &[Point], fill: &str) {
        let corners = points(corners);
        let _ = writeln!(self.body, r#"<polygon points="{corners}" fill="{fill}" fill-opacity="0.55"/>"#);
    }

    pub(super) fn curve(&mut self, through: &[Point], stroke: &str) {
        if through.len() > 1 {
            let corners = points(through);
            let _ = writeln!(
                self.body,
                r#"<polyline points="{corners}" fill="none" stroke="{stroke}" stroke-width="1.6"/>"#
            );
        }
    }

    pub(super) fn dot(&mut self, (x, y): Point, fill: &str) {
        let _ = writeln!(self.body, r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.2" fill="{fill}"/>"#);
    }

    pub(super) fn text(&mut self, (x, y): Point, anchor: Anchor, fill: &str, text: &str) {
        let (anchor, text) = (anchor.as_str(), escaped(text));
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{fill}">{text}</text>"#
        );
    }

    pub(super) fn title(&mut self, (x, y): Point, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="17" font-weight="600" fill="{INK}">{text}</text>"#
        );
    }

    /// Coloured squares with their meaning, from `x` to the right.
    pub(super) fn legend(&mut self, (x, y): Point, entries: &[(&str, &str)]) {
        let mut x = x;
        for (fill, meaning) in entries {
            self.rect((x, y - 9.0), (10.0, 10.0), fill);
            self.text((x + 15.0, y), Anchor::Start, SOFT, meaning);
            x += 32.0 + 6.3 * meaning.chars().count() as f64;
        }
    }

    /// The document.
    pub(super) fn finish(self, width: f64, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body
        )
    }
}
