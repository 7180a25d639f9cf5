//! What happened on the RTX 4090 and the RTX 5070 Ti, attempt by attempt.

use super::super::{
    Attempt, Candidate, Dimension, Figures, Observation, ResumeError, Start, State, Step, Task,
    next,
};

const K: u64 = 1024;

fn task(layer_mib: u64, starts: &[(u64, [u32; 2])]) -> Task {
    let start = |(k, layers): &(u64, [u32; 2])| Start { ctx_size: k * K, layers: layers.to_vec() };
    Task {
        key: "seed".to_owned(),
        devices: vec!["CUDA0".to_owned(), "CUDA1".to_owned()],
        blocks: 48,
        layer_mib,
        most: Vec::new(),
        starts: starts.iter().map(start).collect(),
        asked: false,
        also: Vec::new(),
    }
}

fn oom(device: &str) -> Observation {
    Observation::OutOfMemory { device: Some(device.to_owned()) }
}

fn good(free: [u64; 2], tps: f64) -> Observation {
    Observation::Good(Figures {
        free_mib: free.to_vec(),
        decode_tps: Some(tps),
        prompt_tps: Some(tps * 20.0),
    })
}

fn tried(layers: [u32; 2], observation: Observation) -> Attempt {
    let candidate =
        Candidate { layers: layers.to_vec(), ctx_size: 256 * K, ..Candidate::default() };
    Attempt { candidate, observation }
}

/// Plays a script: each line is the plan that has to be asked for and what comes of it. Returns the last step.
fn play(mut state: State, script: &[(&str, Observation)]) -> (Step, Vec<String>) {
    let mut reasons = Vec::new();
    let mut step = next(&mut state, None);
    for (expected, observation) in script {
        let Step::Try { candidate, reason } = &step else {
            panic!("{expected} is not tried: {step:?}")
        };
        assert_eq!(candidate.to_string(), *expected, "{reason}");
        reasons.push(reason.clone());
        // A kill at any time: what was written down asks for the same again.
        let mut again = State::resume(state.task().clone(), &state.to_text()).unwrap();
        assert_eq!(again, state);
        assert!(
            matches!(next(&mut again, None), Step::Try { candidate: c, .. } if c == *candidate)
        );
        step = next(&mut state, Some(observation.clone()));
    }
    (step, reasons)
}

#[test]
fn q5_at_256k() {
    let state = State::new(task(1126, &[(256, [17, 8])]), Vec::new());
    let (step, reasons) = play(
        state,
        &[
            ("17+8 at 256K", oom("CUDA0")),
            ("16+8 at 256K", oom("CUDA1")),
            ("16+7 at 256K", oom("CUDA0")),
            ("15+7 at 256K", good([1456, 783], 24.9)),
        ],
    );
    assert_eq!(reasons[0], "the most that may fit, by the estimate");
    assert_eq!(reasons[1], "CUDA0 ran out of memory with 17+8 at 256K: one layer fewer on CUDA0");
    assert_eq!(reasons[2], "CUDA1 ran out of memory with 16+8 at 256K: one layer fewer on CUDA1");
    let Step::Done { best, reason } = step else { panic!("{step:?}") };
    assert_eq!(best.layers, [15, 7]);
    assert_eq!(
        reason,
        "15+7 at 256K: one layer more on CUDA0 runs out of memory, as 16+7 at 256K did; \
         CUDA1 has 783 MiB left, a layer takes 1126"
    );
}

#[test]
fn q6_with_room_that_is_not_enough() {
    // 2.7 GB were free on CUDA0 with 12 layers, and yet 13 had not fitted: late allocations.
    let state = State::new(task(1302, &[(256, [13, 6])]), Vec::new());
    let (step, _) =
        play(state, &[("13+6 at 256K", oom("CUDA0")), ("12+6 at 256K", good([2702, 815], 21.7))]);
    assert!(matches!(step, Step::Done { best, .. } if best.layers == [12, 6]));
}

#[test]
fn ud_q6_takes_what_is_left() {
    let known = vec![tried([11, 5], good([3300, 2400], 20.5))];
    let state = State::new(task(1363, &[(256, [14, 7])]), known);
    let (step, reasons) = play(
        state,
        &[
            ("12+5 at 256K", good([1900, 2400], 20.8)),
            ("12+6 at 256K", good([1900, 1016], 21.1)),
            ("13+6 at 256K", good([1039, 1016], 21.4)),
        ],
    );
    assert_eq!(
        reasons[0],
        "3300 MiB are free on CUDA0 with 11+5 at 256K, a layer takes 1363: one layer more"
    );
    assert!(matches!(step, Step::Done { best, .. } if best.layers == [13, 6]));
}

#[test]
fn what_the_presets_record_is_not_tried_again() {
    let known = vec![tried([17, 8], oom("CUDA0")), tried([16, 8], oom("CUDA1"))];
    let state = State::new(task(1126, &[(256, [18, 8])]), known);
    // 18+8 is more than 17+8 on the card that failed.
    let (step, _) = play(state, &[("16+7 at 256K", good([400, 900], 25.0))]);
    assert!(matches!(step, Step::Done { best, .. } if best.layers == [16, 7]));
}

