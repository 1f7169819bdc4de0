//! A coroutine that nobody waits for, or a plain value that is waited for.
//!
//! *Signals*: a call or an `await` inside of an asynchronous function.
//! *Method*: adds or removes `await`.
//! *Source*: the missing-await pattern of asynchronous JavaScript and Python (Turcotte et al., ICSE 2022).
//! *Fix safety*: changes when, not what; a call that ran concurrently is waited for.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Awaits;

impl Operator for Awaits {
    fn name(&self) -> &'static str {
        "await"
    }

    fn prior(&self) -> f64 {
        0.03
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let span = tree.node(site.function).span.clone();
        if !tree.source[span].starts_with("async") {
            return;
        }
        let is_awaited = tree.node(node).parent.is_some_and(|p| tree.kind(p) == Kind::Await);
        match tree.kind(node) {
            Kind::Call if !is_awaited => {
                let is_object = tree.node(node).role == Role::Object;
                let text = format!("await {}", tree.text(node));
                out.replace(node, if is_object { format!("({text})") } else { text }, 0.8);
            }
            _ => {}
        }
    }
}
