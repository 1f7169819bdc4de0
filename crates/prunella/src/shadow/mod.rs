//! The shadow of production: a candidate and last-known-good side by side on recorded traffic.
//!
//! Fresh instances stand in sandboxes with private copies of the tree and of the state; what they write goes nowhere, and
//! no call leaves the sandbox. The comparison is `prunella_core::verify::shadow`'s. Blocks: call it off the async threads.

mod effects;
mod instance;
mod select;
pub mod stage;
pub mod traffic;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella_core::id::CommitId;
use prunella_core::verify::Isolation;
use prunella_core::verify::shadow::{Answer, Answers, Asked, Comparison, Reply, Shadow, TRIOS, Whole};
use prunella_sandbox::{CancelToken, Tier};

use crate::experiment::probe_wire::{ProbeAnswer, ProbeReady, ProbeReply, ProbeRequest, ProbeResult, ProbeSpec};
use stage::{Kept, Stage, Tree};
use traffic::Recorded;

/// The port inside the sandbox; its loopback is its own, so that any will do.
pub const PORT: u16 = 8000;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an instance may take to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// All bodies of one instance's answers, in bytes, and the most of one.
const MAX_ANSWERS: usize = 40 << 20;
const MAX_BODY: usize = 256 << 10;
/// How often a request that seems to be answered otherwise is put to each further trio.
const TIMES: usize = 2;
/// The share of the time that the first trio may take.
const FIRST: f64 = 0.5;

/// What is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// The service's command.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Whether it takes its listening socket as descriptor 3.
    pub socket_activation: bool,
    /// When it is ready.
    pub ready: ProbeReady,
    /// How long that may take.
    pub ready_timeout: Duration,
}

/// What is compared on what.
#[derive(Debug)]
pub struct Plan {
    /// Last-known-good.
    pub good: CommitId,
    /// The candidate.
    pub candidate: CommitId,
    /// What the candidate was made from, if that is neither.
    pub base: Option<CommitId>,
    /// How an instance is started.
    pub start: Start,
    /// The state.
    pub kept: Vec<Kept>,
    /// The recorded requests, in their order.
    pub traffic: Vec<Recorded>,
    /// Requests whose answers are meant to differ.
    pub expected: Vec<ProbeRequest>,
    /// Whether requests that change state are put to the private copies.
    pub writes: bool,
    /// The most requests that are compared.
    pub most: usize,
    /// How long all of it may take.
    pub time: Duration,
    /// Ends everything.
    pub cancel: CancelToken,
}

/// The report, and how strong the isolation was.
#[derive(Debug)]
pub struct Shown {
    /// What was seen.
    pub shadow: Shadow,
    /// The sandbox's tier.
    pub tier: Option<Tier>,
}

impl Shown {
    /// How far the instances were kept from the machine.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        match self.tier {
            Some(Tier::A | Tier::B) => Isolation::Full,
            Some(Tier::C) => Isolation::Partial,
            Some(Tier::D) | None => Isolation::None,
        }
    }
}

/// One comparison under way.
struct Run<'a> {
    plan: &'a Plan,
    stage: &'a Stage,
    scratch: &'a Path,
    chosen: Vec<Recorded>,
    asked: Vec<Asked>,
    trees: Vec<Tree>,
    deadline: Instant,
    tier: Option<Tier>,
}

/// Compares. `scratch` takes the copies that instances get. Whatever goes wrong is in the report.
pub fn compare(plan: &Plan, stage: &Stage, scratch: &Path, say: &dyn Fn(&str)) -> Shown {
    let began = Instant::now();
    let (good, candidate) = (plan.good.to_string(), plan.candidate.to_string());
    let mut left_out = Shadow::default();
    let chosen = select::choose(plan.traffic.clone(), plan.writes, plan.most, &mut left_out);
    let mut tier = None;
    let mut shadow = if chosen.is_empty() {
        Shadow::not_run(&good, &candidate, "none of the recorded requests can be mirrored")
    } else {
        match Run::prepare(plan, stage, scratch, chosen, began + plan.time, say) {
            Err(why) => Shadow::not_run(&good, &candidate, why),
            Ok(mut run) => {
                let report = run.all_trios(&mut left_out, say);
                tier = run.tier;
                report.unwrap_or_else(|why| Shadow::not_run(&good, &candidate, why))
            }
        }
    };
    shadow.not_covered.extend(left_out.not_covered);
    shadow.wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Shown { shadow, tier }
}

