//! The drawings, as SVG by `plotters`.
//!
//! The library knows colours and no style sheet. So what is drawn in [`INK`] is given the page's ink afterwards; the colours
//! of lines can be told from white and from black paper.

use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::element::{Circle, Cross, PathElement, Polygon, Rectangle, TriangleMarker};
use plotters::prelude::{DrawingArea, IntoDrawingArea as _, SVGBackend};
use plotters::series::LineSeries;
use plotters::style::{Color as _, IntoFont as _, RGBColor, TextStyle};

use crate::balance::Direction;
use crate::report::course::Course;
use crate::report::moe::{Moe, Phase};
use crate::report::tables::{Axis, Bars, Chart, LOOKS};
use crate::units::{format_byte_rate, format_size};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = Box<dyn std::error::Error>;

/// Stands for the page's ink: nothing else is drawn in it.
const INK: RGBColor = RGBColor(1, 2, 3);
/// Each has a contrast of at least 3 on white and on the dark paper (WCAG 2, for graphics); hues as far apart as may be.
const COLOURS: [RGBColor; LOOKS] = [
    RGBColor(0x3b, 0x82, 0xc4),
    RGBColor(0xc8, 0x6a, 0x1c),
    RGBColor(0x2b, 0x94, 0x66),
    RGBColor(0x9a, 0x6b, 0xd0),
    RGBColor(0xc9, 0x4f, 0x8a),
    RGBColor(0x80, 0x80, 0x80),
    RGBColor(0xa0, 0x82, 0x1e),
    RGBColor(0x1f, 0x90, 0xa0),
];
/// Marks, so that colour is not needed.
const MARKS: usize = 5;

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// Draws, and gives the ink's place to the page. A drawing that fails leaves its place empty; the figures are below.
fn draw(size: (u32, u32), with: impl FnOnce(&Area<'_>) -> Result<(), Failed>) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        with(&area).and_then(|()| area.present().map_err(Into::into))
    };
    if drawn.is_err() {
        return String::new();
    }
    // What is left of fixed sizes is the view box, so that the page can scale it.
    let fixed = format!("width=\"{}\" height=\"{}\" ", size.0, size.1);
    svg.replace("#010203", "currentColor").replacen(&fixed, "", 1)
}

fn text(size: u32) -> TextStyle<'static> {
    ("system-ui, sans-serif", size).into_font().color(&INK)
}

/// A mark of its own for each line.
fn mark(area: &Area<'_>, index: usize, at: (i32, i32)) -> Result<(), Failed> {
    let style = colour(index).filled();
    let (x, y) = at;
    match index % MARKS {
        0 => area.draw(&Circle::new(at, 5, style))?,
        1 => area.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], style))?,
        2 => area.draw(&TriangleMarker::new(at, 6, style))?,
        3 => area.draw(&Polygon::new([(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], style))?,
        _ => area.draw(&Cross::new(at, 5, colour(index).stroke_width(3)))?,
    }
    Ok(())
}

/// A piece of a line with its mark, for the legend.
pub(super) fn sample(index: usize) -> String {
    draw((32, 16), |area| {
        area.draw(&PathElement::new([(0, 8), (32, 8)], colour(index).stroke_width(3)))?;
        mark(area, index, (16, 8))
    })
}

