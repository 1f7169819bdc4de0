//! `status`: the service, its releases and its open incidents.

use std::path::Path;
use std::time::Duration;

use prunella_core::release::routing;
use prunella_gateway::control::{Client, ClientError, Reply, Request, SOCKET_NAME};

use super::site::Site;
use crate::held::HeldBack;
use crate::ingest::last_status;
use crate::render::{self, GatewayStatus, Status, Summary};
use crate::ui::{Exit, Problem, Ui};

/// How long the gateway may take to answer: a question must not hang on a stuck process.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the gateway says of itself; nothing if none runs or it does not answer.
async fn gateway(site: &Site) -> Option<GatewayStatus> {
    let socket = site.home.gateway().join(SOCKET_NAME);
    let answer = tokio::time::timeout(PATIENCE, ask_gateway(&socket)).await;
    answer.ok()?.ok().flatten()
}

async fn ask_gateway(socket: &Path) -> Result<Option<GatewayStatus>, ClientError> {
    let mut client = Client::connect(socket).await?;
    let Reply::Hello(hello) = client.call(&Request::Hello).await? else {
        return Ok(None);
    };
    let Reply::Stats(totals) = client.call(&Request::Stats).await? else {
        return Ok(None);
    };
    Ok(Some(GatewayStatus {
        process: hello.pid,
        listen: hello.listen.to_string(),
        since_ms: hello.started_ms,
        draining: hello.draining,
        requests: totals.requests,
        failed: totals.failed,
        failed_idempotent: totals.failed_idempotent,
        failovers: totals.failovers,
        refused: totals.refused,
    }))
}

pub(super) async fn status(dir: Option<&Path>, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let world = site.world().await?;
    let service = &world.service;
    let config = site.config.as_ref();
    let document = Status {
        repository: site.repo.root().display().to_string(),
        service: config.map(|c| c.service.name.clone()),
        listen: config.filter(|c| c.service.http).map(|c| c.service.listen.to_string()),
        daemon: site.home.daemon(),
        gateway: gateway(&site).await,
        intake: last_status(&site.home.intake()),
        paused: service.paused,
        autonomy: config.map(|c| c.heal.autonomy),
        routing: routing(service, &site.policy(&world)),
        last_known_good: service.last_known_good.clone(),
        rollback_requested: service.rollback_requested,
        releases: service
            .order
            .iter()
            .rev()
            .filter_map(|id| service.releases.get(id).cloned())
            .collect(),
        failed_over: service.failed_over.clone(),
        bad_commits: service.bad.clone(),
        open_incidents: world.open_incidents().map(Summary::of).collect(),
        held_back: HeldBack::read(site.home.dir()).newest_first().cloned().collect(),
    };
    ui.data(&document, || render::status(&document, world.open_incidents()))?;
    if config.is_none() {
        ui.hint("There is no prunella.toml: `prunella init` writes one.");
    } else if document.daemon.is_none() {
        ui.hint("`prunella run` starts the service.");
    }
    Ok(Exit::Done)
}
