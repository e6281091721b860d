//! Charts of a page, as SVG without scripts: lines with bands, points with error bars, bars.

use super::escaped;
use agon_core::scene::significant;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
/// Room for the numbers of the axes: left, right, above, below.
const ROOM: [f64; 4] = [62.0, 24.0, 40.0, 42.0];
/// Blue, orange, green, red, light blue, brown, amber, black, violet, grey: told apart by people who see few colours too (Okabe and Ito).
const COLOURS: [&str; 10] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", "#e69f00", "#222222", "#7b3f99", "#999999"];
/// Points of a line at most; of longer ones every n-th is drawn, and the last.
const POINTS: usize = 600;

enum Mark {
    Line(Vec<(f64, f64)>),
    /// x, low, high.
    Band(Vec<(f64, f64, f64)>),
    /// x, y, low, high.
    Points(Vec<(f64, f64, f64, f64)>),
    /// Many points, without intervals.
    Dots(Vec<(f64, f64)>),
    /// A straight line across the chart at this height.
    Level(f64),
    /// The line on which both axes are equal.
    Diagonal,
}

/// A chart.
pub struct Chart {
    title: String,
    x: String,
    y: String,
    marks: Vec<(String, usize, Mark)>,
    series: usize,
    bars: Vec<(String, f64, f64)>,
}

fn thinned<T: Copy>(all: Vec<T>) -> Vec<T> {
    let every = all.len().div_ceil(POINTS).max(1);
    let last = all.len().saturating_sub(1);
    all.into_iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last).map(|(_, point)| point).collect()
}

impl Chart {
    /// An empty one: its title, and what its axes are.
    pub fn new(title: &str, x: &str, y: &str) -> Self {
        Self { title: title.into(), x: x.into(), y: y.into(), marks: Vec::new(), series: 0, bars: Vec::new() }
    }

    /// Bars from left to right, each with its name and half the width of its interval.
    pub fn bars(title: &str, bars: Vec<(String, f64, f64)>) -> Self {
        Self { bars, ..Self::new(title, "", "") }
    }

    fn add(&mut self, name: &str, mark: Mark) {
        self.marks.push((name.into(), self.series, mark));
        self.series += 1;
    }

    /// A line through points in the order of x; what is not finite is left out.
    pub fn line(&mut self, name: &str, points: Vec<(f64, f64)>) {
        let points = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        self.add(name, Mark::Line(thinned(points)));
    }

    /// A band behind the next line, in its colour: x, low and high.
    pub fn band(&mut self, points: Vec<(f64, f64, f64)>) {
        let points = points.into_iter().filter(|(x, a, b)| x.is_finite() && a.is_finite() && b.is_finite()).collect();
        self.marks.push((String::new(), self.series, Mark::Band(thinned(points))));
    }

    /// Points with the ends of their intervals: x, y, low, high.
    pub fn points(&mut self, name: &str, points: Vec<(f64, f64, f64, f64)>) {
        let points = points.into_iter().filter(|(x, y, a, b)| [x, y, a, b].iter().all(|v| v.is_finite())).collect();
        self.add(name, Mark::Points(thinned(points)));
    }

    /// Many points, all of which are drawn.
    pub fn dots(&mut self, name: &str, points: Vec<(f64, f64)>) {
        self.add(name, Mark::Dots(points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()));
    }

    /// A level, such as an optimum.
    pub fn level(&mut self, name: &str, y: f64) {
        if y.is_finite() {
            self.add(name, Mark::Level(y));
        }
    }

    /// The line on which both axes are equal.
    pub fn diagonal(&mut self, name: &str) {
        self.add(name, Mark::Diagonal);
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        let some = |mark: &Mark| match mark {
            Mark::Line(all) | Mark::Dots(all) => !all.is_empty(),
            Mark::Points(all) => !all.is_empty(),
            _ => false,
        };
        self.bars.is_empty() && !self.marks.iter().any(|(_, _, mark)| some(mark))
    }

    /// As SVG; nothing where there is nothing to see.
    pub fn svg(&self) -> String {
        match (self.is_empty(), self.bars.is_empty()) {
            (true, _) => String::new(),
            (_, false) => self.bars_svg(),
            _ => self.lines_svg(),
        }
    }

