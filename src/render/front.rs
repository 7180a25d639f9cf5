//! The front's haproxy.cfg.

use askama::Template;

use super::filter as filters;
use crate::plan::front::Front;

#[derive(Template)]
#[template(path = "haproxy.cfg", escape = "plain")]
struct Haproxy<'a> {
    header: &'a [String],
    front: &'a Front,
}

pub(super) fn haproxy(header: &[String], front: &Front) -> askama::Result<String> {
    Haproxy { header, front }.render()
}
