//! A plot of lines with two logarithmic axes, as SVG.

/// What is drawn.
pub(super) struct Plot {
    pub(super) title: String,
    /// What the axes show, with their units.
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) lines: [Line; STYLES.len()],
}

/// Points that belong together, from left to right.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
    /// Where on the first axis there should be a point, but a run failed or was stopped.
    pub(super) failures: Vec<f64>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 56.0;

/// Colours that everybody can tell apart, and a mark for who sees none.
const STYLES: [(&str, Mark); 2] = [("#0072b2", Mark::Circle), ("#d55e00", Mark::Square)];

#[derive(Clone, Copy)]
enum Mark {
    Circle,
    Square,
}

/// A logarithmic axis, from one end of the drawing to the other.
struct Axis {
    /// The logarithms of its ends.
    from: f64,
    to: f64,
    /// Where these are drawn.
    begin: f64,
    end: f64,
}

impl Plot {
    /// The file.
    pub(super) fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::of(all().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Axis::of(all().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = vec![format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" fill=\"#222222\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>"
        )];
        let [across, up] = [
            f64::midpoint(LEFT, WIDTH - RIGHT),
            f64::midpoint(TOP, HEIGHT - BOTTOM),
        ];
        svg.push(text([across, 24.0], "middle", 15, &self.title));
        svg.push(text([across, HEIGHT - 14.0], "middle", 13, self.x));
        svg.push(format!(
            "<g transform=\"translate(18 {up}) rotate(-90)\">{}</g>",
            text([0.0, 0.0], "middle", 13, self.y)
        ));
        for (value, is_labelled) in x.ticks() {
            let at = x.place(value);
            svg.push(rule([at, y.begin, at, y.end], is_labelled));
            if is_labelled {
                svg.push(text([at, y.begin + 18.0], "middle", 12, &label(value)));
            }
        }
        for (value, is_labelled) in y.ticks() {
            let at = y.place(value);
            svg.push(rule([x.begin, at, x.end, at], is_labelled));
            if is_labelled {
                svg.push(text([x.begin - 8.0, at + 4.0], "end", 12, &label(value)));
            }
        }
        svg.extend(self.draw(&x, &y));
        svg.extend(self.legend());
        svg.extend(self.failures([x.end - 6.0, y.begin - 8.0]));
        svg.push("</svg>\n".into());
        svg.join("\n")
    }

    fn draw(&self, x: &Axis, y: &Axis) -> Vec<String> {
        let mut svg = Vec::new();
        for (line, (colour, mark)) in self.lines.iter().zip(STYLES) {
            let places = line.points.iter().map(|&(a, b)| [x.place(a), y.place(b)]);
            let path: Vec<_> = places
                .clone()
                .map(|[a, b]| format!("{a:.1},{b:.1}"))
                .collect();
            svg.push(format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ));
            svg.extend(places.map(|place| mark.draw(place, colour)));
        }
        svg
    }

    /// Names the lines, between the title and the drawing.
    fn legend(&self) -> Vec<String> {
        const EACH: f64 = 140.0;
        let mut svg = Vec::new();
        let mut at = LEFT;
        for (line, (colour, mark)) in self.lines.iter().zip(STYLES) {
            svg.push(mark.draw([at + 6.0, TOP - 18.0], colour));
            svg.push(text([at + 18.0, TOP - 14.0], "start", 13, line.name));
            at += EACH;
        }
        svg
    }

    /// Says which points are missing, in lines that end at a place, the last one.
    fn failures(&self, [x, mut y]: [f64; 2]) -> Vec<String> {
        let mut svg = Vec::new();
        for line in &self.lines {
            for &at in &line.failures {
                let failure = format!("{}: failed or stopped at {}", line.name, label(at));
                svg.push(text([x, y], "end", 13, &failure));
                y -= 16.0;
            }
        }
        svg
    }
}

impl Line {
    /// One with no points yet.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            points: Vec::new(),
            failures: Vec::new(),
        }
    }
}

