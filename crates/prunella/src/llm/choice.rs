//! Which model the owner chose: `ollama:qwen2.5-coder`, `openai:gpt-5@https://gateway.local/v1/`.

use std::str::FromStr;

use serde_json::{Value, json};

/// Whose protocol a model speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `OpenAI` chat completions, and everything that speaks it: llama.cpp, vLLM and others.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
    /// Ollama.
    Ollama,
}

impl Provider {
    /// Its name on the command line and in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
        }
    }

    /// The variable that holds its key, by custom.
    #[must_use]
    pub fn key_variable(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("OPENAI_API_KEY"),
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
            Self::Ollama => None,
        }
    }

    fn default_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1/",
            Self::Anthropic => "https://api.anthropic.com/v1/",
            Self::Ollama => "http://127.0.0.1:11434/",
        }
    }
}

/// A model and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whose protocol.
    pub provider: Provider,
    /// The model's name there.
    pub model: String,
    /// The address that the protocol's paths follow.
    pub url: String,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write PROVIDER:MODEL or PROVIDER:MODEL@URL, where PROVIDER is openai (and all that speak its protocol), \
             anthropic or ollama; for example openai:qwen2.5-coder@http://127.0.0.1:8080/v1/"
                .to_owned()
        };
        let (provider, rest) = text.split_once(':').ok_or_else(wrong)?;
        let provider = match provider {
            "openai" => Provider::OpenAi,
            "anthropic" => Provider::Anthropic,
            "ollama" => Provider::Ollama,
            _ => return Err(wrong()),
        };
        let (model, url) = match rest.split_once('@') {
            Some((model, url)) => (model, url.to_owned()),
            None => (rest, provider.default_url().to_owned()),
        };
        if model.is_empty() || model.len() > 200 || model.chars().any(char::is_control) {
            return Err(wrong());
        }
        Ok(Self {
            provider,
            model: model.to_owned(),
            url,
        })
    }
}

impl Choice {
    /// What asks the provider to keep nothing and to train on nothing, where its protocol has a word for it.
    #[must_use]
    pub fn keep_nothing(&self, host: &str) -> Option<Value> {
        match (self.provider, host) {
            (Provider::OpenAi, "api.openai.com") => Some(json!({ "store": false })),
            (Provider::OpenAi, "openrouter.ai") => Some(json!({ "provider": { "data_collection": "deny" } })),
            // Others may refuse fields that they do not know; Anthropic's interface keeps nothing for training.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_names_provider_model_and_address() {
        let choice: Choice = "ollama:qwen2.5-coder:7b".parse().unwrap();
        assert_eq!(
            (choice.model.as_str(), choice.url.as_str()),
            ("qwen2.5-coder:7b", "http://127.0.0.1:11434/")
        );
        let choice: Choice = "openai:local/model@http://127.0.0.1:8080/v1".parse().unwrap();
        assert_eq!(
            (choice.provider, choice.url.as_str()),
            (Provider::OpenAi, "http://127.0.0.1:8080/v1")
        );
        for wrong in ["", "gpt-5", "other:m", "openai:", "openai:@http://x/", "openai:a\nb"] {
            assert!(
                wrong.parse::<Choice>().unwrap_err().contains("PROVIDER:MODEL"),
                "{wrong}"
            );
        }
    }
}
