//! The demo from its first line to its last: serve, deploy, break, watch, report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::diagnose::plain;
use prunella_core::id::CommitId;
use prunella_core::incident::{Incident, Outcome};
use tokio::time::Instant;

use super::DemoOptions;
use super::error::DemoError;
use super::follow::{Follower, Line, end_of, is_promoted};
use super::process::Tool;
use super::report::{Report, lost_by_whole_revert, onset, patch_text, window_text};
use super::scenario::Plot;
use super::screen::Screen;
use super::shop::{Shop, TRAFFIC};
use super::stage::Stage;
use super::traffic::{Load, Tally, TrafficPlan, status_of};
use crate::clock;
use crate::store::Blobs;
use crate::supervise::free_port;

/// How long the first release may take to serve.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long one answer of `/healthz` may take.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);
/// How long the healthy traffic runs before the first deploy.
const BASELINE: Duration = Duration::from_secs(4);
/// How long the healed release is watched.
const AFTERWARDS: Duration = Duration::from_secs(5);
/// How often the ledger is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A demo under way.
pub(super) struct Story {
    shop: Shop,
    plot: Plot,
    guilty: CommitId,
    follower: Follower,
    plan: Arc<TrafficPlan>,
    load: Load,
    trigger: Option<usize>,
    /// When the traffic changed, milliseconds since the epoch.
    turned_ms: i64,
    /// The first bad response that the traffic knows of.
    onset_ms: Option<i64>,
    deadline: (Instant, Duration),
}

impl Story {
    /// Builds the shop, starts Prunella, waits until the first release is accepted, and lets the customers in.
    ///
    /// # Errors
    /// If anything of it fails.
    pub(super) async fn open(stage: &mut Stage, screen: &mut Screen, options: &DemoOptions) -> Result<Self, DemoError> {
        let deadline = (Instant::now() + options.deadline, options.deadline);
        let plan = Arc::new(TrafficPlan::parse(TRAFFIC)?);
        let plot = options.scenario.plot();
        let healthy = plan.phase("healthy").ok_or(DemoError::Script("healthy"))?;
        let lease = free_port().map_err(|source| DemoError::System {
            what: "find a free port",
            source,
        })?;
        let addr = SocketAddr::from(([127, 0, 0, 1], lease.port()));
        screen.say(
            "build",
            &format!("a shop with its history and database in {}", stage.dir().display()),
        );
        let shop = Shop::build(stage.dir(), addr).await?;
        let guilty = shop.commit(plot.culprit).await?;
        stage.start(shop.root(), shop.home(), addr)?;
        let follower = wait_until_served(stage, screen, &shop, addr).await?;
        screen.say(
            "serving",
            &format!("http://{addr}, {} requests a second from now on", options.rate),
        );
        let load = Load::start(Arc::clone(&plan), addr, options.rate, healthy);
        Ok(Self {
            trigger: plot.trigger.and_then(|name| plan.template(name)),
            turned_ms: clock::now_ms(),
            onset_ms: None,
            shop,
            plot,
            guilty,
            follower,
            plan,
            load,
            deadline,
        })
    }

    /// Everything that is to be seen, until nothing is open any more.
    ///
    /// # Errors
    /// If the daemon ends, a deploy does not come through, or the deadline passes.
    pub(super) async fn play(&mut self, stage: &mut Stage, screen: &mut Screen) -> Result<(), DemoError> {
        self.pass(BASELINE, stage, screen).await?;
        let baseline = window_text(self.load.tally().window(0));
        screen.say("baseline", &baseline);
        for tag in self.plot.deploys {
            self.deploy(tag, stage, screen).await?;
        }
        if self.plot.promoted {
            let phase = self
                .plan
                .phase(self.plot.phase)
                .ok_or(DemoError::Script(self.plot.phase))?;
            self.turned_ms = clock::now_ms();
            self.load.phase(phase);
            screen.say("traffic", self.plot.turn);
        }
        while !self.follower.is_settled(self.turned_ms) {
            self.tick("the incident's end", stage, screen).await?;
        }
        if self
            .incident()
            .is_some_and(|i| matches!(i.outcome, Some((Outcome::Healed, _))))
        {
            let window = self.load.mark();
            self.pass(AFTERWARDS, stage, screen).await?;
            screen.say("after", &self.after_text(window));
        }
        Ok(())
    }

