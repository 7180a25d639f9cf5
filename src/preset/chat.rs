//! `[chat]`: templates, tool calls and reasoning.

use serde_json::{Map, Value as Json};

use super::context::OnOffAuto;
use crate::table::{choice, table};

choice! {
    /// Where a model's reasoning goes in an answer.
    pub enum ReasoningFormat { None = "none", Auto = "auto", Deepseek = "deepseek", DeepseekLegacy = "deepseek-legacy", }
}

table! {
    /// Chat template, tool calls, reasoning.
    pub struct Chat {
        /// Use the Jinja chat template of the model; tool calls need it. llama-server's default is on.
        jinja: bool => "--jinja" / "--no-jinja";
        /// A built-in template's name, or a template.
        chat_template: String => "--chat-template";
        /// A template's file, as a path inside the container.
        chat_template_file: String => "--chat-template-file";
        /// Extra values for the template, passed as JSON.
        chat_template_kwargs: Map<String, Json> => "--chat-template-kwargs";
        /// Reasoning.
        reasoning: OnOffAuto => "--reasoning";
        /// How hard to reason: minimal, low, medium, high, or what the model knows.
        reasoning_effort: String => "--reasoning-effort";
        /// Where the reasoning goes in an answer.
        reasoning_format: ReasoningFormat => "--reasoning-format";
        /// Most tokens of reasoning; -1 is without limit.
        reasoning_budget: i64, -1 ..= 16_777_216 => "--reasoning-budget";
        /// What to say to the model when the budget is spent.
        reasoning_budget_message: String => "--reasoning-budget-message";
        /// Keep earlier reasoning in the conversation.
        reasoning_preserve: bool => "--reasoning-preserve" / "--no-reasoning-preserve";
        /// Continue an assistant message that ends the conversation.
        prefill_assistant: bool => "--prefill-assistant" / "--no-prefill-assistant";
        /// Return the answer as text, unparsed.
        skip_chat_parsing: bool => "--skip-chat-parsing" / "--no-skip-chat-parsing";
    }
}
