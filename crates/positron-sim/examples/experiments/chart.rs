//! How broadcasts spread, as a picture.

use std::fmt::Write as _;

use positron_sim::experiments::Findings;

/// Of one panel, in pixels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
/// Around its axes.
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 50.0;
/// Lines across.
const STEPS: u32 = 4;

/// A panel for each experiment, one below the other: the share of deliveries that have come, over
/// the time since the sender had the broadcast on disk.
pub(crate) fn of(all: &[Findings]) -> String {
    let height = HEIGHT * all.len().max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (at, found) in all.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate(0 {})\">", HEIGHT * at as f64);
        panel(&mut svg, found);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, found: &Findings) {
    let without = found.spread_without_ms.as_deref().unwrap_or_default();
    let longest = found.spread_ms.iter().chain(without).copied().fold(0.0, f64::max);
    let end = round_up(longest);
    let title = format!("{}, {} nodes, seed {}", found.name, found.nodes, found.seed);
    text(svg, (LEFT, TOP - 16.0), "start", &title);
    for step in 0..=STEPS {
        let part = f64::from(step) / f64::from(STEPS);
        let (x, y) = (x_of(part), y_of(part));
        line(svg, (LEFT, y), (WIDTH - RIGHT, y));
        line(svg, (x, TOP), (x, HEIGHT - BOTTOM));
        text(svg, (LEFT - 6.0, y + 4.0), "end", &format!("{:.0} %", part * 100.0));
        text(svg, (x, HEIGHT - BOTTOM + 16.0), "middle", &format!("{}", part * end));
    }
    let below = "ms since the sender had it on disk";
    text(svg, (x_of(0.5), HEIGHT - BOTTOM + 34.0), "middle", below);
    curve(svg, without, end, "#999999");
    curve(svg, &found.spread_ms, end, "#0b62a4");
    if !without.is_empty() {
        let key = "grey: without what it is about";
        text(svg, (WIDTH - RIGHT, TOP - 16.0), "end", key);
    }
}

/// Up the steps, from nobody on.
fn curve(svg: &mut String, spread_ms: &[f64], end: f64, color: &str) {
    if spread_ms.is_empty() {
        return;
    }
    let mut points = format!("{:.1},{:.1}", x_of(0.0), y_of(0.0));
    for (percent, ms) in (1_u32..).zip(spread_ms) {
        let (x, y) = (x_of(ms / end), y_of(f64::from(percent) / 100.0));
        let _ = write!(points, " {x:.1},{y:.1}");
    }
    let _ = writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"
    );
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>"
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, what: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
}

fn x_of(part: f64) -> f64 {
    LEFT + part * (WIDTH - LEFT - RIGHT)
}

fn y_of(part: f64) -> f64 {
    HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
}

/// To the next number that four steps divide without a rest that nobody wants to read.
fn round_up(number: f64) -> f64 {
    let mut unit = 20.0;
    while unit * 10.0 < number {
        unit *= 10.0;
    }
    (number / unit).ceil().max(1.0) * unit
}