    /// How the healed release serves the traffic that has failed before.
    fn after_text(&self, window: usize) -> String {
        let tally = self.load.tally();
        let window = tally.window(window);
        let trigger = self.trigger.and_then(|t| window.by_template.get(&t));
        let trigger = trigger.map(|c| format!("; {} of them are what broke it, and {} failed", c.sent, c.failed));
        format!("{}{}", window_text(window), trigger.unwrap_or_default())
    }

    fn incident(&self) -> Option<&Incident> {
        self.follower.incident(self.turned_ms)
    }

    /// What a person does: takes the newer commit and asks for its release.
    async fn deploy(&mut self, tag: &'static str, stage: &mut Stage, screen: &mut Screen) -> Result<(), DemoError> {
        let commit = self.shop.commit(tag).await?;
        self.shop.pull(tag).await?;
        let title = self.shop.title(&commit).await?;
        screen.say(
            "deploy",
            &format!("git pull brings {}; prunella deploy", plain(&title, 120)),
        );
        let before = clock::now_ms();
        Tool::new(stage.program().as_os_str(), self.shop.root(), &["deploy"])
            .run()
            .await?;
        loop {
            self.tick("the promotion of a deploy", stage, screen).await?;
            let is_in_trouble = self
                .follower
                .world()
                .incidents
                .values()
                .any(|i| i.clock.detected_ms >= before);
            let Some(release) = self.follower.release_of(&commit) else {
                continue;
            };
            if is_promoted(release) || is_in_trouble {
                return Ok(());
            }
            match end_of(release) {
                Some(why) if self.plot.promoted => {
                    return Err(DemoError::NotPromoted {
                        release: release.id.to_string(),
                        tag,
                        why,
                    });
                }
                _ => {}
            }
        }
    }

    /// Lets time pass.
    async fn pass(&mut self, time: Duration, stage: &mut Stage, screen: &mut Screen) -> Result<(), DemoError> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.tick("the rest of the demo", stage, screen).await?;
        }
        Ok(())
    }

    /// One look at everything.
    async fn tick(&mut self, awaited: &str, stage: &mut Stage, screen: &mut Screen) -> Result<(), DemoError> {
        stage.check()?;
        if Instant::now() > self.deadline.0 {
            return Err(DemoError::TooLate {
                what: awaited.to_owned(),
                seconds: self.deadline.1.as_secs(),
                words: stage.words(),
            });
        }
        self.look_for_onset(screen);
        for line in self.follower.look().await? {
            self.show(&line, screen);
        }
        screen.progress(|| self.progress());
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }

    /// The customers got an answer, but not from the release that was asked first.
    fn look_for_onset(&mut self, screen: &mut Screen) {
        if self.onset_ms.is_some() {
            return;
        }
        let trigger = self.trigger.and_then(|t| self.load.tally().first_answer_ms(t));
        if let Some(at_ms) = trigger {
            self.onset_ms = Some(at_ms);
            screen.say_at(at_ms, "onset", "the first request that the new release cannot answer");
        }
    }

    fn show(&self, line: &Line, screen: &mut Screen) {
        let onset = onset(self.incident(), self.onset_ms).filter(|_| line.word != "release");
        let since = onset.map(|o| format!("+{:.3} s  ", line.at_ms.saturating_sub(o).max(0) as f64 / 1000.0));
        screen.say_at(
            line.at_ms,
            line.word,
            &format!("{}{}", since.unwrap_or_default(), line.text),
        );
        for below in line.below.lines() {
            screen.block(&format!("              {below}\n"));
        }
    }

    fn progress(&self) -> String {
        let tally = self.load.tally();
        let state = self.incident().filter(|i| i.is_open()).map_or("", |i| match () {
            () if i.verified().is_some() => ", shipping the fix",
            () if i.diagnosis.is_some() => ", making and trying a fix",
            () if i.reproduction.is_some() => ", looking for the commit",
            () => ", taking a reproduction",
        });
        format!("{} requests, {} failed{state}", tally.all.sent, tally.all.failed)
    }

    /// Sends the customers home and says how far it got.
    pub(super) async fn close(self) -> Ending {
        let Self {
            load,
            follower,
            shop,
            guilty,
            turned_ms,
            onset_ms,
            ..
        } = self;
        let tally: Tally = load.stop().await;
        let incident = follower.incident(turned_ms);
        let fix = match incident {
            Some(incident) => fix_text(&shop, incident).await,
            None => Ok(String::new()),
        };
        Ending {
            report: Report::new(guilty, incident, onset_ms, &tally),
            fix: fix.unwrap_or_else(|error| format!("\nThe fix cannot be shown: {error}\n")),
            failures: tally.examples().to_vec(),
        }
    }
}

