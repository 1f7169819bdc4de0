//! The shape of a rise: is it spread over the life, does it go on, and has any of it been given back?
//!
//! *Method*: what counts is what was *kept*: for each window the lowest level from then until now. A saw, a season or a
//! batch job keeps nothing from one tooth to the next; a leak below them keeps something of each. The rise since the last
//! return may be a tooth that is not over yet: it is left out until it has lasted much longer than any before. What is
//! left must be spread over its life, measured in time or in work done, whichever fits it better: a third of the axis in
//! which hardly anything was kept, or a last part without growth, is a step, a tooth or a cache that is full.

use super::floors::Window;

/// A fall by this share of what was kept is a return.
const RETURN: f64 = 0.25;
/// A rise that lasts this many times longer than any between two returns is no tooth.
pub(super) const OUTLIVED: f64 = 1.5;
/// Share of the growth in the first and the last third at least, and in the last sixth.
const FIRST: f64 = 0.12;
const LAST: f64 = 0.15;
const LATEST: f64 = 0.04;
/// On the axis that fits worse the last third has this at least.
const LAST_ELSEWHERE: f64 = 0.08;
/// Loads differ if they do by this share of the usual load.
const OTHER_LOAD: f64 = 0.2;

/// What was kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Windows that count: all but an unfinished tooth.
    pub(super) windows: usize,
    /// What was kept in all.
    pub(super) growth: f64,
    /// The most of it that came in a single step.
    pub(super) step: f64,
    /// Growth in the last third of the axis beside that in the first.
    pub(super) steadiness: f64,
    /// Floors without what the load explains.
    pub(super) level: Vec<f64>,
}

/// What was kept over these windows, if it is spread over them.
pub(super) fn kept(windows: &[Window], least: usize) -> Option<Kept> {
    let mut level = without_load(windows);
    let mut lowest = level.clone();
    for i in (0..lowest.len().saturating_sub(1)).rev() {
        lowest[i] = lowest[i].min(lowest[i + 1]);
    }
    let end = settled(windows, &level, &lowest);
    let growth = lowest[end] - lowest[0];
    if end + 1 < least || growth <= 0.0 {
        return None;
    }
    let (windows, lowest) = (&windows[..=end], &lowest[..=end]);
    let shapes = [
        Shape::over(&times(windows), lowest),
        Shape::over(&works(windows)?, lowest),
    ];
    let worst = shapes.iter().map(|s| s.last).fold(f64::INFINITY, f64::min);
    let best = shapes
        .into_iter()
        .filter(|s| s.is_spread())
        .max_by(|a, b| a.steadiness().total_cmp(&b.steadiness()))?;
    level.truncate(end + 1);
    (worst >= LAST_ELSEWHERE).then(|| Kept {
        windows: end + 1,
        growth,
        step: lowest.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max),
        steadiness: best.steadiness(),
        level,
    })
}

/// Floors without what is explained by the load at that time: the median difference between neighbours of other loads.
fn without_load(windows: &[Window]) -> Vec<f64> {
    let floors = windows.iter().map(|w| w.floor);
    let Some(loads) = windows.iter().map(|w| w.load).collect::<Option<Vec<f64>>>() else {
        return floors.collect();
    };
    let usual = super::trend::median(&loads);
    let reach = windows.len() / 4;
    let mut ratios = Vec::new();
    for (i, a) in windows.iter().enumerate() {
        for (b, load) in windows.iter().zip(&loads).skip(i + 1).take(reach) {
            let more = load - loads[i];
            if more.abs() > OTHER_LOAD * usual {
                ratios.push((b.floor - a.floor) / more);
            }
        }
    }
    let per_load = if ratios.len() < windows.len() {
        0.0
    } else {
        super::trend::median(&ratios).max(0.0)
    };
    floors
        .zip(&loads)
        .map(|(floor, load)| floor - per_load * load)
        .collect()
}

/// The last window that is not part of a tooth that may still be given back.
fn settled(windows: &[Window], level: &[f64], lowest: &[f64]) -> usize {
    let mut end = level.len() - 1;
    loop {
        let growth = lowest[end] - lowest[0];
        let bottoms = bottoms(&level[..=end], RETURN * growth);
        let Some(&last) = bottoms.last().filter(|last| **last < end && growth > 0.0) else {
            return end;
        };
        let at = |i: usize| windows[i].at_ms;
        // The first rise may have begun with the life.
        let longest = bottoms
            .windows(2)
            .map(|b| at(b[1]) - at(b[0]))
            .fold(at(bottoms[0]), f64::max);
        if at(end) - at(last) > OUTLIVED * longest {
            return end;
        }
        end = last;
    }
}