impl Axis {
    /// One with room for all values, with ends at ticks.
    fn of(values: impl Iterator<Item = f64>, begin: f64, end: f64) -> Self {
        let (mut least, mut most) = (f64::MAX, f64::MIN);
        for value in values.filter(|value| *value > 0.0) {
            least = least.min(value.log10());
            most = most.max(value.log10());
        }
        if least > most {
            (least, most) = (0.0, 1.0);
        }
        // Whole decades, or halves of them where these would leave much empty.
        let step = if most - least < 2.0 { 0.5 } else { 1.0 };
        let from = (least / step).floor() * step;
        let to = (most / step).ceil() * step;
        Self {
            from,
            to: if to > from { to } else { from + step },
            begin,
            end,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let part = (value.log10() - self.from) / (self.to - self.from);
        self.begin + part * (self.end - self.begin)
    }

    /// Values at which lines are drawn, and whether they are labelled.
    fn ticks(&self) -> Vec<(f64, bool)> {
        /// Of the logarithms, which are not exact.
        const NEAR: f64 = 1e-9;
        let is_short = self.to - self.from <= 2.0;
        let mut ticks = Vec::new();
        let mut decade = self.from.floor();
        while decade <= self.to {
            for digit in 1_u8..10 {
                let value = f64::from(digit) * 10_f64.powf(decade);
                let at = value.log10();
                if at >= self.from - NEAR && at <= self.to + NEAR {
                    ticks.push((value, digit == 1 || is_short && matches!(digit, 2 | 5)));
                }
            }
            decade += 1.0;
        }
        ticks
    }
}

impl Mark {
    fn draw(self, [x, y]: [f64; 2], colour: &str) -> String {
        match self {
            Self::Circle => {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>")
            }
            Self::Square => format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\" fill=\"{colour}\"/>",
                x - 4.0,
                y - 4.0
            ),
        }
    }
}

fn rule([x1, y1, x2, y2]: [f64; 4], is_labelled: bool) -> String {
    let colour = if is_labelled { "#c0c0c0" } else { "#ececec" };
    format!(
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
    )
}

fn text([x, y]: [f64; 2], anchor: &str, size: u8, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{text}</text>"
    )
}

/// A number with its thousands apart.
fn label(value: f64) -> String {
    if value < 0.999 {
        // As many digits as it takes to show the first.
        let mut digits = 1;
        while value * 10_f64.powi(digits) < 0.999 {
            digits += 1;
        }
        return format!("{value:.*}", usize::try_from(digits).unwrap_or(1));
    }
    let number = format!("{value:.0}");
    let mut label = String::new();
    for (index, digit) in number.chars().enumerate() {
        if index > 0 && (number.len() - index).is_multiple_of(3) {
            label.push(',');
        }
        label.push(digit);
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_factors_are_equal_distances() {
        let axis = Axis::of([0.02, 7.0, 900.0].into_iter(), 0.0, 500.0);
        for (value, place) in [(0.01, 0.0), (0.1, 100.0), (1.0, 200.0), (1000.0, 500.0)] {
            assert!((axis.place(value) - place).abs() < 1e-6, "{value}");
        }
    }

    #[test]
    fn numbers_are_labelled_as_one_reads_them() {
        for (value, expected) in [
            (0.001, "0.001"),
            (0.2, "0.2"),
            (1.0, "1"),
            (50.0, "50"),
            (1000.0, "1,000"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(label(value), expected);
        }
    }

    #[test]
    fn no_points_give_an_empty_plot() {
        let plot = Plot {
            title: "a < b".into(),
            x: "x",
            y: "y",
            lines: ["b", "c"].map(Line::new),
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn a_point_that_is_missing_is_told() {
        let mut lines = ["b", "c"].map(Line::new);
        lines[0].points = vec![(10.0, 1.0), (1000.0, 2.0)];
        lines[1].points = vec![(10.0, 1.0)];
        lines[1].failures = vec![1000.0];
        let plot = Plot {
            title: "a".into(),
            x: "x",
            y: "y",
            lines,
        };
        let svg = plot.svg();
        assert_eq!(svg.matches("failed or stopped").count(), 1, "{svg}");
        assert!(
            svg.contains(">c: failed or stopped at 1,000</text>"),
            "{svg}"
        );
    }
}
