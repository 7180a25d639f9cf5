//! A machine with cards of random sizes and a model with random blocks, on which plans fit or do not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::ruled::excluded_by;
use super::super::{
    Attempt, Candidate, Dimension, Figures, Judge, Memory, Observation, Start, State, Step, Task,
    next,
};

/// Sizes in MiB.
#[derive(Clone, Debug)]
struct Machine {
    cards: Vec<u64>,
    /// Experts, the rest of the weights, and the cache at 1024 tokens, of each block.
    blocks: Vec<(u64, u64, u64)>,
    /// The first block of each card by llama.cpp's split, which holds for all that no plan moves.
    split: Vec<usize>,
    /// Compute buffer per 1024 tokens of context and per 512 of the batch.
    compute: u64,
    ram: u64,
    names_card: bool,
    shows_free: bool,
}

impl Machine {
    fn home(&self, block: usize) -> usize {
        self.split.iter().rposition(|first| *first <= block).unwrap()
    }

    /// What each card holds with a plan, and what the machine does.
    fn usage(&self, plan: &Candidate) -> (Vec<u64>, u64) {
        let k = plan.ctx_size / 1024;
        let ubatch: u64 =
            plan.settings.get("ubatch_size").map_or(1, |word| word.parse().unwrap()) / 512;
        let mut cards = vec![self.compute * (k + ubatch); self.cards.len()];
        let mut ram = 0;
        let owner = |block: usize| {
            let mut end = 0;
            plan.layers.iter().position(|count| {
                end += *count as usize;
                block < end
            })
        };
        for (i, (experts, rest, cache)) in self.blocks.iter().enumerate() {
            cards[self.home(i)] += cache * k;
            if let Some(card) = owner(i) {
                cards[card] += experts + rest;
            } else {
                cards[self.home(i)] += rest;
                ram += experts;
            }
        }
        (cards, ram)
    }

    fn run(&self, plan: &Candidate) -> Observation {
        let (used, ram) = self.usage(plan);
        if ram > self.ram {
            return Observation::HostMemory;
        }
        if let Some(card) = used.iter().zip(&self.cards).position(|(used, size)| used > size) {
            return Observation::OutOfMemory {
                device: self.names_card.then(|| format!("CUDA{card}")),
            };
        }
        let free = used.iter().zip(&self.cards).map(|(used, size)| size - used);
        let threads: f64 = plan.settings.get("threads").map_or(8.0, |word| word.parse().unwrap());
        let ubatch: f64 =
            plan.settings.get("ubatch_size").map_or(512.0, |word| word.parse().unwrap());
        Observation::Good(Figures {
            free_mib: if self.shows_free { free.collect() } else { Vec::new() },
            decode_tps: Some(10.0 + f64::from(plan.total()) - (threads - 6.0).abs()),
            prompt_tps: Some(ubatch.sqrt()),
        })
    }

    fn task(&self, starts: &[Vec<u32>]) -> Task {
        let least = self.blocks.iter().map(|(experts, ..)| *experts).min().unwrap();
        let most = self.blocks.iter().map(|(_, rest, _)| *rest).max().unwrap();
        let contexts = [256 * 1024, 192 * 1024, 128 * 1024];
        let starts = contexts.iter().zip(starts);
        Task {
            key: String::new(),
            devices: (0..self.cards.len()).map(|i| format!("CUDA{i}")).collect(),
            blocks: u32::try_from(self.blocks.len()).unwrap(),
            layer_mib: least.saturating_sub(most),
            most: Vec::new(),
            starts: starts
                .map(|(ctx_size, layers)| Start { ctx_size: *ctx_size, layers: layers.clone() })
                .collect(),
            asked: false,
            also: Vec::new(),
        }
    }
}

fn machine() -> impl Strategy<Value = Machine> {
    let sizes = (1..4_usize).prop_flat_map(|count| {
        (
            prop::collection::vec(2_000..30_000_u64, count),
            prop::collection::vec(0..60_usize, count - 1),
        )
    });
    let blocks = prop::collection::vec((200..1500_u64, 10..150_u64, 0..8_u64), 4..40);
    let ram = prop_oneof![4 => Just(u64::MAX), 1 => 5_000..40_000_u64];
    (sizes, blocks, 1..8_u64, ram, prop::bool::weighted(0.8), any::<bool>()).prop_map(
        |((cards, mut split), blocks, compute, ram, names_card, shows_free)| {
            split.push(0);
            split.sort_unstable();
            Machine { cards, blocks, split, compute, ram, names_card, shows_free }
        },
    )
}

fn starts() -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(0..25_u32, 3), 3)
}

fn also() -> Vec<Dimension> {
    let dimension = |key: &str, base: &str, values: &[&str], memory, judge| Dimension {
        key: key.to_owned(),
        base: base.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        memory,
        judge,
    };
    vec![
        dimension("ubatch_size", "2048", &["512", "1024", "4096"], Memory::Grows, Judge::Prompt),
        dimension("threads", "8", &["4", "6"], Memory::Same, Judge::Decode),
    ]
}