/// Speed by size or number of nodes, a line per policy. They double from step to step, so their axis is logarithmic; speed begins at 0.
pub(super) fn speed(chart: &Chart) -> String {
    let points = || chart.series.iter().flat_map(|series| series.points.iter());
    let place = |size: u64| (size.max(1) as f64).log2();
    let (Some(least), Some(most)) = (points().map(|p| *p.0).min(), points().map(|p| *p.0).max()) else {
        return String::new();
    };
    let top = points().map(|p| *p.1).fold(0.0, f64::max);
    // As many digits as tell a tenth of the axis from the next.
    let digits = match top {
        top if top >= 20.0 => 0,
        top if top >= 2.0 => 1,
        top if top >= 0.2 => 2,
        top if top >= 0.02 => 3,
        _ => 5,
    };
    let (from, to) = (place(least) - 0.3, place(most) + 0.3);
    draw((1100, 420), |area| {
        let mut plot = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(44)
            .y_label_area_size(76)
            .build_cartesian_2d(from..to, 0.0..(top * 1.05).max(f64::MIN_POSITIVE))?;
        plot.configure_mesh()
            .disable_x_mesh()
            .bold_line_style(INK.mix(0.15))
            .light_line_style(INK.mix(0.0))
            .axis_style(INK.mix(0.5))
            .x_labels(12)
            .x_label_formatter(&|log| power_at(chart.axis, *log))
            .y_label_formatter(&|value| format!("{value:.digits$}"))
            .x_desc(chart.axis.name())
            .y_desc(chart.unit.as_str())
            .label_style(text(15))
            .axis_desc_style(text(16))
            .draw()?;
        for series in &chart.series {
            let line: Vec<(f64, f64)> =
                series.points.iter().map(|(&size, &value)| (place(size), value)).collect();
            plot.draw_series(LineSeries::new(line.iter().copied(), colour(series.look).stroke_width(2)))?;
            for &(x, y) in &line {
                mark(area, series.look, plot.backend_coord(&(x, y)))?;
            }
        }
        Ok(())
    })
}

/// The point whose logarithm this is, at whole powers of two only.
fn power_at(axis: Axis, log: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the logarithm of a u64, rounded"
    )]
    let power = log.round().clamp(0.0, 63.0) as u32;
    if (log - f64::from(power)).abs() < 1e-9 { axis.show(1 << power) } else { String::new() }
}

/// Two bars for each NIC: sent and received; `most` bytes fill the height.
pub(super) fn bars(bars: &Bars, most: u64) -> String {
    let groups = bars.nics.iter().map(|(name, tx, rx)| Group {
        name: name.clone(),
        bars: vec![(0, Some(*tx as f64)), (1, Some(*rx as f64))],
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count of bytes"
    )]
    grouped(&groups.collect::<Vec<_>>(), most as f64, &|bytes| format_size(bytes as u64))
}

/// How fast a phase of MoE was: for each number of tokens a bar for each series.
pub(super) fn phase(of: &Moe, phase: &Phase) -> String {
    let groups = phase.tokens.iter().map(|(tokens, figures)| Group {
        name: tokens.to_string(),
        bars: of.series.iter().zip(figures).map(|((_, look), figures)| (*look, figures.gb_per_s)).collect(),
    });
    let groups: Vec<Group> = groups.collect();
    let rates = groups.iter().flat_map(|group| group.bars.iter().filter_map(|(_, value)| *value));
    grouped(&groups, rates.fold(0.0, f64::max), &|rate| format_byte_rate(rate * 1e9))
}

/// Bars that stand together, each with its look; none where there is no value.
struct Group {
    name: String,
    bars: Vec<(usize, Option<f64>)>,
}

/// Groups of bars; `top` fills the height.
fn grouped(groups: &[Group], top: f64, label: &dyn Fn(f64) -> String) -> String {
    let top = if top > 0.0 { top } else { 1.0 };
    draw((460, 230), |area| {
        let (left, right, up, down) = (88.0, 452.0, 14.0, 192.0);
        let step = (right - left) / groups.len().max(1) as f64;
        let place = |value: f64| down - value / top * (down - up);
        for share in [0.0, 0.5, 1.0] {
            let y = pixel(place(top * share));
            area.draw(&PathElement::new(
                [(pixel(left), y), (pixel(right), y)],
                INK.mix(0.2).stroke_width(1),
            ))?;
            area.draw_text(&label(top * share), &text(18), (2, y - 9))?;
        }
        for (index, group) in groups.iter().enumerate() {
            let x = left + step * (index as f64 + 0.12);
            let width = step * 0.76 / group.bars.len().max(1) as f64;
            for (nth, (look, value)) in group.bars.iter().enumerate() {
                let Some(value) = value else { continue };
                let from = x + width * nth as f64;
                let corners =
                    [(pixel(from), pixel(place(*value))), (pixel(from + width * 0.94), pixel(down))];
                area.draw(&Rectangle::new(corners, colour(*look).filled()))?;
            }
            // Names that would run into each other are in the table.
            if groups.len() <= 8 {
                area.draw_text(&group.name, &text(18), (pixel(x), 200))?;
            }
        }
        Ok(())
    })
}

