//! The constants of the calibration, fitted anew to the answers at first sight.
//!
//! *Method*: logistic regression of "was it right" on the logit of what was said, by Newton's steps, with Platt's
//! softened targets; answers are counted as often as the table says.
//! *Source*: Platt (1999); Lin, Lin and Weng, "A note on Platt's probabilistic outputs" (Machine Learning 68, 2007).

use crate::report::{BenchError, say};

/// Said, answers, right: one line a batch and bin, or an incident.
const FIRST_SIGHT: &str = include_str!("../../root-cause/first-sight.csv");
const STEPS: usize = 100;

/// Answers that were said with one probability: how many, and how many of them were right.
#[derive(Clone, Copy, Debug)]
struct Answers {
    said: f64,
    all: f64,
    right: f64,
}

/// Slope and shift of the logit, printed beside what the table says.
pub(super) fn constants() -> Result<(f64, f64), BenchError> {
    let answers = read(FIRST_SIGHT)?;
    let (slope, shift) = fit(&answers);
    let (all, right): (f64, f64) = answers
        .iter()
        .fold((0.0, 0.0), |sum, one| (sum.0 + one.all, sum.1 + one.right));
    say(&format!(
        "{all} answers at first sight, {right} right: calibration slope {slope:.3}, shift {shift:.3}"
    ));
    Ok((slope, shift))
}

fn read(text: &str) -> Result<Vec<Answers>, BenchError> {
    let rows = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .skip(1);
    let row = |line: &str| {
        let fields: Vec<f64> = line
            .split(',')
            .skip(1)
            .filter_map(|field| field.trim().parse().ok())
            .collect();
        match fields[..] {
            [said, all, right] if right <= all => Ok(Answers { said, all, right }),
            _ => Err(BenchError::Unexpected(format!(
                "first-sight.csv: `{line}` is not `batch,said,answers,right`"
            ))),
        }
    };
    rows.map(row).collect()
}

fn fit(answers: &[Answers]) -> (f64, f64) {
    let right: f64 = answers.iter().map(|one| one.right).sum();
    let wrong: f64 = answers.iter().map(|one| one.all - one.right).sum();
    // Platt's targets: a few more answers of either kind could still come.
    let (high, low) = ((right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0));
    let (mut slope, mut shift) = (1.0, 0.0);
    for _ in 0..STEPS {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for one in answers {
            let said = one.said.clamp(0.005, 0.995);
            let x = (said / (1.0 - said)).ln();
            let p = 1.0 / (1.0 + (-(slope * x + shift)).exp());
            let target = one.right * high + (one.all - one.right) * low;
            let error = target - one.all * p;
            let weight = one.all * p * (1.0 - p);
            g0 += error * x;
            g1 += error;
            h00 += weight * x * x;
            h01 += weight * x;
            h11 += weight;
        }
        let determinant = h00 * h11 - h01 * h01;
        slope += (h11 * g0 - h01 * g1) / determinant;
        shift += (h00 * g1 - h01 * g0) / determinant;
    }
    (slope, shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfidence_gives_a_slope_below_one() {
        let row = |said, all, right| Answers { said, all, right };
        let honest = fit(&[row(0.5, 1000.0, 500.0), row(0.9, 1000.0, 900.0)]);
        assert!((honest.0 - 1.0).abs() < 0.05 && honest.1.abs() < 0.05, "{honest:?}");
        let boastful = fit(&[row(0.6, 1000.0, 550.0), row(0.95, 1000.0, 800.0)]);
        assert!(boastful.0 < 0.7, "{boastful:?}");
    }

    #[test]
    fn the_table_can_be_read() {
        let answers = read(FIRST_SIGHT).expect("the table beside");
        assert!(answers.iter().map(|one| one.all).sum::<f64>() > 100.0);
    }
}
