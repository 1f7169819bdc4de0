//! The gateway's side of the control protocol.

use crate::control::{
    CaptureFilter, Captures, Event, Hello, MAX_REPLY_LINE, MAX_REQUEST_LINE, RefusalCode, Reply, Request, send_with_fd,
};
use crate::hub::Subscription;
use crate::process::Control;
use crate::worker::ToWorker;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// Control connections at a time.
const MAX_SESSIONS: usize = 64;
/// A peer that does not take a line within this is gone or stuck.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Accepts control connections for as long as the process lives.
pub(crate) async fn accept(control: Rc<Control>, socket: UnixListener) {
    let open = Rc::new(Cell::new(0_usize));
    loop {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a control connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let refused = if !is_permitted(&stream) {
            Some((RefusalCode::NotPermitted, "the gateway belongs to another user"))
        } else if open.get() >= MAX_SESSIONS {
            Some((RefusalCode::Busy, "too many control connections"))
        } else {
            None
        };
        open.set(open.get() + 1);
        let (control, open) = (control.clone(), open.clone());
        tokio::task::spawn_local(async move {
            let mut session = Session {
                control,
                stream,
                buf: Vec::new(),
            };
            let ended = match refused {
                Some((code, message)) => session.send(&refusal(code, message)).await,
                None => session.run().await,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a control connection broke");
            }
            open.set(open.get() - 1);
        });
    }
}

/// The peer runs under our user id, or is root.
fn is_permitted(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}

fn refusal(code: RefusalCode, message: impl Into<String>) -> Reply {
    Reply::Refused {
        code,
        message: message.into(),
    }
}

struct Session {
    control: Rc<Control>,
    stream: UnixStream,
    buf: Vec<u8>,
}

impl Session {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            let Some(line) = self.read_line().await? else {
                return Ok(());
            };
            let request = match line {
                Ok(line) => serde_json::from_slice::<Request>(&line),
                Err(too_long) => return self.send(&too_long).await,
            };
            match request {
                Ok(Request::Subscribe) => return self.subscribe().await,
                Ok(Request::GetListener) => self.pass_listener().await?,
                Ok(Request::Drain) => {
                    // It was asked for, even if the asker did not wait for the answer.
                    let sent = self.send(&Reply::Draining).await;
                    self.control.drain.notify_one();
                    sent?;
                }
                Ok(Request::Shutdown) => {
                    // It was asked for, even if the asker did not wait for the answer.
                    let sent = self.send(&Reply::Stopping).await;
                    self.control.shutdown.notify_one();
                    sent?;
                }
                Ok(Request::Hello) => self.send(&self.hello()).await?,
                Ok(Request::Configure(config)) => {
                    let reply = match self.control.configure(*config).await {
                        Ok(epoch) => Reply::Configured { epoch },
                        Err((code, message)) => refusal(code, message),
                    };
                    self.send(&reply).await?;
                }
                Ok(Request::Stats) => {
                    let reply = self.stats().await;
                    self.send(&reply).await?;
                }
                Ok(Request::Captures { filter }) => self.captures(filter).await?,
                Err(e) => {
                    self.send(&refusal(RefusalCode::Malformed, format!("not a request: {e}")))
                        .await?
                }
            }
        }
    }

    /// The next line without its end; `None` at the end of the connection, or the answer to a line
    /// that is too long.
    async fn read_line(&mut self) -> io::Result<Option<Result<Vec<u8>, Reply>>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buf[searched..].iter().position(|b| *b == b'\n') {
                let rest = self.buf.split_off(searched + at + 1);
                return Ok(Some(Ok(std::mem::replace(&mut self.buf, rest))));
            }
            searched = self.buf.len();
            if searched > MAX_REQUEST_LINE {
                let message = format!("a line is longer than {MAX_REQUEST_LINE} bytes");
                return Ok(Some(Err(refusal(RefusalCode::LineTooLong, message))));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).await? {
                0 => return Ok(None),
                n => self.buf.extend_from_slice(&chunk[..n]),
            }
        }
    }

    async fn send(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        write(&mut self.stream, &line).await
    }

    fn hello(&self) -> Reply {
        let config = self.control.config.borrow();
        Reply::Hello(Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            listen: self.control.listener.addr(),
            started_ms: self.control.boot_ms,
            epoch: config.as_ref().map(|c| c.epoch),
            service: config.as_ref().map(|c| c.service.clone()),
            draining: self.control.draining.get(),
        })
    }

    /// Totals up to this moment: the workers hand over first.
    async fn stats(&self) -> Reply {
        if let Err((code, message)) = self.control.ask_workers(ToWorker::Flush).await {
            return refusal(code, message);
        }
        Reply::Stats(self.control.hub.borrow().totals())
    }

    async fn captures(&mut self, filter: CaptureFilter) -> io::Result<()> {
        let limit = filter.limit;
        let found = match self
            .control
            .ask_workers(|done| ToWorker::Captures(filter.clone(), done))
            .await
        {
            Ok(found) => found,
            Err((code, message)) => return self.send(&refusal(code, message)).await,
        };
        let not_recorded = found.iter().map(|(_, n)| n).sum();
        let mut captures: Vec<_> = found.into_iter().flat_map(|(c, _)| c).collect();
        captures.sort_by_key(|c| c.order_us);
        let left_out = captures.len().saturating_sub(limit);
        captures.drain(..left_out);
        let mut reply = Captures {
            captures,
            left_out,
            not_recorded,
        };
        loop {
            let mut line = serde_json::to_vec(&Reply::Captures(reply.clone()))?;
            if line.len() < MAX_REPLY_LINE || reply.captures.is_empty() {
                line.push(b'\n');
                return write(&mut self.stream, &line).await;
            }
            let half = reply.captures.len().div_ceil(2);
            reply.captures.drain(..half);
            reply.left_out += half;
        }
    }

    async fn pass_listener(&mut self) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Reply::Listener {
            addr: self.control.listener.addr(),
        })?;
        line.push(b'\n');
        timeout(
            WRITE_LIMIT,
            send_with_fd(&self.stream, &line, self.control.listener.fd()),
        )
        .await?
    }

    /// From here on the connection carries events; it ends when the subscriber goes away.
    async fn subscribe(&mut self) -> io::Result<()> {
        let Some(Subscription { mut lines, reason }) = self.control.hub.borrow_mut().subscribe() else {
            return self.send(&refusal(RefusalCode::Busy, "too many subscribers")).await;
        };
        self.send(&Reply::Subscribed).await?;
        let (mut from, mut to) = self.stream.split();
        let mut ignored = [0; 256];
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => write(&mut to, &line).await?,
                    None => break,
                },
                read = from.read(&mut ignored) => if read? == 0 { return Ok(()) },
            }
        }
        let mut line = serde_json::to_vec(&Event::Closed { reason: reason.get() })?;
        line.push(b'\n');
        write(&mut to, &line).await
    }
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), line: &[u8]) -> io::Result<()> {
    timeout(WRITE_LIMIT, to.write_all(line)).await?
}