/// Tunes to the end, being killed after every step, and checks each plan against all that was known before it.
fn tune(machine: &Machine, task: &Task) -> (Step, Vec<Attempt>) {
    let mut state = State::new(task.clone(), Vec::new());
    let mut observation = None;
    for _ in 0..2000 {
        let step = next(&mut state, observation.take());
        state = State::resume(task.clone(), &state.to_text()).unwrap();
        let Step::Try { candidate, reason } = step else {
            return (step, state.attempts().to_vec());
        };
        assert!(!reason.is_empty());
        assert!(candidate.total() <= task.blocks);
        for attempt in state.attempts() {
            assert!(!excluded_by(task, attempt, &candidate), "{candidate} after {attempt:?}");
        }
        observation = Some(machine.run(&candidate));
    }
    panic!("it does not stop by itself");
}

fn is_good(machine: &Machine, plan: &Candidate) -> bool {
    matches!(machine.run(plan), Observation::Good(_))
}

fn assert_maximal(machine: &Machine, task: &Task, best: &Candidate) -> Result<(), TestCaseError> {
    prop_assert!(is_good(machine, best));
    for card in 0..task.devices.len() {
        let mut more = best.clone();
        more.layers[card] += 1;
        prop_assert!(more.total() > task.blocks || !is_good(machine, &more), "{} fits", more);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn ends_with_a_plan_that_nothing_can_be_added_to(machine in machine(), starts in starts()) {
        let task = machine.task(&starts);
        let (step, attempts) = tune(&machine, &task);
        match step {
            Step::Done { best, .. } => {
                assert_maximal(&machine, &task, &best)?;
                // Never a smaller context while a larger one went well.
                let good = attempts.iter().filter(|a| matches!(a.observation, Observation::Good(_)));
                prop_assert_eq!(good.map(|a| a.candidate.ctx_size).max(), Some(best.ctx_size));
            }
            Step::Spent { .. } => {
                // At the smallest context the way ended with a card that has nothing to give back: then no experts at
                // all on the cards do not help. Or with the machine's memory, which giving back makes worse.
                let last = attempts.last().unwrap();
                let none = Candidate { layers: vec![0; task.devices.len()], ..last.candidate.clone() };
                prop_assert_eq!(last.candidate.ctx_size, 128 * 1024);
                prop_assert!(!is_good(&machine, &none));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// What an attempt excludes really does not fit. Looked at where it matters: around plans that just do not fit.
    #[test]
    fn exclusions_are_sound(
        machine in machine(),
        start in prop::collection::vec(0..12_u32, 3),
        context in 2..4_u64,
        ubatch in 1..3_u32,
    ) {
        let mut task = machine.task(&[]);
        task.also = also();
        let plan = |layers: &[u32], context: u64, ubatch: u32| Candidate {
            layers: layers.to_vec(),
            ctx_size: context * 64 * 1024,
            settings: BTreeMap::from([("ubatch_size".to_owned(), (1024 << ubatch).to_string())]),
        };
        let cards = machine.cards.len();
        let mut candidate = plan(&start[..cards], context, ubatch);
        while candidate.total() as usize > machine.blocks.len() {
            let most = candidate.layers.iter_mut().max().unwrap();
            *most -= 1;
        }
        let steps: Vec<Vec<i32>> = (0..5_i32.pow(u32::try_from(cards).unwrap()))
            .map(|n| (0..cards).map(|i| n / 5_i32.pow(u32::try_from(i).unwrap()) % 5 - 2).collect())
            .collect();
        for _ in 0..60 {
            let attempt = Attempt { observation: machine.run(&candidate), candidate };
            let tried = &attempt.candidate;
            for step in &steps {
                let near = tried.layers.iter().zip(step);
                let layers: Vec<u32> = near.map(|(n, step)| n.saturating_add_signed(*step)).collect();
                for (context, ubatch) in [
                    (context, ubatch), (context - 1, ubatch), (context + 1, ubatch),
                    (context, ubatch - 1), (context, ubatch + 1),
                ] {
                    let other = plan(&layers, context, ubatch);
                    let real = other != *tried && other.total() as usize <= machine.blocks.len();
                    if real && excluded_by(&task, &attempt, &other) {
                        prop_assert!(!is_good(&machine, &other), "{:?} excludes {}", attempt, other);
                    }
                }
            }
            let next = match &attempt.observation {
                Observation::OutOfMemory { device } => {
                    tried.minus(task.card(device.as_deref()).unwrap_or(0))
                }
                Observation::HostMemory => Some(tried.clone().plus(0)),
                _ => None,
            };
            let within = |next: &Candidate| next.total() as usize <= machine.blocks.len();
            let Some(next) = next.filter(within) else { break };
            candidate = next;
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn further_dimensions_end_as_well(machine in machine(), starts in starts()) {
        let mut task = machine.task(&starts);
        task.also = also();
        let (step, attempts) = tune(&machine, &task);
        if let Step::Done { best, .. } = step {
            assert_maximal(&machine, &task, &best)?;
            // Nothing but the threads' own peak is as fast, and they take no memory.
            prop_assert_eq!(&best.settings["threads"], "6");
        } else {
            prop_assert!(attempts.iter().all(|a| !matches!(a.observation, Observation::Good(_))));
        }
    }
}
