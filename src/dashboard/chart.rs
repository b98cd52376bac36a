//! Plots, drawn on the server: coordinates for an SVG of fixed size, which scales with the page.

/// The size of the drawing in its own units.
const WIDTH: i64 = 700;
const HEIGHT: i64 = 180;
/// Room for the labels below and beside the bars.
const BELOW: i64 = 24;
const BESIDE: i64 = 36;
/// Between two bars.
const GAP: i64 = 8;

/// A bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    pub x: i64,
    pub y: i64,
    pub width: i64,
    pub height: i64,
    /// Where its label stands.
    pub middle: i64,
    pub label: String,
    /// What it says when it is pointed at, or read out.
    pub told: String,
}

/// A line across, with what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub y: i64,
    pub value: i64,
}

/// Bars over a scale that begins at zero.
#[derive(Clone, Debug)]
pub struct Bars {
    pub width: i64,
    pub height: i64,
    pub left: i64,
    pub label_y: i64,
    pub bars: Vec<Bar>,
    pub lines: Vec<Line>,
}

/// A value to be drawn: its label, what it says, and how much it is.
pub type Value = (String, String, i64);

impl Bars {
    pub fn new(values: Vec<Value>) -> Bars {
        let most = values.iter().map(|(_, _, value)| *value).max().unwrap_or(0);
        let step = step_for(most);
        let top = (most.max(1) + step - 1) / step * step;
        let base = HEIGHT - BELOW;
        let drawn = base - 10;
        let y_of = |value: i64| {
            let height = i128::from(value.max(0)) * i128::from(drawn) / i128::from(top);
            base - i64::try_from(height).unwrap_or(0)
        };
        let count = i64::try_from(values.len()).unwrap_or(1).max(1);
        let slot = (WIDTH - BESIDE) / count;
        let bars = values
            .into_iter()
            .enumerate()
            .map(|(index, (label, told, value))| {
                let x = BESIDE + slot * i64::try_from(index).unwrap_or(0) + GAP / 2;
                let y = y_of(value);
                Bar {
                    x,
                    y,
                    width: (slot - GAP).max(1),
                    height: base - y,
                    middle: x + (slot - GAP) / 2,
                    label,
                    told,
                }
            });
        let bars = bars.collect();
        let lines = (0..=top / step).map(|n| Line {
            y: y_of(n * step),
            value: n * step,
        });
        Bars {
            width: WIDTH,
            height: HEIGHT,
            left: BESIDE,
            label_y: HEIGHT - 6,
            bars,
            lines: lines.collect(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that there are at most five lines.
fn step_for(most: i64) -> i64 {
    let mut step = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            if most <= step.saturating_mul(factor).saturating_mul(4) {
                return step.saturating_mul(factor);
            }
        }
        step = step.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i64]) -> Bars {
        let named = values
            .iter()
            .map(|value| (String::new(), String::new(), *value));
        Bars::new(named.collect())
    }

    #[test]
    fn the_scale_is_in_round_steps() {
        let lines = |most| {
            of(&[most])
                .lines
                .iter()
                .map(|line| line.value)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(0), [0, 1]);
        assert_eq!(lines(4), [0, 1, 2, 3, 4]);
        assert_eq!(lines(7), [0, 2, 4, 6, 8]);
        assert_eq!(lines(130), [0, 50, 100, 150]);
    }

    proptest! {
        #[test]
        fn every_bar_is_inside_the_drawing(values in prop::collection::vec(0..i64::MAX / 10, 0..40)) {
            let chart = of(&values);
            prop_assert!(chart.lines.len() <= 6);
            for bar in &chart.bars {
                prop_assert!(bar.y >= 0 && bar.height >= 0 && bar.y + bar.height <= HEIGHT - BELOW);
                prop_assert!(bar.x >= BESIDE && bar.x + bar.width <= WIDTH);
            }
        }
    }
}
