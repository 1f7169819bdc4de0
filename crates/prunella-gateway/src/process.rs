//! The gateway process: from its arguments to its last connection.

use crate::args::{GatewayArgs, GatewayError};
use crate::clock;
use crate::control::{RefusalCode, RouteConfig, SOCKET_NAME};
use crate::hub::Hub;
use crate::listener::{self, Listener};
use crate::server::{self, Permit};
use crate::session;
use crate::store::{StateDir, Stored};
use crate::tls;
use crate::worker::{self, FromWorker, ToWorker, WorkerSetup};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::UnixListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};

/// Connections and commands that wait for one worker.
const INBOX: usize = 1024;
/// Deltas and failures that wait for the control thread.
const OUTBOX: usize = 4096;
/// Descriptors kept for everything that is not a client connection or its upstream one.
const SPARE_DESCRIPTORS: u64 = 128;
/// Connections turned away with an answer at a time; more are closed without a word.
const MAX_TURNED_AWAY: usize = 64;

/// The control thread's state, shared with the control connections on the same thread.
pub(crate) struct Control {
    pub(crate) state: Arc<StateDir>,
    pub(crate) listener: Listener,
    pub(crate) hub: RefCell<Hub>,
    pub(crate) boot_ms: u64,
    /// `None` before the first configuration.
    pub(crate) config: RefCell<Option<Arc<RouteConfig>>>,
    pub(crate) draining: Cell<bool>,
    pub(crate) drain: Notify,
    pub(crate) shutdown: Notify,
    configuring: Mutex<()>,
    workers: Vec<mpsc::Sender<ToWorker>>,
    next_worker: Cell<usize>,
    open: Arc<AtomicUsize>,
    max_open: usize,
    turned_away: Cell<usize>,
}

/// Runs the gateway until it is told to end: by `SIGTERM` or a drain request when the open requests
/// are done (or `drain_ms` has passed), by a shutdown request at once. `SIGINT` and `SIGHUP` are
/// ignored, for the terminal's Ctrl-C belongs to the daemon.
///
/// It first serves by the configuration that `gateway.json` holds, with no daemon needed.
///
/// # Errors
/// When a socket, the state directory, the TLS files or the system's resources cannot be had, and
/// when a worker dies.
#[allow(clippy::needless_pass_by_value, reason = "the process consumes its arguments")]
pub fn main(args: GatewayArgs) -> Result<(), GatewayError> {
    let tls = args.tls.as_ref().map(tls::acceptor).transpose()?;
    let state = Arc::new(StateDir::open(&args.state_dir)?);
    let socket = listener::obtain(&args)?;
    let config = load(&state)?.map(Arc::new);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let workers = match args.worker_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n.min(256),
    };
    let (outbox, from_workers) = mpsc::channel(OUTBOX);
    let boot = (Instant::now(), clock::unix_ms());
    let mut threads = Vec::new();
    let mut inboxes = Vec::new();
    for number in 0..workers as u16 {
        let (tell, inbox) = mpsc::channel(INBOX);
        inboxes.push(tell);
        threads.push(start_worker(WorkerSetup {
            number,
            workers,
            booted: boot.0,
            boot_ms: boot.1,
            config: config.clone().unwrap_or_default(),
            tls: tls.clone(),
            inbox,
            outbox: outbox.clone(),
        })?);
    }
    let result = runtime.block_on(async {
        let mut hub = Hub::default();
        hub.set_max_routes(config.clone().unwrap_or_default().limits.routes);
        let control = Rc::new(Control {
            state,
            listener: Listener::register(socket)?,
            hub: RefCell::new(hub),
            boot_ms: boot.1,
            config: RefCell::new(config),
            draining: Cell::new(false),
            drain: Notify::new(),
            shutdown: Notify::new(),
            configuring: Mutex::new(()),
            workers: inboxes,
            next_worker: Cell::new(0),
            open: Arc::default(),
            max_open: most_connections(),
            turned_away: Cell::new(0),
        });
        serve(control, from_workers).await
    });
    // The workers' inboxes are gone with the control state, which ends them.
    drop(runtime);
    let died = threads.into_iter().any(|t| t.join().is_err());
    result.and(if died {
        Err(GatewayError::System(io::Error::other("a worker thread panicked")))
    } else {
        Ok(())
    })
}

fn load(state: &StateDir) -> Result<Option<RouteConfig>, GatewayError> {
    match state.load()? {
        Stored::Missing => Ok(None),
        Stored::Config(config) => Ok(Some(*config)),
        Stored::Corrupt { kept_as, reason } => {
            let kept_as = kept_as.display();
            tracing::error!(%kept_as, %reason, "the stored configuration cannot be used: waiting for the daemon's");
            Ok(None)
        }
    }
}

fn start_worker(setup: WorkerSetup) -> io::Result<JoinHandle<()>> {
    let name = format!("gateway-{}", setup.number);
    let runtime = move || {
        Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
    };
    std::thread::Builder::new().name(name).spawn(move || match runtime() {
        Ok(runtime) => runtime.block_on(worker::run(setup)),
        Err(error) => tracing::error!(%error, "a worker's runtime cannot be made"),
    })
}

/// Raises the descriptor limit as far as allowed and says how many clients that is enough for: each
/// may need an upstream connection as well.
fn most_connections() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    let now = if setrlimit(Resource::Nofile, limit).is_ok() {
        limit.current
    } else {
        before
    };
    now.map_or(usize::MAX, |n| {
        (n.saturating_sub(SPARE_DESCRIPTORS) / 2).max(1) as usize
    })
}

