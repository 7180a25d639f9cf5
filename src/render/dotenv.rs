//! The `.env` of a strategy.

use askama::Template;

use super::filter as filters;
use crate::plan::environment::Environment;

#[derive(Template)]
#[template(path = "strategy.env", escape = "plain")]
struct Dotenv<'a> {
    header: &'a [String],
    about: &'a [String],
    variables: &'a [(String, String)],
}

pub(super) fn dotenv(header: &[String], environment: &Environment) -> askama::Result<String> {
    Dotenv { header, about: &environment.about, variables: &environment.variables }.render()
}
