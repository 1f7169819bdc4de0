//! What customers send: `traffic.json`, checked, and requests drawn from it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::random::Random;

/// The form of `traffic.json`; its fields are described in `demo/README.md`.
#[derive(Debug, Deserialize)]
struct File {
    sets: BTreeMap<String, Set>,
    requests: Vec<Raw>,
    phases: Vec<RawPhase>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Set {
    Range { from: u64, to: u64 },
    List(Vec<Value>),
}

#[derive(Debug, Deserialize)]
struct Raw {
    name: String,
    method: String,
    path: String,
    expect: Vec<u16>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct RawPhase {
    name: String,
    weights: BTreeMap<String, f64>,
}

/// A kind of request.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Its name, for reports.
    pub(crate) name: String,
    /// Its method.
    pub(crate) method: Method,
    /// The statuses of a healthy service.
    pub(crate) expect: Vec<u16>,
    path: String,
    body: Option<String>,
    params: Vec<(String, Vec<String>)>,
}

impl Template {
    /// Whether sending it twice is the same as sending it once, by its method (RFC 9110, section 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }
}

/// Which requests are sent how often: indices of templates by their share.
#[derive(Clone, Debug)]
struct Mix {
    name: String,
    /// For each template the upper end of its share, in thousandths of a per cent.
    ends: Vec<(u64, usize)>,
    total: u64,
}

/// All that can be sent.
#[derive(Clone, Debug)]
pub(crate) struct TrafficPlan {
    templates: Vec<Template>,
    mixes: Vec<Mix>,
}

/// One request, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) template: usize,
    pub(super) target: String,
    pub(super) body: Option<Bytes>,
}

/// A description of traffic that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// Not JSON of the right form.
    #[error("the description of the traffic cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It contradicts itself.
    #[error("the description of the traffic is wrong: {0}")]
    Wrong(String),
}

impl TrafficPlan {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// If it is malformed or names what it does not define.
    pub(crate) fn parse(text: &str) -> Result<Self, PlanError> {
        let file: File = serde_json::from_str(text)?;
        let sets = file
            .sets
            .iter()
            .map(|(name, set)| Ok((name.as_str(), members(name, set)?)));
        let sets: BTreeMap<&str, Vec<String>> = sets.collect::<Result<_, PlanError>>()?;
        let templates = file.requests.iter().map(|raw| template(raw, &sets));
        let templates: Vec<Template> = templates.collect::<Result<_, _>>()?;
        let mixes = file.phases.iter().map(|phase| mix(phase, &templates));
        let mixes = mixes.collect::<Result<_, _>>()?;
        Ok(Self { templates, mixes })
    }

    /// The kinds of requests.
    pub(crate) fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// The template of this name.
    pub(crate) fn template(&self, name: &str) -> Option<usize> {
        self.templates.iter().position(|t| t.name == name)
    }

    /// The phase of this name.
    pub(crate) fn phase(&self, name: &str) -> Option<usize> {
        self.mixes.iter().position(|m| m.name == name)
    }

    /// Draws the next request of a phase.
    pub(super) fn draw(&self, phase: usize, random: &mut Random) -> Drawn {
        let mix = &self.mixes[phase];
        let at = random.below(mix.total);
        let place = mix.ends.partition_point(|(end, _)| *end <= at);
        let (_, index) = mix.ends[place];
        let template = &self.templates[index];
        let (mut target, mut body) = (template.path.clone(), template.body.clone());
        for (placeholder, values) in &template.params {
            let chosen = random.below(values.len() as u64);
            let value = &values[usize::try_from(chosen).expect("below the length of a list")];
            target = target.replace(placeholder, value);
            body = body.map(|b| b.replace(placeholder, value));
        }
        Drawn {
            template: index,
            target,
            body: body.map(Bytes::from),
        }
    }
}

const MAX_MEMBERS: u64 = 1_000_000;

fn members(name: &str, set: &Set) -> Result<Vec<String>, PlanError> {
    let members: Vec<String> = match set {
        Set::Range { from, to } if from <= to && to - from < MAX_MEMBERS => {
            (*from..=*to).map(|n| n.to_string()).collect()
        }
        Set::Range { .. } => Vec::new(),
        Set::List(values) => values
            .iter()
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
            .collect(),
    };
    if members.is_empty() {
        return Err(PlanError::Wrong(format!("set `{name}` is empty or too large")));
    }
    Ok(members)
}