/// Where falls of at least this much end.
fn bottoms(level: &[f64], fall: f64) -> Vec<usize> {
    let mut bottoms = Vec::new();
    let (mut high, mut low, mut falling) = (level[0], 0, false);
    for (i, &value) in level.iter().enumerate() {
        if falling && value >= level[low] + fall {
            bottoms.push(low);
            (falling, high) = (false, value);
        } else if falling && value <= level[low] {
            low = i;
        } else if !falling && value <= high - fall {
            (falling, low) = (true, i);
        }
        high = high.max(value);
    }
    if falling {
        bottoms.push(low);
    }
    bottoms
}

fn times(windows: &[Window]) -> Vec<f64> {
    windows.iter().map(|w| w.at_ms - windows[0].at_ms).collect()
}

/// All work until each window; the time where nobody counts the work. `None` if there was none.
fn works(windows: &[Window]) -> Option<Vec<f64>> {
    let mut done = 0.0;
    let mut before = windows[0];
    let works = windows.iter().map(|w| {
        done += w.load.unwrap_or(1.0).midpoint(before.load.unwrap_or(1.0)) * (w.at_ms - before.at_ms);
        before = *w;
        done
    });
    let works: Vec<f64> = works.collect();
    works.last().is_some_and(|all| *all > 0.0).then_some(works)
}

/// How growth is spread over an axis, in shares.
struct Shape {
    first: f64,
    last: f64,
    latest: f64,
}

impl Shape {
    fn over(axis: &[f64], kept: &[f64]) -> Self {
        let (all, growth) = (axis[axis.len() - 1], kept[kept.len() - 1] - kept[0]);
        let until = |share: f64| {
            let at = axis.partition_point(|x| *x <= share * all).clamp(1, axis.len() - 1);
            let part = (share * all - axis[at - 1]) / (axis[at] - axis[at - 1]).max(1e-9);
            (kept[at - 1] + part.clamp(0.0, 1.0) * (kept[at] - kept[at - 1]) - kept[0]) / growth
        };
        Self {
            first: until(1.0 / 3.0),
            last: 1.0 - until(2.0 / 3.0),
            latest: 1.0 - until(5.0 / 6.0),
        }
    }

    fn is_spread(&self) -> bool {
        self.first >= FIRST && self.last >= LAST && self.latest >= LATEST
    }

    fn steadiness(&self) -> f64 {
        self.last / self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(n: usize, level: impl Fn(f64) -> f64) -> Vec<Window> {
        let window = |i: usize| Window {
            at_ms: i as f64 * 600_000.0,
            floor: level(i as f64 / n as f64),
            load: None,
        };
        (0..n).map(window).collect()
    }

    #[test]
    fn teeth_keep_nothing_and_a_leak_below_them_does() {
        let tooth = |t: f64| 50.0 * (t * 7.0).fract();
        // Windows do not begin with teeth: a little of each is left.
        let teeth = kept(&windows(60, |t| 100.0 + tooth(t)), 16);
        assert!(teeth.is_none_or(|kept| kept.growth < 10.0));
        let leak = kept(&windows(60, |t| 100.0 + 80.0 * t + tooth(t)), 16).unwrap();
        assert!((60.0..75.0).contains(&leak.growth), "{leak:?}");
        assert!((0.7..1.4).contains(&leak.steadiness), "{leak:?}");
    }

    #[test]
    fn steps_and_full_caches_are_not_spread() {
        assert!(kept(&windows(60, |t| if t > 0.5 { 200.0 } else { 100.0 }), 16).is_none());
        assert!(kept(&windows(60, |t| 100.0 + 100.0 * (t / 0.5).min(1.0)), 16).is_none());
        let filling = kept(&windows(60, |t| 100.0 + 100.0 * (1.0 - (-1.5 * t).exp())), 16);
        assert!(filling.is_some_and(|kept| kept.steadiness < 0.45));
    }

    #[test]
    fn what_the_load_explains_is_left_out() {
        let mut all = windows(60, |_| 0.0);
        for (i, window) in all.iter_mut().enumerate() {
            let load = 1.0 + 0.6 * (i as f64 / 9.0).sin();
            (window.floor, window.load) = (100.0 + 80.0 * load, Some(load));
        }
        assert!(kept(&all, 16).is_none_or(|kept| kept.growth < 1e-6));
        all.iter_mut()
            .enumerate()
            .for_each(|(i, window)| window.floor += 2.0 * i as f64);
        let leak = kept(&all, 16).unwrap();
        assert!((95.0..140.0).contains(&leak.growth), "{leak:?}");
    }
}
