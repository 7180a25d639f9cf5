//! `composegen client NAME PRESET --check` on a real server, by each protocol.

use crate::Case;
use crate::engine::Engine;
use crate::strategy::Strategy;

pub(crate) const CASES: &[Case] = &[("check::clients_of_a_real_server", clients_of_a_real_server)];

fn clients_of_a_real_server(engine: &Engine) {
    // Where the engine is not this machine's own, its ports are not, either.
    if engine.host.is_some() {
        return;
    }
    let more = "[context]\nctx_size = 8192\n[batching]\nparallel = 2\n[chat]\njinja = true\n";
    let strategy = Strategy::new(engine, more);
    let check = |name: &str| strategy.run(&["client", name, "server.toml", "--check"]);
    check("codex").ends(23, "see whether the server runs");
    strategy.up().ends(0, "healthy after");
    for name in ["claude-code", "opencode", "codex", "openai", "anthropic"] {
        // Whether a model this small calls a tool is up to its dice; the scripted server of the other tests does.
        let said = check(name);
        let called = said.out.contains("good  tool call");
        assert_eq!(said.code, Some(if called { 0 } else { 23 }), "{said}");
        for line in ["models     `", "slot       4096 tokens", "chat       `", "tokens     "] {
            assert!(said.out.contains(&format!("good  {line}")), "{name}: {said}");
        }
    }
    strategy.preset("server", &more.replace("8192", "4096"));
    check("claude-code").ends(23, "it has 4096 tokens, and the files say 2048");
    strategy.down().ends(0, "stopping");
}
