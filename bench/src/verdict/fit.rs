//! Logistic regression with a ridge, and cross-validation in which a program is on one side only.

use prunella_core::verify::probability::by_weights;

/// The ridge: how much a weight has to be worth.
const RIDGE: f64 = 1.0;
/// Steps of Newton's method; it has long converged by then.
const STEPS: usize = 30;

/// One labelled patch.
pub(super) struct Row<'a> {
    /// Its program.
    pub(super) group: &'a str,
    /// Its features; the first is 1.
    pub(super) x: Vec<f64>,
    /// Its label.
    pub(super) right: bool,
}

/// The weights that fit; both labels count alike, so that a set's mixture says nothing.
pub(super) fn fit(rows: &[&Row<'_>]) -> Vec<f64> {
    let width = rows.first().map_or(0, |r| r.x.len());
    let right = rows.iter().filter(|r| r.right).count().max(1) as f64;
    let wrong = (rows.len() as f64 - right).max(1.0);
    let half = rows.len() as f64 / 2.0;
    let mut weights = vec![0.0; width];
    for _ in 0..STEPS {
        let (mut slope, mut curve) = (vec![0.0; width], vec![vec![0.0; width]; width]);
        for row in rows {
            let p = by_weights(&row.x, &weights);
            let (y, count) = if row.right {
                (1.0, half / right)
            } else {
                (0.0, half / wrong)
            };
            for i in 0..width {
                slope[i] += count * (y - p) * row.x[i];
                for (cell, x) in curve[i].iter_mut().zip(&row.x) {
                    *cell += count * p * (1.0 - p) * row.x[i] * x;
                }
            }
        }
        for i in 0..width {
            // The bias is free.
            let ridge = if i == 0 { 1e-3 } else { RIDGE };
            slope[i] -= ridge * weights[i];
            curve[i][i] += ridge;
        }
        for (weight, step) in weights.iter_mut().zip(solve(curve, slope)) {
            *weight += step;
        }
    }
    weights
}

/// Solves a symmetric positive system by elimination.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in i + 1..n {
            let factor = a[j][i] / a[i][i];
            let (above, below) = a.split_at_mut(j);
            for (cell, upper) in below[0].iter_mut().zip(&above[i]).skip(i) {
                *cell -= factor * upper;
            }
            b[j] -= factor * b[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[i][k] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

/// For each row its probability by weights that never saw its program.
pub(super) fn held_out(rows: &[Row<'_>], folds: usize) -> Vec<f64> {
    let mut groups: Vec<&str> = rows.iter().map(|r| r.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let fold = |row: &Row<'_>| groups.binary_search(&row.group).unwrap_or(0) % folds;
    let fitted: Vec<Vec<f64>> = (0..folds)
        .map(|out| fit(&rows.iter().filter(|r| fold(r) != out).collect::<Vec<_>>()))
        .collect();
    rows.iter().map(|row| by_weights(&row.x, &fitted[fold(row)])).collect()
}

/// The chance that a right patch is above a wrong one.
pub(super) fn auc(rows: &[Row<'_>], p: &[f64]) -> f64 {
    let of = |right: bool| {
        rows.iter()
            .zip(p)
            .filter(move |(r, _)| r.right == right)
            .map(|(_, p)| *p)
    };
    let (mut above, mut pairs) = (0.0, 0.0);
    for right in of(true) {
        for wrong in of(false) {
            pairs += 1.0;
            above += if right > wrong {
                1.0
            } else if right < wrong {
                0.0
            } else {
                0.5
            };
        }
    }
    if pairs > 0.0 { above / pairs } else { 0.5 }
}

/// The share of wrong ones below the highest threshold that loses no more than this share of the right ones.
pub(super) fn refuted_at(rows: &[Row<'_>], p: &[f64], lost: f64) -> f64 {
    let mut right: Vec<f64> = rows.iter().zip(p).filter(|(r, _)| r.right).map(|(_, p)| *p).collect();
    right.sort_by(f64::total_cmp);
    let threshold = right[((lost * right.len() as f64) as usize).min(right.len().saturating_sub(1))];
    let wrong: Vec<f64> = rows.iter().zip(p).filter(|(r, _)| !r.right).map(|(_, p)| *p).collect();
    wrong.iter().filter(|p| **p < threshold).count() as f64 / wrong.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_them_apart_gets_its_weight() {
        let rows: Vec<Row<'_>> = (0..40)
            .map(|i| Row {
                group: if i % 4 < 2 { "a" } else { "b" },
                x: vec![1.0, f64::from(u8::from(i % 2 == 0)), f64::from(i % 3)],
                right: i % 2 == 1,
            })
            .collect();
        let weights = fit(&rows.iter().collect::<Vec<_>>());
        assert!(weights[1] < -2.0 && weights[2].abs() < 0.2, "{weights:?}");
        let p = held_out(&rows, 2);
        assert!(auc(&rows, &p) > 0.99 && refuted_at(&rows, &p, 0.0) > 0.99);
    }
}
