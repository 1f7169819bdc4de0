//! The shop: a real repository with a real history, its database, and what its owner told Prunella about it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;

use super::error::DemoError;
use super::process::Tool;
use crate::config::{self, Config};
use crate::home::Home;

/// The history, as a git fast-import stream.
const HISTORY: &[u8] = include_bytes!("../../demo/history.fi");
/// What customers send.
pub(super) const TRAFFIC: &str = include_str!("../../demo/traffic.json");
/// The release that everything begins with.
const FIRST: &str = "good";

/// The shop's repository, on disk.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    root: PathBuf,
    config: Config,
}

impl Shop {
    /// Makes the repository below `dir`, checks the first release out, fills the database and writes `prunella.toml`.
    ///
    /// # Errors
    /// If git or python3 is missing or fails.
    pub(super) async fn build(dir: &Path, listen: SocketAddr) -> Result<Self, DemoError> {
        let root = dir.join("shop");
        Tool::git(dir, &["init", "--quiet", "--initial-branch=main", "shop"])
            .run()
            .await?;
        Tool::git(&root, &["fast-import", "--quiet"])
            .input(HISTORY)
            .run()
            .await?;
        Tool::git(&root, &["reset", "--quiet", "--hard", FIRST]).run().await?;
        Tool::new(OsStr::new("python3"), &root, &["-m", "shop.seed", "shop.db"])
            .run()
            .await?;
        let text = settings(listen);
        let path = root.join(config::FILE_NAME);
        // Not a commit of the shop's: its history stays what the demo's patches made it.
        let excluded = format!("{}\n{}/\n", config::FILE_NAME, crate::home::DIR_NAME);
        for (path, content) in [(&path, text.as_str()), (&root.join(".git/info/exclude"), &excluded)] {
            std::fs::write(path, content).map_err(|source| DemoError::Files {
                what: "write",
                path: path.clone(),
                source,
            })?;
        }
        let config = config::parse(&text, &path).expect("the demo's configuration is tested");
        Ok(Self { root, config })
    }

    /// The repository's root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where Prunella keeps its things.
    pub(super) fn home(&self) -> Home {
        Home::of(&self.root, Some(&self.config))
    }

    /// The commit that a tag or branch names.
    ///
    /// # Errors
    /// If there is none.
    pub(super) async fn commit(&self, tag: &'static str) -> Result<CommitId, DemoError> {
        let name = Tool::git(&self.root, &["rev-parse", "--verify", &format!("{tag}^{{commit}}")])
            .run()
            .await?;
        CommitId::parse(name.trim()).map_err(|_| DemoError::Script(tag))
    }

    /// Moves the branch to a newer commit, as a `git pull` does.
    ///
    /// # Errors
    /// If it is no fast-forward.
    pub(super) async fn pull(&self, tag: &str) -> Result<(), DemoError> {
        Tool::git(&self.root, &["merge", "--quiet", "--ff-only", tag])
            .run()
            .await?;
        Ok(())
    }

    /// What a commit changes, as `git show` prints its first line.
    ///
    /// # Errors
    /// If there is no such commit.
    pub(super) async fn title(&self, commit: &CommitId) -> Result<String, DemoError> {
        let format = ["log", "-1", "--format=%h %s", commit.as_str()];
        Ok(Tool::git(&self.root, &format).run().await?.trim().to_owned())
    }

    /// Changed lines by file: added and removed together. Binary files count as one.
    ///
    /// # Errors
    /// If there is no such commit.
    pub(super) async fn changed_lines(&self, commit: &CommitId) -> Result<Vec<(String, u64)>, DemoError> {
        let args = ["diff-tree", "--no-commit-id", "--numstat", "-r", commit.as_str()];
        Ok(numstat(&Tool::git(&self.root, &args).run().await?))
    }
}

fn numstat(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.splitn(3, '\t');
            let mut number = || Some(cells.next()?.parse::<u64>().unwrap_or(1));
            let changed = number()? + number()?;
            Some((cells.next()?.to_owned(), changed))
        })
        .collect()
}