    /// The ends of both axes.
    fn ends(&self) -> [f64; 4] {
        let mut ends = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY];
        let mut see = |x: Option<f64>, y: f64| {
            if let Some(x) = x {
                (ends[0], ends[1]) = (ends[0].min(x), ends[1].max(x));
            }
            (ends[2], ends[3]) = (ends[2].min(y), ends[3].max(y));
        };
        for (_, _, mark) in &self.marks {
            match mark {
                Mark::Line(all) | Mark::Dots(all) => all.iter().for_each(|(x, y)| see(Some(*x), *y)),
                Mark::Band(all) => all.iter().for_each(|(x, a, b)| [a, b].iter().for_each(|y| see(Some(*x), **y))),
                Mark::Points(all) => {
                    all.iter().for_each(|(x, y, a, b)| [y, a, b].iter().for_each(|y| see(Some(*x), **y)));
                }
                Mark::Level(y) => see(None, *y),
                Mark::Diagonal => {}
            }
        }
        if self.marks.iter().any(|(_, _, mark)| matches!(mark, Mark::Diagonal)) {
            let (low, high) = (ends[0].min(ends[2]), ends[1].max(ends[3]));
            ends = [low, high, low, high];
        }
        for pair in [0, 2] {
            if ends[pair] >= ends[pair + 1] {
                let room = if ends[pair] == 0.0 { 1.0 } else { 0.1 * ends[pair].abs() };
                (ends[pair], ends[pair + 1]) = (ends[pair] - room, ends[pair] + room);
            }
        }
        ends
    }

    fn lines_svg(&self) -> String {
        let [x0, x1, y0, y1] = self.ends();
        let [left, right, above, below] = ROOM;
        let named = self.marks.iter().filter(|(name, ..)| !name.is_empty());
        let keys: Vec<(&String, usize)> = named.map(|(name, series, _)| (name, *series)).collect();
        // Long names have a line of their own.
        let beside = if keys.iter().any(|(name, _)| name.chars().count() > 24) { 1 } else { 2 };
        let height = HEIGHT + 16.0 * keys.len().div_ceil(beside) as f64;
        let at = |x: f64, y: f64| {
            let px = left + (WIDTH - left - right) * (x - x0) / (x1 - x0);
            let py = HEIGHT - below - (HEIGHT - above - below) * (y - y0) / (y1 - y0);
            (px, py)
        };
        let mut out = self.begin(height);
        for tick in ticks(y0, y1) {
            let y = at(x0, tick).1;
            out += &format!(
                "<line x1={left} x2={:.1} y1={y:.1} y2={y:.1} stroke=#ddd /><text x={:.1} y={:.1} text-anchor=end>{}</text>",
                WIDTH - right,
                left - 6.0,
                y + 4.0,
                significant(tick, 4)
            );
        }
        for tick in ticks(x0, x1) {
            let (x, y) = (at(tick, y0).0, HEIGHT - below);
            out += &format!(
                "<line x1={x:.1} x2={x:.1} y1={y:.1} y2={:.1} stroke=#888 /><text x={x:.1} y={:.1} text-anchor=middle>{}</text>",
                y + 4.0,
                y + 17.0,
                significant(tick, 4)
            );
        }
        out += &format!(
            "<text x={:.1} y={:.1} text-anchor=middle fill=#555>{}</text><text x=4 y={:.1} fill=#555>{}</text>",
            (left + WIDTH - right) / 2.0,
            HEIGHT - 6.0,
            escaped(&self.x),
            above - 12.0,
            escaped(&self.y)
        );
        for (_, series, mark) in &self.marks {
            out += &drawn(mark, COLOURS[series % COLOURS.len()], at, [x0, x1, y0, y1]);
        }
        for (i, (name, series)) in keys.iter().enumerate() {
            let (x, y) = (left + 200.0 * (i % beside) as f64, HEIGHT + 12.0 + 16.0 * (i / beside) as f64);
            let colour = COLOURS[series % COLOURS.len()];
            out += &format!(
                "<rect x={x:.1} y={:.1} width=14 height=3 fill={colour} /><text x={:.1} y={y:.1}>{}</text>",
                y - 5.0,
                x + 19.0,
                escaped(&name.chars().take(50).collect::<String>())
            );
        }
        out + "</svg>\n"
    }

    fn begin(&self, height: f64) -> String {
        let title = escaped(&self.title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=img aria-label=\"{title}\" width={WIDTH} height={height} \
             viewBox=\"0 0 {WIDTH} {height}\"><title>{title}</title><text x={:.1} y=13 text-anchor=middle \
             font-weight=bold>{title}</text>",
            WIDTH / 2.0
        )
    }

    fn bars_svg(&self) -> String {
        let (left, step) = (170.0, 22.0);
        let height = 30.0 + step * self.bars.len() as f64 + 6.0;
        let low = self.bars.iter().map(|(_, x, half)| x - half).fold(0.0, f64::min);
        let high = self.bars.iter().map(|(_, x, half)| x + half).fold(0.0, f64::max);
        let span = if high > low { high - low } else { 1.0 };
        let at = |x: f64| left + (WIDTH - left - 70.0) * (x - low) / span;
        let mut out = self.begin(height);
        for (i, (name, x, half)) in self.bars.iter().enumerate() {
            let y = 30.0 + step * i as f64;
            let (from, to) = (at(x.min(0.0)), at(x.max(0.0)));
            let name = escaped(&name.chars().take(26).collect::<String>());
            out += &format!(
                "<text x={:.1} y={:.1} text-anchor=end>{name}</text><rect x={from:.1} y={y:.1} width={:.1} height=14 \
                 fill={} /><line x1={:.1} x2={:.1} y1={:.1} y2={:.1} stroke=#222 /><text x={:.1} y={:.1}>{}</text>",
                left - 6.0,
                y + 11.0,
                to - from,
                COLOURS[0],
                at(x - half),
                at(x + half),
                y + 7.0,
                y + 7.0,
                at(x + half).max(to) + 5.0,
                y + 11.0,
                significant(*x, 3)
            );
        }
        out + "</svg>\n"
    }
}

