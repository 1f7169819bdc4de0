//! What a heal may cost: seconds, joules and tokens, as `--budget 60s,500J` says, and what it did cost.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::config::Span;

/// The power that one busy core is taken to draw, in watts. The method is Cloud Carbon Footprint's (a figure per busy
/// virtual CPU from published server measurements, 0.7 W idle to 3.7 W at full load, memory excluded); such models are
/// wrong by up to half, so that the result is an estimate ± 50 %.
pub const WATTS_PER_CORE: f64 = 3.7;

/// The energy that a language model is taken to need for a token, in joules: a call of 9,000 tokens costs as much as 10 to
/// 40 minutes of one busy core. Published measurements differ by an order of magnitude with model and hardware.
pub const JOULES_PER_TOKEN: f64 = 0.5;

/// The default budget of time.
pub const DEFAULT_SECONDS: u64 = 600;

/// Limits of one heal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Wall-clock time.
    pub time: Duration,
    /// Energy of the experiments, by the model of [`WATTS_PER_CORE`].
    pub joules: Option<f64>,
    /// Tokens of language models, in and out.
    pub tokens: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(DEFAULT_SECONDS),
            joules: None,
            tokens: None,
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    /// `60s`, `5m`, `60` (seconds), `500J`, `2kJ`, `2000tokens`, `10ktokens`; several by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut budget = Self::default();
        for part in text.split(',').map(str::trim) {
            budget.take(part).ok_or_else(|| {
                format!(
                    "`{part}` is no budget; write seconds (60s, 5m), joules (500J) or tokens (2000tokens), by commas"
                )
            })?;
        }
        Ok(budget)
    }
}

impl Budget {
    fn take(&mut self, part: &str) -> Option<()> {
        let lower = part.to_ascii_lowercase();
        if let Some(number) = lower.strip_suffix("tokens").or_else(|| lower.strip_suffix("tok")) {
            let (number, factor) = number
                .trim_end()
                .strip_suffix('k')
                .map_or((number, 1), |short| (short, 1000));
            self.tokens = Some(number.trim().parse::<u64>().ok()?.checked_mul(factor)?);
        } else if let Some(number) = part.strip_suffix('J') {
            let (number, factor) = number.strip_suffix('k').map_or((number, 1.0), |short| (short, 1000.0));
            let joules = number.trim().parse::<f64>().ok()? * factor;
            self.joules = Some(joules).filter(|j| j.is_finite() && *j > 0.0);
            self.joules?;
        } else {
            let time = match part.parse::<u64>() {
                Ok(seconds) => Duration::from_secs(seconds),
                Err(_) => part.parse::<Span>().ok()?.0,
            };
            if time.is_zero() || time > Duration::from_secs(24 * 3600) {
                return None;
            }
            self.time = time;
        }
        Some(())
    }
}

/// A running account.
#[derive(Debug)]
pub struct Account {
    budget: Budget,
    began: Instant,
    cpu: Duration,
    tokens: u64,
    meters: Vec<Meter>,
}

impl Account {
    /// Begins now.
    #[must_use]
    pub fn open(budget: Budget) -> Self {
        Self {
            budget,
            began: Instant::now(),
            cpu: Duration::ZERO,
            tokens: 0,
            meters: Meter::all(Path::new("/sys/class/powercap")),
        }
    }

    /// Adds processor time of an experiment.
    pub fn spend(&mut self, cpu: Duration) {
        self.cpu += cpu;
    }

    /// Adds tokens of a language model, in and out.
    pub fn spend_tokens(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Tokens so far.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Wall-clock time so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The time that is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.budget.time.saturating_sub(self.began.elapsed())
    }

    /// Energy so far: what the processor's own meters say where they can be read (they count the whole machine), else
    /// by the model: experiments, git and Prunella itself.
    #[must_use]
    pub fn joules(&self) -> f64 {
        let models = self.tokens as f64 * JOULES_PER_TOKEN;
        if !self.meters.is_empty() {
            return self.meters.iter().map(Meter::joules).sum::<f64>() + models;
        }
        let busy = own_cpu().unwrap_or_default().max(self.cpu);
        busy.as_secs_f64() * WATTS_PER_CORE + models
    }