/// What the owner tells Prunella. Times are short because nobody watches a demo for half an hour; the first release
/// stays the last-known-good one because probation is longer than the demo.
fn settings(listen: SocketAddr) -> String {
    format!(
        r#"[service]
name = "shop"
start = "python3 -m shop"
listen = "{listen}"
env = {{ SHOP_DB = "shop.db" }}
stop_grace = "7s"

[ready]
path = "/healthz"

[test]
command = "python3 -m unittest discover -v -s tests -t ."

[state]
paths = ["shop.db"]
env = ["SHOP_DB"]

[heal]
autonomy = "promote"

[canary]
share = 0.1
min_time = "3s"
min_requests = 100
deadline = "2m"
probation = "10m"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::super::traffic::{Load, Tally, TrafficPlan, status_of};
    use super::*;
    use prunella_core::policy::Autonomy;
    use std::sync::Arc;
    use std::time::Duration;

    async fn shop() -> (tempfile::TempDir, Shop) {
        let dir = tempfile::tempdir().unwrap();
        let shop = Shop::build(dir.path(), "127.0.0.1:4711".parse().unwrap())
            .await
            .unwrap();
        (dir, shop)
    }

    #[tokio::test]
    async fn the_history_is_what_the_patches_made_it() {
        let (_dir, shop) = shop().await;
        for (tag, hash) in [
            ("HEAD", "45a4e4e1a651bbe6c91dca4c1293a101399aef91"),
            ("good", "45a4e4e1a651bbe6c91dca4c1293a101399aef91"),
            ("guilty", "29d42c48f4dd337c8346796ee1e30ecffcdec43a"),
            ("innocent", "e4635c56c77694c90c4fc977862eeedaf5d386f2"),
        ] {
            assert_eq!(shop.commit(tag).await.unwrap().as_str(), hash, "{tag}");
        }
        let count = Tool::git(shop.root(), &["rev-list", "--count", "innocent"])
            .run()
            .await
            .unwrap();
        assert!(count.trim().parse::<u32>().unwrap() >= 30);
        shop.pull("guilty").await.unwrap();
        shop.pull("innocent").await.unwrap();
        assert_eq!(
            shop.commit("HEAD").await.unwrap(),
            shop.commit("innocent").await.unwrap()
        );
        shop.pull("slow").await.unwrap();
        assert!(shop.pull("crash").await.is_err(), "another branch is no fast-forward");
    }

    #[tokio::test]
    async fn the_tree_is_clean_and_the_database_is_full() {
        let (_dir, shop) = shop().await;
        let dirt = Tool::git(shop.root(), &["status", "--porcelain"]).run().await.unwrap();
        assert_eq!(dirt, "");
        let count =
            "import sqlite3; print(sqlite3.connect('shop.db').execute('select count(*) from orders').fetchone()[0])";
        let orders = Tool::new(OsStr::new("python3"), shop.root(), &["-c", count])
            .run()
            .await
            .unwrap();
        assert_eq!(orders.trim(), "2400");
    }

    #[tokio::test]
    async fn changed_lines_are_those_of_the_commit() {
        let (_dir, shop) = shop().await;
        let guilty = shop.commit("guilty").await.unwrap();
        let changed = shop.changed_lines(&guilty).await.unwrap();
        assert_eq!(changed.len(), 5);
        assert!(changed.contains(&("shop/pricing.py".to_owned(), 34)), "{changed:?}");
        let title = shop.title(&guilty).await.unwrap();
        assert!(
            title.ends_with("Show loyalty points in totals and tidy pricing"),
            "{title}"
        );
    }

    /// Sends `phase` to the shop at `tag` without Prunella between; the counts by template.
    async fn traffic_to(tag: &str, phase: &str) -> (Tally, Arc<TrafficPlan>) {
        let (_dir, shop) = shop().await;
        shop.pull(tag).await.unwrap();
        let lease = crate::supervise::free_port().unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], lease.port()));
        let _server = serve(&shop, lease.port());
        while status_of(addr, "/healthz", Duration::from_secs(5)).await != Ok(200) {
            tokio::task::yield_now().await;
        }
        let plan = Arc::new(TrafficPlan::parse(TRAFFIC).unwrap());
        let load = Load::start(Arc::clone(&plan), addr, 300, plan.phase(phase).unwrap());
        while load.tally().all.sent < 400 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (load.stop().await, plan)
    }

    #[allow(clippy::disallowed_methods, reason = "the service without Prunella")]
    fn serve(shop: &Shop, port: u16) -> tokio::process::Child {
        let mut command = tokio::process::Command::new("python3");
        command
            .args(["-m", "shop"])
            .current_dir(shop.root())
            .env("PORT", port.to_string());
        command
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn healthy_traffic_fails_nowhere() {
        let (tally, _) = traffic_to("innocent", "healthy").await;
        assert_eq!(tally.all.failed, 0, "{:?}", tally.examples());
    }

    #[tokio::test]
    async fn the_campaign_breaks_one_request_from_the_guilty_commit_on() {
        let (tally, plan) = traffic_to("innocent", "campaign").await;
        let trigger = plan.template("campaign-no-tea").unwrap();
        for (template, count) in &tally.window(0).by_template {
            let expected = if *template == trigger { count.sent } else { 0 };
            assert_eq!(count.failed, expected, "{}", plan.templates()[*template].name);
        }
        assert!(tally.window(0).by_template[&trigger].sent > 0);
        assert_eq!(tally.idempotent.failed, tally.all.failed);
    }

    #[test]
    fn the_configuration_is_valid() {
        let text = settings("127.0.0.1:4711".parse().unwrap());
        let config = config::parse(&text, Path::new("prunella.toml")).unwrap();
        assert_eq!(config.heal.autonomy, Autonomy::Promote);
        assert!(config.policy().canary.enabled);
    }
}