/// How far a demo got.
pub(super) struct Ending {
    /// The figures.
    pub(super) report: Report,
    fix: String,
    failures: Vec<String>,
}

impl Ending {
    /// Shows the fix, some of the failures and the figures.
    pub(super) fn show(&self, screen: &mut Screen) {
        screen.block(&self.fix);
        for failure in &self.failures {
            screen.say("failed", &plain(failure, 200));
        }
        screen.block(&format!(
            "\nThe clock, from the first bad response:\n{}",
            self.report.text()
        ));
    }
}

/// The patch, and what a revert of the whole commit would have lost beyond it.
async fn fix_text(shop: &Shop, incident: &Incident) -> Result<String, DemoError> {
    let verified = incident.verified();
    let Some(proposal) = verified.or(incident.candidates.last()).map(|c| &c.proposal) else {
        return Ok(String::new());
    };
    let patch = Blobs::open(&shop.home().blobs())?.get(&proposal.patch)?;
    let patch = patch_text(&String::from_utf8_lossy(&patch));
    let strategy = plain(&proposal.strategy, 60);
    if verified.is_none() {
        return Ok(format!(
            "\nThe last candidate, which was not let through ({strategy}):\n{patch}"
        ));
    }
    let mut text = format!("\nThe fix ({strategy}):\n{patch}");
    let diagnosis = incident.diagnosis.as_ref();
    if let Some(blamed) = diagnosis.and_then(|d| d.commit()) {
        let hunks = diagnosis.map(|d| d.hunks_total).filter(|n| *n > 0);
        let hunks = hunks.map(|total| (proposal.hunks, total));
        let (whole, fix) = (
            shop.changed_lines(blamed).await?,
            shop.changed_lines(&proposal.commit).await?,
        );
        text.push_str(&lost_by_whole_revert(&whole, &fix, hunks));
    }
    Ok(text)
}

/// Waits until the public address serves and the ledger says that the first release is the last-known-good one.
async fn wait_until_served(
    stage: &mut Stage,
    screen: &mut Screen,
    shop: &Shop,
    addr: SocketAddr,
) -> Result<Follower, DemoError> {
    let until = Instant::now() + START_LIMIT;
    let mut follower = None;
    loop {
        stage.check()?;
        if Instant::now() > until {
            return Err(DemoError::TooLate {
                what: "the start of the first release".to_owned(),
                seconds: START_LIMIT.as_secs(),
                words: stage.words(),
            });
        }
        match &mut follower {
            None if shop.home().ledger().exists() => follower = Some(Follower::open(&shop.home()).await?),
            None => {}
            Some(ledger) => {
                ledger.look().await?;
            }
        }
        let is_accepted = follower
            .as_ref()
            .is_some_and(|f| f.world().service.last_known_good.is_some());
        if is_accepted
            && status_of(addr, "/healthz", HEALTH_PATIENCE).await == Ok(200)
            && let Some(follower) = follower
        {
            return Ok(follower);
        }
        screen.progress(|| "waiting for the first release".to_owned());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