fn pixel(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "within a drawing")]
    let pixel = value.round() as i32;
    pixel
}

/// What each NIC moved one way over time; a line where another policy begins. Both ways have one scale, since they are compared.
pub(super) fn course(course: &Course, way: Direction) -> String {
    let (Some(&from), Some(&to)) = (course.seconds.first(), course.seconds.last()) else {
        return String::new();
    };
    let rates = [&course.tx, &course.rx].into_iter().flat_map(|flow| flow.rates.iter().flatten().flatten());
    let top = rates.copied().fold(0.0, f64::max);
    draw((1100, 320), |area| {
        let mut plot = ChartBuilder::on(area)
            .margin(8)
            .margin_top(46)
            .x_label_area_size(44)
            .y_label_area_size(96)
            .build_cartesian_2d(from..to.max(from + 1e-3), 0.0..(top * 1.05).max(1.0))?;
        plot.configure_mesh()
            .disable_x_mesh()
            .bold_line_style(INK.mix(0.15))
            .light_line_style(INK.mix(0.0))
            .axis_style(INK.mix(0.5))
            .x_label_formatter(&|seconds| format!("{seconds:.0} s"))
            .y_label_formatter(&|rate| format_byte_rate(*rate))
            .label_style(text(15))
            .draw()?;
        for (index, (point, policy)) in course.policies.iter().enumerate() {
            let (x, y) = plot.backend_coord(&(course.seconds[*point], 0.0));
            // In turns on two lines: a policy that is soon over leaves its name no room.
            let line = if index % 2 == 0 { 4 } else { 22 };
            area.draw(&PathElement::new([(x, line), (x, y)], INK.mix(0.6).stroke_width(1)))?;
            area.draw_text(policy, &text(15), (x + 4, line))?;
        }
        for (index, points) in course.flow(way).rates.iter().enumerate() {
            // A gap is a gap: each stretch of known rates is a line of its own.
            for known in stretches(&course.seconds, points) {
                plot.draw_series(LineSeries::new(known.iter().copied(), colour(index).stroke_width(2)))?;
                for &at in known.iter().step_by(40).skip(index % 8) {
                    mark(area, index, plot.backend_coord(&at))?;
                }
            }
        }
        Ok(())
    })
}

/// Rows of points without a gap between them.
fn stretches(seconds: &[f64], rates: &[Option<f64>]) -> Vec<Vec<(f64, f64)>> {
    let mut all: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for (&at, rate) in seconds.iter().zip(rates) {
        match (rate, all.last_mut()) {
            (Some(rate), Some(last)) => last.push((at, *rate)),
            (None, Some(last)) if !last.is_empty() => all.push(Vec::new()),
            _ => {}
        }
    }
    all.retain(|stretch| !stretch.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::contrast;

    #[test]
    fn every_colour_can_be_told_from_both_papers() {
        for RGBColor(r, g, b) in COLOURS {
            for paper in [[0xff, 0xff, 0xff], [0x0d, 0x11, 0x17]] {
                let contrast = contrast([r, g, b], paper);
                assert!(contrast >= 3.0, "#{r:02x}{g:02x}{b:02x} on {paper:02x?}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn a_gap_is_a_gap() {
        let rates = [Some(1.0), None, None, Some(2.0), Some(3.0)];
        let stretches = stretches(&[0.0, 1.0, 2.0, 3.0, 4.0], &rates);
        assert_eq!(stretches, [vec![(0.0, 1.0)], vec![(3.0, 2.0), (4.0, 3.0)]]);
    }

    #[test]
    fn drawings_take_the_pages_ink_and_scale() {
        let svg = sample(3);
        assert!(svg.contains("viewBox") && !svg.contains("width=\"32\""), "{svg}");
        let bars = Bars { nics: vec![("nic0".into(), 5, 7)], ..Bars::default() };
        let svg = super::bars(&bars, 7);
        assert!(svg.contains("currentColor") && !svg.contains("#010203") && svg.contains("nic0"), "{svg}");
    }
}