impl<'a> Run<'a> {
    fn prepare(
        plan: &'a Plan,
        stage: &'a Stage,
        scratch: &'a Path,
        chosen: Vec<Recorded>,
        deadline: Instant,
        say: &dyn Fn(&str),
    ) -> Result<Self, String> {
        say("making the trees ready");
        // The order of asking: see the core's doc.
        let commits = [
            Some(&plan.good),
            Some(&plan.candidate),
            Some(&plan.good),
            plan.base.as_ref(),
        ];
        let trees: Result<Vec<Tree>, String> = commits.into_iter().flatten().map(|commit| stage.tree(commit)).collect();
        let asked = chosen
            .iter()
            .map(|recorded| Asked {
                route: recorded.route.clone(),
                label: recorded.label(),
                expected: plan
                    .expected
                    .iter()
                    .any(|e| e.method == recorded.request.method && e.uri == recorded.request.uri),
                whole: None,
            })
            .collect();
        Ok(Self {
            plan,
            stage,
            scratch,
            chosen,
            asked,
            trees: trees?,
            deadline,
            tier: None,
        })
    }

    fn all_trios(&mut self, left_out: &mut Shadow, say: &dyn Fn(&str)) -> Result<Shadow, String> {
        let mut comparison = Comparison::default();
        let mut ask: Vec<usize> = (0..self.chosen.len()).collect();
        say(&format!("asking {} requests of both releases", ask.len()));
        for trio in 0..TRIOS {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if trio > 0 && left < self.plan.start.ready_timeout.min(Duration::from_secs(5)) {
                left_out.leave_out("the time was over before every difference was asked again", "");
                break;
            }
            let seen = self.trio(
                &ask,
                if trio == 0 { left.mul_f64(FIRST) } else { left },
                trio == 0,
                left_out,
            )?;
            comparison.add_trio(&seen);
            let suspects = comparison.suspects();
            ask = match suspects {
                None => (0..self.chosen.len()).collect(),
                Some(suspects) if suspects.is_empty() => break,
                // What changes state is asked in its order, with everything before it.
                Some(_) if self.chosen.iter().any(|r| !r.is_safe()) => (0..self.chosen.len()).collect(),
                Some(suspects) => std::iter::repeat_n(suspects, TIMES).flatten().collect(),
            };
            if trio + 1 < TRIOS {
                say(&format!("asking {} requests again of fresh instances", ask.len()));
            }
        }
        Ok(comparison.report(self.plan.good.as_str(), self.plan.candidate.as_str()))
    }

    /// Puts these requests to fresh instances.
    fn trio(
        &mut self,
        ask: &[usize],
        time: Duration,
        is_first: bool,
        left_out: &mut Shadow,
    ) -> Result<Vec<(usize, Asked, Answers)>, String> {
        let copies = tempfile::tempdir_in(self.scratch).map_err(|e| e.to_string())?;
        let wall = time + self.plan.start.ready_timeout + STOP_GRACE;
        let mut instances = Vec::new();
        let mut states = Vec::new();
        for (number, tree) in self.trees.iter().enumerate() {
            let dir = copies.path().join(number.to_string());
            std::fs::create_dir(&dir).map_err(|e| e.to_string())?;
            let start = &self.plan.start;
            let room = self
                .stage
                .room(tree, &start.argv, &start.env, &self.plan.kept, &dir, wall)?;
            let spec = self.spec(tree, ask);
            states.push(room.state);
            instances.push((room.jail, spec));
        }
        let deadline = Instant::now() + time;
        let ran = instance::side_by_side(instances, self.scratch, deadline, &self.plan.cancel)?;
        self.tier = ran.iter().filter_map(|r| r.tier).next().or(self.tier);
        let mut results = Vec::new();
        for (ran, who) in ran
            .into_iter()
            .zip(["last-known-good", "the candidate", "last-known-good", "the base"])
        {
            results.push(
                ran.seen
                    .map_err(|why| format!("{who} was not run in the sandbox: {why}"))?,
            );
        }
        for twin in [0, 2] {
            if let Some(why) = &results[twin].not_ready {
                let said = telling(&results[twin].lines).map_or_else(String::new, |line| format!(" (it said: {line})"));
                return Err(format!(
                    "last-known-good does not get ready in the sandbox: {why}{said}"
                ));
            }
        }
        let mut seen = self.answers(ask, &results, is_first, left_out);
        seen.extend(self.wholes(&results, &states));
        Ok(seen)
    }

    fn spec(&self, tree: &Tree, ask: &[usize]) -> ProbeSpec {
        let start = &self.plan.start;
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let mut env = start.env.clone();
        env.insert("PORT".to_owned(), PORT.to_string());
        ProbeSpec {
            argv: start.argv.clone(),
            env,
            cwd: tree.cwd.to_string_lossy().into_owned(),
            port: Some(PORT),
            socket_activation: start.socket_activation,
            ready: start.ready.clone(),
            ready_timeout_ms: ms(start.ready_timeout),
            requests: ask
                .iter()
                .filter_map(|n| self.chosen.get(*n))
                .map(|r| r.request.clone())
                .collect(),
            rounds: 1,
            request_timeout_ms: ms(REQUEST_TIMEOUT),
            watch_ms: 0,
            stop_grace_ms: ms(STOP_GRACE),
            turns: true,
            max_body: (MAX_ANSWERS / ask.len().max(1)).clamp(4 << 10, MAX_BODY),
        }
    }

