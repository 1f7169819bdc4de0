//! Special functions of mathematics, to the accuracy that sequential tests need.

/// ln Γ(x) for x > 0, to about 1e-12: recurrence up to 10, then Stirling's series (DLMF 5.11.1).
pub(super) fn ln_gamma(x: f64) -> f64 {
    debug_assert!(x > 0.0);
    let (mut x, mut product) = (x, 1.0);
    while x < 10.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - f64::ln(product)
}

/// ln B(a, b) for a, b > 0.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// x · ln y, with 0 · ln 0 = 0.
pub(super) fn x_ln_y(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * y.ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_of_known_arguments() {
        let factorial_9 = 362_880_f64;
        let root_pi = std::f64::consts::PI.sqrt();
        for (x, exact) in [
            (1.0, 0.0),
            (2.0, 0.0),
            (10.0, factorial_9.ln()),
            (0.5, root_pi.ln()),
            (0.1, 2.252_712_651_734_206),
        ] {
            assert!((ln_gamma(x) - exact).abs() < 1e-10, "{x}: {} {exact}", ln_gamma(x));
        }
        // Γ(x+1) = x Γ(x), also far out.
        for x in [0.3, 7.9, 123.4, 1e6] {
            assert!((ln_gamma(x + 1.0) - ln_gamma(x) - x.ln()).abs() < 1e-8, "{x}");
        }
        assert!((ln_beta(2.0, 3.0) - (1.0_f64 / 12.0).ln()).abs() < 1e-10);
    }
}