async fn serve(control: Rc<Control>, mut from_workers: mpsc::Receiver<FromWorker>) -> Result<(), GatewayError> {
    let socket = bind_control(&control.state)?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Installed and never read: that is how they are ignored.
    let _ignored = (signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    tokio::task::spawn_local(accept(control.clone()));
    tokio::task::spawn_local(session::accept(control.clone(), socket));
    let dead = Rc::new(Notify::new());
    for worker in control.workers.clone() {
        let dead = dead.clone();
        tokio::task::spawn_local(async move {
            worker.closed().await;
            dead.notify_one();
        });
    }
    let mut drained = std::pin::pin!(async {
        control.drain.notified().await;
        control.drain_workers().await;
    });
    let result = loop {
        tokio::select! {
            from = from_workers.recv() => match from {
                Some(from) => control.hub.borrow_mut().take(from),
                None => break Err(died()),
            },
            _ = terminate.recv() => control.drain.notify_one(),
            () = control.shutdown.notified() => break Ok(()),
            () = dead.notified() => break Err(died()),
            () = &mut drained => break Ok(()),
        }
    };
    control.hub.borrow_mut().close();
    // Lets subscribers and the asker of the shutdown read their last line.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let _ = std::fs::remove_file(control.state.join(SOCKET_NAME));
    result
}

fn died() -> GatewayError {
    GatewayError::System(io::Error::other("a worker thread ended"))
}

/// The lock on the directory is ours, so a socket that is there was left by a dead gateway.
fn bind_control(state: &StateDir) -> Result<UnixListener, GatewayError> {
    let path = state.join(SOCKET_NAME);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    let socket = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(socket)
}

/// Accepts connections and deals them to the workers in turn.
async fn accept(control: Rc<Control>) {
    loop {
        if control.draining.get() {
            return;
        }
        match control.listener.accept().await {
            Ok((stream, peer)) if !control.draining.get() => control.deal(stream, peer),
            // Another gateway on the same socket may have it; if there is none, it is refused.
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

impl Control {
    fn deal(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let limit = self
            .config
            .borrow()
            .as_ref()
            .map_or_else(|| RouteConfig::default().limits.connections, |c| c.limits.connections);
        let Some(permit) = Permit::take(&self.open, limit.min(self.max_open)) else {
            return self.turn_away(stream);
        };
        let next = self.next_worker.get();
        self.next_worker.set((next + 1) % self.workers.len());
        let told = self.workers[next].try_send(ToWorker::Connection(stream, peer, permit));
        if let Err(mpsc::error::TrySendError::Full(ToWorker::Connection(stream, ..))) = told {
            self.turn_away(stream);
        }
    }

    fn turn_away(self: &Rc<Self>, stream: TcpStream) {
        self.hub.borrow_mut().connection_refused();
        if self.turned_away.get() >= MAX_TURNED_AWAY {
            return;
        }
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
            return;
        };
        self.turned_away.set(self.turned_away.get() + 1);
        let control = self.clone();
        tokio::task::spawn_local(async move {
            server::turn_away(stream).await;
            control.turned_away.set(control.turned_away.get() - 1);
        });
    }

    /// Puts a configuration into force on every worker, then stores it.
    pub(crate) async fn configure(&self, config: RouteConfig) -> Result<u64, (RefusalCode, String)> {
        config
            .validate()
            .map_err(|e| (RefusalCode::InvalidConfig, e.to_string()))?;
        let _one_at_a_time = self.configuring.lock().await;
        let epoch = config.epoch;
        if let Some(current) = &*self.config.borrow() {
            if current.epoch == epoch && **current == config {
                return Ok(epoch);
            }
            if epoch <= current.epoch {
                let message = format!("epoch {epoch} is not newer than {}, which is in force", current.epoch);
                return Err((RefusalCode::StaleEpoch, message));
            }
        }
        let config = Arc::new(config);
        self.ask_workers(|done| ToWorker::Configure(config.clone(), done))
            .await?;
        self.config.replace(Some(config.clone()));
        self.hub.borrow_mut().set_max_routes(config.limits.routes);
        let state = self.state.clone();
        let stored = tokio::task::spawn_blocking(move || state.save(&config)).await;
        match stored {
            Ok(Ok(())) => Ok(epoch),
            Ok(Err(e)) => Err((RefusalCode::NotStored, format!("in force, but not stored: {e}"))),
            Err(e) => Err((RefusalCode::NotStored, format!("in force, but not stored: {e}"))),
        }
    }

    /// Tells every worker and waits for all answers.
    pub(crate) async fn ask_workers<T>(
        &self,
        tell: impl Fn(oneshot::Sender<T>) -> ToWorker,
    ) -> Result<Vec<T>, (RefusalCode, String)> {
        let ended = || (RefusalCode::Unavailable, "the gateway is ending".to_owned());
        let mut answers = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (done, answer) = oneshot::channel();
            worker.send(tell(done)).await.map_err(|_| ended())?;
            answers.push(answer);
        }
        let mut all = Vec::with_capacity(answers.len());
        for answer in answers {
            all.push(answer.await.map_err(|_| ended())?);
        }
        Ok(all)
    }

    /// Stops accepting and waits for the connections to end.
    async fn drain_workers(&self) {
        self.draining.set(true);
        for worker in &self.workers {
            let _ = worker.send(ToWorker::Drain).await;
        }
        let limit = self
            .config
            .borrow()
            .as_ref()
            .map_or(RouteConfig::default().timeouts.drain_ms, |c| c.timeouts.drain_ms);
        let deadline = Instant::now() + Duration::from_millis(limit);
        while self.open.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