fn template(raw: &Raw, sets: &BTreeMap<&str, Vec<String>>) -> Result<Template, PlanError> {
    let wrong = |what: String| PlanError::Wrong(format!("request `{}` {what}", raw.name));
    let method: Method = raw
        .method
        .parse()
        .map_err(|_| wrong(format!("has the method `{}`", raw.method)))?;
    let params = raw.params.iter().map(|(placeholder, set)| {
        let values = sets
            .get(set.as_str())
            .ok_or_else(|| wrong(format!("names no set: `{set}`")))?;
        Ok((format!("{{{placeholder}}}"), values.clone()))
    });
    Ok(Template {
        name: raw.name.clone(),
        method,
        expect: raw.expect.clone(),
        path: raw.path.clone(),
        body: raw.body.as_ref().map(Value::to_string),
        params: params.collect::<Result<_, PlanError>>()?,
    })
}

fn mix(phase: &RawPhase, templates: &[Template]) -> Result<Mix, PlanError> {
    let wrong = |what: String| PlanError::Wrong(format!("phase `{}` {what}", phase.name));
    let (mut ends, mut total) = (Vec::new(), 0);
    for (name, weight) in &phase.weights {
        let index = templates.iter().position(|t| t.name == *name);
        let index = index.ok_or_else(|| wrong(format!("names no request: `{name}`")))?;
        if !(*weight > 0.0 && *weight <= 100.0) {
            return Err(wrong(format!("gives `{name}` the weight {weight}")));
        }
        // Thousandths of a per cent: exact for every weight that people write.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100,000"
        )]
        let share = (weight * 1000.0).round() as u64;
        total += share;
        ends.push((total, index));
    }
    if total != 100_000 {
        return Err(wrong(format!("adds up to {} per cent", total as f64 / 1000.0)));
    }
    Ok(Mix {
        name: phase.name.clone(),
        ends,
        total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = include_str!("../../../demo/traffic.json");

    fn drawn(phase: &str, count: usize) -> (TrafficPlan, Vec<Drawn>) {
        let plan = TrafficPlan::parse(SHOP).unwrap();
        let phase = plan.phase(phase).unwrap();
        let mut random = Random::new(7);
        let drawn = (0..count).map(|_| plan.draw(phase, &mut random)).collect();
        (plan, drawn)
    }

    #[test]
    fn shares_are_as_described() {
        let (plan, requests) = drawn("campaign", 100_000);
        let share = |name: &str| {
            let index = plan.template(name).unwrap();
            requests.iter().filter(|d| d.template == index).count()
        };
        for (name, expected) in [
            ("campaign-no-tea", 22_500),
            ("product", 16_500),
            ("buy", 1_500),
            ("search-blank", 0),
        ] {
            let counted = share(name);
            let off = counted.abs_diff(expected);
            assert!(
                off <= expected / 20 && (expected > 0 || counted == 0),
                "{name}: {counted}"
            );
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        let (plan, requests) = drawn("healthy", 20_000);
        for request in requests {
            let body = request
                .body
                .map(|b| String::from_utf8(b.to_vec()).unwrap())
                .unwrap_or_default();
            let name = &plan.templates()[request.template].name;
            assert!(!request.target.contains('{'), "{name}: {}", request.target);
            assert!(
                serde_json::from_str::<Value>(&body).is_ok() || body.is_empty(),
                "{name}: {body}"
            );
            assert!(!body.contains("{sku}"), "{name}: {body}");
            request.target.parse::<http::Uri>().unwrap();
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_requests() {
        assert_eq!(drawn("healthy", 1_000).1, drawn("healthy", 1_000).1);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let check = |phases: &str, requests: &str, expected: &str| {
            let text = format!(r#"{{"sets": {{}}, "requests": [{requests}], "phases": [{phases}]}}"#);
            let error = TrafficPlan::parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let get = r#"{"name": "a", "method": "GET", "path": "/", "expect": [200]}"#;
        check(r#"{"name": "p", "weights": {"b": 100}}"#, get, "names no request: `b`");
        check(r#"{"name": "p", "weights": {"a": 99.5}}"#, get, "adds up to 99.5");
        check(r#"{"name": "p", "weights": {"a": -1}}"#, get, "weight -1");
        let lost = r#"{"name": "a", "method": "GET", "path": "/{x}", "expect": [200], "params": {"x": "xs"}}"#;
        check("", lost, "names no set: `xs`");
    }
}