    /// Which limit was reached, if one was.
    #[must_use]
    pub fn over(&self) -> Option<String> {
        if self.left().is_zero() {
            return Some(format!("the budget of {} s is spent", self.budget.time.as_secs()));
        }
        if let Some(limit) = self.budget.tokens.filter(|limit| self.tokens >= *limit) {
            return Some(format!("the budget of {limit} tokens is spent"));
        }
        match self.budget.joules {
            Some(limit) if self.joules() >= limit => Some(format!("the budget of {limit:.0} J is spent")),
            _ => None,
        }
    }

    /// Whether a share of the time is spent.
    #[must_use]
    pub fn is_past(&self, share: f64) -> bool {
        self.began.elapsed().as_secs_f64() > self.budget.time.as_secs_f64() * share
    }
}

/// One of the processor's energy meters (Linux powercap, Intel and AMD RAPL): a package, its parts are in it.
#[derive(Debug)]
struct Meter {
    counter: PathBuf,
    began_uj: u64,
    /// Where the counter begins again.
    range_uj: u64,
}

impl Meter {
    fn all(base: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
        let packages = entries.filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("intel-rapl:") && name.matches(':').count() == 1
        });
        packages
            .filter_map(|entry| {
                let counter = entry.path().join("energy_uj");
                Some(Self {
                    began_uj: number(&counter)?,
                    range_uj: number(&entry.path().join("max_energy_range_uj"))?,
                    counter,
                })
            })
            .collect()
    }

    fn joules(&self) -> f64 {
        let now = number(&self.counter).unwrap_or(self.began_uj);
        let spent = match now.checked_sub(self.began_uj) {
            Some(spent) => spent,
            None => self.range_uj.saturating_sub(self.began_uj) + now,
        };
        spent as f64 / 1e6
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Processor time of this process and of all children that ended: fields 14 to 17 of `/proc/self/stat`.
fn own_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in the second field may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse::<u64>().unwrap_or(0))
        .sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_secs_f64(ticks as f64 / per_second.max(1) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read() {
        let budget: Budget = "90s,2.5kJ,10ktokens".parse().unwrap();
        assert_eq!(
            budget,
            Budget {
                time: Duration::from_secs(90),
                joules: Some(2500.0),
                tokens: Some(10_000)
            }
        );
        assert_eq!("5m".parse::<Budget>().unwrap().time, Duration::from_secs(300));
        assert_eq!("45".parse::<Budget>().unwrap().time, Duration::from_secs(45));
        assert_eq!("500J".parse::<Budget>().unwrap().time, Budget::default().time);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for bad in [
            "", "0s", "-5J", "NaNJ", "infJ", "many", "10x", "60s,", "-1tokens", "0J", "90000h",
        ] {
            let error = bad.parse::<Budget>().unwrap_err();
            assert!(error.contains("is no budget"), "{bad}: {error}");
        }
    }

    #[test]
    fn the_processors_meters_are_read_and_begin_again() {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("intel-rapl:0");
        let part = dir.path().join("intel-rapl:0:0");
        for (path, now) in [(&package, "9000000\n"), (&part, "1\n")] {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("energy_uj"), now).unwrap();
            std::fs::write(path.join("max_energy_range_uj"), "10000000\n").unwrap();
        }
        let meters = Meter::all(dir.path());
        assert_eq!(meters.len(), 1, "parts are in their package");
        std::fs::write(package.join("energy_uj"), "500000\n").unwrap();
        assert!((meters[0].joules() - 1.5).abs() < 1e-9);
        assert!(Meter::all(&dir.path().join("none")).is_empty());
    }

    #[test]
    fn an_account_names_the_limit_that_was_reached() {
        let mut account = Account::open("500J".parse().unwrap());
        assert_eq!(account.over(), None);
        account.meters.clear();
        account.spend(Duration::from_secs(1000));
        assert!(account.over().unwrap().contains("500 J"));
        assert!(account.joules() >= 1000.0 * WATTS_PER_CORE);
    }
}
