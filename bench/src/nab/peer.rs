//! The windowed Gaussian, the simplest peer of the benchmark's published table.
//!
//! *Method*: the tail probability of a value under the normal distribution of the thousand values before it.

use std::collections::VecDeque;

const WINDOW: usize = 1_000;
/// Standard deviations beyond which 1 − Q(z) is 1 in double precision, so that the peer cannot tell values apart.
const SATURATED: f64 = 8.29;

/// A score from 0 to 1 for each value; in the order of 1 − Q(z), which is all that a threshold sees.
pub(super) fn windowed_gaussian(values: &[f64]) -> Vec<f64> {
    let mut window = VecDeque::with_capacity(WINDOW);
    values
        .iter()
        .map(|&value| {
            let score = deviation(&window, value);
            if window.len() == WINDOW {
                window.pop_front();
            }
            window.push_back(value);
            score.min(SATURATED) / SATURATED
        })
        .collect()
}

fn deviation(window: &VecDeque<f64>, value: f64) -> f64 {
    if window.is_empty() {
        return 0.0;
    }
    let n = window.len() as f64;
    let mean = window.iter().sum::<f64>() / n;
    let variance = window.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let deviation = if variance > 0.0 { variance.sqrt() } else { 1e-6 };
    (value - mean).abs() / deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_values_score_high_until_they_are_usual() {
        let mut values: Vec<f64> = (0..1_500).map(|i| f64::from(i % 7)).collect();
        values[1_200] = 30.0;
        let scores = windowed_gaussian(&values);
        assert!((scores[1_200] - 1.0).abs() < 1e-9);
        assert!(scores.iter().enumerate().all(|(i, s)| i < 10 || i == 1_200 || *s < 0.3));
        let constant = windowed_gaussian(&[5.0; 50]);
        assert!(constant.iter().all(|s| s.abs() < 1e-9));
    }
}