/// One mark of a chart; `at` gives its place, `ends` are those of the axes.
fn drawn(mark: &Mark, colour: &str, at: impl Fn(f64, f64) -> (f64, f64), ends: [f64; 4]) -> String {
    let path = |points: &mut dyn Iterator<Item = (f64, f64)>| -> String {
        let points = points.map(|(x, y)| at(x, y)).map(|(x, y)| format!("{x:.1},{y:.1}"));
        points.collect::<Vec<_>>().join(" ")
    };
    match mark {
        Mark::Line(all) => {
            let points = path(&mut all.iter().copied());
            format!("<polyline points=\"{points}\" fill=none stroke={colour} stroke-width=1.8 />")
        }
        Mark::Band(all) => {
            let (up, down) = (all.iter().map(|(x, _, b)| (*x, *b)), all.iter().rev().map(|(x, a, _)| (*x, *a)));
            let points = path(&mut up.chain(down));
            format!("<polygon points=\"{points}\" fill={colour} fill-opacity=0.18 />")
        }
        Mark::Points(all) => {
            let one = |(x, y, low, high): &(f64, f64, f64, f64)| {
                let ((px, py), (a, b)) = (at(*x, *y), (at(*x, *low).1, at(*x, *high).1));
                let bar = format!("<line x1={px:.1} x2={px:.1} y1={a:.1} y2={b:.1} stroke={colour} />");
                let bar = if low < high { bar } else { String::new() };
                format!("{bar}<circle cx={px:.1} cy={py:.1} r=3 fill={colour} fill-opacity=0.75 />")
            };
            all.iter().map(one).collect()
        }
        Mark::Dots(all) => {
            let one = |(px, py): (f64, f64)| format!("<circle cx={px:.1} cy={py:.1} r=1.8 />");
            let dots: String = all.iter().map(|(x, y)| one(at(*x, *y))).collect();
            format!("<g fill={colour} fill-opacity=0.7>{dots}</g>")
        }
        Mark::Level(y) => {
            let ((a, py), (b, _)) = (at(ends[0], *y), at(ends[1], *y));
            format!("<line x1={a:.1} x2={b:.1} y1={py:.1} y2={py:.1} stroke={colour} stroke-dasharray=\"6 4\" />")
        }
        Mark::Diagonal => {
            let ((ax, ay), (bx, by)) = (at(ends[0], ends[0]), at(ends[1], ends[1]));
            format!("<line x1={ax:.1} x2={bx:.1} y1={ay:.1} y2={by:.1} stroke={colour} stroke-dasharray=\"6 4\" />")
        }
    }
}

/// Round numbers between two, three to six of them.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 4.0;
    let size = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|k| k * size).find(|step| *step >= rough).unwrap_or(rough);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last.min(first + 12)).map(|k| k as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(3.0, 41.0), [10.0, 20.0, 30.0, 40.0]);
        assert_eq!(ticks(-1.2e6, 0.0), [-1_000_000.0, -500_000.0, 0.0]);
    }

    /// The ends of a line are the ends of the axes; nothing that is not finite is drawn.
    #[test]
    fn lines_fill_the_chart() {
        let mut chart = Chart::new("t", "x", "y");
        assert!(chart.svg().is_empty());
        chart.line("a", vec![(0.0, 1.0), (5.0, f64::NAN), (10.0, 3.0)]);
        let svg = chart.svg();
        let (left, below) = (ROOM[0], HEIGHT - ROOM[3]);
        let ends = format!("points=\"{left:.1},{below:.1} {:.1},{:.1}\"", WIDTH - ROOM[1], ROOM[2]);
        assert!(svg.contains(&ends) && !svg.contains("NaN"), "{svg}");
        let mut flat = Chart::new("t", "x", "y");
        flat.line("a", vec![(1.0, 2.0)]);
        assert!(!flat.svg().contains("NaN") && !flat.svg().contains("inf"), "{}", flat.svg());
    }

    #[test]
    fn long_lines_are_thinned_and_keep_their_end() {
        let all = thinned((0..10_000).collect());
        assert!(all.len() <= POINTS + 1 && all[0] == 0 && all.last() == Some(&9_999));
    }
}