    /// The answers, request by request. Where last-known-good does not answer as it was recorded, the comparison says
    /// little, and the report says so.
    fn answers(
        &self,
        ask: &[usize],
        results: &[ProbeResult],
        is_first: bool,
        left_out: &mut Shadow,
    ) -> Vec<(usize, Asked, Answers)> {
        let replies: Vec<BTreeMap<usize, &ProbeReply>> = results
            .iter()
            .map(|r| r.replies.iter().map(|reply| (reply.request, reply)).collect())
            .collect();
        let mut seen = Vec::new();
        for (position, number) in ask.iter().enumerate() {
            let (Some(recorded), Some(asked)) = (self.chosen.get(*number), self.asked.get(*number)) else {
                continue;
            };
            // What a twin was not asked any more was beyond the time, or its process had ended.
            if !replies[0].contains_key(&position) || !replies[2].contains_key(&position) {
                left_out.leave_out("last-known-good was not asked in time or had ended", &recorded.label());
                continue;
            }
            let answer = |which: usize| {
                let reply = replies.get(which).and_then(|all| all.get(&position));
                reply.map_or_else(|| gone(&results[which]), |reply| self.read(which, reply))
            };
            let answers = Answers {
                primary: answer(0),
                candidate: answer(1),
                secondary: answer(2),
                base: (results.len() > 3).then(|| answer(3)),
            };
            let class = |status: Option<u16>| status.map(|s| s / 100);
            if is_first && recorded.status.is_some() && class(recorded.status) != class(answers.primary.status()) {
                let why = "compared, but in the sandbox last-known-good does not answer them as it was recorded";
                left_out.leave_out(why, &recorded.label());
            }
            seen.push((*number, asked.clone(), answers));
        }
        seen
    }

    /// Reads a reply; where the tree stands is no difference.
    fn read(&self, which: usize, reply: &ProbeReply) -> Answer {
        let inside = self.trees[which].inside.to_string_lossy();
        let read = match &reply.answer {
            ProbeAnswer::TimedOut => Reply::Nothing {
                what: "not in time".to_owned(),
            },
            ProbeAnswer::Broken { .. } => Reply::Nothing {
                what: "the connection broke".to_owned(),
            },
            ProbeAnswer::Response {
                status,
                headers,
                body,
                digest,
                ..
            } => Reply::Response {
                status: *status,
                headers: headers.clone(),
                body: without(body, &inside),
                digest: digest.clone(),
            },
        };
        Answer::of(&read, reply.latency_us)
    }

    /// What is compared once for each instance: its output, and what it left in its state.
    fn wholes(&self, results: &[ProbeResult], states: &[Vec<(PathBuf, PathBuf)>]) -> Vec<(usize, Asked, Answers)> {
        let of = |number: usize, route: &str, whole: Whole, made: Vec<Answer>| {
            let asked = Asked {
                route: route.to_owned(),
                label: route.to_owned(),
                expected: false,
                whole: Some(whole),
            };
            let mut made = made.into_iter();
            let answers = Answers {
                primary: made.next()?,
                candidate: made.next()?,
                secondary: made.next()?,
                base: made.next(),
            };
            Some((number, asked, answers))
        };
        let output = results.iter().zip(&self.trees).map(|(result, tree)| {
            let lines = result.lines.join("\n");
            Answer::of_text(&lines.replace(&*tree.inside.to_string_lossy(), "TREE"))
        });
        let output = of(self.chosen.len(), "output", Whole::Output, output.collect());
        let left: Option<Vec<Answer>> = effects::all(states)
            .iter()
            .map(|v| v.as_ref().map(Answer::of_json))
            .collect();
        let left = left.and_then(|left| of(self.chosen.len() + 1, "state", Whole::State, left));
        output.into_iter().chain(left).collect()
    }
}

/// The line of output that says most about an end: the last one with an error, or else the last one.
fn telling(lines: &[String]) -> Option<&str> {
    let said = || {
        lines
            .iter()
            .rev()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty())
    };
    said().find(|line| line.contains("rror")).or_else(|| said().next())
}

/// The answer of an instance that was asked no more.
fn gone(result: &ProbeResult) -> Answer {
    let what = match (&result.not_ready, &result.exit) {
        (Some(why), _) => why.clone(),
        (None, Some(_)) => "its process had ended".to_owned(),
        (None, None) => "it was not asked any more".to_owned(),
    };
    Answer::of(&Reply::Nothing { what }, 0)
}

/// The bytes with a text taken out.
fn without(body: &[u8], text: &str) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(written) if written.contains(text) => written.replace(text, "TREE").into_bytes(),
        _ => body.to_vec(),
    }
}
