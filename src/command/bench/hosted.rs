//! Presets as servers that are started where they do not run.

use std::io::Write as _;

use super::case::{Case, server, usage};
use super::crew::{self, Crew, Wanted};
use super::stage::Stage;
use super::sweep;
use crate::cli::{Bench, Chosen, Deny, Models};
use crate::command::strategy::{Ready, ready};
use crate::command::{Failure, api_key};
use crate::preset::sweep::Point;
use crate::terminal::Terminal;

/// Where the key of a server lies in its container.
const KEY: &str = "/run/secrets/api_key";

/// Each preset, or one preset at each of these points.
pub(super) fn all(
    args: &Bench,
    starts: &[Point],
    terminal: &mut Terminal,
) -> Result<(Vec<Case>, Stage), Failure> {
    if let [first, second] = args.presets.as_slice()
        && first == second
    {
        return Err(usage(&format!("`{first}` against itself says nothing: name two presets")));
    }
    if args.model.is_some() && args.presets.len() > 1 {
        return Err(usage("`--model` names the file of one server: leave it out to compare two"));
    }
    let readied: Vec<Ready> = args
        .presets
        .iter()
        .map(|preset| {
            let chosen = Chosen {
                preset: preset.clone(),
                out: None,
                force: false,
                deny: Deny { deny: None },
                models: Models { dir: args.models.dir.clone() },
            };
            ready(&chosen, terminal)
        })
        .collect::<Result<_, _>>()?;
    let all = || readied.iter().flat_map(|ready| starts.iter().map(move |point| (ready, point)));
    let wanted = all().map(|(ready, point)| Wanted { ready, arguments: sweep::arguments(point) });
    let mut cases = all()
        .map(|(ready, point)| {
            let service = &ready.service;
            let mounted = service.mounts.iter().find(|mount| mount.target == KEY);
            let file = args.api_key_file.as_deref().or(mounted.map(|mount| &*mount.source));
            let key = file.map(api_key).transpose()?;
            let strategy = sweep::changed(&ready.strategy, point);
            Ok(Case {
                name: strategy.name.clone(),
                server: server(args, &service.url(), key.as_deref())?,
                strategy: Some(strategy),
                here: true,
                gpus: crew::gpus(ready),
                model: args.model.clone().or_else(|| service.model.clone()),
                image: None,
                props: None,
            })
        })
        .collect::<Result<Vec<Case>, Failure>>()?;
    let crew = Crew::new(&wanted.collect::<Vec<_>>(), terminal)?;
    for (i, case) in cases.iter_mut().enumerate() {
        case.image = crew.image(i).and_then(|id| id.parse().ok());
        case.here = crew.is_here();
        // The engine's paths are those of its own machine.
        case.model = case.model.take().filter(|path| case.here || path.exists());
    }
    if let Some(why) = crew.conflict() {
        writeln!(terminal.err, "one at a time, each started {} times, since {why}", args.starts)?;
    }
    let held = readied.into_iter().map(|ready| ready.held).collect();
    Ok((cases, Stage { crew: Some(crew), held }))
}