#[test]
fn context_goes_down_when_layers_are_spent() {
    let task = task(1000, &[(128, [3, 2]), (256, [1, 1]), (192, [1, 1])]);
    let (step, reasons) = play(
        State::new(task.clone(), Vec::new()),
        &[
            ("1+1 at 256K", oom("CUDA0")),
            ("0+1 at 256K", oom("CUDA0")),
            ("1+1 at 192K", oom("CUDA1")),
            ("1+0 at 192K", good([100, 100], 9.0)),
        ],
    );
    assert_eq!(
        reasons[2],
        "CUDA0 ran out of memory with 0+1 at 256K, and no layer is left there to give back: \
         the context goes down to 192K"
    );
    assert!(matches!(step, Step::Done { best, .. } if best.ctx_size == 192 * K));
    let (step, _) = play(
        State::new(task, Vec::new()),
        &[
            ("1+1 at 256K", Observation::HostMemory),
            ("1+1 at 192K", Observation::HostMemory),
            ("3+2 at 128K", Observation::HostMemory),
        ],
    );
    let Step::Spent { reason } = step else { panic!("{step:?}") };
    assert_eq!(
        reason,
        "the machine ran out of memory with 3+2 at 128K, and there is no smaller context left to try"
    );
}

#[test]
fn a_card_that_is_not_named_gives_back_where_most_is() {
    let unnamed = || Observation::OutOfMemory { device: None };
    let elsewhere = Observation::OutOfMemory { device: Some("RPC0".to_owned()) };
    let (step, _) = play(
        State::new(task(1000, &[(256, [4, 3])]), Vec::new()),
        &[
            ("4+3 at 256K", unnamed()),
            ("3+3 at 256K", elsewhere),
            ("3+2 at 256K", good([10, 10], 9.0)),
        ],
    );
    assert!(matches!(step, Step::Done { .. }));
}

#[test]
fn other_settings_come_last_and_have_to_be_faster() {
    let mut task = task(1000, &[(256, [5, 5])]);
    task.also = vec![
        Dimension::named("ubatch", "2048", None).unwrap(),
        Dimension::named("threads", "8", Some(8)).unwrap(),
    ];
    task.also[0].values = ["512", "4096", "8192"].map(str::to_owned).to_vec();
    task.also[1].values = ["7".to_owned(), "4".to_owned()].to_vec();
    let speeds = |prompt: f64, decode: f64, free: [u64; 2]| {
        Observation::Good(Figures {
            free_mib: free.to_vec(),
            decode_tps: Some(decode),
            prompt_tps: Some(prompt),
        })
    };
    let (step, _) = play(
        State::new(task, Vec::new()),
        &[
            ("5+5 at 256K, threads 8, ubatch_size 2048", oom("CUDA1")),
            ("5+4 at 256K, threads 8, ubatch_size 2048", speeds(400.0, 20.0, [500, 500])),
            // Slower, though a layer more would have fitted.
            ("5+4 at 256K, threads 8, ubatch_size 512", speeds(200.0, 20.0, [1500, 500])),
            // Out of memory: 8192 would be, too, and is not tried.
            ("5+4 at 256K, threads 8, ubatch_size 4096", oom("CUDA0")),
            ("5+4 at 256K, threads 7, ubatch_size 2048", speeds(400.0, 20.2, [500, 500])),
            ("5+4 at 256K, threads 4, ubatch_size 2048", speeds(400.0, 23.0, [500, 500])),
            // With the new threads, 512 once more; the rest is known.
            ("5+4 at 256K, threads 4, ubatch_size 512", speeds(200.0, 23.0, [1500, 500])),
        ],
    );
    let Step::Done { best, .. } = step else { panic!("{step:?}") };
    assert_eq!(best.to_string(), "5+4 at 256K, threads 4, ubatch_size 2048");
}

#[test]
fn another_failure_stops_and_can_be_mended() {
    let task = task(1000, &[(256, [5, 5])]);
    let mut state = State::new(task.clone(), Vec::new());
    next(&mut state, None);
    let step = next(&mut state, Some(Observation::Failed { why: "the port is taken".to_owned() }));
    let reason = "5+5 at 256K failed: the port is taken".to_owned();
    assert_eq!(step, Step::Failed { reason });
    // Asked again in the same run it says the same; a new run tries again.
    assert!(matches!(next(&mut state, None), Step::Failed { .. }));
    let mut again = State::resume(task.clone(), &state.to_text()).unwrap();
    assert!(matches!(next(&mut again, None), Step::Try { .. }));
    let other = Task { key: "another model".to_owned(), ..task.clone() };
    assert_eq!(State::resume(other, &state.to_text()), Err(ResumeError::Other));
    assert!(matches!(State::resume(task, "{"), Err(ResumeError::Form(_))));
}
