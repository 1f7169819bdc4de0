//! Language models: one more source of candidates, used only where the owner names one.
//!
//! The protocols are those of the `genai` crate. Everything that is sent passes the [`egress`](crate::egress) gate.

mod cassette;
mod choice;

use std::fmt;
use std::time::Duration;

use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use prunella_core::privacy::{Redacted, Vault};

pub use cassette::{Cassette, CassetteError};
pub use choice::{Choice, Provider};

use crate::egress::{EgressError, Gate, Sending, Target};

/// The longest that one answer may take.
const LONGEST: Duration = Duration::from_secs(300);
/// The most tokens of one answer.
const ANSWER_TOKENS: u32 = 4096;

/// A question, ready to leave.
#[derive(Clone, Debug)]
pub struct Question {
    /// The standing instruction.
    pub system: Redacted,
    /// The question.
    pub user: Redacted,
}

/// An answer, with its placeholders still in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the model said.
    pub text: String,
    /// Tokens in and out, as the provider counts; estimated at four bytes each where it does not say.
    pub tokens: (u64, u64),
    /// Whether it was called, or remembered by a cassette.
    pub was_called: bool,
}

/// What a provider wants to see. It is in no log, no error and no prompt.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// A key.
    #[must_use]
    pub fn new(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// A model behind the gate.
#[derive(Debug)]
pub struct Model {
    choice: Choice,
    key: Option<Key>,
    gate: Gate,
    target: Target,
    cassette: Option<Cassette>,
}

impl Model {
    /// The chosen model, if the gate lets text go there. `key` is what the provider wants to see.
    ///
    /// # Errors
    /// If its host was not allowed.
    pub fn new(choice: Choice, key: Option<Key>, gate: Gate, cassette: Option<Cassette>) -> Result<Self, EgressError> {
        let target = gate.admit(&choice.url)?;
        Ok(Self {
            choice,
            key,
            gate,
            target,
            cassette,
        })
    }

    /// For people: `qwen on 127.0.0.1`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} on {}", self.choice.model, self.target.host())
    }

    /// Whether it runs on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.target.is_local()
    }

    /// Asks. Blocks until the answer is there, at most five minutes.
    ///
    /// # Errors
    /// If nothing could be sent or nothing came back; never with the key in it.
    pub fn ask(&mut self, question: &Question, vault: &Vault, temperature: f64) -> Result<Answer, EgressError> {
        if let Some(text) = self
            .cassette
            .as_ref()
            .and_then(|cassette| cassette.answer(question, temperature))
        {
            return Ok(Answer {
                tokens: (0, 0),
                was_called: false,
                text,
            });
        }
        let sending = Sending {
            purpose: "repair",
            provider: self.choice.provider.name(),
            model: &self.choice.model,
            texts: &[&question.system, &question.user],
        };
        let pass = self.gate.begin(&self.target, vault, &sending)?;
        let called = self.call(question, temperature);
        match &called {
            Ok(answer) => pass.end(answer.text.len() as u64, answer.tokens, "answered")?,
            Err(why) => pass.end(0, (0, 0), why)?,
        }
        let answer = called.map_err(|why| EgressError::Call {
            host: self.target.host().to_owned(),
            why,
        })?;
        if let Some(cassette) = &mut self.cassette {
            let remembered = cassette.remember(question, temperature, &answer.text);
            remembered.map_err(|error| EgressError::Call {
                host: "cassette".to_owned(),
                why: error.to_string(),
            })?;
        }
        Ok(answer)
    }

    /// The call itself, on a thread of its own: callers may be on an async one.
    fn call(&self, question: &Question, temperature: f64) -> Result<Answer, String> {
        std::thread::scope(|scope| {
            let work = || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?;
                runtime.block_on(self.exchange(question, temperature))
            };
            scope
                .spawn(work)
                .join()
                .unwrap_or_else(|_| Err("the protocol's library gave up".to_owned()))
        })
    }

    async fn exchange(&self, question: &Question, temperature: f64) -> Result<Answer, String> {
        let http = Gate::client(LONGEST).map_err(|error| error.to_string())?;
        let client = Client::builder()
            .with_reqwest(http)
            .build()
            .map_err(|error| self.safe(&error.to_string()))?;
        let kind = match self.choice.provider {
            Provider::OpenAi => AdapterKind::OpenAI,
            Provider::Anthropic => AdapterKind::Anthropic,
            Provider::Ollama => AdapterKind::Ollama,
        };
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(self.target.base()),
            auth: AuthData::from_single(self.key.as_ref().map_or("none", |key| key.0.as_str())),
            model: ModelIden::new(kind, self.choice.model.clone()),
        };
        let request = ChatRequest::from_system(question.system.as_str())
            .append_message(ChatMessage::user(question.user.as_str()));
        let mut options = ChatOptions::default()
            .with_max_tokens(ANSWER_TOKENS)
            .with_temperature(temperature);
        if let Some(extra) = self.choice.keep_nothing(self.target.host()) {
            options = options.with_extra_body(extra);
        }
        let response = client
            .exec_chat(target, request, Some(&options))
            .await
            .map_err(|error| self.safe(&error.to_string()))?;
        let usage = response.usage.clone();
        let text = response.into_texts().join("\n");
        if text.trim().is_empty() {
            return Err("the answer is empty".to_owned());
        }
        let count =
            |said: Option<i32>, bytes: usize| said.and_then(|n| u64::try_from(n).ok()).unwrap_or(bytes as u64 / 4);
        let sent = question.system.as_str().len() + question.user.as_str().len();
        Ok(Answer {
            tokens: (
                count(usage.prompt_tokens, sent),
                count(usage.completion_tokens, text.len()),
            ),
            was_called: true,
            text,
        })
    }

    /// An error for people: short, and without the key, which some providers repeat.
    fn safe(&self, error: &str) -> String {
        let without = match &self.key {
            Some(Key(key)) if key.len() >= 4 => error.replace(key.as_str(), "[key]"),
            _ => error.to_owned(),
        };
        let mut vault = Vault::new();
        prunella_core::diagnose::plain(vault.redact(&without).as_str(), 300)
    }
}

#[cfg(test)]
mod tests;
