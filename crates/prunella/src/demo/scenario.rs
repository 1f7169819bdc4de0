//! The stories that the demo can tell. Tags and phases are described in `demo/README.md`.

/// Which fault is deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// One hunk of a larger commit breaks one route for some inputs; an innocent deploy follows, then the inputs come.
    #[default]
    Campaign,
    /// A request makes the process exit.
    Crash,
    /// One route takes some thirty times as long.
    Slow,
    /// The release exits at its start.
    CrashStart,
    /// The release never becomes ready.
    Stuck,
}

/// A story in data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    /// What is deployed, in order.
    pub(super) deploys: &'static [&'static str],
    /// Whether each deploy comes to take all the traffic before its fault is seen.
    pub(super) promoted: bool,
    /// The commit that is guilty. Only the report at the end knows it, never the daemon.
    pub(super) culprit: &'static str,
    /// What customers send after the deploys.
    pub(super) phase: &'static str,
    /// The request that the failing release answers badly, where the traffic tells.
    pub(super) trigger: Option<&'static str>,
    /// What the new phase means, for people.
    pub(super) turn: &'static str,
}

impl Scenario {
    pub(super) fn plot(self) -> Plot {
        match self {
            Self::Campaign => Plot {
                deploys: &["guilty", "innocent"],
                promoted: true,
                culprit: "guilty",
                phase: "campaign",
                trigger: Some("campaign-no-tea"),
                turn: "a campaign begins: customers try the coupon TEA15",
            },
            Self::Crash => Plot {
                deploys: &["crash"],
                promoted: true,
                culprit: "crash",
                phase: "blank-search",
                trigger: Some("search-blank"),
                turn: "some customers search for nothing",
            },
            Self::Slow => Plot {
                deploys: &["slow"],
                ..Self::at_once("slow")
            },
            Self::CrashStart => Plot {
                deploys: &["crash-start"],
                ..Self::at_once("crash-start")
            },
            Self::Stuck => Plot {
                deploys: &["stuck"],
                ..Self::at_once("stuck")
            },
        }
    }

    /// A fault that shows while the release is being started or a canary.
    fn at_once(culprit: &'static str) -> Plot {
        Plot {
            deploys: &[],
            promoted: false,
            culprit,
            phase: "healthy",
            trigger: None,
            turn: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::traffic::TrafficPlan;

    #[test]
    fn every_story_sends_what_the_traffic_describes() {
        let plan = TrafficPlan::parse(crate::demo::shop::TRAFFIC).unwrap();
        for scenario in [
            Scenario::Campaign,
            Scenario::Crash,
            Scenario::Slow,
            Scenario::CrashStart,
            Scenario::Stuck,
        ] {
            let plot = scenario.plot();
            assert!(plan.phase(plot.phase).is_some(), "{scenario:?}");
            assert!(plot.trigger.is_none_or(|t| plan.template(t).is_some()), "{scenario:?}");
            assert!(plot.deploys.contains(&plot.culprit), "{scenario:?}");
        }
    }
}
