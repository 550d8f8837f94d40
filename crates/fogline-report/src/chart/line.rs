//! Line charts: CDFs and values over time.

use super::axis::{Axis, label};
use std::fmt::Write;

/// How an axis maps values to pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Equal steps.
    Linear,
    /// Equal factors.
    Log,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The name in the legend; empty for a line without an entry.
    pub(crate) name: String,
    /// Points, x rising.
    pub(crate) points: Vec<(f64, f64)>,
    /// Draw as a staircase: right for a CDF, which jumps at its values.
    pub(crate) steps: bool,
}

/// A chart of several lines over one x axis.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What a screen reader says, and the chart's heading.
    pub(crate) title: String,
    /// x axis, with its unit.
    pub(crate) x_name: String,
    /// y axis, with its unit.
    pub(crate) y_name: String,
    /// x scale; y is always linear.
    pub(crate) x_scale: Scale,
    /// Fixed top of the y axis; the data's highest value when absent.
    pub(crate) y_top: Option<f64>,
    /// The lines.
    pub(crate) lines: Vec<Line>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Colours that stay apart for colour-blind readers (Okabe and Ito), repeated when there are more lines.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"];

impl Chart {
    /// The chart as one SVG element, or a sentence when there is nothing to draw.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        if points().next().is_none() {
            return format!("<p class=\"none\">{}: no data.</p>", escape(&self.title));
        }
        let low_x = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
        let high_x = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        let high_y = self.y_top.unwrap_or_else(|| points().map(|p| p.1).fold(0.0, f64::max) * 1.05);
        let x = Axis::new(self.x_scale, low_x, high_x, LEFT, WIDTH - RIGHT);
        let y = Axis::new(Scale::Linear, 0.0, high_y, HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(&self.title)
        );
        self.draw_axes(&mut svg, &x, &y);
        for (index, line) in self.lines.iter().enumerate() {
            draw_line(&mut svg, line, COLOURS[index % COLOURS.len()], &x, &y);
        }
        svg.push_str("</svg>");
        svg.push_str(&self.legend());
        svg
    }

    fn draw_axes(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let bottom = HEIGHT - BOTTOM;
        for tick in y.ticks() {
            let at = y.pixel(tick);
            push(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
                    WIDTH - RIGHT
                ),
            );
            push(
                svg,
                format_args!(
                    "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    LEFT - 6.0,
                    at + 4.0,
                    label(tick)
                ),
            );
        }
        for tick in x.ticks() {
            let at = x.pixel(tick);
            push(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>"
                ),
            );
            push(
                svg,
                format_args!(
                    "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                    bottom + 16.0,
                    label(tick)
                ),
            );
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        push(
            svg,
            format_args!(
                "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - 8.0,
                escape(&self.x_name)
            ),
        );
        let across = (TOP + bottom) / 2.0;
        push(
            svg,
            format_args!(
                "<text transform=\"rotate(-90 14 {across})\" x=\"14\" y=\"{across}\" text-anchor=\"middle\">{}</text>",
                escape(&self.y_name)
            ),
        );
    }

    fn legend(&self) -> String {
        let mut html = String::from("<div class=\"legend\">");
        for (index, line) in self.lines.iter().enumerate().filter(|(_, line)| !line.name.is_empty()) {
            let colour = COLOURS[index % COLOURS.len()];
            push(
                &mut html,
                format_args!("<span><i style=\"background:{colour}\"></i>{}</span>", escape(&line.name)),
            );
        }
        html.push_str("</div>");
        html
    }
}

fn draw_line(svg: &mut String, line: &Line, colour: &str, x: &Axis, y: &Axis) {
    let mut path = String::new();
    for (index, (px, py)) in line.points.iter().map(|(vx, vy)| (x.pixel(*vx), y.pixel(*vy))).enumerate() {
        match (index, line.steps) {
            (0, _) => push(&mut path, format_args!("M{px:.1} {py:.1}")),
            (_, true) => push(&mut path, format_args!("H{px:.1}V{py:.1}")),
            (_, false) => push(&mut path, format_args!("L{px:.1} {py:.1}")),
        }
    }
    push(svg, format_args!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>"));
}

/// Text made safe between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a String cannot fail");
}
